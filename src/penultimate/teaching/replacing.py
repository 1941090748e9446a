"""Files of versions: the bundle is replaced at once, and the one before is kept."""

import os
from collections.abc import Iterator
from pathlib import Path

from penultimate._common.files import write_atomically
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.version import Version


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is replaced."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def write_content(path: Path, content: bytes) -> None:
    """Write a file at once, or leave it as it was."""
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def replace_keeping(path: Path, content: bytes, kept: Path, old: bytes) -> None:
    """Replace a file, after its old content was written to another one.

    Raises
    ------
    TeachingError
        If the other one is there, and is something else.
    """
    if kept.exists():
        if kept.read_bytes() != old:
            raise TeachingError(
                f"{str(kept)!r} is another file; move it away, as the version before is kept there."
            )
    else:
        write_content(kept, old)
    write_content(path, content)


def notes_on(old: Version, new: Version) -> Iterator[str]:
    """Yield what a version does not have any more that the one before had, in words."""
    before, now = old.model, new.model
    if before.is_signed and not now.is_signed:
        yield "It is not signed, as the one before was: sign it, or promote with a key."
    if now.manifest.calibration is not None:
        yield "Its probabilities keep the temperature of the first version."
    if now.manifest.abstention is not None:
        yield str(now.manifest.abstention["statement"])
    new_classes = [label for label in now.manifest.classes if label not in before.manifest.classes]
    if len(now.subsets) > 1 and new_classes:
        yield (
            f"The router is as it was: it does not know {', '.join(map(repr, new_classes))}, and "
            "sends such samples where they look most at home. Name the subset where it is known."
        )
    if before.manifest.expected is not None and now.manifest.expected is None:
        yield "What to expect of it is not known: there are no held-out samples to say so."
