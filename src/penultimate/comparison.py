"""The comparison: every method on the same split and, where they share one, the same network."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._progress import SILENT, Progress
from penultimate._run import MethodResult, Run
from penultimate._validation import check_choice, check_number
from penultimate.datasets import Dataset, load, split_test
from penultimate.datasets.splits import check_class_sizes
from penultimate.evaluation import Interval, accuracy_interval, compare_accuracies
from penultimate.heads import METHODS
from penultimate.networks import History, Training, is_keras_model

BASELINE = "cnn-softmax"
_PACKAGES = (
    "penultimate",
    "numpy",
    "scikit-learn",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
)


@dataclass
class Comparison:
    """The outcome of `compare`.

    Attributes
    ----------
    dataset : Dataset
        The data compared on.
    test : ndarray of int
        Positions of the test samples in it.
    seeds : list of int
    methods : list of MethodResult
    histories : list of History
        Of the network's training, for each seed; empty where no network was trained.
    protocol : dict
        How it was done: as in ``results.json``.
    checks : list of dict
        What a reader should know: ``id``, ``level`` and ``message``.
    features : dict of str to ndarray of shape (n_samples, n_features), or None
        Of the first seed's network, for its map in the report: ``"development"``, in the order of
        the samples in the dataset, and ``"test"``, in the order of `test`. None where no method
        used a network.
    """

    dataset: Dataset
    test: NDArray[np.int64]
    seeds: list[int]
    methods: list[MethodResult]
    histories: list[History]
    protocol: dict[str, Any]
    checks: list[dict[str, str]]
    features: dict[str, NDArray[np.float32]] | None = None

    def correct(self, name: str) -> NDArray[np.bool_]:
        """Tell which test samples a method got right.

        Parameters
        ----------
        name : str
            A method of this comparison.

        Returns
        -------
        ndarray of shape (n_seeds, n_test), bool
        """
        method = next(m for m in self.methods if m.name == name)
        return method.predictions == self.dataset.labels[self.test]

    def accuracy(self, name: str) -> Interval:
        """Compute a method's accuracy on the test part, the mean over seeds, and its interval.

        Parameters
        ----------
        name : str
            A method of this comparison.

        Returns
        -------
        Interval
        """
        return accuracy_interval(self.correct(name), groups=self._test_groups())

    def vs_softmax(self, name: str) -> Interval | None:
        """Compute a method's accuracy less that of the network's softmax, and its interval.

        Parameters
        ----------
        name : str
            A method of this comparison.

        Returns
        -------
        Interval or None
            None for the softmax itself, or where it was not compared.
        """
        if name == BASELINE or all(m.name != BASELINE for m in self.methods):
            return None
        return compare_accuracies(
            self.correct(name), self.correct(BASELINE), groups=self._test_groups()
        )

    def _test_groups(self) -> NDArray[Any] | None:
        return None if self.dataset.groups is None else self.dataset.groups[self.test]

    def to_dict(self) -> dict[str, Any]:
        """Return all results as plain data: the content of ``results.json``.

        Returns
        -------
        dict
        """
        data = self.dataset
        return {
            "format": 1,
            "dataset": {
                "name": data.name,
                "n_development": len(data.labels) - len(self.test),
                "n_test": len(self.test),
                "image_shape": list(data.images.shape[1:]),
                "classes": list(data.classes),
                "subsets": {},
                "test_sha256": self._fingerprint(),
                "notes": list(data.notes),
            },
            "protocol": dict(self.protocol),
            "methods": [self._method_dict(method) for method in self.methods],
            "checks": list(self.checks),
            "versions": _versions(),
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html`` and ``results.json``, each whole or not at all.

        Parameters
        ----------
        folder : str or Path
            Made if need be. An earlier comparison there is replaced, and `test_uses` counts on
            from it if it was on the same test samples.

        Returns
        -------
        Path
            Of the report.

        Raises
        ------
        ValueError
            If the folder holds something that is no comparison.
        """
        from penultimate.report import write_report

        return write_report(self, folder)

    def _method_dict(self, method: MethodResult) -> dict[str, Any]:
        accuracy, difference = self.accuracy(method.name), self.vs_softmax(method.name)
        return {
            "name": method.name,
            "subset": None,
            "control": method.control,
            "accuracy": accuracy.value,
            "ci95": [accuracy.low, accuracy.high],
            "per_seed": self.correct(method.name).mean(axis=1).tolist(),
            "selection_scores": method.selection_scores,
            "fit_seconds": float(np.mean(method.fit_seconds)),
            "head_seconds": float(np.mean(method.head_seconds)),
            "predict_seconds": float(np.mean(method.predict_seconds)),
            "params": {str(seed): params for seed, params in zip(self.seeds, method.params)},
            "vs_softmax": None
            if difference is None
            else {
                "difference": difference.value,
                "ci95": [difference.low, difference.high],
                "p": difference.p,
            },
        }

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(np.ascontiguousarray(self.dataset.images[self.test]).tobytes())
        digest.update(np.asarray(self.dataset.labels[self.test], "<i8").tobytes())
        return digest.hexdigest()

    def __str__(self) -> str:
        width = max(len(method.name) for method in self.methods)
        lines = []
        for method in self.methods:
            accuracy = self.accuracy(method.name)
            lines.append(
                f"{method.name:<{width}}  {accuracy.value:7.2%}  "
                f"({accuracy.low:.2%} to {accuracy.high:.2%})"
            )
        return "\n".join(lines)


def compare(
    X: Any,
    y: Any = None,
    *,
    methods: Sequence[str] | None = None,
    network: Any = "compact",
    training: Training | None = None,
    groups: Any = None,
    test_size: float = 0.2,
    seeds: int | Sequence[int] = 3,
    n_jobs: int | None = None,
    progress: Progress = SILENT,
) -> Comparison:
    """Compare heads on a network's features with the network's own softmax.

    The samples are split once into development and test. For each seed, development is split into
    fit part and selection part; the network is trained on the fit part (a slice of it chooses the
    best weights), and cut; features are standardised on the fit part; each head is selected on the
    selection part and refitted on all of development, then scored on the test part, once.

    Parameters
    ----------
    X : array-like of images, str, Path or Dataset
        Images with labels in `y`, or where `penultimate.datasets.load` finds both. A builder's
        network, or a frozen one, gets an array as it is; files give it pixels from 0 to 255.
    y : array-like of shape (n_samples,), optional
        Labels, where `X` is an array.
    methods : list of str, optional
        Names in ``penultimate.heads.METHODS``; by default all of them.
    network : str, callable or keras.Model, default="compact"
        As in `DeepSVC`. With a frozen model, ``cnn-softmax`` is a logistic head on its features.
    training : Training, optional
        How a network is trained.
    groups : array-like of shape (n_samples,), optional
        What no split may divide, such as writers; overrides the dataset's own.
    test_size : float, default=0.2
        The share of test samples, unless the data came with a split.
    seeds : int or list of int, default=3
        How many seeds, counted from 0, or which.
    n_jobs : int, optional
        Processes for searches; -1 for all cores.
    progress : Progress, optional
        Hears of every long step and every score.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the data or a parameter is unusable; before anything is trained.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import Training, compare
    >>> y = np.repeat([0, 1], 30)
    >>> X = np.random.default_rng(0).integers(0, 150, (60, 8, 8), dtype=np.uint8)
    >>> X[y == 1] += 100
    >>> result = compare(X, y, methods=["cnn-softmax", "cnn+svm-rbf"], seeds=1,
    ...                  training=Training(epochs=3))
    >>> [method.name for method in result.methods]
    ['cnn-softmax', 'cnn+svm-rbf']
    """
    names = list(METHODS) if methods is None else list(dict.fromkeys(methods))
    if not names:
        raise ValueError("methods is empty; name at least one, or pass None for all of them.")
    for name in names:
        check_choice(name, "methods", "compare", METHODS)
    chosen = {name: METHODS[name] for name in names}
    check_number(test_size, "test_size", "compare", low=0, high=1, open_low=True, open_high=True)
    seeds = _check_seeds(seeds)
    training = Training() if training is None else training
    training.check()
    if n_jobs == 0:
        raise ValueError("The 'n_jobs' parameter of compare must not be 0; pass -1 for all cores.")
    dataset, inputs = _check_data(X, y, groups, network, progress)
    check_class_sizes(dataset.labels, dataset.classes)
    parts = split_test(
        dataset.labels, groups=dataset.groups, is_test=dataset.is_test, test_size=test_size
    )
    run = Run(dataset, inputs, parts, network, training, n_jobs, progress)
    needs_network = any(method.inputs != "pixels" for method in chosen.values())
    run.plan(seeds, needs_network)
    results = {
        name: MethodResult(
            name, method.control, np.empty((len(seeds), len(parts.second)), np.int64)
        )
        for name, method in chosen.items()
    }
    for row, seed in enumerate(seeds):
        run.start(seed, needs_network)
        for name, method in chosen.items():
            result = results[name]
            result.predictions[row] = run.fit_and_predict(name, method, result)
            score = float(np.mean(result.predictions[row] == dataset.labels[parts.second]))
            progress.scored(name, seed, score)
    protocol = {
        "selection": "heldout",
        "seeds": seeds,
        "groups": dataset.groups is not None,
        "given_split": dataset.is_test is not None,
        "network": network if isinstance(network, str) else getattr(network, "__name__", "custom"),
        "frozen": is_keras_model(network),
        "epochs": None if is_keras_model(network) else training.epochs,
        "test_uses": 1,
    }
    return Comparison(
        dataset,
        parts.second,
        seeds,
        list(results.values()),
        run.histories,
        protocol,
        run.checks,
        run.first_features,
    )


def _check_seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, (int, np.integer)):
        check_number(seeds, "seeds", "compare", low=1, high=1000, integer=True)
        return list(range(int(seeds)))
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be a number, or a list of different integers; got {seeds}.")
    for seed in seeds:
        check_number(seed, "seeds", "compare", low=0, high=2**31 - 1, integer=True)
    return [int(seed) for seed in seeds]


def _check_data(
    X: Any, y: Any, groups: Any, network: Any, progress: Progress
) -> tuple[Dataset, NDArray[Any]]:
    """Return the dataset, and what the network is fed with."""
    if isinstance(X, (str, Path, Dataset)):
        if y is not None:
            raise ValueError("y must be None where X is a path or a Dataset, which has labels.")
        data = X if isinstance(X, Dataset) else load(X, progress=progress)
        if groups is not None:
            fields = {n: getattr(data, n) for n in ("name", "is_test", "notes")}
            names = np.asarray(data.classes)[data.labels]
            data = Dataset.from_arrays(data.images, names, groups=groups, **fields)
        return data, data.images
    if y is None:
        raise ValueError("y is missing: compare needs a label for each image.")
    data = Dataset.from_arrays(X, y, groups=groups)
    return data, data.images if isinstance(network, str) else np.asarray(X)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
