"""The folder that a comparison is written into, which must be ours and writable."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

REPORT, RESULTS = "report.html", "results.json"


def check_folder(folder: str | Path) -> dict[str, Any] | None:
    """Make sure that a comparison may be written into a folder.

    Parameters
    ----------
    folder : str or Path
        Need not exist.

    Returns
    -------
    dict or None
        The results that are in it, if any.

    Raises
    ------
    ValueError
        If it is no folder, or holds files but no comparison.
    OSError
        If it cannot be written to.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"The output folder {str(folder)!r} is a file; choose another name.")
    existed = folder.exists()
    earlier = _earlier_results(folder)
    entries = sorted(p.name for p in folder.iterdir()) if existed else []
    if entries and earlier is None:
        raise ValueError(
            f"The output folder {str(folder)!r} holds files that are no comparison of ours, such "
            f"as {entries[0]!r}. Choose an empty or a new folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        if not existed:
            folder.rmdir()
    return earlier


def write_whole(path: Path, text: str) -> Path:
    """Write a file beside its place, then move it there: it is never seen half-written.

    Parameters
    ----------
    path : Path
    text : str

    Returns
    -------
    Path
        As given.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _earlier_results(folder: Path) -> dict[str, Any] | None:
    try:
        results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        return results if {"format", "dataset", "protocol", "methods"} <= set(results) else None
    except (OSError, ValueError, TypeError):
        return None
