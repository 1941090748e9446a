"""The command line: thin wrappers around the library."""

import logging
import os
import warnings


def main() -> None:
    """Run the command line."""
    # Must be set before any backend is imported; its startup notices do not concern users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    from penultimate.cli import compare, look  # noqa: F401  importing registers the commands
    from penultimate.cli.app import app

    app()
