"""Opening a bundle: `load`."""

import os
from pathlib import Path
from typing import Any, BinaryIO

from penultimate._common.door import spelled
from penultimate._common.validation import check_number
from penultimate.bundle.archive import MAX_BYTES
from penultimate.bundle.predictor import Predictor

_MAX_KEY = 2**16  # bytes of its file, of which a key has a few hundred


def load(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    key: str | os.PathLike[str] | bytes | None = None,
    threads: int | None = None,
) -> Predictor:
    """Open a bundle, and return its model.

    The file may come from a stranger: nothing in it is run but tensor operations of a list, nothing
    is unpickled, and no other file and no network is reached. Hashes, sizes and shapes are checked
    before anything is parsed; see ``docs/security.md``.

    Parameters
    ----------
    source : str, path-like, bytes or binary file
        A file that `penultimate.save` wrote, or its content.
    key : str, path-like or bytes, optional
        The public key of who has to have signed it: a PEM file, or its content. The signature is
        verified before anything is parsed, and the file is refused if it is not by that key.
    threads : int, optional
        Threads for one prediction; as many as there are cores by default.

    Returns
    -------
    Predictor

    Raises
    ------
    BundleError
        If it is no bundle, of a newer version, damaged, not safe to open, or not signed with `key`.
    ValueError
        If `key` is no public key.
    OSError
        If a file cannot be read.
    ImportError
        If onnxruntime is not installed; with a key, if cryptography is not.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> svc = penultimate.SVC(kernel="linear").fit([[0.0], [2.0]], ["low", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/model.zip", [[0.0], [2.0]])
    ...     model = penultimate.load(f"{folder}/model.zip")
    >>> model.predict([[1.5]]).tolist()
    ['high']
    """
    if threads is not None:
        check_number(threads, "threads", "load", low=1, integer=True)
    public = None if key is None else read_key(key)
    return Predictor(read_source(source), threads=threads, key=public)


def read_key(key: Any) -> bytes:
    """Return the content of the file of a key.

    Parameters
    ----------
    key : str, path-like or bytes
        A path, or the content itself.

    Returns
    -------
    bytes
    """
    if isinstance(key, bytes):
        return key
    if not isinstance(key, (str, os.PathLike)):
        raise TypeError(
            f"A key is the path of a PEM file, or its content as bytes; got {type(key).__name__}."
        )
    path = Path(key)
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise FileNotFoundError(f"The key {str(path)!r} {what}. Pass the path of a PEM file.")
    with path.open("rb") as file:
        return file.read(_MAX_KEY)


def read_source(source: Any) -> bytes:
    """Return the content of a bundle; see `load`."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if hasattr(source, "read"):
        content = source.read(MAX_BYTES + 1)
        if not isinstance(content, bytes):
            raise TypeError("The file was opened as text; open it with mode 'rb'.")
        return content
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"load takes a path, bytes or a file; got {type(source).__module__}."
            f"{type(source).__qualname__}."
        )
    path = Path(source)
    if path.is_dir():
        raise IsADirectoryError(
            f"{str(path)!r} is a folder. Pass a file that "
            f"{spelled('penultimate fit', 'penultimate.save')} wrote."
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}. Check the path of the bundle.")
    if not path.is_file():
        raise OSError(f"{str(path)!r} is a device or a pipe. Pass the file of a bundle.")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
