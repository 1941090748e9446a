"""How long a comparison will still take, estimated while it runs.

Networks take most of the time, and the time of a network is proportional to the share of it that is
trained. So the rate is the time over the share, summed over all trainings so far, and what is left
is that rate times the networks that are left. All other time (compiling, extracting features,
fitting heads) is divided among the scores that it led to, and charged to the scores that are left;
before the first score the estimate is of the networks alone, and is announced as such.

A network that is not trained here computes the features of all samples once, before the first head:
its images per second, from the second batch on, give the time of the rest. That time is over when
heads are scored, and is charged to none of them.

On large images the first step takes a minute. Until then, the rate is one that the training has
foreseen from a forward pass over a few of them.
"""

import time
from collections.abc import Callable

from penultimate._common.progress import Progress, in_words

_TRAINING, _EXTRACTION = "train network", "extract features"
# Training seconds on which an estimate can stand: a few steps vary by half, and with small data
# they are over in a tenth of a second.
_SURE = 3.0
_LONG = 60.0  # seconds from which the user is told in advance
_VERY_LONG = 300.0  # and from which also how to shorten it


class Schedule(Progress):
    """Passes progress on to an observer, with the number of the network and the time left.

    Parameters
    ----------
    observer : Progress
        May be replaced while the comparison runs.
    n_networks : int
        Networks that will be trained.
    n_scores : int
        Scores that will be reported: one per method and seed.
    work : str
        What is being done, in words, for the message about a long run.
    shorter : str
        What would take less time, in words; may be empty.
    stopping : str
        What comes of stopping it, in words.
    now : callable, default=time.perf_counter
        The clock.

    Examples
    --------
    >>> from penultimate._common.progress import Progress
    >>> from penultimate.comparison.schedule import Schedule
    >>> times = iter([0, 0, 5, 15])
    >>> schedule = Schedule(Progress(), 2, 2, "2 networks", now=lambda: next(times))
    >>> for done in range(3):
    ...     schedule.update("train network", done, 10)
    >>> schedule.seconds_left()
    180.0
    """

    def __init__(
        self,
        observer: Progress,
        n_networks: int,
        n_scores: int,
        work: str,
        shorter: str = "",
        stopping: str = "Ctrl-C stops it, and reports what is finished by then.",
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.observer = observer
        self.n_networks, self.n_scores = n_networks, n_scores
        self.work, self.shorter, self.stopping = work, shorter, stopping
        self.now = now
        self.network = self.n_scored = 0
        self._begun = now()
        self._n_units = 1.0
        self._seconds = self._shares = 0.0  # of trainings, without the first steps of each
        self._share: float | None = None  # of the network in training; None between two
        self._last: float | None = None
        self._foreseen: float | None = None  # seconds of a whole network
        self._extraction: list[
            tuple[float, float, float]
        ] = []  # the time, and what was done of what
        self._once = 0.0  # seconds until the features of a frozen network were there
        self._announced: set[bool] = set()

    def update(self, step: str, done: float, total: float) -> None:
        """Take note of a training, and pass the step on."""
        if step == _TRAINING:
            self._n_units = total
            self._train(done / total)
            self._expect()
        elif step == _EXTRACTION and not self.n_networks and not self.n_scored:
            self._extraction.append((self.now(), done, total))
            if done >= total:
                self._once = self.now() - self._begun
            self._expect()
        self.observer.update(step, done, total)

    def foresees(self, step: str, seconds: float) -> None:
        """Take a guess of the seconds per unit of a training, until there is a measurement."""
        if step == _TRAINING:
            self._foreseen = seconds * self._n_units
            self._expect()

    def tests_on(self, n_samples: int) -> None:
        """Pass the number on."""
        self.observer.tests_on(n_samples)

    def scored(self, method: str, seed: int, accuracy: float) -> None:
        """Count the score, and pass it on."""
        self.n_scored += 1
        self._expect()
        self.observer.scored(method, seed, accuracy)

    def message(self, text: str) -> None:
        """Pass the message on."""
        self.observer.message(text)

    def seconds_left(self) -> float | None:
        """Return the estimated seconds until the end; None until there is something to go by."""
        networks = self.n_networks - self.network + (0 if self._share is None else 1 - self._share)
        # A resumed training that was complete takes no time and says nothing about the others.
        if networks > 0 and self._seconds < _SURE:
            if self._foreseen is None:
                return None
            rate = self._foreseen
        else:
            rate = self._seconds / self._shares if self._shares else 0.0
        if not self.n_scored:
            return rate * networks if self.n_networks else self._extraction_left()
        other = (self.now() - self._begun - self._seconds - self._once) / self.n_scored
        return rate * networks + other * (self.n_scores - self.n_scored)

    def _extraction_left(self) -> float | None:
        """Return the seconds that a frozen network still takes; None if it is not at work."""
        if len(self._extraction) < 2 or self._once:
            return None
        # The first batch has the start of the threads and of the session in it.
        (began, first, _), (now, done, total) = self._extraction[0], self._extraction[-1]
        return (now - began) / (done - first) * (total - done) if done > first else None

    def _expect(self) -> None:
        left = self.seconds_left()
        # The time of an extraction says nothing about the heads, which are announced on their own.
        stage = self.n_networks > 0 or self.n_scored > 0
        if left is not None and stage not in self._announced:
            self._announced.add(stage)
            self._announce(left)
        self.observer.expects(self.network, self.n_networks, left)

    def _train(self, share: float) -> None:
        now = self.now()
        if self._share is None:
            self.network += 1
        elif self._last is not None:
            self._seconds += now - self._last
            self._shares += share - self._share
        # From the first report to the second, the network is compiled: that time is not counted.
        self._last = now if self._share is not None else None
        self._share = share if share < 1 else None

    def _announce(self, left: float) -> None:
        if left < _LONG:
            return
        until = time.strftime("%H:%M", time.localtime(time.time() + left))
        span = f"takes {in_words(left)}, until {until}"
        # How long heads take is not known before the first one is scored.
        what = "Training" if self.n_networks else "The extraction of features"
        text = f"This {span}" if self.n_scored else f"{what} {span}, without the classifiers"
        text += f": {self.work}." if self.work else "."
        if left >= _VERY_LONG:
            text += " ".join(["", *filter(None, (self.shorter, self.stopping))])
        self.observer.message(text)
