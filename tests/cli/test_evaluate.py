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


def test_the_page_is_written_beside_the_text(folder, tmp_path):
    out = tmp_path / "out"
    text = run(folder / "iris.zip", folder / "new.npz", "--out", out).stdout
    assert text.splitlines()[-1] == f"Report: {out / 'report.html'}"
    results = json.loads((out / "evaluation.json").read_text())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"of {results['n_samples']} samples." in page
    assert results["model"]["facts"]["SHA-256"] in page
    states = {each["id"]: each["state"] for each in results["check_states"]}
    assert states["test-samples-seen"] == "unknown"  # a bare SVC keeps no record


def test_a_folder_of_something_else_is_refused_before_anything_is_read(folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    error = run(folder / "nowhere.zip", folder / "new.npz", "--out", tmp_path, code=1).stderr
    assert "thesis.txt" in error


def test_one_sample_of_one_class_is_scored(folder, tmp_path):
    np.savez(tmp_path / "one.npz", X=X[:1], y=y[:1])
    text = run(folder / "iris.zip", tmp_path / "one.npz").stdout
    assert "on 1 sample\n" in text
