import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from penultimate import SVC, DeepSVC, FeatureExtractor, Specialists, SVCSearchCV

rng = np.random.default_rng(0)
LABELS = np.array(["a", "b", "c", "d"])
codes = np.repeat(np.arange(4), 30)
X = rng.normal(size=(120, 5)).astype(np.float32)
X[np.arange(120), codes] += 1.5
y = LABELS[codes]
HEAD = SVCSearchCV(param_grid={"C": [1.0], "gamma": [0.1]})


def network(batch):
    return batch * 2


def deep(**params):
    return DeepSVC(FeatureExtractor(network), head=HEAD, random_state=0, **params)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the function's training samples are unknown
        yield


@pytest.mark.parametrize("selection", ["heldout", "crossfit"])
def test_probabilities_are_a_scaled_softmax_of_the_margins(selection):
    plain = deep(selection=selection).fit(X, y)
    assert not hasattr(plain, "predict_proba")
    assert plain.calibrator_ is None
    model = deep(selection=selection, calibration="temperature").fit(X, y)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    probabilities, margins = model.predict_proba(X), model.class_margins(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    beta = np.log(probabilities[0, 0] / probabilities[0, 1]) / (margins[0, 0] - margins[0, 1])
    np.testing.assert_allclose(probabilities, softmax(beta * margins, axis=1), rtol=1e-6)


def test_two_classes_have_probabilities_of_their_decision_value():
    two = codes < 2
    model = deep(calibration="temperature").fit(X[two], y[two])
    probabilities = model.predict_proba(X[two])
    order = np.argsort(model.decision_function(X[two]))
    assert np.all(np.diff(probabilities[order, 1]) >= 0)
    assert np.mean(model.classes_[probabilities.argmax(axis=1)] == model.predict(X[two])) > 0.95


def test_the_temperature_comes_from_samples_that_the_scored_head_has_not_seen():
    """Labels of the selection part at random: probabilities must say that nothing is known."""
    noise = rng.permutation(y)
    model = deep(calibration="temperature").set_params(head=SVC(C=100.0)).fit(X, noise)
    assert model.score(X, noise) > 0.95  # the head remembers its own samples
    assert model.predict_proba(X).max() < 0.6


def test_each_specialist_has_its_own_temperature():
    model = Specialists(
        FeatureExtractor(network),
        subsets={"first": ["a", "b"], "second": ["c", "d"]},
        head=HEAD,
        router="head",
        random_state=0,
        calibration="temperature",
    )
    assert hasattr(model, "predict_proba")
    model.fit(X, y)
    alone = model.specialists_["first"].predict_proba(X[:5])
    np.testing.assert_array_equal(model.predict_proba(X[:5], subset="first"), alone)
    routed = model.predict_proba(X)
    np.testing.assert_allclose(routed.sum(axis=1), 1)
    assert np.all((routed > 0).sum(axis=1) == 2)


def test_other_heads_keep_their_own_probabilities():
    model = DeepSVC(
        FeatureExtractor(network), head=LogisticRegression(), calibration="temperature"
    ).fit(X, y)
    expected = model.head_.predict_proba(network(X))
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_too_few_samples_are_reported():
    few = np.r_[0, 30, 60, 90, 31, 32]
    with pytest.warns(UserWarning, match="not calibrated"):
        model = DeepSVC(
            FeatureExtractor(network), head=SVC(), selection="crossfit", calibration="temperature"
        ).fit(X[few], y[few])
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"calibration": "sigmoid"}, "must be 'temperature' or None; got 'sigmoid'"),
        ({"calibration": "temperature", "selection": "resubstitution"}, "holds out none"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_before_anything_is_fitted(params, message):
    model = clone(deep(**params))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
