"""The tables of a comparison as texts: the same in a terminal, in ``print`` and in a notebook."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from penultimate._common.digits import percent, percent_interval, points, points_interval
from penultimate._common.wording import quantity
from penultimate.results.across_splits import split_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from penultimate.evaluation import Interval
    from penultimate.evaluation.novelty.strangers import Strangers
    from penultimate.results.outcome import Outcome

_WIDTH = 10_000  # of a text, whose tables are as wide as what they hold
_ONE_LINE = 16  # characters of a heading that is not divided


@dataclass(frozen=True)
class TextTable:
    """A table whose cells are written out.

    Attributes
    ----------
    title : str
    head : tuple of str
        Headings; the first column holds names, the others figures.
    rows : list of tuple of str
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def to_rich(self, width: int | None = None) -> "Table":
        """Return the table in the form that a terminal draws.

        Parameters
        ----------
        width : int, optional
            Characters of a line. Only where they are not enough are cells divided.

        Returns
        -------
        rich.table.Table
        """
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        columns = zip(self.head, *self.rows)
        widths = [max(map(cell_len, (*_in_two(head), *cells))) for head, *cells in columns]
        # Three characters frame each column, and one more the last.
        fits = width is None or sum(widths) + 3 * len(widths) + 1 <= width
        # Every text is wrapped: rich would read [brackets] in a name as a style.
        table = Table(title=Text(self.title, style="italic"))
        for number, heading in enumerate(self.head):
            justify: Literal["left", "right"] = "right" if number else "left"
            width_of_column = widths[number] if fits else None
            table.add_column(Text(heading), justify=justify, width=width_of_column, overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        return table


def _in_two(heading: str) -> tuple[str, str]:
    """Divide a long heading into two lines, the longer of which is as short as possible."""
    if len(heading) <= _ONE_LINE:
        return heading, ""
    words = heading.split()
    lines = [(" ".join(words[:k]), " ".join(words[k:])) for k in range(1, len(words) + 1)]
    return min(lines, key=lambda pair: max(map(len, pair)), default=(heading, ""))


def overview(outcome: "Outcome") -> list[TextTable]:
    """Tabulate accuracies with intervals; by subset and over all splits, if there are any.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    list of TextTable
        With as many decimals as the number of test images supports.
    """
    tables = [_by_method(outcome)]
    if outcome.subsets:
        tables.append(_by_subset(outcome))
    if outcome.others:
        tables.append(_by_split(outcome))
    if outcome.strangers is not None:
        tables.append(_of_strangers(outcome.strangers, outcome.dataset.classes))
    return tables


def _of_strangers(found: "Strangers", classes: tuple[str, ...]) -> TextTable:
    """Tabulate how classes were met that were left out in turn."""
    rows: list[tuple[str, ...]] = [
        (
            classes[row.code],
            f"{row.area.value:.3f}",
            f"{row.area.low:.3f} to {row.area.high:.3f}",
            percent(row.noticed.value, row.n_samples),
            percent_interval((row.noticed.low, row.noticed.high), row.n_samples),
            f"{row.n_samples:,}",
        )
        for row in found.rows
    ]
    head = ("class", "AUROC", "95 % interval", "noticed (%)", "95 % interval", "held out")
    alarms, n = found.false_alarms, found.n_heldout
    return TextTable(
        f"As strangers, left out in turn, at {100 * found.false_alarm_rate:g} % false alarms "
        f"(seen: {percent(alarms.value, n)} %, {percent_interval((alarms.low, alarms.high), n)})",
        head,
        rows,
    )


def print_tables(console: "Console", outcome: "Outcome") -> None:
    """Print the tables of `overview`.

    Parameters
    ----------
    console : rich.console.Console
    outcome : Outcome
    """
    for table in overview(outcome):
        console.print(table.to_rich(console.width))


def tables_as_text(outcome: "Outcome") -> str:
    """Return what `print_tables` prints on a terminal that is wide enough, without colors.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    str
        Frames are drawn in ASCII where the output takes nothing else.
    """
    from rich.console import Console

    console = Console(
        color_system=None, force_terminal=False, force_jupyter=False, width=_WIDTH, height=_WIDTH
    )
    with console.capture() as captured:
        for table in overview(outcome):
            console.print(table.to_rich())
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _by_method(outcome: "Outcome") -> TextTable:
    n_test = len(outcome.test)
    images = quantity(n_test, f"test {outcome.dataset.noun}")
    differences = {name: outcome.vs_softmax(name) for name in outcome.names()}
    tested = any(difference is not None for difference in differences.values())
    rows: list[tuple[str, ...]] = []
    for name, difference in differences.items():
        accuracy = outcome.accuracy(name)
        ends = percent_interval((accuracy.low, accuracy.high), n_test)
        cells = (name, percent(accuracy.value, n_test), ends)
        rows.append((*cells, _in_points(difference, n_test)) if tested else cells)
    head = ("method", "accuracy (%)", "95 % interval", _difference(outcome))
    title = f"{outcome.dataset.name}: accuracy on {images}"
    if outcome.others:
        title += f", the first of {len(outcome.others) + 1} splits"
    if (called := called_cnn(outcome)) is not None:
        title += f" (cnn: {called})"
    return TextTable(title, head[: 3 + tested], rows)


def called_cnn(outcome: "Outcome") -> str | None:
    """Return the network that method names call ``cnn`` although it may be none.

    None for a network that was trained here, which is one, and where the data are features.
    """
    protocol = outcome.protocol
    named = any(method.name.startswith("cnn") for method in outcome.methods)
    if not (named and protocol["frozen"]):
        return None
    return "the network that was passed" if protocol["network"] == "custom" else protocol["network"]


def _difference(outcome: "Outcome") -> str:
    return f"difference from {outcome.reference} (percentage points)"


def _in_points(difference: "Interval | None", n_test: int) -> str:
    if difference is None:
        return ""
    ends = points_interval((difference.low, difference.high), n_test)
    return f"{points(difference.value, n_test)} ({ends})"


def _by_subset(outcome: "Outcome") -> TextTable:
    """Tabulate accuracy per subset, and the difference from the softmax that knows as much."""
    n_test = len(outcome.test)

    def cell(name: str, subset: str) -> str:
        difference = outcome.vs_softmax(name, subset)
        right = percent(outcome.accuracy(name, subset).value, n_test)
        return right if difference is None else f"{right} {points(difference.value, n_test)}"

    rows = [(name, *(cell(name, subset) for subset in outcome.subsets)) for name in outcome.names()]
    title = "By subset: accuracy (%)"
    if any(outcome.vs_softmax(name) is not None for name in outcome.names()):
        title += (
            f", difference from the {outcome.reference} with the same information "
            "(percentage points)"
        )
    return TextTable(title, ("method", *outcome.subsets), rows)


def _by_split(outcome: "Outcome") -> TextTable:
    """Tabulate means over all splits of each kind, for the first seed."""
    kinds, n_test = split_table([outcome, *outcome.others]), len(outcome.test)

    def cell(name: str, kind: dict[str, Any]) -> str:
        found = [r for r in kind["methods"] if r["name"] == name and r["subset"] is None]
        if not found:  # splits of this kind were compared without the method
            return ""
        right, difference = percent(found[0]["accuracy"], n_test), found[0]["vs_softmax"]
        if found[0]["ci95"] is not None:
            right += f" ({percent_interval(tuple(found[0]['ci95']), n_test)})"
        return right if not difference else f"{right} {points(difference['difference'], n_test)}"

    kind_names = [
        f"{'by group' if kind['by_group'] else 'at random'}, {kind['n_splits']}" for kind in kinds
    ]
    rows = [(name, *(cell(name, kind) for kind in kinds)) for name in outcome.names()]
    tested = any(row["vs_softmax"] for kind in kinds for row in kind["methods"])
    title = (
        "All splits: mean accuracy (%) and its 95 % interval" + tested * f", {_difference(outcome)}"
    )
    return TextTable(title, ("method", *kind_names), rows)
