"""Compares what a model is shown with the samples in its file that it has not seen.

It needs NumPy alone, as predicting does. Ties are broken by numbers that come from the hash of the
file: nobody chose them for what is shown, and the same images in the same order give the same.
"""

import threading
from dataclasses import dataclass, replace
from math import exp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate.bundle.predictions import Predictions
from penultimate.bundle.predictor import Predictor
from penultimate.bundle.watching_part import TENSOR, WATCH, check_gives, watched_scores
from penultimate.evaluation.exchangeability.monitor import ExchangeabilityMonitor

ALARM_LEVEL = 0.01
_TELLING = 8  # samples that are kept
_RECENT = 500  # samples among which they are
_LARGEST = 1e99  # of a capital that is shown: beyond, it was no longer counted


class Noted(NamedTuple):
    """What was found of some samples.

    Attributes
    ----------
    first : int
        Number of the first one, from 1.
    withdrawn : ndarray of shape (n_samples,), bool
        Whether there had been an alarm when each sample had come.
    telling : list of int
        Positions of those that are among the most telling ones now.
    is_alarm : bool
        Whether it was these that raised it.
    """

    first: int
    withdrawn: NDArray[np.bool_]
    telling: list[int]
    is_alarm: bool


@dataclass(frozen=True)
class Telling:
    """A sample that speaks against the others.

    Attributes
    ----------
    number : int
        Which one it was, from 1.
    factor : float
        By how much it multiplied the capital.
    shown : object
        What it is shown by, such as its name.
    """

    number: int
    factor: float
    shown: Any = None


class Watcher:
    """Watches one model; safe in several threads.

    Parameters
    ----------
    predictor : Predictor
    alarm_level : float, default=0.01
        Probability of an alarm, however many samples come, if all are like those of calibration.

    Raises
    ------
    ValueError
        If the file has no samples to compare with.
    BundleError
        If the graph does not give what they were compared by.

    Examples
    --------
    >>> import numpy as np, tempfile, penultimate
    >>> from penultimate.bundle.watcher import Watcher
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(5, 1, (200, 2))])
    >>> svc = penultimate.SVC().fit(X[::2], np.repeat(["low", "high"], 100))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/model.zip", X, held_out=(X[1::2], None))
    ...     model = penultimate.load(f"{folder}/model.zip")
    >>> watcher = Watcher(model)
    >>> _ = watcher.note(model.predict_all(X[1::2] + 3))
    >>> watcher.is_withdrawn
    True
    """

    def __init__(self, predictor: Predictor, alarm_level: float = ALARM_LEVEL) -> None:
        described = predictor.manifest.watch
        if described is None:
            raise ValueError(
                "The model cannot be watched: its file has no scores of samples that it was not "
                "fitted on. "
                + spelled(
                    "Fit it with a test set (not --test-size 0), by this version of Penultimate.",
                    "Save it with penultimate.save(..., held_out=(X_test, y_test)).",
                )
            )
        from safetensors.numpy import load as load_tensors

        self.alarm_level = alarm_level
        self._names = described["scores"]
        check_gives(self._names, predictor.gives)
        self._calibration = load_tensors(predictor.part(WATCH))[TENSOR]
        self._seed = int(predictor.sha256, 16)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew: nothing was shown yet, and nothing is withdrawn."""
        with self._lock:
            self._monitor = ExchangeabilityMonitor(self.alarm_level, random_state=self._seed)
            self._monitor.fit(self._calibration)
            self._telling: list[Telling] = []

    def note(self, found: Predictions) -> Noted:
        """Take notice of samples, in their order."""
        scores = watched_scores(found, self._names)
        with self._lock:
            monitor = self._monitor
            first, before = monitor.n_seen_ + 1, monitor.log_martingale_
            was_withdrawn = monitor.alarmed_
            path = monitor.update(scores)
            numbers = np.arange(first, first + len(path))
            withdrawn = np.full(len(path), monitor.alarmed_)
            if monitor.alarmed_at_ is not None:
                withdrawn = numbers >= monitor.alarmed_at_
            entered: list[int] = []
            if not was_withdrawn:  # what came after the alarm did not raise it
                last = monitor.alarmed_at_ or monitor.n_seen_
                factors = np.exp(np.diff(path, prepend=before))
                here = [Telling(int(n), float(f)) for n, f in zip(numbers, factors) if n <= last]
                recent = [each for each in self._telling if each.number > last - _RECENT]
                ordered = sorted(recent + here, key=lambda each: each.factor, reverse=True)
                self._telling = [each for each in ordered[:_TELLING] if each.factor > 1]
                entered = [each.number - first for each in self._telling if each.number >= first]
        is_alarm = bool(withdrawn.any()) and not was_withdrawn
        return Noted(first, withdrawn, sorted(entered), is_alarm)

    def show(self, number: int, shown: Any) -> None:
        """Keep what a telling sample is shown by, unless others have taken its place by now."""
        with self._lock:
            self._telling = [
                replace(each, shown=shown) if each.number == number else each
                for each in self._telling
            ]

    @property
    def telling(self) -> list[Telling]:
        """The samples of the recent ones that speak most against the rest; of an alarm, for it."""
        return list(self._telling)

    @property
    def is_withdrawn(self) -> bool:
        """Whether there was an alarm."""
        return self._monitor.alarmed_

    @property
    def withdrawn_at(self) -> int | None:
        """The number of the sample that raised the alarm."""
        return self._monitor.alarmed_at_

    @property
    def n_seen(self) -> int:
        """How many samples were shown."""
        return self._monitor.n_seen_

    @property
    def n_compared(self) -> int:
        """With how many samples in the file they are compared."""
        return self._monitor.n_calibration_

    @property
    def martingale(self) -> float:
        """The capital that was won against the samples' being like those: at 100, an alarm."""
        return min(exp(self._monitor.log_martingale_), _LARGEST)
