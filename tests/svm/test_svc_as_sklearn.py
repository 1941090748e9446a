"""What scikit-learn's own tests hold its SVC to, held against ours.

Left out: other estimators, sparse samples, kernels given as functions (pass a precomputed one),
`probability`, libsvm's own interface, and private attributes.
"""

import warnings

import numpy as np
import pytest
from sklearn import svm
from sklearn.datasets import load_iris, make_blobs, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.multiclass import OneVsRestClassifier

from penultimate import SVC

# Two triangles, each the other's mirror image.
CORNERS = np.array([[-3.0, -1], [-1, -1], [-1, -3], [1, 1], [1, 3], [3, 1]])
SIDES = np.array([1, 1, 1, 2, 2, 2])
NEW = np.array([[-2.0, -2], [2, 2], [4, 1]])
IRIS, KINDS = load_iris(return_X_y=True)
ORDER = np.random.default_rng(7).permutation(150)
IRIS, KINDS = IRIS[ORDER], KINDS[ORDER]


def both(X, y, sample_weight=None, **params):
    return tuple(cls(**params).fit(X, y, sample_weight) for cls in (SVC, svm.SVC))


def test_known_solution():
    """The closest corners define the plane x + y = 0, with a coefficient of a quarter each."""
    model = SVC(kernel="linear").fit(CORNERS, SIDES)
    np.testing.assert_allclose(model.dual_coef_, [[-0.25, 0.25]])
    np.testing.assert_array_equal(model.support_, [1, 3])
    np.testing.assert_array_equal(model.support_vectors_, CORNERS[[1, 3]])
    np.testing.assert_array_equal(model.n_support_, [1, 1])
    np.testing.assert_allclose(model.intercept_, [0], atol=1e-12)
    np.testing.assert_allclose(model.coef_, [[0.5, 0.5]])
    np.testing.assert_array_equal(model.predict(CORNERS), SIDES)
    np.testing.assert_array_equal(model.predict(NEW), [1, 2, 2])


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
def test_attributes_are_of_the_same_kinds(kernel):
    ours, theirs = both(IRIS, KINDS, kernel=kernel)
    for name in ("support_", "support_vectors_", "n_support_", "dual_coef_", "intercept_"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert (mine.ndim, mine.dtype) == (other.ndim, other.dtype), name
    for name in ("classes_", "class_weight_", "shape_fit_", "fit_status_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert hasattr(ours, "coef_") == hasattr(theirs, "coef_") == (kernel == "linear")
    assert not hasattr(SVC(kernel=kernel), "coef_")
    assert ours.dual_coef_.shape == (2, len(ours.support_)) == (2, ours.n_support_.sum())
    assert ours.score(IRIS, KINDS) == pytest.approx(theirs.score(IRIS, KINDS), abs=1 / 150)


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_iterations_are_counted_per_pair(n_classes):
    X, y = make_classification(
        60, 8, n_classes=n_classes, n_informative=n_classes, random_state=n_classes
    )
    n_iter = SVC(kernel="linear").fit(X, y).n_iter_
    assert isinstance(n_iter, np.ndarray)
    assert n_iter.shape == (n_classes * (n_classes - 1) // 2,)
    assert (n_iter > 0).all()


def test_precomputed_on_known_data():
    model = SVC(kernel="precomputed").fit(CORNERS @ CORNERS.T, SIDES)
    np.testing.assert_allclose(model.dual_coef_, [[-0.25, 0.25]])
    np.testing.assert_array_equal(model.support_, [1, 3])
    np.testing.assert_allclose(model.intercept_, [0], atol=1e-12)
    assert model.support_vectors_.shape == (0, 0)
    K = NEW @ CORNERS.T
    np.testing.assert_array_equal(model.predict(K), [1, 2, 2])
    # Only the support vectors' columns count.
    alone = np.zeros_like(K)
    alone[:, model.support_] = K[:, model.support_]
    np.testing.assert_array_equal(model.decision_function(alone), model.decision_function(K))
    with pytest.raises(ValueError, match="expecting 6 features"):
        model.predict(K.T)
    with pytest.raises(ValueError, match="6x2"):
        SVC(kernel="precomputed").fit(CORNERS, SIDES)


def test_precomputed_equals_the_kernel_in_the_matrix():
    K = IRIS @ IRIS.T
    ours = SVC(kernel="precomputed", tol=1e-8).fit(K, KINDS)
    linear = SVC(kernel="linear", tol=1e-8).fit(IRIS, KINDS)
    theirs = svm.SVC(kernel="precomputed", tol=1e-8).fit(K, KINDS)
    for other, X in ((linear, IRIS), (theirs, K)):
        np.testing.assert_allclose(ours.decision_function(K), other.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("kernel", ["callable", "sigmoid", "líneal", None, 3])
def test_unknown_kernel(kernel):
    kernel = (lambda a, b: a @ b.T) if kernel == "callable" else kernel
    with pytest.raises(ValueError, match="'kernel' parameter of SVC must be .*'precomputed'"):
        SVC(kernel=kernel).fit(CORNERS, SIDES)


def test_kernel_name_of_any_string_type():
    assert SVC(kernel=np.str_("linear")).fit(CORNERS, SIDES).coef_.shape == (1, 2)


def test_decision_values_follow_from_the_attributes():
    model = SVC(kernel="linear", C=0.1, decision_function_shape="ovo").fit(IRIS, KINDS)
    np.testing.assert_allclose(
        model.decision_function(IRIS), IRIS @ model.coef_.T + model.intercept_
    )
    for params in ({"kernel": "linear"}, {"kernel": "rbf", "gamma": 1.0}):
        model = SVC(**params).fit(CORNERS, SIDES)
        K = (
            rbf_kernel(CORNERS, model.support_vectors_, gamma=1.0)
            if params["kernel"] == "rbf"
            else CORNERS @ model.support_vectors_.T
        )
        values = (K @ model.dual_coef_.T + model.intercept_).ravel()
        np.testing.assert_allclose(model.decision_function(CORNERS), values)
        np.testing.assert_array_equal(
            model.predict(CORNERS), model.classes_[(values > 0).astype(int)]
        )


def test_changed_coefficients_change_predictions():
    model = SVC(kernel="linear").fit(CORNERS, SIDES)
    assert model.predict([[-0.1, -0.1]]) == [1]
    model.dual_coef_ = np.array([[0.0, 1.0]])
    assert model.predict([[-0.1, -0.1]]) == [1]
    model.intercept_ = np.array([0.5])
    assert model.predict([[-0.1, -0.1]]) == [2]


@pytest.mark.parametrize("n_classes", [3, 5])
def test_shapes_of_decision_values_and_votes(n_classes):
    X, y = make_blobs(120, centers=n_classes, random_state=3, cluster_std=3)
    train, test = np.s_[:80], np.s_[80:]
    n_pairs = n_classes * (n_classes - 1) // 2
    by_class = SVC(kernel="linear", break_ties=True).fit(X[train], y[train])
    values = by_class.decision_function(X[test])
    assert values.shape == (40, n_classes)
    np.testing.assert_array_equal(by_class.predict(X[test]), values.argmax(axis=1))

    by_pair = SVC(kernel="linear", decision_function_shape="ovo").fit(X[train], y[train])
    values = by_pair.decision_function(X[test])
    assert values.shape == (40, n_pairs)
    votes = np.zeros((40, n_classes), int)
    for pair, (i, j) in enumerate(zip(*np.triu_indices(n_classes, 1))):
        votes[np.arange(40), np.where(values[:, pair] > 0, i, j)] += 1
    np.testing.assert_array_equal(by_pair.predict(X[test]), votes.argmax(axis=1))
    theirs = svm.SVC(kernel="linear", decision_function_shape="ovo").fit(X[train], y[train])
    np.testing.assert_allclose(values, theirs.decision_function(X[test]), atol=0.02)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_inside_one_vs_rest(n_classes):
    X, y = make_blobs(60, centers=n_classes, random_state=0)
    ours, theirs = (OneVsRestClassifier(cls()).fit(X, y) for cls in (SVC, svm.SVC))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_decision_values_grow_away_from_the_boundaries():
    """One class per quadrant: its own class wins, by more the farther out."""
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    model = SVC(kernel="linear").fit(corners, [0, 1, 2, 3])
    near, far = (model.decision_function(factor * corners) for factor in (5, 10))
    for values in (near, far):
        np.testing.assert_array_equal(values.argmax(axis=1), [0, 1, 2, 3])
    assert (np.diag(near) > 0).all()
    assert (np.diag(far) > np.diag(near)).all()


def test_break_ties():
    X, y = make_blobs(20, random_state=0)
    low, high = X.min(axis=0), X.max(axis=0)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 60).T), axis=-1).reshape(-1, 2)
    tied = SVC(gamma=1e6).fit(X, y)
    broken = SVC(gamma=1e6, break_ties=True).fit(X, y)
    best = broken.decision_function(grid).argmax(axis=1)
    np.testing.assert_array_equal(broken.predict(grid), best)
    assert (tied.predict(grid) != best).any()
    with pytest.raises(ValueError, match="break_ties must be False"):
        SVC(break_ties=True, decision_function_shape="ovo").fit(X, y).predict(X)


def test_a_light_class_loses():
    model = SVC(class_weight={1: 0.1}).fit(CORNERS, SIDES)
    assert set(model.predict(CORNERS)) == {2}
    X, y = make_classification(200, 10, weights=[0.83, 0.17], random_state=2)
    ours, theirs = both(X[:100], y[:100], class_weight={0: 0.1, 1: 10})
    scores = [f1_score(y[100:], model.predict(X[100:])) for model in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] > 0.3


def test_balanced_weights_help_the_rare_class():
    half = np.r_[np.flatnonzero(KINDS < 2), np.flatnonzero(KINDS == 2)[::2]]
    X, y = IRIS[:, :2], KINDS + 1  # labels that do not begin at zero
    scores = {}
    for class_weight in (None, "balanced"):
        params = {"kernel": "linear", "class_weight": class_weight, "tol": 1e-8}
        params["decision_function_shape"] = "ovo"
        ours, theirs = both(X[half], y[half], **params)
        np.testing.assert_allclose(ours.class_weight_, theirs.class_weight_)
        values = theirs.decision_function(X)
        np.testing.assert_allclose(ours.decision_function(X), values, atol=1e-4)
        clear = (np.abs(values) > 1e-4).all(axis=1)  # two features in tenths: some are ties
        np.testing.assert_array_equal(ours.predict(X)[clear], theirs.predict(X)[clear])
        scores[class_weight] = f1_score(y, ours.predict(X), average="macro")
    assert scores["balanced"] >= scores[None]


def test_heavy_samples_pull_the_boundary():
    X = np.array([[-2.0, 0], [-1, -1], [0, -2], [0, 2], [1, 1], [2, 0]])
    between = [[-1.0, 1.0]]

    def value(weight):
        model = SVC(kernel="linear", C=0.01).fit(X, SIDES, sample_weight=weight)
        return model.decision_function(between)[0]

    assert value(np.ones(6)) == pytest.approx(0, abs=1e-9)
    assert value([10, 0.1, 0.1, 0.1, 0.1, 10]) < -1e-3
    assert value([1, 0.1, 10, 10, 0.1, 0.1]) > 1e-3


def test_weights_are_factors_of_c():
    plain = SVC(C=1.0).fit(CORNERS, SIDES)
    weighted = SVC(C=100.0).fit(CORNERS, SIDES, sample_weight=np.full(6, 0.01))
    np.testing.assert_allclose(weighted.dual_coef_, plain.dual_coef_)


@pytest.mark.parametrize("weight", [np.zeros(6), np.full(6, -0.3)])
def test_without_any_positive_weight(weight):
    with pytest.raises(ValueError, match="weight"):
        SVC(kernel="linear").fit(CORNERS, SIDES, sample_weight=weight)


@pytest.mark.parametrize("weight", [[0, -0.5, 0, 1, 1, 1], [1, 1, 1, 0, -0.1, -0.3]])
def test_one_class_without_positive_weight(weight):
    with pytest.raises(ValueError, match="leaves a class without any positive weight"):
        SVC(kernel="linear").fit(CORNERS, SIDES, sample_weight=weight)


@pytest.mark.parametrize("weight", [[1, -0.5, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1]])
def test_samples_without_positive_weight_are_left_out(weight):
    weight = np.array(weight)
    ours, theirs = both(CORNERS, SIDES, sample_weight=weight, kernel="linear", tol=1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4)
    assert abs(ours.coef_[0, 0]) == pytest.approx(abs(ours.coef_[0, 1]), rel=1e-3)
    without = SVC(kernel="linear", tol=1e-6).fit(CORNERS[weight > 0], SIDES[weight > 0])
    np.testing.assert_allclose(ours.coef_, without.coef_, rtol=1e-6)
    assert (weight[ours.support_] > 0).all()


def test_sample_weights_with_a_precomputed_kernel():
    """Positions in support_ are those in the data, though samples without weight are left out."""
    weight = (np.arange(150) % 3 > 0).astype(float)
    K = rbf_kernel(IRIS, gamma=0.2)
    ours = SVC(kernel="precomputed").fit(K, KINDS, sample_weight=weight)
    as_rbf = SVC(gamma=0.2).fit(IRIS, KINDS, sample_weight=weight)
    np.testing.assert_array_equal(ours.support_, as_rbf.support_)
    np.testing.assert_array_equal(ours.predict(K), as_rbf.predict(IRIS))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gamma": -1.0}, "gamma"),
        ({"gamma": "wide"}, "gamma"),
        ({"gamma": None}, "gamma"),
        ({"gamma": np.inf}, "gamma"),
        ({"C": 0}, "'C'"),
        ({"C": "1"}, "'C'"),
        ({"C": np.nan}, "'C'"),
        ({"degree": -1, "kernel": "poly"}, "degree"),
        ({"degree": 2.5, "kernel": "poly"}, "degree"),
        ({"coef0": np.inf, "kernel": "poly"}, "coef0"),
        ({"tol": 0.0}, "tol"),
        ({"max_iter": -2}, "max_iter"),
        ({"class_weight": "even"}, "class_weight"),
        ({"class_weight": [1, 2]}, "class_weight"),
        ({"decision_function_shape": "ova"}, "decision_function_shape"),
        ({"decision_function_shape": None}, "decision_function_shape"),
        ({"break_ties": 1}, "break_ties"),
    ],
)
def test_the_same_parameters_are_rejected(params, message):
    for model in (SVC(**params), svm.SVC(**params)):
        with pytest.raises(ValueError, match=message) as caught:
            model.fit(CORNERS, SIDES)
        assert type(caught.value).__name__ == "InvalidParameterError"


@pytest.mark.parametrize(
    "params",
    [
        {"gamma": 0.0},
        {"gamma": "auto"},
        {"C": np.inf},
        {"C": np.float32(0.1), "tol": np.float32(1e-3)},
        {"degree": np.int64(2), "kernel": "poly"},
        {"degree": 0, "kernel": "poly"},
        {"coef0": -5, "kernel": "poly"},
        {"max_iter": np.int64(1000)},
    ],
)
def test_the_same_parameters_are_accepted(params):
    ours, theirs = both(CORNERS, SIDES, **params)
    np.testing.assert_allclose(
        ours.decision_function(NEW), theirs.decision_function(NEW), atol=0.01
    )


def test_gamma_scale():
    """Two samples at 0 and 1 have variance 1/4."""
    scale = SVC(tol=1e-8).fit([[0.0], [1.0]], [0, 1])
    four = SVC(gamma=4.0, tol=1e-8).fit([[0.0], [1.0]], [0, 1])
    np.testing.assert_array_equal(scale.dual_coef_, four.dual_coef_)


def test_coef_is_read_only():
    model = SVC(kernel="linear").fit(IRIS, KINDS)
    with pytest.raises(AttributeError):
        model.coef_ = np.arange(3)
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[0, 0] = 0


def test_reaching_max_iter_warns_and_counts():
    with pytest.warns(ConvergenceWarning, match=r"tol=0.001.*iteration_limit.*max_iter"):
        model = SVC(max_iter=2).fit(IRIS, KINDS)
    np.testing.assert_array_equal(model.n_iter_, [2, 2, 2])
    assert model.fit_status_ == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SVC().fit(IRIS, KINDS).fit_status_ == 0


def test_a_second_fit_gives_the_same():
    with pytest.warns(ConvergenceWarning):
        first, second = (SVC(max_iter=1).fit(CORNERS, SIDES) for _ in range(2))
    np.testing.assert_array_equal(
        first.decision_function(CORNERS), second.decision_function(CORNERS)
    )


def test_the_order_of_samples_does_not_matter():
    order = np.random.default_rng(0).permutation(150)
    one = SVC(tol=1e-8).fit(IRIS, KINDS)
    other = SVC(tol=1e-8).fit(IRIS[order], KINDS[order])
    np.testing.assert_allclose(
        one.decision_function(IRIS), other.decision_function(IRIS), atol=1e-6
    )
    np.testing.assert_array_equal(np.sort(order[other.support_]), np.sort(one.support_))


def test_duplicates_are_weights():
    twice = SVC(tol=1e-8).fit(np.r_[IRIS, IRIS], np.r_[KINDS, KINDS])
    weighted = SVC(tol=1e-8, gamma="scale").fit(IRIS, KINDS, sample_weight=np.full(150, 2.0))
    np.testing.assert_allclose(
        twice.decision_function(IRIS), weighted.decision_function(IRIS), atol=1e-6
    )


def test_unfitted():
    for method in ("predict", "decision_function"):
        with pytest.raises(NotFittedError, match=r"SVC .*not fitted"):
            getattr(SVC(), method)("no samples at all")
