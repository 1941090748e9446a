"""The command line: thin commands over the library."""

import logging
import os
import warnings


def main() -> None:
    """Run the command line."""
    # Before any backend is imported: its notices are no news for users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    from penultimate.cli import compare  # noqa: F401  a command is there once it is imported
    from penultimate.cli.app import app

    app()
