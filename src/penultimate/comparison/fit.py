"""One fit: a method, a part of the classes and the data of a seed give a fitted classifier.

`fit_method` changes nothing but what it returns, so a classifier may be shared by all methods with
the same `Method.fit_key`. It is given the test set only as positions to predict for.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from penultimate._common.protocols import Transformer
from penultimate._common.threads import quiet_blas
from penultimate.comparison.head_diagnostics import margins_of
from penultimate.comparison.method import Method
from penultimate.comparison.networks import Settings, SharedNetwork, Trainer
from penultimate.comparison.plan import Part, Plan
from penultimate.evaluation.head_calibration import calibrate_head, probabilities_of
from penultimate.networks.margins.builders import predict_scores
from penultimate.selection.crossfit import fit_crossfit
from penultimate.selection.heads import chosen_search
from penultimate.selection.heldout import FittedHead, fit_layers, plain_params
from penultimate.selection.normalization import (
    DEFAULT_NORMALIZATION,
    OWN,
    Choice,
    Normalization,
    choices,
)
from penultimate.splits.parts import Split

PIXELS = ""  # what stands for the layer of a head on pixels; no layer has this name


@dataclass(frozen=True)
class SeedData:
    """What every method of one seed is fitted on.

    Attributes
    ----------
    settings : Settings
    plan : Plan
    seed : int
    trainer : Trainer
        Trains a method's own networks; its images are the development set, as input of networks.
    test_images : ndarray of shape (n_test, ...)
        The test set, as input of networks.
    network : SharedNetwork or None
        The network shared by the heads of this seed; None if no method uses it.
    """

    settings: Settings
    plan: Plan
    seed: int
    trainer: Trainer
    test_images: NDArray[Any]
    network: SharedNetwork | None

    @property
    def shared(self) -> SharedNetwork:
        """The shared network, for methods that use it."""
        assert self.network is not None
        return self.network

    def development(self, method: Method, part: Part) -> dict[str, NDArray[np.float32]]:
        """Return a head's input for the development samples of a part, by layer."""
        if method.inputs == "features":
            return {
                layer: values["development"][part.development]
                for layer, values in self.shared.by_layer.items()
            }
        return {PIXELS: self._pixels(self.plan.split.train[part.development])}

    def test(self, layer: str, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return a head's input for some positions of the test set."""
        if layer != PIXELS:
            return self.shared.by_layer[layer]["test"][chosen]
        return self._pixels(self.plan.split.held_out[chosen])

    def _pixels(self, samples: NDArray[np.int64]) -> NDArray[np.float32]:
        # Flattened when asked for: a second copy of all images as floats may not fit into memory.
        images = self.plan.dataset.images[samples]
        return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier of one part.

    Attributes
    ----------
    predict : callable
        Returns class indices for positions in the test set.
    seconds : float
        Time of the fit, without the shared network.
    probabilities : callable or None
        Returns probabilities, one column per class of the part, for positions in the test set; or
        None, if the head turns out to have none.
    margins : callable or None
        Returns the margins of predictions at positions in the test set, as in `MethodResult`; or
        None, if the head turns out to have none.
    params, selection_score, grid, selected
        As in `FitLog`.
    calibrated : bool
        As in `MethodResult`.
    warnings : tuple of str
        Warnings of the fit, such as lack of convergence.
    head : HeadFit or None
    """

    predict: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    seconds: float
    probabilities: Callable[[NDArray[np.int64]], NDArray[Any] | None] | None = None
    margins: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any] | None] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    selection_score: float | None = None
    grid: dict[str, Any] | None = None
    selected: dict[str, Any] | None = None
    calibrated: bool = False
    warnings: tuple[str, ...] = ()
    head: "HeadFit | None" = None


@dataclass(frozen=True)
class HeadFit:
    """The data of a fitted head, kept for the diagnostics of every method that shares the head.

    Attributes
    ----------
    pipeline : Pipeline
    development : ndarray of shape (n_development, n_features)
    codes : ndarray of shape (n_development,), int
    split, features : Split, ndarray of shape (n_development, n_features)
        The split and features it was selected on, at the selected layer; with folds, those of the
        first.
    fitted : FittedHead
        The head with its layer and normalization.
    calibrator : CalibratedClassifierCV or None
        Its calibration on held-out samples.
    """

    pipeline: Pipeline
    development: NDArray[Any]
    codes: NDArray[np.int64]
    split: Split
    features: NDArray[Any]
    fitted: FittedHead
    calibrator: CalibratedClassifierCV | None


def fit_method(method: Method, part: Part, data: SeedData) -> Fitted:
    """Fit a method's classifier for a part of the classes.

    Parameters
    ----------
    method : Method
    part : Part
    data : SeedData

    Returns
    -------
    Fitted
    """
    if method.inputs == "probabilities":
        return Fitted(
            lambda chosen: data.shared.masked(part, chosen),
            0.0,
            lambda chosen: data.shared.masked_probabilities(part, chosen),
        )
    if method.inputs == "network":
        return _fit_own_network(method, part, data)
    return fit_head_of(method, part, data, data.plan.codes)


def fit_head_of(method: Method, part: Part, data: SeedData, codes: NDArray[np.int64]) -> Fitted:
    """Fit a method's head for any labels: classes, or the subsets that a router predicts.

    Parameters
    ----------
    method : Method
    part : Part
    data : SeedData
    codes : ndarray of shape (n_development,), int
        Labels of all development samples.

    Returns
    -------
    Fitted
    """
    # Reading the head's input counts as its time: a method on pixels pays for flattening them.
    start = time.perf_counter()
    development, codes = data.development(method, part), codes[part.development]
    # Splits are of all of development; a part sees its own samples of them, renumbered.
    folds = [part.restrict(fold) for fold in data.plan.folds[data.seed]]
    split = part.restrict(data.plan.development_splits[data.seed])
    fold_parts = []
    if data.settings.protocol.selection == "crossfit":
        # Features of development from each fold's network; pixels are the same in every fold.
        of_folds = [development] * len(folds)
        if method.inputs == "features":
            of_folds = [
                {layer: values[part.development] for layer, values in of_fold.items()}
                for of_fold in data.shared.fold_features
            ]
        fold_parts = list(zip(folds, of_folds))
    # The number of principal components is limited by the smallest part that is fitted on.
    n_samples = min(len(each.train) for each in (split, *folds))
    preprocessing = _preprocessing(method, development, data.settings, n_samples)
    assert method.make_head is not None  # ensured by Method.check
    # Warnings of a fit, such as lack of convergence, become notes in the report.
    with quiet_blas(*development.values()), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        head = method.make_head(data.settings.n_jobs, data.seed)
        if fold_parts and method.inputs == "features" and data.settings.frozen:
            # The folds share their features, so that a search solves all of them as one problem.
            fitted = fit_layers(head, development, codes, folds, preprocessing=preprocessing)
        elif fold_parts:
            fitted = fit_crossfit(
                head, fold_parts, lambda: development, codes, preprocessing=preprocessing
            )
        else:
            # Without a selection part (resubstitution) the search draws its own folds, unless
            # groups or copies must be kept together: then it is given some.
            held_out = split if len(split.held_out) else folds or None
            fitted = fit_layers(head, development, codes, held_out, preprocessing=preprocessing)
    # Calibration serves only the report, so it does not count as time of the fit.
    seconds = time.perf_counter() - start
    pipeline, layer = fitted.pipeline, fitted.layer
    parts = [(each, of_part[layer]) for each, of_part in fold_parts or [(split, development)]]
    with quiet_blas(*development.values()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these fits yield no score of their own
        calibrator = calibrate_head(pipeline, parts, codes)
    # Predictions are made on demand, because a router decides which samples a part is asked about.
    return Fitted(
        lambda chosen: pipeline.predict(data.test(layer, chosen)),
        seconds,
        lambda chosen: probabilities_of(pipeline, calibrator, data.test(layer, chosen)),
        lambda chosen, predicted: margins_of(pipeline, data.test(layer, chosen), predicted),
        **_found(pipeline),
        selected=_selected(fitted, data.settings) if method.inputs == "features" else None,
        calibrated=calibrator is not None,
        warnings=tuple(sorted({str(item.message).splitlines()[0] for item in caught})),
        head=HeadFit(pipeline, development[layer], codes, *parts[0], fitted, calibrator),
    )


def _preprocessing(
    method: Method,
    development: Mapping[str, NDArray[Any]],
    settings: Settings,
    n_samples: int,
) -> dict[Choice, Transformer]:
    """Return the pairs of layer and normalization that a method's head chooses from."""
    if (make := method.make_preprocessing) is not None:
        return {
            (layer, OWN): make(n_samples, values.shape[1]) for layer, values in development.items()
        }
    # Trees split at thresholds, which no scaling of a feature moves: four forests for one.
    if method.inputs == "pixels" or method.family == "forest":
        return choices(development, [DEFAULT_NORMALIZATION])
    return choices(development, settings.normalizations)


def _selected(fitted: FittedHead, settings: Settings) -> dict[str, Any]:
    """Return the selected layer and normalization, with the scores of all of them."""

    def named(layer: str, normalization: Normalization) -> dict[str, Any]:
        of_network = None if settings.network is None else layer
        return {"layer": of_network, "normalization": normalization}

    return {
        **named(fitted.layer, fitted.normalization),
        "scores": [
            {**named(*pair), "score": score} for pair, score in fitted.selection_scores.items()
        ],
    }


def _found(pipeline: Pipeline) -> dict[str, Any]:
    """Return what a search selected, and its scores; nothing for a head that does not search."""
    search = chosen_search(pipeline["head"])
    if not hasattr(search, "best_params_"):
        return {}
    results = search.cv_results_
    # With several metrics, the columns are named after them, and `refit` is the one that chose.
    chosen_by = getattr(search, "refit", "score")
    scores = results.get("mean_test_score", results.get(f"mean_test_{chosen_by}"))
    best = getattr(search, "best_score_", np.nan)  # a callable `refit` may leave no score
    return {
        "params": plain_params(search.best_params_),
        "selection_score": float(best) if np.isfinite(best) else None,
        "grid": None
        if scores is None
        else {
            "params": [plain_params(params) for params in results["params"]],
            "score": scores.tolist(),
        },
    }


def _fit_own_network(method: Method, part: Part, data: SeedData) -> Fitted:
    """Train a network of the method's own, on the classes of a part."""
    # The recipe is that of the shared network, so that only the classes, the loss or the
    # augmentation differ.
    training = data.settings.training
    if not method.augmented:
        training = replace(training, augmentation=None)
    model, history = data.trainer.train(part, data.seed, training, loss=method.loss)

    def predict(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        # Scores or probabilities: only the largest decides, so no softmax is needed.
        outputs = predict_scores(
            model, data.test_images[chosen], batch_size=data.settings.batch_size
        )
        return part.classes[outputs.argmax(axis=1)]

    return Fitted(predict, history.seconds)
