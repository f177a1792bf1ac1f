"""xgboost in a worker, without the libraries that it would take along where they happen to be installed.

xgboost accepts data frames and has scikit-learn's interface, so it imports pandas (and with it pyarrow) and
scikit-learn when it finds them: 84 MB and 0.8 s of a worker's start, for nothing that answering uses. The image has
neither. Where training is installed beside the service, this makes a worker the same as in the image.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: What xgboost tries to import, and does without.
OPTIONAL = ("pandas", "sklearn")


@contextmanager
def absent(names: tuple[str, ...]) -> Iterator[None]:
    """Make libraries look uninstalled in a block; those that are loaded already are left alone.

    A None in `sys.modules` is Python's own way to refuse an import (import system, "the module cache").
    """
    blocked = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]
