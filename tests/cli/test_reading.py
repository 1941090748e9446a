"""How the commands that fit read their data: what cannot be fitted on is refused at once."""

import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate.cli import compare as _c  # noqa: F401  registers the command
from penultimate.cli import fit as _f  # noqa: F401
from penultimate.cli.app import app
from penultimate.datasets.listing import Listing


def folders(path, **counts):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (path / name).mkdir(parents=True)
        for k in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / name / f"{k}.png")
    return path


def table(path, X, y):
    np.savez(path / "data.npz", X=X, y=y)
    return path / "data.npz"


def manifest(path, label):
    folders(path, a=20)
    rows = "".join(f"a/{k}.png,{label}\n" for k in range(20))
    (path / "m.csv").write_text(f"path,label\n{rows}")
    return path / "m.csv"


FEATURES = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
WRONG = {
    "one class": (lambda p: folders(p, a=30), "All samples are of one class, 'a'"),
    "a class of one": (lambda p: folders(p, a=30, b=30, c=1), "class 'c' has 1 sample; at least 5"),
    "two of one": (lambda p: folders(p, a=1, b=1), "class 'a' has 1 sample; at least 5"),
    "an empty class": (lambda p: folders(p, a=30, b=30, c=0), "holds no image"),
    "one label": (lambda p: table(p, FEATURES, np.zeros(40)), "All samples are of one class"),
    "each its own": (lambda p: table(p, FEATURES, np.arange(40)), "has 1 sample; at least 5"),
    "NaN": (lambda p: table(p, FEATURES, np.full(40, np.nan)), "40 missing labels"),
    "empty labels": (lambda p: table(p, FEATURES, np.array([""] * 40)), "40 empty labels"),
    "blank labels": (lambda p: table(p, FEATURES, np.repeat(["a", " "], 20)), "20 empty labels"),
    "no label": (lambda p: manifest(p, ""), "column 'label' is empty"),
    "one in a manifest": (lambda p: manifest(p, "a"), "All samples are of one class, 'a'"),
}


@pytest.mark.parametrize("command", ["fit", "compare"])
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_fitted_on_is_refused_before_a_file_is_decoded(
    case, command, tmp_path, monkeypatch
):
    make, reason = WRONG[case]
    data = make(_made(tmp_path))
    monkeypatch.setattr(Listing, "decode", None)
    out = tmp_path / ("model.zip" if command == "fit" else "report")
    result = CliRunner().invoke(app, [command, str(data), "--out", str(out)])
    assert result.exit_code == 1, result.output
    assert reason in " ".join(result.stderr.split())
    assert not out.exists()


def _made(path):
    (path / "data").mkdir()
    return path / "data"


def test_without_a_test_set_small_classes_are_left_to_the_split(tmp_path, monkeypatch):
    data = folders(_made(tmp_path), a=4, b=4)
    monkeypatch.setattr(Listing, "decode", lambda *_: sys.exit(77))
    out = str(tmp_path / "model.zip")
    arguments = ["fit", str(data), "--out", out]
    assert CliRunner().invoke(app, [*arguments, "--test-size", "0"]).exit_code == 77
    assert CliRunner().invoke(app, arguments).exit_code == 1
