"""The role of every sample: the splits of a comparison, and those of each classifier.

All splits are made here, before anything is fitted, so that an impossible one fails early and the
test set cannot depend on a result. Groups and exact copies are units that no split divides: a copy
on the other side would be a leak.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate.comparison.method import Method
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
    """The samples of one classifier: all of them, or those of a subset.

    Attributes
    ----------
    subset : str or None
    classes : ndarray of int
        Indices of its classes.
    development, test : ndarray of int
        Positions within the development set and within the test set.
    """

    subset: str | None
    classes: NDArray[np.int64]
    development: NDArray[np.int64]
    test: NDArray[np.int64]

    def restrict(self, split: Split) -> Split:
        """Restrict a split of development to the samples of this part."""
        # Positions in development become positions in this part, whose `development` is sorted.
        halves = (np.intersect1d(self.development, half) for half in (split.train, split.held_out))
        return Split(*(np.searchsorted(self.development, half) for half in halves))


@dataclass(frozen=True)
class Plan:
    """Every split of a comparison on one test set.

    Attributes
    ----------
    dataset : Dataset
        The data, without groups if these are not kept whole; with notes on how it was split.
    holdout : Holdout
    split : Split
        Development (`train`) and test set (`held_out`).
    development_splits : dict of int to Split
        Fit part (`train`) and selection part (`held_out`) of development, by seed; if selection
        is not on held-out samples, all of development and nothing.
    folds : dict of int to list of Split
        Folds of cross-fitting, or of cross-validation by group, by seed: the other folds
        (`train`) and the fold itself (`held_out`).
    whole : Part
        All samples and classes.
    subset_parts : list of Part
        One part per subset; empty if there is one classifier for all classes.
    known_groups : ndarray of shape (n_samples,) or None
        The groups that the data came with, kept whole or not.
    n_copies : int
        Number of samples that are exact copies of others.
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
        """Groups of the development samples, if they are kept whole."""
        return None if self.dataset.groups is None else self.dataset.groups[self.split.train]

    @property
    def fingerprints(self) -> NDArray[np.uint64]:
        """Fingerprints of the development samples, by which copies are kept together."""
        return self.dataset.fingerprint()[self.split.train]

    def divide(self, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Divide an array with one entry per sample into ``"development"`` and ``"test"``."""
        return {"development": samples[self.split.train], "test": samples[self.split.held_out]}

    def parts(self, method: Method) -> list[Part]:
        """Return the parts for each of which a method fits a classifier."""
        if method.subsets == "ignored" or not self.subset_parts:
            return [self.whole]
        return self.subset_parts

    def knows_subset(self, method: Method) -> bool:
        """Return whether a method is given the subset of each sample."""
        return bool(self.subset_parts) and method.knows_subset


def make_plan(
    dataset: Dataset,
    holdout: Holdout,
    seeds: Sequence[int],
    selection: str = "heldout",
) -> Plan:
    """Make every split, so that an impossible one fails before anything is fitted.

    Parameters
    ----------
    dataset : Dataset
        If it has subsets, there is one part per subset.
    holdout : Holdout
    seeds : sequence of int
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If a split is impossible, or leaves a subset without test samples.
    """
    if holdout.by_group and dataset.groups is None:
        raise ValueError(
            f"{spelled('--split-by group', 'Holdout(by_group=True)')} needs groups, and the data "
            "has none. Add them "
            + spelled(
                "in a column 'group' of a manifest, or by --group-from-filename.",
                "with Dataset.with_groups, or load_data's group_from_filename.",
            )
        )
    known_groups = dataset.groups  # also for the check of groups that the split ignores
    # None keeps groups whole if there are any, True insists on them, False ignores them.
    if holdout.by_group is False:
        # Samples are drawn independently, so the intervals must not treat groups as units either.
        dataset = replace(dataset, groups=None)
    prints = dataset.fingerprint()
    dataset = replace(dataset, fingerprints=prints)  # computed once: each split asks for them
    split = _draw_test(dataset, holdout)
    codes, test_codes = dataset.labels[split.train], dataset.labels[split.held_out]
    # Parts hold positions within development and test, not within the data: nothing that is fitted
    # can name a test sample.
    classes = np.arange(len(dataset.classes))
    whole = Part(None, classes, np.arange(len(codes)), np.arange(len(test_codes)))
    subset_parts = [
        _part_of_subset(name, np.array(members), codes, test_codes)
        for name, members in dataset.subsets.items()
    ]
    given = _given_development_split(dataset, split, subset_parts, selection)
    together: dict[str, Any] = {
        "groups": None if dataset.groups is None else dataset.groups[split.train],
        "fingerprints": prints[split.train],
    }

    def split_once(seed: int) -> Split:
        # Networks are then trained on all of development: the selection part is empty.
        if selection != "heldout":
            return Split(whole.development, whole.development[:0])
        if given is not None:
            return given
        size = holdout.selection_size
        return split_development(
            codes, **together, selection_size=size, seed=seed, names=dataset.classes
        )

    # Cross-validation inside a search would divide groups and copies, so it is given folds.
    has_units = dataset.groups is not None or count_copies(prints[split.train]) > 0
    folds = {
        seed: split_folds(codes, **together, seed=seed)
        if selection == "crossfit" or (selection == "resubstitution" and has_units)
        else []
        for seed in seeds
    }
    # `split_folds` returns no folds if a class cannot be in two of them.
    if selection == "crossfit" and not all(folds.values()):
        crossfit = spelled("--selection crossfit", "selection='crossfit'")
        heldout = spelled("--selection heldout", "selection='heldout'")
        raise ValueError(
            f"{crossfit} needs samples of each class in at least 2 groups of the development set. "
            f"Drop the groups, or use {heldout}."
            if dataset.groups is not None
            else f"{crossfit} needs at least 2 different samples of each class in the development "
            f"set. Add samples, or use {heldout}."
        )
    # For the note in the report: how many copies there are, over all of the data.
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
    """Split into development and test; a selection part in the data belongs to development."""
    # With a given selection part but no given test set, the latter is drawn from the other samples.
    # Copies of selection samples, and the rest of their groups, then also stay in development.
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
    """Return the fit and selection parts that the data came with, if heads are selected on them.

    Raises
    ------
    ValueError
        If one of them lacks samples, classes or subsets that it needs.
    """
    if dataset.is_selection is None or selection != "heldout":
        return None
    # The same for every seed, which then varies the network alone.
    chosen = dataset.is_selection[split.train]
    # A mask without any sample is treated as none: the selection part is then drawn.
    if not dataset.is_selection.any():
        return None
    given = Split(np.flatnonzero(~chosen), np.flatnonzero(chosen))
    # The given split replaces one drawn here, so it must pass the same requirements.
    codes = dataset.labels[split.train]
    way_out = spelled("or leave this part out.", "or draw it at random: is_selection=None.")
    if not len(given.held_out) or not len(given.train):
        lacking = "selection" if not len(given.held_out) else "fit"
        raise ValueError(
            f"The selection part that came with the data leaves no sample in the {lacking} part. "
            f"Move some there, {way_out}"
        )
    unfit = np.setdiff1d(codes, codes[given.train])
    if len(unfit):
        raise ValueError(
            f"{len(unfit)} classes are in the selection part that came with the data, but have no "
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
    """Return notes on exact copies, and on a selection part that came with the data."""
    notes = []
    if dataset.is_selection is not None and dataset.is_selection.any():
        n_selection = int(dataset.is_selection.sum())
        asked = spelled(f"--selection {selection}", f"selection={selection!r}")
        came = f"The selection part came with the data: {n_selection:,} {dataset.noun}s"
        notes.append(
            f"{came}, the same for every seed."
            if selection == "heldout"
            else f"{came}. With {asked} they are "
            "development samples like any other; 'heldout' would choose hyper-parameters on them "
            "alone."
        )
    if n_copies:
        # A user's own split is kept as it is, even if it divides copies: `find_leaks` reports
        # these.
        drawn = "every split" if dataset.is_test is None else "every split except the given one"
        word, are = (
            (dataset.noun, "is an exact copy")
            if n_copies == 1
            else (f"{dataset.noun}s", "are exact copies")
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
    """Find the samples of a subset from the class indices of development and test."""
    part = Part(
        name,
        classes,
        np.flatnonzero(np.isin(development, classes)),
        np.flatnonzero(np.isin(test, classes)),
    )
    # Otherwise this would be found when its accuracy is computed, after all the trainings.
    if not len(part.test):
        raise ValueError(
            f"No sample of the subset {name!r} is in the test set. "
            + spelled(
                "Split differently (--seed, --split-by), or add samples.",
                "Hold out more (Holdout(test_size=...)), or split differently.",
            )
        )
    return part
