"""A detector of samples that are like no class it knows, at a false-alarm rate that holds.

The samples are split. On one part a score of unlikeness is chosen (`choosing`) and fitted; the
other part, which neither has seen, sets the threshold (`conformal`).
"""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._common.frames import level_outside
from penultimate._common.labels import check_labels
from penultimate._common.protocols import RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.validation import check_choice, check_number, check_per_sample
from penultimate.evaluation.novelty.choosing import CHOICES, LEAST_CLASSES, try_scores
from penultimate.evaluation.novelty.conformal import Calibration, check_enough, pool_classes
from penultimate.evaluation.novelty.scores import SCORES
from penultimate.provenance.fingerprints import copy_prints
from penultimate.selection.normalization import (
    Normalization,
    check_normalizations,
    make_normalization,
)
from penultimate.splits.draw import split_folds, split_samples
from penultimate.splits.parts import Split

_FOLDS = 3  # in which scores are tried
_FLOATS = (np.float64, np.float32)


class NoveltyDetector(OutlierMixin, BaseEstimator):
    r"""Recognize samples that belong to none of the classes, at a chosen false-alarm rate.

    A score says how unlike the known samples a new one is. It is one of three, or the mean of
    several of them, standardized:

    - ``"nearest"``: the distance to the nearest known sample,
    - ``"margin"``: the largest class margin of an SVM, negated,
    - ``"mahalanobis"``: the Mahalanobis distance to the nearest class mean, with one covariance
      within classes (shrunk as by Ledoit and Wolf).

    Which score is used is decided without examples of what is to be recognized: each class is left
    out in turn, and the score that tells its samples from the others best, on average, is taken.

    Part of the samples is held out to set the threshold (split conformal prediction): a sample is
    called novel if fewer than :math:`\alpha (n + 1)` of n held-out samples, the sample itself
    included, are at least as unlike. So a sample of a known class is called novel with a
    probability of at most `false_alarm_rate`, whatever the score and the distribution, if it comes
    from the distribution of the held-out samples.

    Parameters
    ----------
    false_alarm_rate : float, default=0.05
        Probability with which a sample of a known class may be called novel. It takes at least
        ``1 / false_alarm_rate - 1`` held-out samples: 19 for 0.05, and 99 for 0.01.
    criterion : str, default="auto"
        ``"nearest"``, ``"margin"``, ``"mahalanobis"``, or several joined by ``"+"``, such as
        ``"nearest+margin"``. ``"auto"`` decides as described; with fewer than three classes, or
        a class of which one sample is left to fit on, nothing can be tried, and it is
        ``"nearest"``.
    normalization : {"l2", "standardize", "sqrt-l2", None}, default="l2"
        Normalization of the features. The default keeps the direction of a sample only, which
        suits the features of networks. For a few measurements, ``"standardize"`` is better.
    per_class : bool, default=True
        Whether classes have a threshold of their own, applied to samples that are most like them:
        then the rate holds for these, too. Classes for which too few samples are held out share
        one. False sets one threshold for all.
    holdout : float, default=0.2
        Share of the samples that is held out.
    random_state : int, RandomState instance or None, default=None
        Controls the split and the folds.

    Attributes
    ----------
    criterion_ : str
        The score that is used.
    areas_ : dict of str to ndarray of shape (n_classes,)
        For each score that could be chosen, the area under the ROC curve by the class that was left
        out, in the order of `classes_`. Of more than ten classes ten are left out, the others have
        NaN. Empty if nothing could be tried.
    classes_ : ndarray of shape (n_classes,)
        The known classes; a single one without labels.
    offset_ : ndarray of shape (n_classes,)
        The value of `score_samples` below which a sample that is most like a class is called novel.
    calibrated_alone_ : ndarray of shape (n_classes,), bool
        Which classes have a threshold of their own. The others share one.
    n_heldout_ : int
        Number of held-out samples.
    n_features_in_ : int
        Number of features.

    Notes
    -----
    The rate is that over repeated draws of the held-out samples. For one draw of n of them it
    deviates with a standard deviation of about :math:`\sqrt{\alpha (1 - \alpha) / n}`: .7 points
    for 5 % and 1,000 samples, 2.2 points for 100.

    It presumes that samples are exchangeable with the held-out ones. Those of another camera,
    writer or year are not, even if a person would give them the same class. Pass `groups`, and no
    group is on both sides of the split; the rate for new groups is then measured on few groups,
    not on many samples. Exact copies are kept on one side as well; near-duplicates, such as
    neighboring frames, are not found, and make known samples look nearer than new ones will be.

    Nothing is promised about how many strangers are recognized: `areas_` estimates it for those
    that are as unlike the classes as these are unlike each other. A network that was trained on
    all classes has learned to tell them apart, so it is optimistic about strangers.

    `fit_predict` judges samples by themselves: nearly all are then known.

    References
    ----------
    V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world", 2nd edition,
    Springer, 2022.
    S. Bates, E. Candès, L. Lei, Y. Romano and M. Sesia, "Testing for outliers with conformal
    p-values", Annals of Statistics 51(1), 2023.
    K. Lee, K. Lee, H. Lee and J. Shin, "A simple unified framework for detecting
    out-of-distribution samples and adversarial attacks", NeurIPS 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate import NoveltyDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 8
    >>> detector = NoveltyDetector(random_state=0).fit(X[known][::2], y[known][::2])
    >>> alarms = detector.predict(X[known][1::2]) == -1
    >>> found = detector.predict(X[~known]) == -1
    >>> print(f"{alarms.mean():.2f} {found.mean():.2f}")
    0.05 0.94
    """

    def __init__(
        self,
        false_alarm_rate: float = 0.05,
        *,
        criterion: str = "auto",
        normalization: Normalization = "l2",
        per_class: bool = True,
        holdout: float = 0.2,
        random_state: RandomState = None,
    ) -> None:
        self.false_alarm_rate = false_alarm_rate
        self.criterion = criterion
        self.normalization = normalization
        self.per_class = per_class
        self.holdout = holdout
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        is_heldout: ArrayLike | None = None,
    ) -> Self:
        """Choose and fit a score on part of the samples, and set the threshold on the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of known samples.
        y : array-like of shape (n_samples,), optional
            Their labels, of any type. Without, all are of one class.
        groups : array-like of shape (n_samples,), optional
            Groups, such as writers; none is on both sides of a split.
        is_heldout : array-like of shape (n_samples,), bool, optional
            The samples that set the threshold, instead of a draw.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or fewer samples are held out than the rate
            needs.

        Warns
        -----
        UserWarning
            If too few held-out samples are most like some classes: samples like these are then
            never called novel.
        """
        self._check_parameters()
        owner = type(self).__name__
        rows: NDArray[Any] = validate_data(self, X, dtype=_FLOATS, ensure_min_samples=2)
        y = np.zeros(len(rows), np.int64) if y is None else check_labels(y, len(rows), n_classes=1)
        groups = check_per_sample(groups, len(rows), "groups", owner)
        seed, prints = draw_seed(self.random_state), copy_prints(rows)
        if is_heldout is None:
            check_enough(self.false_alarm_rate, round(self.holdout * len(rows)), len(rows))
            split = split_samples(y, groups, self.holdout, fingerprints=prints, seed=seed)
        else:
            mask = np.asarray(check_per_sample(is_heldout, len(rows), "is_heldout", owner))
            split = Split(np.flatnonzero(~mask), np.flatnonzero(mask))
        check_enough(self.false_alarm_rate, len(split.held_out), len(rows))
        train = split.train
        folds = []
        if self._needs_folds(y[train]):
            folds = split_folds(
                y[train],
                groups=None if groups is None else groups[train],
                fingerprints=None if prints is None else prints[train],
                n_folds=_FOLDS,
                seed=seed,
            )
        return self._fit_parts(rows[train], y[train], rows[split.held_out], folds, seed)

    def _fit_parts(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        held_out: NDArray[Any],
        folds: list[Split],
        seed: int,
    ) -> Self:
        """Fit to one part, in whose folds scores are tried, and calibrate with the other."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._normalization = make_normalization(self.normalization).fit(X)
        rows = self._normalization.transform(X)
        self.areas_: dict[str, NDArray[np.float64]] = {}
        self._scales = dict.fromkeys(SCORES, (0.0, 1.0))
        self.criterion_ = "nearest" if self.criterion == "auto" else self.criterion
        if folds:
            names = tuple(SCORES) if self.criterion == "auto" else tuple(self.criterion.split("+"))
            trial = try_scores(rows, codes, folds, names, seed)
            self.areas_, self._scales = trial.areas, trial.scales
            if self.criterion == "auto" and trial.areas:
                self.criterion_ = trial.best()
        elif "+" in self.criterion:
            raise ValueError(
                f"criterion={self.criterion!r} takes at least 2 samples per class to fit on, with "
                "which the scores are made comparable. Use a single score, such as 'nearest'."
            )
        self._scores = {
            name: SCORES[name]().fit(rows, codes) for name in self.criterion_.split("+")
        }
        self._n_fitted = np.bincount(codes)
        self._set_thresholds(held_out)
        return self

    def calibrate(self, X: ArrayLike) -> Self:
        """Set the threshold anew, with other held-out samples; the score stays as it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of samples of known classes that the score was not fitted on.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are fewer samples than the rate needs.

        Warns
        -----
        UserWarning
            As of `fit`.
        """
        rows = self._checked(X)
        check_enough(self.false_alarm_rate, len(rows))
        self._set_thresholds(rows)
        return self

    def _set_thresholds(self, held_out: NDArray[Any]) -> None:
        self.n_heldout_ = len(held_out)
        groups = np.zeros(len(self.classes_), np.int64)
        if self.per_class:
            groups = pool_classes(self._n_fitted, len(held_out), self.false_alarm_rate)
        self._calibration = Calibration.of(*self._compare(held_out), groups)
        self.offset_ = -self._calibration.thresholds(self.false_alarm_rate)
        self.calibrated_alone_ = np.bincount(groups)[groups] == 1
        silent = np.isinf(self.offset_)
        if silent.any():
            warnings.warn(
                f"Too few held-out samples are most like {silent.sum()} of {len(silent)} classes, "
                f"such as {self.classes_[silent].tolist()[0]!r}: samples like these are never "
                "called novel. Pass more samples, or per_class=False.",
                UserWarning,
                stacklevel=level_outside(),
            )

    def _needs_folds(self, y: NDArray[Any]) -> bool:
        single = self.criterion in SCORES
        n_classes = len(np.unique(y))
        return not single and (self.criterion != "auto" or n_classes >= LEAST_CLASSES)

    def _check_parameters(self) -> None:
        owner = type(self).__name__
        for name in ("false_alarm_rate", "holdout"):
            value = getattr(self, name)
            check_number(value, name, owner, low=0, high=1, open_low=True, open_high=True)
        check_choice(self.criterion, "criterion", owner, ("auto", *CHOICES))
        check_normalizations(self.normalization, owner)
        if isinstance(self.normalization, (list, tuple)):
            raise TypeError(
                f"The 'normalization' parameter of {owner} must be one name or None; got "
                f"{self.normalization!r}."
            )

    def _compare(self, X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the unlikeness of samples, and the class that each is most like."""
        rows = self._normalization.transform(X)
        total, most_like = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
        names = self.criterion_.split("+")
        for name in reversed(names):
            per_class = self._scores[name].per_class(self._scores[name].against(rows))
            # By the first score alone: each is least for some class, but not for the same one.
            most_like = per_class.argmin(axis=1)
            mean, deviation = self._scales[name] if len(names) > 1 else (0.0, 1.0)
            total += (per_class.min(axis=1) - mean) / deviation
        return total / len(names), most_like

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        return validate_data(self, X, dtype=_FLOATS, reset=False)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute how like the known classes samples are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            The negated criterion: lower is less like any class.
        """
        return -self._compare(self._checked(X))[0]

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute how far samples are from being called novel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            `score_samples` minus the offset of the class that a sample is most like; negative for
            novel samples.
        """
        unlikeness, most_like = self._compare(self._checked(X))
        return -unlikeness - self.offset_[most_like]

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the conformal p-value of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            A sample is called novel if its p-value is at most `false_alarm_rate`. For samples of
            known classes, p-values of at most p have a probability of at most p, for every p.
        """
        return self._calibration.p_values(*self._compare(self._checked(X)))

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Say which samples are like a known class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            1 for samples that may be of a known class, -1 for novel ones.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)


def fit_with(
    detector: NoveltyDetector,
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    held_out: NDArray[Any],
) -> NoveltyDetector:
    """Fit a detector to known samples, and calibrate it with others, which need no labels.

    Parameters
    ----------
    detector : NoveltyDetector
    X, y, groups : ndarray
        Known samples, with labels and groups (or None).
    held_out : ndarray of shape (n_heldout, n_features)

    Returns
    -------
    NoveltyDetector
        The same, fitted.
    """
    n_known, n_heldout = len(X), len(held_out)

    def for_all(values: NDArray[Any]) -> NDArray[Any]:
        # Those of held-out samples serve for nothing.
        return np.concatenate([values, np.repeat(values[:1], n_heldout)])

    return detector.fit(
        np.concatenate([X, held_out]),
        for_all(y),
        groups=None if groups is None else for_all(groups),
        is_heldout=np.arange(n_known + n_heldout) >= n_known,
    )
