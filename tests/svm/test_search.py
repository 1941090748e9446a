from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn import svm
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    PredefinedSplit,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import (
    SVC,
    PerformanceWarning,
    SVCHalvingSearchCV,
    SVCRandomizedSearchCV,
    SVCSearchCV,
)
from penultimate._common.progress_bar import SearchBar

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT_LABELS = load_digits(return_X_y=True)
GRID = {"C": [0.1, 10], "gamma": [0.01, 0.1]}


def compare_searches(X, y, grid, fit_params=None, ours=None, theirs=None, solver="joint", **params):
    """Both searches, with the same results."""
    fit_params, params = fit_params or {}, {"cv": 3, **params}
    # At the default tolerance, a sample near the boundary may go either way.
    ours = SVCSearchCV(ours or SVC(tol=1e-5), grid, **params).fit(X, y, **fit_params)
    theirs = GridSearchCV(theirs or svm.SVC(tol=1e-5), grid, **params).fit(X, y, **fit_params)
    same_results(ours, theirs)
    assert ours.solver_ == solver
    return ours, theirs


def same_results(ours, theirs):
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for name, expected in theirs.cv_results_.items():
        if "test_score" in name and not name.startswith("rank"):
            np.testing.assert_allclose(ours.cv_results_[name], expected, atol=1e-9)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_index_ == theirs.best_index_
    assert ours.n_splits_ == theirs.n_splits_
    assert ours.best_score_ == pytest.approx(theirs.best_score_)


def test_as_grid_search():
    ours, theirs = compare_searches(X, y, GRID)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.decision_function(X).shape == (150, 3)
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize(
    "grid",
    [
        {"C": [1, 100], "gamma": ["scale", "auto", 0.02]},
        {"kernel": ["linear", "rbf", "poly"], "C": [0.1, 1]},
        [{"kernel": ["rbf"], "gamma": [0.1, 1]}, {"kernel": ["linear"], "C": [0.01, 1]}],
        {"class_weight": [None, "balanced"], "C": [0.1, 1]},
        {"kernel": ["poly"], "degree": [2, 3], "coef0": [0, 1]},
    ],
)
def test_any_grid(grid):
    compare_searches(X, y, grid)


@pytest.mark.parametrize(
    "cv",
    [
        3,
        PredefinedSplit(np.where(np.arange(150) % 5, -1, 0)),
        RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
        ShuffleSplit(4, random_state=0),
        [(np.arange(0, 150, 2), np.arange(1, 150, 2)), (np.arange(25, 150), np.arange(150))],
    ],
)
def test_any_splitter(cv):
    compare_searches(X, y, GRID, cv=cv)


def test_groups():
    compare_searches(X, y, GRID, {"groups": np.arange(150) % 7}, cv=GroupKFold(3))


@pytest.mark.parametrize("scoring", [None, "accuracy", "f1_macro"])
def test_sample_weights(scoring):
    weight = np.random.default_rng(0).uniform(0.1, 2, 150)
    weight[::7] = 0
    compare_searches(X, y, GRID, {"sample_weight": weight}, scoring=scoring)


@pytest.mark.parametrize("scoring", ["f1_macro", "balanced_accuracy", "roc_auc"])
def test_any_scorer(scoring):
    binary = scoring == "roc_auc"
    compare_searches(
        X[:100], y[:100] if binary else y[:100] + (X[:100, 0] > 6), GRID, scoring=scoring
    )


@pytest.mark.slow
@pytest.mark.parametrize("weight", [None, np.random.default_rng(0).uniform(0.5, 2, 400)])
def test_broken_ties_count_in_the_scores(weight):
    samples, labels = DIGITS[:400], DIGIT_LABELS[:400]
    grid = {"break_ties": [False, True], "C": [1.0, 10.0], "gamma": [3e-5, 1e-4, 3e-4, 3e-3]}
    ours, theirs = (
        make(SVC(), grid).fit(samples, labels, sample_weight=weight)
        for make in (SVCSearchCV, GridSearchCV)
    )
    same_results(ours, theirs)
    without, with_ties = ours.cv_results_["mean_test_score"].reshape(2, -1)
    assert (without != with_ties).any()


def test_precomputed():
    K = X @ X.T
    precomputed = {"ours": SVC(kernel="precomputed"), "theirs": svm.SVC(kernel="precomputed")}
    compare_searches(K, y, {"C": [0.01, 1]}, **precomputed)
    search = SVCSearchCV(SVC(kernel="precomputed"), {"C": [0.01, 1]})
    assert cross_val_score(search, K, y).mean() > 0.9


def test_real_features(shared_data):
    data = np.load(shared_data / "features" / "cifar_cnn128.npz")
    samples, labels = data["X_train"][:900], data["y_train"][:900]
    grid = {"C": [1, 10, 100, 1000], "gamma": [1e-3]}
    ours = SVCSearchCV(param_grid=grid, cv=3).fit(samples, labels)
    theirs = GridSearchCV(svm.SVC(), grid, cv=3).fit(samples, labels)
    assert ours.best_params_ == theirs.best_params_
    # A sample or two on the margin may fall on either side within the tolerance.
    difference = ours.cv_results_["mean_test_score"] - theirs.cv_results_["mean_test_score"]
    assert np.abs(difference).max() < 0.002


@pytest.mark.parametrize("limit", ["600KiB", "2MiB"])  # without all inner products, and with
def test_memory_limit_changes_nothing(limit):
    grid = {"C": [1, 10, 100], "gamma": [1e-4, 1e-3]}
    kept = SVCSearchCV(SVC(memory_limit=limit), grid).fit(DIGITS[:400], DIGIT_LABELS[:400])
    free = SVCSearchCV(SVC(), grid).fit(DIGITS[:400], DIGIT_LABELS[:400])
    for name, expected in free.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(kept.cv_results_[name], expected)


@pytest.mark.parametrize("scoring", [None, "f1_macro"])
def test_settings_that_float32_does_not_resolve_are_fitted_separately(scoring):
    """Two clusters that are far apart, with the classes mixed in both."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(240, 2))
    labels = (samples[:, 0] * samples[:, 1] + 0.3 * rng.normal(size=240) > 0).astype(int)
    samples += np.where(np.arange(240)[:, None] % 2, 3e3, -3e3)
    with pytest.warns(PerformanceWarning, match="12 of the 12 fits .* float32"):
        compare_searches(samples, labels, {"C": [1, 10], "gamma": [0.3, 1.0]}, scoring=scoring)


def test_random_search_as_scikit_learns():
    distributions = {"C": loguniform(0.1, 100), "gamma": loguniform(1e-3, 1)}
    ours = SVCRandomizedSearchCV(param_distributions=distributions, n_iter=8, random_state=0)
    theirs = RandomizedSearchCV(svm.SVC(), distributions, n_iter=8, random_state=0)
    same_results(ours.fit(X, y), theirs.fit(X, y))


@pytest.mark.parametrize("kernel", ["rbf", "linear", "precomputed"])
def test_random_search_by_default(kernel):
    data = X @ X.T if kernel == "precomputed" else X
    search = SVCRandomizedSearchCV(SVC(kernel=kernel), n_iter=5, random_state=0).fit(data, y)
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("min_resources", ["exhaust", 300])
def test_halving_as_scikit_learns(min_resources):
    grid = {"C": [1, 10, 100], "gamma": [1e-4, 3e-4, 1e-3, 3e-3]}
    params = {"min_resources": min_resources, "random_state": 0, "cv": 3}
    ours = SVCHalvingSearchCV(param_grid=grid, **params).fit(DIGITS, DIGIT_LABELS)
    theirs = HalvingGridSearchCV(svm.SVC(), grid, return_train_score=False, **params)
    theirs.fit(DIGITS, DIGIT_LABELS)
    same_results(ours, theirs)
    assert ours.n_resources_ == theirs.n_resources_
    assert ours.n_candidates_ == theirs.n_candidates_


def test_progress(capsys):
    SVCSearchCV(verbose=1).fit(X, y)
    assert "100%" in capsys.readouterr().err
    SVCSearchCV().fit(X, y)
    assert capsys.readouterr().err == ""


def test_a_failing_progress_ends_the_search(monkeypatch):
    def fail(*args):
        raise RuntimeError("no more")

    monkeypatch.setattr(SearchBar, "update", fail)
    noisy = np.random.default_rng(0).permutation(DIGIT_LABELS)
    with pytest.raises(RuntimeError, match="no more"):
        SVCSearchCV(param_grid={"C": [1e3, 1e4], "gamma": [1e-3]}).fit(DIGITS, noisy)


@pytest.mark.slow
def test_threads_change_nothing():
    """Neither the threads of one search, nor several searches at the same time."""
    parts = [slice(start, start + 600) for start in (0, 300, 600)]

    def scores(part, n_jobs):
        search = SVCSearchCV(n_jobs=n_jobs).fit(DIGITS[part], DIGIT_LABELS[part])
        return search.cv_results_["mean_test_score"]

    alone = [scores(part, 1) for part in parts]
    assert len({tuple(each) for each in alone}) == 3
    for n_jobs in (1, 2):
        np.testing.assert_array_equal(scores(parts[0], n_jobs), alone[0])
        with ThreadPoolExecutor(3) as pool:
            at_once = list(pool.map(lambda part: scores(part, n_jobs), parts))  # noqa: B023
        np.testing.assert_array_equal(at_once, alone)


def test_default_grid_follows_the_scale_of_the_features():
    small, large = SVCSearchCV().fit(X, y), SVCSearchCV().fit(1000 * X, y)
    assert large.best_params_["gamma"] == pytest.approx(small.best_params_["gamma"] / 1e6)
    assert large.best_score_ == small.best_score_
    assert set(SVCSearchCV(SVC(kernel="linear")).fit(X, y).best_params_) == {"C"}


def test_constant_features():
    search = SVCSearchCV().fit(np.ones((20, 3)), np.arange(20) % 2)
    assert np.isfinite(search.best_params_["gamma"])


def test_no_refit():
    search = SVCSearchCV(param_grid=GRID, refit=False).fit(X, y)
    assert search.best_params_
    with pytest.raises(AttributeError, match="predict"):
        search.predict(X)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        SVCSearchCV().predict(X)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(SVCSearchCV(param_grid={"C": [1, 10]}, cv=2))),
)
def test_estimator_check(estimator, check):
    check(estimator)
