"""The command that predicts with a saved model: any number of images, one row for each."""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from penultimate.cli.app import app, plain_errors, print_reason
from penultimate.cli.predicted_rows import WRITERS, Format, Row, bad_row, columns_for, rows_of
from penultimate.cli.replacing import check_replaceable, is_text
from penultimate.cli.sources import LIST, each_source, in_chunks

if TYPE_CHECKING:
    from penultimate.bundle import Predictor
    from penultimate.bundle.watcher import Watcher

# Images that are handed to the model at once: it decodes ahead within them, and their names and
# rows are all that is kept.
_CHUNK = 512
_FEATURES = (".npz", ".npy", ".csv", ".parquet")

BundleArgument = Annotated[
    Path,
    typer.Argument(help="File of a model, as penultimate fit writes it.", show_default=False),
]

KeyOption = Annotated[
    Path | None,
    typer.Option(
        help="Public key (PEM) of the signer. The model's signature is verified first, "
        "and every answer names the key.",
        show_default=False,
    ),
]


@app.command(epilog="Example: penultimate predict model.zip photos/ --format jsonl")
def predict(
    bundle: BundleArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images: files, folders, patterns such as 'photos/*.jpg', archives (.zip, .tar); "
            "- reads such names from standard input. Or one .npz, .npy, .csv or .parquet with "
            "features (or, in an .npz, an array X of images).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="File for the rows, instead of standard output.")
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="csv; jsonl, one JSON object per line; or table, to be read."
        ),
    ] = Format.CSV,
    subset: Annotated[
        str | None, typer.Option(help="The subset that all samples are in, for specialists.")
    ] = None,
    key: KeyOption = None,
    skip_corrupt: Annotated[
        bool,
        typer.Option("--skip-corrupt", help="End with 0 even if files could not be read."),
    ] = False,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images per pass, at most; fewer if they are large.")
    ] = 32,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Test whether the images, in their order, are still like those that the model was "
            "calibrated on (at most 1 % false alarms in all). After an alarm, rows say that the "
            "guarantee is withdrawn, and the command ends with 1.",
        ),
    ] = False,
) -> None:
    """Predict with a saved model: label, probability, margin, and whether it is sure enough.

    One row per image, in their order, written as they are predicted. An image that cannot be read
    has its reason in the column 'error', and the command ends with 1.
    """
    with plain_errors("the rows until here are written"):
        from penultimate.bundle import load

        if out is not None:
            check_replaceable(out, "--out", [bundle, *images], is_text, "text, as the rows are")
        model = load(bundle, key=key)
        if subset is not None and subset not in model.subsets:
            raise typer.BadParameter(
                f"there is no subset {subset!r}; this model has {model.subsets or 'none'}.",
                param_hint="--subset",
            )
        watcher = _watcher_of(model, subset) if watch else None
        writer = WRITERS[form](columns_for(model, subset, watcher))
        n_bad = 0
        started = time.perf_counter()
        with _opened(out) as file, _Bar(file) as bar:
            writer.begin(file)
            for rows in _rows(model, images, subset, batch_size, watcher):
                for row in rows:
                    writer.write(row)
                    n_bad += bool(row["error"])
                file.flush()
                bar.advance(len(rows))
        seconds = time.perf_counter() - started
        if model.signed_by is not None:
            print_reason(f"the model is signed by the key {model.signed_by}.")
        if out is not None:
            print_reason(f"{bar.n_done:,} rows in {str(out)!r}, after {seconds:.1f} s.")
        if n_bad:
            print_reason(f"{n_bad:,} of {bar.n_done:,} images could not be read; see their rows.")
        if not bar.n_done:
            print_reason(
                f"there is no image in {', '.join(map(repr, images))}; no row was written."
            )
        is_empty = not bar.n_done and images != [LIST]  # a list may well name none
        is_withdrawn = watcher is not None and watcher.is_withdrawn
        if (n_bad and not skip_corrupt) or is_withdrawn or is_empty:
            raise typer.Exit(1)


def _watcher_of(model: "Predictor", subset: str | None) -> "Watcher":
    from penultimate.bundle.watcher import Watcher

    if subset is not None:
        raise typer.BadParameter(
            "takes samples as the router sees them; leave out --subset.", param_hint="--watch"
        )
    try:
        return Watcher(model)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--watch") from None


def _rows(
    model: "Predictor",
    images: list[str],
    subset: str | None,
    batch_size: int,
    watcher: "Watcher | None" = None,
) -> Iterator[list[Row]]:
    """Yield rows, some at a time."""
    of_table = [name for name in images if name.lower().endswith(_FEATURES)]
    if of_table:
        if len(images) > 1:
            raise typer.BadParameter(
                f"{of_table[0]!r} is a table, which is predicted alone.", param_hint="IMAGES"
            )
        yield from _of_table(model, Path(images[0]), subset, watcher)
        return
    if model.manifest.kind == "features":
        raise typer.BadParameter(
            f"the model takes features, {model.manifest.input['n_features']} per sample, not "
            f"images; got {images[0]!r}. Pass an .npz, .npy, .csv or .parquet.",
            param_hint="IMAGES",
        )
    for chunk in in_chunks(each_source(images), _CHUNK):
        yield from _of_images(model, chunk, subset, batch_size, watcher)


def _of_images(
    model: "Predictor",
    chunk: Any,
    subset: str | None,
    batch_size: int,
    watcher: "Watcher | None",
) -> Iterator[list[Row]]:
    """Yield the rows of some images, those that cannot be read at their place among the others."""
    errors: dict[int, str] = {}

    def note(place: int, error: ValueError) -> None:
        errors[place] = str(error)

    done = 0
    items = [source.item for source in chunk]
    for places, found in model.stream(items, subset=subset, batch_size=batch_size, on_error=note):
        rows = []
        answers = rows_of(model, [chunk[place].name for place in places], found, watcher)
        for place, row in zip(places, answers, strict=True):
            rows += [bad_row(chunk[k], errors[k]) for k in range(done, place)]
            rows.append(row)
            done = place + 1
        yield rows
    if done < len(chunk):
        yield [bad_row(chunk[k], errors[k]) for k in range(done, len(chunk))]


def _of_table(
    model: "Predictor", path: Path, subset: str | None, watcher: "Watcher | None"
) -> Iterator[list[Row]]:
    """Yield the rows of a file with features, or with an array of images."""
    from penultimate.datasets.unlabeled import read_unlabeled

    samples = read_unlabeled(path, model.manifest.input.get("feature_names"))
    # A matrix holds a sample per row: a model of images would take it for one gray image.
    of_rows = samples.ndim == 2 and model.manifest.kind == "images"
    given = {"features": samples} if of_rows else {"X": samples}
    found = model.predict_all(**given, subset=subset)
    yield rows_of(model, list(map(str, range(len(found.labels)))), found, watcher)


def _opened(out: Path | None) -> AbstractContextManager[TextIO]:
    if out is None:
        if sys.stdout is None:  # the shell's >&-
            raise ValueError("Standard output is closed: name a file for the rows with --out.")
        if isinstance(sys.stdout, io.TextIOWrapper):
            if sys.stdout.isatty():  # there it is only looked at
                sys.stdout.reconfigure(errors="backslashreplace")
            else:
                sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        return nullcontext(sys.stdout)
    # Names of files are bytes: those that are not UTF-8 are written as they are.
    return out.open("w", encoding="utf-8", errors="surrogateescape", newline="")


class _Bar:
    """A progress bar on standard error, if that is a terminal and the rows go elsewhere."""

    def __init__(self, file: TextIO) -> None:
        self.n_done = 0
        self._bar: Any = None
        if sys.stderr.isatty() and not file.isatty():
            from rich.console import Console
            from rich.progress import MofNCompleteColumn

            from penultimate._common.progress_bar import make_bar

            self._bar = make_bar(Console(stderr=True), MofNCompleteColumn())

    def __enter__(self) -> "_Bar":
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("predict", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n_rows: int) -> None:
        """Count rows that were written."""
        self.n_done += n_rows
        if self._bar is not None:
            self._bar.update(self._task, completed=self.n_done)
