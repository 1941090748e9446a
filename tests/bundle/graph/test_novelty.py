"""A novelty detector says the same in a graph."""

from copy import copy
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits

import penultimate
from penultimate import SVC, AbstainingClassifier, NoveltyDetector
from penultimate.bundle.graph import build_graph
from penultimate.bundle.operators import check_graph
from penultimate.bundle.parity import prove

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)


@cache
def abstaining(n_classes):
    known = y[:900] < n_classes
    model = AbstainingClassifier(SVC(gamma=0.001), coverage=0.9, novelty=0.1, random_state=0)
    return model.fit(X[:900][known], y[:900][known])


def fitted(n_classes, criterion="auto", normalization="l2"):
    known = y[:900] < n_classes
    model = copy(abstaining(n_classes))
    if criterion != "auto" or normalization != "l2":
        model.novelty_detector_ = NoveltyDetector(
            0.1, criterion=criterion, normalization=normalization, random_state=0
        ).fit(X[:900][known], y[:900][known])
    return model


@pytest.mark.parametrize("n_classes", [2, 8])
@pytest.mark.parametrize("normalization", ["l2", "standardize", "sqrt-l2", None])
def test_of_each_score(n_classes, normalization):
    model = fitted(n_classes, "nearest+margin+mahalanobis", normalization)
    graph = build_graph(model)
    check_graph(graph.SerializeToString())
    assert "novel" in prove(model, graph, X).errors


@pytest.mark.parametrize("criterion", ["nearest", "margin", "mahalanobis"])
def test_the_distances_are_near_enough(criterion):
    model = fitted(8, criterion)
    assert len(prove(model, build_graph(model), X).near_ties) <= 2


def test_a_bundle_says_what_is_novel(tmp_path):
    model = fitted(8)
    penultimate.save(model, tmp_path / "model.zip", X[:100])
    predictor = penultimate.load(tmp_path / "model.zip")
    new = X[900:]
    novel = predictor.is_novel(new)
    np.testing.assert_array_equal(novel, model.is_novel(new))
    assert novel[y[900:] >= 8].mean() > 0.5
    found = predictor.predict_all(new)
    np.testing.assert_array_equal(found.accepted, model.accepts(new))
    assert not (found.novel & found.accepted).any()
    assert "none of the classes at a false-alarm rate of 10 %" in str(predictor)
    assert predictor.gives("novel")


def test_other_models_say_nothing_of_it(tmp_path):
    penultimate.save(SVC().fit(X[:200], y[:200]), tmp_path / "model.zip", X[:50])
    with pytest.raises(AttributeError, match="gives no novel. Save an AbstainingClassifier with"):
        penultimate.load(tmp_path / "model.zip").is_novel(X[:2])
