"""The command that scores a saved model on labeled data."""

import json as json_
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from penultimate.cli.app import app, plain_errors
from penultimate.cli.compare import OnLeak
from penultimate.cli.options import GroupFromFilename, SkipCorrupt
from penultimate.cli.predict import BundleArgument, KeyOption
from penultimate.cli.reading import DataArgument, Reading


@app.command(epilog="Example: penultimate evaluate model.zip new-photos/ --out evaluation")
def evaluate(
    bundle: BundleArgument,
    data: DataArgument,
    on_leak: Annotated[
        OnLeak,
        typer.Option(
            help="What to do if the model has seen some of the samples: on these it looks better "
            "than on new ones."
        ),
    ] = OnLeak.RAISE,
    skip_corrupt: SkipCorrupt = False,
    group_from_filename: GroupFromFilename = None,
    key: KeyOption = None,
    subsets: Annotated[
        bool, typer.Option("--subsets", help="The data is a folder of subsets, as in fit.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, evaluation.json and every answer. An earlier evaluation "
            "there is replaced.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print evaluation.json instead of text.")
    ] = False,
) -> None:
    """Score a saved model on labeled data that it has not seen.

    Prints the accuracy with its interval beside what the file says to expect, that of each class,
    what is taken for what, and how far probabilities are off; with --out, it writes all of that as
    a page, with the pictures of what was wrong.
    """
    with plain_errors("nothing was scored"):
        from rich.console import Console

        from penultimate.bundle import load
        from penultimate.report.folder import check_evaluation

        if out is not None:
            check_evaluation(out)
        model = load(bundle, key=key)
        from penultimate.comparison.live import LiveTable
        from penultimate.comparison.of_bundle import evaluate_bundle

        size = "auto"
        if prepare := model.manifest.preprocessing:
            # As in training, so that samples that were seen are recognized.
            size = "original" if prepare["size"] is None else "x".join(map(str, prepare["size"]))
        notes = []
        with LiveTable(Console(stderr=True)) as live, ExitStack() as stack:
            reading = Reading(
                data, size, skip_corrupt, subsets, group_from_filename=group_from_filename
            )
            dataset = reading.read(live, stack, for_report=True)
            found = evaluate_bundle(
                model, dataset, name=bundle.name, on_leak=on_leak.value, progress=live
            )
            if out is not None:
                from penultimate.report.evaluated import write_evaluation

                live.update("write the report", 0, 1)
                with warnings.catch_warnings(record=True) as replaced:
                    warnings.simplefilter("always")
                    report = write_evaluation(found, out)
                live.update("write the report", 1, 1)
                notes = [w.message for w in replaced if issubclass(w.category, UserWarning)]
        if json:
            print(json_.dumps(found.to_dict(), indent=2, ensure_ascii=False))
            return
        for line in found.lines():
            print(line)
        for note in notes:
            print(f"Note: {note}")
        if out is not None:
            print(f"Report: {report}")
