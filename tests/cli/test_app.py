"""The help of the commands."""

import pytest

from penultimate.cli import fit  # noqa: F401  importing registers the command
from penultimate.cli.app import app, reflow_help


@pytest.mark.parametrize("times", [1, 2])
def test_paragraphs_of_the_help_are_not_broken_into_lines(times):
    for _ in range(times):
        reflow_help()
    command = next(each for each in app.registered_commands if each.callback.__name__ == "fit")
    first, second = command.help.split("\n\n")
    assert first.startswith("Train a network")
    assert second.startswith("The file takes images")
    assert "\n" not in second
