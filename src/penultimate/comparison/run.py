"""Running a comparison: one network per seed, the classifiers on it, and their predictions.

Only predictions on the test set are kept; accuracies and intervals are computed from them later.
The test labels are used for nothing here but the accuracy that is shown as progress.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from penultimate._common.progress import SILENT, Progress
from penultimate.comparison.head_diagnostics import (
    calibrate,
    hard_cases,
    learning_curve,
    probabilities_of,
)
from penultimate.comparison.methods import Method
from penultimate.comparison.networks import Recipe, Trainer, share_network
from penultimate.comparison.plan import Part, Plan
from penultimate.networks import History
from penultimate.networks.margins.builders import predict_scores
from penultimate.results.method import FitLog, HardCase, LearningCurve, MethodResult
from penultimate.selection.crossfit import fit_crossfit
from penultimate.selection.heldout import fit_head, plain_params
from penultimate.splits.parts import Split

# Methods whose heads the report examines closely, for the first seed.
HARD_CASES_OF = "cnn+svm-rbf"
CURVES_OF = ("cnn+svm-rbf", "cnn+logistic", "pca+svm-rbf")
_MOST_PROBABILITIES = 100_000_000  # 400 MB of float32 per method; beyond that, none are kept
_ROUTED = ("routed", "head-routed")


@dataclass(frozen=True)
class _Fitted:
    """A fitted classifier of one part; predicts class indices for positions in the test set."""

    predict: Any
    head_seconds: float
    params: dict[str, Any] = field(default_factory=dict)
    selection_score: float | None = None
    grid: dict[str, Any] | None = None
    probabilities: Any = None
    calibrated: bool = False
    warnings: tuple[str, ...] = ()
    head: "_HeadFit | None" = None


@dataclass(frozen=True)
class _HeadFit:
    """The data of a fitted head, kept for the diagnostics of every method that shares the head.

    Attributes
    ----------
    pipeline : Pipeline
    development : ndarray of shape (n_development, n_features)
    codes : ndarray of shape (n_development,), int
    split, features : Split, ndarray of shape (n_development, n_features)
        The split and features it was selected on; with folds, those of the first.
    """

    pipeline: Any
    development: NDArray[Any]
    codes: NDArray[np.int64]
    split: Split
    features: NDArray[Any]


class Run:
    """A comparison on one test set: one network per seed, and the classifiers on it."""

    def __init__(self, recipe: Recipe, plan: Plan, inputs: NDArray[Any]) -> None:
        self.recipe = recipe
        self.plan = plan
        self.all_inputs = inputs
        self.histories: list[History] = []
        self.checks: list[dict[str, str]] = []
        self.first_features: dict[str, NDArray[np.float32]] | None = None
        self.hardest: list[HardCase] = []
        self.learning_curves: list[LearningCurve] = []

    def execute(self, progress: Progress) -> list[MethodResult]:
        """Carry out the plan, and return the result of each method."""
        self.progress = progress
        plan, methods = self.plan, self.recipe.methods
        self.inputs = plan.divide(self.all_inputs)
        self.trainer = Trainer(self.recipe, plan, self.inputs["development"], progress)
        true = plan.dataset.labels[plan.split.held_out]
        results = {
            name: MethodResult(
                name,
                method.control,
                plan.knows_subset(method),
                np.empty((len(plan.development_splits), len(true)), np.int64),
                {part.subset: FitLog() for part in plan.parts(method)},
            )
            for name, method in methods.items()
        }
        # Seeds are the outer loop: only the first network's features are kept beyond their seed.
        for row, seed in enumerate(plan.development_splits):
            self.start(seed)
            for name, method in methods.items():
                result = results[name]
                result.predictions[row] = self.fit_and_predict(name, method, result)
                progress.scored(name, seed, float(np.mean(result.predictions[row] == true)))
        return list(results.values())

    def start(self, seed: int) -> None:
        """Train and cut the shared network of a seed."""
        self.seed = seed
        self.fitted: dict[tuple[Method, str | None], _Fitted] = {}
        if not self.recipe.needs_network:
            return
        self.network = share_network(self.trainer, seed, self.inputs["test"])
        if (own := self.network.own_softmax) is not None:
            self._note("frozen-softmax", "warning" if own.in_doubt else "info", own.message)
        if self.network.history is not None:
            self.histories.append(self.network.history)
        if self.first_features is None:
            self.first_features = self.network.features

    def fit_and_predict(self, name: str, method: Method, result: MethodResult) -> NDArray[np.int64]:
        """Fit a method on development and predict the test set; it is used nowhere else."""
        parts = self.plan.parts(method)
        positions, router_seconds = [part.test for part in parts], 0.0
        if method.subsets in _ROUTED:
            start = time.perf_counter()
            positions = self._route(name, method, parts)
            # Divided among the parts, so that the total over the parts is correct.
            router_seconds = (time.perf_counter() - start) / len(parts)
        # No class has the index -1: a sample that is never predicted counts as an error.
        predictions = np.full(len(self.inputs["test"]), -1)
        progress = SILENT if method.inputs == "probabilities" else self.progress
        progress.update(f"fit {name}", 0, len(parts))
        for done, (part, chosen) in enumerate(zip(parts, positions), 1):
            fitted = self._fit(method, part)
            self._note_warnings(name, fitted.warnings)
            self._look_closer(name, part, fitted)
            start = time.perf_counter()
            if len(chosen):  # a router may send no sample to a subset
                predictions[chosen] = fitted.predict(chosen)
            seconds = time.perf_counter() - start
            # After routing there are probabilities for the classes of one subset only.
            if method.subsets not in _ROUTED:
                self._add_probabilities(result, fitted, part)
            log = result.fits[part.subset]
            shared = 0.0
            # A method is charged the whole training of the shared network, but only its share of
            # the extraction: a part predicts a fraction of the test set.
            if method.inputs == "features":
                shared = self.network.fit_seconds
                seconds += self.network.extract_seconds * len(chosen) / len(predictions)
            elif method.inputs == "probabilities":
                shared = self.network.train_seconds
            log.head_seconds.append(fitted.head_seconds + router_seconds)
            log.fit_seconds.append(fitted.head_seconds + router_seconds + shared)
            log.predict_seconds.append(seconds)
            log.params.append(fitted.params)
            log.selection_scores.append(fitted.selection_score)
            log.grids.append(fitted.grid)
            progress.update(f"fit {name}", done, len(parts))
        return predictions

    def _fit(self, method: Method, part: Part) -> _Fitted:
        """Fit a classifier for a part; a classifier shared by several methods is fitted once.

        Methods share it if they differ only in attributes that do not affect the fit.
        """
        fit_alike = replace(method, subsets="optional", control=False, on_request=False)
        key = (fit_alike, part.subset)
        if key not in self.fitted:
            if method.inputs == "probabilities":
                self.fitted[key] = _Fitted(
                    lambda chosen: self.network.masked(part, chosen),
                    0.0,
                    probabilities=lambda chosen: self.network.masked_probabilities(part, chosen),
                )
            elif method.inputs == "network":
                self.fitted[key] = self._fit_from_scratch(method, part)
            else:
                self.fitted[key] = self._fit_head(method, part, self.plan.codes)
        return self.fitted[key]

    def _fit_head(self, method: Method, part: Part, codes: NDArray[np.int64]) -> _Fitted:
        start = time.perf_counter()
        samples = self.network.features if method.inputs == "features" else self._pixels()
        development, codes = samples["development"][part.development], codes[part.development]
        folds = [part.restrict(fold) for fold in self.plan.folds[self.seed]]
        fold_parts = []
        if self.recipe.selection == "crossfit":
            # Features of development from each fold's network; pixels are the same in every fold.
            of_folds = [samples["development"]] * len(folds)
            if method.inputs == "features":
                of_folds = self.network.fold_features
            fold_parts = [(f, values[part.development]) for f, values in zip(folds, of_folds)]
        split = part.restrict(self.plan.development_splits[self.seed])

        def make_preprocessing() -> Any:
            if method.make_preprocessing is None:
                return StandardScaler()
            # The number of principal components is limited by the smallest part that is fitted on.
            n_samples = min(len(each.train) for each in (split, *folds))
            return method.make_preprocessing(n_samples, development.shape[1])

        assert method.make_head is not None
        # Warnings of a fit, such as lack of convergence, become notes in the report.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            head = method.make_head(self.recipe.n_jobs, self.seed)
            if fold_parts:
                fitted = fit_crossfit(
                    head,
                    ((fold, {"": features}) for fold, features in fold_parts),
                    lambda: {"": development},
                    codes,
                    make_preprocessing=make_preprocessing,
                ).head
            else:
                held_out = split if len(split.held_out) else folds or None
                fitted = fit_head(
                    head, development, codes, held_out, preprocessing=make_preprocessing()
                )
        # Calibration serves only the report, so it does not count as time of the fit.
        seconds = time.perf_counter() - start
        parts = fold_parts or [(split, development)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these fits yield no score of their own
            calibrator = calibrate(fitted, parts, codes)
        search = fitted["head"]
        return _Fitted(
            lambda chosen: fitted.predict(samples["test"][chosen]),
            seconds,
            plain_params(search.best_params_),
            float(search.best_score_),
            {
                "params": [plain_params(params) for params in search.cv_results_["params"]],
                "score": search.cv_results_["mean_test_score"].tolist(),
            },
            lambda chosen: probabilities_of(fitted, calibrator, samples["test"][chosen]),
            calibrator is not None,
            tuple(sorted({str(item.message).splitlines()[0] for item in caught})),
            _HeadFit(fitted, development, codes, *parts[0]),
        )

    def _look_closer(self, name: str, part: Part, fitted: _Fitted) -> None:
        """Add the diagnostics that the report shows for the heads of the first seed.

        They go by the method's name, even if the head was first fitted for another method: the
        order of the methods must not matter.
        """
        head = fitted.head
        if head is None or self.seed != next(iter(self.plan.development_splits)):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these fits yield no score of their own
            if name == HARD_CASES_OF:
                samples = self.plan.split.train[part.development]
                self.hardest += hard_cases(head.pipeline, head.development, head.codes, samples)
            if name in CURVES_OF and part.subset is None and len(head.split.held_out):
                self.learning_curves.append(
                    learning_curve(
                        name, head.pipeline, head.features, head.codes, head.split, seed=self.seed
                    )
                )

    def _add_probabilities(self, result: MethodResult, fitted: _Fitted, part: Part) -> None:
        """Add this seed's probabilities for the test samples of a part, if the method has any."""
        n_classes = len(self.plan.dataset.classes)
        shape = (*result.predictions.shape, n_classes)
        if fitted.probabilities is None or np.prod(shape) > _MOST_PROBABILITIES:
            return
        values = fitted.probabilities(part.test)
        if values is None:
            return
        if result.probabilities is None:
            result.probabilities = np.zeros(shape, np.float32)
        row = list(self.plan.development_splits).index(self.seed)
        result.probabilities[row, part.test[:, np.newaxis], part.classes] = values
        result.calibrated = fitted.calibrated

    def _fit_from_scratch(self, method: Method, part: Part) -> _Fitted:
        training = self.recipe.training
        if not method.augmented:
            training = replace(training, augmentation=None)
        model, history = self.trainer.train(part, self.seed, training, loss=method.loss)

        def predict(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
            outputs = predict_scores(
                model, self.inputs["test"][chosen], batch_size=self.recipe.batch_size
            )
            return part.classes[outputs.argmax(axis=1)]

        return _Fitted(predict, history.seconds)

    def _route(self, name: str, method: Method, parts: Sequence[Part]) -> list[NDArray[np.int64]]:
        """Return for each subset the positions of the test samples that are routed to it."""
        if method.subsets == "routed":
            shares = [self.network.probabilities[:, part.classes].sum(axis=1) for part in parts]
            chosen = np.argmax(shares, axis=0)
        else:
            members = np.empty(len(self.plan.dataset.classes), np.int64)
            for index, part in enumerate(parts):
                members[part.classes] = index
            router = self._fit_head(method, self.plan.whole, members[self.plan.codes])
            self._note_warnings(name, router.warnings)
            chosen = router.predict(self.plan.whole.test)
        return [np.flatnonzero(chosen == index) for index in range(len(parts))]

    def _pixels(self) -> dict[str, NDArray[np.float32]]:
        return {
            part: images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
            for part, images in self.plan.divide(self.plan.dataset.images).items()
        }

    def _note_warnings(self, name: str, messages: Sequence[str]) -> None:
        for message in messages:
            self._note("fit-warning", "warning", f"{name}: {message}")

    def _note(self, check_id: str, level: str, message: str) -> None:
        check = {"id": check_id, "level": level, "message": message}
        if check not in self.checks:
            self.checks.append(check)
