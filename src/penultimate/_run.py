"""The work of a comparison: a network a seed, the classifiers on it, and what each did."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._method_result import FitLog, MethodResult
from penultimate._part import Part, part_of_subset
from penultimate._progress import SILENT, Progress
from penultimate.datasets import Dataset, Holdout, split_development, split_test
from penultimate.heads import METHODS, Method
from penultimate.networks import (
    FeatureExtractor,
    History,
    Training,
    fit_network,
    is_keras_model,
    predict_probabilities,
)
from penultimate.networks.training import validation_split
from penultimate.selection import fit_head, plain_params


@dataclass(frozen=True)
class _Fitted:
    """A classifier of one part, ready to predict class indices from what `inputs` names."""

    predict: Any
    head_seconds: float
    params: dict[str, Any] = field(default_factory=dict)
    selection_score: float | None = None
    grid: dict[str, Any] | None = None


@dataclass(frozen=True)
class Recipe:
    """What is done on every split.

    Attributes
    ----------
    methods : dict of str to Method
    network : str, callable or keras.Model
    training : Training
    by_subset : bool
        Whether methods that can make one classifier for each subset do.
    n_jobs : int or None
    checkpoints : Path or None
        A folder from which interrupted trainings go on.
    """

    methods: dict[str, Method]
    network: Any
    training: Training
    by_subset: bool
    n_jobs: int | None
    checkpoints: Path | None = None


class Run:
    """The work of a comparison on one split: a network a seed, and the classifiers on it."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        inputs: NDArray[Any],
        holdout: Holdout,
        seeds: Sequence[int],
    ) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.all_inputs = inputs
        self.holdout = holdout
        self.seeds = list(seeds)
        self.histories: list[History] = []
        self.checks: list[dict[str, str]] = []
        self.first_features: dict[str, NDArray[np.float32]] | None = None

    def plan(self) -> None:
        """Make every split that will be needed, so that one that can't be made fails at once."""
        data, holdout = self.dataset, self.holdout
        if holdout.by_group and data.groups is None:
            raise ValueError(
                "Holdout(by_group=True) needs groups, and the data has none. Pass groups, or name "
                "them in the data."
            )
        if holdout.by_group is False:
            # Nothing here keeps groups whole, intervals included: samples are drawn one by one.
            data = self.dataset = replace(data, groups=None)
        parts = self.split = split_test(
            data.labels,
            groups=data.groups,
            is_test=data.is_test,
            test_size=holdout.test_size,
            seed=holdout.seed,
            names=data.classes,
        )
        self.codes = data.labels[parts.first]
        self.groups = None if data.groups is None else data.groups[parts.first]
        self.whole = Part(
            None,
            np.arange(len(data.classes)),
            np.arange(len(parts.first)),
            np.arange(len(parts.second)),
        )
        test_codes = data.labels[parts.second]
        self.subset_parts = [
            part_of_subset(name, np.array(classes), self.codes, test_codes)
            for name, classes in data.subsets.items()
            if self.recipe.by_subset
        ]
        self.development_splits = {
            seed: split_development(
                self.codes,
                groups=self.groups,
                selection_size=holdout.selection_size,
                seed=seed,
                names=data.classes,
            )
            for seed in self.seeds
        }
        self._plan_trainings()

    def _plan_trainings(self) -> None:
        methods = self.recipe.methods.values()
        self.needs_network = any(method.needs_shared_network for method in methods)
        frozen = is_keras_model(self.recipe.network)
        trained = [self.whole] if self.needs_network and not frozen else []
        if any(method.inputs == "network" for method in methods):
            trained += self.subset_parts
        for seed, split in self.development_splits.items():
            for part in trained:
                chosen = part.development[part.restrict(split).first]
                groups = None if self.groups is None else self.groups[chosen]
                validation_split(self.codes[chosen], groups, self.recipe.training, seed)

    def execute(self, progress: Progress) -> list[MethodResult]:
        """Do all that was planned, and return what each method did."""
        self.progress = progress
        self.inputs = self._divide(self.all_inputs)
        true = self.dataset.labels[self.split.second]
        results = {
            name: MethodResult(
                name,
                method.control,
                self.knows_subset(method),
                np.empty((len(self.seeds), len(true)), np.int64),
                {part.subset: FitLog() for part in self.parts(method)},
            )
            for name, method in self.recipe.methods.items()
        }
        for row, seed in enumerate(self.seeds):
            self.start(seed)
            for name, method in self.recipe.methods.items():
                result = results[name]
                result.predictions[row] = self.fit_and_predict(name, method, result)
                progress.scored(name, seed, float(np.mean(result.predictions[row] == true)))
        return list(results.values())

    def knows_subset(self, method: Method) -> bool:
        """Say whether a method is told the subset of each sample here."""
        return bool(self.subset_parts) and method.subsets in ("optional", "needed")

    def parts(self, method: Method) -> list[Part]:
        """Return what a method makes a classifier for."""
        if method.subsets == "ignored" or not self.subset_parts:
            return [self.whole]
        return self.subset_parts

    def start(self, seed: int) -> None:
        """Train and cut the shared network of this seed."""
        self.seed, self.development_split = seed, self.development_splits[seed]
        self.train_seconds = self.network_seconds = self.extract_seconds = 0.0
        self.fitted: dict[tuple[Any, ...], _Fitted] = {}
        if not self.needs_network:
            return
        if is_keras_model(self.recipe.network):
            self.model = self.recipe.network
        else:
            self.model, history = self._train(self.whole, self.recipe.training)
            self.histories.append(history)
            self.train_seconds = history.seconds
        start = time.perf_counter()
        extractor = FeatureExtractor(self.model).fit()
        self.features = {
            "development": extractor.extract(self.inputs["development"], self.progress)
        }
        middle = time.perf_counter()
        self.features["test"] = extractor.extract(self.inputs["test"], self.progress)
        if self.first_features is None:
            self.first_features = self.features
        self.network_seconds = self.train_seconds + middle - start
        self.extract_seconds = time.perf_counter() - middle
        self.probabilities: NDArray[np.float32] | None = None

    def fit_and_predict(self, name: str, method: Method, result: MethodResult) -> NDArray[np.int64]:
        """Fit a method on development, and predict the test part: its only use."""
        if method.inputs == "probabilities" and is_keras_model(self.recipe.network):
            method = replace(METHODS["cnn+logistic"], subsets=method.subsets)
            self._note(
                "frozen-softmax",
                "info",
                f"The network came trained, so {name} is a logistic head on its features, not its "
                "own last layer.",
            )
        parts = self.parts(method)
        positions = [part.test for part in parts]
        if method.subsets in ("routed", "head-routed"):
            positions = self._route(name, method, parts)
        predictions = np.full(len(self.inputs["test"]), -1)
        progress = SILENT if method.inputs == "probabilities" else self.progress
        progress.update(f"fit {name}", 0, len(parts))
        for done, (part, chosen) in enumerate(zip(parts, positions), 1):
            fitted = self._fit(name, method, part)
            start = time.perf_counter()
            if len(chosen):  # a router may send nothing to a subset
                predictions[chosen] = fitted.predict(chosen)
            seconds = time.perf_counter() - start
            log = result.fits[part.subset]
            of_features = method.inputs == "features"
            share = of_features * len(chosen) / len(predictions)
            shared = self.network_seconds if of_features else 0.0
            if method.inputs == "probabilities":
                shared = self.train_seconds
            log.head_seconds.append(fitted.head_seconds)
            log.fit_seconds.append(fitted.head_seconds + shared)
            log.predict_seconds.append(seconds + share * self.extract_seconds)
            log.params.append(fitted.params)
            log.selection_scores.append(fitted.selection_score)
            log.grids.append(fitted.grid)
            progress.update(f"fit {name}", done, len(parts))
        return predictions

    def _fit(self, name: str, method: Method, part: Part) -> _Fitted:
        """Fit a classifier for a part; one that two methods share is fitted once."""
        key = (method.inputs, method.make_head, method.augmented, part.subset)
        if key not in self.fitted:
            if method.inputs == "probabilities":
                self.fitted[key] = _Fitted(lambda chosen: self._masked(part, chosen), 0.0)
            elif method.inputs == "network":
                self.fitted[key] = self._fit_from_scratch(method, part)
            else:
                self.fitted[key] = self._fit_head(name, method, part, self.codes)
        return self.fitted[key]

    def _fit_head(self, name: str, method: Method, part: Part, codes: NDArray[np.int64]) -> _Fitted:
        start = time.perf_counter()
        samples = self.features if method.inputs == "features" else self._pixels()
        development = samples["development"]
        if part.subset is not None:
            development, codes = development[part.development], codes[part.development]
        split = part.restrict(self.development_split)
        preprocessing = None
        if method.make_preprocessing is not None:
            preprocessing = method.make_preprocessing(len(split.first), development.shape[1])
        assert method.make_head is not None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            head = method.make_head(self.recipe.n_jobs, self.seed)
            fitted = fit_head(head, development, codes, split, preprocessing=preprocessing)
        self._note_warnings(name, caught)
        search = fitted["head"]
        return _Fitted(
            lambda chosen: fitted.predict(samples["test"][chosen]),
            time.perf_counter() - start,
            plain_params(search.best_params_),
            float(search.best_score_),
            {
                "params": [plain_params(params) for params in search.cv_results_["params"]],
                "score": search.cv_results_["mean_test_score"].tolist(),
            },
        )

    def _fit_from_scratch(self, method: Method, part: Part) -> _Fitted:
        training = self.recipe.training
        if not method.augmented:
            training = replace(training, augmentation=None)
        model, history = self._train(part, training)

        def predict(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
            outputs = predict_probabilities(model, self.inputs["test"][chosen])
            return part.classes[outputs.argmax(axis=1)]

        return _Fitted(predict, history.seconds)

    def _train(self, part: Part, training: Training) -> tuple[Any, History]:
        """Train a network on the fit part of some classes, which it numbers from 0."""
        chosen = part.development[part.restrict(self.development_split).first]
        return fit_network(
            self.recipe.network,
            self.inputs["development"][chosen],
            np.searchsorted(part.classes, self.codes[chosen]),
            training,
            groups=None if self.groups is None else self.groups[chosen],
            seed=self.seed,
            progress=self.progress,
            checkpoint=self._checkpoint(part, training),
        )

    def _checkpoint(self, part: Part, training: Training) -> Path | None:
        """Name the file of one training among all those of a comparison."""
        folder = self.recipe.checkpoints
        if folder is None:
            return None
        kind = "random" if self.groups is None else "group"
        subsets = [each.subset for each in self.subset_parts]
        position = "all" if part.subset is None else subsets.index(part.subset)
        plain = "-plain" if training.augmentation is None else ""
        name = f"{kind}-split-{self.holdout.seed}-seed-{self.seed}-subset-{position}{plain}"
        return folder / f"{name}.safetensors"

    def _outputs(self) -> NDArray[np.float32]:
        """The shared network's probabilities of the test part, computed once."""
        if self.probabilities is None:
            self.probabilities = predict_probabilities(self.model, self.inputs["test"])
        return self.probabilities

    def _masked(self, part: Part, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """The most probable class among those of a part."""
        return part.classes[self._outputs()[chosen][:, part.classes].argmax(axis=1)]

    def _route(self, name: str, method: Method, parts: Sequence[Part]) -> list[NDArray[np.int64]]:
        """For each subset the test samples that are taken to be of it."""
        if method.subsets == "routed":
            shares = [self._outputs()[:, part.classes].sum(axis=1) for part in parts]
            chosen = np.argmax(shares, axis=0)
        else:
            members = np.empty(len(self.dataset.classes), np.int64)
            for index, part in enumerate(parts):
                members[part.classes] = index
            router = self._fit_head(name, method, self.whole, members[self.codes])
            chosen = router.predict(self.whole.test)
        return [np.flatnonzero(chosen == index) for index in range(len(parts))]

    def _divide(self, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"development": samples[self.split.first], "test": samples[self.split.second]}

    def _pixels(self) -> dict[str, NDArray[np.float32]]:
        return {
            part: images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
            for part, images in self._divide(self.dataset.images).items()
        }

    def _note_warnings(self, name: str, caught: Sequence[warnings.WarningMessage]) -> None:
        for message in {str(item.message).splitlines()[0] for item in caught}:
            self._note("fit-warning", "warning", f"{name}: {message}")

    def _note(self, check_id: str, level: str, message: str) -> None:
        check = {"id": check_id, "level": level, "message": message}
        if check not in self.checks:
            self.checks.append(check)
