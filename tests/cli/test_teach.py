"""``penultimate fit --teachable`` and ``penultimate teach``."""

import numpy as np
import pytest
from PIL import Image

from penultimate import load
from penultimate.cli import teach as _t  # noqa: F401  registers the command

from .test_fit import X, data, network, photos, run, y  # noqa: F401


@pytest.fixture(scope="module")
def model(network, photos, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("model") / "model.zip"
    given = ["--network", network, "--preprocessing", "size=8,scale=1/255"]
    text = run("fit", photos, *given, "--out", out, "--teachable").stdout
    assert "Privacy: Features of the training and held-out samples" in text
    assert "logistic" not in text
    return out


def test_a_color_is_taught_by_images_of_other_sizes_and_undone(model, tmp_path):
    rng = np.random.default_rng(5)
    for k, size in enumerate([(30, 20), (8, 8), (5, 90)] * 5):
        pixels = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
        pixels[..., :2] += 150
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    before = model.read_bytes()
    text = run("teach", model, tmp_path, "--label", "yellow", "--compare").stdout
    assert "15 samples, 0 right before and 15 now" in text
    assert "New: 'yellow'" in text
    assert "On 12 held-out samples" in text
    assert "Version 1, and 1 lessons since" in run("teach", model).stdout
    assert "version 2" in run("teach", model, "--promote").stdout
    served = load(model)
    assert served.predict([tmp_path / "0.png"]).tolist() == ["yellow"]
    assert served.manifest.lineage["number"] == 2
    run("teach", model, "--undo")
    assert model.read_bytes() == before
    run("teach", model, "--undo")
    assert "no lesson to undo" in run("teach", model, "--undo", code=1).stderr


def test_features_and_numbers(data, tmp_path):  # noqa: F811
    out = tmp_path / "model.zip"
    run("fit", data, "--out", out, "--head", "svm-linear", "--teachable")
    np.save(tmp_path / "more.npy", X[:2] + 5)
    text = run("teach", out, tmp_path / "more.npy", "--label", "large", "--promote").stdout
    assert "New: 'large'" in text
    assert load(out).predict(X[:2] + 5).tolist() == ["large"] * 2
    assert (load(out).predict(X) == y).mean() > 0.9


def test_what_cannot_be_taught_is_said_before_it_is_fitted(data, tmp_path):  # noqa: F811
    options = ["--teachable", "--head", "logistic"]
    run("fit", data, "--out", tmp_path / "model.zip", *options, code=2)


def test_a_model_that_abstains_sets_its_threshold_again(data, tmp_path):  # noqa: F811
    out = tmp_path / "model.zip"
    options = ["--head", "svm-linear", "--teachable", "--coverage", "0.8"]
    run("fit", data, "--out", out, *options)
    before = load(out).manifest
    assert before.teach["heads"][0]["n_calibration"] == before.abstention["n_heldout"]
    np.save(tmp_path / "large.npy", X[:2] + 5)
    text = run("teach", out, tmp_path / "large.npy", "--label", "large", "--promote").stdout
    assert "set anew for the taught head" in text
    assert "None of them is of 'large'" in text


def test_wrong_usage(model, tmp_path):
    run("teach", model, "a.png", code=2)
    run("teach", model, "--label", "red", code=2)
    run("teach", model, "a.png", "--label", "red", "--undo", code=2)
    run("teach", model, "--sign-with", "key.pem", code=2)
    assert "a.png" in run("teach", model, tmp_path / "a.png", "--label", "red", code=1).stderr
