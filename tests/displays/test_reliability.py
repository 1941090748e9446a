import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from penultimate import SVC
from penultimate.displays import ReliabilityDisplay
from penultimate.evaluation import expected_calibration_error, reliability_curve


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_points_intervals_and_shares():
    probabilities = np.array([[0.45, 0.55], [0.4, 0.6], [0.05, 0.95], [0.9, 0.1]])
    _, ax = plt.subplots()
    display = ReliabilityDisplay.from_predictions(
        ["b", "a", "b", "a"], probabilities, n_bins=4, name="nb"
    ).plot(ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    points = ax.containers[1].lines[0]
    np.testing.assert_allclose(points.get_xdata(), [0.575, 0.925])
    np.testing.assert_allclose(points.get_ydata(), [0.5, 1])
    segments = ax.containers[1].lines[2][0].get_segments()
    curve = display.curve
    for segment, low, high in zip(segments, curve.low[2:], curve.high[2:], strict=True):
        np.testing.assert_allclose(segment[:, 1], [low, high])
    assert [bar.get_height() for bar in ax.patches] == [0, 0, 0.5, 0.5]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "nb, calibration error 0.075" in labels
    assert "perfectly calibrated" in labels


def test_from_a_classifier_whose_labels_are_names():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = GaussianNB().fit(X[:, :1], names)
    some = y > 0  # only two of the three classes
    display = ReliabilityDisplay.from_estimator(model, X[some, :1], names[some], n_bins=5)
    probabilities = model.predict_proba(X[some, :1])
    expected = reliability_curve(probabilities, y[some], n_bins=5)
    np.testing.assert_array_equal(display.curve.accuracy, expected.accuracy)
    assert display.error == expected_calibration_error(probabilities, y[some], n_bins=5)
    assert display.name == "GaussianNB"
    labels = [t.get_text() for t in display.plot(name="mine").ax_.get_legend().get_texts()]
    assert any(label.startswith("mine, ") for label in labels)


def test_bad_input():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="needs predict_proba, and SVC.*calibrated"):
        ReliabilityDisplay.from_estimator(SVC().fit(X, y), X, y)
    with pytest.raises(ValueError, match="not among the classes, such as 2; the classes are"):
        ReliabilityDisplay.from_predictions([2], [[0.5, 0.5]], classes=[0, 1])
    with pytest.raises(ValueError, match="3 columns of probabilities but 2 classes"):
        ReliabilityDisplay.from_predictions([0, 1], [[0.2, 0.3, 0.5]] * 2)
