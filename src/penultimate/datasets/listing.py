"""Labelled image files: what a folder or a manifest lists, and decoding it into a dataset."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from penultimate._progress import Progress
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.images import decode_images


@dataclass(frozen=True)
class Listing:
    """Image files with what is known of each, before any is opened.

    Attributes
    ----------
    name : str
        Of the data.
    paths : list of Path
    labels : list of str
    subsets, groups : list of str, or None
        Names, an entry a file.
    is_test : list of bool, or None
    """

    name: str
    paths: list[Path]
    labels: list[str]
    subsets: list[str] | None = None
    groups: list[str] | None = None
    is_test: list[bool] | None = None

    def decode(
        self, size: tuple[int, int] | None, skip_corrupt: bool, progress: Progress
    ) -> Dataset:
        """Decode the files into a dataset, without those that are left out."""
        decoded = decode_images(
            self.paths, image_size=size, skip_corrupt=skip_corrupt, progress=progress
        )
        left_out = tuple(f"Left out: {reason}." for reason in decoded.unreadable)

        def kept(values: list[Any] | None) -> list[Any] | None:
            return None if values is None else [values[i] for i in decoded.read]

        dataset = Dataset.from_arrays(
            decoded.images,
            kept(self.labels),
            name=self.name,
            groups=kept(self.groups),
            is_test=kept(self.is_test),
            subsets=kept(self.subsets),
            notes=(*decoded.notes, *left_out),
        )
        files = np.array([str(path) for path in self.paths])[decoded.read]
        return replace(dataset, fingerprints=decoded.fingerprints, files=files)


def groups_from_names(paths: list[Path], pattern: str) -> list[str]:
    """Take each file's group from its name.

    Parameters
    ----------
    paths : list of Path
    pattern : str
        A regular expression, searched in the file's name; its group called ``group``, or else its
        first one, is what the file belongs to.

    Raises
    ------
    ValueError
        If the expression is none, has no group, or does not match a file.
    """
    hint = "Write one such as '(?P<group>[^_]+)_'."
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"group_from_filename is no regular expression: {error}; got {pattern!r}. {hint}"
        ) from error
    if not expression.groups:
        raise ValueError(
            f"group_from_filename has no group in parentheses; got {pattern!r}. {hint}"
        )
    key: str | int = "group" if "group" in expression.groupindex else 1
    groups = []
    for path in paths:
        match = expression.search(path.name)
        if match is None or not match[key]:
            raise ValueError(
                f"group_from_filename, {pattern!r}, finds no group in {path.name!r}, which lies in "
                f"{str(path.parent)!r}. Mend the expression, or rename the file."
            )
        groups.append(match[key])
    return groups
