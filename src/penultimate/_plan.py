"""Which samples are for what: the splits of a comparison, and those of each classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets import (
    Dataset,
    Holdout,
    Split,
    split_development,
    split_folds,
    split_test,
)
from penultimate.heads import Method


@dataclass(frozen=True)
class Part:
    """The samples that one classifier is for: all of them, or those of a subset.

    Attributes
    ----------
    subset : str or None
    classes : ndarray of int
        The indices of its classes.
    development, test : ndarray of int
        Positions in the development part and in the test part.
    """

    subset: str | None
    classes: NDArray[np.int64]
    development: NDArray[np.int64]
    test: NDArray[np.int64]

    def restrict(self, split: Split) -> Split:
        """Return a split of development as one of this part's samples."""
        halves = (np.intersect1d(self.development, half) for half in (split.first, split.second))
        return Split(*(np.searchsorted(self.development, half) for half in halves))


@dataclass(frozen=True)
class Plan:
    """Every split of a comparison on one test part.

    Attributes
    ----------
    dataset : Dataset
        Without groups where these are not kept whole.
    holdout : Holdout
    split : Split
        Development (first) and test (second).
    development_splits : dict of int to Split
        For each seed the fit part (first) and the selection part (second) of development; where
        selection is not by holding samples out, all of development and nothing.
    folds : dict of int to list of Split
        For each seed those of cross-fitting, or of cross-validation by group: the other folds
        (first) and the fold (second).
    whole : Part
        All samples and classes.
    subset_parts : list of Part
        One for each subset; empty where there is one classifier for all classes.
    known_groups : ndarray of shape (n_samples,) or None
        The groups that the data came with, kept whole or not.
    """

    dataset: Dataset
    holdout: Holdout
    split: Split
    development_splits: dict[int, Split]
    folds: dict[int, list[Split]]
    whole: Part
    subset_parts: list[Part]
    known_groups: NDArray[Any] | None = None

    @property
    def codes(self) -> NDArray[np.int64]:
        """Class indices of the development samples."""
        return self.dataset.labels[self.split.first]

    @property
    def groups(self) -> NDArray[Any] | None:
        """Groups of the development samples, where they are kept whole."""
        return None if self.dataset.groups is None else self.dataset.groups[self.split.first]

    def divide(self, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return what belongs to each sample as ``"development"`` and ``"test"``."""
        return {"development": samples[self.split.first], "test": samples[self.split.second]}

    def parts(self, method: Method) -> list[Part]:
        """Return what a method makes a classifier for."""
        if method.subsets == "ignored" or not self.subset_parts:
            return [self.whole]
        return self.subset_parts

    def knows_subset(self, method: Method) -> bool:
        """Say whether a method is told the subset of each sample."""
        return bool(self.subset_parts) and method.subsets in ("optional", "needed")


def make_plan(
    dataset: Dataset,
    holdout: Holdout,
    seeds: Sequence[int],
    by_subset: bool,
    selection: str = "heldout",
) -> Plan:
    """Make every split, so that one that can't be made fails before anything is fitted.

    Parameters
    ----------
    dataset : Dataset
    holdout : Holdout
    seeds : sequence of int
    by_subset : bool
        Whether there are classifiers for each subset.
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If a split can't be made, or leaves a subset without test samples.
    """
    if holdout.by_group and dataset.groups is None:
        raise ValueError(
            "Holdout(by_group=True) needs groups, and the data has none. Pass groups, or have them "
            "found in the names of files (--group-from-filename)."
        )
    known_groups = dataset.groups
    if holdout.by_group is False:
        # Nothing here keeps groups whole, intervals included: samples are drawn one by one.
        dataset = replace(dataset, groups=None)
    split = split_test(
        dataset.labels,
        groups=dataset.groups,
        is_test=dataset.is_test,
        test_size=holdout.test_size,
        seed=holdout.seed,
        names=dataset.classes,
    )
    codes, test_codes = dataset.labels[split.first], dataset.labels[split.second]
    classes = np.arange(len(dataset.classes))
    whole = Part(None, classes, np.arange(len(codes)), np.arange(len(test_codes)))
    subset_parts = [
        _part_of_subset(name, np.array(members), codes, test_codes)
        for name, members in dataset.subsets.items()
        if by_subset
    ]
    groups = None if dataset.groups is None else dataset.groups[split.first]
    development_splits = {
        seed: split_development(
            codes,
            groups=groups,
            selection_size=holdout.selection_size,
            seed=seed,
            names=dataset.classes,
        )
        if selection == "heldout"
        else Split(whole.development, whole.development[:0])
        for seed in seeds
    }
    folds = {
        seed: split_folds(codes, groups=groups, seed=seed)
        if selection == "crossfit" or (selection == "resubstitution" and groups is not None)
        else []
        for seed in seeds
    }
    if selection == "crossfit" and not all(folds.values()):
        raise ValueError(
            "selection='crossfit' needs samples of each class in at least 2 groups of the "
            "development part. Drop the groups, or use selection='heldout'."
        )
    return Plan(
        dataset, holdout, split, development_splits, folds, whole, subset_parts, known_groups
    )


def _part_of_subset(
    name: str,
    classes: NDArray[np.int64],
    development: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Part:
    """Find the samples of a subset, by the class indices of both parts."""
    part = Part(
        name,
        classes,
        np.flatnonzero(np.isin(development, classes)),
        np.flatnonzero(np.isin(test, classes)),
    )
    if not len(part.test):
        raise ValueError(
            f"No sample of the subset {name!r} is in the test part. Hold out more (test_size), or "
            "split otherwise."
        )
    return part
