"""Rows of a store as one matrix in a file that is mapped into memory.

The file is named by the hashes of its rows, in their order, so that it cannot be out of date: other
rows have another file. It can be deleted at any time, and is then built again.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penultimate._common.files import remove_old_leftovers, write_atomically
from penultimate.store.hashes import digest_of

_KEPT = 3  # matrices, such as those of all samples and of a part; older ones are removed
_BLOCK = 1 << 20
_HEADER = 128  # bytes of an array file
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

Matrix = NDArray[np.float32]


def map_rows(
    folder: Path, digests: list[bytes], n_features: int, fill: Callable[[Matrix], None]
) -> Matrix:
    """Return the matrix of some rows, mapped read-only; `fill` writes it if it is not there.

    Parameters
    ----------
    folder : Path
        Folder of these matrices. If it is read-only, a temporary file is mapped instead, which
        goes with the matrix.
    digests : list of bytes
        Hashes of the rows.
    n_features : int
    fill : callable
        Writes the features of the rows into an array of shape (n_rows, n_features).
    """
    shape = (len(digests), n_features)
    if 0 in shape:  # of which nothing can be mapped
        return np.empty(shape, np.float32)
    path = folder / f"matrix-{digest_of(digests)}.npy"
    with suppress(OSError, ValueError):  # absent, or cut off
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.shape == shape and found.dtype == np.float32:
            with suppress(OSError):  # of a read-only store, from which nothing is removed
                os.utime(path)
            return found
    try:
        folder.mkdir(exist_ok=True)
        with write_atomically(path) as temporary:
            new = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            descriptor = os.open(temporary, os.O_RDWR)
            try:
                _reserve(descriptor)
            finally:
                os.close(descriptor)
            fill(new)
            new.flush()
            del new
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        with tempfile.TemporaryFile() as file:
            scratch = np.memmap(file, np.float32, "w+", shape=shape)
            _reserve(file.fileno())
        fill(scratch)
        scratch.flags.writeable = False
        return scratch
    _remove_old(folder)
    remove_old_leftovers(folder)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _reserve(descriptor: int) -> None:
    """Allocate the whole of a file, which is one hole so far.

    Where the disk is full this is an error; writing into the map would end the process.
    """
    size = os.fstat(descriptor).st_size
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    start = _HEADER  # of the array, which is there
    while start < size:
        os.lseek(descriptor, start, os.SEEK_SET)
        start += os.write(descriptor, bytes(min(_BLOCK, size - start)))


def _remove_old(folder: Path) -> None:
    with suppress(OSError):  # another process removes them, too; Windows keeps what is mapped
        files = sorted(folder.glob("matrix-*.npy"), key=lambda p: p.stat().st_mtime)
        for file in files[:-_KEPT]:
            file.unlink()
