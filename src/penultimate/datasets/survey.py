"""What is in a folder of images, before anything is trained on it.

Every file is decoded once, as `load` does, but differing sizes and unreadable files are findings
here instead of errors. Exact copies are found by the fingerprints of the decoded pixels, so a photo
that was saved under two names is found, and so is one that was saved in two lossless formats.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penultimate._common.decoding import FORMATS, decode_image
from penultimate._common.progress import SILENT, Progress
from penultimate._common.wording import quantity
from penultimate.datasets.archives import ARCHIVES, unpacked
from penultimate.datasets.class_names import natural_order
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.listing import Listing
from penultimate.datasets.parts import TEST, TRAIN, VALIDATION
from penultimate.datasets.readers import find_data, list_or_read, namer
from penultimate.provenance.fingerprints import fingerprint

_TINY = 16  # pixels: the named networks halve a side up to four times
_N_SAMPLES = 4  # pictures per class
_MOST_SAMPLES = 240  # pictures in all: the page stays under a megabyte
_THUMBNAIL = 96  # pixels
# Tried in this order; each finds what stands before the first, or last, separator.
_GROUP_PATTERNS = ("(?P<group>[^_]+)_", "(?P<group>[^-]+)-", "(?P<group>.+)_", "(?P<group>.+)-")


@dataclass(frozen=True)
class Sample:
    """What was found in one file, or one row of an array.

    Attributes
    ----------
    file : str
    label : str
    part : str or None
        Part of a split that came with the data.
    size : (height, width) or None
        None if the file could not be read; so are the three that follow.
    format, mode : str or None
        As Pillow names them; None for arrays.
    print_of : int or None
        Fingerprint.
    reason : str or None
        Why it could not be read.
    thumbnail : ndarray or None
    """

    file: str
    label: str
    part: str | None = None
    size: tuple[int, int] | None = None
    format: str | None = None
    mode: str | None = None
    print_of: int | None = None
    reason: str | None = None
    thumbnail: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Survey:
    """What is in a folder, manifest, archive or array of labeled images.

    Attributes
    ----------
    name : str
    samples : list of Sample
    classes : list of str
        In natural order.
    notes : list of str
        What was left out or decided while listing.
    pattern : str or None
        Expression that finds groups in the file names: given, or suggested.
    suggested : bool
        Whether `pattern` is a suggestion.
    groups : dict of str to int
        Number of images in each group that `pattern` finds.
    empty : list of str
        Class folders without images, in a sentence each.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from penultimate.datasets.survey import survey
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.npz"
    >>> np.savez(file, X=np.zeros((4, 8, 8), np.uint8), y=[0, 1, 0, 1])
    >>> survey(file).counts()
    {'0': 2, '1': 2}
    """

    name: str
    samples: list[Sample]
    classes: list[str]
    notes: list[str] = field(default_factory=list)
    pattern: str | None = None
    suggested: bool = False
    groups: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def readable(self) -> list[Sample]:
        """Return the samples that could be read."""
        return [sample for sample in self.samples if sample.size is not None]

    def counts(self, part: str | None = None) -> dict[str, int]:
        """Return the number of readable images of each class, in one part or in all."""
        found = Counter(s.label for s in self.readable() if part is None or s.part == part)
        return {name: found[name] for name in self.classes}

    def parts(self) -> list[str]:
        """Return the parts of a split that came with the data."""
        present = {sample.part for sample in self.samples}
        return [part for part in (TRAIN, VALIDATION, TEST) if part in present]

    def sizes(self) -> list[tuple[tuple[int, int], int]]:
        """Return the sizes, as (height, width), and their counts; the most frequent first."""
        return Counter(s.size for s in self.readable() if s.size is not None).most_common()

    def formats(self) -> dict[str, int]:
        """Return the number of files of each format."""
        return dict(Counter(s.format for s in self.readable() if s.format).most_common())

    def modes(self) -> dict[str, int]:
        """Return the number of files of each color mode."""
        return dict(Counter(s.mode for s in self.readable() if s.mode).most_common())

    def copies(self) -> list[list[Sample]]:
        """Return the exact copies, each image with all of its files; across classes first."""
        by_print: dict[int, list[Sample]] = {}
        for sample in self.samples:
            if sample.print_of is not None:
                by_print.setdefault(sample.print_of, []).append(sample)
        found = [same for same in by_print.values() if len(same) > 1]
        return sorted(found, key=lambda same: len({s.label for s in same}) == 1)

    def test_images_learned(self) -> list[Sample]:
        """Return the images of the test part that are also outside of it."""
        readable = self.readable()
        learned = {s.print_of for s in readable if s.part not in (None, TEST)}
        return [s for s in readable if s.part == TEST and s.print_of in learned]

    def odd(self) -> list[tuple[str, str]]:
        """Return files that differ from the others, and in what: unreadable, tiny, other modes."""
        modes = self.modes()
        usual = next(iter(modes), None)
        usual_side = max(self.sizes()[0][0]) if self.readable() else 0
        found = [(s.file, f"can't be read: {s.reason}") for s in self.samples if s.reason]
        for s in self.readable():
            if s.size is not None and min(s.size) < _TINY < usual_side:
                found.append((s.file, f"is tiny: {s.size[0]} x {s.size[1]} pixels"))
            # As many of one mode as of another is how the data is, and no oddity.
            if s.mode != usual and s.mode is not None and 10 * modes[s.mode] < len(self.samples):
                found.append((s.file, f"has the color mode {s.mode}, most others have {usual}"))
        return found


def survey(
    path: str | Path,
    *,
    subsets: bool = False,
    group_from_filename: str | None = None,
    progress: Progress = SILENT,
) -> Survey:
    """Look at all images of a data set without loading it.

    Parameters
    ----------
    path : str or Path
        As for `load`.
    subsets : bool, default=False
        As for `load`.
    group_from_filename : str, optional
        As for `load`. If None, an expression is suggested where the file names look grouped.
    progress : Progress, optional

    Returns
    -------
    Survey

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If it has no layout that `load` reads; the message describes what was found.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    if not (path.is_file() and path.name.lower().endswith(ARCHIVES)):
        return _survey(path, path, [], subsets, group_from_filename, progress)
    with unpacked(path) as folder:
        try:
            inside, notes = find_data(folder, subsets)
            return _survey(folder, inside, notes, subsets, group_from_filename, progress)
        except ValueError as error:
            # The temporary folder says nothing to the user.
            raise ValueError(namer(path, folder)(str(error))) from error


def _survey(
    top: Path,
    path: Path,
    notes: list[str],
    subsets: bool,
    pattern: str | None,
    progress: Progress,
) -> Survey:
    found = list_or_read(
        path, skip_missing=True, subsets=subsets, group_from_filename=pattern, lenient=True
    )
    if isinstance(found, Dataset):
        if not found.has_images:
            raise ValueError(
                f"{str(path)!r} holds features, which cannot be looked at. They are "
                f"{quantity(len(found.labels), 'sample')} of "
                f"{quantity(found.images.shape[1], 'feature')} in "
                f"{quantity(len(found.classes), 'class', 'classes')}; to compare heads on them: "
                f"penultimate compare {path.name}"
            )
        samples = _of_arrays(found)
        return Survey(found.name, samples, list(found.classes), [*found.notes, *notes])
    labels = found.labels
    if found.subsets is not None:
        labels = [f"{subset}/{label}" for subset, label in zip(found.subsets, labels)]
    samples = list(_of_files(found, labels, top, progress))
    classes = natural_order(labels)
    files = [file.name for file in found.paths]
    groups = found.groups
    suggested = groups is None
    if groups is None:
        pattern, groups = _suggest_groups(files, labels)
    return Survey(
        found.name,
        samples,
        classes,
        [*found.notes, *notes],
        pattern,
        suggested and pattern is not None,
        dict(Counter(groups)),
        list(found.empty),
    )


def _of_arrays(data: Dataset) -> list[Sample]:
    prints = data.fingerprint().tolist()
    shown = _chosen([data.classes[label] for label in data.labels])
    size = (data.images.shape[1], data.images.shape[2])
    parts: list[str | None] = [None] * len(prints)
    if data.is_test is not None:
        chosen = np.zeros(len(prints), bool) if data.is_selection is None else data.is_selection
        parts = np.where(data.is_test, TEST, np.where(chosen, VALIDATION, TRAIN)).tolist()
    return [
        Sample(
            f"image {index}",
            data.classes[label],
            parts[index],
            size,
            print_of=prints[index],
            thumbnail=_as_shown(data.images[index]) if index in shown else None,
        )
        for index, label in enumerate(data.labels.tolist())
    ]


def _as_shown(image: NDArray[Any]) -> NDArray[np.uint8]:
    pixels = image.clip(0, 255).astype(np.uint8)
    return _shrunk(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _of_files(
    listing: Listing, labels: list[str], top: Path, progress: Progress
) -> Iterator[Sample]:
    """Decode every file of a listing."""
    shown = _chosen(labels)
    n_files = len(listing.paths)

    def examine(index: int) -> Sample:
        path = listing.paths[index]
        file = os.path.relpath(path, top)
        part = None if listing.parts is None else listing.parts[index]
        try:
            pixels = decode_image(path).pixels
            with Image.open(path, formats=FORMATS) as image:
                form, mode = image.format, image.mode
        except (ValueError, OSError) as error:
            reason = str(error).removeprefix(f"{path}: ")
            return Sample(file, labels[index], part, reason=reason)
        print_of = int(fingerprint(pixels[np.newaxis])[0])
        thumbnail = _shrunk(pixels) if index in shown else None
        size = (pixels.shape[0], pixels.shape[1])
        return Sample(file, labels[index], part, size, form, mode, print_of, None, thumbnail)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for index, sample in enumerate(pool.map(examine, range(n_files)), 1):
                yield sample
                if index % 100 == 0 or index == n_files:
                    progress.update("read images", index, n_files)
        except BaseException:  # including Ctrl-C: cancel the remaining files
            pool.shutdown(cancel_futures=True)
            raise


def _chosen(labels: list[str]) -> set[int]:
    """Return which samples are shown: a few per class, spread over its files."""
    by_class: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    n_each = max(1, min(_N_SAMPLES, _MOST_SAMPLES // len(by_class)))
    return {
        members[k]
        for members in list(by_class.values())[:_MOST_SAMPLES]
        for k in np.linspace(0, len(members) - 1, min(n_each, len(members))).round().astype(int)
    }


def _shrunk(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    if pixels.dtype != np.uint8:  # only to be seen: each on its own scale
        pixels = (pixels * (255 / max(1, int(pixels.max())))).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return np.asarray(image)


def _suggest_groups(files: list[str], labels: list[str]) -> tuple[str | None, list[str]]:
    """Return an expression by which file names look grouped, and the group of each file.

    A suggestion needs several groups in every class and several images in most groups: the name of
    the class, or a running number, is no group.
    """
    for pattern in _GROUP_PATTERNS:
        matches = [re.match(pattern, name) for name in files]
        groups = [match["group"] for match in matches if match]
        if len(groups) < len(files):
            continue
        counts = Counter(groups)
        per_class: dict[str, set[str]] = {}
        for group, label in zip(groups, labels):
            per_class.setdefault(label, set()).add(group)
        several = sum(count > 1 for count in counts.values()) > len(counts) / 2
        if several and all(len(found) > 1 for found in per_class.values()):
            return pattern, groups
    return None, []
