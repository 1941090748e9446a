"""The command line's application: its name, how it ends, and what it says when it fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from penultimate._common.faults import is_from_input
from penultimate._common.imports import is_debugging

app = typer.Typer(
    name="penultimate",
    help="Max-margin heads for neural networks: put an SVM on a network's features, "
    "and know whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Keep the commands' names in the usage, also while there are few."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """End with one line, which says whether it is for the user to fix or a bug of ours.

    PENULTIMATE_DEBUG=1 shows the traceback of either.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("penultimate: interrupted; no report was written.", file=sys.stderr)
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise  # typer's own way to end; whoever reads our output has gone, as `head` does
    except MemoryError:
        if is_debugging():
            raise
        print_reason("there is not enough memory; use fewer or smaller images (--image-size).")
        raise typer.Exit(1) from None
    except Exception as error:
        if is_debugging():
            raise
        print_reason(_reason(error))
        raise typer.Exit(1) from None


def _reason(error: Exception) -> str:
    if not is_from_input(error):
        told = f"{type(error).__name__}: {error}".strip(" .:")
        return f"{told}. This is a bug in Penultimate; PENULTIMATE_DEBUG=1 shows where."
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.strerror}: {os.fsdecode(error.filename)!r}"
    return str(error) or type(error).__name__


def print_reason(text: str) -> None:
    """Print one line on stderr, whatever its encoding."""
    line = f"penultimate: {' '.join(text.split())}"
    print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


@contextmanager
def muted_native_stderr() -> Iterator[None]:
    """Drop what native code prints while a backend starts; Python's exceptions are unaffected."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
