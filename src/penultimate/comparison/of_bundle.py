"""How well a saved model does on labeled data that it has not seen.

The data is read as for a comparison, and the model takes image files at their own size. The
manifest's fingerprints say which samples the model has seen; on these it would look better than on
new ones, so they are refused.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate.bundle import Predictor
from penultimate.bundle.predictions import joined
from penultimate.datasets import Dataset
from penultimate.evaluation import accuracy_interval
from penultimate.evaluation.intervals.accuracy import Interval, wilson_interval
from penultimate.evaluation.reliability import expected_calibration_error
from penultimate.networks.single_images import as_sequence, prints_of
from penultimate.provenance.fingerprints import copy_prints, fingerprint
from penultimate.provenance.leakage import report_leak

_CONFUSED = 5  # pairs of classes that are listed


@dataclass(frozen=True)
class Evaluation:
    """What a model does with labeled samples.

    Attributes
    ----------
    accuracy : Interval or None
        Among the samples that got an answer; None if none did.
    n_samples, n_answered : int
    per_class : dict of str to Interval
        Share of each class that is recognized, of the samples that got an answer.
    confusion : ndarray of shape (n_classes, n_classes), int
        Number of samples, by true class and answer.
    classes : list of str
    calibration_error : float or None
        Expected calibration error; None if the model has no probabilities.
    leak : str
        What the model had seen, if that was not refused.
    stated : dict or None
        What the file says that is to be expected.
    signed_by : str or None
        Fingerprint of the key that the model's signature was verified with.
    """

    accuracy: Interval | None
    n_samples: int
    n_answered: int
    per_class: dict[str, Interval]
    confusion: NDArray[np.int64]
    classes: list[str]
    calibration_error: float | None
    leak: str
    stated: dict[str, Any] | None
    signed_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""

        def plain(interval: Interval | None) -> dict[str, float] | None:
            if interval is None:
                return None
            return {"value": interval.value, "low": interval.low, "high": interval.high}

        return {
            "accuracy": plain(self.accuracy),
            "n_samples": self.n_samples,
            "n_answered": self.n_answered,
            "per_class": {name: plain(each) for name, each in self.per_class.items()},
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
            "expected_calibration_error": self.calibration_error,
            "leak": self.leak,
            "stated": self.stated,
            "signed_by": self.signed_by,
        }

    def lines(self) -> list[str]:
        """Return it in words."""
        lines = [f"Note: {self.leak}"] if self.leak else []
        if self.signed_by is not None:
            lines.append(f"The model is signed by the key {self.signed_by}")
        if self.accuracy is None:
            return [*lines, f"It abstains from all {self.n_samples:,} samples."]
        of = f"{self.n_answered:,} samples"
        if self.n_answered < self.n_samples:
            share = 100 * self.n_answered / self.n_samples
            of = f"the {self.n_answered:,} of {self.n_samples:,} samples it answers ({share:.1f} %)"
        lines.append(f"Accuracy: {self.accuracy}, on {of}")
        if self.stated and self.stated["low"] is not None:
            low, high = 100 * self.stated["low"], 100 * self.stated["high"]
            lines.append(f"The file says to expect {low:.1f} to {high:.1f} %")
        if self.calibration_error is not None:
            error = 100 * self.calibration_error
            lines.append(f"Probabilities are off by {error:.1f} percentage points in the mean")
        width = max(map(len, self.per_class))
        for name, recognized in self.per_class.items():
            n = int(self.confusion[self.classes.index(name)].sum())
            lines.append(f"  {name:<{width}}  {recognized}, n = {n:,}")
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        for place in np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSED].tolist():
            true, said = divmod(place, len(self.classes))
            if (count := int(wrong[true, said])) > 0:
                lines.append(f"  {self.classes[true]} taken for {self.classes[said]}: {count:,}")
        return lines


def evaluate_bundle(
    model: Predictor, dataset: Dataset, *, on_leak: str = "raise", progress: Progress = SILENT
) -> Evaluation:
    """Score a saved model on labeled data.

    Parameters
    ----------
    model : Predictor
    dataset : Dataset
        All of its samples are used; classes are matched by their names.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        What to do if the model has seen some of the samples.
    progress : Progress, optional

    Returns
    -------
    Evaluation

    Raises
    ------
    LeakageError
        If the model has seen some of the samples, and `on_leak` is ``"raise"``.
    ValueError
        If the data are not what the model takes, or have a class that it does not know.
    """
    of_images = model.manifest.kind == "images"
    if dataset.has_images != of_images:
        has = "images" if dataset.has_images else "features"
        raise ValueError(f"The model takes {model.manifest.kind}, and the data are {has}.")
    classes = [str(each) for each in model.classes_.tolist()]
    present = [dataset.classes[code] for code in np.unique(dataset.labels)]
    if unknown := [name for name in present if name not in classes]:
        raise ValueError(
            f"The data has classes that the model does not know, such as {unknown[0]!r}; it knows "
            f"{', '.join(classes[:10])}. Leave them out, or fit a model with them."
        )
    files = dataset.sources if of_images else None
    leak = _leak(model, dataset, files, on_leak)
    found = (
        _of_images(model, dataset, files, progress)
        if of_images
        else model.predict_all(np.asarray(dataset.images))
    )
    true = np.array([classes.index(name) if name in classes else -1 for name in dataset.classes])
    codes = true[dataset.labels]
    said = np.array([classes.index(str(label)) for label in found.labels.tolist()])
    answered = np.ones(len(codes), bool) if found.accepted is None else found.accepted
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (codes[answered], said[answered]), 1)
    groups = None if dataset.groups is None else dataset.groups[answered]
    right = (said == codes)[answered]
    totals = confusion.sum(axis=1)
    error = None
    if found.probabilities is not None and answered.any():
        error = expected_calibration_error(found.probabilities[answered], codes[answered])
    return Evaluation(
        accuracy_interval(right, groups=groups) if len(right) else None,
        len(codes),
        int(answered.sum()),
        {
            name: wilson_interval(int(confusion[k, k]), int(totals[k]))
            for k, name in enumerate(classes)
            if totals[k]
        },
        confusion,
        classes,
        error,
        leak,
        model.manifest.expected,
        model.signed_by,
    )


def _leak(model: Predictor, dataset: Dataset, files: Any, on_leak: str) -> str:
    """Refuse samples that the model has seen, in any form in which it may have seen them."""
    known = model.provenance
    if known is None or on_leak == "ignore":
        return ""
    if not dataset.has_images and copy_prints(np.asarray(dataset.images[:1])) is None:
        return "It cannot be told whether the model has seen these: short vectors agree by chance."
    # As the files are, or as they were resized for a network that was trained on them.
    seen = np.isin(dataset.fingerprint(), known)
    seen |= np.isin(fingerprint(dataset.images), known)
    seen |= np.isin(fingerprint(dataset.inputs), known)
    if files is not None:  # a network with a preprocessing took the files at their own size
        seen |= np.isin(prints_of(as_sequence(list(files))), known)
    names = np.arange(len(seen)) if dataset.files is None else dataset.files
    return report_leak(
        np.asarray(names)[seen],
        len(seen),
        on_leak="raise" if on_leak == "raise" else "ignore",
        advice="Evaluate on other samples; on_leak='warn' (--on-leak warn) evaluates on these.",
    )


def _of_images(model: Predictor, dataset: Dataset, files: Any, progress: Progress) -> Any:
    if files is None:
        return model.predict_all(dataset.images)
    parts = []
    items, step = list(map(str, files)), 256
    for start in range(0, len(items), step):
        parts.append(model.predict_all(items[start : start + step]))
        progress.update("predict", min(start + step, len(items)), len(items))
    return joined(parts)
