"""Whether a stream of samples is still like those that something was calibrated on.

A guarantee that was set on held-out samples holds for samples that are exchangeable with them. That
can be tested as they come, without labels: some scores of each sample become conformal p-values
(`bag`), against which capital is bet (`bets`); if it grows, they are not exchangeable. There is one
capital per score, and the stake is divided among them. Each is a martingale of its own p-values;
their sum is none, as p-values of one score may foretell those of another. So it is the largest
share that raises the alarm: by a union bound, the level then holds for all together.
"""

import threading
from math import log
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.validation import check_number
from penultimate.evaluation.exchangeability.bag import Bag
from penultimate.evaluation.exchangeability.bets import Bettor


class ExchangeabilityMonitor:
    r"""Notice when samples are no longer like those that a model was calibrated on.

    It is a conformal test martingale: capital that is bet, at fair odds, against the
    exchangeability of the samples that come in with those of `fit`. As long as they are
    exchangeable, it ever reaches :math:`1 / \alpha` with a probability of at most :math:`\alpha`,
    the `alarm_level`, however many samples come, and however few there were in `fit` (Ville's
    inequality). So there is an alarm when it does, which stays until the next `fit`.

    Samples are described by one or several scores, such as how unlike the known samples each one
    is, and how sure a classifier is of it. A drift that no score shows is not noticed.

    Parameters
    ----------
    alarm_level : float, default=0.01
        Probability with which exchangeable samples ever raise an alarm, at most.
    random_state : int or None, default=None
        Breaks ties among scores. It must have been chosen without a look at the samples; the same
        number and the same samples give the same result.

    Attributes
    ----------
    log_martingale_ : float
        Natural logarithm of the capital of the score that has the most. Scores share the capital:
        with two of them, it is the logarithm of 1 / 2 after `fit`.
    alarmed_ : bool
        Whether it has ever reached ``1 / alarm_level``.
    alarmed_at_ : int or None
        How many samples had come by then.
    n_seen_ : int
        Number of samples since `fit`.
    n_calibration_ : int
        Number of samples in `fit`.

    Notes
    -----
    Exchangeable means: any order of the samples is as likely as any other. A stream that is sorted
    by class is not, nor are neighboring frames of a film, or the same photo sent many times; they
    raise an alarm, too. What comes in joins what later samples are compared with, so a change has
    to be noticed before it has become the rule.

    Methods may be called from several threads.

    References
    ----------
    V. Vovk, I. Petej, I. Nouretdinov, E. Ahlberg, L. Carlsson and A. Gammerman, "Retrain or not
    retrain: conformal test martingales for change-point detection", COPA 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import ExchangeabilityMonitor
    >>> rng = np.random.default_rng(0)
    >>> monitor = ExchangeabilityMonitor(random_state=0).fit(rng.normal(size=200))
    >>> _ = monitor.update(rng.normal(size=1000))
    >>> monitor.alarmed_
    False
    >>> _ = monitor.update(rng.normal(1, size=100))
    >>> monitor.alarmed_, monitor.alarmed_at_
    (True, 1048)
    """

    def __init__(self, alarm_level: float = 0.01, *, random_state: int | None = None) -> None:
        self.alarm_level = alarm_level
        self.random_state = random_state
        self._lock = threading.Lock()

    def fit(self, scores: ArrayLike) -> Self:
        """Begin anew, with samples that the model was not fitted on.

        Parameters
        ----------
        scores : array-like of shape (n_samples,) or (n_samples, n_scores)
            Of samples like those that are expected. NaN is above all numbers.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no sample.
        """
        owner = type(self).__name__
        check_number(
            self.alarm_level, "alarm_level", owner, low=0, high=1, open_low=True, open_high=True
        )
        rows = _as_rows(scores)
        if not rows.size:
            raise ValueError(
                f"{owner} needs at least one sample to compare with; got scores of shape "
                f"{rows.shape}. Pass those of held-out samples."
            )
        seeds = np.random.SeedSequence(self.random_state).spawn(rows.shape[1])
        with self._lock:
            self._bags = [
                Bag(column, np.random.default_rng(seed)) for column, seed in zip(rows.T, seeds)
            ]
            self._bettors = [Bettor() for _ in self._bags]
            self.n_calibration_, self.n_seen_ = len(rows), 0
            self.log_martingale_ = -log(len(self._bags))
            self.alarmed_ = False
            self.alarmed_at_: int | None = None
        return self

    def update(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Bet on samples in the order in which they came.

        Parameters
        ----------
        scores : array-like of shape (n_samples,) or (n_samples, n_scores)
            As in `fit`. In several parts they give the same as in one.

        Returns
        -------
        ndarray of shape (n_samples,)
            `log_martingale_` after each sample.

        Raises
        ------
        ValueError
            If there are other scores than in `fit`.
        """
        owner = type(self).__name__
        if not hasattr(self, "_bags"):
            raise AttributeError(f"This {owner} is not fitted yet; call fit first.")
        rows = _as_rows(scores)
        with self._lock:
            if rows.shape[1] != len(self._bags):
                raise ValueError(
                    f"{owner} was fitted with {len(self._bags)} scores per sample; got "
                    f"{rows.shape[1]}. Pass the same ones."
                )
            capital = np.empty(rows.shape)
            for k, (bag, bettor) in enumerate(zip(self._bags, self._bettors)):
                capital[:, k] = [bettor.bet(p) for p in bag.p_values(rows[:, k]).tolist()]
            path = np.log(capital.max(axis=1) / len(self._bags)) if len(rows) else np.empty(0)
            reached = np.flatnonzero(path >= -log(self.alarm_level))
            if len(reached) and not self.alarmed_:
                self.alarmed_, self.alarmed_at_ = True, self.n_seen_ + int(reached[0]) + 1
            if len(rows):
                self.log_martingale_ = float(path[-1])
            self.n_seen_ += len(rows)
        return path

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._lock = threading.Lock()


def _as_rows(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64)
    if values.ndim == 1:
        return values[:, np.newaxis]
    if values.ndim != 2:
        raise ValueError(f"Scores have the shape (n_samples, n_scores); got {values.shape}.")
    return values
