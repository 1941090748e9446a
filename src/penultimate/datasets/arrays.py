"""Reading of images or features stored as arrays: an ``.npz``, or a folder of MNIST's IDX files."""

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.images import check_one_scale
from penultimate._common.wording import quantity
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.depth import held_bits, scale_note, to_8_bits
from penultimate.datasets.features import note_scales
from penultimate.datasets.idx import read_idx
from penultimate.datasets.leftovers import is_leftover
from penultimate.datasets.parts import TEST, TRAIN, VALIDATION, given_split

_DAMAGED = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)


_PAIRS = (
    ("X", "y"),
    ("images", "labels"),
    ("features", "labels"),
    ("embeddings", "labels"),
    ("data", "target"),  # as in scikit-learn
    ("x", "y"),
)
# Names of the parts' arrays as in Keras (the first two) and in MedMNIST.
_PART_NAMES = (("X_{}", "y_{}"), ("x_{}", "y_{}"), ("{}_images", "{}_labels"))
_VALIDATION = ("val", "valid", "validation")
_IDX_NAME = re.compile(
    r"(?P<set>.*?)[-_]?(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx\d-ubyte(\.gz)?"
)


def read_npz(path: Path) -> Dataset:
    """Read an archive of plain arrays under the usual names of images and labels."""
    arrays, name = {}, ""
    try:
        with zipfile.ZipFile(path):
            pass  # np.load would also read other formats, or advise unpickling
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except _DAMAGED as error:
        if "allow_pickle" in str(error):  # NumPy's advice, not ours: a pickle may run any code
            raise ValueError(
                f"{str(path)!r} holds Python objects as the array {name!r}, which are not read. "
                f"Save it as a plain type: {name}.astype(str) if these are labels, "
                f"numpy.stack({name}) if images."
            ) from error
        raise ValueError(
            f"{str(path)!r} can't be read as an .npz of plain arrays: it is damaged "
            f"({type(error).__name__})."
        ) from error
    for images, labels in _PAIRS:
        if images in arrays and labels in arrays:
            _refuse_others(path, images, arrays)
            X, notes = _scaled(arrays[images])
            make = Dataset.from_features if X.ndim == 2 else Dataset.from_arrays
            return make(X, arrays[labels], name=path.stem, groups=arrays.get("groups"), notes=notes)
    for x, y in _PART_NAMES:
        names = {TRAIN: "train", TEST: "test"}
        names |= {VALIDATION: name for name in _VALIDATION if x.format(name) in arrays}  # noqa: B035
        found = {
            part: (arrays[x.format(name)], arrays[y.format(name)])
            for part, name in names.items()
            if x.format(name) in arrays and y.format(name) in arrays
        }
        if TRAIN in found and len(found) > 1:
            if "groups" in arrays:
                raise ValueError(
                    f"{str(path)!r} holds both groups and a split; save X, y and groups, or only "
                    "the split."
                )
            called = {part: x.format(name) for part, name in names.items()}
            return _from_parts(path.stem, found, called)
    raise ValueError(
        f"{str(path)!r} must hold the arrays X and y, or X_train, y_train, X_test and y_test; "
        f"it holds {sorted(arrays)}. (X may be called images, features, embeddings or data, and y "
        "labels or target.)"
    )


def _refuse_others(path: Path, chosen: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ``ValueError`` if the file has more samples than those that would be read."""
    count = len(arrays[chosen])
    names = {x.format(part) for x, _ in _PART_NAMES for part in ("train", "test", *_VALIDATION)}
    names |= {images for images, _ in _PAIRS} - {chosen}
    # The same under two names is one reading.
    others = [
        name
        for name in sorted(names & set(arrays))
        if len(arrays[name]) != count or not np.array_equal(arrays[name], arrays[chosen])
    ]
    if others:
        raise ValueError(
            f"{str(path)!r} holds {chosen!r} and also {', '.join(map(repr, others))}: it is not "
            "clear which samples are meant. Save X and y alone, or X_train, y_train, X_test and "
            "y_test."
        )


def _from_parts(
    name: str,
    parts: dict[str, tuple[NDArray[Any], NDArray[Any]]],
    called: dict[str, str],
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Join the parts of a split, and keep track of which sample is in which part."""
    first = parts[TRAIN][0]
    are_features = first.ndim == 2
    noun = "sample" if are_features else "image"
    for part, (X, y) in parts.items():
        if len(X) != len(y):
            raise ValueError(
                f"The {part} part has {quantity(len(X), noun)} but {quantity(len(y), 'label')}."
            )
        if X.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"Training and {part} {noun}s differ in shape: {first.shape[1:]}, {X.shape[1:]}."
            )
        if X.dtype != first.dtype:
            raise ValueError(
                f"Training and {part} {noun}s differ in type: {first.dtype}, {X.dtype}. Convert "
                "one of them, including the range of its values."
            )
    if not are_features:
        check_one_scale({called[part]: X for part, (X, _) in parts.items()})
    images, scaling = _scaled(np.concatenate([X for X, _ in parts.values()]))
    labels = np.concatenate([np.asarray(y).reshape(len(y), -1) for _, y in parts.values()])
    if labels.shape[1] == 1:
        labels = labels[:, 0]
    make = Dataset.from_features if are_features else Dataset.from_arrays
    dataset = make(images, labels, name=name)
    of_each = [part for part, (X, _) in parts.items() for _ in range(len(X))]
    classes = [dataset.classes[code] for code in dataset.labels]
    given = given_split(of_each, classes, called)
    scales = note_scales(images, given.is_test) if are_features else None
    return replace(
        dataset,
        is_test=given.is_test,
        is_selection=given.is_selection,
        notes=(*given.notes, *notes, *dataset.notes, *scaling, *([scales] if scales else [])),
    )


def _scaled(images: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Scale integers of more than 8 bits by their actual bit depth; return others unchanged."""
    if images.dtype.kind not in "iu" or images.dtype.itemsize == 1 or images.ndim < 3:
        return images, ()
    if not images.size or images.min() < 0 or not 255 < images.max() <= 65535:
        return images, ()
    tops = images.reshape(len(images), -1).max(axis=1).tolist()
    return to_8_bits(images, held_bits(max(tops))), (scale_note(tops, len(images)),)


def find_idx(path: Path) -> Path | None:
    """Find the folder of IDX files: this one, or its ``raw``, which is where torchvision puts them.

    Raises
    ------
    ValueError
        If there are several, such as ``MNIST/raw`` and ``FashionMNIST/raw``.
    """
    while True:
        if _idx_files(path):
            return path
        inside = [p for p in path.iterdir() if p.is_dir() and not is_leftover(p.name)]
        found = [p for p in inside if _idx_files(p)]
        found += [p / "raw" for p in inside if (p / "raw").is_dir() and _idx_files(p / "raw")]
        if len(found) > 1:
            named = [str(p.relative_to(path)) for p in sorted(found)]
            raise ValueError(
                f"The folder {str(path)!r} holds several data sets of IDX files: "
                f"{', '.join(named)}. Pass one of them."
            )
        if found:
            return found[0]
        if len(inside) != 1:
            return None
        path = inside[0]


def _idx_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Find the IDX files of a folder, keyed by data set (EMNIST has several) and by content."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        match = _IDX_NAME.fullmatch(file.name.lower())
        if match and file.is_file() and not is_leftover(file.name):
            part = "train" if match["part"] == "train" else "test"
            found.setdefault(match["set"], {})[f"{part}-{match['what']}"] = file
    return found


def read_idx_folder(path: Path) -> Dataset:
    """Read a folder of MNIST's files; training and test part, if both exist, form the split.

    Raises
    ------
    ValueError
        If files are missing, or there are those of several data sets.
    """
    sets = _idx_files(path)
    if len(sets) > 1:
        raise ValueError(
            f"The folder {str(path)!r} holds IDX files of {len(sets)} sets: "
            f"{', '.join(sorted(name or 'without a name' for name in sets))}. Move those of one "
            "set to a separate folder."
        )
    ((prefix, files),) = sets.items()
    if not {"train-images", "train-labels"} <= set(files):
        raise ValueError(
            f"The folder {str(path)!r} holds some IDX files, but not both train-images-idx3-ubyte "
            "and train-labels-idx1-ubyte."
        )
    if ("test-images" in files) != ("test-labels" in files):
        raise ValueError(
            f"The folder {str(path)!r} holds only one of t10k-images and t10k-labels; add the "
            "other, or remove it."
        )
    place = path.resolve()
    name = prefix or (place.parent.name if place.name == "raw" else place.name)
    notes: tuple[str, ...] = ()
    if prefix.startswith("emnist"):
        notes = (
            "EMNIST's files store every image transposed (mirrored along its "
            "diagonal); this was kept.",
        )
    arrays = {what: read_idx(file) for what, file in files.items()}
    parts = {TRAIN: (arrays["train-images"], arrays["train-labels"])}
    called = {TRAIN: files["train-images"].name}
    if "test-images" not in files:
        images, scaling = _scaled(parts[TRAIN][0])
        return Dataset.from_arrays(images, parts[TRAIN][1], name=name, notes=(*notes, *scaling))
    parts[TEST] = (arrays["test-images"], arrays["test-labels"])
    called[TEST] = files["test-images"].name
    return _from_parts(name, parts, called, notes)
