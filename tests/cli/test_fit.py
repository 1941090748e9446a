"""``penultimate fit``: from data, or from a comparison, to a file that predicts."""

import csv
import io
import shutil

import numpy as np
import pytest
from sklearn.datasets import load_iris
from typer.testing import CliRunner

from penultimate import compare, load
from penultimate.cli import compare as _c  # noqa: F401  registers the command
from penultimate.cli import fit as _f  # noqa: F401
from penultimate.cli import predict as _p  # noqa: F401
from penultimate.cli.app import app

X, codes = load_iris(return_X_y=True)
X = (X + np.random.default_rng(0).normal(0, 1e-3, X.shape)).astype(np.float32)  # no copies
y = np.array(["10", "9", "b"])[codes]  # in sorted order, not in that of the numbers


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output + result.stderr
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "iris.npz"
    np.savez(path, X=X, y=y)
    return path


def labels_of(bundle, data):
    rows = csv.DictReader(io.StringIO(run("predict", bundle, data).stdout))
    return np.array([row["label"] for row in rows])


def test_the_file_predicts_and_says_what_to_expect(data, tmp_path):
    out = tmp_path / "model.zip"
    text = run("fit", data, "--out", out, "--head", "svm-linear,logistic").stdout
    assert "Selection scores: svm-linear" in text
    assert "by 30 test samples, scored once" in text
    assert "30 samples get the same labels from the file as in Python" in text
    assert text.splitlines()[-1] == f"Next: penultimate predict {out} FEATURES"
    manifest = load(out).manifest
    assert manifest.expected["n"] == 30
    assert manifest.protocol["selection"] == "heldout"
    assert manifest.provenance["n_samples"] == 120
    assert (labels_of(out, data) == y).mean() > 0.9


def test_the_same_command_gives_the_same_file(data, tmp_path):
    contents = []
    for name in ("a.zip", "b.zip"):
        run("fit", data, "--out", tmp_path / name, "--head", "svm-rbf")
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_abstention_and_its_guarantee_are_in_the_file(data, tmp_path):
    out = tmp_path / "model.zip"
    run("fit", data, "--out", out, "--head", "svm-linear", "--coverage", "0.7")
    model = load(out)
    assert model.manifest.abstention["coverage"] >= 0.7
    assert "held-out samples" in model.manifest.abstention["statement"]
    assert 0.5 < model.accepts(X).mean() < 1


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "report"
    methods = ["svm-rbf", "logistic"]
    outcome = compare(X, y, methods=methods, seeds=1, keep_models=True, verbose=0)
    outcome.save(folder)
    return folder, outcome


def test_the_winner_of_a_comparison_is_taken_as_it_was_measured(report, data, tmp_path):
    folder, outcome = report
    out = tmp_path / "model.zip"
    text = run("fit", "--from", folder, "--out", out).stdout
    scores = {name: kept.selection_score for name, kept in outcome.models.items()}
    best = max(scores, key=scores.get)
    assert f"{best} is taken" in text
    assert out.read_bytes() == (folder / "models" / f"{best}.zip").read_bytes()
    predicted = labels_of(out, data)[outcome.test]
    expected = np.array(outcome.dataset.classes)[outcome.method(best).predictions[0]]
    np.testing.assert_array_equal(predicted, expected)
    right = (predicted == y[outcome.test]).mean()
    assert load(out).manifest.expected["accuracy"] == pytest.approx(right)


def test_a_comparison_without_models_says_how_to_get_them(report, tmp_path):
    folder = shutil.copytree(report[0], tmp_path / "report")
    shutil.rmtree(folder / "models")
    error = run("fit", "--from", folder, "--out", tmp_path / "m.zip", code=1).stderr
    assert "--keep-models" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either data or --from"),
        (["DATA", "--from", "report"], "either data or --from"),
        (["DATA", "--out", "model.onnx"], "ends in .zip"),
        (["DATA", "--out", "nowhere/model.zip"], "no folder"),
        (["DATA", "--head", "forest"], "forest"),
    ],
)
def test_wrong_usage_is_found_before_anything_is_fitted(data, arguments, message):
    given = [data if each == "DATA" else each for each in arguments]
    error = run("fit", *given, code=2).stderr
    assert message in " ".join(error.replace("│", " ").split())


def test_a_full_disk_leaves_the_old_model(data, tmp_path, monkeypatch):
    out = tmp_path / "model.zip"
    out.write_bytes(b"old")

    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    error = run("fit", data, "--out", out, "--head", "logistic", code=1).stderr
    assert "No space left" in error
    assert out.read_bytes() == b"old"
