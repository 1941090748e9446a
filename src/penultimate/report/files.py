"""Writing of the files of a comparison, each completely or not at all."""

import json
import warnings
from pathlib import Path

from penultimate._common.files import write_together
from penultimate.report.folder import ERRORS, PREDICTIONS, REPORT, RESULTS, check_folder
from penultimate.report.render import render_html
from penultimate.report.summary import summarize
from penultimate.results.outcome import Outcome
from penultimate.results.samples import error_table, prediction_table, to_csv


def write_report(comparison: Outcome, folder: str | Path) -> Path:
    """Write the report, the results and the two tables of answers; see `Comparison.save`.

    Parameters
    ----------
    comparison : Outcome
    folder : str or Path

    Returns
    -------
    Path
        Path of the report.

    Raises
    ------
    ValueError
        If the folder holds files of something else.
    OSError
        If there is not enough space for all files, or no permission to write; existing files are
        left unchanged.

    Warns
    -----
    UserWarning
        If the folder held the report of another test set, which is replaced.
    """
    folder = Path(folder)
    earlier = check_folder(folder)
    results = comparison.to_dict()
    is_same = earlier and earlier["dataset"]["test_sha256"] == results["dataset"]["test_sha256"]
    uses = earlier["protocol"]["test_uses"] + 1 if earlier and is_same else 1
    # The object in memory has to agree with its file if it is used again later.
    comparison.protocol = {**comparison.protocol, "test_uses": uses}
    results["protocol"] = dict(comparison.protocol)
    html = render_html(summarize(comparison, results))
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        RESULTS: json.dumps(results, indent=2, ensure_ascii=False) + "\n",
        ERRORS: to_csv(*error_table(comparison)),
        PREDICTIONS: to_csv(*prediction_table(comparison)),
        REPORT: html,
    }
    with write_together([folder / name for name in contents]) as temporaries:
        for temporary, content in zip(temporaries, contents.values(), strict=True):
            # The newlines of a table are part of its cells: no platform translates them.
            newline = "" if temporary.suffix == ".csv" else None
            temporary.write_text(content, encoding="utf-8", newline=newline)
    if earlier and not is_same:
        other = repr(earlier["dataset"].get("name", ""))
        warnings.warn(
            f"{str(folder)!r} held the report of another test set, of {other}, which was replaced.",
            stacklevel=3,
        )
    return folder / REPORT
