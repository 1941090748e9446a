"""Checks for samples that should be separate: seen in training, duplicated, of one group."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.validation import check_per_sample
from penultimate._common.wording import quantity
from penultimate.evaluation.checks._check import Check
from penultimate.provenance.leakage import report_leak
from penultimate.provenance.records import provenance_of

# The part of a file's name before the first "_" or "-", such as "writer12" of "writer12_3.png".
_PREFIX = re.compile(r"([^/\\_-]+)[_-]")
_SHOWN = 3  # images named in a message; of each, so many copies
_MOST_COPIES = 6


def check_seen(
    fingerprints: NDArray[np.uint64], seen: ArrayLike, *, names: Sequence[Any] | None = None
) -> Check | None:
    """Look for test samples that were seen in training.

    Parameters
    ----------
    fingerprints : ndarray of shape (n_test,), uint64
        Fingerprints of the test samples; see `penultimate.provenance.fingerprint`.
    seen : ndarray of uint64, or object
        Fingerprints of training samples, or a network or classifier with recorded provenance.
    names : sequence, optional
        Names of the test samples for the message; by default their positions.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.checks import check_seen
    >>> from penultimate.provenance import fingerprint
    >>> images = np.arange(160).reshape(10, 4, 4)
    >>> check_seen(fingerprint(images[6:]), fingerprint(images[:8])).message
    '2 of 4 test samples were seen in training (exact copies): 0, 1.'
    """
    if isinstance(seen, np.ndarray):
        leaked = np.isin(fingerprints, seen)
    else:
        leaked = provenance_of(seen).holds(fingerprints)
    called = np.arange(len(leaked)) if names is None else np.asarray(names)
    message = report_leak(called[leaked], len(leaked), on_leak="ignore")
    return Check("test-samples-seen", message, "error") if message else None


def check_duplicates(
    fingerprints: NDArray[np.uint64],
    labels: ArrayLike,
    *,
    names: Sequence[Any] | None = None,
    noun: str = "image",
) -> Check | None:
    """Look for identical samples with different labels.

    Parameters
    ----------
    fingerprints : ndarray of shape (n_samples,), uint64
    labels : array-like of shape (n_samples,)
    names : sequence, optional
        Names of the samples for the message.
    noun : str, default="image"
        What a sample is called.

    Returns
    -------
    Check or None
    """
    _, same = np.unique(fingerprints, return_inverse=True)
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    # Distinct combinations of image and label: an image in two of them has two labels.
    pairs = np.unique(np.column_stack([same, codes]), axis=0)[:, 0]
    several = np.flatnonzero(np.bincount(pairs) > 1)
    among = np.isin(same, several)
    if not among.any():
        return None
    return Check(
        "duplicates-across-classes",
        f"{quantity(len(several), noun)} {'is' if len(several) == 1 else 'are'} in the data under "
        f"several labels, {among.sum():,} times in all: {_copies(same, several, names)}",
    )


def _copies(
    same: NDArray[np.int64], several: NDArray[np.int64], names: Sequence[Any] | None
) -> str:
    """List all copies of the first few images: only with all of them can one compare the labels."""
    first = {image: int(np.argmax(same == image)) for image in several.tolist()}
    shown = sorted(several.tolist(), key=first.__getitem__)[:_SHOWN]
    listed = []
    for image in shown:
        copies = [
            str(k if names is None else names[k]) for k in np.flatnonzero(same == image).tolist()
        ]
        more = len(copies) - _MOST_COPIES
        listed.append(
            " = ".join(copies[:_MOST_COPIES]) + (f" and {more:,} more" if more > 0 else "")
        )
    return "; ".join(listed) + (" ..." if len(several) > _SHOWN else ".")


def check_groups(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    *,
    groups: ArrayLike | None = None,
    files: Sequence[str] | None = None,
    labels: ArrayLike | None = None,
) -> Check | None:
    """Look for groups that are on both sides of a split.

    Without groups, file names are examined: if nearly all of them start with a prefix that ends in
    ``_`` or ``-``, and prefixes are shared by several samples of several classes, the prefix may
    identify a group.

    Parameters
    ----------
    first, second : ndarray of int
        Positions of the samples on each side.
    groups : array-like of shape (n_samples,), optional
    files : sequence of str, optional
        Path that each sample was read from.
    labels : array-like of shape (n_samples,), optional
        Labels; needed together with `files`.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.checks import check_groups
    >>> files = [f"{label}/writer{w}_{k}.png" for label in "ab" for w in range(5) for k in range(4)]
    >>> labels = np.repeat(["a", "b"], 20)
    >>> check_groups(np.arange(0, 40, 2), np.arange(1, 40, 2), files=files, labels=labels).message
    "File names look like groups, such as 'writer0' in 'writer0_0.png'; 5 are on both sides."
    """
    if groups is not None:
        checked = check_per_sample(groups, np.shape(groups)[0], "groups", "check_groups")
        groups = np.asarray(checked)
        shared = np.intersect1d(groups[first], groups[second])
        if not len(shared):
            return None
        return Check(
            "groups-split",
            f"{len(shared):,} of {len(np.unique(groups)):,} groups are on both sides of the split, "
            f"such as {shared.tolist()[0]!r}.",
        )
    if files is None or labels is None:
        return None
    names = [re.split(r"[/\\]", str(file))[-1] for file in files]
    prefixes = np.array([m[1] if (m := _PREFIX.match(name)) else "" for name in names])
    found = prefixes != ""
    different = np.unique(prefixes[found])
    # Prefixes that are all alike, or nearly all different, say nothing about groups.
    if found.mean() < 0.95 or not 2 <= len(different) <= len(names) / 3:
        return None
    pairs = np.unique(np.column_stack([prefixes, np.asarray(labels).astype(str)])[found], axis=0)
    if np.mean(np.unique(pairs[:, 0], return_counts=True)[1] > 1) < 0.5:
        return None  # each prefix has a single class: it is a class name, not a group
    shared = np.intersect1d(prefixes[first], prefixes[second])
    if not len(shared):
        return None
    example = names[int(np.flatnonzero(prefixes == shared[0])[0])]
    return Check(
        "groups-split",
        f"File names look like groups, such as {str(shared[0])!r} in {example!r}; "
        f"{len(shared):,} are on both sides.",
    )


def check_same_training(classifiers: Mapping[str, Any]) -> Check | None:
    """Look for classifiers that were trained on different samples than the first one.

    Parameters
    ----------
    classifiers : dict of str to object
        Fitted classifiers of this library, or networks with recorded provenance, by name; those
        without records are ignored.

    Returns
    -------
    Check or None
    """
    known = {name: provenance_of(each).trained for name, each in classifiers.items()}
    known = {name: trained for name, trained in known.items() if len(trained)}
    first = next(iter(known), "")
    for name, trained in known.items():
        if not np.array_equal(trained, known[first]):
            shared = len(np.intersect1d(trained, known[first]))
            return Check(
                "other-training-samples",
                f"{first} was trained on {len(known[first]):,} samples and {name} on "
                f"{len(trained):,}, of which {shared:,} are the same.",
            )
    return None
