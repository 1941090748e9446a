import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def lines_of_code(path):
    """Numbers of the lines that hold code: no blank line, comment or docstring."""
    no_code = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
    with open(path, "rb") as file:
        _, *tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in no_code]
    return {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}


@pytest.mark.slow
def test_mnist_hybrid_answers_both_questions():
    command = [sys.executable, EXAMPLES / "mnist_hybrid.py", "2"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "1. Are these steps right?" in output
    assert "2. Must the features be as wide as there are classes? No" in output
    assert "128 features per sample" in output


def test_mnist_hybrid_is_short():
    assert len(lines_of_code(EXAMPLES / "mnist_hybrid.py")) <= 25


@pytest.mark.slow
def test_svm_in_keras_draws_and_advises(tmp_path):
    picture = tmp_path / "boundaries.png"
    command = [sys.executable, EXAMPLES / "svm_in_keras.py", "--splits", "2", "--out", picture]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert picture.stat().st_size > 20_000
    assert output.count("<- use this") == 3
    for approach in ("1 linear machine", "2 network", "3 network", "kernel SVM", "random features"):
        assert output.count(approach) == 3
