import json
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

import penultimate
from penultimate._common.faults import is_from_input
from penultimate._common.files import write_atomically
from penultimate._common.imports import import_optional
from penultimate._common.validation import check_number
from penultimate.datasets import load
from penultimate.datasets.images import decode_images
from penultimate.provenance.records import Provenance


def caught(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


def again(function):
    """Raise an error anew from an ``except`` clause, as clean-up code does."""
    try:
        function()
    except Exception:
        raise


def translated(function):
    try:
        function()
    except Exception as error:
        raise error


def bad_parameter():
    check_number("1", "size", "Thing")


PACKAGE = Path(penultimate.__file__).parent


@pytest.mark.parametrize(
    "function",
    [
        bad_parameter,
        lambda: again(bad_parameter),
        lambda: translated(bad_parameter),
        lambda: load("nowhere"),
        lambda: import_optional("not_there", "umap"),
        lambda: Path("nowhere").read_text(),
        lambda: os.listdir("nowhere"),
        lambda: np.load("nowhere.npz"),
        lambda: write_atomically("nowhere/file").__enter__(),
        lambda: exec("import keras_of_the_user"),
        lambda: np.empty(1 << 55),
    ],
)
def test_what_the_user_can_fix(function):
    assert is_from_input(caught(function))


@pytest.mark.parametrize(
    "function",
    [
        lambda: [][0],
        lambda: {}["a"],
        lambda: 1 / 0,
        lambda: int("one"),
        lambda: len(3),
        lambda: json.loads("{"),
        lambda: b"\xff".decode(),
        lambda: np.ones(2).reshape(3),
        lambda: np.zeros((2, 2)) @ np.zeros(3),
        lambda: list(StratifiedKFold(5).split(np.zeros(3), [0, 1, 0])),
        lambda: Provenance(gone=2),
        # In our own code, past every check.
        lambda: check_number(1, "size", "Thing", low="0"),
        lambda: decode_images(3),
        lambda: Provenance.of(np.zeros(2, np.uint64), "trained").holds(3),
        lambda: again(lambda: [][0]),
        lambda: translated(lambda: int("one")),
        lambda: (PACKAGE / "no_template.html").read_text(),
        lambda: exec("import penultimate.gone"),
        lambda: exec("from penultimate import gone"),
    ],
)
def test_what_is_a_fault_of_ours(function):
    assert not is_from_input(caught(function))


def test_without_a_traceback_it_counts_as_ours():
    assert not is_from_input(ValueError("from another process"))
