"""The benchmarks after two papers: a few steps of each on real images, and what they say."""

import importlib
import re
import sys
from concurrent.futures import ProcessPoolExecutor
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


@pytest.fixture(scope="module")
def one_worker(papers):
    """The same worker for both benchmarks, which else would import TensorFlow in one each."""

    class Kept(ProcessPoolExecutor):
        def __exit__(self, *error):
            """Go on: the next benchmark uses it, too."""

    started = []

    def start(*arguments):
        started[:] = started or [Kept(*arguments)]
        return started[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papers, "ProcessPoolExecutor", start)
        yield
    for pool in started:
        pool.shutdown()


def keep(folder, name, y_test, seed):
    """Write what an interrupted run has left: the scores of both methods with a seed."""
    folder.mkdir()
    scores = np.random.default_rng(seed).normal(size=(2, len(y_test), 10)) + np.eye(10)[y_test]
    for method, each in zip(("softmax", "svm"), scores):
        np.savez(folder / f"{name}-{method}-{seed}.npz", scores=each, y_test=y_test, seconds=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNITS)
@pytest.mark.usefixtures("one_worker")
def test_a_few_steps_make_the_page(digits, papers, tmp_path, monkeypatch, name):
    """A run that was interrupted after seed 2: seed 1 is trained, and the page shows both."""
    out = tmp_path / f"{name}.md"
    module = importlib.import_module(name)
    paper = getattr(module, name.capitalize())
    monkeypatch.setattr(paper, "steps_per_unit", min(paper.steps_per_unit, 20))
    keep(tmp_path / "kept", name, np.load(digits)["y_test"], seed=2)
    command = [name, "--data", digits, "--out", out, "--keep", tmp_path / "kept"]
    command += ["--seeds", "2", "--workers", "1", *UNITS[name]]
    monkeypatch.setattr(sys, "argv", [str(part) for part in command])
    papers.main(paper(), module.__doc__.splitlines()[0])
    text = out.read_text(encoding="utf-8")
    assert "| output layer | paper | here, mean and 95 % interval | seed 1 | seed 2 |" in text
    found = re.findall(r"points for the L2-SVM\)(.*?)\. Found: (\S+) \((\S+) to (\S+)\), p", text)
    kept = {path.name: np.load(path) for path in (tmp_path / "kept").glob("*.npz")}
    assert len(kept) == 4
    assert "2 of the networks were trained in this run" in text
    correct = [
        np.mean([(k["scores"].argmax(1) == k["y_test"]).mean() for n, k in kept.items() if m in n])
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
