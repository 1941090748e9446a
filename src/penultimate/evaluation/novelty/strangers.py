"""Which classes would be noticed if they were strangers: each is left out in turn.

A detector is fitted without the class, and meets held-out samples of it, and of the others. One
half of the held-out samples sets the threshold for the other half, and the other way round, so that
each is judged once, by a threshold that it had no part in. The samples are all of development: what
was held out from the network, where there is one, is held out here, too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate._common.wording import quantity
from penultimate.evaluation.intervals.accuracy import Interval, accuracy_interval
from penultimate.evaluation.intervals.areas import area_interval
from penultimate.evaluation.novelty.conformal import check_enough
from penultimate.evaluation.novelty.detector import NoveltyDetector, fit_with
from penultimate.splits.units import draw_groups, draw_samples, join_copies

MOST_CLASSES = 20  # that are left out; a detector is fitted for each


@dataclass(frozen=True)
class Stranger:
    """A class that was left out, and how it was met.

    Attributes
    ----------
    code : int
        Index of the class.
    n_samples : int
        Number of its held-out samples.
    area : Interval
        Area under the ROC curve: the chance that one of them is less like the known classes than a
        held-out sample of these is.
    noticed : Interval
        Share of them that was called novel.
    criterion : str
        The score that was chosen without the class.
    """

    code: int
    n_samples: int
    area: Interval
    noticed: Interval
    criterion: str


@dataclass(frozen=True)
class Strangers:
    """What leaving out each class in turn has shown.

    Attributes
    ----------
    false_alarm_rate : float
        The rate that was asked for.
    false_alarms : Interval
        Share of all held-out samples that was called novel with no class left out.
    rows : list of Stranger
        By class, the one that is noticed least first.
    n_classes, n_heldout : int
    """

    false_alarm_rate: float
    false_alarms: Interval
    rows: list[Stranger]
    n_classes: int
    n_heldout: int

    def to_dict(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return it as plain data.

        Parameters
        ----------
        classes : tuple of str
            Names of all classes.

        Returns
        -------
        dict
        """
        return {
            "false_alarm_rate": self.false_alarm_rate,
            "false_alarms": _plain(self.false_alarms),
            "n_heldout": self.n_heldout,
            "n_classes": self.n_classes,
            "classes": [
                {
                    "class": classes[row.code],
                    "n_samples": row.n_samples,
                    "auroc": _plain(row.area),
                    "noticed": _plain(row.noticed),
                    "criterion": row.criterion,
                }
                for row in self.rows
            ],
        }


def leave_each_class_out(
    known: tuple[NDArray[Any], NDArray[np.integer]],
    held_out: tuple[NDArray[Any], NDArray[np.integer]],
    false_alarm_rate: float,
    *,
    groups: tuple[NDArray[Any], NDArray[Any]] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Strangers:
    """Leave out each class in turn, and see whether it is noticed.

    Parameters
    ----------
    known, held_out : tuple of (features, class indices)
        What detectors are fitted on, and what they are calibrated and judged with.
    false_alarm_rate : float
    groups : tuple of two ndarray, optional
        The groups of either.
    fingerprints : ndarray of uint64, optional
        Of the held-out samples; copies are in the same half.
    seed : int, default=0
        Controls the halves, the folds in which a score is chosen, and which classes are left out
        if there are more than twenty.
    progress : Progress, optional

    Returns
    -------
    Strangers

    Raises
    ------
    ValueError
        If there is one class only, or half of the held-out samples are too few for the rate.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate.evaluation.novelty.strangers import leave_each_class_out
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> found = leave_each_class_out((X[::2], y[::2]), (X[1::2], y[1::2]), 0.05)
    >>> sorted(row.code for row in found.rows if row.area.low > 0.9)
    [0, 1, 2, 3]
    """
    (X, codes), (new, labels) = known, held_out
    classes = np.unique(codes)
    if len(classes) < 2:
        raise ValueError("With one class, none can be left out; pass samples of two or more.")
    of_known, of_new = groups or (None, None)
    # Classes of a single sample or group are in one half, which is all right here.
    units = join_copies(of_new, fingerprints)
    units = np.arange(len(labels)) if units is None else units
    draw = draw_samples if of_new is None else draw_groups
    second = draw(labels, units, 0.5, seed)
    halves = [np.flatnonzero(second), np.flatnonzero(~second)]

    def judge(left_out: int | None) -> "_Judged":
        rows = codes != left_out
        detector = NoveltyDetector(false_alarm_rate, random_state=seed)
        return _Judged.by(
            detector,
            (X[rows], codes[rows], None if of_known is None else of_known[rows]),
            new,
            halves,
            labels != left_out,
        )

    tested = classes
    if len(classes) > MOST_CLASSES:
        tested = np.sort(np.random.default_rng(seed).permutation(classes)[:MOST_CLASSES])
    rows = []
    tested = np.intersect1d(tested, labels).tolist()
    for done, code in enumerate(tested):
        progress.update("leave each class out", done, len(tested) + 1)
        judged, strange = judge(code), labels == code
        rows.append(
            Stranger(
                code,
                int(strange.sum()),
                area_interval(
                    judged.unlikeness[strange],
                    judged.unlikeness[~strange],
                    groups=None if of_new is None else (of_new[strange], of_new[~strange]),
                ),
                accuracy_interval(
                    judged.novel[strange], groups=None if of_new is None else of_new[strange]
                ),
                judged.criterion,
            )
        )
    alarms = accuracy_interval(judge(None).novel, groups=of_new)
    progress.update("leave each class out", len(tested) + 1, len(tested) + 1)
    rows.sort(key=lambda row: (row.noticed.value, row.area.value))
    return Strangers(false_alarm_rate, alarms, rows, len(classes), len(labels))


@dataclass(frozen=True)
class _Judged:
    """Held-out samples, as a detector sees them that was calibrated with others."""

    unlikeness: NDArray[np.float64]
    novel: NDArray[np.bool_]
    criterion: str

    @classmethod
    def by(
        cls,
        detector: NoveltyDetector,
        known: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
        new: NDArray[Any],
        halves: list[NDArray[np.int64]],
        may_calibrate: NDArray[np.bool_],
    ) -> "_Judged":
        X, y, groups = known
        novel = np.zeros(len(new), bool)
        for one, other in (halves, halves[::-1]):
            rows = one[may_calibrate[one]]
            check_enough(detector.false_alarm_rate, len(rows))
            if not hasattr(detector, "criterion_"):
                fit_with(detector, X, y, groups, new[rows])
            else:  # the score does not depend on what sets the threshold
                detector.calibrate(new[rows])
            novel[other] = detector.predict(new[other]) == -1
        return cls(-detector.score_samples(new), novel, detector.criterion_)


def in_words(found: dict[str, Any]) -> str:
    """Say in a sentence which classes would be noticed.

    Parameters
    ----------
    found : dict
        As `Strangers.to_dict` returns it.

    Returns
    -------
    str
    """
    rows = found["classes"]
    noticed = sum(row["noticed"]["ci95"][0] > 0.5 for row in rows)
    missed = [row["class"] for row in rows if row["noticed"]["ci95"][1] < 0.5]
    n_open = len(rows) - noticed - len(missed)
    others = []
    if missed:
        more = "" if len(missed) <= 5 else f" and {len(missed) - 5} more"
        others.append(f"most of {', '.join(missed[:5])}{more} would pass as known")
    if n_open:
        others.append(f"for {n_open} these samples do not decide")
    said = f"{noticed} of {quantity(len(rows), 'class', 'classes')} would mostly be noticed"
    return (
        f"As strangers, at {100 * found['false_alarm_rate']:g} % false alarms, {said}"
        f"{'; ' if others else ''}{', and '.join(others)}."
    )


def _plain(interval: Interval) -> dict[str, Any]:
    return {"value": interval.value, "ci95": [interval.low, interval.high]}
