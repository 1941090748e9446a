import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

from penultimate.evaluation.novelty import strangers
from penultimate.evaluation.novelty.detector import NoveltyDetector
from penultimate.evaluation.novelty.strangers import in_words, leave_each_class_out

RATE = 0.1


@pytest.fixture(scope="module")
def blobs():
    """Three classes apart, and two that lie on each other."""
    rng = np.random.default_rng(0)
    centers = 8 * np.eye(6)[[0, 1, 2, 3, 3]]
    y = np.arange(500) % 5
    X = (centers[y] + rng.normal(size=(500, 6))).astype(np.float32)
    return (X[:250], y[:250]), (X[250:], y[250:])


@pytest.fixture(scope="module")
def found(blobs):
    return leave_each_class_out(*blobs, RATE)


def test_which_classes_are_noticed(found):
    by_class = {row.code: row for row in found.rows}
    assert {row.code for row in found.rows[:2]} == {3, 4}  # the least noticed come first
    for code in (0, 1, 2):
        assert by_class[code].area.value > 0.99
        assert by_class[code].noticed.low > 0.8
    for code in (3, 4):  # as like the other as that is itself
        assert by_class[code].area.low < 0.6
        assert by_class[code].area.high > 0.4
        assert by_class[code].noticed.high < 0.5
    assert [row.n_samples for row in found.rows] == [50] * 5


def test_known_samples_are_alarms_at_the_rate(found):
    assert found.false_alarms.low < RATE < found.false_alarms.high
    assert found.n_heldout == 250


def test_no_sample_sets_the_threshold_that_it_is_judged_by(blobs, monkeypatch):
    calibrated, judged = [], []
    thresholds, predict = NoveltyDetector._set_thresholds, NoveltyDetector.predict
    monkeypatch.setattr(
        NoveltyDetector,
        "_set_thresholds",
        lambda self, X: (calibrated.append(X), thresholds(self, X))[1],
    )
    monkeypatch.setattr(
        NoveltyDetector, "predict", lambda self, X: (judged.append(X), predict(self, X))[1]
    )
    leave_each_class_out(*blobs, RATE)
    assert len(calibrated) == len(judged) == 2 * 6
    for one, other in zip(calibrated, judged):
        assert not {row.tobytes() for row in one} & {row.tobytes() for row in other}


def test_labels_of_strangers_do_not_reach_the_detector(blobs, monkeypatch):
    seen = []
    fit = NoveltyDetector._fit_parts
    monkeypatch.setattr(
        NoveltyDetector,
        "_fit_parts",
        lambda self, X, y, *others: (seen.append(set(y.tolist())), fit(self, X, y, *others))[1],
    )
    leave_each_class_out(*blobs, RATE)
    assert seen == [{*range(5)} - {code} for code in range(5)] + [{*range(5)}]


def test_groups_stay_in_one_half_and_widen_intervals(blobs, found):
    (X, y), (new, labels) = blobs
    groups = np.arange(250) // 10, np.arange(250) // 10
    grouped = leave_each_class_out((X, y), (new, labels), RATE, groups=groups)
    assert len(grouped.rows) == 5


def test_too_few_held_out(blobs):
    known, (new, labels) = blobs
    with pytest.raises(ValueError, match="needs at least 99 held-out samples"):
        leave_each_class_out(known, (new[:60], labels[:60]), 0.01)
    with pytest.raises(ValueError, match="With one class"):
        leave_each_class_out((known[0], known[1] * 0), (new, labels), RATE)


def test_many_classes_are_drawn(blobs, monkeypatch):
    monkeypatch.setattr(strangers, "MOST_CLASSES", 2)
    found = leave_each_class_out(*blobs, RATE)
    assert len(found.rows) == 2
    assert found.n_classes == 5


def test_in_words(found):
    words = in_words(found.to_dict(tuple("abcde")))
    assert words == (
        "As strangers, at 10 % false alarms, 3 of 5 classes would mostly be noticed; most of "
        f"{', '.join('abcde'[row.code] for row in found.rows[:2])} would pass as known."
    )
    only = dataclasses.replace(found, rows=found.rows[2:])
    assert in_words(only.to_dict(tuple("abcde"))).endswith(
        "3 of 3 classes would mostly be noticed."
    )


def test_calibrating_anew_is_fitting_with_the_others():
    X, y = load_digits(n_class=4, return_X_y=True)
    held_out = np.arange(len(X)) % 3 == 0
    one, other = (held_out & (np.arange(len(X)) % 2 == k) for k in (0, 1))
    detectors = []
    for rows in (one, other):
        chosen = rows | ~held_out
        detectors.append(
            NoveltyDetector(criterion="nearest", random_state=0).fit(
                X[chosen], y[chosen], is_heldout=rows[chosen]
            )
        )
    first, second = detectors
    assert not np.array_equal(first.offset_, second.offset_)
    np.testing.assert_array_equal(first.calibrate(X[other]).offset_, second.offset_)
    with pytest.raises(ValueError, match="at least 19"):
        first.calibrate(X[:5])
