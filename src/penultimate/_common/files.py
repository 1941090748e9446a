"""Atomic writing of files; all files that this package writes go through here.

A file is written under another name in the same folder, synced, and renamed over the old one; the
folder is synced last. Renaming is atomic within a file system, hence the same folder; syncing
before the rename prevents a power failure from leaving the new name on an empty file. Readers see
either the old content or the new at any time, and the old content after an error.
"""

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "Free some space, or choose another folder.",
    errno.EDQUOT: "Your quota is used up: free some space, or choose another folder.",
    errno.EFBIG: "Choose a folder on a file system that supports files of this size.",
    errno.EACCES: "Choose a file and a folder that you may write to.",
    errno.EPERM: "Choose a file and a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
    errno.ENOENT: "Create the folder first, or choose another one.",
    errno.ENOTDIR: "Choose another folder.",
    errno.EISDIR: "Choose another name.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
# Some network and FUSE file systems cannot sync; durability is then up to them.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_LONGEST = 200  # bytes of a name, so that a suffix fits into the usual limit of 255


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Replace a file with what the ``with`` body writes, or leave it unchanged on an error.

    Parameters
    ----------
    path : str or path-like
        Path in an existing folder. A link is kept, and the file that it points to is replaced. A
        replaced file keeps its mode; a new one gets the mode that `open` would give it.

    Yields
    ------
    Path
        Path to write to instead. It has the same name and suffix and is in a temporary folder of
        its own next to the file, so that it suits writers that check the suffix or write more than
        one file. The folder is always removed.

    Raises
    ------
    OSError
        If the file cannot be written, with its path and advice. The subclass and ``errno`` are
        those of the cause. Errors in the body about other files are not changed.

    Examples
    --------
    >>> import os, tempfile
    >>> from penultimate._common.files import write_atomically
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_atomically(f"{folder}/notes.txt") as temporary:
    ...         _ = temporary.write_text("all of it")
    ...     print(os.listdir(folder))
    ['notes.txt']
    """
    with write_together([path]) as (temporary,):
        yield temporary


@contextmanager
def write_together(paths: Sequence[str | os.PathLike[str]]) -> Iterator[list[Path]]:
    """Replace several files once all of them are written; see `write_atomically`.

    If the process is killed between two renames, which take microseconds, the earlier files are new
    and the later ones old, but each of them is complete.

    Parameters
    ----------
    paths : sequence of str or path-like

    Yields
    ------
    list of Path
        Paths to write to instead, in the order of `paths`.

    Raises
    ------
    OSError
        See `write_atomically`.
    """
    targets = [Path(os.path.realpath(path)) for path in paths]
    temporaries: list[Path] = []
    replaced: list[Path] = []
    in_body = False
    with ExitStack() as leftovers:
        try:
            modes = [_check_target(target) for target in targets]
            for target in targets:
                folder = tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target), suffix=".tmp")
                leftovers.callback(shutil.rmtree, folder, ignore_errors=True)
                temporaries.append(Path(folder, target.name))
            in_body = True
            yield temporaries
            in_body = False
            for temporary, mode in zip(temporaries, modes, strict=True):
                if mode is not None:
                    temporary.chmod(mode)
                _sync(temporary)
            for temporary, target in zip(temporaries, targets, strict=True):
                temporary.replace(target)
                replaced.append(target)
            for parent in {target.parent for target in targets}:
                _sync_folder(parent)
        except OSError as error:
            if in_body and not _is_about(error, temporaries):
                raise
            raise _explained(error, paths, replaced) from error


def create_once(path: str | os.PathLike[str], content: bytes) -> bool:
    """Create a file with this content, unless it exists; the first of several processes wins.

    Parameters
    ----------
    path : str or path-like
        Path in an existing folder.
    content : bytes

    Returns
    -------
    bool
        Whether it was created here; otherwise another process had created it.

    Raises
    ------
    OSError
        See `write_atomically`.
    """
    target = Path(path)
    with ExitStack() as leftovers:
        try:
            folder = tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target), suffix=".tmp")
            leftovers.callback(shutil.rmtree, folder, ignore_errors=True)
            complete = Path(folder, target.name)
            complete.write_bytes(content)
            _sync(complete)
            try:
                # A link to a complete file appears at once, and never replaces another file.
                os.link(complete, target)
            except FileExistsError:
                return False
            except OSError:  # FAT, and some network file systems, have no links
                with target.open("xb") as file:
                    file.write(content)
        except FileExistsError:
            return False
        except OSError as error:
            raise _explained(error, [path], []) from error
        _sync_folder(target.parent)
        return True


def remove_old_leftovers(folder: str | os.PathLike[str], age: float = 3600) -> None:
    """Remove what killed writers left in a folder that other processes may be writing to.

    Parameters
    ----------
    folder : str or path-like
    age : float, default=3600
        In seconds. Younger temporary folders may belong to a living writer.
    """
    with suppress(OSError):
        for other in list(Path(folder).glob(".*.tmp")):
            with suppress(OSError):
                if time.time() - other.stat().st_mtime > age:
                    shutil.rmtree(other, ignore_errors=True)


def check_writable(folder: str | os.PathLike[str], what: str) -> None:
    """Raise unless files can be written into a folder, which need not exist and is not made.

    Parameters
    ----------
    folder : str or path-like
    what : str
        Purpose of the folder, for the message, such as ``"output folder"``.

    Raises
    ------
    ValueError
        If it is a file.
    OSError
        If it cannot be created or written to, with its path and advice.
    """
    path = Path(folder)
    place = path.absolute()
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()  # of a name that is too long
        while not os.path.lexists(place):
            place = place.parent
        if place.is_dir():
            with tempfile.TemporaryFile(dir=place):
                return
    except OSError as error:
        where = "" if place == path.absolute() else f" in {str(place)!r}"
        advice = "Choose a folder that you may write to."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG):
            advice = _ADVICE[error.errno]
        message = f"Cannot create a file{where}: {error.strerror or error}. {advice}"
        explained = type(error)(f"The {what} {str(path)!r} cannot be written to. {message}")
        explained.errno = error.errno
        raise explained from error
    if place == path.absolute():
        raise ValueError(f"The {what} {str(path)!r} is a file; choose another name.")
    raise NotADirectoryError(
        f"The {what} {str(path)!r} cannot be created, because {str(place)!r} is a file. "
        "Choose another folder."
    )


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove temporary folders that killed writers of a file have left next to it.

    Parameters
    ----------
    path : str or path-like
        Path of a file that no other process is writing.
    """
    target = Path(os.path.realpath(path))
    # Matches exactly what `mkdtemp` appends, so that "a" never removes a folder of "a.b".
    leftover = re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]+\.tmp")
    for other in target.parent.iterdir():
        if leftover.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)


def _prefix(target: Path) -> str:
    """Return the prefix of a temporary folder's name, short enough for long file names."""
    name = os.fsencode(target.name)
    return f".{target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()}."


def _check_target(target: Path) -> int | None:
    """Return the mode of an existing file, if any; refuse whatever `open` would refuse."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        # Renaming would replace /dev/null, or a pipe that someone reads, by a file.
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file", str(target))
    if not os.access(target, os.W_OK):
        # A rename would silently replace a write-protected file.
        raise PermissionError(errno.EACCES, "The file is write-protected", str(target))
    return stat.S_IMODE(mode)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:  # Windows can only sync files opened for writing
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise


def _sync_folder(folder: Path) -> None:
    """Make the rename durable; the file is already complete, so errors are ignored."""
    if os.name == "nt":  # folders cannot be opened there
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_about(error: OSError, temporaries: Sequence[Path]) -> bool:
    """Return whether an error in the body is about a file that it writes, not one that it reads."""
    if error.filename is None:  # for example for a full disk
        return True
    path = Path(os.path.realpath(os.fsdecode(error.filename)))
    return any(path.is_relative_to(temporary.parent) for temporary in temporaries)


def _explained(
    error: OSError, paths: Sequence[str | os.PathLike[str]], replaced: Sequence[Path]
) -> OSError:
    names = " and ".join(repr(os.fspath(path)) for path in paths)
    state = "Existing files are unchanged."
    if replaced:
        state = f"Only {' and '.join(repr(path.name) for path in replaced)} could be replaced."
    advice = _ADVICE.get(error.errno or 0, "Choose another path.")
    message = f"{names} could not be written: {error.strerror or error}. {state} {advice}"
    # Python picks the subclass from the number; but passing the number to the constructor would
    # make `str` show "[Errno 28] " and hide the message.
    explained = type(OSError(error.errno, ""))(message) if error.errno else OSError(message)
    explained.errno = error.errno
    return explained
