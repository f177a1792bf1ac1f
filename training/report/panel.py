"""A part of the page that another package fills: sentences, a figure with its text twin, a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Panel:
    """One part.

    Attributes
    ----------
    figure
        Drawn into the page as SVG.
    alt
        What the figure shows, in words; a figure must have it.
    head, rows
        A table; its first column names the row.
    folded
        Whether the table waits behind its title until it is opened; the twin of a figure always does.

    Raises
    ------
    ValueError
        When a figure has no words, or a row has not as many cells as the head.
    """

    title: str
    sentences: tuple[str, ...] = ()
    figure: Figure | None = None
    alt: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    folded: bool = False

    def __post_init__(self) -> None:
        if self.figure is not None and not self.alt.strip():
            raise ValueError(f"panel {self.title!r}: its figure has no `alt`; say in words what it shows")
        uneven = [i for i, row in enumerate(self.rows) if len(row) != len(self.head)]
        if uneven:
            raise ValueError(f"panel {self.title!r}: rows {uneven} have not the {len(self.head)} cells of the head")
