"""The work of a comparison: a network a seed, the heads on it, and what each did."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._progress import Progress
from penultimate.datasets import Dataset, Split, split_development
from penultimate.heads import METHODS, Method
from penultimate.hybrid import fit_head
from penultimate.networks import (
    FeatureExtractor,
    History,
    Training,
    fit_network,
    is_keras_model,
    predict_probabilities,
)
from penultimate.networks.training import validation_split


@dataclass
class MethodResult:
    """What a method did on the test part, for each seed.

    Attributes
    ----------
    name : str
    control : bool
        As in `Method`.
    predictions : ndarray of shape (n_seeds, n_test), int64
        Class indices.
    fit_seconds, head_seconds, predict_seconds : list of float
        To fit all of the method from images, its shared network included; to select and fit its
        head alone; and to predict the test part from images.
    params : list of dict
        The head's chosen parameters.
    selection_scores : list of float or None
        Accuracy of the chosen head on the selection part.
    grids : list of dict or None
        The head's ``cv_results_``, reduced to ``params`` and ``score``.
    """

    name: str
    control: bool
    predictions: NDArray[np.int64]
    fit_seconds: list[float] = field(default_factory=list)
    head_seconds: list[float] = field(default_factory=list)
    predict_seconds: list[float] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    selection_scores: list[float | None] = field(default_factory=list)
    grids: list[dict[str, Any] | None] = field(default_factory=list)


class Run:
    """The work of one comparison: a network a seed, and the heads on it."""

    def __init__(
        self,
        dataset: Dataset,
        inputs: NDArray[Any],
        parts: Split,
        network: Any,
        training: Training,
        n_jobs: int | None,
        progress: Progress,
    ) -> None:
        self.codes = dataset.labels[parts.first]
        self.groups = None if dataset.groups is None else dataset.groups[parts.first]
        self.inputs = {"development": inputs[parts.first], "test": inputs[parts.second]}
        self.images = self.inputs
        if inputs is not dataset.images:
            self.images = {
                "development": dataset.images[parts.first],
                "test": dataset.images[parts.second],
            }
        self.network, self.training = network, training
        self.n_jobs, self.progress = n_jobs, progress
        self.histories: list[History] = []
        self.checks: list[dict[str, str]] = []
        self.first_features: dict[str, NDArray[np.float32]] | None = None

    def plan(self, seeds: Sequence[int], needs_network: bool) -> None:
        """Make every split that will be needed, so that one that can't be made fails at once."""
        self.splits = {
            seed: split_development(self.codes, groups=self.groups, seed=seed) for seed in seeds
        }
        if not needs_network or is_keras_model(self.network):
            return
        for seed, split in self.splits.items():
            groups = None if self.groups is None else self.groups[split.first]
            validation_split(self.codes[split.first], groups, self.training, seed)

    def start(self, seed: int, needs_network: bool) -> None:
        """Train and cut the network of this seed."""
        self.seed, self.split = seed, self.splits[seed]
        self.train_seconds = self.network_seconds = self.extract_seconds = 0.0
        if not needs_network:
            return
        start = time.perf_counter()
        fit_part = self.split.first
        if is_keras_model(self.network):
            self.model = self.network
        else:
            self.model, history = fit_network(
                self.network,
                self.inputs["development"][fit_part],
                self.codes[fit_part],
                self.training,
                groups=None if self.groups is None else self.groups[fit_part],
                seed=seed,
                progress=self.progress,
            )
            self.histories.append(history)
        self.train_seconds = time.perf_counter() - start
        extractor = FeatureExtractor(self.model).fit()
        self.features = {
            "development": extractor.extract(self.inputs["development"], self.progress)
        }
        middle = time.perf_counter()
        self.features["test"] = extractor.extract(self.inputs["test"], self.progress)
        if self.first_features is None:
            self.first_features = self.features
        self.network_seconds = middle - start
        self.extract_seconds = time.perf_counter() - middle

    def fit_and_predict(self, name: str, method: Method, result: MethodResult) -> NDArray[np.int64]:
        """Fit a method on development, and predict the test part: its only use."""
        if method.inputs == "probabilities" and is_keras_model(self.network):
            method = METHODS["cnn+logistic"]
            self._note(
                "frozen-softmax",
                "info",
                f"The network came trained, so {name} is a logistic head on its features, not its "
                "own last layer.",
            )
        if method.make_head is None:
            start = time.perf_counter()
            predictions = predict_probabilities(self.model, self.inputs["test"]).argmax(axis=1)
            result.fit_seconds.append(self.train_seconds)
            result.head_seconds.append(0.0)
            result.predict_seconds.append(time.perf_counter() - start)
            result.params.append({})
            result.selection_scores.append(None)
            result.grids.append(None)
            return predictions

        self.progress.update(f"fit {name}", 0, 1)
        start = time.perf_counter()
        on_features = method.inputs == "features" or method.inputs == "probabilities"
        samples = self.features if on_features else self._pixels()
        development = samples["development"]
        preprocessing = None
        if method.make_preprocessing is not None:
            preprocessing = method.make_preprocessing(len(self.split.first), development.shape[1])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            head = method.make_head(self.n_jobs, self.seed)
            fitted = fit_head(
                head, development, self.codes, self.split, preprocessing=preprocessing
            )
        self._note_warnings(name, caught)
        middle = time.perf_counter()
        predictions = fitted.predict(samples["test"])
        end = time.perf_counter()
        search = fitted["head"]
        result.head_seconds.append(middle - start)
        result.fit_seconds.append(middle - start + on_features * self.network_seconds)
        result.predict_seconds.append(end - middle + on_features * self.extract_seconds)
        result.params.append(_plain(search.best_params_))
        result.selection_scores.append(float(search.best_score_))
        result.grids.append(
            {
                "params": [_plain(params) for params in search.cv_results_["params"]],
                "score": search.cv_results_["mean_test_score"].tolist(),
            }
        )
        self.progress.update(f"fit {name}", 1, 1)
        return predictions

    def _pixels(self) -> dict[str, NDArray[np.float32]]:
        return {
            part: images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
            for part, images in self.images.items()
        }

    def _note_warnings(self, name: str, caught: Sequence[warnings.WarningMessage]) -> None:
        for message in {str(item.message).splitlines()[0] for item in caught}:
            self._note("fit-warning", "warning", f"{name}: {message}")

    def _note(self, check_id: str, level: str, message: str) -> None:
        check = {"id": check_id, "level": level, "message": message}
        if check not in self.checks:
            self.checks.append(check)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Turn NumPy scalars into Python ones, for JSON."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in params.items()}
