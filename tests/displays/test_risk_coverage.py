import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits

from penultimate import SVC, AbstainingClassifier
from penultimate.displays import RiskCoverageDisplay
from penultimate.evaluation import area_under_risk_coverage, confidence_scores


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:1000, ::3], y[:1000], X[1000:, ::3], y[1000:]


def test_steps_from_the_most_confident_sample_to_all():
    _, ax = plt.subplots()
    display = RiskCoverageDisplay.from_predictions(
        [True, False, True, True], [0.9, 0.8, 0.7, 0.7], threshold=0.75, name="a"
    ).plot(ax=ax, color="black")
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    curve, chosen = ax.get_lines()
    assert curve.get_xdata().tolist() == [0, 25, 50, 100]
    assert curve.get_ydata().tolist() == [0, 0, 50, 25]
    assert curve.get_color() == chosen.get_color() == "black"
    assert (chosen.get_xdata().tolist(), chosen.get_ydata().tolist()) == ([50], [50])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "a, area 0.25",
        "its threshold: 50.0 % accepted, 50 % errors",
    ]


def test_further_curves_fit_on_the_same_axes():
    good = RiskCoverageDisplay.from_predictions([True] * 99 + [False], np.arange(100))
    ax = good.plot().ax_
    RiskCoverageDisplay.from_predictions([False] * 80 + [True] * 20, np.arange(100)).plot(ax=ax)
    low, high = ax.get_ylim()
    assert (low, high > 100) == (0, True)


@pytest.mark.parametrize("threshold", [None, 0.9, np.inf])
def test_no_mark_where_nothing_is_accepted(threshold):
    display = RiskCoverageDisplay.from_predictions([True, False], [0.9, 0.8], threshold=threshold)
    assert display.chosen is None
    assert len(display.plot().ax_.get_lines()) == 1


def test_from_a_classifier(digits):
    X, y, X_test, y_test = digits
    svc = SVC().fit(X, y)
    display = RiskCoverageDisplay.from_estimator(svc, X_test, y_test)
    correct = svc.predict(X_test) == y_test
    assert display.area == area_under_risk_coverage(correct, confidence_scores(svc, X_test))
    assert (display.name, display.chosen) == ("SVC", None)
    assert display.risk[-1] == pytest.approx(1 - correct.mean())


def test_from_one_that_abstains(digits):
    X, y, X_test, y_test = digits
    model = AbstainingClassifier(SVC(), coverage=0.8, random_state=0).fit(X, y)
    display = RiskCoverageDisplay.from_estimator(model, X_test, y_test, name="mine")
    assert display.chosen[0] == model.accepts(X_test).mean()
    assert display.chosen[1] == pytest.approx(1 - model.score(X_test, y_test))
    assert display.name == "mine"
    ax = display.plot(name="other").ax_
    assert ax.get_legend().get_texts()[0].get_text().startswith("other, area")
