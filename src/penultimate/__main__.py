"""``python -m penultimate``."""

from penultimate.cli import main

main()
