"""Samples added to a fitted classifier: the solution is certified, and found with little work."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from penultimate.svm import SVC, extending
from penultimate.svm.extending import Extendable

DATA, LABELS = load_digits(return_X_y=True)
KNOWN = LABELS < 4
X, Y = DATA[KNOWN][:300].astype(np.float32), LABELS[KNOWN][:300]
NEW, Y_NEW = DATA[KNOWN][300:].astype(np.float32), LABELS[KNOWN][300:]
SETTINGS = {
    "rbf": {"C": 3},
    "linear": {"kernel": "linear", "C": 0.01},
    "poly": {"kernel": "poly", "degree": 2, "gamma": 0.01, "coef0": 1},
    "balanced": {"class_weight": "balanced"},
}


def extendable(name="rbf", n_classes=4, **params):
    rows = n_classes > Y
    svc = SVC(**{**SETTINGS[name], **params}).fit(X[rows], Y[rows])
    return Extendable.of(svc, X[rows], Y[rows])


def from_scratch(found):
    """Certify a classifier anew, on residuals that owe nothing to earlier ones."""
    return Extendable.of(found.svc, found.X, found.codes)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_certificate_holds_from_scratch(name):
    before = extendable(name)
    # Labels that are wrong move most coefficients.
    after = before.extended(NEW[:5], (Y_NEW[:5] + 1) % 4)
    assert (after.svc.status_ == "converged").all()
    assert after.svc.n_iter_.any()
    again = from_scratch(after)
    np.testing.assert_allclose(after.residuals, again.residuals, atol=1e-8)
    cold = SVC(**{**SETTINGS[name], "gamma": before.svc._gamma}).fit(after.X, after.codes)
    np.testing.assert_allclose(
        after.svc.class_margins(NEW), cold.class_margins(NEW), atol=20 * cold.tol
    )


def test_two_classes_and_a_third():
    before = extendable(n_classes=2)
    twos = NEW[Y_NEW == 2]
    after = before.extended(twos[:9], np.full(9, 2))
    from_scratch(after)
    assert after.svc.classes_.tolist() == [0, 1, 2]
    assert (after.svc.predict(twos) == 2).mean() > 0.7
    twice = after.extended(NEW[:3], np.array([0, 2, 3]))
    np.testing.assert_allclose(twice.residuals, from_scratch(twice).residuals, atol=1e-8)


def test_pairs_without_a_new_sample_are_left_to_the_bit():
    before = extendable()
    after = before.extended(NEW[:1], np.array([3]))
    same = [0, 1, 3]  # of classes 0, 1 and 2
    assert not after.svc.n_iter_[same].any()
    assert np.array_equal(after.svc.intercept_[same], before.svc.intercept_[same])
    decisions = [each.svc._decisions(NEW)[:, same] for each in (before, after)]
    assert np.array_equal(*decisions)
    assert after.svc.n_iter_[[2, 4, 5]].any()


def test_a_sample_that_changes_nothing_moves_nothing():
    before = extendable()
    sure = NEW[before.svc.class_margins(NEW).max(axis=1).argmax()][None]
    after = before.extended(sure, before.svc.predict(sure).astype(np.int64))
    assert not after.svc.n_iter_.any()
    assert np.array_equal(after.svc.dual_coef_, before.svc.dual_coef_)


def test_the_same_bits_each_time_and_with_any_number_of_threads():
    coefficients = []
    for n_jobs in (1, 1, 2):
        before = extendable(n_jobs=n_jobs)
        coefficients.append(before.extended(NEW[:3], np.array([0, 1, 2])).svc.dual_coef_)
    assert np.array_equal(*coefficients[:2])
    assert np.array_equal(*coefficients[1:])


def test_without_room_for_products_within_classes(monkeypatch):
    with_them = extendable().extended(NEW[:2], np.array([0, 1]))
    monkeypatch.setattr(extending, "_MOST_BYTES", 0)
    without = extendable()
    assert without.within is None
    found = without.extended(NEW[:2], np.array([0, 1]))
    from_scratch(found)
    np.testing.assert_allclose(
        found.svc.class_margins(NEW), with_them.svc.class_margins(NEW), atol=0.01
    )


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (X[::-1], Y),  # in another order
        (X + np.eye(len(X), 64, dtype=np.float32) * 9, Y),
        (X, np.roll(Y, 1)),
    ],
)
def test_other_samples_than_those_of_the_fit_are_refused(rows, labels):
    svc = SVC(C=3).fit(X, Y)
    with pytest.raises(ValueError, match="300 samples are not those that the classifier"):
        Extendable.of(svc, rows, labels)


def test_a_fit_with_weights_is_refused():
    svc = SVC(C=3).fit(X, Y, sample_weight=np.where(np.arange(len(X)) < 150, 1, 0.01))
    with pytest.raises(ValueError, match="or were weighted"):
        Extendable.of(svc, X, Y)
