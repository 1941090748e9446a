"""Progress bars on the terminal, drawn by rich."""

from typing import TYPE_CHECKING, Self

from penultimate._common.progress import Progress

if TYPE_CHECKING:  # rich is loaded only when a bar is shown
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn


def make_bar(console: "Console", amount: "ProgressColumn") -> "Bar":
    """Return a bar with the step, the amount that is done, and the elapsed and remaining time.

    Parameters
    ----------
    console : rich.console.Console
        Where it is shown.
    amount : rich.progress.ProgressColumn
        How the amount is written, such as a percentage.
    """
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    times = TimeElapsedColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    return Bar(
        TextColumn("{task.description}", markup=False), BarColumn(), amount, *times, console=console
    )


class SearchBar(Progress):
    """Progress bar with the remaining time, on standard error, if it is shown.

    Parameters
    ----------
    shown : bool
        Whether to show the bar.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def _start(self) -> "Bar":
        from rich.console import Console
        from rich.progress import TaskProgressColumn

        bar = make_bar(Console(stderr=True), TaskProgressColumn())
        bar.start()
        self._task = bar.add_task("search", total=1.0)
        return bar

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: str, done: float, total: float) -> None:
        """Show that ``done`` of ``total`` units are finished."""
        if not self.shown:
            return
        if self._bar is None:
            self._bar = (
                self._start()
            )  # only now: searches that are delegated elsewhere never report progress
        self._bar.update(self._task, description=step, completed=done, total=total)
