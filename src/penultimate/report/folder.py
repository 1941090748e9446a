"""The output folders of comparisons and evaluations, which must not hold foreign files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penultimate._common.files import check_writable

REPORT, RESULTS, EVALUATION = "report.html", "results.json", "evaluation.json"
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
    return _check(Path(folder), RESULTS, _is_comparison)


def check_evaluation(folder: str | Path) -> dict[str, Any] | None:
    """Check that the evaluation of a model can be written into a folder.

    Parameters
    ----------
    folder : str or Path
        Output folder; need not exist.

    Returns
    -------
    dict or None
        The evaluation that the folder already holds, if any.

    Raises
    ------
    ValueError
        If it is not a folder, or holds files but no evaluation.
    OSError
        If it cannot be written to.
    """
    return _check(Path(folder), EVALUATION, _is_evaluation)


def _check(
    folder: Path, name: str, is_ours: Callable[[dict[str, Any]], bool]
) -> dict[str, Any] | None:
    check_writable(folder, "output folder")
    earlier = _earlier(folder / name, is_ours)
    entries = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    entries = [entry for entry in entries if not entry.startswith(".")]
    if not entries or earlier is not None:
        return earlier
    for other, ours, what in (
        (RESULTS, _is_comparison, "a comparison"),
        (EVALUATION, _is_evaluation, "an evaluation"),
    ):
        if _earlier(folder / other, ours) is not None:
            raise ValueError(
                f"The output folder {str(folder)!r} holds the report of {what}. Choose an empty "
                "or a new folder."
            )
    raise ValueError(
        f"The output folder {str(folder)!r} holds files that were not written by penultimate, "
        f"such as {entries[0]!r}. Choose an empty or a new folder."
    )


def _earlier(path: Path, is_ours: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        return results if is_ours(results) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_comparison(results: dict[str, Any]) -> bool:
    return (
        results["format"] == 1
        and isinstance(results["methods"], list)
        and isinstance(results["dataset"]["test_sha256"], str)
        and isinstance(results["protocol"]["test_uses"], int)
    )


def _is_evaluation(results: dict[str, Any]) -> bool:
    return (
        results["format"] == 1
        and isinstance(results["model"]["facts"], dict)
        and isinstance(results["model"]["file"], str)
        and isinstance(results["dataset"]["name"], str)
        and isinstance(results["dataset"]["test_sha256"], str)
        and isinstance(results["test_uses"], int)
    )
