"""The command that scores a saved model on labeled data."""

import json as json_
from contextlib import ExitStack
from typing import Annotated

import typer

from penultimate.cli.app import app, plain_errors
from penultimate.cli.compare import OnLeak
from penultimate.cli.options import GroupFromFilename, SkipCorrupt
from penultimate.cli.predict import BundleArgument, KeyOption
from penultimate.cli.reading import DataArgument, Reading


@app.command(epilog="Example: penultimate evaluate model.zip new-photos/")
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
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Score a saved model on labeled data that it has not seen.

    Prints the accuracy with its interval, that of each class, what is taken for what, and how far
    probabilities are off.
    """
    with plain_errors("nothing was scored"):
        from rich.console import Console

        from penultimate.bundle import load

        model = load(bundle, key=key)
        from penultimate.comparison.live import LiveTable
        from penultimate.comparison.of_bundle import evaluate_bundle

        size = "auto"
        if prepare := model.manifest.preprocessing:
            # As in training, so that samples that were seen are recognized.
            size = "original" if prepare["size"] is None else "x".join(map(str, prepare["size"]))
        with LiveTable(Console(stderr=True)) as live, ExitStack() as stack:
            reading = Reading(data, size, skip_corrupt, group_from_filename=group_from_filename)
            dataset = reading.read(live, stack, for_report=True)
            found = evaluate_bundle(model, dataset, on_leak=on_leak.value, progress=live)
        if json:
            print(json_.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        else:
            for line in found.lines():
                print(line)
