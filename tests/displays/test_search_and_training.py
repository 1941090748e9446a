import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris

from penultimate import SVC, SVCSearchCV
from penultimate.displays import SearchHeatmapDisplay, TrainingCurvesDisplay
from penultimate.networks import History

GRID = {"C": [10, 1], "gamma": [0.1, 1, 0.01]}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def search():
    return SVCSearchCV(param_grid=GRID).fit(*load_iris(return_X_y=True))


def test_heat_map_holds_each_score_at_its_place(search):
    display = SearchHeatmapDisplay.from_estimator(search)
    assert display.C.tolist() == [1, 10]
    assert display.gamma.tolist() == [0.01, 0.1, 1]
    results = search.cv_results_
    for params, score in zip(results["params"], results["mean_test_score"], strict=True):
        row = display.gamma.tolist().index(params["gamma"])
        column = display.C.tolist().index(params["C"])
        assert display.scores[row, column] == score


def test_heat_map_draws_on_the_given_axes(search):
    _, ax = plt.subplots()
    display = SearchHeatmapDisplay.from_estimator(search).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("C", "gamma")
    assert len(ax.texts) == 6
    # The frame is around the best.
    best = np.unravel_index(display.scores.argmax(), display.scores.shape)
    assert ax.patches[0].get_xy() == (best[1] - 0.5, best[0] - 0.5)


def test_settings_that_were_not_tried_stay_empty():
    display = SearchHeatmapDisplay.from_scores(
        [{"C": 1, "gamma": 1.0}, {"C": 2, "gamma": 3.0}], [0.5, 0.6]
    ).plot()
    assert np.isnan(display.scores).sum() == 2


@pytest.mark.parametrize(("score", "low"), [(0.5, 0.49), (0.004, 0.0)])
def test_equal_scores_have_a_scale_of_colors(score, low):
    display = SearchHeatmapDisplay.from_scores(
        [{"C": 1, "gamma": 1.0}, {"C": 2, "gamma": 1.0}], [score, score]
    ).plot()
    assert display.ax_.images[0].get_clim() == pytest.approx((low, score))


def test_search_without_gamma():
    search = SVCSearchCV(SVC(kernel="linear")).fit(*load_iris(return_X_y=True))
    with pytest.raises(ValueError, match="numbers for C and gamma"):
        SearchHeatmapDisplay.from_estimator(search)


def test_training_curves():
    histories = [
        History([2.0, 1.0, 0.5], [1.5, 0.9, 1.0], [0.2, 0.6, 0.8], 1),
        History([2.0, 1.0], [], [], 1),
    ]
    display = TrainingCurvesDisplay.from_histories(histories).plot()
    assert display.ax_.get_xlabel() == "epoch"
    labels = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert labels == ["training", "validation", "validation accuracy"]
    kept = [line for line in display.ax_.get_lines() if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in kept] == [(2, 0.9)]
