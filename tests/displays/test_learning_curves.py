import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

from penultimate.displays import LearningCurvesDisplay
from penultimate.results.few_shot import LearningCurves


def test_a_line_and_a_band_for_each_method():
    y = np.array([0, 1, 0, 1])
    predictions = np.array([[[y, y], [y, y]], [[1 - y, y], [[0, 0, 0, 0], y]]])
    curves = LearningCurves(["a", "b"], [5, 40], np.arange(2), y, predictions, [])
    _, ax = plt.subplots()
    display = LearningCurvesDisplay.from_curves(curves).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    a, b = ax.get_lines()
    assert a.get_xdata().tolist() == [5, 40]
    assert a.get_ydata().tolist() == [100, 100]
    assert b.get_ydata().tolist() == [50, 75]
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0, 100)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["5", "40"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    plt.close("all")


def test_curves_of_a_comparison_on_different_sizes(full, comparison):
    display = LearningCurvesDisplay.from_comparison(full)
    assert display.methods == ["cnn+svm-rbf", "cnn+logistic"]
    assert display.sizes == [10, 20, 40]
    np.testing.assert_array_equal(
        display.accuracies[..., 0], [[0.5, 0.7, 0.8], [0.5, np.nan, 0.75]]
    )
    ax = display.plot().ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "samples of the fit part",
        "selection accuracy, %",
    )
    plt.close("all")
    with pytest.raises(ValueError, match="has no learning curves"):
        LearningCurvesDisplay.from_comparison(dataclasses.replace(comparison, learning_curves=[]))
