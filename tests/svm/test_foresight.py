import warnings

import numpy as np
import pytest
from sklearn import svm
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, PerformanceWarning, StreamedSVC, SVCSearchCV
from penultimate.svm import _foresight, _native

X, y = load_digits(return_X_y=True)
GRID = {"C": [1, 10], "gamma": [0.001]}


@pytest.fixture
def many(monkeypatch):
    """Make the digits many samples, for which every fit takes long."""
    monkeypatch.setattr(_foresight, "_MANY_SAMPLES", 1000)
    monkeypatch.setattr(_foresight, "_TRIAL_SAMPLES", 400)
    monkeypatch.setattr(_foresight, "_LONG", 0.0)


def told(fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PerformanceWarning)
        fitted = fit()
    return fitted, [str(each.message) for each in caught], {each.filename for each in caught}


@pytest.mark.parametrize(
    ("kernel", "streamed"), [("linear", "linear"), ("rbf", "rbf"), ("poly", "rbf")]
)
def test_an_exact_fit_says_what_it_will_cost(many, kernel, streamed):
    fitted, messages, files = told(lambda: SVC(kernel=kernel, memory_limit="300MiB").fit(X, y))
    assert len(messages) == 1
    assert files == {__file__}
    (message,) = messages
    assert "SVC solves 1,797 samples exactly. It will take roughly" in message
    assert "(450 of the samples took" in message
    copies = 12 * X.size + 8 * 9 * len(X)
    assert f"{copies / 2**20:.3g} MiB for copies of the samples and coefficients" in message
    assert "up to 300 MiB for rows of the Gram matrix (memory_limit)" in message
    assert f"StreamedSVC(kernel={streamed!r})" in message
    few = SVC(kernel=kernel).fit(X[:900], y[:900])  # few: nothing is said
    assert few.score(X[:900], y[:900]) > 0.9
    assert fitted.score(X, y) > 0.9


def test_nothing_is_said_of_a_short_fit_and_nothing_changes(many, monkeypatch):
    loud, _, _ = told(lambda: SVC().fit(X, y))
    monkeypatch.setattr(_foresight, "_LONG", 1e9)
    silent = SVC().fit(X, y)
    np.testing.assert_array_equal(silent.decision_function(X), loud.decision_function(X))
    StreamedSVC(C=0.01).fit(X, y)


@pytest.mark.parametrize(
    "estimator", [SVC(), svm.SVC(), make_pipeline(StandardScaler(), SVC())], ids=repr
)
def test_a_search_says_it_once(many, estimator):
    prefix = "svc__" if hasattr(estimator, "steps") else ""
    grid = {prefix + name: values for name, values in GRID.items()}
    search, messages, files = told(lambda: SVCSearchCV(estimator, grid, cv=3).fit(X, y))
    assert __file__ in files
    # The refit of a pipeline is a fit of its own.
    assert len(messages) == (2 if prefix else 1)
    assert "SVCSearchCV solves 1,797 samples exactly. Each of its 6 fits will take" in messages[0]
    assert search.solver_ == "joint"


@pytest.mark.parametrize("kernel", ["linear", "rbf", "precomputed"])
def test_more_memory_than_there_is(kernel, monkeypatch):
    monkeypatch.setattr(_native, "physical_memory", lambda: 2**20)
    samples = X @ X.T if kernel == "precomputed" else X
    with pytest.raises(MemoryError, match=r"would need .* MiB .* this machine has 1 MiB"):
        SVC(kernel=kernel).fit(samples, y)
    with pytest.raises(MemoryError, match="SVCSearchCV would need"):
        SVCSearchCV(SVC(kernel=kernel), {"C": [1]}).fit(samples, y)
    SVC(kernel=kernel).fit(samples[:50, : 50 if kernel == "precomputed" else None], y[:50])


def test_errors_are_those_of_the_fit(many):
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        SVC().fit(bad, y)
    with pytest.raises(ValueError, match="greater than one"):
        SVC().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="inconsistent"):
        SVC().fit(X, y[:-1])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(20, "20 seconds"), (300, "5 minutes"), (7300, "2 hours"), (5e5, "5.8 days")],
)
def test_durations(seconds, text):
    assert _foresight._duration(seconds) == text
