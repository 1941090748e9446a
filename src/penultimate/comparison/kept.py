"""Models of a comparison that are kept, so that what was measured is what is taken away.

A comparison fits its heads on class numbers and predicts by functions. Here the parts of one fit,
the cut network, the head and its calibration, become a classifier that names its classes, without
fitting anything again.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.classifiers import DeepSVC, Specialists
from penultimate.classifiers._sample_form import SampleForm
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.comparison.fit import HeadFit, SeedData
from penultimate.evaluation.intervals.accuracy import accuracy_interval, wilson_interval
from penultimate.networks import takes_pixels
from penultimate.networks.arguments import names_builder
from penultimate.networks.single_images import as_sequence, prints_of
from penultimate.provenance.records import Provenance

_PROVED_ON = 300  # test samples, spread over them; a proof runs the model twice


_OnNetwork = TypeVar("_OnNetwork", DeepSVC, Specialists)


class _NamedDeepSVC(DeepSVC):
    """A `DeepSVC` whose head was fitted on class numbers."""

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.classes_[super()._predict(X)]


class _NamedOnFeatures(FeatureClassifier):
    """A `FeatureClassifier` whose head was fitted on class numbers."""

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        return self.classes_[super().predict(X)]


@dataclass(frozen=True)
class KeptModel:
    """A classifier of a comparison, and what its file says of it.

    Attributes
    ----------
    model : classifier
    samples : ndarray of shape (n_samples, ...)
        Some test samples, on which its file is proved.
    labels : ndarray of shape (n_samples,)
        Of these.
    selection_score : float or None
    expected : dict
        What to expect of new data, as in a bundle.
    protocol : dict
    n_selected : int
        Samples that the selection score was measured on.
    feature_names : tuple of str or None
        See `Dataset`.
    """

    model: DeepSVC | FeatureClassifier | Specialists
    samples: NDArray[Any]
    labels: NDArray[Any]
    selection_score: float | None
    expected: dict[str, Any]
    protocol: dict[str, Any]
    n_selected: int = 1
    feature_names: tuple[str, ...] | None = None

    def save(self, path: Path) -> None:
        """Write it as a bundle; raise ``ExportError`` if it has no graph."""
        # Only here: it needs onnx, and comparing needs none.
        from penultimate.bundle.writing import save

        save(
            self.model,
            path,
            self.samples,
            held_out=(self.samples, self.labels),
            expected=self.expected,
            protocol={**self.protocol, "selection_score": self.selection_score},
            feature_names=self.feature_names,
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
    fitted = head.fitted
    inputs = data.test_images
    model: DeepSVC | FeatureClassifier
    # The parts are set, not fitted: fitting again would give another model than was measured.
    if not data.plan.dataset.has_images:  # (not by the layer: one may be called "features")
        model = _NamedOnFeatures()
        model.head_, model.normalization_ = fitted.pipeline, fitted.normalization
        model.calibrator_, model._fitted = head.calibrator, fitted
        model.n_features_in_ = inputs.shape[1]
    else:
        model = on_network(_NamedDeepSVC(data.settings.network), data)
        model._set_head(fitted, data.shared.extractors, head.calibrator)
    # The head knows numbers; here they get their names.
    model.classes_ = np.array(data.plan.dataset.classes)
    score = getattr(fitted.pipeline["head"], "best_score_", None)
    return as_measured(model, data, predictions, None if score is None else float(score))


def on_network(model: _OnNetwork, data: SeedData) -> _OnNetwork:
    """Give a classifier the shared network of a seed, and the form of its samples."""
    settings, inputs = data.settings, data.test_images
    # Networks that are built here take pixels from 0 to 255, whatever the samples come as.
    of_pixels = names_builder(settings.network) or takes_pixels(settings.network)
    if inputs.ndim > 1:
        model._form = SampleForm.of(inputs, of_pixels)
        model.n_features_in_ = inputs.shape[1]
    else:  # files, at their own size
        model._form = SampleForm.of(np.array([[[0, 255]]], np.uint8), takes_pixels=True)
    # All layers are of one network, so any extractor holds it.
    first = next(iter(data.shared.extractors.values()))
    model.network_ = settings.network if settings.frozen else first.network
    model.history_ = data.shared.history
    return model


def as_measured(
    model: DeepSVC | FeatureClassifier | Specialists,
    data: SeedData,
    predictions: NDArray[np.int64],
    selection_score: float | None,
) -> KeptModel:
    """Return a classifier with what is known of it, and remember which samples it has seen."""
    plan, inputs = data.plan, data.test_images
    # Of files that the network took at their own size, the pixels as they are there.
    of_files = inputs.ndim == 1
    prints = prints_of(as_sequence(data.trainer.images)) if of_files else plan.fingerprints
    model.provenance_ = Provenance.of(prints, "trained")
    test = plan.split.held_out
    groups = None if plan.dataset.groups is None else plan.dataset.groups[test]
    right = predictions == plan.dataset.labels[test]
    # Over the test samples of one seed: there is one model in the file, not one per seed.
    interval = accuracy_interval(right, groups=groups)
    # By cross-fitting, every sample of development is held out once.
    step = max(1, len(inputs) // _PROVED_ON)
    chosen_on = plan.development_splits[data.seed]
    return KeptModel(
        model,
        inputs[::step],
        np.asarray(plan.dataset.classes)[plan.dataset.labels[test][::step]],
        selection_score,
        {
            "accuracy": interval.value,
            "low": interval.low,
            "high": interval.high,
            "what": "test set of the comparison",
            "n": len(right),
        },
        {
            "selection": data.settings.protocol.selection,
            "test_size": plan.holdout.test_size,
            "by_group": plan.holdout.by_group,
            "seed": data.seed,
        },
        len(chosen_on.held_out) or len(chosen_on.train),
        plan.dataset.feature_names,
    )


def best_of(models: dict[str, KeptModel], headline: str | None) -> tuple[str, str]:
    """Choose the model to take away: the one that the report is about, unless another is better.

    By the selection score alone it would often be another head, ahead by a sample or two, and the
    report would be about a model that is not in the file.

    Parameters
    ----------
    models : dict of str to KeptModel
        At least one.
    headline : str or None
        The method that the verdict is about.

    Returns
    -------
    name : str
    why : str
        The reason, in words.
    """
    scores = {
        name: kept.selection_score
        for name, kept in models.items()
        if kept.selection_score is not None
    }
    if not scores:
        return next(iter(models)), "the only kind of head that was kept"
    best = max(scores, key=scores.__getitem__)
    shown = f"{100 * scores[best]:.1f} %"
    if headline not in scores:
        return best, f"it has the best selection score, {shown}"
    about = "the head that the verdict is about"
    if scores[headline] == scores[best]:
        return headline, f"{about}, and no other has a better selection score ({shown})"
    # Wilson's interval treats the two scores as independent. They are of the same samples, so it is
    # wide, which keeps the headline's model in doubtful cases.
    n, own = models[headline].n_selected, scores[headline]
    if wilson_interval(round(own * n), n).high >= scores[best]:
        return headline, (
            f"{about}; its selection score, {100 * own:.1f} %, is within chance of the best, "
            f"{shown} by {best}"
        )
    return best, (
        f"it has the best selection score, {shown}; {headline}, which the verdict is about, has "
        f"{100 * own:.1f} %"
    )


def can_write_models() -> bool:
    """Return whether what writes a model's graph is installed."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime"))
