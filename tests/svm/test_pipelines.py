"""A pipeline as its SVC and the steps before it."""

import numpy as np
import pytest
import sklearn.svm
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC
from penultimate.svm._pipelines import as_dense, as_ours, is_svc, key_of_steps, split_off_svc
from penultimate.svm._problem import NotJointError


def test_the_svc_is_the_last_step_of_the_innermost_pipeline():
    plain = SVC()
    assert split_off_svc(plain) == ("", plain)
    path, last = split_off_svc(Pipeline([("a", PCA()), ("b", make_pipeline(PCA(), SVC(C=3)))]))
    assert (path, last.C) == ("b__svc", 3)


def test_a_subclass_is_not_taken_for_the_svc_that_it_extends():
    class Mine(sklearn.svm.SVC):
        pass

    assert is_svc(SVC())
    assert is_svc(sklearn.svm.SVC())
    assert not is_svc(Mine())
    with pytest.raises(NotJointError, match="Mine"):
        as_ours(Mine())


def test_scikit_learns_svc_becomes_ours():
    given = sklearn.svm.SVC(C=3, kernel="poly", degree=2, coef0=1, class_weight="balanced")
    ours = as_ours(given)
    for name in ("C", "kernel", "degree", "coef0", "class_weight", "gamma", "tol"):
        assert getattr(ours, name) == getattr(given, name)


@pytest.mark.parametrize(
    ("classifier", "why"),
    [
        (sklearn.svm.SVC(kernel="sigmoid"), "sigmoid"),
        (sklearn.svm.SVC(kernel=np.dot), "kernel"),
        (sklearn.svm.SVC(probability=True), "probability"),
        (LogisticRegression(), "sklearn's LogisticRegression"),
    ],
)
def test_what_ours_does_not_solve_has_a_reason(classifier, why):
    with pytest.raises(NotJointError, match=why):
        as_ours(classifier)


ONE = {"scaler": StandardScaler(), "pca__n_components": 2, "svc__C": 1}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"svc__C": 2}, True),
        ({"svc": SVC(kernel="linear")}, True),
        ({"scaler": StandardScaler()}, True),
        ({"scaler": StandardScaler(with_mean=False)}, False),
        ({"scaler": StandardScaler().set_output(transform="pandas")}, False),
        ({"scaler": "passthrough"}, False),
        ({"pca__n_components": 2.0}, False),
        ({"pca__n_components": True}, False),
        ({"svc2__C": 1}, False),
    ],
)
def test_candidates_of_equal_steps_have_equal_keys(changes, same):
    assert (key_of_steps(ONE, "svc") == key_of_steps({**ONE, **changes}, "svc")) == same


def test_what_cannot_be_pickled_is_equal_to_itself_only():
    one, other = (lambda x: x), (lambda x: x)
    keys = [key_of_steps({"f__func": each}, "svc") for each in (one, one, other)]
    assert keys[0] == keys[1] != keys[2]


def test_sparse_samples_beyond_the_memory_limit():
    assert as_dense(csr_array(np.eye(3)), "1KiB").tolist() == np.eye(3).tolist()
    with pytest.raises(NotJointError, match="memory limit"):
        as_dense(csr_array(np.eye(30)), "1KiB")
