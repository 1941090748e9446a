from types import SimpleNamespace

import pytest

from penultimate._common.progress import Progress
from penultimate.comparison.schedule import Schedule


class Listener(Progress):
    def __init__(self):
        self.expected, self.messages = [], []

    def expects(self, network, n_networks, seconds):
        self.expected.append((network, n_networks, seconds))

    def message(self, text):
        self.messages.append(text)


@pytest.fixture
def clock():
    return SimpleNamespace(seconds=0.0)


def schedule_of(clock, n_networks, n_scores):
    return Schedule(
        Listener(),
        n_networks,
        n_scores,
        "much work",
        "Less time: --image-size 64.",
        now=lambda: clock.seconds,
    )


def train(schedule, clock, *, epoch, compiling=0.0, first=0, last=10):
    """Train a network of ten epochs."""
    schedule.update("train network", first, 10)
    clock.seconds += compiling
    for done in range(first + 1, last + 1):
        clock.seconds += epoch
        schedule.update("train network", done, 10)


def test_what_is_left_is_the_rate_times_the_networks_and_scores_left(clock):
    schedule = schedule_of(clock, 3, 6)
    train(schedule, clock, epoch=2, compiling=5)
    # The first epoch has the compilation in it, and is not counted.
    assert schedule.seconds_left() == pytest.approx(2 * 20)
    for _ in range(2):
        clock.seconds += 4
        schedule.scored("any", 0, 0.5)
    # Two scores took 8 seconds, 5 of compilation and the 2 of its epoch.
    assert schedule.seconds_left() == pytest.approx(2 * 20 + 4 * (8 + 5 + 2) / 2)


def test_no_estimate_from_less_than_three_seconds(clock):
    schedule = schedule_of(clock, 2, 2)
    train(schedule, clock, epoch=0.25)
    assert {seconds for _, _, seconds in schedule.observer.expected} == {None}
    train(schedule, clock, epoch=0.25)
    first = next(each for each in schedule.observer.expected if each[2] is not None)
    assert first == (2, 2, pytest.approx(6 * 0.25))


def test_networks_are_counted_even_if_they_are_resumed(clock):
    schedule = schedule_of(clock, 3, 3)
    schedule.update("train network", 10, 10)  # was complete in the checkpoint
    assert schedule.observer.expected == [(1, 3, None)]
    train(schedule, clock, epoch=2, first=4)
    assert schedule.observer.expected[-1] == (2, 3, pytest.approx(20))


def test_without_networks_scores_are_all_there_is(clock):
    schedule = schedule_of(clock, 0, 4)
    clock.seconds = 7
    schedule.scored("any", 0, 0.5)
    assert schedule.seconds_left() == pytest.approx(21)


@pytest.mark.parametrize(
    ("epoch", "told"),
    [
        (2, []),
        (8, ["Training takes about 4 min, until"]),
        (100, ["Training takes about 47 min, until"]),
    ],
)
def test_a_long_comparison_says_so_once_and_at_once(clock, epoch, told):
    schedule = schedule_of(clock, 3, 3)
    train(schedule, clock, epoch=epoch)
    train(schedule, clock, epoch=epoch)
    assert [text[: len(start)] for text, start in zip(schedule.observer.messages, told)] == told
    assert len(schedule.observer.messages) == len(told)
    assert all(
        ", without the classifiers: much work." in text for text in schedule.observer.messages
    )
    assert ("--image-size" in "".join(schedule.observer.messages)) == (epoch == 100)


def test_a_guess_counts_until_there_is_a_measurement(clock):
    schedule = schedule_of(clock, 2, 2)
    schedule.update("train network", 0, 10)
    schedule.foresees("train network", 60)
    assert schedule.observer.expected[-1] == (1, 2, 2 * 600)
    assert schedule.observer.messages[0].startswith("Training takes about 20 min")
    clock.seconds = 90
    schedule.update("train network", 1, 10)  # the first step, with the compilation
    assert schedule.observer.expected[-1] == (1, 2, pytest.approx(19 * 60))
    clock.seconds += 50
    schedule.update("train network", 2, 10)
    assert schedule.observer.expected[-1] == (1, 2, pytest.approx(18 * 50))
    assert len(schedule.observer.messages) == 1


def test_heads_alone_are_announced_after_the_first(clock):
    schedule = schedule_of(clock, 0, 4)
    clock.seconds = 40
    schedule.scored("any", 0, 0.5)
    assert schedule.observer.expected == [(0, 0, pytest.approx(120))]
    assert schedule.observer.messages[0].startswith("This takes about 2 min, until")


def test_a_frozen_network_is_foreseen_by_its_images_per_second_and_charged_to_no_head(clock):
    schedule = schedule_of(clock, 0, 5)
    clock.seconds = 30  # until the session has started, and the first batch is there
    schedule.update("extract features", 10, 110)
    assert schedule.observer.expected == [(0, 0, None)]
    clock.seconds += 40
    schedule.update("extract features", 50, 110)
    assert schedule.observer.expected[-1] == (0, 0, pytest.approx(60))
    clock.seconds += 60
    schedule.update("extract features", 110, 110)
    assert schedule.observer.expected[-1] == (0, 0, None)
    clock.seconds += 2
    schedule.scored("any", 0, 0.5)
    assert schedule.observer.expected[-1] == (0, 0, pytest.approx(8))
    (message,) = schedule.observer.messages
    assert message.startswith("The extraction of features takes about 60 s, until")
    assert "without the classifiers: much work." in message
