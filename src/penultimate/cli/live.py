"""Terminal output during a comparison: a table that fills up, and a progress bar."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import MofNCompleteColumn
from rich.table import Table
from rich.text import Text

from penultimate._common.progress import Progress
from penultimate._common.progress_bar import make_bar

if TYPE_CHECKING:
    from penultimate.results.outcome import Outcome


_MOST_SEEDS = 4  # columns that fit next to the names and the mean


class LiveTable(Progress):
    """A table of accuracies, updated in place on a terminal and printed by line elsewhere.

    Parameters
    ----------
    quiet : bool, default=False
        Write to standard error, and print no table at the end.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=quiet)
        self.quiet = quiet
        self.scores: dict[str, dict[int, float]] = {}
        self.bar = make_bar(self.console, MofNCompleteColumn())
        self.live = Live(console=self.console, refresh_per_second=8, transient=True)
        self.live.get_renderable = self._render  # type: ignore[method-assign]
        self.step: str | None = None
        self.started = time.perf_counter()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.live.stop()

    def update(self, step: str, done: float, total: float) -> None:
        """Show the progress of a step."""
        if step != self.step:
            for task in self.bar.task_ids:
                self.bar.remove_task(task)
            self.task = self.bar.add_task(step, total=total)
            if not self.console.is_terminal and not step.startswith("fit "):
                self.console.print(f"{step} ...", highlight=False)
        self.step = None if done == total else step
        # A single unit has no measurable progress: without a total, the bar just moves.
        self.bar.update(self.task, completed=done, total=None if total == 1 and not done else total)

    def scored(self, method: str, seed: int, accuracy: float) -> None:
        """Fill in one cell of the table."""
        self.scores.setdefault(method, {})[seed] = accuracy
        if not self.console.is_terminal:
            self.console.print(f"seed {seed}  {method:<14} {accuracy:.2%}", highlight=False)

    def finish(self, comparison: "Outcome") -> None:
        """Replace the live table with the final one, which has intervals."""
        self.live.stop()
        if self.quiet:
            return
        table = Table(
            title=Text(
                f"{comparison.dataset.name}: accuracy on {len(comparison.test):,} test images",
                style="italic",
            )
        )
        table.add_column("method")
        for heading in ("accuracy", "95 % interval", "vs softmax (percentage points)"):
            table.add_column(heading, justify="right")
        for method in comparison.methods:
            accuracy, difference = (
                comparison.accuracy(method.name),
                comparison.vs_softmax(method.name),
            )
            table.add_row(
                Text(method.name),
                f"{accuracy.value:.2%}",
                f"{accuracy.low:.2%} to {accuracy.high:.2%}",
                ""
                if difference is None
                else f"{100 * difference.value:+.2f} ({100 * difference.low:+.2f} to "
                f"{100 * difference.high:+.2f})",
            )
        self.console.print(table)
        if comparison.subsets:
            self.console.print(_table_of_subsets(comparison))
        if comparison.others:
            self.console.print(_table_of_splits(comparison))
        seconds = time.perf_counter() - self.started
        self.console.print(f"Total time: {seconds:.0f} s.", highlight=False)

    def print(self, text: str) -> None:
        """Print a line of text, without truncation."""
        self.console.print(Text(text), soft_wrap=True)

    def _render(self) -> Group:
        table = Table()
        table.add_column("method")
        seeds = sorted({seed for scores in self.scores.values() for seed in scores})
        seeds = seeds[-_MOST_SEEDS:]
        for seed in seeds:
            table.add_column(f"seed {seed}", justify="right")
        table.add_column("mean", justify="right")
        for name, scores in self.scores.items():
            cells = [f"{scores[seed]:.2%}" if seed in scores else "" for seed in seeds]
            table.add_row(Text(name), *cells, f"{sum(scores.values()) / len(scores):.2%}")
        return Group(*([table] if self.scores else []), self.bar.get_renderable())


def _table_of_subsets(comparison: "Outcome") -> Table:
    """Tabulate accuracy per subset, and the difference to the softmax with the same information."""
    table = Table(
        title="By subset: accuracy, vs the softmax with the same information (percentage points)"
    )
    table.add_column("method")
    for name in comparison.subsets:
        table.add_column(Text(name), justify="right")
    for name in comparison.names():
        cells = []
        for subset in comparison.subsets:
            cell = f"{comparison.accuracy(name, subset).value:.2%}"
            difference = comparison.vs_softmax(name, subset)
            cells.append(cell if difference is None else f"{cell} {100 * difference.value:+.2f}")
        table.add_row(Text(name), *cells)
    return table


def _table_of_splits(comparison: "Outcome") -> Table:
    """Tabulate means over all splits of each kind, for the first seed."""
    kinds = comparison.to_dict()["splits"]
    table = Table(title="All splits: mean accuracy, vs softmax (percentage points)")
    table.add_column("method")
    for kind in kinds:
        name = "by group" if kind["by_group"] else "at random"
        table.add_column(f"{name}, {kind['n_splits']}", justify="right")
    for name in comparison.names():
        cells = []
        for kind in kinds:
            row = next(r for r in kind["methods"] if r["name"] == name and r["subset"] is None)
            difference = row["vs_softmax"]
            cell = f"{row['accuracy']:.2%}"
            cells.append(
                cell if difference is None else f"{cell} {100 * difference['difference']:+.2f}"
            )
        table.add_row(Text(name), *cells)
    return table
