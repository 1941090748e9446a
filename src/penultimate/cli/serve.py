"""The command that answers over HTTP with saved models."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from penultimate.cli.app import app, plain_errors, print_reason
from penultimate.cli.predict import KeyOption

_MB, _MILLION = 10**6, 10**6


@app.command(epilog="Example: penultimate serve flowers.zip --port 0")
def serve(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            help="Files of models, as penultimate fit writes them. Requests choose one by its "
            "name without the suffix.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond 127.0.0.1 a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="PENULTIMATE_TOKEN",
            help="What requests have to bring. On the command line, other users of this machine "
            "see it: prefer the variable, or --token-file.",
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token.", show_default=False)
    ] = None,
    teach: Annotated[
        bool,
        typer.Option(
            "--teach",
            help="Let who may ask also correct the models, add classes, and promote what was "
            "taught. For files of penultimate fit --teachable.",
        ),
    ] = False,
    key: KeyOption = None,
    watch: Annotated[
        bool | None,
        typer.Option(
            "--watch/--no-watch",
            help="Test whether what comes in is still like what a model was calibrated on (at most "
            "1 % false alarms in all); after an alarm, every answer says that the guarantee is "
            "withdrawn. By default where the model's file allows it; --watch refuses others.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads for a prediction; all cores by default.", show_default=False
        ),
    ] = None,
    max_body: Annotated[float, typer.Option(min=0.001, help="Megabytes of a request.")] = 16,
    max_memory: Annotated[
        float, typer.Option(min=0.001, help="Megabytes of all requests that are being answered.")
    ] = 256,
    max_pixels: Annotated[
        float, typer.Option(min=0.0001, help="Millions of pixels in a request.")
    ] = 50,
    max_batch: Annotated[int, typer.Option(min=1, help="Samples in a request, or a pass.")] = 256,
    max_waiting: Annotated[int, typer.Option(min=1, help="Requests that wait.")] = 512,
    max_connections: Annotated[int, typer.Option(min=1, help="Connections at once.")] = 800,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for a prediction.")] = 30,
    read_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for a request to arrive.")
    ] = 20,
    delay: Annotated[
        float,
        typer.Option(
            min=0, help="Milliseconds that a request may wait to be predicted with others."
        ),
    ] = 2,
) -> None:
    """Answer over HTTP with saved models: labels, scores, margins, and whether they are sure.

    Ctrl-C and SIGTERM stop it when what was asked is answered. A model whose file is replaced is
    loaded, and follows the one before without a lost request.
    """
    with plain_errors("what was asked is answered"):
        from penultimate.serve import Limits, Models, run
        from penultimate.serve.running import check_token

        if token_file is not None:
            if token is not None:
                raise typer.BadParameter(
                    "there is also --token; pass one.", param_hint="--token-file"
                )
            token = token_file.read_text("utf-8").strip()
        try:
            check_token(host, token or None)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--token") from None
        limits = Limits(
            body=int(max_body * _MB),
            memory=int(max_memory * _MB),
            pixels=int(max_pixels * _MILLION),
            batch=max_batch,
            waiting=max_waiting,
            connections=max_connections,
            seconds=timeout,
            reading_seconds=read_timeout,
            delay=delay / 1000,
        )
        models = Models(bundles, key=key, threads=threads, watch=watch)
        for version in models:
            if version.watch is None and watch is None:
                print_reason(f"{version.name} is not watched: its file has no samples to compare.")
            if version.predictor.signed_by is not None:
                print_reason(f"{version.name} is signed by the key {version.predictor.signed_by}.")
        run(models, host=host, port=port, token=token or None, limits=limits, teach=teach, say=_say)


def _say(line: str) -> None:
    with suppress(OSError):  # who reads it may be gone; the service goes on
        print(line, flush=True)
