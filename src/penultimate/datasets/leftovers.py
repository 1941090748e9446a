"""What operating systems and other programs leave among people's files: one rule for all readers.

Explorer, Finder, network storage, notebooks and version control write files of their own into
folders of photos, and archives carry them along. They are no images and no classes.
"""

from collections import Counter
from collections.abc import Iterable

# Compared without case. What begins with a dot is hidden anyway; a manifest may name hidden files,
# but hardly these.
_NAMES = {
    "$recycle.bin",
    "#recycle",
    "#snapshot",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@sharebin",
    "@tmp",
    "__macosx",
    "__pycache__",
    ".appledouble",
    ".ds_store",
    ".fseventsd",
    ".git",
    ".ipynb_checkpoints",
    ".spotlight-v100",
    ".thumbnails",
    ".trash",
    ".trashes",
    "desktop db",
    "desktop df",
    "desktop.ini",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "found.000",
    "icon\r",
    "icon\uf00d",  # the same, as network drives spell it
    "lost+found",
    "network trash folder",
    "picasa.ini",
    "system volume information",
    "temporary items",
    "thumbs.db",
    "zbthumbnail.info",
}
_BEGINNINGS = ("._", ".trash-", ".fuse_hidden", ".nfs", ".goutputstream", ".~lock.")
# Second streams of a file, which become files of their own where the disk knows no streams.
_ENDINGS = ("zone.identifier", "@synoeastream", "@synoresource", "thumbs.db:encryptable")


def is_leftover(name: str, *, listed: bool = False) -> bool:
    """Say whether a file or folder is one that no user meant as data.

    Parameters
    ----------
    name : str
        Its own name, without those of the folders above.
    listed : bool, default=False
        Whether a user listed it by name: then it is none for being hidden alone.
    """
    plain = name.casefold()
    if plain in _NAMES or plain.startswith(_BEGINNINGS) or plain.endswith(_ENDINGS):
        return True
    return plain.startswith(".") and not listed


def count_leftovers(names: Iterable[str]) -> list[str]:
    """Return a note that counts what was left out; none where nothing was."""
    counts = Counter(repr(name)[1:-1] for name in names)
    if not counts:
        return []
    n = counts.total()
    listed = ", ".join(
        name if count == 1 else f"{name} ({count:,})" for name, count in counts.most_common(4)
    )
    return [
        f"{n:,} hidden or system {'file or folder was' if n == 1 else 'files and folders were'} "
        f"left out: {listed}{' ...' if len(counts) > 4 else ''}."
    ]
