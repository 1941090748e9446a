"""Reading labelled images from a folder per class, a CSV manifest, an ``.npz`` or IDX files."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from penultimate._progress import SILENT, Progress
from penultimate._validation import check_number
from penultimate.datasets.archives import ARCHIVES, unpacked
from penultimate.datasets.arrays import idx_files, read_idx_folder, read_npz
from penultimate.datasets.dataset import Dataset, natural_order
from penultimate.datasets.listing import Listing, groups_from_names
from penultimate.datasets.manifest import read_manifest

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


def load(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    skip_corrupt: bool = False,
    subsets: bool = False,
    group_from_filename: str | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """Read labelled images.

    Parameters
    ----------
    path : str or Path
        One of:

        - a folder with a folder of images for each class; with `subsets`, a folder of such folders,
          one for each subset of the classes;
        - a CSV manifest with a header naming the columns ``path`` and ``label``, and optionally
          ``subset``, ``group`` and ``split`` (``train`` or ``test``); paths are relative to the
          manifest;
        - an ``.npz`` with ``X`` and ``y`` (or ``images`` and ``labels``, or ``X_train``,
          ``y_train``, ``X_test`` and ``y_test``), and optionally ``groups``;
        - a folder of IDX files named as MNIST's are, gzipped or not;
        - a ``.tar``, ``.tar.gz``, ``.tgz`` or ``.zip`` of any of these folders.
    image_size : int or (height, width), optional
        What to resize image files to; by default they are kept as they are, and must share a size.
    skip_corrupt : bool, default=False
        Whether to leave out image files that can't be decoded, and list them in ``notes``.
    subsets : bool, default=False
        Whether the data must come in subsets. Classes are then named ``subset/class``, so that a
        class name may occur in several subsets.
    group_from_filename : str, optional
        A regular expression that finds a file's group in its name, such as
        ``"(?P<group>[^_]+)_"``.
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
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        with unpacked(path) as folder:
            return load(
                folder,
                image_size=image_size,
                skip_corrupt=skip_corrupt,
                subsets=subsets,
                group_from_filename=group_from_filename,
                progress=progress,
            )
    arrays = _read_arrays(path)
    if arrays is not None:
        _check_files_only(path, size, subsets, group_from_filename)
        return arrays
    if path.is_dir():
        listing = _list_subsets(path) if subsets else _list_classes(path)
    elif path.suffix.lower() == ".csv":
        listing = read_manifest(path, skip_missing=skip_corrupt)
        if subsets and listing.subsets is None:
            raise ValueError(
                f"The manifest {str(path)!r} has no column subset; add it, or leave out "
                "subsets=True (--subsets)."
            )
    else:
        raise ValueError(
            f"{str(path)!r} is neither a folder, a .csv manifest, an .npz nor an archive of a "
            "folder; see penultimate.datasets.load for the forms that data can have."
        )
    if group_from_filename is not None:
        if listing.groups is not None:
            raise ValueError(
                f"The manifest {str(path)!r} has a column group; leave out group_from_filename "
                "(--group-from-filename), or the column."
            )
        groups = groups_from_names(listing.paths, group_from_filename)
        listing = replace(listing, groups=groups)
    return listing.decode(size, skip_corrupt, progress)


def _read_arrays(path: Path) -> Dataset | None:
    if path.is_dir() and idx_files(path):
        return read_idx_folder(path)
    if path.suffix.lower() == ".npz" and path.is_file():
        return read_npz(path)
    return None


def _check_files_only(
    path: Path, size: tuple[int, int] | None, subsets: bool, group_from_filename: str | None
) -> None:
    """Raise ``ValueError`` for what only image files can be asked for."""
    if size is not None:
        raise ValueError(
            f"image_size resizes image files; {path.name!r} holds arrays. Resize them yourself."
        )
    if subsets or group_from_filename is not None:
        asked = "subsets" if subsets else "group_from_filename"
        raise ValueError(
            f"{asked} is for image files; {path.name!r} holds arrays. Give subsets and groups of "
            "arrays to penultimate.compare, in Python."
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


def _visible(folder: Path) -> list[Path]:
    return natural_order(p for p in folder.iterdir() if not p.name.startswith("."))


def _is_report(folder: Path) -> bool:
    """Say whether a folder holds an earlier comparison, written beside the class folders."""
    return {p.name for p in folder.iterdir()} == {"report.html", "results.json"}


def _list_classes(path: Path) -> Listing:
    """List a folder with a folder of images for each class."""
    paths: list[Path] = []
    labels: list[str] = []
    for folder in _folders(path, "class"):
        inside = _visible(folder)
        nested = [p for p in inside if p.is_dir()]
        if nested:
            raise ValueError(
                f"The class folder {str(folder)!r} holds a folder, {nested[0].name!r}: is it a set "
                "of classes itself? Then read the data with subsets=True (--subsets); a class "
                "folder must hold image files alone."
            )
        if not inside:
            raise ValueError(f"The class folder {str(folder)!r} holds no image.")
        paths += inside
        labels += [folder.name] * len(inside)
    return Listing(path.resolve().name, paths, labels)


def _list_subsets(path: Path) -> Listing:
    """List a folder of folders, each with a folder of images for each class."""
    parts = {folder.name: _list_classes(folder) for folder in _folders(path, "subset")}
    return Listing(
        path.resolve().name,
        [file for part in parts.values() for file in part.paths],
        [label for part in parts.values() for label in part.labels],
        subsets=[name for name, part in parts.items() for _ in part.paths],
    )


def _folders(path: Path, kind: str) -> list[Path]:
    """Return the folders of a folder that has one for each class (or subset), and no loose images.

    Other loose files, such as a table of labels, are no concern of ours.
    """
    entries = _visible(path)
    folders = [entry for entry in entries if entry.is_dir() and not _is_report(entry)]
    loose = [e for e in entries if e.is_file() and e.suffix.lower() in _IMAGE_SUFFIXES]
    if not folders:
        raise ValueError(
            f"The folder {str(path)!r} has no folder of images for each {kind}"
            + (
                f"; its {len(loose)} images lie beside each other."
                if loose
                else "; it is empty."
                if not entries
                else "."
            )
            + f" Put the images of each {kind} into a folder named after the {kind}, "
            f"or write a manifest with the columns path,label{',subset' * (kind == 'subset')}."
        )
    if loose:
        raise ValueError(
            f"{len(loose)} images, such as {loose[0].name!r}, lie beside the {kind} folders of "
            f"{str(path)!r}. Move each into the folder of its {kind}."
        )
    return folders
