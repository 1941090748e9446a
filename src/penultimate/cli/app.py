"""The command-line application: its name, exit codes and error messages."""

import inspect
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from penultimate import __version__
from penultimate._common.door import at_terminal
from penultimate._common.faults import is_from_input
from penultimate._common.imports import is_debugging
from penultimate.cli import end_at_once

_FOR_TABLES = 80  # columns

app = typer.Typer(
    name="penultimate",
    help="Max-margin heads for neural networks: put an SVM on a network's features, "
    "and measure whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def fit_help() -> None:
    """Let the help of every command fill the terminal: typer keeps the line ends of docstrings."""
    # In its tables, typer cuts words that are longer than a column: below this, names of options.
    if shutil.get_terminal_size().columns < _FOR_TABLES:
        app.rich_markup_mode = None
    for command in app.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(lines.split()) for lines in paragraphs)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"penultimate {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Keep the command names in the usage: typer drops the name of a single command."""


@contextmanager
def plain_errors(interrupted: str = "no report was written") -> Iterator[None]:
    """Turn exceptions into one line that says whether the input or Penultimate is at fault.

    PENULTIMATE_DEBUG=1 shows the traceback in both cases.
    """
    if signal.getsignal(signal.SIGINT) is end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with at_terminal(), _plain_warnings():
            yield
    except KeyboardInterrupt:
        print(f"penultimate: interrupted; {interrupted}.", file=sys.stderr)
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise  # typer handles these; a pipe breaks when its reader, such as `head`, has exited
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


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print warnings to users in one line, each once, without the place in the code."""
    said: set[str] = set()
    show = warnings.showwarning

    def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, UserWarning):  # deprecations and the like, which are for us
            show(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            print_reason(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = note
        yield


@contextmanager
def wrong_usage(option: str) -> Iterator[None]:
    """Turn an error about the value of an option into one of usage, which exits with 2."""
    try:
        yield
    except (ValueError, TypeError) as error:
        # Of "The 'methods' parameter of compare must be ..." the command line knows the end.
        _, must, rest = str(error).partition(" must be ")
        raise typer.BadParameter(
            f"must be {rest}" if must else str(error), param_hint=option
        ) from None


def _reason(error: Exception) -> str:
    if not is_from_input(error):
        reason = f"{type(error).__name__}: {error}".strip(" .:")
        return f"{reason}. This is a bug in Penultimate; PENULTIMATE_DEBUG=1 shows where."
    if isinstance(error, OSError) and error.strerror:
        named = "." if error.filename is None else f": {os.fsdecode(error.filename)!r}"
        return f"{error.strerror}{named}"
    return str(error) or type(error).__name__


def print_reason(text: str) -> None:
    """Print one line on stderr, whatever the encoding of the text."""
    print(f"penultimate: {printable(' '.join(text.split()))}", file=sys.stderr)


def printable(text: str) -> str:
    """Return text for a terminal: what is in a name must not move its cursor, nor break a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def muted_native_stderr() -> Iterator[None]:
    """Discard what native code prints while a backend starts; Python exceptions are unaffected."""
    # Native code writes to file descriptor 2, which replacing `sys.stderr` would not redirect.
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
