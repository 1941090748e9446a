"""What ``penultimate predict`` is given, one image at a time.

A million files are never listed before the first is read: folders are walked while the model
predicts, and members of archives are read one by one, without unpacking.
"""

import glob
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from penultimate._common.decoding import looks_like_image
from penultimate.datasets.archives import ARCHIVES
from penultimate.datasets.leftovers import is_leftover

LIST = "-"  # names on standard input, one per line
_LARGEST = 512 * 2**20  # bytes of a member of an archive; no image that is decoded here has as many


class Source(NamedTuple):
    """One image.

    Attributes
    ----------
    name : str
        As the results call it.
    item : str or bytes
        Its path, or its content.
    """

    name: str
    item: str | bytes


def each_source(given: Iterable[str]) -> Iterator[Source]:
    """Yield every image of what was given, in a fixed order.

    Parameters
    ----------
    given : iterable of str
        Files, folders, globs and archives; ``"-"`` reads such names from standard input.

    Yields
    ------
    Source

    Raises
    ------
    ValueError
        If nothing matches, or an archive is damaged.
    """
    for name in given:
        if name == LIST:
            yield from each_source(_lines())
        elif os.path.isdir(name):
            yield from _of_folder(Path(name))
        elif name.lower().endswith(ARCHIVES) and os.path.isfile(name):
            yield from _of_archive(Path(name))
        elif glob.has_magic(name) and not os.path.exists(name):
            found = sorted(glob.glob(name, recursive=True))
            if not found:
                raise ValueError(f"Nothing matches {name!r}.")
            yield from each_source(found)
        else:  # one that is not there has its reason in its row, as one that is damaged
            yield Source(name, name)


def _lines() -> Iterator[str]:
    # Names of files are bytes: those that are not UTF-8 pass through as they are.
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.errors != "surrogateescape":
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    for number, line in enumerate(sys.stdin):
        if "\0" in line:  # of find -print0, or in UTF-16
            raise ValueError(
                f"Line {number + 1} of the list on standard input has a NUL character, which no "
                "name has. Write one name per line, in UTF-8: find -print, not -print0."
            )
        # What some editors and shells begin a list with is no part of a name.
        if name := (line if number else line.removeprefix("\ufeff")).rstrip("\r\n"):
            if name == LIST:
                raise ValueError("The list on standard input names '-', which is itself.")
            yield name


def _of_folder(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Source]:
    """Yield the images of a folder and those below it; what is no image is passed over."""
    if (here := folder.resolve()) in above:  # a link that leads back would never end
        return
    with os.scandir(folder) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    for entry in inside:
        if is_leftover(entry.name):
            continue
        if entry.is_dir():  # links, too
            yield from _of_folder(Path(entry.path), above | {here})
        elif looks_like_image(Path(entry.path)):
            yield Source(entry.path, entry.path)


def _of_archive(path: Path) -> Iterator[Source]:
    """Yield the images in an archive, each read into memory when its turn comes."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and _is_wanted(member.filename, member.file_size):
                        yield Source(f"{path}/{member.filename}", archive.read(member))
            return
        with tarfile.open(path) as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isfile() else None
                if content is not None and _is_wanted(entry.name, entry.size):
                    yield Source(f"{path}/{entry.name}", content.read())
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, RuntimeError, OSError) as error:
        raise ValueError(f"The archive {str(path)!r} can't be read on: {error}.") from error


def _is_wanted(name: str, size: int) -> bool:
    parts = name.split("/")
    if any(is_leftover(part) for part in parts if part) or size > _LARGEST:
        return False
    # What has no suffix of an image is not opened: in archives that would read every file twice.
    return looks_like_image(Path("/nowhere", parts[-1]))


def in_chunks(sources: Iterable[Source], size: int) -> Iterator[Sequence[Source]]:
    """Yield sources some at a time."""
    chunk: list[Source] = []
    for source in sources:
        chunk.append(source)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
