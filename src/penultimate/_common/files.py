"""Writing files whole or not at all: the one place that puts a file on a user's disk.

A file is written under another name in the same folder, synced, and renamed over the old one; the
folder is synced last. Renaming is atomic within a file system, hence the same folder; syncing
before it keeps a power cut from leaving the new name on an empty file. Whoever opens the path at
any moment finds the old content or the new, and after an error the old.
"""

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "Free some space, or choose another folder.",
    errno.EDQUOT: "Your quota is used up: free some space, or choose another folder.",
    errno.EFBIG: "Choose a folder on a file system that takes files of this size.",
    errno.EACCES: "Choose a file and a folder that you may write to.",
    errno.EPERM: "Choose a file and a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
    errno.ENOENT: "Make the folder first, or choose another one.",
    errno.ENOTDIR: "Choose another folder.",
    errno.EISDIR: "Choose another name.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
# Some network and FUSE file systems cannot sync; there a file is as safe as they make it.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_LONGEST = 200  # bytes of a name that something can be added to; file systems take 255


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Replace a file by what the body of the ``with`` statement writes, or leave it as it is.

    Parameters
    ----------
    path : str or path-like
        In a folder that exists. A link stays a link, and the file that it names is replaced. A
        file that is replaced keeps its mode; a new one has the mode that `open` would give it.

    Yields
    ------
    Path
        Where to write instead. It has the file's name and suffix and is in a temporary folder
        of its own beside the file, so that writers that look at the suffix, or write more than
        one file, can be given it. The folder is removed, whatever happens.

    Raises
    ------
    OSError
        If the file cannot be written, with its path and what to do. The subclass and ``errno``
        are those of the cause. Errors of the body that are about other files pass unchanged.

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
    """Replace several files, once all of them are written; see `write_atomically`.

    Killed between two renames, which take microseconds, it leaves the earlier files new and the
    later ones old, each of them whole.

    Parameters
    ----------
    paths : sequence of str or path-like

    Yields
    ------
    list of Path
        Where to write instead, in the order of `paths`.

    Raises
    ------
    OSError
        As in `write_atomically`.
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


def check_writable(folder: str | os.PathLike[str], what: str) -> None:
    """Raise unless files can be written into a folder, which need not exist and is not made.

    Parameters
    ----------
    folder : str or path-like
    what : str
        What the folder is for, for the message: ``"output folder"``.

    Raises
    ------
    ValueError
        If it is a file.
    OSError
        If it can't be made or written to, with its path and what to do.
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
        message = f"No file can be made{where}: {error.strerror or error}. {advice}"
        explained = type(error)(f"The {what} {str(path)!r} can't be written to. {message}")
        explained.errno = error.errno
        raise explained from error
    if place == path.absolute():
        raise ValueError(f"The {what} {str(path)!r} is a file; choose another name.")
    raise NotADirectoryError(
        f"The {what} {str(path)!r} can't be made, for {str(place)!r} is a file. Choose another."
    )


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what writers of a file that were killed have left beside it.

    Parameters
    ----------
    path : str or path-like
        Of a file that no other process writes just now.
    """
    target = Path(os.path.realpath(path))
    # Exactly what `mkdtemp` appends: the files "a" and "a.b" must not lose each other's folder.
    leftover = re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]+\.tmp")
    for other in target.parent.iterdir():
        if leftover.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)


def _prefix(target: Path) -> str:
    """Begin the name of a temporary folder, which has to fit where the file's own just fits."""
    name = os.fsencode(target.name)
    return f".{target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()}."


def _check_target(target: Path) -> int | None:
    """Return the mode of the file that is there, if any; refuse what `open` would refuse, too."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        # Renaming would put a file in the place of /dev/null or of a pipe that someone reads.
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file", str(target))
    if not os.access(target, os.W_OK):
        # A rename would replace a write-protected file without a question.
        raise PermissionError(errno.EACCES, "The file is write-protected", str(target))
    return stat.S_IMODE(mode)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:  # writable, which Windows asks for
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise


def _sync_folder(folder: Path) -> None:
    """Make the new name last; the file is complete already, so a failure is no failure of ours."""
    if os.name == "nt":  # folders cannot be opened there
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_about(error: OSError, temporaries: Sequence[Path]) -> bool:
    """Say whether an error of the body is about what it writes, not about a file that it reads."""
    if error.filename is None:  # as for a full disk
        return True
    path = Path(os.path.realpath(os.fsdecode(error.filename)))
    return any(path.is_relative_to(temporary.parent) for temporary in temporaries)


def _explained(
    error: OSError, paths: Sequence[str | os.PathLike[str]], replaced: Sequence[Path]
) -> OSError:
    names = " and ".join(repr(os.fspath(path)) for path in paths)
    state = "What was there before is unchanged."
    if replaced:
        state = f"Only {' and '.join(repr(path.name) for path in replaced)} could be replaced."
    advice = _ADVICE.get(error.errno or 0, "Choose another path.")
    message = f"{names} could not be written: {error.strerror or error}. {state} {advice}"
    # The subclass that belongs to the number, as Python chooses it; the number given on
    # construction would make `str` show "[Errno 28] " and nothing that we say.
    explained = type(OSError(error.errno, ""))(message) if error.errno else OSError(message)
    explained.errno = error.errno
    return explained
