"""``python -m penultimate.cli``."""

from penultimate.cli import main

main()
