"""Reading a folder that comes packed: a tar, perhaps compressed, or a zip."""

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


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archive for as long as the context lasts.

    Parameters
    ----------
    path : Path
        Its name ends in one of `ARCHIVES`.

    Yields
    ------
    Path
        What holds all that was in it.

    Raises
    ------
    ValueError
        If it is damaged, is no archive, or would write outside its own folder.
    """
    with TemporaryDirectory(prefix="penultimate-") as place:
        # What follows is named after the archive where that has no folder of its own.
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
                f"The archive {str(path)!r} can't be unpacked: {error}. Unpack it yourself, or "
                "fetch it again."
            ) from error
        yield folder


def _extract(archive: zipfile.ZipFile, folder: Path) -> None:
    members = archive.infolist()
    # The format's folders are parted by slashes; some programs on Windows write backslashes alone.
    # Beside slashes, a backslash is a letter of the name.
    windows = not any("/" in member.orig_filename for member in members)
    for member in members:
        name = member.orig_filename.replace("\\", "/") if windows else member.filename
        if name.startswith("/") or ".." in name.split("/"):
            raise zipfile.BadZipFile(f"{name!r} would lie outside of the folder")
        if windows and name.endswith("/"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            continue
        member.filename = name
        archive.extract(member, folder)
