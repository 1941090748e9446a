import numpy as np
import pytest

from penultimate import Protocol, compare

METHODS = ["logistic", "svm-linear"]


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 3
    X = (6 * np.eye(8)[y] + rng.normal(size=(600, 8))).astype(np.float32)
    return X, y


def test_test_samples_have_no_part_in_it(blobs):
    X, y = blobs
    first = compare(X, y, methods=METHODS, seeds=2, novelty=0.1, verbose=0)
    assert [row.code for row in first.strangers.rows]
    assert first.strangers.n_heldout == 96  # the selection part of development
    other = X.copy()
    other[first.test] = 100
    second = compare(other, y, methods=METHODS, seeds=2, novelty=0.1, verbose=0)
    np.testing.assert_array_equal(first.test, second.test)
    assert first.strangers == second.strangers


@pytest.mark.slow
def test_with_folds(blobs):
    given = {"methods": METHODS, "seeds": 1, "protocol": Protocol(selection="crossfit")}
    found = compare(*blobs, **given, novelty=0.1, verbose=0)
    assert len(found.strangers.rows) == 3
    assert compare(*blobs, **given, verbose=0).strangers is None


def test_too_few_samples_for_the_rate_are_a_note(blobs):
    found = compare(*blobs, methods=METHODS, seeds=1, novelty=0.01, verbose=0)
    assert found.strangers is None
    said = {check["id"]: check["message"] for check in found.checks}["novelty-not-measured"]
    assert "A false-alarm rate of 0.01 needs at least 99 held-out samples" in said


def test_refused(blobs, two_subsets):
    with pytest.raises(ValueError, match="'novelty' parameter of compare"):
        compare(*blobs, novelty=1.5)
    resubstituted = Protocol(selection="resubstitution")
    with pytest.raises(ValueError, match="holds none out. Use 'heldout'"):
        compare(*blobs, novelty=0.1, protocol=resubstituted)
    images = np.zeros((60, 8, 8), np.uint8) + np.arange(60, dtype=np.uint8)[:, None, None]
    with pytest.raises(ValueError, match="no method works on them"):
        compare(images, np.arange(60) % 2, methods=["pca+svm-rbf"], novelty=0.1)
    with pytest.raises(ValueError, match="Leave out the subsets"):
        compare(two_subsets, novelty=0.1)
