import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from penultimate import NoveltyDetector
from penultimate.evaluation.novelty.choosing import CHOICES


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    # The last third is by other writers, of whom nothing is promised.
    order = np.random.default_rng(0).permutation(len(y))
    return X[order] / 16, y[order]


@pytest.fixture(scope="module")
def fitted(digits):
    X, y = digits
    known = y[:1200] < 8
    return NoveltyDetector(random_state=0).fit(X[:1200][known], y[:1200][known])


@parametrize_with_checks([NoveltyDetector(0.4, random_state=0)])  # a rate that 10 samples allow
def test_scikit_learn(estimator, check):
    check(estimator)


def test_strangers_are_told_apart(fitted, digits):
    X, y = digits
    X, y = X[1200:], y[1200:]
    novel = fitted.predict(X) == -1
    assert novel[y < 8].mean() < 0.1
    assert novel[y >= 8].mean() > 0.6
    np.testing.assert_array_equal(novel, fitted.decision_function(X) < 0)
    np.testing.assert_array_equal(novel, fitted.p_values(X) <= 0.05)
    assert fitted.criterion_ in CHOICES
    assert fitted.classes_.tolist() == list(range(8))
    assert fitted.areas_[fitted.criterion_].mean() == max(a.mean() for a in fitted.areas_.values())


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("criterion", ["nearest", "mahalanobis"])
def test_the_false_alarm_rate_holds_over_many_draws(criterion, per_class):
    rng = np.random.default_rng(0)
    y = np.arange(600) % 3
    alarms = []
    for _ in range(40):
        X = rng.normal(np.eye(3)[y] * 4, 1 + y[:, np.newaxis], (600, 3))
        detector = NoveltyDetector(
            0.1, criterion=criterion, normalization=None, per_class=per_class, holdout=0.5
        )
        alarms.append(detector.fit(X[:300], y[:300]).predict(X[300:]) == -1)
    # 15 of 151, or a little less in three groups of 50; three standard errors of 40 draws.
    assert 0.07 < np.mean(alarms) < 0.115


def test_classes_have_thresholds_of_their_own_where_enough_is_held_out(digits):
    X, y = digits
    rare = (y != 9) | (np.cumsum(y == 9) <= 40)
    X, y = X[rare], y[rare]
    detector = NoveltyDetector(0.1, criterion="nearest", random_state=0).fit(X, y)
    assert detector.calibrated_alone_.tolist() == [True] * 8 + [False] * 2
    assert len(set(detector.offset_.tolist())) == 9
    together = clone(detector).set_params(per_class=False).fit(X, y)
    assert not together.calibrated_alone_.any()
    assert len(set(together.offset_.tolist())) == 1


@pytest.mark.parametrize("kind", [str, bool, float, object])
def test_labels_of_any_type(digits, kind):
    X, y = digits[0][:400], digits[1][:400] % 4
    plain = NoveltyDetector(0.1, random_state=0)
    labels = (y < 2).astype(bool) if kind is bool else y.astype(kind)
    found = clone(plain).fit(X, labels)
    assert len(found.classes_) == len(set(labels.tolist()))
    if kind is not bool:
        expected = clone(plain).fit(X, y).decision_function(X)
        np.testing.assert_allclose(found.decision_function(X), expected)


def test_of_one_class_the_distance_is_taken(digits):
    X = digits[0][:300]
    detector = NoveltyDetector(0.1, random_state=0).fit(X)
    assert detector.criterion_ == "nearest"
    assert detector.areas_ == {}
    assert detector.predict(-X[:5]).tolist() == [-1] * 5
    same = NoveltyDetector(0.1, random_state=0).fit(X, ["digit"] * 300)
    np.testing.assert_array_equal(same.score_samples(X), detector.score_samples(X))


def test_groups_are_on_one_side(digits):
    X, y = digits
    groups = np.arange(len(y)) // 30
    seen = []

    class Spy(NoveltyDetector):
        def _fit_parts(self, X, y, held_out, folds, seed):
            seen.append((X, held_out))
            return super()._fit_parts(X, y, held_out, folds, seed)

    Spy(0.1, random_state=0).fit(np.column_stack([X, groups]), y, groups=groups)
    (train, held_out), *_ = seen
    assert not np.intersect1d(train[:, -1], held_out[:, -1]).size


def test_copies_are_on_one_side(digits):
    X, y = np.repeat(digits[0][:200], 2, axis=0), np.repeat(digits[1][:200], 2)
    detector = NoveltyDetector(0.1, criterion="nearest", random_state=0).fit(X, y)
    # Otherwise most held-out samples would have their twin at distance 0.
    assert detector._calibration.values[0].min() > 0.1


def test_the_same_seed_gives_the_same_detector_also_from_a_pickle(fitted, digits):
    X, y = digits
    known = y[:1200] < 8
    again = clone(fitted).fit(X[:1200][known], y[:1200][known])
    copy = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    for other in (again, copy):
        np.testing.assert_array_equal(other.p_values(X), fitted.p_values(X))


def test_one_row_is_judged_as_among_many(fitted, digits):
    X = digits[0][1200:1230]
    one_by_one = np.concatenate([fitted.decision_function(row[None]) for row in X])
    np.testing.assert_allclose(one_by_one, fitted.decision_function(X), atol=1e-9)


def test_a_class_that_nothing_held_out_is_like_is_never_novel():
    y = np.repeat([0, 1], [300, 300])
    X = np.random.default_rng(0).normal(np.eye(2)[y] * 50, 1)
    detector = NoveltyDetector(0.05, criterion="nearest", normalization=None)
    with pytest.warns(UserWarning, match="most like 1 of 2 classes, such as 1.*per_class=False"):
        detector._fit_parts(X, y, X[:120] + 0.1, [], 0)
    assert np.isinf(detector.offset_).tolist() == [False, True]
    assert detector.predict([[900.0, 0], [0, 900.0]]).tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"false_alarm_rate": 0}, r"'false_alarm_rate' parameter of NoveltyDetector.*got 0"),
        (
            {"false_alarm_rate": 0.01},
            r"rate of 0.01 needs at least 99 held-out samples; 40 of .* 200",
        ),
        ({"holdout": 1.0}, "'holdout' parameter"),
        ({"criterion": "nearst"}, "Did you mean 'nearest'"),
        ({"normalization": "l3"}, "'normalization' parameter"),
    ],
)
def test_invalid_parameters(digits, parameters, message):
    with pytest.raises(ValueError, match=message):
        NoveltyDetector(**parameters).fit(digits[0][:200], digits[1][:200])


def test_scores_cannot_be_combined_without_a_second_sample_per_class(digits):
    X, y = digits[0][:200], np.repeat([0, 1, 2], [100, 98, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert NoveltyDetector(0.1, holdout=0.5).fit(X, y).criterion_ == "nearest"
    with pytest.raises(ValueError, match=r"'nearest\+margin' takes at least 2 samples per class"):
        NoveltyDetector(0.1, criterion="nearest+margin", holdout=0.5).fit(X, y)
