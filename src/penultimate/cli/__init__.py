"""The command line: thin wrappers around the library."""

import io
import os
import signal
import sys
from types import FrameType


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End with one line, on Ctrl-C before a command has begun: nothing is there to be kept."""
    os.write(2, b"penultimate: interrupted; no report was written.\n")
    os._exit(130)


def main() -> None:
    """Run the command line."""
    # Imports take most of a second, in which an exception would surface anywhere. (Who ignores the
    # signal, as nohup does, goes on ignoring it.)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    import logging
    import warnings

    # Must be set before any backend is imported; its startup notices do not concern users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    from penultimate.cli.app import app, fit_help

    load_commands()
    fit_help()
    # Names of files that the terminal's encoding lacks are shown, not an end of the command.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    app()


def load_commands() -> None:
    """Import all commands, which registers them."""
    from penultimate.cli import (  # noqa: F401  importing registers the commands
        compare,
        evaluate,
        export,
        extract,
        fit,
        look,
        predict,
        serve,
        sign,
        teach,
    )
