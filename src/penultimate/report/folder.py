"""The output folder of a comparison, which must be writable and must not hold foreign files."""

import json
from pathlib import Path
from typing import Any

from penultimate._common.files import check_writable

REPORT, RESULTS = "report.html", "results.json"
ERRORS, PREDICTIONS = "errors.csv", "predictions.csv"


def check_folder(folder: str | Path) -> dict[str, Any] | None:
    """Check that a comparison can be written into a folder.

    Parameters
    ----------
    folder : str or Path
        Output folder; need not exist.

    Returns
    -------
    dict or None
        The results that the folder already holds, if any.

    Raises
    ------
    ValueError
        If it is not a folder, or holds files but no comparison.
    OSError
        If it cannot be written to.
    """
    folder = Path(folder)
    check_writable(folder, "output folder")
    earlier = _earlier_results(folder)
    entries = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    entries = [name for name in entries if not name.startswith(".")]
    if entries and earlier is None:
        raise ValueError(
            f"The output folder {str(folder)!r} holds files that were not written by penultimate, "
            f"such as {entries[0]!r}. Choose an empty or a new folder."
        )
    return earlier


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
