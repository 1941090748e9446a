"""Models of a comparison that are kept, so that what was measured is what is taken away.

A comparison fits its heads on class numbers and predicts by functions. Here the parts of one fit,
the cut network, the head and its calibration, become a classifier that names its classes, without
fitting anything again.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.classifiers import DeepSVC
from penultimate.classifiers._sample_form import SampleForm
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.comparison.fit import HeadFit, SeedData
from penultimate.comparison.networks import GIVEN
from penultimate.evaluation.intervals.accuracy import accuracy_interval
from penultimate.networks import takes_pixels
from penultimate.networks.arguments import names_builder
from penultimate.networks.single_images import as_sequence, prints_of
from penultimate.provenance.records import Provenance

_PROVED_ON = 300  # test samples, spread over them; a proof runs the model twice


class _NamedDeepSVC(DeepSVC):
    """A `DeepSVC` whose head was fitted on class numbers."""

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.classes_[super()._predict(X)]


class _NamedOnFeatures(FeatureClassifier):
    """A `FeatureClassifier` whose head was fitted on class numbers."""

    def predict(self, X: Any) -> NDArray[Any]:
        return self.classes_[super().predict(X)]


@dataclass(frozen=True)
class KeptModel:
    """A classifier of a comparison, and what its file says of it.

    Attributes
    ----------
    model : classifier
    samples : ndarray of shape (n_samples, ...)
        Some test samples, on which its file is proved.
    selection_score : float or None
    expected : dict
        What to expect of new data, as in a bundle.
    protocol : dict
    """

    model: Any
    samples: NDArray[Any]
    selection_score: float | None
    expected: dict[str, Any]
    protocol: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write it as a bundle; raise ``ExportError`` if it has no graph."""
        # Only here: it needs onnx, and comparing needs none.
        from penultimate.bundle.writing import save

        save(
            self.model,
            path,
            self.samples,
            expected=self.expected,
            protocol={**self.protocol, "selection_score": self.selection_score},
        )


def keep_model(head: HeadFit, data: SeedData, predictions: NDArray[np.int64]) -> KeptModel:
    """Return the classifier of a head on features of all classes.

    Parameters
    ----------
    head : HeadFit
    data : SeedData
    predictions : ndarray of shape (n_test,), int
        What it predicted for the test set.

    Returns
    -------
    KeptModel
    """
    plan, settings = data.plan, data.settings
    fitted, names = head.fitted, np.array(plan.dataset.classes)
    extractors = data.shared.extractors
    model: Any = _NamedOnFeatures() if fitted.layer == GIVEN else _NamedDeepSVC(settings.network)
    inputs = data.test_images
    if fitted.layer == GIVEN:
        model.head_, model.normalization_ = fitted.pipeline, fitted.normalization
        model.calibrator_, model._fitted = head.calibrator, fitted
        model.n_features_in_ = inputs.shape[1]
    else:
        extractor = extractors[fitted.layer]
        of_pixels = names_builder(settings.network) or takes_pixels(settings.network)
        if inputs.ndim > 1:
            model._form = SampleForm.of(inputs, of_pixels)
            model.n_features_in_ = inputs.shape[1]
        else:  # files, at their own size
            model._form = SampleForm.of(np.array([[[0, 255]]], np.uint8), takes_pixels=True)
        model.network_, model.history_ = extractor.network, data.shared.history
        if settings.frozen:
            model.network_ = settings.network
        model._set_head(fitted, extractors, head.calibrator)
    model.classes_ = names
    # Of files that the network took at their own size, the pixels as they are there.
    of_files = inputs.ndim == 1
    prints = prints_of(as_sequence(data.trainer.images)) if of_files else plan.fingerprints
    model.provenance_ = Provenance.of(prints, "trained")
    test = plan.split.held_out
    groups = None if plan.dataset.groups is None else plan.dataset.groups[test]
    right = predictions == plan.dataset.labels[test]
    interval = accuracy_interval(right, groups=groups)
    step = max(1, len(inputs) // _PROVED_ON)
    search = fitted.pipeline["head"]
    score = getattr(search, "best_score_", None)
    return KeptModel(
        model,
        inputs[::step],
        None if score is None else float(score),
        {
            "accuracy": interval.value,
            "low": interval.low,
            "high": interval.high,
            "what": "test set of the comparison",
            "n": len(right),
        },
        {
            "selection": settings.protocol.selection,
            "test_size": plan.holdout.test_size,
            "by_group": plan.holdout.by_group,
            "seed": data.seed,
        },
    )


def best_of(models: dict[str, KeptModel]) -> str | None:
    """Return the name of the model with the best selection score; the first of ties."""
    scores = {
        name: kept.selection_score
        for name, kept in models.items()
        if kept.selection_score is not None
    }
    return max(scores, key=scores.__getitem__, default=next(iter(models), None))


def can_write_models() -> bool:
    """Return whether what writes a model's graph is installed."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime"))
