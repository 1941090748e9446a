"""Which samples are for what: the splits of a comparison, and those of each classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.comparison.methods import Method
from penultimate.datasets import Dataset
from penultimate.splits import (
    Holdout,
    Split,
    count_copies,
    split_development,
    split_folds,
    split_test,
)
from penultimate.splits.units import join_copies


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
        halves = (np.intersect1d(self.development, half) for half in (split.train, split.held_out))
        return Split(*(np.searchsorted(self.development, half) for half in halves))


@dataclass(frozen=True)
class Plan:
    """Every split of a comparison on one test part.

    Attributes
    ----------
    dataset : Dataset
        Without groups where these are not kept whole; with notes on how it was split.
    holdout : Holdout
    split : Split
        Development (`train`) and test (`held_out`).
    development_splits : dict of int to Split
        For each seed the fit part (`train`) and the selection part (`held_out`) of development;
        where selection is not by holding samples out, all of development and nothing.
    folds : dict of int to list of Split
        For each seed those of cross-fitting, or of cross-validation by group: the other folds
        (`train`) and the fold (`held_out`).
    whole : Part
        All samples and classes.
    subset_parts : list of Part
        One for each subset; empty where there is one classifier for all classes.
    known_groups : ndarray of shape (n_samples,) or None
        The groups that the data came with, kept whole or not.
    n_copies : int
        How many samples are exact copies of others.
    """

    dataset: Dataset
    holdout: Holdout
    split: Split
    development_splits: dict[int, Split]
    folds: dict[int, list[Split]]
    whole: Part
    subset_parts: list[Part]
    known_groups: NDArray[Any] | None = None
    n_copies: int = 0

    @property
    def codes(self) -> NDArray[np.int64]:
        """Class indices of the development samples."""
        return self.dataset.labels[self.split.train]

    @property
    def groups(self) -> NDArray[Any] | None:
        """Groups of the development samples, where they are kept whole."""
        return None if self.dataset.groups is None else self.dataset.groups[self.split.train]

    @property
    def fingerprints(self) -> NDArray[np.uint64]:
        """Fingerprints of the development samples, whose copies are kept together."""
        return self.dataset.fingerprint()[self.split.train]

    def divide(self, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return what belongs to each sample as ``"development"`` and ``"test"``."""
        return {"development": samples[self.split.train], "test": samples[self.split.held_out]}

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
    prints = dataset.fingerprint()
    dataset = replace(dataset, fingerprints=prints)  # computed once: each split asks for them
    split = _draw_test(dataset, holdout)
    codes, test_codes = dataset.labels[split.train], dataset.labels[split.held_out]
    classes = np.arange(len(dataset.classes))
    whole = Part(None, classes, np.arange(len(codes)), np.arange(len(test_codes)))
    subset_parts = [
        _part_of_subset(name, np.array(members), codes, test_codes)
        for name, members in dataset.subsets.items()
        if by_subset
    ]
    given = _given_development_split(dataset, split, subset_parts, selection)
    together: Any = {
        "groups": None if dataset.groups is None else dataset.groups[split.train],
        "fingerprints": prints[split.train],
    }

    def split_once(seed: int) -> Split:
        if selection != "heldout":
            return Split(whole.development, whole.development[:0])
        if given is not None:
            return given
        size = holdout.selection_size
        return split_development(
            codes, **together, selection_size=size, seed=seed, names=dataset.classes
        )

    # Cross-validation inside a search would part groups, and copies: it gets folds that do not.
    has_units = dataset.groups is not None or count_copies(prints[split.train]) > 0
    folds = {
        seed: split_folds(codes, **together, seed=seed)
        if selection == "crossfit" or (selection == "resubstitution" and has_units)
        else []
        for seed in seeds
    }
    if selection == "crossfit" and not all(folds.values()):
        raise ValueError(
            "selection='crossfit' needs samples of each class in at least 2 groups of the "
            "development part. Drop the groups, or use selection='heldout'."
            if dataset.groups is not None
            else "selection='crossfit' needs at least 2 samples of each class in the development "
            "part that differ. Add samples, or use selection='heldout'."
        )
    n_copies = count_copies(prints)
    return Plan(
        replace(dataset, notes=(*dataset.notes, *_notes(dataset, selection, n_copies))),
        holdout,
        split,
        {seed: split_once(seed) for seed in seeds},
        folds,
        whole,
        subset_parts,
        known_groups,
        n_copies,
    )


def _draw_test(dataset: Dataset, holdout: Holdout) -> Split:
    """Split into development and test; a selection part that came with the data is development."""
    keep = np.zeros(len(dataset.labels), bool)
    if dataset.is_selection is not None and dataset.is_test is None:
        units = join_copies(dataset.groups, dataset.fingerprint())
        units = np.arange(len(keep)) if units is None else units
        keep = np.isin(units, units[dataset.is_selection])
    free = np.flatnonzero(~keep)
    split = split_test(
        dataset.labels[free],
        groups=None if dataset.groups is None else dataset.groups[free],
        fingerprints=dataset.fingerprint()[free],
        is_test=dataset.is_test,
        test_size=holdout.test_size,
        seed=holdout.seed,
        names=dataset.classes,
    )
    test = free[split.held_out]
    return Split(np.setdiff1d(np.arange(len(keep)), test), test)


def _given_development_split(
    dataset: Dataset, split: Split, subset_parts: Sequence[Part], selection: str
) -> Split | None:
    """Return the fit and selection parts that the data came with, where heads are selected so.

    Raises
    ------
    ValueError
        If one of them lacks what it is for.
    """
    if dataset.is_selection is None or selection != "heldout":
        return None
    chosen = dataset.is_selection[split.train]
    if not dataset.is_selection.any():
        return None
    given = Split(np.flatnonzero(~chosen), np.flatnonzero(chosen))
    codes, way_out = dataset.labels[split.train], "or draw it anew: is_selection=None."
    if not len(given.held_out) or not len(given.train):
        lacking = "selection" if not len(given.held_out) else "fit"
        raise ValueError(
            f"The selection part that came with the data leaves no sample in the {lacking} part. "
            f"Move some there, {way_out}"
        )
    unfit = np.setdiff1d(codes, codes[given.train])
    if len(unfit):
        raise ValueError(
            f"{len(unfit)} classes are in the selection part that came with the data, and have no "
            f"sample to fit on, such as class {dataset.classes[unfit[0]]!r}. Move some there, "
            f"{way_out}"
        )
    for part in subset_parts:
        if not len(part.restrict(given).held_out):
            raise ValueError(
                f"No sample of the subset {part.subset!r} is in the selection part that came with "
                f"the data. Move some there, {way_out}"
            )
    if dataset.groups is not None:
        groups = dataset.groups[split.train]
        shared = np.intersect1d(groups[given.train], groups[given.held_out])
        if len(shared):
            raise ValueError(
                f"{len(shared)} groups are in both the fit part and the selection part that came "
                f"with the data, such as {shared[0].item()!r}. Drop the groups, {way_out}"
            )
    return given


def _notes(dataset: Dataset, selection: str, n_copies: int) -> list[str]:
    """Say what was done about copies, and with a selection part that came with the data."""
    notes = []
    if dataset.is_selection is not None and dataset.is_selection.any():
        n_selection = int(dataset.is_selection.sum())
        came = f"The selection part came with the data: {n_selection:,} images"
        notes.append(
            f"{came}, the same for every seed."
            if selection == "heldout"
            else f"{came}. With selection={selection!r} they are development samples like any "
            "other; selection='heldout' would choose parameters on them alone."
        )
    if n_copies:
        drawn = "every split" if dataset.is_test is None else "every split but the given one"
        word, are = (
            ("image", "is an exact copy") if n_copies == 1 else ("images", "are exact copies")
        )
        notes.append(
            f"{n_copies:,} {word} {are} of others; copies were kept on the same side of {drawn}."
        )
    return notes


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
