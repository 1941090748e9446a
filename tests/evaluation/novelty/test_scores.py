import numpy as np
import pytest

from penultimate import SVC
from penultimate.evaluation.novelty import scores
from penultimate.evaluation.novelty.scores import SCORES, Mahalanobis, Margin, Nearest


@pytest.fixture(scope="module")
def blobs():
    """Three classes at corners of a square, and a sample at the fourth."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 20)
    centers = np.array([[5.0, 0], [0, 5.0], [5.0, 5.0]])
    X = np.hstack([centers[codes], np.zeros((60, 2))]) + rng.normal(0, 0.3, (60, 4))
    return X, codes


def least(score, X, left_out=None):
    return score.per_class(score.against(X), left_out).min(axis=1)


@pytest.mark.parametrize("name", SCORES)
def test_a_stranger_is_less_like_the_classes(blobs, name):
    X, codes = blobs
    score = SCORES[name]().fit(X[::2], codes[::2])
    assert least(score, np.zeros((1, 4)))[0] > least(score, X[1::2]).max()


def test_the_nearest_sample_of_each_class_is_found_block_by_block(blobs, monkeypatch):
    X, codes = blobs
    monkeypatch.setattr(scores, "_BLOCK", 7 * 60)
    new = X + 0.1
    found = Nearest().fit(X, codes).against(new)
    distances = np.linalg.norm(new[:, np.newaxis] - X, axis=2)
    expected = np.stack([distances[:, codes == c].min(axis=1) for c in range(3)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_distance_of_a_copy_is_zero_far_from_the_origin():
    X = np.random.default_rng(0).normal(1e3, 1, (50, 30)).astype(np.float32)
    assert least(Nearest().fit(X, np.zeros(50, int)), X).max() == 0


def test_mahalanobis_is_the_distance_that_the_definition_gives(blobs):
    from sklearn.covariance import LedoitWolf

    X, codes = blobs
    means = np.stack([X[codes == c].mean(axis=0) for c in range(3)])
    precision = LedoitWolf(assume_centered=True).fit(X - means[codes]).precision_
    gaps = X[:, np.newaxis] - means
    expected = np.sqrt(np.einsum("ncd,de,nce->nc", gaps, precision, gaps))
    np.testing.assert_allclose(Mahalanobis().fit(X, codes).against(X), expected, rtol=1e-6)


def test_features_that_never_vary_within_a_class_are_no_obstacle():
    X = np.repeat(np.eye(3), 4, axis=0)
    score = Mahalanobis().fit(X, np.repeat([0, 1, 2], 4))
    assert least(score, X).max() == 0 < least(score, np.ones((1, 3)))[0] < np.inf


@pytest.mark.parametrize("c", [0, 1, 2])
def test_a_class_left_out_afterwards_is_as_if_never_fitted(blobs, c):
    X, codes = blobs
    others = codes != c
    fewer = codes[others] - (codes[others] > c)
    nearest = Nearest().fit(X[others], fewer)
    np.testing.assert_allclose(least(Nearest().fit(X, codes), X, c), least(nearest, X), atol=1e-6)
    margin = Margin().fit(X, codes)
    svc = SVC(C=10, gamma=margin.svc_._gamma).fit(X[others], fewer)
    expected = -svc.class_margins(X).max(axis=1)
    np.testing.assert_allclose(least(margin, X, c), expected, atol=1e-3)
    assert not Mahalanobis.by_class


def test_two_classes_have_margins(blobs):
    X, codes = blobs
    two = codes < 2
    score = Margin().fit(X[two], codes[two])
    expected = -np.abs(score.svc_.decision_function(X))
    np.testing.assert_allclose(least(score, X), expected)
