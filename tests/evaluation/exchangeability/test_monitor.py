"""The monitor: false alarms by simulation, changes that it notices, and how it is used."""

import copy
import threading

import numpy as np
import pytest

from penultimate.evaluation import ExchangeabilityMonitor


def fitted(n=100, n_scores=1, **options):
    scores = np.random.default_rng(9).normal(size=(n, n_scores))
    return ExchangeabilityMonitor(random_state=0, **options).fit(scores)


def test_false_alarms_are_as_rare_as_promised():
    """At a level that can be counted, with two scores that depend on each other."""
    rng, n_alarms = np.random.default_rng(1), 0
    for seed in range(100):
        scores = rng.normal(size=(220, 1)) + 0.3 * rng.normal(size=(220, 2))
        monitor = ExchangeabilityMonitor(0.2, random_state=seed).fit(scores[:20])
        monitor.update(scores[20:])
        n_alarms += monitor.alarmed_
    assert n_alarms / 100 <= 0.2 + 2 * 0.04


@pytest.mark.parametrize("changed", [
    lambda rng: rng.normal(1, 1, (100, 2)),
    lambda rng: rng.normal(-1, 1, (100, 2)),
    lambda rng: np.column_stack([rng.normal(size=100), rng.normal(2, 1, 100)]),
    lambda rng: np.zeros((100, 2)),  # the same photo again and again
    lambda rng: np.full((100, 2), np.nan),
])  # fmt: skip
def test_a_change_is_noticed_after_a_quiet_time(changed):
    rng = np.random.default_rng(2)
    monitor = fitted(300, 2)
    monitor.update(rng.normal(size=(1000, 2)))
    assert not monitor.alarmed_
    path = monitor.update(changed(rng))
    assert monitor.alarmed_
    assert 1000 < monitor.alarmed_at_ <= 1100
    first = monitor.alarmed_at_ - 1001
    assert path[first] >= np.log(100) > path[:first].max(initial=-1)
    monitor.update(rng.normal(size=(2000, 2)))  # it stays withdrawn
    assert monitor.alarmed_


def test_one_by_one_as_at_once():
    stream = np.random.default_rng(4).normal(size=(1000, 2))
    once, steps = fitted(n_scores=2), fitted(n_scores=2)
    path = once.update(stream)
    single = np.concatenate([steps.update(row[np.newaxis]) for row in stream])
    np.testing.assert_array_equal(path, single)
    assert steps.log_martingale_ == once.log_martingale_ == path[-1]
    assert steps.n_seen_ == 1000
    assert len(once.update(np.empty((0, 2)))) == 0


def test_fit_begins_anew_and_the_seed_repeats():
    stream = np.random.default_rng(5).normal(2, size=50)
    monitor = fitted()
    first = monitor.update(stream)
    assert monitor.alarmed_
    monitor.fit(np.random.default_rng(9).normal(size=100))
    assert (monitor.alarmed_, monitor.alarmed_at_, monitor.n_seen_) == (False, None, 0)
    np.testing.assert_array_equal(monitor.update(stream), first)


def test_threads_and_copies():
    monitor = fitted()
    stream = np.random.default_rng(6).normal(size=400)
    threads = [threading.Thread(target=monitor.update, args=[part]) for part in
               np.array_split(stream, 8)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.n_seen_ == 400
    again = copy.deepcopy(monitor)
    np.testing.assert_array_equal(again.update(stream), monitor.update(stream))


def test_errors():
    with pytest.raises(ValueError, match=r"alarm_level.*\(0, 1\); got 1"):
        ExchangeabilityMonitor(1).fit([0.0])
    with pytest.raises(ValueError, match="at least one sample"):
        ExchangeabilityMonitor().fit([])
    with pytest.raises(AttributeError, match="call fit first"):
        ExchangeabilityMonitor().update([0.0])
    with pytest.raises(ValueError, match="fitted with 1 scores per sample; got 2"):
        fitted().update(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="have the shape"):
        fitted().update(np.zeros((1, 1, 1)))
