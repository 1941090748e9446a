"""The page of a saved model that was scored on labeled data, and the files beside it.

It is the page of a comparison of one method: the same templates show its errors, its classes and
the checks. What is added is what only a file has: promises that can be held against what was seen.
"""

import json
import warnings
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from penultimate._common.digits import percent, percent_interval
from penultimate._common.files import write_together
from penultimate.displays.confused_pairs import most_confused
from penultimate.displays.reliability import ReliabilityDisplay
from penultimate.displays.risk_coverage import RiskCoverageDisplay
from penultimate.evaluation.intervals.accuracy import Interval
from penultimate.report.class_table import class_table
from penultimate.report.folder import ERRORS, EVALUATION, PREDICTIONS, REPORT, check_evaluation
from penultimate.report.gallery import gallery
from penultimate.report.pictures import Section
from penultimate.report.render import draw_section, environment_for
from penultimate.report.summary import MAX_PAIRS
from penultimate.report.thumbnails import make_thumbnails
from penultimate.results.check_list import alarms
from penultimate.results.evaluation import Evaluation
from penultimate.results.evaluation_text import against_stated, answer, guarantee_kept
from penultimate.results.samples import error_table, prediction_table, sample_names, to_csv

_MOST_UNSURE = 24
_CERTAIN = 0.995  # a probability that is written as 1.00
_RELIABILITY = Section(
    "Calibration",
    "Accuracy by confidence (the highest predicted probability). On the diagonal the two agree: "
    "the probabilities are calibrated.",
    lambda _: {},
    width=3.7,
)
_RISK_COVERAGE = Section(
    "Risk and coverage",
    "Error rate among the accepted samples as a function of the fraction accepted, those that the "
    "model is surest of first.",
    lambda _: {},
    width=8.0,
)


def write_evaluation(found: Evaluation, folder: str | Path) -> Path:
    """Write the page, ``evaluation.json`` and two tables of answers, all or none.

    Parameters
    ----------
    found : Evaluation
    folder : str or Path
        A new or empty folder, or that of an earlier evaluation, which is replaced.

    Returns
    -------
    Path
        Path of the page.

    Raises
    ------
    ValueError
        If the folder holds files of something else.
    OSError
        If it cannot be written to; existing files are left unchanged.

    Warns
    -----
    UserWarning
        If the folder held the evaluation of other data or of another model, which is replaced.
    """
    folder = Path(folder)
    earlier = check_evaluation(folder)
    results = found.to_dict()
    is_same = earlier is not None and _subject(earlier) == _subject(results)
    results["test_uses"] = earlier["test_uses"] + 1 if earlier and is_same else 1
    html = render_evaluation(found, results)
    folder.mkdir(parents=True, exist_ok=True)
    header, rows = prediction_table(found.outcome(np.arange(found.n_samples)))
    header = [name.replace(" seed 0", "") for name in header]
    answered = [*map(int, found.answered.tolist())]
    contents = {
        EVALUATION: json.dumps(results, indent=2, ensure_ascii=False) + "\n",
        ERRORS: to_csv(*_without(("method", "seed"), *error_table(found.outcome()))),
        PREDICTIONS: to_csv(
            [*header, "answered"], [[*row, said] for row, said in zip(rows, answered, strict=True)]
        ),
        REPORT: html,
    }
    with write_together([folder / name for name in contents]) as temporaries:
        for temporary, content in zip(temporaries, contents.values(), strict=True):
            newline = "" if temporary.suffix == ".csv" else None
            temporary.write_text(content, encoding="utf-8", newline=newline)
    if earlier is not None and not is_same:
        model, data = earlier["model"]["file"], earlier["dataset"]["name"]
        warnings.warn(
            f"{str(folder)!r} held the evaluation of {model} on {data!r}, which was replaced.",
            stacklevel=3,
        )
    return folder / REPORT


def _subject(results: dict[str, Any]) -> tuple[str, str]:
    """Return what was scored on what."""
    return results["model"]["facts"].get("SHA-256"), results["dataset"]["test_sha256"]


def _without(left_out: tuple[str, ...], header: list[str], rows: list[Any]) -> tuple[Any, Any]:
    kept = [place for place, name in enumerate(header) if name not in left_out]
    return [header[k] for k in kept], [[row[k] for k in kept] for row in rows]


def render_evaluation(found: Evaluation, results: dict[str, Any]) -> str:
    """Render an evaluation as one offline page.

    Parameters
    ----------
    found : Evaluation
    results : dict
        Returned by `Evaluation.to_dict`, with ``test_uses``.

    Returns
    -------
    str
        HTML.
    """
    data, name = found.dataset, found.model
    page: dict[str, Any] = {
        "results": {
            "dataset": {
                **results["dataset"],
                "n_test": found.n_samples,
                "classes": found.classes,
            },
            "protocol": {"selection": "", "seeds": [0], "test_uses": results["test_uses"]},
            "check_states": found.check_states,
            "checks": found.checks,
        },
        "answer": answer(found),
        "sentences": [against_stated(found)] if found.accuracy else [],
        "figures": _figures(found),
        "n_present": len(np.unique(data.labels)),
        "alarms": alarms(found.checks),
        "overall": [{"name": name}],
        "opening": name,
        "confusion": {},
        "pairs": {},
        "class_rows": {},
        "gallery": {},
        "feature_map": None,
        "methods_paragraph": None,
        "promised": (found.abstention or {}).get("statement"),
        "promises": _promises(found),
        "by_subset": found.by_subset,
        "least_sure": _least_sure(found),
        "facts": found.facts,
        "sections": _sections(found),
    }
    if kept := guarantee_kept(found):
        page["sentences"].append(kept)
    if found.n_answered:
        # The surest first: among errors, those are most likely to be wrong labels.
        answers = np.flatnonzero(found.answered)
        if found.sureness is not None:
            answers = answers[np.argsort(-found.sureness[answers], kind="stable")]
        outcome = found.outcome(answers)
        counts = outcome.confusion(name)
        figures = [each.to_dict() for each in outcome.by_class(name)]
        of_method = {"name": name, "subset": None, "per_class": figures}
        page |= {
            "confusion": {name: counts.tolist()},
            "pairs": {name: [astuple(pair) for pair in most_confused(counts)[:MAX_PAIRS]]},
            "class_rows": class_table({**page["results"], "methods": [of_method]}),
            "gallery": gallery(outcome),
        }
    return environment_for(found.n_samples).get_template("evaluated.html.j2").render(page)


def _figures(found: Evaluation) -> list[dict[str, str]]:
    """Return what stands in large print: the accuracy, and what it is held against."""
    if found.accuracy is None:
        return []
    n, noun = found.n_answered, found.dataset.noun
    of = f"of the {noun}s are right" if n == found.n_samples else "of its answers are right"
    shown = [_figure(found.accuracy, n, of)]
    if stated := found.stated:
        figure = {
            "value": f"{percent(stated['accuracy'], stated['n'])}\u202f%",
            "what": "expected, according to the file",
            "detail": f"{stated['what']}, n = {stated['n']:,}",
        }
        if stated["low"] is not None and stated["high"] is not None:
            ends = percent_interval((stated["low"], stated["high"]), stated["n"])
            figure["detail"] = f"95 % interval: {ends} %; {figure['detail']}"
        shown.append(figure)
    if found.abstention is not None:
        shown.append(_figure(found.coverage, found.n_samples, f"of the {noun}s get an answer"))
        return shown
    counts = np.bincount(found.dataset.labels)
    shown.append(
        {
            "value": f"{percent(counts.max() / counts.sum(), found.n_samples)}\u202f%",
            "what": "would be right by guessing",
            "detail": f"always predicting {found.classes[counts.argmax()]}",
        }
    )
    return shown


def _figure(interval: Interval, n: int, what: str) -> dict[str, str]:
    ends = percent_interval((interval.low, interval.high), n)
    value = f"{percent(interval.value, n)}\u202f%"
    return {"value": value, "what": what, "detail": f"95 % interval: {ends} %"}


def _promises(found: Evaluation) -> list[dict[str, str]]:
    """Compare what the file promises of abstention with what was seen."""
    said = found.abstention
    if said is None:
        return []
    n, m = found.n_samples, found.n_answered
    rows = [
        {
            "what": "Answers, %",
            "said": f"{percent(said['coverage'], said['n_heldout'])} of held-out samples",
            "seen": percent(found.coverage.value, n),
            "interval": percent_interval((found.coverage.low, found.coverage.high), n),
        }
    ]
    row = {"what": "Wrong among the answers, %", "said": f"at most {100 * said['bound']:.2g}"}
    if found.risk is None:
        return [*rows, {**row, "seen": "\u2013", "interval": "no answers"}]
    ends = percent_interval((found.risk.low, found.risk.high), m)
    return [*rows, {**row, "seen": percent(found.risk.value, m), "interval": ends}]


def _least_sure(found: Evaluation) -> dict[str, Any]:
    """Return the samples that were recognized with the least confidence."""
    if found.sureness is None:
        return {"cases": []}
    doubtful = found.correct & found.answered
    if found.probabilities is not None and found.confidence is None:
        doubtful &= found.sureness < _CERTAIN
    right = np.flatnonzero(doubtful)
    chosen = right[np.argsort(found.sureness[right], kind="stable")[:_MOST_UNSURE]]
    by = "its margin to the next class"
    if found.probabilities is not None:
        by = "the probability of its class"
    if found.confidence is not None:
        by = "its confidence"
    labels = found.dataset.labels
    return {
        "by": by,
        "cases": [
            {
                "name": name,
                "true": found.classes[labels[sample]],
                "sure": float(found.sureness[sample]),
            }
            for sample, name in zip(chosen.tolist(), sample_names(found.dataset, chosen))
        ],
        "thumbnails": make_thumbnails(found.dataset, chosen),
    }


def _sections(found: Evaluation) -> dict[str, dict[str, Any]]:
    """Draw how probabilities and confidence relate to errors."""
    sections = {}
    if found.probabilities is not None and found.n_answered:
        display = ReliabilityDisplay.from_comparison(found.outcome(), found.model, name="")
        sections["reliability"] = draw_section(_RELIABILITY, {"": display})
    if found.sureness is not None and found.n_samples > 1:
        threshold = (found.abstention or {}).get("threshold")
        curve = RiskCoverageDisplay.from_predictions(
            found.correct, found.sureness, threshold=threshold
        )
        sections["risk-coverage"] = draw_section(_RISK_COVERAGE, {"": curve})
    return sections
