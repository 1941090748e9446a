"""What would stop a comparison of the images that a survey has found.

A comparison finds these one after the other, each after reading all files again. Here they are
listed at once, each with the way out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from penultimate._common.door import spelled
from penultimate._common.wording import quantity
from penultimate.datasets.parts import TEST
from penultimate.datasets.sizes import Size
from penultimate.datasets.survey import Sample, Survey
from penultimate.splits.draw import check_class_sizes

_NAMED = 3  # files that are listed


@dataclass(frozen=True)
class Reading:
    """How a comparison will read the data: options of `load`, and what follows it.

    Attributes
    ----------
    image_size : (height, width), "auto" or None
    skip_corrupt, drop_duplicates, subsets : bool
    """

    image_size: Size | Literal["auto"] | None = "auto"
    skip_corrupt: bool = False
    drop_duplicates: bool = False
    subsets: bool = False


def find_obstacles(found: Survey, reading: Reading = Reading()) -> list[str]:
    """Return what would stop a comparison, and what to do about it.

    Parameters
    ----------
    found : Survey
    reading : Reading, optional

    Returns
    -------
    list of str
        Sentences; empty if nothing stands in the way.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from penultimate.datasets.obstacles import find_obstacles
    >>> from penultimate.datasets.survey import survey
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.npz"
    >>> images = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    >>> np.savez(file, X=images, y=["cat", "dog"] * 2)
    >>> find_obstacles(survey(file))
    ["The class 'cat' has 2 samples; at least 5 are needed to fit, select and test. Add ..."]
    """
    readable = found.readable()
    if not readable:
        reason = f": {found.samples[0].reason}" if found.samples else ""
        return [f"No image could be read{reason}. Convert the files, for example to JPEG."]
    counts = {name: count for name, count in found.counts().items() if count}
    if len(counts) < 2:
        return [
            f"All images are in one class, {next(iter(counts))!r}; a comparison needs at least two "
            "classes, in one folder each."
        ]
    leaks = _mislabeled(found) if reading.drop_duplicates else _leaks(found)
    return [*found.empty, *_sizes(found, reading), *_too_few(found, readable), *leaks]


def _sizes(found: Survey, reading: Reading) -> list[str]:
    size, option = reading.image_size, spelled("--image-size", "image_size")
    if not found.formats() and size not in (None, "auto"):
        return [f"{option} resizes image files, but these are arrays. Leave it out."]
    if size is None and len(found.sizes()) > 1:
        return [
            f"The images have {len(found.sizes())} sizes, so they can't keep them. Choose one size "
            f"to resize them to: {spelled('--image-size 64', 'image_size=64')}."
        ]
    return []


def _mislabeled(found: Survey) -> list[str]:
    across = [same for same in found.copies() if len({sample.label for sample in same}) > 1]
    if not across:
        return []
    return [
        f"Copies of {quantity(len(across), 'image')} are in different classes, such as "
        f"{_list(sample.file for sample in across[0])}. Keep each in its true class: dropping "
        "duplicates does not choose a label."
    ]


def _too_few(found: Survey, readable: list[Sample]) -> list[str]:
    if TEST in found.parts():
        tested = found.counts(TEST)
        missing = [name for name, count in tested.items() if not count]
        if missing:
            return [
                f"The test part has no image of {_list(map(repr, missing))}: nothing will be known "
                "about how well it is recognized. Add some."
            ]
        return []
    try:
        check_class_sizes(
            np.array([sample.label for sample in readable]),
            None,
            np.array([sample.print_of for sample in readable], np.uint64),
        )
    except ValueError as error:
        return [str(error)]
    return []


def _leaks(found: Survey) -> list[str]:
    seen = [sample.file for sample in found.test_images_learned()]
    if not seen:
        return []
    return [
        f"{quantity(len(seen), 'test image')} can also be found outside the test part: "
        f"{_list(seen)}. An accuracy on images that were learned says nothing about new ones (data "
        "leakage). Remove them from one of the parts, or let "
        f"{spelled('--drop-duplicates', 'Dataset.without_duplicates()')} do it."
    ]


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED:,} more" if listed[_NAMED:] else ""
    return ", ".join(listed[:_NAMED]) + more
