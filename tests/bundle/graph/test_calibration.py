"""Calibrated probabilities are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from penultimate import SVC, AbstainingClassifier, load, save
from penultimate.bundle.graph import ExportError, build_graph
from penultimate.bundle.parity import prove
from tests.bundle.graph.test_heads import FIT, LABELS, NEW, X, answers, assert_same, y


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_machines(method, n_classes):
    labels = LABELS[n_classes] if method != "temperature" else y % n_classes
    for ensemble in (False, True):
        head = CalibratedClassifierCV(SVC(), method=method, cv=2, ensemble=ensemble)
        assert assert_same(head.fit(X[FIT], labels[FIT]), X[NEW], 1e-4) == {"probabilities"}


@pytest.mark.parametrize("abstains", [False, True])
def test_a_calibrated_machine_is_saved(abstains, tmp_path):
    model = CalibratedClassifierCV(make_pipeline(SVC()), cv=2)
    if abstains:
        model = AbstainingClassifier(model, coverage=0.8, random_state=0)
    save(model.fit(X[FIT], y[FIT]), tmp_path / "m.zip", X[NEW])
    saved = load(tmp_path / "m.zip")
    assert saved.manifest.head["kind"] == "SVM, RBF"
    assert saved.manifest.calibration == {"method": "sigmoid"}
    found, expected = saved.predict_proba(X[NEW]), model.predict_proba(X[NEW])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
def test_calibrated_probabilities(method):
    inner = CalibratedClassifierCV(SVC(), cv=2, ensemble=False)
    head = CalibratedClassifierCV(inner, method=method, cv=2, ensemble=False)
    assert_same(head.fit(X[FIT], y[FIT]), X[NEW])


def test_where_every_class_has_probability_0_all_are_equally_likely():
    head = CalibratedClassifierCV(SVC(), method="isotonic", cv=2, ensemble=False)
    head.fit(X[FIT], y[FIT])
    for curve in head.calibrated_classifiers_[0].calibrators:
        curve.y_thresholds_ = np.zeros_like(curve.y_thresholds_)
    np.testing.assert_allclose(answers(head, X[:3])["probabilities"], 0.1)


def test_what_cannot_be_calibrated_in_a_graph_is_refused():
    with pytest.raises(ExportError, match="GaussianNB cannot be exported"):
        build_graph(CalibratedClassifierCV(GaussianNB(), cv=2).fit(X[FIT], y[FIT]))
    pairs = CalibratedClassifierCV(SVC(decision_function_shape="ovo"), cv=2, ensemble=False)
    with pytest.raises(ExportError, match=r"CalibratedClassifierCV\(SVC\) cannot be exported"):
        build_graph(pairs.set_params(method="isotonic").fit(X[FIT], y[FIT]))


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize(
    ("estimator", "criterion"),
    [
        (SVC(), "auto"),
        (LogisticRegression(C=0.01, max_iter=500), "margin"),
        (LogisticRegression(C=0.01, max_iter=500), "probability"),
        (CalibratedClassifierCV(SVC(), cv=2, ensemble=False), "auto"),
    ],
    ids=str,
)
def test_abstention(estimator, criterion, n_classes):
    model = AbstainingClassifier(estimator, coverage=0.6, criterion=criterion, random_state=0)
    model.fit(X[FIT], LABELS[n_classes][FIT])
    parity = prove(model, build_graph(model), X[NEW])
    assert parity.errors["accepted"] == 0
    assert len(parity.near_ties) <= 1


def test_thresholds_that_accept_all_or_none():
    model = AbstainingClassifier(SVC(), coverage=1.0, random_state=0).fit(X[FIT], y[FIT])
    for threshold in (-np.inf, np.inf):
        model.threshold_ = threshold
        assert prove(model, build_graph(model), X[NEW]).near_ties == []


def test_a_confidence_of_pairs_is_refused():
    inner = LogisticRegression(max_iter=500)
    model = AbstainingClassifier(inner, coverage=0.5, random_state=0).fit(X[FIT], y[FIT])
    model.estimator_ = SVC(decision_function_shape="ovo").fit(X[FIT], y[FIT])
    build_graph(model)  # which has margins
    model.criterion = "probability"
    with pytest.raises(ExportError, match="has no score per class"):
        build_graph(model)
