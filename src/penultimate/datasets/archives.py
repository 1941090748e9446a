"""Unpacking of archives that hold a folder of data: tar, compressed tar, or zip."""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    shutil.ReadError,
    RuntimeError,  # password required
    NotImplementedError,  # compression method not supported by Python
)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archive into a temporary folder for the duration of the context.

    Parameters
    ----------
    path : Path
        Path whose name ends in one of `ARCHIVES`.

    Yields
    ------
    Path
        Folder with the content of the archive.

    Raises
    ------
    ValueError
        If the file is damaged, is not an archive, or would write outside the folder.
    """
    with TemporaryDirectory(prefix="penultimate-") as place:
        # The data is named after this folder if the archive has no top-level folder.
        suffix = next(end for end in ARCHIVES if path.name.lower().endswith(end))
        folder = Path(place, path.name[: -len(suffix)] or "data")
        folder.mkdir()
        try:
            if zipfile.is_zipfile(path):
                shutil.unpack_archive(path, folder, "zip")
            else:
                with tarfile.open(path) as archive:
                    archive.extractall(folder, filter="data")
        except _DAMAGED as error:
            raise ValueError(
                f"The archive {str(path)!r} can't be unpacked: {error}. Unpack it yourself, or "
                "download it again."
            ) from error
        yield folder
