"""Graphs in other runtimes: onnxruntime-node, and onnxruntime-web in the page of a model."""

import base64
import json
import subprocess

import numpy as np
import pytest

from penultimate import AbstainingClassifier, DeepSVC, Specialists, Training
from penultimate.bundle import load
from penultimate.bundle.archive import pack
from penultimate.bundle.graph import build_graph
from penultimate.bundle.page import render_page
from penultimate.bundle.web_runtime import find_runtime

from .digits import SUBSETS, digit_images, digits_fields
from .handmade import make_parts

N_SIZES, PER_SIZE = 50, 20
TRAINING = Training(epochs=1, batch_size=32, augmentation=None)
TOLERANCE = 1e-4  # of the largest score
PREDICT = """
    const [content, height, width, count, done] = arguments;
    const pixels = Uint8Array.from(atob(content), character => character.charCodeAt(0));
    penultimate.predict(pixels, height, width, {count}).then(
      outputs => done(Object.fromEntries(Object.entries(outputs).map(
        ([name, values]) => [name, Array.from(values, Number)]))),
      error => done({error: String(error)}));
"""


def resized(images, height, width):
    """Return images of another size: nearest neighbors, which are sharp and quick."""
    rows, columns = (np.arange(n) * s // n for n, s in zip((height, width), images.shape[1:3]))
    return images[:, rows][:, :, columns]


@pytest.fixture(scope="module")
def batches():
    """A thousand color images, twenty of each of fifty sizes from 1 x 1 to 120 x 120."""
    rng = np.random.default_rng(0)
    sizes = {(1, 1), (1, 120), (120, 1), (8, 8), (120, 120)}
    while len(sizes) < N_SIZES:
        sizes.add(tuple(map(int, rng.integers(1, 121, 2))))
    digits, _ = digit_images()
    made = []
    for height, width in sorted(sizes):
        chosen = resized(digits[rng.choice(len(digits), PER_SIZE)], height, width)[..., None]
        tint, noise = rng.uniform(0.5, 1, (PER_SIZE, 1, 1, 3)), rng.integers(0, 60, 3)
        made.append((chosen * tint * (195 / 255) + noise).astype(np.uint8))
    return made


@pytest.fixture(scope="module", params=[AbstainingClassifier, Specialists])
def predictor(request, solved_networks):
    """A model with a network, as it is written to a file."""
    images, labels = digit_images()
    images, labels = images[:400, ..., None], labels[:400]
    params = {"training": TRAINING, "random_state": 0, "calibration": "temperature"}
    if request.param is Specialists:
        model = Specialists(subsets=SUBSETS, router="head", **params).fit(images, labels)
    else:
        network = DeepSVC(**params).fit(images[:200], labels[:200])
        model = AbstainingClassifier(network, coverage=0.5, random_state=0)
        model.fit(images[200:], labels[200:])
    fields = digits_fields(subsets=request.param is Specialists)
    fields["input"] = {
        "channels": 1,
        "size": None,
        "n_features": n_features(graph := build_graph(model)),
    }
    return load(pack(make_parts(graph, **fields)), threads=1)


def n_features(graph):
    """Return how many values there are of a sample, instead of its image."""
    (given,) = (each for each in graph.graph.input if each.name == "features")
    return given.type.tensor_type.shape.dim[1].dim_value


@pytest.fixture(scope="module")
def expected(predictor, batches):
    return [predictor.predict_all(batch) for batch in batches]


def check(found, expected, predictor):
    """Compare the outputs of each batch with those of Python; name where labels differ."""
    near, n_images = [], 0
    for k, (outputs, wanted) in enumerate(zip(found, expected, strict=True)):
        largest = np.abs(wanted.scores).max(axis=1, keepdims=True)
        for name in {"scores", "margins", "probabilities"} & set(outputs):
            values = np.reshape(outputs[name], wanted.scores.shape)
            off = np.abs(values - getattr(wanted, name)) / np.maximum(largest, 1)
            assert off.max() <= TOLERANCE, (k, name)
        labels = predictor.classes_[np.array(outputs["label"], int)]
        first, second = np.sort(wanted.scores, axis=1)[:, :-3:-1].T
        is_tie = (first - second) <= TOLERANCE * largest[:, 0]
        near += [(k, int(row)) for row in np.flatnonzero((labels != wanted.labels) & is_tie)]
        np.testing.assert_array_equal(labels[~is_tie], wanted.labels[~is_tie])
        if wanted.accepted is not None:
            differs = np.array(outputs["accepted"], bool) != wanted.accepted
            near += [(k, int(row)) for row in np.flatnonzero(differs)]
        if wanted.subsets is not None:
            names = np.array(predictor.subsets)[np.array(outputs["subset_index"], int)]
            np.testing.assert_array_equal(names[~is_tie], wanted.subsets[~is_tie])
        n_images += len(labels)
    assert n_images == N_SIZES * PER_SIZE
    print("near-ties with another answer:", near)  # shown where the test fails
    assert len(near) <= n_images // 100


def test_the_images_are_worth_comparing(expected, predictor):
    labels = np.concatenate([each.labels for each in expected])
    assert min(np.unique(labels, return_counts=True)[1]) >= 5


def test_node(predictor, batches, expected, npm_packages, tmp_path):
    (tmp_path / "model.onnx").write_bytes(predictor.part("model.onnx"))
    (tmp_path / "batches.json").write_text(json.dumps([batch.shape for batch in batches]))
    (tmp_path / "pixels.bin").write_bytes(b"".join(batch.tobytes() for batch in batches))
    paths = [tmp_path / each for each in ("model.onnx", "batches.json", "pixels.bin", "found.json")]
    n_features = predictor.manifest.input["n_features"]
    command = ["node", npm_packages / "run.cjs", *paths, n_features]
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    check(json.loads(paths[-1].read_text()), expected, predictor)


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser(predictor, batches, expected, npm_packages, browser, tmp_path):
    page = render_page(predictor, find_runtime(npm_packages), name="digits")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    browser.set_script_timeout(60)
    failure = browser.execute_async_script(
        "penultimate.ready.then(() => arguments[0](null), error => arguments[0](String(error)))"
    )
    assert failure is None
    found = []
    for batch in batches:
        content = base64.b64encode(batch.tobytes()).decode()
        count, height, width, _ = batch.shape
        found.append(browser.execute_async_script(PREDICT, content, height, width, count))
        assert "error" not in found[-1], found[-1]
    check(found, expected, predictor)
