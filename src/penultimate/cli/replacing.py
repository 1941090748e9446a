"""Refuses names for output that would cost a user a file: one that is read, or of another kind.

A shell that expands ``--out photos/*.png`` names a photo, and a slip of the hand names the model.
What a command wrote before is replaced without a question, as other tools do.
"""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from penultimate._common.files import check_writable

_HEAD = 1024  # bytes at the beginning of a file that say what it is


def check_replaceable(
    out: Path,
    hint: str,
    inputs: Iterable[str | Path] = (),
    is_ours: Callable[[Path], bool] = lambda path: True,
    kind: str = "",
) -> None:
    """Refuse an output file whose writing would destroy something else.

    Parameters
    ----------
    out : Path
    hint : str
        The option that named it.
    inputs : iterable of str or Path, optional
        What the command reads; names of no files are passed over.
    is_ours : callable, optional
        Whether a file that exists is what the command writes.
    kind : str, optional
        What it writes, in words, such as ``"a model"``.

    Raises
    ------
    typer.BadParameter
    """
    if not out.is_file():  # nor are devices, such as /dev/stdout
        return
    for each in map(Path, inputs):
        if each.exists() and out.samefile(each):
            raise typer.BadParameter(
                f"{str(out)!r} is what is read here, and would be lost; choose another name.",
                param_hint=hint,
            )
    if out.stat().st_size and not is_ours(out):
        raise typer.BadParameter(
            f"{str(out)!r} exists, is not {kind}, and would be lost; choose another name, or "
            "remove it first.",
            param_hint=hint,
        )


def check_model_file(out: Path, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse what cannot be the file of a model, before anything is trained for it."""
    if out.is_dir() or out.suffix.lower() != ".zip":
        raise typer.BadParameter(
            f"must be a file that ends in .zip; got {str(out)!r}.", param_hint="--out"
        )
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"there is no folder {str(out.absolute().parent)!r}.", param_hint="--out"
        )
    check_replaceable(out, "--out", inputs, _is_no_archive, "a saved model")
    check_writable(out.absolute().parent, "folder of the model")


def _is_no_archive(path: Path) -> bool:
    return is_bundle(path) or not zipfile.is_zipfile(path)


def is_bundle(path: Path) -> bool:
    """Return whether a file is a model that was saved before."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "manifest.json" in archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return False


def is_text(path: Path) -> bool:
    """Return whether a file begins as text: images, archives, arrays and tables do not."""
    with path.open("rb") as file:
        return b"\0" not in (head := file.read(_HEAD)) and not head.startswith(b"\xff\xd8")
