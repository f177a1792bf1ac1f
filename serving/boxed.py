"""The service as a Bento or an image carries it: the model is the folder `bundle` beside the packages."""

from __future__ import annotations

import os
from pathlib import Path

# Before the service is imported, which reads its settings then.
os.environ.setdefault("RESECTA_MODEL", str(Path(__file__).resolve().parent.parent / "bundle"))

from serving.service import Resecta

__all__ = ["Resecta"]
