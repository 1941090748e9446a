"""Progress of a comparison: a live table in a terminal or notebook, and lines elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import MofNCompleteColumn
from rich.table import Table
from rich.text import Text

from penultimate._common.digits import percent
from penultimate._common.progress import Progress, in_words
from penultimate._common.progress_bar import make_bar

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

_MOST_SEEDS = 4  # columns that fit next to the names and the mean
_TRAINING, _EXTRACTION = "train network", "extract features"
_LINES_PER_RUN = 40  # about
_BETWEEN_LINES = 5.0  # seconds: a log is read afterwards, and should not be all progress
_BETWEEN_FRAMES = 0.5  # seconds: a notebook sends each picture of the table to a browser


class LiveTable(Progress):
    """A table of accuracies that fills up, above a bar for the current step.

    It is updated in place in a terminal and in a notebook. Elsewhere, as in a pipe or a file, there
    is a line per score, and one every few epochs.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to show it; by default standard error.

    Examples
    --------
    >>> from rich.console import Console
    >>> from penultimate.comparison.live import LiveTable
    >>> with LiveTable(Console(force_terminal=False)) as live:
    ...     live.scored("cnn+svm-rbf", 0, 0.987)
    seed 0  cnn+svm-rbf    98.70 %
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console
        self.scores: dict[str, dict[int, float]] = {}
        self.bar = make_bar(self.console, MofNCompleteColumn())
        # Rendered anew for each frame, so that the time left counts down between two updates.
        self.live = Live(console=self.console, refresh_per_second=8, transient=True)
        self.live.get_renderable = self._render  # type: ignore[method-assign]
        self.step: str | None = None
        self.network = self.n_networks = 1
        self.left: float | None = None
        self.n_test: int | None = None
        self.started = time.perf_counter()
        self._line_at, self._frame_at = self.started, 0.0
        self._cell: DisplayHandle | None = None
        self._said: set[str] = set()
        self._begun: set[str] = set()

    @property
    def by_line(self) -> bool:
        """Whether lines are printed, because nothing can be updated in place."""
        return not (self.console.is_terminal or self.console.is_jupyter)

    @property
    def seconds(self) -> float:
        """Seconds since the table was made."""
        return time.perf_counter() - self.started

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.console.is_jupyter:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.live.stop()
        self._draw_cell(at_once=True)

    def expects(self, network: int, n_networks: int, seconds: float | None) -> None:
        """Remember which network is trained, and how much time is left."""
        self.network, self.n_networks, self.left = network, n_networks, seconds

    def update(self, step: str, done: float, total: float) -> None:
        """Show the progress of a step."""
        name = step
        if step.startswith(_TRAINING) and self.n_networks > 1:
            name = step.replace(_TRAINING, f"{_TRAINING} {self.network} of {self.n_networks}")
        if name != self.step:
            # One bar at a time: that of the step before goes.
            for task in self.bar.task_ids:
                self.bar.remove_task(task)
            self.task = self.bar.add_task(name, total=total)
            # Heads take a moment each, and their scores are printed anyway, but not those of
            # further splits. Like a step that begins again, as for each fold, they are no news
            # until some time has passed.
            is_news = name not in self._begun and not step.startswith("fit ")
            if self.by_line and (is_news or self._is_time()):
                self._begun.add(name)
                self._print_line(f"{name} ...")
        elif self._is_line_due(step, done, total):
            at = f"epoch {int(done) + 1}" if step.startswith(_TRAINING) else f"{done:,.0f}"
            self._print_line(f"{name}: {at} of {total:,.0f}, {self._time_left()}")
        # A finished step is forgotten: the next one of the same name gets a bar of its own.
        self.step = None if done == total else name
        # A single unit has no measurable progress: without a total, the bar just moves.
        self.bar.update(self.task, completed=done, total=None if total == 1 and not done else total)
        self._draw_cell()

    def tests_on(self, n_samples: int) -> None:
        """Remember how many decimals of an accuracy mean something."""
        self.n_test = n_samples

    def scored(self, method: str, seed: int, accuracy: float) -> None:
        """Fill in one cell of the table."""
        self.scores.setdefault(method, {})[seed] = accuracy
        if self.by_line:
            # Without highlighting, with which rich would color each number by itself.
            self.console.print(
                f"seed {seed}  {method:<14} {self._percent(accuracy)}", highlight=False
            )
            self._line_at = time.perf_counter()
        self._draw_cell()

    def message(self, text: str) -> None:
        """Print a line of text, without truncation; the same one only once."""
        if text in self._said:
            return
        self._said.add(text)
        self.console.print(Text(text), soft_wrap=True)

    def _is_line_due(self, step: str, done: float, total: float) -> bool:
        # Only for steps that may take minutes, and once there is an estimate to print.
        if not self.by_line or not step.startswith((_TRAINING, _EXTRACTION)) or self.left is None:
            return False
        return self._is_time() and done < total

    def _is_time(self) -> bool:
        # Ever more seldom: a run of ten hours has about as many lines as one of ten minutes.
        between = max(_BETWEEN_LINES, self.seconds / _LINES_PER_RUN)
        return time.perf_counter() - self._line_at >= between

    def _print_line(self, text: str) -> None:
        self._line_at = time.perf_counter()
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _time_left(self) -> str:
        assert self.left is not None
        until = time.strftime("%H:%M", time.localtime(time.time() + self.left))
        # Before the first score, what heads take is not known.
        what = "left"
        if not self.scores:
            what = "of training left" if self.n_networks else "of extraction left"
        return f"{in_words(self.left)} {what} (until {until})"

    def _render(self) -> Table:
        rows = Table.grid()
        if self.scores:
            rows.add_row(self._table())
        rows.add_row(Group(self.bar.get_renderable()))
        if self.left is not None:
            rows.add_row(Text(self._time_left()))
        return rows

    def _percent(self, accuracy: float) -> str:
        value = f"{100 * accuracy:.2f}" if self.n_test is None else percent(accuracy, self.n_test)
        return f"{value} %"

    def _table(self) -> Table:
        table = Table()
        table.add_column("method")
        # From what there is so far: a seed gets a column with its first score.
        seeds = sorted({seed for scores in self.scores.values() for seed in scores})
        seeds = seeds[-_MOST_SEEDS:]
        # The latest seeds: earlier ones are in the mean already.
        for seed in seeds:
            table.add_column(f"seed {seed}", justify="right")
        table.add_column("mean", justify="right")
        for name, scores in self.scores.items():
            cells = [self._percent(scores[seed]) if seed in scores else "" for seed in seeds]
            table.add_row(Text(name), *cells, self._percent(sum(scores.values()) / len(scores)))
        return table

    def _draw_cell(self, at_once: bool = False) -> None:
        """Update the output of a notebook's cell, which rich itself does only with ipywidgets."""
        now = time.perf_counter()
        if not self.console.is_jupyter or (now - self._frame_at < _BETWEEN_FRAMES and not at_once):
            return
        from IPython.display import display

        self._frame_at = now
        if self._cell is None:
            self._cell = display(self._render(), display_id=True)
        else:
            self._cell.update(self._render())
