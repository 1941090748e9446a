"""Writing a comparison's two files, each whole or not at all."""

import json
from pathlib import Path

from penultimate.report.folder import REPORT, RESULTS, check_folder, write_together
from penultimate.report.render import render_html
from penultimate.report.summary import summarise
from penultimate.results import Comparison


def write_report(comparison: Comparison, folder: str | Path) -> Path:
    """Write ``report.html`` and ``results.json``; see `Comparison.save`.

    Parameters
    ----------
    comparison : Comparison
    folder : str or Path

    Returns
    -------
    Path
        Of the report.
    """
    folder = Path(folder)
    earlier = check_folder(folder)
    results = comparison.to_dict()
    if earlier and earlier["dataset"]["test_sha256"] == results["dataset"]["test_sha256"]:
        results["protocol"]["test_uses"] = earlier["protocol"]["test_uses"] + 1
    html = render_html(summarise(comparison, results))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    write_together({folder / RESULTS: text, folder / REPORT: html})
    return folder / REPORT
