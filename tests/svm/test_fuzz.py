"""Random small problems, some degenerate, against scikit-learn and the optimality conditions."""

import os
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import svm
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.utils import compute_class_weight

from penultimate import SVC, SVCSearchCV

SHAPES = ("normal", "duplicates", "integers", "constant column", "collinear", "two places")
KERNELS = ("rbf", "linear", "poly", "precomputed")
# libsvm may not terminate where its float32 kernel values cannot reach the tolerance.
THEIR_LIMIT = 100_000

# Others in every run; `make fuzz` tries twenty times as many.
TIMES = int(os.environ.get("PENULTIMATE_FUZZ", "1"))

quick = settings(deadline=None, max_examples=100, derandomize=True)
quick_searches = settings(deadline=None, max_examples=25, derandomize=True)
thorough = settings(
    deadline=None, max_examples=250 * TIMES, suppress_health_check=list(HealthCheck)
)


class Problem(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    params: dict


def samples(rng, shape, n, d):
    X = rng.normal(size=(n, d))
    if shape == "duplicates":
        X = X[rng.integers(0, max(1, n // 3), n)]
    elif shape == "integers":
        X = rng.integers(-3, 4, (n, d)).astype(float)
    elif shape == "constant column":
        X[:, 0] = 7.0
    elif shape == "collinear":
        X = np.outer(X[:, 0], rng.normal(size=d))
    elif shape == "two places":
        X = np.where(rng.integers(0, 2, (n, 1)), 1.0, -2.0) * np.ones(d)
    elif shape == "offset":
        X += 100
    return X


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.integers(2, 5))
    n, d = draw(st.integers(n_classes, 40)), draw(st.integers(1, 5))
    X = samples(rng, draw(st.sampled_from((*SHAPES, "offset"))), n, d)
    X = X.astype(draw(st.sampled_from([np.float32, np.float64])))
    y = rng.permutation(np.r_[np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    weight = draw(st.sampled_from(["none", "positive", "some zero"]))
    if weight == "none":
        weight = None
    else:
        zeros = rng.random(n) < (0.3 if weight == "some zero" else 0)
        zeros[np.unique(y, return_index=True)[1]] = False  # each class keeps a sample
        weight = np.where(zeros, 0.0, rng.uniform(0.1, 3, n))
    class_weight = draw(st.sampled_from([None, "balanced", "dict"]))
    if class_weight == "dict":
        class_weight = {c: float(rng.uniform(0.2, 5)) for c in range(n_classes)}
    params = {
        "kernel": draw(st.sampled_from(KERNELS)),
        "C": float(10 ** draw(st.floats(-3, 4))),
        "tol": draw(st.sampled_from([1e-3, 1e-5, 1e-6])),
        "gamma": draw(st.sampled_from(["scale", "auto", 0.01, 0.3, 3.0])),
        "degree": draw(st.integers(1, 3)),
        "coef0": draw(st.sampled_from([0.0, 1.0])),
        "class_weight": class_weight,
    }
    if params["kernel"] == "precomputed":
        X = X.astype(np.float64)  # rounded, a Gram matrix is indefinite, and has several optima
        X = X @ X.T + 1
    return Problem(X, y, weight, params)


def scale(X):
    """The value of gamma="scale"."""
    variance = X.astype(np.float64).var()
    return 1 / (X.shape[1] * variance) if variance else 1.0


def gram(X, params):
    """Kernel values by their definition, in float64."""
    X = X.astype(np.float64)
    gamma = params["gamma"]
    if gamma == "scale":
        gamma = scale(X)
    elif gamma == "auto":
        gamma = 1 / X.shape[1]
    if params["kernel"] == "rbf":
        return np.exp(-gamma * ((X[:, None] - X) ** 2).sum(axis=2))
    if params["kernel"] == "poly":
        return (gamma * X @ X.T + params["coef0"]) ** params["degree"]
    return X if params["kernel"] == "precomputed" else X @ X.T


def fit_quietly(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **kwargs)


def coefficients_by_pair(model, y, support):
    """The samples of each pair, with signed coefficients: positive for the first class."""
    n_classes = len(model.n_support_)
    of_class = np.repeat(np.arange(n_classes), model.n_support_)
    for i in range(n_classes):
        for j in range(i + 1, n_classes):
            b = np.zeros(len(y))
            for one, other in ((i, j - 1), (j, i)):
                b[support[of_class == one]] = model.dual_coef_[other, of_class == one]
            chosen = np.flatnonzero((y == i) | (y == j))
            yield (
                chosen,
                np.where(y[chosen] == i, 1.0, -1.0),
                (-1 if n_classes == 2 else 1) * b[chosen],
            )


def bounds(y, weight, params):
    """The largest coefficient of each sample."""
    return params["C"] * (1.0 if weight is None else weight) * class_factors(y, params)[y]


def class_factors(y, params):
    return compute_class_weight(params["class_weight"], classes=np.unique(y), y=y)


def has_free(b, bound):
    """Whether a coefficient lies well inside its bounds; else the intercept is not unique."""
    return bool(((np.abs(b) > 1e-6 * bound) & (np.abs(b) < (1 - 1e-6) * bound)).any())


def gap_of(K, sign, b, upper):
    """The violation of the optimality conditions: may grow against may shrink."""
    f = sign - K @ b
    low, high = np.where(sign > 0, 0, -upper), np.where(sign > 0, upper, 0)
    grow, shrink = f[b < high], f[b > low]
    return max(grow.max() - shrink.min(), 0.0) if len(grow) and len(shrink) else 0.0


def check_problem(problem):
    X, y, weight, params = problem
    K = gram(X, params)
    kwargs = {**params, "decision_function_shape": "ovo"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = SVC(**kwargs).fit(X, y, sample_weight=weight)
    converged = ours.status_ == "converged"
    expected = [] if converged.all() else [ConvergenceWarning]
    assert [warning.category for warning in caught] == expected
    assert (ours.optimality_gap_[converged] <= params["tol"]).all()
    # Any of these problems is solved to a tolerance that is not too strict for its rounding.
    strict = params["tol"] < (1e-3 if params["kernel"] == "poly" else 1e-5)
    assert strict or converged.all()
    factors = class_factors(y, params)
    upper = params["C"] * (1.0 if weight is None else weight) * factors[y]

    # With samples of zero weight, scikit-learn's support_ and precomputed kernel are wrong: it gets
    # only the others.
    kept = np.flatnonzero(upper > 0)
    columns = kept if params["kernel"] == "precomputed" else np.arange(X.shape[1])
    gamma = params["gamma"] if params["gamma"] != "scale" else scale(X)
    factors = dict(enumerate(factors))
    theirs = svm.SVC(**{**kwargs, "class_weight": factors, "gamma": gamma}, max_iter=THEIR_LIMIT)
    fit_quietly(theirs, X[np.ix_(kept, columns)], y[kept], None if weight is None else weight[kept])

    slack, agree = [], True
    pairs = zip(
        coefficients_by_pair(ours, y, ours.support_),
        coefficients_by_pair(theirs, y, kept[theirs.support_]),
    )
    for p, ((chosen, sign, b), (_, _, reference)) in enumerate(pairs):
        sub, bound = K[np.ix_(chosen, chosen)], upper[chosen]
        magnitude = np.abs(b).sum()
        rounding = 1e-12 * (1 + np.abs(sub).max() * magnitude)
        assert (b * sign >= 0).all()
        assert (np.abs(b) <= bound).all()
        assert abs(b.sum()) <= 1e-9 * magnitude + 1e-11 * bound.max()
        gap = gap_of(sub, sign, b, bound)
        assert gap == pytest.approx(ours.optimality_gap_[p], rel=1e-6, abs=rounding)
        low = 0.5 * b @ sub @ b - magnitude
        other = 0.5 * reference @ sub @ reference - np.abs(reference).sum()
        if converged[p]:
            assert low <= other + 2 * params["tol"] * abs(other) + rounding
        # Two solutions within the tolerance can differ this much as functions.
        their_gap = gap_of(sub, sign, reference, bound)
        apart = max(gap, their_gap) * np.abs(b - reference).sum() + rounding
        slack.append(2 * np.sqrt(apart * np.abs(np.diag(K)).max()) + gap + their_gap)
        # libsvm computes its intercept with float32 kernel values.
        slack[-1] += 2**-23 * np.abs(sub).max() * np.abs(reference).sum()
        agree &= has_free(b, bound)

    decisions = ours.decision_function(X).reshape(len(y), -1)
    others = theirs.decision_function(X[:, columns]).reshape(len(y), -1)
    if agree:
        assert (np.abs(decisions - others) <= np.array(slack)).all()
        clear = (np.abs(others) > np.array(slack)).all(axis=1)
        np.testing.assert_array_equal(ours.predict(X)[clear], theirs.predict(X[:, columns])[clear])


@pytest.mark.slow
@quick
@given(problems())
def test_problem(problem):
    check_problem(problem)


@pytest.mark.slow
@thorough
@given(problems())
def test_hundreds_of_problems(problem):
    check_problem(problem)


@st.composite
def searches(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.integers(2, 4))
    n, d = draw(st.integers(6 * n_classes, 60)), draw(st.integers(1, 5))
    X = samples(rng, draw(st.sampled_from(SHAPES)), n, d)
    y = rng.permutation(np.arange(n) % n_classes)
    if draw(st.booleans()):
        X += 1.5 * np.eye(n_classes, d)[y]  # something to learn
    cv = draw(st.sampled_from(["shuffled", "stratified", "predefined", "repeated"]))
    seed = int(rng.integers(0, 2**31))
    cv = {
        "shuffled": ShuffleSplit(3, test_size=0.3, random_state=seed),
        "stratified": StratifiedKFold(3, shuffle=True, random_state=seed),
        "predefined": PredefinedSplit(rng.permutation(np.arange(n) % 3 - 1)),
        "repeated": RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=seed),
    }[cv]
    kernel = draw(st.sampled_from(KERNELS))
    grid = {"C": sorted(10 ** rng.uniform(-2, 2, 2))}
    if kernel == "rbf":
        grid["gamma"] = draw(st.sampled_from([["scale"], [0.1, 1.0], ["auto", 0.03]]))
    params = {
        "kernel": kernel,
        "tol": draw(st.sampled_from([1e-3, 1e-5])),
        "class_weight": draw(st.sampled_from([None, "balanced"])),
        "coef0": 1.0,
        "degree": 2,
    }
    if kernel == "precomputed":
        X = X @ X.T
    weight = rng.uniform(0.2, 2, n) if draw(st.sampled_from([False, False, True])) else None
    return X, y, weight, grid, params, cv


def check_search(search):
    X, y, weight, grid, params, cv = search
    fit_params = {} if weight is None else {"sample_weight": weight}
    ours = fit_quietly(SVCSearchCV(SVC(**params), grid, cv=cv, refit=False), X, y, **fit_params)
    reference = svm.SVC(**params, max_iter=THEIR_LIMIT)
    theirs = fit_quietly(GridSearchCV(reference, grid, cv=cv, refit=False), X, y, **fit_params)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for s, setting in enumerate(theirs.cv_results_["params"]):
        for f, (train, test) in enumerate(cv.split(X, y)):
            name = f"split{f}_test_score"
            difference = abs(ours.cv_results_[name][s] - theirs.cv_results_[name][s])
            if difference > 1e-12:
                doubtful = near_ties(X, y, weight, {**params, **setting}, train, test)
                shares = np.ones(len(test)) if weight is None else weight[test]
                assert difference <= shares[doubtful].sum() / shares.sum() + 1e-12


def near_ties(X, y, weight, params, train, test):
    """Test samples that a solution within the tolerance may assign to another class."""
    exact = svm.SVC(**{**params, "tol": 1e-8}, decision_function_shape="ovo", max_iter=10**6)
    pairwise = params["kernel"] == "precomputed"
    inside = X[np.ix_(train, train)] if pairwise else X[train]
    outside = X[np.ix_(test, train)] if pairwise else X[test]
    weight = np.ones(len(y)) if weight is None else weight
    fit_quietly(exact, inside, y[train], weight[train])
    searched = svm.SVC(**params, max_iter=THEIR_LIMIT)
    fit_quietly(searched, inside, y[train], weight[train])
    upper = bounds(y[train], weight[train], params)
    solutions = coefficients_by_pair(exact, y[train], exact.support_)
    unique = all(has_free(b, upper[chosen]) for chosen, _, b in solutions)
    if searched.fit_status_ or exact.fit_status_ or not unique:
        return np.ones(len(test), bool)
    values = exact.decision_function(outside).reshape(len(test), -1)
    # The search's kernel values are in float32.
    largest = np.abs(gram(inside, {"gamma": "scale", **params})).max()
    resolved = 2**-23 * largest * np.abs(exact.dual_coef_).sum()
    return (np.abs(values) < max(1e-4, 30 * params["tol"]) + resolved).any(axis=1)


@pytest.mark.slow
@quick_searches
@given(searches())
def test_search(search):
    check_search(search)


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")  # folds without a class
@pytest.mark.slow
@settings(thorough, max_examples=50 * TIMES)  # a search is a few dozen problems
@given(searches())
def test_dozens_of_searches(search):
    check_search(search)
