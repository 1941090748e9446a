"""Invalid and borderline input: handled as in scikit-learn, or with a better error message."""

import time
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn import svm
from sklearn.exceptions import DataConversionWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, PerformanceWarning, SVCHalvingSearchCV, SVCSearchCV
from penultimate.svm import _native

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
y = np.arange(30) % 3
TWO = np.arange(30) % 2
GRID = {"C": [1, 10]}


def search(**params):
    return SVCSearchCV(SVC(), GRID, **params)


def grid_search(**params):
    return GridSearchCV(svm.SVC(), GRID, **params)


PAIRS = pytest.mark.parametrize(("ours", "theirs"), [(SVC, svm.SVC), (search, grid_search)])


def changed(value, dtype=np.float64):
    samples = X.astype(dtype)
    samples[3, 1] = value
    return samples


@PAIRS
@pytest.mark.parametrize(
    ("samples", "labels", "message"),
    [
        (changed(np.nan), y, "Input X contains NaN"),
        (changed(np.nan, np.float32), y, "Input X contains NaN"),
        (changed(np.inf), y, "Input X contains infinity"),
        (X, np.where(y == 0, np.nan, 1.0), "Input y contains NaN"),
        (X, X[:, 0], "Unknown label type: continuous"),
        (X, np.c_[y, y], "y should be a 1d array"),
        (X, y[:-1], r"inconsistent numbers of samples: \[30, 29\]"),
        (X, None, "requires y to be passed"),
        (X, np.zeros(30), "number of classes has to be greater than one; got 1 class"),
        (X[:1], y[:1], "number of classes|number of splits|n_splits=5 greater"),
        (X[:0], y[:0], r"0 sample\(s\)"),
        (X[:, :0], y, r"0 feature\(s\)"),
        (X[:, 0], y, "Expected 2D array, got 1D array"),
        (X[:, :, None], y, "dim 3"),
        (X * 1j, y, "Complex data not supported"),
        ([["a"]] * 30, y, "could not convert string to float: 'a'"),
    ],
)
def test_unusable_data(ours, theirs, samples, labels, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their search tries every fold before it fails
        with pytest.raises(ValueError, match=f"{message}|fits failed"):
            theirs().fit(samples, labels)
    with pytest.raises(ValueError, match=message):
        ours().fit(samples, labels)


def test_a_pipeline_without_labels():
    pipeline = make_pipeline(StandardScaler(), SVC())
    for tuned in (SVCSearchCV(pipeline), SVCHalvingSearchCV(pipeline)):
        with pytest.raises(ValueError, match="requires y to be passed"):
            tuned.fit(X)


@pytest.mark.parametrize("make", [SVC, search])
def test_sparse_samples(make):
    """Only dense samples are accepted; the error says how to convert them."""
    with pytest.raises(TypeError, match=r"Use '.toarray\(\)'"):
        make().fit(csr_array(X), y)
    with pytest.raises(TypeError, match=r"Use '.toarray\(\)'"):
        make().fit(X, y).predict(csr_array(X))


@PAIRS
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (changed(np.nan), "Input X contains NaN"),
        (X[:, :2], "X has 2 features, but .* is expecting 3"),
        (X[0], "Expected 2D array, got 1D array"),
        (X[:0], r"0 sample\(s\)"),
    ],
)
def test_unusable_samples_to_predict(ours, theirs, samples, message):
    fitted = ours().fit(X, y), theirs().fit(X, y)
    for model in fitted:
        with pytest.raises(ValueError, match=message):
            model.predict(samples)
        with pytest.raises(ValueError, match=message):
            model.decision_function(samples)


@PAIRS
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "b", "c"])[y],
        np.array(["a", "b", "c"], dtype=object)[y],
        y.astype(float) - 1,
        TWO.astype(bool),
        (TWO * 200).astype(np.uint8),
        pd.Series(np.array(["a", "b", "c"])[y], index=np.arange(30)[::-1]),
        pd.Series(np.array(["a", "b", "c"])[y]).astype("category"),
    ],
    ids=["text", "object", "float", "bool", "uint8", "series", "category"],
)
def test_labels_of_any_kind(ours, theirs, labels):
    ours, theirs = ours().fit(X, labels), theirs().fit(X, labels)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.classes_.dtype == theirs.classes_.dtype
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.predict(X).dtype == theirs.predict(X).dtype


@PAIRS
def test_labels_that_do_not_compare(ours, theirs):
    labels = np.array([1 if label else "a" for label in y], dtype=object)
    for make in (ours, theirs):
        with pytest.raises(TypeError, match="not supported between"):
            make().fit(X, labels)


def test_labels_in_a_column():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = SVC().fit(X, y[:, None])
    np.testing.assert_array_equal(model.predict(X), SVC().fit(X, y).predict(X))


def layouts(folder):
    np.save(folder / "X.npy", X)
    mapped = np.memmap(folder / "X.raw", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "read only": read_only,
        "Fortran": np.asfortranarray(X),
        "every second column": np.repeat(X, 2, axis=1)[:, ::2],
        "backwards": X[::-1].copy()[::-1],
        "other byte order": X.astype(X.dtype.newbyteorder()),
        "np.memmap": np.memmap(folder / "X.raw", dtype=X.dtype, mode="r", shape=X.shape),
        "np.load": np.load(folder / "X.npy", mmap_mode="r"),
        "list": X.tolist(),
        "object": X.astype(object),
        "text": X.astype(str),
        "long double": X.astype(np.longdouble),
        "data frame": pd.DataFrame(X),
    }


@pytest.mark.parametrize("make", [SVC, search])
def test_any_layout(make, tmp_path):
    expected = make().fit(X, y).decision_function(X)
    for name, samples in layouts(tmp_path).items():
        values = make().fit(samples, y).decision_function(samples)
        np.testing.assert_array_equal(values, expected, err_msg=name)


@PAIRS
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint8, np.int64, bool])
def test_any_type_of_number(ours, theirs, dtype):
    samples = np.abs(10 * X).astype(dtype)
    ours, theirs = (make().fit(samples, y) for make in (ours, theirs))
    np.testing.assert_allclose(
        ours.decision_function(samples), theirs.decision_function(samples), atol=0.01
    )


def test_memory_mapped_weights_and_gram_matrix(tmp_path):
    K, weight = X @ X.T, RNG.uniform(0.5, 2, 30)
    np.save(tmp_path / "K.npy", K)
    np.save(tmp_path / "w.npy", weight)
    np.save(tmp_path / "y.npy", y)
    K_mapped, w_mapped, y_mapped = (
        np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "Kwy"
    )
    model = SVC(kernel="precomputed").fit(K, y, weight)
    mapped = SVC(kernel="precomputed").fit(K_mapped, y_mapped, w_mapped)
    np.testing.assert_array_equal(mapped.decision_function(K_mapped), model.decision_function(K))


@PAIRS
def test_constant_features(ours, theirs):
    """No variance: gamma="scale" is 1, and every decision value is the intercept."""
    models = [make().fit(np.ones((30, 2)), y) for make in (ours, theirs)]
    values = [model.decision_function([[1.0, 1.0], [2.0, 0.0]]) for model in models]
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)


@PAIRS
def test_duplicates_with_different_labels(ours, theirs):
    samples, labels = np.repeat(X[:10], 3, axis=0), np.arange(30) % 3
    samples[0] += 0.1
    models = [make().fit(samples, labels) for make in (ours, theirs)]
    if ours is search:
        scores = [model.cv_results_["mean_test_score"] for model in models]
        np.testing.assert_allclose(scores[0], scores[1], atol=2 / 30)  # everything is a tie
    else:
        assert set(models[0].status_) == {"converged"}
        objectives = [np.abs(model.dual_coef_).sum() for model in models]
        assert objectives[0] == pytest.approx(objectives[1], rel=1e-3)


def test_two_samples():
    ours, theirs = (cls().fit(X[:2], ["a", "b"]) for cls in (SVC, svm.SVC))
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-3)


WEIGHTS = {
    "none positive": (np.zeros(30), "weight"),
    "all negative": (np.full(30, -1.0), "weight"),
    "a class without": ((TWO > 0).astype(float), "leaves a class without any positive weight"),
    "a class negative": (np.where(TWO, 1.0, -1.0), "leaves a class without any positive weight"),
    "not a number": (np.where(TWO, np.nan, 1.0), "sample_weight contains NaN"),
    "infinite": (np.where(TWO, np.inf, 1.0), "sample_weight contains infinity"),
    "too few": (np.ones(29), r"\(29,\), expected \(30,\)"),
    "two columns": (np.ones((30, 2)), "1D array"),
    "text": (["a"] * 30, "could not convert string to float: 'a'"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_unusable_weights(case):
    weight, message = WEIGHTS[case]
    with pytest.raises(ValueError, match=message):
        SVC().fit(X, TWO, sample_weight=weight)


@pytest.mark.parametrize("class_weight", [{0: 0.0, 1: 1.0}, {0: -1.0, 1: 1.0}, {7: 1.0}])
def test_unusable_class_weights(class_weight):
    for model in (SVC(class_weight=class_weight), svm.SVC(class_weight=class_weight)):
        with pytest.raises(ValueError, match="class|coefficients"):
            model.fit(X, TWO)


@pytest.mark.parametrize("weight", ["zeros", "negative", "huge", "tiny"])
def test_weights_at_the_edge(weight):
    factor = {"zeros": 0.0, "negative": -1.0, "huge": 1e200, "tiny": 1e-200}[weight]
    weight = np.where(np.arange(30) % 5 == 0, factor, 1.0)
    ours, theirs = (cls().fit(X, TWO, sample_weight=weight) for cls in (SVC, svm.SVC))
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=0.01)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("C", [np.inf, 1e300, 1e-300])
def test_extreme_factors(kernel, C):
    """On separable samples, an unbounded C gives the hard margin."""
    samples = X + 10 * np.eye(2, 3)[TWO]
    weight = np.r_[0.0, 0.0, np.ones(28)]
    params = {"kernel": kernel, "C": C, "tol": 1e-6}
    ours, theirs = (cls(**params).fit(samples, TWO, weight) for cls in (SVC, svm.SVC))
    np.testing.assert_allclose(
        ours.decision_function(samples), theirs.decision_function(samples), atol=1e-4
    )


@pytest.mark.parametrize("factor", [1e-300, 1e-162, 1e-100, 1e-15, 1e15, 1e100, 1e150])
def test_any_scale_with_gamma_scale(factor):
    """With gamma="scale" the scale of the features cancels, up to the range of float64."""
    ours, theirs = (cls().fit(X * factor, y) for cls in (SVC, svm.SVC))
    np.testing.assert_allclose(
        ours.decision_function(X * factor), theirs.decision_function(X * factor), atol=0.01
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("factor", "params"),
    [
        (1e160, {}),
        (1e300, {}),
        (1e300, {"kernel": "linear"}),
        (1e100, {"kernel": "poly", "gamma": 1.0, "degree": 4}),
        (1.0, {"kernel": "poly", "coef0": 1e200}),
        (1.0, {"kernel": "poly", "degree": 100_000}),
        (1e-155, {}),
    ],
)
def test_beyond_float64(factor, params):
    """Too large for any kernel value: an error with the numbers, and no warnings from NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(ValueError, match="not finite"):
            svm.SVC(**params).fit(X * factor, y)
    with pytest.raises(ValueError, match=r"overflow float64: entries of X go up to .* Scale"):
        SVC(**params).fit(X * factor, y)


def test_features_near_the_limits_of_float32():
    """Differences that float32 cannot hold."""
    samples = (X / np.abs(X).max() * 3e38).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of scikit-learn's search for infinities
        ours, theirs = (cls().fit(samples, y) for cls in (SVC, svm.SVC))
        np.testing.assert_allclose(
            ours.decision_function(samples), theirs.decision_function(samples), atol=0.01
        )


@pytest.mark.parametrize("value", [1e30, 1e160, 1e300, 1e307])
def test_far_samples_to_predict(value):
    """No support vector is near, so only the intercept remains, as it should."""
    model = SVC().fit(X, TWO)
    far = value * np.sign(X)
    np.testing.assert_allclose(model.decision_function(far), np.full(30, model.intercept_[0]))
    if value > 1e150:
        with pytest.raises(ValueError, match="overflow float64. Scale the features as"):
            SVC(kernel="poly").fit(X, TWO).predict(far)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_iter": 10**30}, "'max_iter' parameter of SVC must be"),
        ({"kernel": "poly", "degree": 2**31}, "'degree' parameter of SVC must be"),
        ({"n_jobs": 1.5}, "'n_jobs' parameter of SVC must be"),
        ({"memory_limit": np.nan}, "'memory_limit' parameter of SVC must be"),
        ({"memory_limit": "1e3"}, "must be a positive number of bytes or text such as '2GiB'"),
    ],
)
def test_parameters_out_of_the_range_of_the_core(params, message):
    with pytest.raises(ValueError, match=message):
        SVC(**params).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [{"n_jobs": 10**12}, {"n_jobs": -100}, {"memory_limit": 1e300}, {"memory_limit": 1}],
)
def test_more_resources_than_available(params):
    np.testing.assert_array_equal(
        SVC(**params).fit(X, y).decision_function(X), SVC().fit(X, y).decision_function(X)
    )
    assert _native.count_threads(10**12) <= 2**10


@pytest.mark.parametrize("make", [SVC, search])
def test_feature_names(make):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = make().fit(frame, y)
    np.testing.assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    np.testing.assert_array_equal(model.predict(frame), make().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "d"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="could not convert string to float: 'red'"):
        make().fit(frame.assign(a="red"), y)


@pytest.mark.slow
def test_hundreds_of_classes():
    """124,750 pairs: predictions run in batches, never on all pairs of all samples together."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(500), 2)
    samples = rng.normal(size=(500, 16))[labels] * 3 + rng.normal(size=(1000, 16)) * 0.5
    start = time.perf_counter()
    model = SVC().fit(samples, labels)
    tracemalloc.start()
    assert model.score(samples[:150], labels[:150]) > 0.95
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20  # all together take 143 MiB
    tracemalloc.stop()
    assert time.perf_counter() - start < 60
    assert model.decision_function(samples[:20]).shape == (20, 500)


# The search alone.


ONE_CLASS_FOLD = [(np.arange(10), np.arange(10, 30)), (np.arange(30), np.arange(30))]


@pytest.mark.parametrize("error_score", [np.nan, 0.3])
def test_fold_with_one_class(error_score):
    labels = (np.arange(30) >= 10).astype(int)
    scores, warned = [], []
    for make in (search, grid_search):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = make(cv=ONE_CLASS_FOLD, error_score=error_score).fit(X, labels)
        scores.append(np.stack([model.cv_results_[f"split{k}_test_score"] for k in range(2)]))
        warned.append({warning.category for warning in caught})
    np.testing.assert_array_equal(scores[0], scores[1])
    assert warned[0] - {PerformanceWarning} == warned[1] >= {FitFailedWarning}


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_fold_with_one_class_can_raise():
    labels = (np.arange(30) >= 10).astype(int)
    for make in (search, grid_search):
        with pytest.raises(ValueError, match="got 1 class"):
            make(cv=ONE_CLASS_FOLD, error_score="raise").fit(X, labels)


@pytest.mark.parametrize("make", [search, grid_search])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": 1}, "1"),
        ({"cv": 100}, "n_splits=100"),
        ({"cv": "folds"}, "folds"),
        ({"cv": []}, "[Nn]o fits|empty"),
        ({"scoring": "luck"}, "'luck'"),
        ({"refit": None}, "'refit' parameter"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_unusable_search(make, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(X, y)


@pytest.mark.parametrize("grid", [{"C": []}, {"C": 1}, {"shape": [1]}, {"C": "1"}])
def test_unusable_grid(grid):
    errors = []
    for make in (lambda: SVCSearchCV(SVC(), grid), lambda: GridSearchCV(svm.SVC(), grid)):
        with pytest.raises((ValueError, TypeError)) as caught:
            make().fit(X, y)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])


@pytest.mark.parametrize("estimator", [SVC(), svm.SVC(), make_pipeline(StandardScaler(), SVC())])
def test_one_class_is_said_once(estimator):
    grid = {"C": [1, 2]} if "C" in estimator.get_params() else {"svc__C": [1, 2]}
    with pytest.raises(ValueError, match="greater than one; got 1 class, 'a'.$") as caught:
        SVCSearchCV(estimator, grid).fit(X, np.full(len(X), "a"))
    assert caught.value.__context__ is None


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_every_setting_unusable():
    with pytest.raises(ValueError, match="All the 10 fits failed"):
        SVCSearchCV(SVC(), {"C": [-1, 0]}).fit(X, y)


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
@pytest.mark.parametrize(
    "cv",
    [
        [(np.arange(30) % 4 > 0, np.arange(30) % 4 == 0)],
        [(np.arange(-30, -5), np.arange(-5, 0))],
        [(np.r_[np.arange(30), np.arange(30)], np.arange(30))],
        [(np.arange(30), np.r_[np.arange(5), np.arange(5)])],
    ],
    ids=["masks", "from the end", "train repeated", "test repeated"],
)
def test_folds_of_any_kind(cv):
    ours, theirs = (make(cv=cv).fit(X, y) for make in (search, grid_search))
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


def test_samples_out_of_range():
    cv = [(np.arange(40), np.arange(5))]
    for make in (search, grid_search):
        with pytest.raises(IndexError, match="out of bounds"):
            make(cv=cv).fit(X, y)


@pytest.mark.parametrize("grid", [{"C": [1, np.inf]}, {"gamma": ["scale", 0, 1e-300]}])
def test_extreme_settings(grid):
    samples = X + 5 * np.eye(3)[y]
    ours = SVCSearchCV(SVC(), grid).fit(samples, y)
    theirs = GridSearchCV(svm.SVC(), grid).fit(samples, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


def test_refit_chooses():
    search = SVCSearchCV(SVC(), {"C": [1, 10]}, refit=lambda results: 1).fit(X, y)
    assert search.best_params_ == {"C": 10}
