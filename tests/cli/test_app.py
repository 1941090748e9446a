"""The help of the commands, and their warnings."""

import re
import shutil
import warnings

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from penultimate.cli import load_commands
from penultimate.cli.app import app, fit_help, plain_errors

load_commands()


@pytest.mark.parametrize("times", [1, 2])
def test_paragraphs_of_the_help_are_not_broken_into_lines(times):
    for _ in range(times):
        fit_help()
    command = next(each for each in app.registered_commands if each.callback.__name__ == "fit")
    first, second = command.help.split("\n\n")
    assert first.startswith("Train a network")
    assert second.startswith("The file takes images")
    assert "\n" not in second


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_word_of_any_help_is_cut(columns, monkeypatch):
    monkeypatch.setattr(app, "rich_markup_mode", "rich")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERMINAL_WIDTH", str(columns))
    assert shutil.get_terminal_size().columns == columns
    fit_help()
    commands = get_command(app).commands
    assert len(commands) > 10
    for name, command in commands.items():
        shown = CliRunner().invoke(app, [name, "--help"], terminal_width=columns).output
        assert max(map(len, shown.splitlines())) <= columns
        assert "\u2026" not in shown
        shown = re.sub("[\u2500-\u257f]", " ", shown).split()
        together = "".join(shown)  # words may be divided after a hyphen
        for parameter in command.params:
            words = {*parameter.opts[:1], *(parameter.help or "").split()} - {parameter.name}
            assert [word for word in words if word not in together] == [], (name, parameter.name)
        # Choices that are broken in the middle: <heldout|crossfit|res ubstitution>.
        assert [word for word in shown if re.fullmatch(r"<[^>]*\|[^>]*", word)] == []


def test_warnings_are_one_line_each_without_a_place_in_the_code(capsys):
    with plain_errors():
        for text in ("first\nof two lines", "second", "second"):
            warnings.warn(text, stacklevel=1)
    assert capsys.readouterr().err == "penultimate: first of two lines\npenultimate: second\n"
