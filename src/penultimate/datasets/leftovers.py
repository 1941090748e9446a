"""Hidden and system files that are never data: one rule for all readers.

Explorer, Finder, network storage, notebooks and version control write their own files into folders
of photos, and archives include them. They are neither images nor classes.
"""

from collections import Counter
from collections.abc import Iterable

from penultimate._common.wording import quantity

# Compared case-insensitively. Names with a leading dot are hidden anyway, but a manifest may list
# hidden files; those listed here are ignored even then.
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
    "icon\uf00d",  # the same, as spelled on network drives
    "lost+found",
    "network trash folder",
    "picasa.ini",
    "system volume information",
    "temporary items",
    "thumbs.db",
    "zbthumbnail.info",
}
_BEGINNINGS = ("._", ".trash-", ".fuse_hidden", ".nfs", ".goutputstream", ".~lock.")
# Alternate streams of a file, which become separate files on file systems without streams.
_ENDINGS = ("zone.identifier", "@synoeastream", "@synoresource", "thumbs.db:encryptable")


def is_leftover(name: str, *, listed: bool = False) -> bool:
    """Return whether a file or folder was certainly not meant as data.

    Parameters
    ----------
    name : str
        Name without the parent folders.
    listed : bool, default=False
        Whether the user listed it by name; being hidden is then not enough to ignore it.
    """
    plain = name.casefold()
    if plain in _NAMES or plain.startswith(_BEGINNINGS) or plain.endswith(_ENDINGS):
        return True
    return plain.startswith(".") and not listed


def count_leftovers(
    names: Iterable[str],
    one: str = "hidden or system file or folder",
    several: str = "hidden or system files and folders",
) -> list[str]:
    """Return a note that counts and names what was left out; empty if nothing was."""
    counts = Counter(repr(name)[1:-1] for name in names)
    if not counts:
        return []
    n = counts.total()
    listed = ", ".join(
        name if count == 1 else f"{name} ({count:,})" for name, count in counts.most_common(4)
    )
    return [
        f"{quantity(n, one, several)} {'was' if n == 1 else 'were'} left out: "
        f"{listed}{' ...' if len(counts) > 4 else ''}."
    ]
