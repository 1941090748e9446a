"""Abstention for samples of none of the classes, apart from doubt between classes."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from penultimate import SVC, AbstainingClassifier, DeepSVC, MarginClassifier, Specialists
from penultimate.classifiers._strangeness import features_of
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance import record


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@pytest.fixture(scope="module")
def parts(digits):
    """Known samples to fit and to test, and strangers."""
    X, y = digits
    known = y < 8
    return X[known][:1000], y[known][:1000], X[known][1000:], y[known][1000:], X[~known]


@pytest.fixture(scope="module")
def network():
    """The pixels as they are, in front of a layer that makes them a network."""
    keras = import_keras()
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Flatten(name="flat"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    record(model, [])
    return model


@pytest.mark.parametrize("frozen", [False, True])
def test_doubt_and_strangeness_are_told_apart(parts, frozen):
    X, y, new, labels, strangers = parts
    head = SVC(gamma=0.001)
    if frozen:
        head = FrozenEstimator(head.fit(X[:500], y[:500]))
        X, y = X[500:], y[500:]
    model = AbstainingClassifier(
        head, coverage=0.9, novelty=0.1, reject_label=-1, novel_label=-2, random_state=0
    ).fit(X, y)
    answers = model.predict(new)
    assert 0.03 < np.mean(answers == -2) < 0.2
    assert 0.03 < np.mean(answers == -1) < 0.2
    assert np.mean(model.predict(strangers) == -2) > 0.5
    np.testing.assert_array_equal(answers == -2, model.is_novel(new))
    np.testing.assert_array_equal(answers >= 0, model.accepts(new))
    accepted = model.accepts(new)
    assert model.score(new, labels) == np.mean(answers[accepted] == labels[accepted])


def test_with_novelty_alone_every_known_sample_gets_an_answer(parts):
    X, y, new, _, strangers = parts
    model = AbstainingClassifier(SVC(gamma=0.001), novelty=0.1, random_state=0)
    answers = model.fit(X, y).predict(np.vstack([new, strangers]))
    novel = model.is_novel(np.vstack([new, strangers]))
    assert model.threshold_ == -np.inf
    np.testing.assert_array_equal([answer is None for answer in answers], novel)
    assert model.n_heldout_ == model.n_accepted_ < 200  # 200 are held out, some called novel
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(copy.is_novel(strangers), model.is_novel(strangers))


def test_words_for_both(parts):
    X, y, new, _, _ = parts
    names = np.array(list("abcdefgh"))[y]
    model = AbstainingClassifier(
        LogisticRegression(max_iter=300),
        coverage=0.9,
        novelty=0.1,
        reject_label="not sure",
        novel_label="none of these",
        random_state=0,
    ).fit(pd.DataFrame(X), names)
    found = set(model.predict(pd.DataFrame(new)).tolist())
    assert found == {*"abcdefgh", "not sure", "none of these"}


def test_without_novelty_there_is_no_method(parts):
    X, y, new, _, _ = parts
    model = AbstainingClassifier(SVC(), novelty=0.1, random_state=0).fit(X, y)
    model.set_params(novelty=None, coverage=0.9).fit(X, y)
    assert not hasattr(model, "is_novel")
    assert not hasattr(model, "novelty_detector_")
    model.predict(new[:2])


def test_the_features_of_a_network_are_judged(parts, network):
    X, y, new, _, _ = parts
    X, y, new = X.reshape(-1, 8, 8, 1), y % 4, new.reshape(-1, 8, 8, 1)
    model = AbstainingClassifier(
        DeepSVC(network, head=SVC(), random_state=0), novelty=0.1, random_state=0
    ).fit(X, y)
    assert model.novelty_detector_.n_features_in_ == 64
    judged = model.novelty_detector_.predict(model.estimator_.extract(new)) == -1
    np.testing.assert_array_equal(model.is_novel(new), judged)
    assert model.is_novel(255 - new).mean() > model.is_novel(new).mean()
    assert model.is_novel(new[:1]).shape == (1,)


def test_a_sample_may_be_of_none_of_the_subsets(parts, network):
    X, y, new, _, strangers = parts
    specialists = Specialists(
        network, subsets={"low": [0, 1], "high": [2, 3]}, head=SVC(), random_state=0
    )
    few = y < 4
    model = AbstainingClassifier(specialists, novelty=0.1, random_state=0)
    model.fit(X[few].reshape(-1, 8, 8, 1), y[few])
    assert model.is_novel(strangers.reshape(-1, 8, 8, 1)).mean() > 0.5
    np.testing.assert_array_equal(features_of(model.estimator_, new.reshape(-1, 8, 8, 1)), new)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "neither with a 'novelty', such as 0.05; got risk=None and coverage=None"),
        ({"novelty": 1.5}, r"'novelty' parameter of AbstainingClassifier must be.*got 1.5"),
        ({"novelty": 0.001}, "rate of 0.001 needs at least 999 held-out samples; 200 are held out"),
        ({"novelty": 0.1, "novel_label": 3}, "'novel_label' parameter .* must not be one of the"),
    ],
)
def test_what_cannot_be(parts, parameters, message):
    X, y = parts[:2]
    with pytest.raises(ValueError, match=message):
        AbstainingClassifier(SVC(), **parameters).fit(X, y)


def test_images_without_features_are_refused(parts):
    X, _ = parts[:2]
    with pytest.raises(TypeError, match="MarginClassifier has none of samples of shape .8, 8"):
        features_of(MarginClassifier(), X.reshape(-1, 8, 8, 1))
