import ast
import re
from pathlib import Path

import numpy as np
import pytest

import penultimate
from penultimate._common.door import at_terminal, spelled
from penultimate.datasets import load
from penultimate.evaluation.checks._check import ABOUT, Check

OPTION = re.compile(r"(?<![\w-])--[a-z]{3,}")
SOURCES = Path(penultimate.__file__).parent
# Only commands print these.
OF_THE_TERMINAL = {SOURCES / "report" / "look.py", *(SOURCES / "cli").glob("*.py")}


def test_the_door_closes_behind_an_error():
    with pytest.raises(ValueError, match="stop"), at_terminal():
        raise ValueError("stop")
    assert spelled("--seeds", "seeds") == "seeds"


@pytest.mark.slow
def test_no_option_is_named_to_users_of_python():
    for path in sorted(set(SOURCES.rglob("*.py")) - OF_THE_TERMINAL):
        source = path.read_text(encoding="utf-8")
        if not OPTION.search(source):
            continue
        tree = ast.parse(source)
        allowed = {
            id(node)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "spelled"
            for node in ast.walk(call.args[0])
        }
        allowed |= {
            id(block.body[0].value)
            for block in ast.walk(tree)
            if isinstance(block, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and block.body
            and isinstance(block.body[0], ast.Expr)
        }
        if path.name == "_check.py":  # see the next test
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = OPTION.search(node.value)
                # pip's options are for everybody.
                assert not named or id(node) in allowed or "pip " in node.value, (path, node.value)


@pytest.mark.parametrize("name", ABOUT)
def test_a_check_advises_in_the_words_of_the_door(name):
    assert not OPTION.search(Check(name, "").advice)
    with at_terminal():
        advice = Check(name, "").advice
    assert OPTION.search(advice) or advice == Check(name, "").advice
    assert not re.search(r"Dataset\.|Holdout|Training\(", advice)


def test_both_words_of_one_message(tmp_path):
    np.savez(tmp_path / "one.npz", X=np.zeros((3, 8, 8), np.uint8), y=["cat"] * 3)
    with pytest.raises(ValueError, match=r"^y holds 1 class"):
        load(tmp_path / "one.npz").without_empty_classes()
    with at_terminal(), pytest.raises(ValueError, match=r"^All samples are of one class, 'cat'"):
        load(tmp_path / "one.npz").without_empty_classes()
    np.savez(tmp_path / "two.npz", X=np.zeros((2, 8, 8), np.uint8), y=["cat", "dog"])
    with pytest.raises(ValueError, match=r"^image_size "):
        load(tmp_path / "two.npz", image_size=8)
    with at_terminal(), pytest.raises(ValueError, match=r"^--group-from-filename "):
        load(tmp_path / "two.npz", group_from_filename="(.)")
