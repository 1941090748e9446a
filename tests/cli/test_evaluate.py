"""``penultimate evaluate``: text, JSON, and how it refuses."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_iris
from typer.testing import CliRunner

from penultimate import SVC, save
from penultimate.cli import evaluate as _  # noqa: F401  registers the command
from penultimate.cli.app import app

X, codes = load_iris(return_X_y=True)
X = np.hstack([X, np.random.default_rng(1).normal(size=(150, 16))]).astype(np.float32)
y = np.array(["setosa", "versicolor", "virginica"])[codes]
NEW = np.arange(150) % 2 == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    save(SVC().fit(X[~NEW], y[~NEW]), folder / "iris.zip", X[NEW])
    np.savez(folder / "new.npz", X=X[NEW], y=y[NEW])
    return folder


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, result.output + result.stderr
    return result


def test_text_and_json_say_the_same(folder):
    text = run(folder / "iris.zip", folder / "new.npz").stdout
    found = json.loads(run(folder / "iris.zip", folder / "new.npz", "--json").stdout)
    assert f"Accuracy: {100 * found['accuracy']['value']:.1f} %" in text
    assert found["n_samples"] == 75
    assert sum(map(sum, found["confusion"])) == 75


def test_what_is_no_bundle_or_no_data_is_one_line(folder):
    assert "in the bundle" in run(folder / "new.npz", folder / "new.npz", code=1).stderr
    assert "nowhere" in run(folder / "iris.zip", folder / "nowhere", code=1).stderr
