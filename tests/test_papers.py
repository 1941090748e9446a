"""The benchmarks after two papers: a few steps of each on real images, and what they say."""

import importlib
import re
import sys
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pytest

from penultimate.datasets import load
from penultimate.evaluation import Interval

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
UNITS = {"tang2013": ("--epochs", "1"), "agarap2017": ("--steps", "1")}


@pytest.fixture(scope="module")
def papers():
    """The module that both share, which lies in no package."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not here")
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("papers")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def digits(shared_data, tmp_path_factory):
    """One in forty of the real images, as a file."""
    data = load(shared_data / "mnist.tar")
    parts = {
        "train": np.flatnonzero(~data.is_test)[::40],
        "test": np.flatnonzero(data.is_test)[::40],
    }
    path = tmp_path_factory.mktemp("digits") / "mnist.npz"
    images = {f"x_{part}": data.images[rows] for part, rows in parts.items()}
    np.savez(path, **images, **{f"y_{part}": data.labels[rows] for part, rows in parts.items()})
    return path


class Here(Executor):
    """Runs what it is given at once, in this process, which has imported TensorFlow already."""

    def __init__(self, *arguments):
        """Take what makes a pool of processes, and leave it."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


def keep(folder, name, y_test, jobs):
    """Write what an interrupted run has left: the scores of these methods with these seeds."""
    folder.mkdir()
    for k, (method, seed) in enumerate(jobs):
        each = np.random.default_rng(k).normal(size=(len(y_test), 10)) + np.eye(10)[y_test]
        np.savez(folder / f"{name}-{method}-{seed}.npz", scores=each, y_test=y_test, seconds=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNITS)
def test_a_few_steps_make_the_page(digits, papers, tmp_path, monkeypatch, name):
    """A run that was interrupted: what it lacks is trained, and the page shows all."""
    out = tmp_path / f"{name}.md"
    module = importlib.import_module(name)
    paper = getattr(module, name.capitalize())
    monkeypatch.setattr(paper, "steps_per_unit", min(paper.steps_per_unit, 20))
    monkeypatch.setattr(papers, "ProcessPoolExecutor", Here)
    kept = [("softmax", 2), ("svm", 2)]
    # A convolutional network takes longer, and the softmax is trained like the SVM.
    kept += [("softmax", 1)] if name == "agarap2017" else []
    keep(tmp_path / "kept", name, np.load(digits)["y_test"], kept)
    command = [name, "--data", digits, "--out", out, "--keep", tmp_path / "kept"]
    command += ["--seeds", "2", "--workers", "1", *UNITS[name]]
    monkeypatch.setattr(sys, "argv", [str(part) for part in command])
    papers.main(paper(), module.__doc__.splitlines()[0])
    text = out.read_text(encoding="utf-8")
    assert "| output layer | paper | here, mean and 95 % interval | seed 1 | seed 2 |" in text
    found = re.findall(r"points for the L2-SVM\)(.*?)\. Found: (\S+) \((\S+) to (\S+)\), p", text)
    found_in = {path.name: np.load(path) for path in (tmp_path / "kept").glob("*.npz")}
    assert len(found_in) == 4
    assert f"{4 - len(kept)} of the networks were trained in this run" in text
    correct = [
        np.mean(
            [(k["scores"].argmax(1) == k["y_test"]).mean() for n, k in found_in.items() if m in n]
        )
        for m in ("svm", "softmax")
    ]
    assert float(found[0][1]) == pytest.approx(100 * (correct[0] - correct[1]), abs=0.006)
    claimed = {"tang2013": 0.12, "agarap2017": -0.19}[name]
    for words, value, low, high in found:
        if float(low) > 0 or float(high) < 0:
            agrees = float(value) * claimed > 0
            assert ("is borne out" in words) == agrees
            assert ("is contradicted" in words) == (not agrees)
        else:
            assert "is not decided" in words


@pytest.mark.parametrize(
    ("found", "direction", "size"),
    [
        (Interval(0.001, 0.0002, 0.002, 0.01), "borne out", "within"),
        (Interval(0.0004, 0.0002, 0.0006, 0.01), "borne out", "outside"),
        (Interval(-0.001, -0.002, -0.0002, 0.01), "contradicted", "outside"),
        (Interval(0.0, -0.002, 0.002, 1.0), "not decided", "within"),
        (Interval(0.0, -0.0002, 0.0002, 1.0), "not decided", "outside"),
    ],
)
def test_the_verdict_follows_from_the_interval(papers, found, direction, size):
    words = papers.verdict(0.0012, found)
    assert direction in words
    assert size in words


def test_the_signs_let_the_lowest_class_win(papers):
    scores = np.array([[0.2, 3.0, -1.0], [-3.0, -0.1, -1.0], [-1.0, -1.0, 0.5]])
    assert papers.DECISIONS["argmax"](scores).tolist() == [1, 1, 2]
    assert papers.DECISIONS["argmax of signs"](scores).tolist() == [0, 0, 2]


@pytest.mark.parametrize("name", UNITS)
def test_both_methods_begin_alike(papers, name):
    module = importlib.import_module(name)
    paper = getattr(module, name.capitalize())()
    first, second = (paper.compiled(method, 3, 100).get_weights() for method in papers.METHODS)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert any(
        (a != b).any()
        for a, b in zip(first, paper.compiled("svm", 4, 100).get_weights(), strict=True)
    )
