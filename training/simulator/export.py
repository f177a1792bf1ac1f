"""Files as hospitals hand them over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd


def write_registry(frame: pd.DataFrame, path: Path | str) -> None:
    """Write a registry as CSV or, by the name's ending, Parquet.

    In CSV truths are yes and no, multiple choices are joined by semicolons and dates are ISO 8601.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
        return
    texts = pd.DataFrame({name: [_text(v) for v in frame[name].tolist()] for name in frame.columns}, dtype=object)
    texts.to_csv(path, index=False, lineterminator="\n")


def write_truth(frame: pd.DataFrame, path: Path | str) -> None:
    """Write the truth as CSV or, by the name's ending, Parquet."""
    path = Path(path)
    if path.suffix.lower() == ".csv":
        frame.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    else:
        frame.to_parquet(path, index=False, compression="zstd")


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ";".join(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return value.isoformat() if isinstance(value, dt.date) else str(value)
