"""The commands that run a comparison: on the user's data, and the demo on real digits."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penultimate._common.imports import require
from penultimate._common.progress import Progress
from penultimate.cli.app import app, muted_native_stderr, plain_errors, print_reason, wrong_usage
from penultimate.cli.networks import (
    LayerOption,
    MirrorOption,
    NetworkOption,
    NormalizationOption,
    PoolingOption,
    PreprocessingOption,
    find_network,
    parse_layers,
    parse_normalizations,
    runs_elsewhere,
)
from penultimate.cli.options import (
    DropDuplicates,
    GroupFromFilename,
    ImageSize,
    SkipCorrupt,
)
from penultimate.cli.reading import (
    DataArgument,
    Reading,
    SubsetsOption,
    enough_to_fit,
    without_unused_subsets,
)

if TYPE_CHECKING:
    from penultimate.datasets import Dataset
    from penultimate.results.outcome import Outcome

_MOST_NOTES = 8
# Images up to which heads on a frozen network are selected by cross-fitting: it uses every sample,
# and costs five times the heads' own fits. On 480 photographs it was two points better than
# selection on 77 held-out ones (five splits, RBF).
_FEW = 5_000
_LOOKED_AT = 50  # files whose size is looked at, spread over the data
DEFAULT_NETWORK = "compact"
MODEL = "model.zip"  # of the demo, beside its report
EPOCHS = 30  # of a network, unless asked for otherwise


class SplitBy(StrEnum):
    """Whether a split is random or keeps groups on one side."""

    RANDOM = "random"
    GROUP = "group"
    BOTH = "both"


class Selection(StrEnum):
    """How heads are selected."""

    HELDOUT = "heldout"
    CROSSFIT = "crossfit"
    RESUBSTITUTION = "resubstitution"


class OnLeak(StrEnum):
    """What to do if test samples were seen in training."""

    RAISE = "raise"
    WARN = "warn"
    IGNORE = "ignore"


# The report is about the first split, so the stricter one, by group, comes first.
_KINDS_OF_SPLIT: dict[SplitBy | None, list[bool | None]] = {
    None: [None],
    SplitBy.RANDOM: [False],
    SplitBy.GROUP: [True],
    SplitBy.BOTH: [True, False],
}

Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds (training runs).")]
FirstSeed = Annotated[int, typer.Option("--seed", min=0, help="First seed.")]
Out = Annotated[Path, typer.Option(help="Folder for report.html and results.json.")]
Checkpoints = Annotated[
    Path | None,
    typer.Option(help="Folder of training states, to resume an interrupted comparison."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder that keeps the features of a network that is not trained here: they are "
        "computed once, even if files are renamed, shuffled or added."
    ),
]
KeepModels = Annotated[
    bool,
    typer.Option(
        "--keep-models",
        help="Write the heads of the first seed, with their network, into the folder models: files "
        "for penultimate predict. penultimate fit --from takes the best of them.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print results.json instead of a table.")]


@app.command(epilog="Example: penultimate demo --out demo-report")
def demo(
    out: Out = Path("demo-report"),
    seeds: Seeds = 3,
    seed: FirstSeed = 0,
    checkpoints: Checkpoints = None,
    json: Json = False,
) -> None:
    """Does an SVM on a CNN's features beat its softmax? On 5,000 real handwritten digits."""
    from penultimate.datasets import load_mnist_5k

    # Listed by name, so that the demo does not change when methods are added.
    methods = [
        "cnn-softmax",
        "cnn+logistic",
        "cnn+svm-rbf",
        "cnn+svm-linear",
        "cnn+rf",
        "cnn+knn",
        "pca+svm-rbf",
    ]
    _compare(
        lambda progress, stack, for_report: load_mnist_5k(),
        out,
        range(seed, seed + seeds),
        json,
        methods=methods,
        checkpoints=checkpoints,
        best_model=True,
    )


@app.command(
    epilog="Example: penultimate compare photos/ --out report. "
    "By subset: penultimate compare letters/ --subsets --group-from-filename '(?P<group>[^_]+)_' "
    "--split-by both --splits 5 --out report"
)
def compare(
    data: DataArgument,
    out: Out = Path("penultimate-report"),
    network: NetworkOption = DEFAULT_NETWORK,
    layer: LayerOption = None,
    normalization: NormalizationOption = "auto",
    preprocessing: PreprocessingOption = None,
    pooling: PoolingOption = "avg",
    mirror: MirrorOption = False,
    cache: Cache = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated names of methods, which are listed above. By default: all that "
            "suit the data, except those on request."
        ),
    ] = None,
    seeds: Seeds = 3,
    seed: FirstSeed = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help=f"Training epochs; {EPOCHS} by default.")
    ] = None,
    image_size: ImageSize = "auto",
    skip_corrupt: SkipCorrupt = False,
    subsets: SubsetsOption = False,
    group_from_filename: GroupFromFilename = None,
    split_by: Annotated[
        SplitBy | None,
        typer.Option(help="How to split. Default: by group if the data has groups."),
    ] = None,
    splits: Annotated[
        int,
        typer.Option(min=1, help="Number of splits of each kind; only the first uses all seeds."),
    ] = 1,
    checkpoints: Checkpoints = None,
    selection: Annotated[
        Selection | None,
        typer.Option(
            metavar="<name>",
            help="How heads are selected. heldout: on held-out samples; crossfit: by "
            "cross-fitting, which suits small data sets and trains six networks per seed; "
            "resubstitution: on samples that the network was trained on, which is optimistic. "
            "Default: heldout; crossfit where a network is used "
            "as it is on fewer than 5,000 images, because no network is then trained.",
        ),
    ] = None,
    on_leak: Annotated[
        OnLeak,
        typer.Option(
            help="What to do if test images are also in the development set, when the data came "
            "with its own split. (Splits drawn here keep exact copies on one side.)"
        ),
    ] = OnLeak.RAISE,
    drop_duplicates: DropDuplicates = False,
    keep_models: KeepModels = False,
    novelty: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="A false-alarm rate, such as 0.05: the report then says of each class whether it "
            "would be noticed as none of the known classes, if it were left out. Not by subset.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare heads on a network's features with the network's softmax, on your own images.

    On features that you computed elsewhere, it compares the heads alone.

    Methods: cnn-softmax, cnn+logistic, cnn+svm-rbf, cnn+svm-linear, pca+svm-rbf.
    Without --subsets also cnn+rf, cnn+knn.
    With --subsets also cnn-softmax-masked, cnn+svm-rbf-routed, cnn-scratch,
    cnn+svm-rbf-head-routed, cnn-scratch-plain.
    On request: cnn+rff (a linear SVM on random features), cnn+svm-linear-streamed (a
    linear SVM for many samples); networks trained with a margin loss: cnn-hinge,
    cnn-squared-hinge, cnn-crammer-singer, cnn-weston-watkins.
    On features: logistic, svm-rbf, svm-linear; without --subsets also rf, knn; with
    --subsets also svm-rbf-head-routed; on request rff, svm-linear-streamed.

    Networks: compact, wide (for about fifty classes), plane (two features, for plots);
    pretrained ones such as efficientnet-lite0 (list prints them); or one of yours.
    """
    reading = Reading(
        data,
        image_size,
        skip_corrupt,
        subsets,
        drop_duplicates,
        group_from_filename,
        enough_to_fit,
    )
    names = None if methods is None else [name.strip() for name in methods.split(",")]
    kinds = _KINDS_OF_SPLIT[split_by]
    _compare(
        reading.read,
        out,
        range(seed, seed + seeds),
        json,
        methods=names,
        network=network,
        find=partial(
            find_network, network, preprocessing=preprocessing, pooling=pooling, mirror=mirror
        ),
        layer=parse_layers(layer),
        normalization=parse_normalizations(normalization),
        cache=cache,
        epochs=epochs,
        subsets=subsets,
        splits=[(by_group, number) for by_group in kinds for number in range(splits)],
        checkpoints=checkpoints,
        selection=None if selection is None else selection.value,
        on_leak=on_leak.value,
        keep_models=keep_models,
        novelty=novelty,
    )


def default_selection(asked: str | None, frozen: bool, dataset: "Dataset") -> str:
    """Return how heads are selected, if it was not asked for."""
    if asked is not None:
        return str(asked)
    few = len(dataset.labels) < _FEW and dataset.has_images
    return "crossfit" if frozen and few else "heldout"


def _shortened(notes: list[str]) -> list[str]:
    """Return the first notes, and a line that counts the others."""
    n_more = len(notes) - _MOST_NOTES
    if n_more < 1:
        return notes
    more = "1 more note is" if n_more == 1 else f"{n_more:,} more notes are"
    return [*notes[:_MOST_NOTES], f"Note: {more} in the report."]


def _summary(result: "Outcome") -> str:
    """Count the checks by state: one that could not be run does not count as passed."""
    by_state: dict[str, list[dict[str, str]]] = {}
    for state in result.check_states:
        by_state.setdefault(state["state"], []).append(state)
    parts = [f"{len(by_state.get('passed', []))} passed"]
    if found := by_state.get("found"):
        parts.append(f"{len(found)} found something ({_listed(s['id'] for s in found)})")
    if unknown := by_state.get("unknown"):
        parts.append(f"{len(unknown)} unknown ({_listed(s['why'] for s in unknown)})")
    if absent := by_state.get("not applicable"):
        parts.append(f"{len(absent)} did not apply ({_listed(s['why'] for s in absent)})")
    return f"Checks: {', '.join(parts)}."


def _listed(words: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(words))


def _propose(dataset: "Dataset") -> str | None:
    """Return advice to take a pretrained network, if the images look like photographs."""
    if dataset.sources is None or dataset.images.shape[-1] != 3:
        return None
    import numpy as np
    from PIL import Image

    from penultimate.comparison.photographs import propose_pretrained

    sizes = []
    for path in dataset.sources[:: max(1, len(dataset.sources) // _LOOKED_AT)]:
        with Image.open(path) as image:  # reads the header alone
            sizes.append((image.height, image.width))
    return propose_pretrained(sizes, np.bincount(dataset.labels).tolist(), color=True)


def _compare(
    read: Callable[[Progress, ExitStack, bool], "Dataset"],
    out: Path,
    seeds: Sequence[int],
    json: bool,
    *,
    methods: list[str] | None,
    network: str = DEFAULT_NETWORK,
    find: Callable[[], Any] | None = None,
    layer: str | list[str] = "auto",
    normalization: Any = "auto",
    cache: Path | None = None,
    epochs: int | None = None,
    subsets: bool = False,
    splits: Sequence[tuple[bool | None, int]] = ((None, 0),),
    checkpoints: Path | None = None,
    selection: str | None = None,
    on_leak: str = "raise",
    keep_models: bool = False,
    novelty: float | None = None,
    best_model: bool = False,
) -> None:
    """Run a comparison with a live table, and write its report."""
    # Imports are here, in the order of need: `--help` and wrong usage must not wait for a backend.
    with plain_errors():
        from rich.console import Console

        from penultimate.report.folder import RESULTS, check_folder

        check_folder(out)
        from penultimate.comparison.kept import can_write_models
        from penultimate.comparison.live import LiveTable
        from penultimate.comparison.methods import choose_methods
        from penultimate.networks import is_frozen
        from penultimate.networks.adapting import prepares_images
        from penultimate.selection.normalization import check_normalizations

        chosen = network if find is None else find()
        frozen = is_frozen(chosen)
        if keep_models:
            require("onnx", "onnxruntime", extra="onnx")
        if cache is not None:
            require("pyarrow", extra="store")
        with wrong_usage("--methods"):
            choose_methods(methods, by_subset=subsets, frozen=frozen, on_features=None)
        if normalization != "auto":
            with wrong_usage("--normalization"):
                check_normalizations(normalization, "compare")
        console = Console(stderr=json)
        with LiveTable(console) as live, ExitStack() as stack:
            dataset = read(live, stack, frozen and prepares_images(chosen))
            if network == DEFAULT_NETWORK and (advice := _propose(dataset)):
                live.message(f"Note: {advice}")
            dataset = without_unused_subsets(dataset, subsets)
            if any(by_group for by_group, _ in splits) and dataset.groups is None:
                raise typer.BadParameter(
                    "needs groups, and the data has none. Name them in a column 'group' of a "
                    "manifest, or extract them from the file names with --group-from-filename.",
                    param_hint="--split-by",
                )
            needs_backend = dataset.has_images and not (frozen and runs_elsewhere(chosen))
            if needs_backend:
                live.update("load the network's backend", 0, 1)
            with muted_native_stderr():
                from penultimate.comparison import ComparisonInterrupted, Protocol
                from penultimate.comparison import _compare as comparison
                from penultimate.comparison.comparison import MODELS
                from penultimate.comparison.kept import best_of
                from penultimate.networks import Training, make_deterministic
                from penultimate.provenance.leakage import LeakageWarning, UnknownProvenanceWarning
                from penultimate.results.check_list import describe
                from penultimate.results.overview import print_tables
                from penultimate.splits import Holdout

                if needs_backend:
                    make_deterministic()
                for reported in (LeakageWarning, UnknownProvenanceWarning):
                    warnings.simplefilter("ignore", reported)  # below, as a check
            if needs_backend:
                live.update("load the network's backend", 1, 1)
            interrupted = False
            selection = default_selection(selection, frozen, dataset)
            try:
                result = comparison.compare(
                    dataset,
                    methods=methods,
                    network=chosen,
                    layer=layer,
                    normalization=normalization,
                    cache=cache,
                    training=Training(epochs=EPOCHS if epochs is None else epochs)
                    if (dataset.has_images and not frozen) or epochs is not None
                    else None,
                    seeds=seeds,
                    protocol=Protocol(
                        [Holdout(by_group=by_group, seed=seed) for by_group, seed in splits],
                        selection,
                        on_leak,
                    ),
                    checkpoints=checkpoints,
                    n_jobs=-1,
                    keep_models=keep_models or best_model,
                    novelty=novelty,
                    verbose=live,
                )
            except ComparisonInterrupted as cut:
                result, interrupted = cut.comparison, True
            except KeyboardInterrupt:
                if checkpoints is None:
                    again = (
                        "Started with --checkpoints FOLDER, the same command resumes where it was."
                    )
                elif any(checkpoints.glob("*.safetensors")):
                    again = f"The same command resumes from the states in {str(checkpoints)!r}."
                else:  # a state is saved after each epoch
                    again = "No epoch was complete, so the same command begins again."
                print_reason(f"interrupted; no report was written. {again}")
                raise typer.Exit(130) from None
        if not json:
            print_tables(console, result)
            console.print(f"Total time: {live.seconds:.0f} s.", highlight=False)
        models = result.models
        if best_model:
            result.models = {}  # one file, beside the report
        best, why = None, ""
        if best_model and models and can_write_models():
            best, why = best_of(models, result.protocol["headline"])
            result.protocol["saved_model"] = {"file": MODEL, "method": best, "why": why}
        with warnings.catch_warnings(record=True) as replaced:
            warnings.simplefilter("always")
            report = result.save(out)
            if best is not None:
                models[best].save(out / MODEL)
        if json:
            print((out / RESULTS).read_text(encoding="utf-8"), end="", flush=True)
        else:
            # What may be wrong comes first: only so many notes are printed.
            found = sorted(result.checks, key=lambda check: check["level"] == "info")
            n_alarms = sum(check["level"] != "info" for check in found)
            notes = [describe(check) for check in found]
            notes[n_alarms:n_alarms] = [f"Note: {note}" for note in result.dataset.notes]
            for note in _shortened(notes):
                live.message(note)
            live.message(_summary(result))
            live.message(result.answer)
            live.message(result.verdict)
            for warning in replaced:
                if issubclass(warning.category, UserWarning):  # not those of libraries to us
                    live.message(f"Note: {warning.message}")
            live.message(f"Report: {report}")
            if best is not None:
                live.message(f"Model: {out / MODEL} ({best}: {why})")
                live.message(f"Next: penultimate predict {out / MODEL} IMAGES")
            elif models and best_model:
                live.message("No model was written: that needs pip install 'penultimate[onnx]'.")
            elif models:
                live.message(f"Models: {out / MODELS}. Next: penultimate fit --from {out}")
        if interrupted:
            raise typer.Exit(130)
