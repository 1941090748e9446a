"""The command that takes a model out of its bundle: as an ONNX file, or as a page that runs it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penultimate.cli.app import app, plain_errors
from penultimate.cli.predict import KeyOption
from penultimate.cli.replacing import check_replaceable

if TYPE_CHECKING:
    from penultimate.bundle import Predictor

_MEANINGS = {
    "images": "pixels from 0 to 255, of any size; 0 images where there are none",
    "features": "what the network computes; 0 rows where there are none",
    "subset": "the subset to choose from, by its number; -1 lets the model find it",
    "label": "number of the class",
    "scores": "decision values, one per class",
    "margins": "each class's smallest margin to another class",
    "probabilities": "calibrated, one per class",
    "confidence": "what the model abstains by",
    "accepted": "whether the model is sure enough to answer",
    "novel": "whether a sample is of none of the classes",
    "subset_index": "number of the subset that answered",
}


@app.command(epilog="Example: penultimate export flowers.zip flowers.onnx --html flowers.html")
def export(
    bundle: Annotated[
        Path, typer.Argument(help="A model, as penultimate fit writes it.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Argument(help="Where to write the graph: a name in .onnx.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Where to write a page that classifies images in a browser, without a network.",
            show_default=False,
        ),
    ] = None,
    mlflow: Annotated[
        Path | None,
        typer.Option(
            help="Where to write an MLflow model: a new folder, which mlflow.pyfunc.load_model "
            "opens. It holds the bundle as it is, and no pickle.",
            show_default=False,
        ),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the npm package onnxruntime-web, which the page needs; by default "
            "that in ./node_modules, or what PENULTIMATE_ONNXRUNTIME_WEB names.",
            show_default=False,
        ),
    ] = None,
    key: KeyOption = None,
) -> None:
    """Write a model as one ONNX file, as one page that works offline, or for MLflow."""
    with plain_errors():
        _check(bundle, out, html, mlflow, runtime)
        from penultimate._common.files import write_together
        from penultimate.bundle import load

        predictor = load(bundle, key=key)
        contents: dict[Path, bytes] = {}
        if out is not None:
            contents[out] = predictor.part("model.onnx")
        if html is not None:
            from penultimate.bundle.page import render_page
            from penultimate.bundle.web_runtime import find_runtime

            page = render_page(predictor, find_runtime(runtime), name=bundle.stem)
            contents[html] = page.encode()
        if mlflow is not None:
            from penultimate.bundle.mlflow_model import write_mlflow

            write_mlflow(predictor, mlflow)
        with write_together(list(contents)) as temporaries:
            for temporary, content in zip(temporaries, contents.values(), strict=True):
                temporary.write_bytes(content)
        if predictor.signed_by is not None:
            print(f"The model is signed by the key {predictor.signed_by}.")
        if out is not None:
            _describe(predictor, out)
        if html is not None:
            print(f"Page: {html} ({_size(html)}). Open it in a browser; it needs no network.")
        if mlflow is not None:
            print(
                f"MLflow model: {mlflow}. Open it with mlflow.pyfunc.load_model({str(mlflow)!r})."
            )


def _check(
    bundle: Path, out: Path | None, html: Path | None, mlflow: Path | None, runtime: Path | None
) -> None:
    """Refuse what cannot be meant."""
    if out is None and html is None and mlflow is None:
        raise typer.BadParameter(
            "say where to write to: a name in .onnx, --html PAGE, --mlflow FOLDER, or several.",
            param_hint="OUT",
        )
    if runtime is not None and html is None:
        raise typer.BadParameter("is for --html alone.", param_hint="--runtime")
    for path, suffixes, hint in (
        (out, (".onnx",), "OUT"),
        (html, (".html", ".htm"), "--html"),
    ):
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            advice = "; a page is written with --html" if path.suffix == ".html" else ""
            raise typer.BadParameter(
                f"must be a name in {suffixes[0]}; got {str(path)!r}{advice}.", param_hint=hint
            )
        check_replaceable(path, hint, [bundle])


def _describe(predictor: "Predictor", out: Path) -> None:
    """Print what the graph takes and gives, for who writes the program around it."""
    from penultimate.bundle.operators import OPSET

    print(f"Graph: {out} ({_size(out)}, ONNX opset {OPSET}). All inputs have to be given.")
    for verb, tensors in (("takes", predictor.inputs), ("gives", predictor.outputs)):
        width = max(map(len, tensors.values()))
        for name, shape in tensors.items():
            line = f"  {verb}  {name:<13}  {shape:<{width}}  {_MEANINGS.get(name, '')}"
            print(line.rstrip())


def _size(path: Path) -> str:
    n_bytes = path.stat().st_size
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.1f} kB"
