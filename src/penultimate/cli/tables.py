"""The tables that the command line prints at the end of a comparison."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from penultimate.results.outcome import Outcome


def print_tables(console: Console, comparison: "Outcome") -> None:
    """Print accuracies with intervals; by subset and over all splits, if there are any.

    Parameters
    ----------
    console : rich.console.Console
    comparison : Outcome
    """
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
    console.print(table)
    if comparison.subsets:
        console.print(_table_of_subsets(comparison))
    if comparison.others:
        console.print(_table_of_splits(comparison))


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
