"""How well a saved model does on labeled data: its answers, and the figures computed from them.

A sample from which the model abstains has no answer, right or wrong: accuracy, confusions and
figures by class are of the answers. What was promised of abstention is held against all samples.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.wording import quantity
from penultimate.datasets import Dataset
from penultimate.evaluation.intervals.accuracy import Interval, accuracy_interval
from penultimate.evaluation.reliability import expected_calibration_error
from penultimate.results.evaluation_text import against_guessing, against_stated, guarantee_kept
from penultimate.results.method import MethodResult
from penultimate.results.outcome import Outcome, sha256_of

_CONFUSED = 5  # pairs of classes that are listed


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What a saved model does with labeled samples.

    Attributes
    ----------
    model : str
        Name of its file.
    facts : list of (str, str)
        What the file says of itself.
    dataset : Dataset
        With the classes of the model.
    said : ndarray of shape (n_samples,), int
        Class index that the model finds most likely, of every sample.
    answered : ndarray of shape (n_samples,), bool
        Whether it answers.
    probabilities : ndarray of shape (n_samples, n_classes), or None
    margins : ndarray of shape (n_samples,), or None
        Smallest margin of the predicted class against any other.
    confidence : ndarray of shape (n_samples,), or None
        Of a model that may abstain.
    routed : ndarray of shape (n_samples,), str, or None
        Of specialists: the subset that each sample was sent to.
    abstention, stated : dict or None
        What the file says of abstention, and of the accuracy to expect.
    leak : str
        What the model had seen, if that was not refused; or why that cannot be told.
    signed_by : str or None
        Fingerprint of the key that the model's signature was verified with.
    checks, check_states : list of dict
        As in a comparison.
    """

    model: str
    facts: list[tuple[str, str]]
    dataset: Dataset
    said: NDArray[np.int64]
    answered: NDArray[np.bool_]
    probabilities: NDArray[np.floating] | None = None
    margins: NDArray[np.floating] | None = None
    confidence: NDArray[np.floating] | None = None
    routed: NDArray[np.str_] | None = None
    abstention: dict[str, Any] | None = None
    stated: dict[str, Any] | None = None
    leak: str = ""
    signed_by: str | None = None
    checks: list[dict[str, str]] = field(default_factory=list)
    check_states: list[dict[str, str]] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Names of the model's classes, in the order of all figures."""
        return list(self.dataset.classes)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.said)

    @property
    def n_answered(self) -> int:
        """Number of samples that got an answer."""
        return int(self.answered.sum())

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the most likely class is the label, of every sample."""
        return self.said == self.dataset.labels

    @cached_property
    def sureness(self) -> NDArray[np.floating] | None:
        """How sure the model is of each sample, by whatever it says of that."""
        if self.confidence is not None:
            return self.confidence
        if self.probabilities is not None:
            return self.probabilities.max(axis=1)
        return self.margins

    def outcome(self, samples: NDArray[np.int64] | None = None) -> Outcome:
        """Return the answers as the outcome of a comparison of one method.

        Parameters
        ----------
        samples : ndarray of int, optional
            Positions, in the order in which the outcome has them; by default all that got an
            answer.

        Returns
        -------
        Outcome
        """
        chosen = np.flatnonzero(self.answered) if samples is None else samples
        method = MethodResult(
            self.model,
            control=False,
            knows_subset=False,
            predictions=self.said[chosen][np.newaxis],
            fits={},
            probabilities=None
            if self.probabilities is None
            else self.probabilities[chosen][np.newaxis].astype(np.float32),
            calibrated=True,
            margins=None
            if self.margins is None
            else self.margins[chosen][np.newaxis].astype(np.float32),
        )
        protocol = {
            "headline": self.model,
            "subsets": self.routed is not None,
            "seeds": [0],
            "groups": self.groups is not None,
        }
        return Outcome(
            self.dataset,
            chosen,
            [0],
            [method],
            [],
            protocol,
            self.checks,
            check_states=self.check_states,
        )

    @property
    def groups(self) -> NDArray[Any] | None:
        """The group of each sample, if the data has groups."""
        return self.dataset.groups

    def share(self, holds: NDArray[np.bool_], of: NDArray[np.bool_]) -> Interval | None:
        """Return how many of some samples have a property, with its interval; None of none."""
        if not of.any():
            return None
        return accuracy_interval(holds[of], groups=None if self.groups is None else self.groups[of])

    @cached_property
    def accuracy(self) -> Interval | None:
        """Among the samples that got an answer; None if none did."""
        return self.share(self.correct, self.answered)

    @cached_property
    def coverage(self) -> Interval:
        """The share of the samples that got an answer."""
        found = self.share(self.answered, np.ones(self.n_samples, bool))
        assert found is not None  # data without samples are refused
        return found

    @cached_property
    def risk(self) -> Interval | None:
        """The share of the answers that is wrong; None if there are none."""
        return self.share(~self.correct, self.answered)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Number of answers, by true class and answer."""
        counts = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(counts, (self.dataset.labels[self.answered], self.said[self.answered]), 1)
        return counts

    @cached_property
    def per_class(self) -> dict[str, Interval]:
        """Share of each class that is recognized, of the samples that got an answer."""
        found = {
            name: self.share(self.correct, self.answered & (self.dataset.labels == code))
            for code, name in enumerate(self.classes)
        }
        return {name: interval for name, interval in found.items() if interval is not None}

    @cached_property
    def by_subset(self) -> list[dict[str, Any]]:
        """What happened to the answered samples of each subset, for specialists."""
        if self.routed is None:
            return []
        rows = []
        for name, members in self.dataset.subsets.items():
            of_subset = self.answered & np.isin(self.dataset.labels, members)
            rows.append(
                {
                    "subset": name,
                    "n_samples": int(of_subset.sum()),
                    "accuracy": _plain(self.share(self.correct, of_subset)),
                    "sent_there": _plain(self.share(self.routed == name, of_subset)),
                }
            )
        return rows

    @cached_property
    def calibration_error(self) -> float | None:
        """Expected calibration error; None if the model has no probabilities or gives no answer."""
        if self.probabilities is None or not self.n_answered:
            return None
        labels = self.dataset.labels[self.answered]
        return expected_calibration_error(self.probabilities[self.answered], labels)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it: the content of ``evaluation.json``.

        Returns
        -------
        dict
        """
        data = self.dataset
        return {
            "format": 1,
            "model": {"file": self.model, "facts": dict(self.facts)},
            "dataset": {
                "name": data.name,
                "unit": data.noun,
                "test_sha256": sha256_of(data, np.arange(self.n_samples)),
                "notes": list(data.notes),
            },
            "accuracy": _plain(self.accuracy),
            "n_samples": self.n_samples,
            "n_answered": self.n_answered,
            "coverage": _plain(self.coverage),
            "risk": _plain(self.risk),
            "abstention": self.abstention,
            "stated": self.stated,
            "expected_calibration_error": self.calibration_error,
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
            "per_class": {name: _plain(each) for name, each in self.per_class.items()},
            "by_subset": self.by_subset,
            "leak": self.leak,
            "signed_by": self.signed_by,
            "checks": self.checks,
            "check_states": self.check_states,
        }

    def lines(self) -> list[str]:
        """Return it in words."""
        lines = [f"Note: {self.leak}"] if self.leak else []
        if self.signed_by is not None:
            lines.append(f"The model is signed by the key {self.signed_by}")
        if self.accuracy is None:
            return [*lines, f"It abstains from all {quantity(self.n_samples, 'sample')}."]
        of = quantity(self.n_answered, "sample")
        if self.n_answered < self.n_samples:
            share = 100 * self.n_answered / self.n_samples
            of = f"the {self.n_answered:,} of {self.n_samples:,} samples it answers ({share:.1f} %)"
        lines.append(f"Accuracy: {self.accuracy}, on {of}")
        if doubt := against_guessing(self.accuracy, self.dataset.labels[self.answered]):
            lines.append(doubt)
        lines.append(against_stated(self))
        if kept := guarantee_kept(self):
            lines.append(kept)
        if self.calibration_error is not None:
            error = 100 * self.calibration_error
            lines.append(f"Probabilities are off by {error:.1f} percentage points on average")
        width = max(map(len, self.per_class))
        for name, recognized in self.per_class.items():
            n = int(self.confusion[self.classes.index(name)].sum())
            lines.append(f"  {name:<{width}}  {recognized}, n = {n:,}")
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        for place in np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSED].tolist():
            true, answer = divmod(place, len(self.classes))
            if (count := int(wrong[true, answer])) > 0:
                lines.append(f"  {self.classes[true]} taken for {self.classes[answer]}: {count:,}")
        return lines


def _plain(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"value": interval.value, "low": interval.low, "high": interval.high}
