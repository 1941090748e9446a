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
    earlier = _earlier_results(folder)
    entries = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    entries = [name for name in entries if not name.startswith(".")]
    if entries and earlier is None:
        raise ValueError(
            f"The output folder {str(folder)!r} holds files that are no comparison of ours, such "
            f"as {entries[0]!r}. Choose an empty or a new folder."
        )
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    with tempfile.TemporaryFile(dir=place):
        pass
    return earlier


def write_together(texts: dict[Path, str]) -> None:
    """Write files beside their places, then move all there: none is seen half-written.

    Parameters
    ----------
    texts : dict of Path to str

    Raises
    ------
    OSError
        If there is no room; the files are then as they were before.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in texts}
    try:
        for path, text in texts.items():
            temporary[path].write_text(text, encoding="utf-8")
        for path in texts:
            temporary[path].replace(path)
    except OSError as error:
        raise OSError(
            f"{error.strerror or error}, on writing {str(path)!r}. Nothing there was changed; free "
            "some room, or choose another folder."
        ) from error
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)


def _earlier_results(folder: Path) -> dict[str, Any] | None:
    try:
        results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        ours = (
            results["format"] == 1
            and isinstance(results["methods"], list)
            and isinstance(results["dataset"]["test_sha256"], str)
            and isinstance(results["protocol"]["test_uses"], int)
        )
        return results if ours else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
