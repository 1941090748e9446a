"""Labeled image files, as listed by a folder or a manifest, and their decoding."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from penultimate._common.door import spelled
from penultimate._common.progress import Progress
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.images import decode_images
from penultimate.datasets.parts import given_split
from penultimate.datasets.sizes import Size


@dataclass(frozen=True)
class Listing:
    """Image files with their labels and other metadata, before any file is opened.

    Attributes
    ----------
    name : str
        Name of the data.
    paths : list of Path
    labels : list of str
    subsets, groups : list of str, or None
        Names, with one entry per file.
    parts : list of {"train", "validation", "test"}, or None
        Part of each file in the split that came with the data.
    called : dict of str to str, or None
        Names of the parts in the data, for messages.
    notes : tuple of str
        Notes on what was done while listing.
    empty : tuple of str
        Class folders without images, in a sentence each; they are an error unless wanted.
    shown : list of str, or None
        Names of the files for people, if their paths are temporary.
    """

    name: str
    paths: list[Path]
    labels: list[str]
    subsets: list[str] | None = None
    groups: list[str] | None = None
    parts: list[str] | None = None
    called: dict[str, str] | None = None
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    shown: list[str] | None = None

    def decode(
        self,
        size: Size | Literal["auto"] | None,
        skip_corrupt: bool,
        progress: Progress,
        for_report: bool = False,
    ) -> Dataset:
        """Decode the files into a data set, without those that are skipped."""
        decoded = decode_images(
            self.paths,
            image_size=size,
            skip_corrupt=skip_corrupt,
            progress=progress,
            for_report=for_report,
        )
        left_out = tuple(f"Left out: {reason}." for reason in decoded.unreadable)

        def kept(values: list[Any] | None) -> list[Any] | None:
            return None if values is None else [values[i] for i in decoded.read]

        labels = [self.labels[i] for i in decoded.read]
        subsets, parts = kept(self.subsets), kept(self.parts)
        is_test = is_selection = None
        of_split: list[str] = []
        if parts is not None:
            classes = labels if subsets is None else list(map("/".join, zip(subsets, labels)))
            given = given_split(parts, classes, self.called)
            is_test, is_selection, of_split = given.is_test, given.is_selection, given.notes
        dataset = Dataset.from_arrays(
            decoded.images,
            labels,
            name=self.name,
            groups=kept(self.groups),
            is_test=is_test,
            is_selection=is_selection,
            subsets=subsets,
            notes=(*of_split, *self.notes, *decoded.notes),
        )
        notes = (*dataset.notes, *left_out)
        files = np.array([str(path) for path in self.paths])[decoded.read]
        return replace(
            dataset, fingerprints=decoded.fingerprints, files=files, sources=files, notes=notes
        )


def groups_from_names(paths: list[Path], pattern: str) -> list[str]:
    """Extract the group of each file from its name.

    Parameters
    ----------
    paths : list of Path
    pattern : str
        Regular expression that is searched in the file name. The match of its group named
        ``group``, or else of its first group, is the group of the file.

    Raises
    ------
    ValueError
        If the expression is invalid, has no group, or does not match a file.
    """
    expression = compile_group(pattern)
    key: str | int = "group" if "group" in expression.groupindex else 1
    groups = []
    for path in paths:
        match = expression.search(path.name)
        if match is None or not match[key]:
            raise ValueError(
                f"{_option()}, {pattern!r}, finds no group in {path.name!r}, which lies in "
                f"{str(path.parent)!r}. Fix the expression, or rename the file."
            )
        groups.append(match[key])
    return groups


def compile_group(pattern: str) -> re.Pattern[str]:
    """Compile the expression that finds a file's group.

    Raises
    ------
    ValueError
        If it is not a regular expression, or has no group.
    """
    hint = "Write one such as '(?P<group>[^_]+)_'."
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{_option()} is not a regular expression: {error}; got {pattern!r}. {hint}"
        ) from error
    if not expression.groups:
        raise ValueError(f"{_option()} has no group in parentheses; got {pattern!r}. {hint}")
    return expression


def _option() -> str:
    return spelled("--group-from-filename", "group_from_filename")
