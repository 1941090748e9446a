import dataclasses
import io
import re
import sys

import numpy as np
import pytest
from rich.console import Console

from penultimate import Protocol, compare
from penultimate._common.digits import percent, percent_interval, points, points_interval
from penultimate.results.overview import overview, print_tables, tables_as_text
from penultimate.splits import Holdout


@pytest.fixture(scope="module")
def split_twice(two_subsets):
    holdouts = [Holdout(by_group=True), Holdout(by_group=False), Holdout(by_group=False, seed=1)]
    protocol = Protocol(holdouts)
    return compare(two_subsets, methods=["pca+svm-rbf"], protocol=protocol, seeds=1, verbose=0)


def test_cells_have_the_decimals_of_the_report(comparison):
    (table,) = overview(comparison)
    assert table.title == "bars <b>&: accuracy on 12 test images"
    difference = "difference from softmax (percentage points)"
    assert table.head == ("method", "accuracy (%)", "95 % interval", difference)
    assert [row[0] for row in table.rows] == comparison.names()
    softmax, *_, last = table.rows
    assert softmax[3] == ""
    accuracy = comparison.accuracy(last[0])
    difference = comparison.vs_softmax(last[0])
    assert last[1] == percent(accuracy.value, 12) == f"{100 * accuracy.value:.0f}"
    assert last[2] == percent_interval((accuracy.low, accuracy.high), 12)
    ends = points_interval((difference.low, difference.high), 12)
    assert last[3] == f"{points(difference.value, 12)} ({ends})"


def test_without_a_softmax_there_are_no_differences(comparison):
    (table,) = overview(dataclasses.replace(comparison, methods=comparison.methods[-1:]))
    assert table.head == ("method", "accuracy (%)", "95 % interval")
    assert [len(row) for row in table.rows] == [3]


def test_subsets_and_splits(split_twice):
    by_method, by_subset, by_split = overview(split_twice)
    assert by_subset.title == "By subset: accuracy (%)"
    assert by_method.title.endswith("test images, the first of 3 splits")
    assert by_split.title == "All splits: mean accuracy (%) and its 95 % interval"
    assert by_subset.head == ("method", "bright", "dark")
    n_test = len(split_twice.test)
    expected = [percent(split_twice.correct("pca+svm-rbf", s).mean(), n_test) for s in
                ("bright", "dark")]  # fmt: skip
    assert list(by_subset.rows[0][1:]) == expected
    assert by_split.head == ("method", "at random, 2", "by group, 1")
    random = np.mean([other.correct("pca+svm-rbf").mean() for other in split_twice.others])
    ((name, at_random, by_group),) = by_split.rows
    assert (name, by_group) == ("pca+svm-rbf", by_method.rows[0][1])
    assert re.fullmatch(rf"{percent(random, n_test)} \(\d+ to \d+\)", at_random)


def test_titles_name_what_is_called_cnn_though_it_was_trained_elsewhere(comparison):
    for network, called in (("vit.onnx", "vit.onnx"), ("custom", "the network that was passed")):
        protocol = {**comparison.protocol, "frozen": True, "network": network}
        of_network = dataclasses.replace(comparison, protocol=protocol)
        assert overview(of_network)[0].title.endswith(f"(cnn: {called})")


def test_titles_name_differences_where_there_are_any(comparison):
    protocol = {**comparison.protocol, "subsets": True}
    data = dataclasses.replace(comparison.dataset, subsets={"flat": (0,), "other": (1,)})
    both = dataclasses.replace(comparison, dataset=data, protocol=protocol)
    both.others = [both]
    _, by_subset, by_split = overview(both)
    points = "(percentage points)"
    same = "the softmax with the same information"
    assert by_subset.title == f"By subset: accuracy (%), difference from {same} {points}"
    assert by_split.title == (
        f"All splits: mean accuracy (%) and its 95 % interval, difference from softmax {points}"
    )
    assert re.fullmatch(r"\d+ \(\d+ to \d+\) [+-]?\d+", by_split.rows[1][1])
    assert re.fullmatch(r"\d+ [+-]?\d+", by_subset.rows[1][2])


def test_a_split_without_a_method_has_an_empty_cell(split_twice):
    other = dataclasses.replace(split_twice.methods[0], name="late")
    both = dataclasses.replace(split_twice, methods=[split_twice.methods[0], other])
    assert overview(both)[2].rows[1][:2] == ("late", "")


def printed(outcome, **settings):
    console = Console(force_terminal=True, color_system=None, **settings)
    with console.capture() as captured:
        print_tables(console, outcome)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_text_is_what_a_terminal_prints(split_twice, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")  # a text is read elsewhere: in a file, in an issue
    assert tables_as_text(split_twice).splitlines() == printed(split_twice, width=100)
    assert "\x1b" not in tables_as_text(split_twice)


def test_a_row_is_a_line_and_a_heading_two(comparison):
    (table,) = overview(comparison)
    lines = tables_as_text(comparison).splitlines()
    assert len(lines) == 1 + 4 + len(table.rows) + 1
    assert lines[3].split("\u2503")[1:-1] == [
        " method         ", " accuracy (%) ", " 95 % interval ", "     (percentage points) ",
    ]  # fmt: skip
    for row, line in zip(table.rows, lines[5:]):
        assert [cell.strip() for cell in line.split("\u2502")[1:-1]] == list(row)


def test_a_narrow_terminal_divides_cells_and_loses_none(comparison):
    narrow = printed(comparison, width=50)
    assert max(map(len, narrow)) <= 50
    wide, narrow = (re.findall("[\\w%+().-]", "".join(lines)) for lines in
                    (printed(comparison, width=100), narrow))  # fmt: skip
    assert sorted(narrow) == sorted(wide)


def test_frames_are_ascii_where_nothing_else_is_printed(comparison, monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    assert tables_as_text(comparison).isascii()


def test_brackets_and_wide_letters_are_text(comparison):
    method = dataclasses.replace(comparison.methods[0], name="[red]\u6587\u5b57[/red]")
    lines = tables_as_text(dataclasses.replace(comparison, methods=[method])).splitlines()
    assert lines[-2].startswith("\u2502 [red]\u6587\u5b57[/red] \u2502")
