import matplotlib.pyplot as plt
import numpy as np
import pytest

from penultimate.displays import PairedDifferencesDisplay
from penultimate.evaluation import Interval, compare_accuracies


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_from_predictions_of_some_seeds():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 80)
    softmax, svm = (np.where(rng.random((2, 80)) < share, 0, y) for share in (0.5, 0.2))
    groups = np.arange(80) // 4
    display = PairedDifferencesDisplay.from_predictions(
        y, {"svm": svm, "softmax": softmax, "one": softmax}, baseline="softmax", groups=groups
    )
    assert display.methods == ["svm", "one"]
    expected = compare_accuracies(svm == y, softmax == y, groups=groups)
    assert display.differences[0] == expected
    assert display.differences[1].value == 0


def test_predictions_of_one_seed_and_any_label():
    display = PairedDifferencesDisplay.from_predictions(
        list("abab"), {"a": list("abab"), "b": list("aaaa")}, baseline="b"
    )
    assert display.differences[0].value == 0.5


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="'c' is not among the predictions: ..a... Pass its") as no:
        PairedDifferencesDisplay.from_predictions([0], {"a": [0]}, baseline="c")
    assert "another baseline" in str(no.value)
    with pytest.raises(ValueError, match="'a' has predictions for 1 samples, y_true has 2"):
        PairedDifferencesDisplay.from_predictions([0, 1], {"a": [0], "b": [0, 1]}, baseline="b")


def test_from_comparison(comparison):
    display = PairedDifferencesDisplay.from_comparison(comparison)
    assert display.methods == comparison.names()[1:]
    assert display.differences[2] == comparison.vs_softmax(display.methods[2])


def test_rows_from_the_top_full_where_zero_is_left_out():
    intervals = [Interval(0.01, 0.005, 0.02), Interval(-0.01, -0.03, 0.01)]
    _, ax = plt.subplots()
    display = PairedDifferencesDisplay(["svm", "knn"], intervals, baseline="softmax").plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert [text.get_text() for text in ax.get_yticklabels()] == ["svm", "knn"]
    assert ax.get_ylim() == (1.5, -0.5)
    first, dot, second, hollow, zero = ax.get_lines()
    assert first.get_xdata().tolist() == [0.5, 2]
    assert (dot.get_xdata().tolist(), dot.get_ydata().tolist()) == ([1], [0])
    assert second.get_xdata().tolist() == [-3, 1]
    assert dot.get_markerfacecolor() == "C0"
    assert hollow.get_markerfacecolor() == "white"
    assert list(zero.get_xdata()) == [0, 0]
    assert ax.get_xlabel() == "difference from softmax (percentage points)"
