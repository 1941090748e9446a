"""A classifier made again from its numbers."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from penultimate.svm import SVC
from penultimate.svm.restoring import LEARNED, restore

X, Y = load_iris(return_X_y=True)


def numbers(svc):
    return {name: getattr(svc, name).copy() for name in LEARNED}


def again(svc, params=None, labels=Y, mean=None, **changed):
    return restore(
        {"C": 10} if params is None else params,
        numbers(svc) | changed,
        X[: len(labels)],
        labels,
        mean=svc._mean if mean is None else mean,
        gamma=svc._gamma,
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("params", [{}, {"kernel": "linear"}, {"class_weight": "balanced"}])
def test_it_predicts_to_the_bit_what_the_original_did(params, n_classes):
    labels = Y[n_classes > Y]
    svc = SVC(C=10, **params).fit(X[: len(labels)], labels)
    found = again(svc, {"C": 10, **params}, labels)
    for method in ("decision_function", "class_margins", "predict"):
        assert np.array_equal(getattr(found, method)(X), getattr(svc, method)(X))
    assert np.array_equal(found.dual_coef_, svc.dual_coef_)
    assert found.status_.tolist() == svc.status_.tolist()
    assert found.fit_status_ == 0


@pytest.fixture(scope="module")
def svc():
    return SVC(C=10).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("support_", lambda each: each[:-1]),
        ("support_", lambda each: np.where(each == each[0], 2**31 - 1, each)),
        ("support_", lambda each: np.where(each == each[0], -1, each)),
        ("n_support_", lambda each: np.append(each, 0)),
        ("dual_coef_", lambda each: each[:, 1:]),
        ("intercept_", lambda each: each[:2]),
        ("optimality_gap_", lambda each: np.append(each, 0.0)),
    ],
)
def test_numbers_that_do_not_belong_together_are_refused(svc, name, change):
    with pytest.raises(ValueError, match=f"do not fit its 150 samples of 3 classes.*{name}"):
        again(svc, **{name: change(getattr(svc, name))})


def test_another_mean_and_other_labels_are_refused(svc):
    with pytest.raises(ValueError, match="do not fit"):
        again(svc, mean=np.zeros(3))
    with pytest.raises(ValueError, match="of other classes than stated"):
        again(svc, labels=Y[::-1])


def test_parameters_are_checked(svc):
    with pytest.raises(ValueError, match="'C' parameter of SVC"):
        again(svc, {"C": -1})
