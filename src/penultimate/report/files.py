"""Writing a comparison's two files, each whole or not at all."""

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
        Of the report.

    Raises
    ------
    OSError
        If there is no room for both, or no right to write; what was there before is unchanged.
    """
    folder = Path(folder)
    earlier = check_folder(folder)
    results = comparison.to_dict()
    is_same = earlier and earlier["dataset"]["test_sha256"] == results["dataset"]["test_sha256"]
    uses = earlier["protocol"]["test_uses"] + 1 if earlier and is_same else 1
    # The object says the same as its file, whoever asks it later.
    comparison.protocol = {**comparison.protocol, "test_uses": uses}
    results["protocol"] = dict(comparison.protocol)
    html = render_html(summarize(comparison, results))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    with write_together([folder / RESULTS, folder / REPORT]) as temporaries:
        for temporary, content in zip(temporaries, (text, html), strict=True):
            temporary.write_text(content, encoding="utf-8")
    return folder / REPORT
