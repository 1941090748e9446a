import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from penultimate import SVC

DIGITS, DIGIT_LABELS = load_digits(return_X_y=True)
X, y = DIGITS[:400], DIGIT_LABELS[:400]
GAMMA = 0.001


def classifier(**params):
    return SVC(**{"C": 5.0, "gamma": GAMMA, "warm_start": True, **params})


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(X[:390], y[:390])


def remaining_violation(model, X, y):
    """The largest violation of the optimality conditions, from nothing but public attributes."""
    K = np.exp(-model._gamma * ((X[:, None] - model.support_vectors_) ** 2).sum(axis=2))
    codes = np.searchsorted(model.classes_, y)
    ends = np.cumsum(model.n_support_)
    parts = [slice(end - count, end) for end, count in zip(ends, model.n_support_)]
    worst = 0.0
    for i in range(len(model.classes_)):
        for j in range(i + 1, len(model.classes_)):
            b = np.zeros(ends[-1])
            b[parts[i]] = model._coefficients[j - 1, parts[i]]
            b[parts[j]] = model._coefficients[i, parts[j]]
            assert abs(b.sum()) < 1e-9
            rows = np.flatnonzero((codes == i) | (codes == j))
            f = np.where(codes[rows] == i, 1.0, -1.0) - K[rows] @ b
            own = np.zeros(len(X))
            own[model.support_] = b
            own = own[rows]
            high = np.where(codes[rows] == i, model.C, 0)
            assert (own <= high + 1e-9).all()
            assert (own >= high - model.C - 1e-9).all()
            worst = max(worst, f[own < high].max() - f[own > high - model.C].min())
    return worst


def changed_label(X, y):
    return X, np.where(np.arange(len(y)) == 3, (y + 1) % 10, y)


CHANGES = {
    "nothing": lambda: (X[:390], y[:390]),
    "one sample more": lambda: (X[:391], y[:391]),
    "samples more": lambda: (X, y),
    "samples less": lambda: (X[20:390], y[20:390]),
    "support vectors less": lambda: (X[5:200], y[5:200]),
    "another label": lambda: changed_label(X[:390], y[:390]),
    "another order": lambda: (X[389::-1], y[389::-1]),
    "samples twice": lambda: (np.tile(X[:390], (2, 1)), np.tile(y[:390], 2)),
    "classes less": lambda: (X[y < 7], y[y < 7]),
    "a class more": lambda: (X, np.where(np.arange(400) < 5, 11, y)),
    "other samples": lambda: (DIGITS[400:700], DIGIT_LABELS[400:700]),
    "float32": lambda: (X[:390].astype(np.float32), y[:390]),
    "other features": lambda: (X[:390, :40], y[:390]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_warm_solution_is_certified_and_equals_a_cold_one(fitted, change):
    samples, labels = CHANGES[change]()
    warm = copy.deepcopy(fitted).fit(samples, labels)
    cold = SVC(C=5.0, gamma=GAMMA).fit(samples, labels)
    assert set(warm.status_) == {"converged"}
    # Rounding of the check itself: differences of squares here, inner products there.
    assert remaining_violation(warm, samples.astype(float), labels) <= warm.tol + 1e-6
    assert warm.classes_.tolist() == cold.classes_.tolist()
    new = DIGITS[:, : samples.shape[1]]
    assert np.abs(warm.class_margins(new) - cold.class_margins(new)).max() < 0.01


@pytest.mark.parametrize(
    "params",
    [
        {"C": 0.1},
        {"C": 100.0},
        {"gamma": 0.01},
        {"gamma": "scale"},
        {"tol": 1e-5},
        {"n_jobs": 2},
        {"kernel": "linear"},
        {"kernel": "poly", "degree": 2},
        {"class_weight": "balanced"},
    ],
)
def test_another_parameter(fitted, params):
    warm = copy.deepcopy(fitted).set_params(**params).fit(X, y)
    cold = SVC(**{"C": 5.0, "gamma": GAMMA, **params}).fit(X, y)
    assert warm.optimality_gap_.max() <= warm.tol
    a, b = warm.class_margins(DIGITS), cold.class_margins(DIGITS)
    assert np.abs(a - b).max() < 0.01 * max(1, np.abs(b).max())


def test_what_is_unchanged_is_not_solved_again(fitted):
    warm = copy.deepcopy(fitted).fit(X[:391], y[:391])
    new, pair = y[390], 0
    solved = []
    for i in range(10):
        for j in range(i + 1, 10):
            if new not in (i, j):
                assert warm.n_iter_[pair] == 0
                assert warm.intercept_[pair] == fitted.intercept_[pair]
            else:
                solved.append(pair)
            pair += 1
    cold = SVC(C=5.0, gamma=GAMMA).fit(X[:391], y[:391])
    assert warm.n_iter_[solved].sum() < 0.5 * cold.n_iter_[solved].sum()
    again = copy.deepcopy(warm).fit(X[:391], y[:391])
    np.testing.assert_array_equal(again.dual_coef_, warm.dual_coef_)
    np.testing.assert_array_equal(again.intercept_, warm.intercept_)


def test_a_classifier_that_was_fitted_cold_is_a_start():
    model = SVC(C=5.0, gamma=GAMMA).fit(X[:390], y[:390])
    before = model.dual_coef_
    warm = model.set_params(warm_start=True).fit(X[:390], y[:390])
    np.testing.assert_array_equal(warm.dual_coef_, before)
    assert not warm.n_iter_.any()


def test_without_it_nothing_is_carried_over(fitted):
    model = copy.deepcopy(fitted).set_params(warm_start=False).fit(X, y)
    np.testing.assert_array_equal(model.dual_coef_, SVC(C=5.0, gamma=GAMMA).fit(X, y).dual_coef_)
    np.testing.assert_array_equal(clone(fitted).fit(X, y).dual_coef_, model.dual_coef_)


def test_the_same_steps_give_the_same_bits(fitted):
    def taught(model):
        for stop in (391, 395, 400):
            model.fit(X[:stop], y[:stop])
        return model.dual_coef_

    first = taught(copy.deepcopy(fitted))
    np.testing.assert_array_equal(taught(pickle.loads(pickle.dumps(fitted))), first)  # noqa: S301


def test_weights_and_samples_without_weight(fitted):
    weights = np.where(np.arange(400) % 7 == 0, 0.0, 1.0)
    warm = copy.deepcopy(fitted).fit(X, y, sample_weight=weights)
    cold = SVC(C=5.0, gamma=GAMMA).fit(X[weights > 0], y[weights > 0])
    assert np.abs(warm.class_margins(DIGITS) - cold.class_margins(DIGITS)).max() < 0.01


def test_gram_matrices():
    gram = DIGITS[:400] @ DIGITS[:400].T / 1000
    model = classifier(kernel="precomputed", C=0.1).fit(gram[:390, :390], y[:390])
    warm = copy.deepcopy(model).fit(gram, y)
    cold = SVC(kernel="precomputed", C=0.1).fit(gram, y)
    assert warm.n_iter_.sum() < cold.n_iter_.sum()
    assert np.abs(warm.class_margins(gram) - cold.class_margins(gram)).max() < 0.01
    # From vectors to a matrix, and back: nothing in common.
    assert set(model.set_params(kernel="linear").fit(X, y).status_) == {"converged"}
    assert set(model.set_params(kernel="precomputed").fit(gram, y).status_) == {"converged"}


def test_labels_of_any_type():
    names = np.array([f"digit {label}" for label in y])
    model = classifier().fit(X[:390], names[:390]).fit(X, names)
    assert model.score(X, names) > 0.95
    with_two = classifier().fit(X[:100], y[:100] > 4)
    assert with_two.fit(X, y > 4).score(X, y > 4) > 0.95


def test_a_fit_that_fails_changes_nothing(fitted):
    model = copy.deepcopy(fitted)
    before = model.decision_function(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X > 15, np.nan, X), y)
    with pytest.raises(ValueError, match="number of classes"):
        model.fit(X, np.zeros(400))
    with pytest.raises(ValueError, match="overflow|large"):
        model.set_params(kernel="poly", degree=200).fit(1e4 * X, y)
    model.set_params(kernel="rbf", degree=3)
    np.testing.assert_array_equal(model.decision_function(X), before)
    assert set(model.fit(X, y).status_) == {"converged"}


def test_random_changes():
    rng = np.random.default_rng(0)
    model = classifier(C=1.0)
    for _ in range(30):
        rows = rng.choice(400, rng.integers(60, 400), replace=False)
        labels = np.where(rng.random(len(rows)) < 0.1, rng.integers(0, 3, len(rows)), y[rows] % 3)
        samples = X[rows] + rng.choice([0, 0, 0, 1e-9])
        model.fit(samples, labels)
        assert set(model.status_) == {"converged"}
        assert remaining_violation(model, samples, labels) <= model.tol + 1e-6
