import dataclasses
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

from penultimate import compare
from penultimate.comparison.plots import Plots
from penultimate.displays import (
    FeatureMapDisplay,
    LearningCurvesDisplay,
    PairedDifferencesDisplay,
    RiskCoverageDisplay,
    SearchHeatmapDisplay,
    TrainingCurvesDisplay,
)

PLOTS = [name for name in vars(Plots) if name.startswith("plot_")]
OF_A_METHOD = [
    name for name in PLOTS if "method" in inspect.signature(getattr(Plots, name)).parameters
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def pixels_only(two_subsets):
    return compare(two_subsets, methods=["pca+svm-rbf"], seeds=1, verbose=0)


def test_there_is_one_for_every_display_of_a_comparison():
    assert len(PLOTS) == 9


@pytest.mark.parametrize("name", PLOTS)
def test_each_draws_on_new_axes_or_on_those_given(full, name):
    drawn = getattr(full, name)()
    assert drawn.figure_ is drawn.ax_.figure
    drawn.figure_.canvas.draw()
    _, ax = plt.subplots()
    again = getattr(full, name)(ax=ax)
    assert again.ax_ is ax
    assert type(again) is type(drawn)


@pytest.mark.parametrize("name", OF_A_METHOD)
def test_an_unknown_method_is_named(full, name):
    with pytest.raises(KeyError, match="'cnn' was not compared; the methods compared are"):
        getattr(full, name)("cnn")


@pytest.mark.slow
def test_they_show_the_method_of_the_verdict(full):
    true = np.tile(full.dataset.labels[full.test], 2)
    expected = confusion_matrix(true, full.method("cnn+svm-rbf").predictions.ravel())
    drawn = full.plot_confusion()
    assert isinstance(drawn, ConfusionMatrixDisplay)
    np.testing.assert_array_equal(drawn.confusion_matrix, expected)
    assert drawn.ax_.get_title() == "cnn+svm-rbf"
    np.testing.assert_array_equal(full.plot_confused_pairs().counts, expected)
    assert full.plot_reliability().name == "cnn+svm-rbf"
    assert full.plot_reliability("cnn-softmax").name == "cnn-softmax, not calibrated"
    assert full.plot_risk_coverage().name == "cnn+svm-rbf"


def test_figures_are_those_of_the_report(full):
    differences = full.plot_differences()
    assert isinstance(differences, PairedDifferencesDisplay)
    assert differences.differences == [full.vs_softmax(name) for name in full.names()[1:]]
    softmax = full.method("cnn-softmax")
    expected = RiskCoverageDisplay.from_predictions(
        full.correct("cnn-softmax")[0], softmax.probabilities[0].max(axis=1)
    )
    np.testing.assert_array_equal(full.plot_risk_coverage("cnn-softmax").risk, expected.risk)
    grids = full.method("cnn+svm-rbf").fits[None].grids
    expected = SearchHeatmapDisplay.from_scores(
        grids[0]["params"], (np.array(grids[0]["score"]) + grids[1]["score"]) / 2
    )
    np.testing.assert_array_equal(full.plot_search().scores, expected.scores)
    curves = full.plot_learning_curves()
    assert isinstance(curves, LearningCurvesDisplay)
    assert curves.methods == ["cnn+svm-rbf", "cnn+logistic"]
    training = full.plot_training()
    assert isinstance(training, TrainingCurvesDisplay)
    assert training.histories == full.histories


def test_the_map_is_fitted_on_development(full):
    drawn = full.plot_feature_map()
    data, is_test = full.dataset, np.isin(np.arange(60), full.test)
    expected = FeatureMapDisplay.from_features(
        full.features["test"], data.labels[is_test].astype(str),
        development=(full.features["development"], data.labels[~is_test].astype(str)),
    )  # fmt: skip
    np.testing.assert_array_equal(drawn.points, expected.points)
    np.testing.assert_array_equal(drawn.labels, expected.labels)
    with pytest.raises(ValueError, match="'lda' with 2 classes has a single axis"):
        full.plot_feature_map(projection="lda")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plot_differences", r"None of \['pca\+svm-rbf'\] was compared with a softmax"),
        ("plot_training", "trained no network"),
        ("plot_feature_map", "none of its methods used a network"),
        ("plot_search", r"has a search per subset; pass subset=, of \['bright', 'dark'\]"),
        ("plot_learning_curves", "no learning curves"),
    ],
)
def test_what_is_not_there_says_why(pixels_only, name, words):
    with pytest.raises(ValueError, match=words):
        getattr(pixels_only, name)()


def test_methods_that_have_it_are_named(full):
    words = r"the methods that did are \['cnn\+svm-rbf', 'pca\+svm-rbf'\]"
    with pytest.raises(ValueError, match=f"'cnn-softmax' did not search C and gamma; {words}"):
        full.plot_search("cnn-softmax")
    methods = [dataclasses.replace(full.methods[0], probabilities=None), *full.methods[1:]]
    without = dataclasses.replace(full, methods=methods)
    words = r"'cnn-softmax' gives no probabilities; pass one that does: \["
    with pytest.raises(ValueError, match=words):
        without.plot_reliability("cnn-softmax")
    with pytest.raises(ValueError, match="gives no probabilities; no method here does"):
        dataclasses.replace(without, methods=methods[:1]).plot_risk_coverage()


def test_by_subset(pixels_only):
    assert pixels_only.plot_search(subset="dark").scores.ndim == 2
    assert pixels_only.plot_confusion().confusion_matrix.shape == (4, 4)
    assert len(pixels_only.plot_confused_pairs().classes) == 4


def test_names_are_no_formulas(full):
    names = ("$1 to $5", r"<b>$\foo$ é")
    made = dataclasses.replace(full, dataset=dataclasses.replace(full.dataset, classes=names))
    for drawn in (made.plot_confusion(), made.plot_confused_pairs(), made.plot_feature_map()):
        drawn.figure_.canvas.draw()
    assert [text.get_text() for text in made.plot_confusion().ax_.get_xticklabels()] == [*names]


def test_a_large_matrix_has_no_numbers(full):
    names = tuple(f"class {k}" for k in range(21))
    made = dataclasses.replace(full, dataset=dataclasses.replace(full.dataset, classes=names))
    assert made.plot_confusion().text_ is None
    assert full.plot_confusion().text_ is not None
