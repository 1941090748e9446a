"""Reading of labeled images or features: detects folders, tables, arrays, and archives of them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penultimate._common.decoding import looks_like_image
from penultimate._common.door import spelled
from penultimate._common.progress import SILENT, Progress
from penultimate._common.wording import quantity
from penultimate.datasets.archives import ARCHIVES, unpacked
from penultimate.datasets.arrays import find_idx, read_idx_folder, read_npz
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.feature_parquet import read_feature_parquet
from penultimate.datasets.feature_table import is_feature_table, read_feature_table
from penultimate.datasets.folders import list_folder
from penultimate.datasets.leftovers import is_leftover
from penultimate.datasets.listing import Listing, groups_from_names
from penultimate.datasets.manifest import read_manifest
from penultimate.datasets.pixel_table import is_pixel_table, read_pixel_table
from penultimate.datasets.sizes import check_size
from penultimate.datasets.stored_features import read_store
from penultimate.datasets.tables import Table, read_table
from penultimate.store import is_store

_TABLES = (".csv", ".tsv")
# Files that hold pixels or features as numbers, by suffix. To add a format, write its reader and
# list it here.
READERS: dict[str, Callable[[Path], Dataset]] = {
    ".npz": read_npz,
    ".parquet": read_feature_parquet,
}


_FROM_PANDAS = "Read it with pandas, and write it with to_parquet('features.parquet')."
# What to do with files that hold data in formats that are not read.
_ADVICE = {
    ".npy": "Save it with its labels: numpy.savez('features.npz', X=X, y=y).",
    ".mat": "Save it as numpy.savez('features.npz', X=X, y=y); scipy.io.loadmat reads it.",
    **dict.fromkeys(
        (".feather", ".arrow", ".json", ".jsonl", ".xlsx", ".xls", ".ods"), _FROM_PANDAS
    ),
    **dict.fromkeys((".csv.gz", ".csv.zst", ".csv.xz", ".tsv.gz"), "Unpack it first."),
    **dict.fromkeys(
        (".h5", ".hdf5", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".tfrecord"),
        "Files of this kind may hold anything. Read it with what wrote it, and save arrays: "
        "numpy.savez('features.npz', X=X, y=y).",
    ),
}


def load(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] | Literal["auto"] | None = None,
    skip_corrupt: bool = False,
    subsets: bool = False,
    group_from_filename: str | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """Read labeled images, or features of them.

    Parameters
    ----------
    path : str or Path
        One of:

        - a folder with one folder of images per class; with `subsets`, a folder of such folders,
          one per subset of the classes;
        - a folder with ``train`` and ``test`` (and ``val``) of these: the split is kept;
        - a CSV manifest with a header with the columns ``path`` and ``label``, and optionally
          ``subset``, ``group`` and ``split`` (``train``, ``val`` or ``test``); paths are relative
          to the manifest;
        - a CSV of pixels, with the columns ``label`` and ``pixel0``, ``pixel1``, ...;
        - a CSV of features, with the columns ``label``, optionally ``file``, ``group``,
          ``subset`` and ``split``, and otherwise numbers;
        - the same as a ``.parquet`` (with ``penultimate[store]``), which may hold the features in
          one column of lists instead;
        - the folder of a `FeatureStore` that lists its samples with their labels;
        - an ``.npz`` with ``X`` (images, or a matrix of features) and ``y`` (or ``images`` and
          ``labels``, or ``X_train``, ``y_train``, ``X_test`` and ``y_test``), and optionally
          ``groups``;
        - a folder of IDX files named as MNIST's or EMNIST's are, gzipped or not, or one that holds
          them in ``MNIST/raw``, as torchvision does;
        - a ``.tar`` (``.gz``, ``.bz2``, ``.xz``) or ``.zip`` of any of these folders, of images and
          their manifest, or of one of these files.
    image_size : int, (height, width) or "auto", optional
        Size to resize image files to; by default they are not resized and must share a size.
        ``"auto"``, the default of the command line, resizes them to 48 x 48 if a side is longer
        than 128 pixels, or if their sizes differ. (If none is longer than 48, to a square of the
        longest side.)
    skip_corrupt : bool, default=False
        Whether to skip image files that can't be decoded, and list them in ``notes``; of a feature
        store, samples without features and damaged files.
    subsets : bool, default=False
        Whether a folder comes in subsets (a manifest does if it has a column ``subset``). Classes
        are then named ``subset/class``, so that a class
        name may occur in several subsets.
    group_from_filename : str, optional
        Regular expression that finds a file's group in its name, such as
        ``"(?P<group>[^_]+)_"``.
    progress : Progress, optional
        Observer of the progress of reading.

    Returns
    -------
    Dataset
        Labeled images, as uint8 if they were stored so, with classes in natural order. The notes
        list what was changed, skipped and decided while reading.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If `path` can't be read as labeled images; the message names the file at fault.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from penultimate import datasets
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.npz"
    >>> np.savez(file, X=np.zeros((4, 8, 8), np.uint8), y=[0, 1, 0, 1])
    >>> datasets.load(file).classes
    ('0', '1')
    """
    with ExitStack() as stack:
        data = load_kept(
            path,
            stack,
            image_size=image_size,
            skip_corrupt=skip_corrupt,
            subsets=subsets,
            group_from_filename=group_from_filename,
            progress=progress,
        )
    # What was unpacked is gone with the stack.
    return replace(data, sources=None) if Path(path).is_file() and _is_archive(path) else data


def _is_archive(path: str | Path) -> bool:
    return Path(path).name.lower().endswith(ARCHIVES)


def load_kept(path: str | Path, stack: ExitStack, **options: Any) -> Dataset:
    """Read labeled images like `load`, and keep the files of an archive in `sources`.

    Parameters
    ----------
    path : str or Path
    stack : ExitStack
        Until it is closed, what was in an archive stays unpacked.
    **options
        Parameters of `load`; with ``for_report=True``, a network reads the files by itself, and
        notes say so. ``check`` is called with the label of each sample before a file is decoded.

    Returns
    -------
    Dataset
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    if path.is_file() and _is_archive(path):
        folder = stack.enter_context(unpacked(path))
        return _load_unpacked(path, folder, **options)
    return _load(path, **options)


def list_kept(path: str | Path, stack: ExitStack, **options: Any) -> Listing | Dataset:
    """List image files without decoding them, those of an archive while the stack is open.

    Parameters
    ----------
    path : str or Path
    stack : ExitStack
    **options
        Parameters of `list_or_read`.

    Returns
    -------
    Listing or Dataset
        Data that are no image files are read at once.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    if not (path.is_file() and _is_archive(path)):
        return list_or_read(path, **options)
    folder = stack.enter_context(unpacked(path))
    named = namer(path, folder)
    inside, _ = find_data(folder, options["subsets"])
    found = list_or_read(inside, **options)
    if isinstance(found, Listing):
        found = replace(found, shown=[named(str(file)) for file in found.paths])
    return found


def _load(
    path: Path,
    *,
    image_size: int | tuple[int, int] | Literal["auto"] | None = None,
    skip_corrupt: bool = False,
    subsets: bool = False,
    group_from_filename: str | None = None,
    progress: Progress = SILENT,
    for_report: bool = False,
    check: Callable[[NDArray[Any]], None] | None = None,
) -> Dataset:
    """Read what is no archive."""
    size = check_size(image_size)
    found = list_or_read(
        path,
        skip_missing=skip_corrupt,
        subsets=subsets,
        group_from_filename=group_from_filename,
    )
    if check is not None:
        labels = np.asarray(found.labels)
        check(labels if isinstance(found, Listing) else np.array(found.classes)[labels])
    if isinstance(found, Listing):
        return found.decode(size, skip_corrupt, progress, for_report)
    if size not in (None, "auto"):
        raise ValueError(
            f"{spelled('--image-size', 'image_size')} resizes image files; {path.name!r} holds "
            "arrays. Resize them yourself."
        )
    return found


def list_or_read(
    path: Path,
    *,
    skip_missing: bool,
    subsets: bool,
    group_from_filename: str | None,
    lenient: bool = False,
) -> Listing | Dataset:
    """List the image files of data that is no archive; arrays are read at once.

    The parameters are those of `load`, and so are the errors, and `lenient` is for `list_folder`.
    """
    table = read_table(path) if path.suffix.lower() in _TABLES and path.is_file() else None
    if is_store(path):
        arrays: Dataset | None = read_store(path, skip_corrupt=skip_missing)
    else:
        arrays = _read_arrays(path, table)
    if arrays is not None:
        _check_files_only(path, subsets and not arrays.subsets, group_from_filename)
        return arrays
    if path.is_dir():
        try:
            listing = list_folder(path, subsets=subsets, lenient=lenient)
        except ValueError:
            _refuse_cache(path)
            _refuse_tables(path)
            raise
    elif table is not None:
        listing = read_manifest(table, skip_missing=skip_missing)
        if subsets and listing.subsets is None:
            raise ValueError(
                f"The manifest {str(path)!r} has no column subset; add it, or leave out "
                f"{spelled('--subsets', 'subsets=True')}."
            )
    else:
        of_one = " For IDX files, pass the folder." if "-ubyte" in path.name else ""
        of_one += "".join(
            f" {tip}" for end, tip in _ADVICE.items() if path.name.lower().endswith(end)
        )
        raise ValueError(
            f"{str(path)!r} is neither a folder, a .csv manifest, an .npz, a .parquet nor an "
            f"archive of a folder ({', '.join(ARCHIVES)}); see "
            f"{spelled('penultimate compare --help', 'penultimate.datasets.load')} for the "
            f"supported formats.{of_one}"
        )
    if group_from_filename is not None:
        if listing.groups is not None:
            raise ValueError(
                f"The manifest {str(path)!r} has a column group; leave out "
                f"{spelled('--group-from-filename', 'group_from_filename')}, or the column."
            )
        groups = groups_from_names(listing.paths, group_from_filename)
        listing = replace(listing, groups=groups)
    return listing


def _load_unpacked(
    archive: Path, folder: Path, *, subsets: bool = False, **options: Any
) -> Dataset:
    """Load what was in an archive, under names that outlive the temporary folder."""
    named = namer(archive, folder)
    try:
        inside, notes = find_data(folder, subsets)
        data = _load(inside, subsets=subsets, **options)
    except ValueError as error:
        if (message := named(str(error))) == str(error):
            raise
        raise ValueError(message) from error
    files = None if data.files is None else np.array([named(str(file)) for file in data.files])
    return replace(data, files=files, notes=tuple(map(named, (*data.notes, *notes))))


def namer(archive: Path, folder: Path) -> Callable[[str], str]:
    """Return a function that names the archive in a text instead of its temporary folder."""

    def named(text: str) -> str:
        for place in (str(folder), repr(str(folder))[1:-1]):
            text = text.replace(place, str(archive))
        return text

    return named


def find_data(folder: Path, subsets: bool) -> tuple[Path, list[str]]:
    """Find what to read in an unpacked archive: all of it, or a table or an .npz at its top."""
    top = folder
    while True:
        inside = sorted(entry for entry in top.iterdir() if not is_leftover(entry.name))
        if len(inside) != 1 or not inside[0].is_dir():
            break
        top = inside[0]
    if is_store(top):
        return top, []
    found = [p for p in inside if p.suffix.lower() in (*_TABLES, *READERS) and p.is_file()]
    manifests = [p for p in found if _is_manifest(p)]
    if not found or _reads_as_folder(folder, subsets):
        notes = [
            f"{manifest.name!r} was not read, because the folders next to it are the classes. To "
            "use it, unpack the archive and pass the manifest."
            for manifest in manifests
        ]
        return folder, notes
    if not manifests and any(looks_like_image(p) for p in inside if p.is_file()):
        return folder, []  # which is refused there, with what to do
    chosen = manifests or found
    if len(chosen) > 1:
        raise ValueError(
            f"{str(top)!r} holds several tables or .npz files: "
            f"{', '.join(repr(p.name) for p in chosen[:4])}{' ...' if len(chosen) > 4 else ''}. "
            "Unpack the archive, and pass one of them."
        )
    return chosen[0], []


def _is_manifest(path: Path) -> bool:
    try:
        return path.suffix.lower() in _TABLES and {"path", "label"} <= set(read_table(path).columns)
    except ValueError:
        return False


def _reads_as_folder(folder: Path, subsets: bool) -> bool:
    try:
        if find_idx(folder) is not None:
            return True
        return len(set(list_folder(folder, subsets=subsets).labels)) > 1
    except ValueError:
        return False


def _read_arrays(path: Path, table: Table | None) -> Dataset | None:
    """Read data that holds pixels as numbers; None if it is something else."""
    if table is not None and is_pixel_table(table):
        return read_pixel_table(table)
    if table is not None and is_feature_table(table):
        return read_feature_table(table)
    if path.is_dir() and (folder := find_idx(path)) is not None:
        return read_idx_folder(folder)
    reader = READERS.get(path.suffix.lower())
    return reader(path) if reader is not None and path.is_file() else None


def _refuse_cache(folder: Path) -> None:
    """Refuse a folder of feature stores, one per layer, as a comparison's cache is."""
    folders = [each for each in folder.iterdir() if each.is_dir()]
    stores = sorted(each.name for each in folders if is_store(each))
    if stores and len(stores) == len(folders):
        raise ValueError(
            f"The folder {str(folder)!r} holds feature stores, such as {stores[0]!r}, and no "
            "images. Pass the images, with this folder as the cache; or one of the stores."
        )


def _refuse_tables(folder: Path) -> None:
    """Refuse a folder of Parquet files, as programs write one table, or of arrays."""
    for end, tip in (
        (".parquet", "Join them: pandas.read_parquet(folder).to_parquet('features.parquet')."),
        (".npy", _ADVICE[".npy"]),
    ):
        # In folders as "split=test", too, by the values of a column.
        found = [p for pattern in ("*", "*=*/*") for p in folder.glob(pattern + end) if p.is_file()]
        if found:
            raise ValueError(
                f"The folder {str(folder)!r} holds {quantity(len(found), f'{end} file')}, such as "
                f"{found[0].name!r}; data of this kind are read from a single file. {tip}"
            )


def _check_files_only(path: Path, subsets: bool, group_from_filename: str | None) -> None:
    """Raise ``ValueError`` for parameters that only apply to image files."""
    if subsets or group_from_filename is not None:
        asked = (
            spelled("--subsets", "subsets")
            if subsets
            else spelled("--group-from-filename", "group_from_filename")
        )
        raise ValueError(
            f"{asked} is for image files; {path.name!r} holds arrays. In Python, add subsets and "
            "groups to the data set: load_data(path).with_groups(...).with_subsets(...)."
        )
