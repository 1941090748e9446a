"""Writing of a comparison's two files, each completely or not at all."""

import json
from pathlib import Path

from penultimate._common.files import write_together
from penultimate.report.folder import REPORT, RESULTS, check_folder
from penultimate.report.render import render_html
from penultimate.report.summary import summarize
from penultimate.results.outcome import Outcome


def write_report(comparison: Outcome, folder: str | Path) -> Path:
    """Write ``report.html`` and ``results.json``; see `Outcome.save`.

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
    OSError
        If there is not enough space for both files, or no permission to write; existing files are
        left unchanged.
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
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    with write_together([folder / RESULTS, folder / REPORT]) as temporaries:
        for temporary, content in zip(temporaries, (text, html), strict=True):
            temporary.write_text(content, encoding="utf-8")
    return folder / REPORT
