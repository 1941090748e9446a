"""The command that trains, selects and saves one model, in a file that predicts everywhere."""

import time
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penultimate._common.imports import require
from penultimate.cli.app import app, muted_native_stderr, plain_errors, wrong_usage
from penultimate.cli.compare import DEFAULT_NETWORK, EPOCHS, OnLeak, Selection, default_selection
from penultimate.cli.fit_options import (
    TAUGHT,
    check_for_data,
    check_for_reports,
    check_teachable,
)
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
from penultimate.cli.options import DropDuplicates, GroupFromFilename, ImageSize, SkipCorrupt
from penultimate.cli.reading import Reading, SubsetsOption, enough_to_fit, without_unused_subsets
from penultimate.cli.replacing import check_model_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penultimate.bundle import Manifest
    from penultimate.comparison.final import FinalModel
    from penultimate.datasets import Dataset


@app.command(epilog="Example: penultimate fit photos/ --network efficientnet-lite0 --out model.zip")
def fit(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Argument(help="As in compare; not with --from.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="File of the model.")] = Path("model.zip"),
    report: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder of a comparison that was run with --keep-models: takes the model with the "
            "best selection score, and fits nothing.",
        ),
    ] = None,
    network: NetworkOption = DEFAULT_NETWORK,
    head: Annotated[
        str,
        typer.Option(
            help="The classifier on the features: svm-rbf, svm-linear, logistic, rff or "
            "svm-linear-streamed; of several, separated by commas, the one with the best selection "
            "score. auto is the first three. softmax is the network's own last layer. With --from, "
            "the name of a kept model."
        ),
    ] = "auto",
    layer: LayerOption = None,
    normalization: NormalizationOption = "auto",
    preprocessing: PreprocessingOption = None,
    pooling: PoolingOption = "avg",
    mirror: MirrorOption = False,
    seed: Annotated[int, typer.Option(min=0, help="Controls the splits and the training.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help=f"Training epochs; {EPOCHS} by default.")
    ] = None,
    image_size: ImageSize = "auto",
    skip_corrupt: SkipCorrupt = False,
    subsets: SubsetsOption = False,
    group_from_filename: GroupFromFilename = None,
    test_size: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.9,
            help="Share of the samples that is held out, to say what to expect of new data, unless "
            "the data came with a test set. 0 fits on all.",
        ),
    ] = 0.2,
    selection: Annotated[
        Selection | None,
        typer.Option(
            metavar="<name>",
            help="How the head is selected, as in compare: heldout, crossfit or resubstitution. "
            "Default: heldout; crossfit where a "
            "network is used as it is on fewer than 5,000 images.",
        ),
    ] = None,
    on_leak: Annotated[
        OnLeak, typer.Option(help="What to do if test images are also among the others.")
    ] = OnLeak.RAISE,
    drop_duplicates: DropDuplicates = False,
    risk: Annotated[
        float | None,
        typer.Option(
            help="Let the model abstain, so that at most this share of its answers is wrong (with "
            "95 % confidence)."
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(help="Let the model abstain from all but this share of the samples."),
    ] = None,
    novelty: Annotated[
        float | None,
        typer.Option(
            help="Let the model say that a sample is of none of the classes; at most this share of "
            "the samples of known classes is then wrongly called so. Not for subsets."
        ),
    ] = None,
    thumbnails: Annotated[
        int,
        typer.Option(
            min=0,
            max=20,
            help="Store this many training images of each class in the file, at 64 x 64 pixels. "
            "Anyone who has the file can see them. With --teachable, of support vectors first: "
            "serve shows those that are nearest to a new image.",
        ),
    ] = 0,
    teachable: Annotated[
        bool,
        typer.Option(
            "--teachable",
            help="Keep what penultimate teach needs in the file: features and labels of all "
            "samples, which who has the file can read. With an SVM head; auto is then the two.",
        ),
    ] = False,
) -> None:
    """Train a network or take one, select the head on it, and save both as one file.

    The file takes images of any size, or features, and gives labels, scores and probabilities: with
    penultimate predict, in Python (penultimate.load), or wherever ONNX Runtime runs. It is written
    only after its answers were found to be the same as those of the model in Python.
    """
    if (data is None) == (report is None):
        raise typer.BadParameter("pass either data or --from.", param_hint="DATA")
    if report is not None:
        check_for_reports(context)
        with plain_errors():
            check_model_file(out)
            _take_winner(report, out, head)
        return
    assert data is not None
    if teachable:
        check_teachable(head)
    reading = Reading(
        data,
        image_size,
        skip_corrupt,
        subsets,
        drop_duplicates,
        group_from_filename,
        partial(enough_to_fit, test=test_size > 0),
    )
    with plain_errors("no model was written"):
        check_model_file(out, [data])
        require("onnx", "onnxruntime", extra="onnx")
        from rich.console import Console

        from penultimate.bundle.strict_json import check_names
        from penultimate.comparison.live import LiveTable
        from penultimate.networks import is_frozen
        from penultimate.networks.adapting import prepares_images, pretrained_of

        chosen = find_network(network, preprocessing=preprocessing, pooling=pooling, mirror=mirror)
        frozen = is_frozen(chosen)
        start = time.perf_counter()
        with LiveTable(Console(stderr=True)) as live, ExitStack() as stack:
            dataset = reading.read(live, stack, frozen and prepares_images(chosen))
            dataset = without_unused_subsets(dataset, subsets)
            check_for_data(context, has_images=dataset.has_images, frozen=frozen)
            check_names(dataset.classes, dataset.feature_names, dataset.subsets)
            if novelty is not None and dataset.subsets:
                raise typer.BadParameter(
                    "cannot be written for subsets; leave out --subsets.", param_hint="--novelty"
                )
            if thumbnails and not dataset.has_images:
                raise typer.BadParameter(
                    "is for images, and the data are features.", param_hint="--thumbnails"
                )
            needs_backend = dataset.has_images and not (frozen and runs_elsewhere(chosen))
            with muted_native_stderr():
                import numpy as np

                from penultimate.bundle.teaching_part import PRIVACY
                from penultimate.bundle.writing import in_words, save
                from penultimate.comparison.final import fit_final
                from penultimate.comparison.final_settings import HEADS, SOFTMAX, FinalSettings
                from penultimate.comparison.given import read_given
                from penultimate.comparison.protocol import Protocol
                from penultimate.networks import Training, make_deterministic
                from penultimate.networks.remembered import features_remembered
                from penultimate.provenance.leakage import UnknownProvenanceWarning
                from penultimate.splits import Holdout

                if needs_backend:
                    make_deterministic()
            pretrained = pretrained_of(chosen)
            layers, normalizations = parse_layers(layer), parse_normalizations(normalization)
            if layers == "auto":
                layers = "penultimate" if pretrained is None else list(pretrained.layers)
            if normalizations == "auto":
                normalizations = "standardize" if pretrained is None else ["standardize", "l2"]
            how = default_selection(selection, frozen, dataset)
            if head == SOFTMAX and selection is None:
                how = "heldout"
            settings = FinalSettings(
                network=chosen,
                heads=[each.strip() for each in head.split(",")]
                if head != "auto"
                else [each for each in HEADS if each in TAUGHT or not teachable],
                layer=layers,
                normalization=normalizations,
                training=Training(epochs=EPOCHS if epochs is None else epochs),
                seed=seed,
                protocol=Protocol(
                    Holdout(test_size=test_size or 0.2, seed=seed), how, on_leak.value
                ),
                test=test_size > 0 or dataset.is_test is not None,
                risk=risk,
                coverage=coverage,
                novelty=novelty,
            )
            with wrong_usage("--head"):
                settings.check()
            dataset, inputs = read_given(dataset, None, None, chosen, live, stack)
            live.update("fit the model", 0, 1)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                if pretrained is not None:  # what these were trained on is known
                    warnings.simplefilter("ignore", UnknownProvenanceWarning)
                stack.enter_context(features_remembered())
                fitted = fit_final(dataset, inputs, settings, live)
            live.update("fit the model", 1, 1)
            live.update("write and check the file", 0, 1)
            y = np.asarray(dataset.classes)[dataset.labels]
            kept = {}
            if teachable:
                kept = {name: (inputs[rows], y[rows]) for name, rows in fitted.to_teach().items()}
            elif len(fitted.test):
                kept = {"held_out": (inputs[fitted.test], y[fitted.test])}
            proof = save(
                fitted.model,
                out,
                inputs[fitted.test if len(fitted.test) else fitted.development],
                expected=fitted.expected(),
                protocol=settings.in_words(),
                feature_names=dataset.feature_names,
                thumbnails=some_of_each(dataset, fitted, thumbnails, teachable)
                if thumbnails
                else None,
                **kept,
            )
            live.update("write and check the file", 1, 1)
            leak = [fitted.leak] if fitted.leak else []
            # Not the deprecations of libraries, which are for us.
            said = {str(each.message) for each in caught if issubclass(each.category, UserWarning)}
            for note in (*fitted.notes, *sorted(said), *leak):
                live.message(f"Note: {note}")
        _say(fitted, in_words(proof), out, time.perf_counter() - start)
        if teachable:
            print(f"Privacy: {PRIVACY}")


def some_of_each(
    dataset: "Dataset", fitted: "FinalModel", n_each: int, teachable: bool
) -> "tuple[NDArray[Any], NDArray[Any]] | tuple[NDArray[Any], NDArray[Any], NDArray[Any]]":
    """Return training images of each class and their labels; to be taught, also which they are."""
    import numpy as np

    from penultimate.bundle.teachable import support_of

    places = fitted.to_teach()["teach"] if teachable else fitted.development
    labels = dataset.labels[places]
    order = np.arange(len(places))
    names = np.asarray(dataset.classes)
    if teachable:  # support vectors first, as they are what answers are explained by
        support = support_of(fitted.model, names[labels])
        order = np.concatenate([support, np.setdiff1d(order, support)])
    each = [order[labels[order] == k][:n_each] for k in np.unique(labels)]
    chosen = np.concatenate(each)
    images, shown = dataset.images[places[chosen]], names[labels[chosen]]
    return (images, shown, chosen) if teachable else (images, shown)


def _take_winner(report: Path, out: Path, head: str) -> None:
    """Copy the best of the models that a comparison has kept."""
    from penultimate._common.files import write_atomically
    from penultimate.bundle import load

    if not report.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(report)!r}; --from takes the one that compare --out wrote."
        )
    files = sorted(Path(report, "models").glob("*.zip"))
    if not files:
        raise ValueError(
            f"{str(report)!r} holds no models. Run the comparison with --keep-models, or fit on "
            "the data: penultimate fit DATA. (Of subsets of given features none are kept: fit "
            "takes one subset at a time.)"
        )
    models = {path: load(path).manifest for path in files}
    scores = {
        path: score
        for path, manifest in models.items()
        if (score := (manifest.protocol or {}).get("selection_score")) is not None
    }
    listed = ", ".join(f"{path.stem} {100 * score:.1f} %" for path, score in scores.items())
    if listed:
        of = "Selection scores"
        if any(manifest.subsets for manifest in models.values()):
            # What was held out for the heads was not held out for the network that routes.
            of += ", by subset where there are some, without the router's errors"
        print(f"{of}: {listed}.")
    best = _named(head, files) if head != "auto" else _best(models, scores)
    print(f"{best.stem} is taken.")
    with write_atomically(out) as temporary:
        temporary.write_bytes(best.read_bytes())
    print(load(out))
    print(f"Saved: {out}")


def _named(name: str, files: list[Path]) -> Path:
    """Return the file of the model that was asked for."""
    for path in files:
        if path.stem == name:
            return path
    kept = ", ".join(path.stem for path in files)
    raise ValueError(f"--head must be the name of a model that was kept ({kept}); got {name!r}.")


def _best(models: dict[Path, "Manifest"], scores: dict[Path, float]) -> Path:
    """Return the model with the best selection score, where these can be compared."""
    if len({bool(manifest.subsets) for manifest in models.values()}) > 1:
        kept = ", ".join(path.stem for path in models)
        raise ValueError(
            "Models by subset choose among fewer classes than the others, so their selection "
            f"scores cannot be compared. Name the one to take: --head NAME, one of {kept}."
        )

    def rank(path: Path) -> tuple[float, bool]:
        # The same specialists with two routers have the same score: the network's is the default.
        return scores.get(path, 0.0), models[path].router == "network"

    return max(scores or models, key=rank)


def _say(fitted: "FinalModel", proof: str, out: Path, seconds: float) -> None:
    """Print what was fitted, what to expect of it, and what to do with it."""
    for line in fitted.lines():
        print(line)
    print(f"Checked: {proof}")
    print(f"Saved: {out} ({out.stat().st_size / 1e6:.1f} MB, after {seconds:.0f} s)")
    print(f"Next: penultimate predict {out} {'IMAGES' if fitted.of_images else 'FEATURES'}")
