"""Reading images that come as arrays: an ``.npz``, or a folder of MNIST's IDX files."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets.dataset import Dataset
from penultimate.datasets.idx import read_idx

_DAMAGED = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)


def read_npz(path: Path) -> Dataset:
    """Read an archive of plain arrays, by the names that images and labels commonly have."""
    try:
        with zipfile.ZipFile(path):
            pass  # np.load would take other formats for what they are, and advise to unpickle
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except _DAMAGED as error:
        raise ValueError(
            f"{str(path)!r} can't be read as an .npz of plain arrays: it is damaged, or holds "
            f"Python objects ({type(error).__name__})."
        ) from error
    for images, labels in (("X", "y"), ("images", "labels"), ("x", "y")):
        if images in arrays and labels in arrays:
            return Dataset.from_arrays(
                arrays[images], arrays[labels], name=path.stem, groups=arrays.get("groups")
            )
    for x in ("X", "x"):
        names = (f"{x}_train", "y_train", f"{x}_test", "y_test")
        if all(n in arrays for n in names):
            if "groups" in arrays:
                raise ValueError(
                    f"{str(path)!r} holds groups beside its own split; give X, y and groups, or "
                    "the split alone."
                )
            return _from_parts(path.stem, *(arrays[n] for n in names))
    raise ValueError(
        f"{str(path)!r} must hold the arrays X and y, or X_train, y_train, X_test and y_test; "
        f"it holds {sorted(arrays)}."
    )


def _from_parts(
    name: str, X_train: NDArray[Any], y_train: Any, X_test: NDArray[Any], y_test: Any
) -> Dataset:
    """Join a development and a test part that came apart, and remember which is which."""
    for part, X, y in (("train", X_train, y_train), ("test", X_test, y_test)):
        if len(X) != len(y):
            raise ValueError(f"The {part} part has {len(X)} images but {len(y)} labels.")
    if X_train.shape[1:] != X_test.shape[1:]:
        raise ValueError(
            f"Training and test images differ in shape: {X_train.shape[1:]}, {X_test.shape[1:]}."
        )
    if X_train.dtype != X_test.dtype:
        raise ValueError(
            f"Training and test images differ in type: {X_train.dtype}, {X_test.dtype}. Convert "
            "one, pixel values included."
        )
    is_test = np.repeat([False, True], [len(X_train), len(X_test)])
    images, labels = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
    return Dataset.from_arrays(images, labels, name=name, is_test=is_test)


def idx_files(folder: Path) -> dict[str, Path]:
    """Find the IDX files of a folder, by the part of the name that tells what they hold."""
    found = {}
    for file in sorted(folder.iterdir()):
        stem = file.name.lower().removesuffix(".gz").replace(".idx", "-idx")
        for part in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
            if stem.startswith(f"{part}-idx"):
                found[part] = file
    return found


def read_idx_folder(path: Path) -> Dataset:
    """Read a folder of MNIST's files; where it has both parts, they are kept apart."""
    files = idx_files(path)
    if not {"train-images", "train-labels"} <= set(files):
        raise ValueError(
            f"The folder {str(path)!r} holds some IDX files, but not both train-images-idx3-ubyte "
            "and train-labels-idx1-ubyte."
        )
    name = path.resolve().name
    arrays = {part: read_idx(file) for part, file in files.items()}
    if ("t10k-images" in arrays) != ("t10k-labels" in arrays):
        raise ValueError(
            f"The folder {str(path)!r} holds only one of t10k-images and t10k-labels; add the "
            "other, or remove it."
        )
    if "t10k-images" in arrays:
        return _from_parts(
            name,
            *(arrays[p] for p in ("train-images", "train-labels", "t10k-images", "t10k-labels")),
        )
    return Dataset.from_arrays(arrays["train-images"], arrays["train-labels"], name=name)
