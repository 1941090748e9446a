import io
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from penultimate import compare
from penultimate.comparison import live as module
from penultimate.comparison.live import LiveTable


def table(**kind):
    """A table that writes into memory."""
    return LiveTable(Console(file=io.StringIO(), width=100, **kind))


def written(live):
    return live.console.file.getvalue()


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now.seconds)
    monkeypatch.setattr(module.time, "strftime", lambda form, moment: "14:32")
    return now


def test_lines_where_there_is_no_terminal():
    with table(force_terminal=False) as live:
        for done in range(1, 4):
            live.update("train network", done, 3)
        live.update("fit cnn+knn", 0, 1)
        live.scored("cnn+knn", 0, 0.987)
    assert written(live) == "train network ...\nseed 0  cnn+knn        98.70 %\n"


def test_a_line_every_few_epochs(clock):
    with table(force_terminal=False) as live:
        for done in range(31):
            live.expects(2, 9, 300 - 2 * done if done > 2 else None)
            live.update("train network", done, 30)
            clock.seconds += 2
        live.expects(3, 9, 240)
        live.update("train network", 0, 30)
    lines = written(live).splitlines()
    assert lines[0] == "train network 2 of 9 ..."
    assert (
        lines[1]
        == "train network 2 of 9: epoch 4 of 30, about 5 min of training left (until 14:32)"
    )
    assert (
        lines[-2]
        == "train network 2 of 9: epoch 28 of 30, about 4 min of training left (until 14:32)"
    )
    assert lines[-1] == "train network 3 of 9 ..."
    assert len(lines) == 11


def test_table_fills_on_a_terminal(clock):
    with table(force_terminal=True) as live:
        live.expects(1, 3, 400)
        live.update("train network", 1, 3)
        live.scored("cnn+knn", 0, 0.98)
        live.scored("cnn+knn", 1, 0.99)
        live.console.print(live.live.get_renderable())
    for part in (
        "cnn+knn", "98.00 %", "99.00 %", "98.50 %", "train network 1 of 3", "1/3",
        "about 7 min left (until 14:32)",
    ):  # fmt: skip
        assert part in written(live)


def test_nothing_is_printed_twice():
    with table(force_terminal=False) as live:
        for _ in ("development", "test"):
            live.update("extract features", 1, 1)
            live.message("Note: one size.")
        live.scored("cnn+knn", 0, 0.5)
        live.update("extract features", 1, 1)
    lines = written(live).splitlines()
    assert lines.count("Note: one size.") == 1
    assert lines.count("extract features ...") == 1


def test_what_begins_again_and_again_is_said_now_and_then(clock):
    with table(force_terminal=False) as live:
        for _ in range(100):
            for step in ("train network", "extract features"):
                live.update(step, 0, 2)
                live.update(step, 2, 2)
                clock.seconds += 0.5
    assert written(live).splitlines()[:2] == ["train network ...", "extract features ..."]
    assert len(written(live).splitlines()) == pytest.approx(20, abs=2)


def test_a_long_run_has_few_lines(clock):
    with table(force_terminal=False) as live:
        for done in range(36_000):
            live.expects(1, 1, 36_000 - done)
            live.update("train network", done, 36_000)
            clock.seconds += 1
    assert len(written(live).splitlines()) < 300


@pytest.mark.parametrize(
    ("n_test", "cells"), [(92, ["98 %", "97 %"]), (1000, ["98.0 %", "97.2 %"])]
)
def test_decimals_are_those_of_the_final_table(clock, n_test, cells):
    for terminal in (True, False):
        with table(force_terminal=terminal) as live:
            live.tests_on(n_test)
            live.scored("cnn+knn", 0, 0.98)
            live.scored("cnn+knn", 1, 0.9639)
            live.console.print(live.live.get_renderable())
        assert all(f"{cell} " in written(live) for cell in cells)
        assert "98.00" not in written(live)


def test_a_notebook_shows_one_output_that_is_updated(clock, monkeypatch):
    shown = []
    cell = SimpleNamespace(update=shown.append)

    def display(renderable, *, display_id):
        assert display_id
        shown.append(renderable)
        return cell

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    with table(force_jupyter=True) as live:
        for done in range(1, 11):
            live.update("train network", done, 10)
            clock.seconds += 0.125
        live.scored("cnn+knn", 0, 0.98)
    assert len(shown) == 4  # at most two a second, and the last
    assert "98.00 %" in shown[-1]._repr_mimebundle_(include=["text/html"], exclude=[])["text/html"]


def test_compare_shows_progress_unless_it_is_silent(shapes, capsys):
    for verbose, lines in ((1, ["seed 0  pca+svm-rbf"]), (0, [])):
        compare(*shapes, methods=["pca+svm-rbf"], seeds=1, verbose=verbose)
        out, errors = capsys.readouterr()
        assert out == ""
        assert [line[:19] for line in errors.splitlines()] == lines
