"""Unpacking of archives that hold a folder of data: tar, compressed tar, or zip."""

import lzma
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
    RuntimeError,  # a password is needed
    NotImplementedError,  # a compression that Python lacks
)
# First bytes of compressed files. A zip lists its content at its end, which a download that was
# cut short lacks, so that nothing recognizes it as a zip.
_MAGIC = {b"PK": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_LONGEST_MAGIC = max(map(len, _MAGIC))


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
                with zipfile.ZipFile(path) as archive:
                    _extract(archive, folder)
            else:
                with tarfile.open(path) as tar:
                    tar.extractall(folder, filter="data")
        except _DAMAGED as error:
            raise ValueError(
                f"The archive {str(path)!r} can't be unpacked: {_reason(path, error)}. Unpack it "
                "yourself, or download it again."
            ) from error
        yield folder


def _reason(path: Path, error: Exception) -> str:
    """Return what is wrong with an archive, without the list of formats that tarfile tried."""
    if not isinstance(error, tarfile.ReadError):
        return str(error)
    if not path.stat().st_size:
        return "it is empty"
    with path.open("rb") as file:
        start = file.read(_LONGEST_MAGIC)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return f"it is a truncated or damaged {kind} file"
    if "file could not be opened" not in str(error):
        return str(error)
    return "its content is neither a tar nor a zip, or its beginning is damaged"


def _extract(archive: zipfile.ZipFile, folder: Path) -> None:
    members = archive.infolist()
    # The format separates folders with slashes; some Windows programs write only backslashes.
    # If there are slashes, a backslash is part of a name.
    windows = not any("/" in member.orig_filename for member in members)
    for member in members:
        name = member.orig_filename.replace("\\", "/") if windows else member.filename
        if name.startswith("/") or ".." in name.split("/"):
            raise zipfile.BadZipFile(f"{name!r} would be written outside the folder")
        if windows and name.endswith("/"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            continue
        member.filename = name
        archive.extract(member, folder)
