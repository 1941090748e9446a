"""Reading labelled images from a folder per class, a CSV manifest, an ``.npz`` or IDX files."""

import csv
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._progress import SILENT, Progress
from penultimate._validation import check_number
from penultimate.datasets.dataset import Dataset, natural_order
from penultimate.datasets.idx import read_idx
from penultimate.datasets.images import decode_images

_IMAGE_SUFFIXES = {
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
}
_DAMAGED = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)
_SPLITS = {"test": True, "train": False, "training": False, "development": False, "dev": False}


def load(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    skip_corrupt: bool = False,
    progress: Progress = SILENT,
) -> Dataset:
    """Read labelled images.

    Parameters
    ----------
    path : str or Path
        One of:

        - a folder with a folder of images for each class;
        - a CSV manifest with a header naming the columns ``path`` and ``label``, and optionally
          ``group`` and ``split`` (``train`` or ``test``); paths are relative to the manifest;
        - an ``.npz`` with ``X`` and ``y`` (or ``images`` and ``labels``, or ``X_train``,
          ``y_train``, ``X_test`` and ``y_test``), and optionally ``groups``;
        - a folder of IDX files named as MNIST's are, gzipped or not.
    image_size : int or (height, width), optional
        What to resize image files to; by default they are kept as they are, and must share a size.
    skip_corrupt : bool, default=False
        Whether to leave out image files that can't be decoded, and list them in ``notes``.
    progress : Progress, optional
        Hears how far reading is.

    Returns
    -------
    Dataset
        Images as uint8 where they came so; classes in the natural order of their names.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If what is there can't be read as labelled images; the message names the culprit.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from penultimate import datasets
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.npz"
    >>> np.savez(file, X=np.zeros((4, 8, 8), np.uint8), y=[0, 1, 0, 1])
    >>> datasets.load(file).classes
    ('0', '1')
    """
    path = Path(path)
    size = _check_size(image_size)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    arrays: Dataset | None = None
    if path.is_dir() and _idx_files(path):
        arrays = _read_idx_folder(path)
    elif path.suffix.lower() == ".npz" and path.is_file():
        arrays = _read_npz(path)
    if arrays is not None:
        if size is not None:
            raise ValueError(
                f"image_size resizes image files; {path.name!r} holds arrays. Resize them yourself."
            )
        return arrays
    if path.is_dir():
        return _read_class_folders(path, size, skip_corrupt, progress)
    if path.suffix.lower() == ".csv":
        return _read_manifest(path, size, skip_corrupt, progress)
    raise ValueError(
        f"{str(path)!r} is neither a folder, a .csv manifest nor an .npz; see "
        "penultimate.datasets.load for the forms that data can have."
    )


def _check_size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    sides = (image_size, image_size) if np.isscalar(image_size) else tuple(image_size)  # type: ignore[arg-type]
    if len(sides) != 2:
        raise ValueError(f"image_size must be one number or (height, width); got {image_size!r}.")
    for side in sides:
        check_number(side, "image_size", "load", low=4, high=4096, integer=True)
    return int(sides[0]), int(sides[1])  # type: ignore[arg-type]


def _from_files(
    name: str,
    paths: list[Path],
    labels: list[str],
    size: tuple[int, int] | None,
    skip_corrupt: bool,
    progress: Progress,
    groups: list[str] | None = None,
    is_test: list[bool] | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    decoded = decode_images(paths, image_size=size, skip_corrupt=skip_corrupt, progress=progress)
    left_out = tuple(f"Left out: {reason}." for reason in decoded.unreadable)

    def kept(values: list[Any] | None) -> list[Any] | None:
        return None if values is None else [values[i] for i in decoded.read]

    return Dataset.from_arrays(
        decoded.images,
        kept(labels),
        name=name,
        groups=kept(groups),
        is_test=kept(is_test),
        notes=(*notes, *decoded.notes, *left_out),
    )


def _visible(folder: Path) -> list[Path]:
    return natural_order(p for p in folder.iterdir() if not p.name.startswith("."))


def _is_report(folder: Path) -> bool:
    """Say whether a folder holds an earlier comparison, written beside the class folders."""
    return {p.name for p in folder.iterdir()} == {"report.html", "results.json"}


def _read_class_folders(
    path: Path, size: tuple[int, int] | None, skip_corrupt: bool, progress: Progress
) -> Dataset:
    entries = _visible(path)
    folders = [entry for entry in entries if entry.is_dir() and not _is_report(entry)]
    loose = [e for e in entries if e.is_file() and e.suffix.lower() in _IMAGE_SUFFIXES]
    if not folders:
        raise ValueError(
            f"The folder {str(path)!r} has no folder of images for each class"
            + (
                f"; its {len(loose)} images lie beside each other."
                if loose
                else "; it is empty."
                if not entries
                else "."
            )
            + " Put the images of each class into a folder named after the class, "
            "or write a manifest with the columns path,label."
        )
    if loose:
        raise ValueError(
            f"{len(loose)} images, such as {loose[0].name!r}, lie beside the class folders of "
            f"{str(path)!r}. Move each into the folder of its class."
        )
    paths: list[Path] = []
    labels: list[str] = []
    for folder in folders:
        inside = _visible(folder)
        nested = [p for p in inside if p.is_dir()]
        if nested:
            raise ValueError(
                f"The class folder {str(folder)!r} holds a folder, {nested[0].name!r}: is it a set "
                "of classes itself? A class folder must hold image files alone."
            )
        if not inside:
            raise ValueError(f"The class folder {str(folder)!r} holds no image.")
        paths += inside
        labels += [folder.name] * len(inside)
    return _from_files(path.resolve().name, paths, labels, size, skip_corrupt, progress)


def _read_manifest(
    path: Path, size: tuple[int, int] | None, skip_corrupt: bool, progress: Progress
) -> Dataset:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            rows = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"The manifest {str(path)!r} is not CSV in UTF-8: {error}") from error
    if not {"path", "label"} <= set(columns):
        raise ValueError(
            f"The manifest {str(path)!r} must have the columns path and label; "
            f"its first line names {columns}."
        )
    if not rows:
        raise ValueError(f"The manifest {str(path)!r} lists no image.")
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        if None in row:
            raise ValueError(
                f"{str(path)!r}, line {line} has more entries than the header; quote commas."
            )
        empty = [c for c in columns if c in ("path", "label", "group") and not row[c]]
        if empty:
            raise ValueError(f"{str(path)!r}, line {line}: the column {empty[0]!r} is empty.")
        if "split" in columns and (row["split"] or "").lower() not in _SPLITS:
            raise ValueError(
                f"{str(path)!r}, line {line}: split must be 'train' or 'test'; "
                f"got {row['split']!r}."
            )
        first = seen.setdefault(os.path.normpath(row["path"]), line)
        if first != line:
            raise ValueError(
                f"{str(path)!r}, line {line}: {row['path']!r} stands in line {first} already; list "
                "each image once."
            )
    files = [path.parent / row["path"] for row in rows]
    missing = [file for file in files if not file.is_file()]
    if missing and not skip_corrupt:
        raise ValueError(
            f"{len(missing)} files of the manifest {str(path)!r} do not exist; first: "
            f"{str(missing[0])!r}. Paths are relative to the manifest."
        )
    return _from_files(
        path.stem,
        files,
        [row["label"] for row in rows],
        size,
        skip_corrupt,
        progress,
        groups=[row["group"] for row in rows] if "group" in columns else None,
        is_test=[_SPLITS[row["split"].lower()] for row in rows] if "split" in columns else None,
    )


def _read_npz(path: Path) -> Dataset:
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


def _idx_files(folder: Path) -> dict[str, Path]:
    """Find the IDX files of a folder, by the part of the name that tells what they hold."""
    found = {}
    for file in sorted(folder.iterdir()):
        stem = file.name.lower().removesuffix(".gz").replace(".idx", "-idx")
        for part in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
            if stem.startswith(f"{part}-idx"):
                found[part] = file
    return found


def _read_idx_folder(path: Path) -> Dataset:
    files = _idx_files(path)
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
