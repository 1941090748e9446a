import pytest

from penultimate.report.forest import forest


def row(name, difference, low, high):
    vs_softmax = {"difference": difference, "ci95": [low, high], "p": 0.5}
    return {"name": name, "family": "svm", "vs_softmax": vs_softmax}


def test_places_keep_the_distances():
    plot = forest(
        [
            {"name": "cnn-softmax", "vs_softmax": None},
            row("a", 0.01, -0.01, 0.03),
            row("b", -0.04, -0.05, -0.02),
        ]
    )
    a, b = plot["rows"]
    assert [a["name"], b["name"]] == ["a", "b"]
    assert [a["leaves_out_zero"], b["leaves_out_zero"]] == [False, True]
    point = (a["at"] - plot["zero"]) / 1
    assert a["low"] == pytest.approx(plot["zero"] - point, abs=2e-4)
    assert a["high"] == pytest.approx(plot["zero"] + 3 * point, abs=5e-4)
    assert b["low"] == pytest.approx(plot["zero"] - 5 * point, abs=1e-3)
    assert 0 < b["low"] < a["high"] < 1
    labels = [tick["label"] for tick in plot["ticks"]]
    assert "0" in labels
    assert all(label[0] in "+\u22120" for label in labels)
    assert plot["ticks"][labels.index("0")]["at"] == plot["zero"]


def test_no_difference_at_all():
    plot = forest([row("same", 0.0, 0.0, 0.0)])
    assert plot["zero"] == plot["rows"][0]["at"] == 0.5


def test_nothing_compared():
    assert forest([{"name": "cnn-softmax", "vs_softmax": None}]) is None
