"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """Shows how far long work has come; used as a context, which gives the function to call at each step.

    Parameters
    ----------
    title
        What is being done.
    steps
        How many steps there are; None when that is not known.
    """

    def __init__(self, title: str, steps: int | None = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as Bar

        count = [BarColumn(), MofNCompleteColumn()] if steps else []
        self._bar = Bar(
            SpinnerColumn(), TextColumn("{task.description}"), *count, TimeElapsedColumn(), console=Console(stderr=True)
        )
        self._title, self._steps = title, steps

    def __enter__(self) -> Callable[[str, str], None]:
        """Start; the returned function takes what was done, and on which outcome ("" for none)."""
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._steps)
        return self._tick

    def _tick(self, what: str, outcome: str) -> None:
        text = f"{self._title}: {what}" + (f", {outcome}" if outcome else "")
        self._bar.update(self._task, advance=1 if outcome else 0, description=text)

    def __exit__(self, *error: object) -> None:
        self._bar.stop()
