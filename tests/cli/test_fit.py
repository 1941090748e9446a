"""``penultimate fit``: from data, or from a comparison, to a file that predicts."""

import csv
import errno
import io
import json
import shutil
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_iris
from typer.testing import CliRunner

from penultimate import SVC, compare, load, save
from penultimate.cli import compare as _c  # noqa: F401  registers the command
from penultimate.cli import evaluate as _e  # noqa: F401
from penultimate.cli import fit as _f  # noqa: F401
from penultimate.cli import predict as _p  # noqa: F401
from penultimate.cli.app import app
from penultimate.cli.fit import some_of_each

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


def test_strangers_are_named_in_every_row(data, tmp_path):
    out = tmp_path / "model.zip"
    run("fit", data, "--out", out, "--head", "svm-linear", "--novelty", "0.1")
    np.savez(tmp_path / "new.npz", X=np.vstack([X[::10], -X[:1]]))
    rows = list(csv.DictReader(io.StringIO(run("predict", out, tmp_path / "new.npz").stdout)))
    assert [row["novel"] for row in rows].count("True") < 6
    assert rows[-1]["novel"] == "True"
    assert rows[-1]["accepted"] == "False"
    lines = run("predict", out, tmp_path / "new.npz", "--format", "jsonl").stdout.splitlines()
    assert json.loads(lines[-1])["novel"] is True
    assert "none of the classes" in load(out).manifest.abstention["statement"]


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


NAMES = ["Sepal length", "sepal width", "petal length", "petal width"]


def write_table(path, order, labels=None):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*(NAMES[k] for k in order), *([] if labels is None else ["label"])])
        for k, row in enumerate(X):
            rows.writerow([*row[list(order)], *([] if labels is None else [labels[k]])])
    return path


@pytest.fixture(scope="module")
def of_a_table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    table = write_table(folder / "iris.csv", range(4), y)
    run("fit", table, "--out", folder / "fitted.zip", "--head", "logistic")
    arguments = ("--methods", "logistic", "--seeds", 1, "--keep-models", "--out", folder / "report")
    run("compare", table, *arguments)
    return [folder / "fitted.zip", *(folder / "report" / "models").iterdir()]


def test_columns_in_another_order_are_not_predicted(of_a_table, tmp_path):
    same = write_table(tmp_path / "same.csv", range(4))
    moved = write_table(tmp_path / "moved.csv", [0, 1, 3, 2])
    labeled = write_table(tmp_path / "labeled.csv", [3, 2, 1, 0], y)
    assert len(of_a_table) == 2
    for model in of_a_table:
        assert load(model).manifest.input["feature_names"] == NAMES
        assert (labels_of(model, same) == y).mean() > 0.9
        assert "moved.csv" in run("predict", model, moved, code=1).stderr
        wrong = run("evaluate", model, labeled, "--on-leak", "ignore", code=1).stderr
        assert "'petal width', 'petal length'" in wrong


def test_a_kept_model_is_taken_by_its_name(report, tmp_path):
    folder, out = report[0], tmp_path / "model.zip"
    text = run("fit", "--from", folder, "--out", out, "--head", "logistic").stdout
    assert "logistic is taken" in text
    assert out.read_bytes() == (folder / "models" / "logistic.zip").read_bytes()
    error = run("fit", "--from", folder, "--out", out, "--head", "forest", code=1).stderr
    assert "(logistic, svm-rbf); got 'forest'" in error


def test_a_comparison_without_models_says_how_to_get_them(report, tmp_path):
    folder = shutil.copytree(report[0], tmp_path / "report")
    shutil.rmtree(folder / "models")
    error = run("fit", "--from", folder, "--out", tmp_path / "m.zip", code=1).stderr
    assert "--keep-models" in error


def test_a_comparison_that_is_not_there_is_said(tmp_path):
    error = run("fit", "--from", tmp_path / "none", "--out", tmp_path / "m.zip", code=1).stderr
    assert f"There is no folder '{tmp_path / 'none'}'" in error


def test_features_have_no_thumbnails(tmp_path):
    svc = SVC(kernel="linear").fit(X, y)
    shown = np.zeros((1, 8, 8), np.uint8), ["9"]
    with pytest.raises(ValueError, match="takes features, of which there are no thumbnails"):
        save(svc, tmp_path / "m.zip", X, thumbnails=shown)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either data or --from"),
        (["DATA", "--from", "report"], "either data or --from"),
        (["--from", "report", "--thumbnails", "2"], "needs the data, not --from"),
        (["--from", "report", "--novelty", "0.1"], "needs the data, not --from"),
        *(
            (["--from", "report", *option], f"{option[0]}: needs the data, not --from")
            for option in (
                ["--risk", "0.1"],
                ["--coverage", "0.9"],
                ["--layer", "penultimate"],
                ["--epochs", "2"],
                ["--test-size", "0.2"],  # even if it is the default
                ["--subsets"],
                ["--seed", "1"],
            )
        ),
        (["DATA", "--thumbnails", "2"], "is for images, and the data are features"),
        (["DATA", "--out", "model.onnx"], "ends in .zip"),
        (["DATA", "--out", "nowhere/model.zip"], "no folder"),
        (["DATA", "--head", "forest"], "forest"),
    ],
)
def test_wrong_usage_is_found_before_anything_is_fitted(data, arguments, message):
    given = [data if each == "DATA" else each for each in arguments]
    error = run("fit", *given, code=2).stderr
    assert message in " ".join(error.replace("│", " ").split())


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_read(
    data, tmp_path, monkeypatch
):
    def denied(dir):
        raise PermissionError(errno.EACCES, "Permission denied", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    monkeypatch.setattr("penultimate.datasets.load", lambda *_, **__: pytest.fail("it was read"))
    refused = run("fit", data, "--out", tmp_path / "model.zip", code=1).stderr
    assert "folder of the model" in refused
    assert "cannot be written to" in refused


def test_a_full_disk_leaves_the_old_model(data, tmp_path, monkeypatch):
    out = tmp_path / "model.zip"
    out.write_bytes(b"old")

    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    error = run("fit", data, "--out", out, "--head", "logistic", code=1).stderr
    assert "No space left" in error
    assert out.read_bytes() == b"old"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An ONNX file whose features are the mean colors of quarters of an image."""
    made = [
        helper.make_node("AveragePool", ["x"], ["quarters"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["quarters"], ["features"]),
        helper.make_node("Gemm", ["features", "W"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    graph = helper.make_graph(
        made,
        "colors",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(weights, "W")],
    )
    path = tmp_path_factory.mktemp("network") / "colors.onnx"
    opset = [helper.make_opsetid("", 18)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for place, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        for number in range(20):
            pixels = rng.integers(0, 90, (9 + number % 5, 12, 3), dtype=np.uint8)
            pixels[..., place] += 120
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.slow
def test_photos_with_a_network_of_the_users(network, photos, tmp_path):
    out = tmp_path / "model.zip"
    given = ["--network", network, "--preprocessing", "size=8,scale=1/255", "--head", "svm-linear"]
    text = run("fit", photos, *given, "--out", out, "--thumbnails", 2).stdout
    assert "Head: svm-linear" in text
    assert "pixels at 50 sizes by" in text
    rows = csv.DictReader(io.StringIO(run("predict", out, photos).stdout))
    assert np.mean([row["label"] in row["file"] for row in rows]) > 0.9
    error = run("evaluate", out, photos, code=1).stderr
    assert "48 of 60" in error  # those that it was fitted on
    for place, name in enumerate(load(out).classes_):
        strip = np.asarray(Image.open(io.BytesIO(load(out).part(f"thumbnails/{place}.png"))))
        assert strip.shape == (64, 128, 3)
        assert strip.mean((0, 1)).argmax() == ("red", "green", "blue").index(name)


def test_thumbnails_are_of_training_images():
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1)
    dataset = SimpleNamespace(images=images, labels=np.arange(8) % 2, classes=["even", "odd"])
    fitted = SimpleNamespace(development=np.array([1, 2, 4, 5, 6, 7]))
    shown, labels = some_of_each(dataset, fitted, 2, False)
    assert shown.ravel().tolist() == [2, 4, 1, 5]
    assert labels.tolist() == ["even", "even", "odd", "odd"]


@pytest.mark.slow
def test_a_kept_model_on_a_frozen_network_is_the_one_that_was_measured(network, photos, tmp_path):
    report = tmp_path / "report"
    given = ["--network", network, "--preprocessing", "size=8,scale=1/255", "--seeds", 1]
    given += ["--layer", "penultimate,quarters", "--methods", "cnn+svm-linear", "--keep-models"]
    run("compare", photos, *given, "--out", report)
    run("fit", "--from", report, "--out", tmp_path / "model.zip")
    model = load(tmp_path / "model.zip")
    with (report / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    predicted = model.predict([photos / row["file"] for row in rows])
    assert predicted.tolist() == [row["cnn+svm-linear seed 0"] for row in rows]
    assert "seen" in run("evaluate", tmp_path / "model.zip", photos, code=1).stderr


@pytest.mark.parametrize(
    "given",
    [
        ["--network", "compact"],
        ["--layer", "penultimate"],
        ["--epochs", 3],
        ["--pooling", "avg"],
    ],
    ids=lambda given: given[0],
)
def test_options_of_networks_are_refused_for_features(data, given, tmp_path):
    said = run("fit", data, "--out", tmp_path / "m.zip", *given, code=2).stderr
    assert f"{given[0]}: is about networks" in " ".join(said.replace("│", "").split())
    assert not (tmp_path / "m.zip").exists()


@pytest.mark.parametrize("place", ["feature", "class"])
def test_names_that_no_file_may_hold_are_refused_before_anything_is_fitted(
    place, tmp_path, monkeypatch
):
    names = ["width", "height", "label"]
    labels = ["owl", "cat"]
    (names if place == "feature" else labels)[0] += "\x1b[2J"
    rows = [f"{k % 2 + k / 90},{k / 30},{labels[k % 2]}" for k in range(60)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join([",".join(names), *rows]))
    monkeypatch.setattr(SVC, "fit", None)
    keeping = ("compare", table, "--keep-models", "--methods", "svm-linear,logistic")
    for command in (("fit", table, "--out", tmp_path / "model.zip"), keeping):
        said = run(*command, code=1).stderr
        assert f"The name of a {place} cannot be saved: the text " in said
        assert "has the control character '\\x1b'. Rename it." in said
