"""The progress bar of a search."""

from typing import Any, Self

from penultimate._common.progress import Progress


class SearchBar(Progress):
    """Progress bar with the remaining time, on standard error, if it is shown.

    Parameters
    ----------
    shown : bool
        Whether to show the bar.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task("search", total=1.0)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: str, done: float, total: float) -> None:
        """Show that ``done`` of ``total`` units are finished."""
        if not self.shown:
            return
        if self._bar is None:
            self._start()  # only now: searches that are delegated elsewhere never report progress
        self._bar.update(self._task, description=step, completed=done, total=total)
