"""Outcome of a comparison: predictions, accuracies with intervals, and the content of its file."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets import Dataset
from penultimate.evaluation.intervals.accuracy import (
    Interval,
    accuracy_interval,
    compare_accuracies,
)
from penultimate.evaluation.intervals.significance import holm, mcnemar, samples_needed
from penultimate.evaluation.novelty.strangers import Strangers
from penultimate.networks.training.recipe import History
from penultimate.results.across_splits import split_table
from penultimate.results.answer import find_answer
from penultimate.results.method import (
    BASELINE,
    MASKED_BASELINE,
    FitLog,
    HardCase,
    LearningCurve,
    MethodResult,
)
from penultimate.results.next_steps import next_steps
from penultimate.results.per_class import ClassFigures, confusion_counts, figures_by_class
from penultimate.results.samples import sample_names

_PACKAGES = (
    "penultimate",
    "numpy",
    "scikit-learn",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
)


@dataclass(repr=False)
class Outcome:
    """Outcome of a comparison; `Comparison` adds words, tables, plots and files.

    Attributes
    ----------
    dataset : Dataset
        Data that the methods were compared on.
    test : ndarray of int
        Positions of the test samples in the dataset.
    seeds : list of int
    methods : list of MethodResult
    histories : list of History
        Training histories of the network, one per seed; empty if no network was trained.
    protocol : dict
        Protocol of the comparison, as in ``results.json``.
    checks : list of dict
        Findings of the checks: ``id``, ``level`` and ``message``.
    check_states : list of dict
        State of every check: its ``id``, its ``state`` (``"passed"``, ``"found"``,
        ``"not applicable"`` or ``"unknown"``) and, for the last two, ``why``.
    features : dict of str to ndarray of shape (n_samples, n_features), or None
        Features of the first seed's network, for the feature map of the report:
        ``"development"``, in the order of the samples in the dataset, and ``"test"``, in the order
        of `test`. None if no method used a network.
    others : list of Outcome
        Outcomes on other splits of the same data, with the first seed only.
    hardest : list of HardCase
        Development samples on the wrong side of the margin of an SVM head that was fitted on them,
        the worst first; for the first seed.
    learning_curves : list of LearningCurve
        Accuracies of heads fitted on fewer samples; for the first seed.
    models : dict of str to object
        The classifiers of the first seed and split, by method, if they are kept.
    strangers : Strangers or None
        Which classes would be noticed if they were strangers, if that was asked for; for the first
        seed and split.
    """

    dataset: Dataset
    test: NDArray[np.int64]
    seeds: list[int]
    methods: list[MethodResult]
    histories: list[History]
    protocol: dict[str, Any]
    checks: list[dict[str, str]]
    features: dict[str, NDArray[np.float32]] | None = None
    others: Sequence["Outcome"] = field(default_factory=list)
    hardest: list[HardCase] = field(default_factory=list)
    learning_curves: list[LearningCurve] = field(default_factory=list)
    check_states: list[dict[str, str]] = field(default_factory=list)
    models: dict[str, Any] = field(default_factory=dict)
    strangers: Strangers | None = None

    @property
    def subsets(self) -> list[str]:
        """Names of the subsets of the comparison; empty if methods were not compared by subset."""
        return list(self.dataset.subsets) if self.protocol["subsets"] else []

    def method(self, name: str) -> MethodResult:
        """Return a method's results.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.

        Returns
        -------
        MethodResult

        Raises
        ------
        KeyError
            If the method was not compared.
        """
        for method in self.methods:
            if method.name == name:
                return method
        raise KeyError(f"{name!r} was not compared; the methods compared are {self.names()}.")

    def names(self) -> list[str]:
        """Return the names of the methods compared.

        Returns
        -------
        list of str
        """
        return [method.name for method in self.methods]

    def samples(self, subset: str | None = None) -> NDArray[np.int64]:
        """Return the test samples of a subset, or all of them.

        Parameters
        ----------
        subset : str, optional

        Returns
        -------
        ndarray of int
            Positions within the test set.
        """
        if subset is None:
            return np.arange(len(self.test))
        return np.flatnonzero(np.isin(self.test, self.dataset.subset_samples(subset)))

    def correct(self, name: str, subset: str | None = None) -> NDArray[np.bool_]:
        """Return which test samples a method classified correctly.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.
        subset : str, optional
            Restrict the result to the samples of this subset.

        Returns
        -------
        ndarray of shape (n_seeds, n_samples), bool
        """
        right = self.method(name).predictions == self.dataset.labels[self.test]
        return right[:, self.samples(subset)]

    def accuracy(self, name: str, subset: str | None = None) -> Interval:
        """Compute a method's mean test accuracy over seeds, with its confidence interval.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.
        subset : str, optional
            Restrict the accuracy to the samples of this subset.

        Returns
        -------
        Interval
        """
        return accuracy_interval(self.correct(name, subset), groups=self.groups(subset))

    def baseline(self, name: str) -> str:
        """Return the name of a method's baseline: the softmax with the same information.

        This is the masked softmax if the method is given the subset. If the network has no softmax
        over these classes, it is the converged logistic head on the same features.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.

        Returns
        -------
        str
        """
        knows_subset = self.method(name).knows_subset
        softmaxes = [m for m in self.methods if m.is_softmax]
        candidates = softmaxes
        if not softmaxes and self.protocol["frozen"]:
            # The network's softmax does not cover these classes.
            candidates = [m for m in self.methods if m.is_logistic_head]
        usual = MASKED_BASELINE if knows_subset else BASELINE
        alike = sorted(m.name for m in candidates if m.knows_subset == knows_subset)
        return alike[0] if alike and usual not in alike else usual

    @property
    def reference(self) -> str:
        """What differences are from: "softmax", or the name of the head that takes its place."""
        if self.protocol["frozen"] and not any(method.is_softmax for method in self.methods):
            return self.baseline(self.methods[0].name)
        return "softmax"

    def vs_softmax(self, name: str, subset: str | None = None) -> Interval | None:
        """Compute a method's accuracy minus that of its `baseline`, with its confidence interval.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.
        subset : str, optional
            Restrict the accuracy to the samples of this subset.

        Returns
        -------
        Interval or None
            None for the baseline itself, or if the baseline was not compared.
        """
        baseline = self.baseline(name)
        if name == baseline or baseline not in self.names():
            return None
        return compare_accuracies(
            self.correct(name, subset),
            self.correct(baseline, subset),
            groups=self.groups(subset),
        )

    def by_class(self, name: str) -> list[ClassFigures]:
        """Compute how well a method recognizes each class.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.

        Returns
        -------
        list of ClassFigures
            Precision, recall and F1 with their intervals, in the order of the classes.
        """
        predictions, true = self.method(name).predictions, self.dataset.labels[self.test]
        return figures_by_class(true, predictions, self.dataset.classes, groups=self.groups())

    def confusion(self, name: str) -> NDArray[np.int64]:
        """Count a method's answers for the test samples of each class, over all seeds.

        Parameters
        ----------
        name : str
            Name of a method of this comparison.

        Returns
        -------
        ndarray of shape (n_classes, n_classes), int
            One row per true class, one column per answer, in the order of the classes.
        """
        true, n_classes = self.dataset.labels[self.test], len(self.dataset.classes)
        return confusion_counts(true, self.method(name).predictions, n_classes)

    def groups(self, subset: str | None = None) -> NDArray[Any] | None:
        """Return the groups of the test samples, of all or of a subset; None without groups.

        Parameters
        ----------
        subset : str, optional

        Returns
        -------
        ndarray or None
        """
        groups = self.dataset.groups
        return None if groups is None else groups[self.test[self.samples(subset)]]

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
                "unit": data.noun,
                "image_shape": list(data.images.shape[1:]),
                "classes": list(data.classes),
                "subsets": {
                    name: [data.classes[k] for k in members]
                    for name, members in data.subsets.items()
                },
                "test_sha256": sha256_of(data, self.test),
                "test_samples": self.test.tolist(),
                "test_files": None if data.files is None else sample_names(data, self.test),
                "notes": list(data.notes),
            },
            "protocol": dict(self.protocol),
            "answer": find_answer(self).to_dict(),
            "methods": _with_adjusted_p(
                [
                    self._method_dict(method, subset)
                    for method in self.methods
                    for subset in (None, *self.subsets)
                ]
            ),
            "splits": split_table([self, *self.others]),
            "checks": list(self.checks),
            "check_states": list(self.check_states),
            "next_steps": next_steps(self),
            "novelty": self.strangers and self.strangers.to_dict(data.classes),
            "versions": _versions(),
        }

    def headlines(self) -> dict[str, Any]:
        """Return the part of `to_dict` that the answer and the verdict are made of.

        Returns
        -------
        dict
            Without subsets and without figures by class, which take most of the time.
        """
        return {
            "dataset": {
                "name": self.dataset.name,
                "n_test": len(self.test),
                "unit": self.dataset.noun,
            },
            "protocol": dict(self.protocol),
            "answer": find_answer(self).to_dict(),
            "methods": [self._method_dict(m, None, by_class=False) for m in self.methods],
            "checks": list(self.checks),
        }

    def _method_dict(
        self, method: MethodResult, subset: str | None, *, by_class: bool = True
    ) -> dict[str, Any]:
        accuracy = self.accuracy(method.name, subset)
        difference = self.vs_softmax(method.name, subset)
        log = method.choices(subset) or FitLog()  # several classifiers have no common choice
        return {
            "name": method.name,
            "subset": subset,
            "knows_subset": method.knows_subset,
            "control": method.control,
            "inputs": method.inputs,
            "family": method.family,
            "uses_network": method.uses_network,
            "router": method.router,
            "accuracy": accuracy.value,
            "ci95": [accuracy.low, accuracy.high],
            "per_seed": self.correct(method.name, subset).mean(axis=1).tolist(),
            "selection_scores": log.selection_scores,
            **method.seconds(subset),
            "per_class": None
            if subset is not None or not by_class
            else [figures.to_dict() for figures in self.by_class(method.name)],
            "params": {str(seed): params for seed, params in zip(self.seeds, log.params)},
            "selected": {
                str(seed): selected
                for seed, selected in zip(self.seeds, log.selected)
                if selected is not None
            },
            "vs_softmax": None
            if difference is None
            else {
                "baseline": self.baseline(method.name),
                "difference": difference.value,
                "ci95": [difference.low, difference.high],
                "p": difference.p,
                **self._further_tests(method.name, subset),
            },
        }

    def _further_tests(self, name: str, subset: str | None) -> dict[str, Any]:
        correct = self.correct(name, subset), self.correct(self.baseline(name), subset)
        return {
            "p_mcnemar": [mcnemar(one, two) for one, two in zip(*correct)],
            "samples_needed": samples_needed(*correct, groups=self.groups(subset)),
        }


def sha256_of(data: Dataset, samples: NDArray[np.int64]) -> str:
    """Return the SHA-256 of samples and their class indices."""
    digest = hashlib.sha256(np.ascontiguousarray(data.images[samples]).tobytes())
    digest.update(np.asarray(data.labels[samples], "<i8").tobytes())
    return digest.hexdigest()


def _with_adjusted_p(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add Holm-adjusted p-values, over all methods, separately for all samples and each subset."""
    for subset in dict.fromkeys(row["subset"] for row in rows):
        tested = [row["vs_softmax"] for row in rows if row["subset"] == subset]
        tested = [difference for difference in tested if difference is not None]
        for difference, p in zip(tested, holm([d["p"] for d in tested])):
            difference["p_holm"] = float(p)
    return rows


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
