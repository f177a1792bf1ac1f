"""Files that hold what is known of patients: their owner alone reads them, whatever the process's umask."""

from __future__ import annotations

import os

MODE = 0o600


def private(path: str, flags: int) -> int:
    """Open a file for its owner alone, one that stands already too; the `opener` of Python's `open`."""
    handle = os.open(path, flags, MODE)
    try:
        os.fchmod(handle, MODE)
    except OSError:
        os.close(handle)
        raise
    return handle
