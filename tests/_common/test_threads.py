"""Threads that fit, predict and search at the same time, and what they leave behind."""

import multiprocessing
import os
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - so that its BLAS is loaded
import sklearn
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from penultimate import SVC, SVCHalvingSearchCV, SVCRandomizedSearchCV, SVCSearchCV
from penultimate._common import threads
from penultimate._common.threads import quiet_blas, single_threaded_blas
from penultimate.comparison.searches import OneThreadLogisticRegression
from penultimate.svm import svc

X, y = load_digits(return_X_y=True)
X, y = X[:240], y[:240]
GRID = {"C": [1, 10], "gamma": [1e-3]}


def blas_threads():
    """Threads of the libraries that NumPy and SciPy call; others, as OpenCV's, may come later."""
    return [
        each["num_threads"]
        for each in threadpool_info()
        if each["user_api"] == "blas" and "opencv" not in each["filepath"]
    ]


def settings():
    """Every setting of the process that a thread could leave changed."""
    return (
        blas_threads(),
        sklearn.get_config(),
        warnings.showwarning,
        np.geterr(),
        np.random.get_state()[1].tolist(),
        dict(os.environ),
    )


@pytest.fixture(autouse=True)
def two_threads():
    """BLAS with two threads, as a user might have set it; also where there is one core."""
    with threadpool_limits(2, "blas"), warnings.catch_warnings():
        yield


def fail():
    with single_threaded_blas():
        raise RuntimeError("a fault inside")


def failing_scorer(fitted, samples, labels):
    raise RuntimeError("a fault of the user's")


FITTED = SVC(C=10).fit(X, y)
TASKS = {
    "fit": lambda: SVC(C=10).fit(X, y).dual_coef_,
    "fit on one thread": lambda: SVC(C=10, n_jobs=1).fit(X, y).dual_coef_,
    "predict": lambda: FITTED.predict(X),
    "decisions": lambda: FITTED.decision_function(X[:1]),
    "search": lambda: SVCSearchCV(SVC(), GRID, cv=2).fit(X, y).cv_results_["mean_test_score"],
    "scorer": lambda: (
        SVCSearchCV(SVC(), GRID, cv=2, scoring="f1_macro").fit(X, y).cv_results_["mean_test_score"]
    ),
    "random search": lambda: (
        SVCRandomizedSearchCV(n_iter=2, cv=2, random_state=0).fit(X, y).predict(X)
    ),
    "halving": lambda: SVCHalvingSearchCV(SVC(), GRID, cv=2, random_state=0).fit(X, y).predict(X),
    "a head of scikit-learn's": lambda: (
        OneThreadLogisticRegression(max_iter=3000).fit(X, y).predict(X)
    ),
    "a fault inside": fail,
    "a failing scorer": lambda: SVCSearchCV(
        SVC(), GRID, cv=2, scoring=failing_scorer, error_score="raise"
    ).fit(X, y),
}


def outcome(name):
    try:
        return np.asarray(TASKS[name]())
    except RuntimeError as error:
        return np.asarray(str(error))


@pytest.mark.parametrize("names", [[name] for name in TASKS] + [list(TASKS)], ids=lambda n: n[-1])
def test_threads_give_the_same_results_and_leave_nothing_changed(names):
    names = names * (2 if len(names) > 1 else 8)
    alone = {name: outcome(name) for name in set(names)}
    before, filters = settings(), list(warnings.filters)
    start = Barrier(8)  # so that they do overlap

    def run(name):
        start.wait(timeout=60)
        return outcome(name)

    names += names[: -len(names) % 8]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(run, names))
    for name, result in zip(names, found):
        np.testing.assert_array_equal(result, alone[name], err_msg=name)
    assert settings() == before
    # scikit-learn's own searches and scorers enter `catch_warnings`, which threads cannot share.
    if set(names) <= {"fit", "fit on one thread", "predict", "decisions", "a fault inside"}:
        assert list(warnings.filters) == filters


def test_one_thread_at_a_time_has_scikit_learn_validate(monkeypatch):
    """It saves the warning filters of the whole process, and sets them back."""
    inside, most = [], []

    def slowly(*args, **params):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return validate_data(*args, **params)

    validate_data = svc.validate_data
    monkeypatch.setattr(svc, "validate_data", slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: SVC().fit(X, y).predict(X.tolist()), range(8)))
    assert len(most) == 16
    assert max(most) == 1


def test_joblibs_threads():
    want, before = FITTED.predict(X), settings()
    found = Parallel(4, backend="threading")(
        delayed(lambda: SVC(C=10, n_jobs=1).fit(X, y).predict(X))() for _ in range(12)
    )
    for labels in found:
        np.testing.assert_array_equal(labels, want)
    assert settings() == before


def test_limits_nest_in_one_thread_and_between_two():
    """The first to come leaves first, so that who restores is not who saved."""
    first, second = single_threaded_blas(), single_threaded_blas()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(blas_threads()) == {1}
    with single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {1}
    second.__exit__(None, None, None)
    assert set(blas_threads()) == {2}


def test_predictions_do_not_touch_the_limit(monkeypatch):
    """It is a setting of the process: a service that predicts all the time would hold it."""
    monkeypatch.setattr("penultimate._common.threads._controller", None)  # fails if it is called
    FITTED.predict(np.tile(X, (40, 1)))
    FITTED.decision_function(X[:1])


def test_a_scorer_runs_with_the_users_own_threads():
    seen = []

    def scorer(fitted, samples, labels):
        seen.append(blas_threads())
        return fitted.score(samples, labels)

    SVCSearchCV(SVC(), GRID, cv=2, scoring=scorer).fit(X, y)
    assert len(seen) == 4
    assert all(set(threads) == {2} for threads in seen)


def _threads_after(queue):
    with single_threaded_blas():
        pass
    queue.put(blas_threads())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_forked_meanwhile_is_not_limited():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with single_threaded_blas():
        child = context.Process(target=_threads_after, args=(queue,))
        child.start()
    assert set(queue.get(timeout=60)) == {2}
    child.join()
    assert set(blas_threads()) == {2}


@pytest.mark.slow
@pytest.mark.serial
def test_four_threads_that_predict_are_no_slower_than_one_after_the_other():
    rng = np.random.default_rng(0)
    samples, labels = rng.normal(size=(2000, 128)), rng.integers(0, 10, 2000)
    fitted = SVC(n_jobs=1).fit(samples, labels)
    ratios = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(12):
            fitted.predict(samples[:500])
        alone = time.perf_counter() - start
        start = time.perf_counter()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: fitted.predict(samples[:500]), range(12)))
        ratios.append((time.perf_counter() - start) / alone)
    assert min(ratios) < 1.2, ratios


def test_blas_takes_one_thread_on_few_values_alone(monkeypatch):
    def limited():
        return threads._limit._depth > 0

    monkeypatch.setattr(threads, "_FEW_VALUES", 6)
    with quiet_blas(np.zeros((2, 2)), np.zeros(2)):
        assert limited()
    with quiet_blas(np.zeros((2, 2)), np.zeros(3)):
        assert not limited()
    assert not limited()
