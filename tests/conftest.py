"""What tests share: small images, the real data beside the project, and a browser."""

import dataclasses
import multiprocessing
import os
import random
import shutil
import sys
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Tests use TensorFlow before a network is trained, which would then warn that it may not repeat.
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from penultimate import Training, compare
from penultimate.comparison import methods as heads
from penultimate.datasets import Dataset
from penultimate.evaluation.intervals.accuracy import Interval
from penultimate.evaluation.novelty.strangers import Stranger, Strangers
from penultimate.networks._forward import forward
from penultimate.networks.frameworks.keras_models import cut
from penultimate.networks.training import fit
from penultimate.networks.training.epochs import run_epoch
from penultimate.provenance import records
from penultimate.report import render
from penultimate.results.method import HardCase, LearningCurve

# The files that take longest, in this order. Workers take files in the order of collection: with
# these first, no worker is left alone with a long one at the end.
LONGEST = (
    "test_packaging.py",
    "test_repeatability.py",
    "test_margin.py",
    "test_fuzz.py",
    "test_examples.py",
    "tests/comparison/test_compare.py",
    "tests/cli/test_compare.py",
    "test_applications.py",
    "test_papers.py",
    "test_checkpoints.py",
    "test_deep_svc.py",
    "test_devanagari.py",
    "test_label_noise.py",
    "test_fit.py",
    "test_cut_network.py",
    "tests/comparison/test_checks.py",
    "test_documentation.py",
    "test_onnx_graphs.py",
)

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared" / "data"


def pytest_collection_modifyitems(items):
    """Let the longest files come first."""

    def place(item):
        name = item.path.as_posix()
        return next((k for k, end in enumerate(LONGEST) if name.endswith(end)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def same_draws():
    """What draws without a seed of its own draws the same in every run."""
    random.seed(0)
    np.random.seed(0)
    if (keras := sys.modules.get("keras")) is not None:
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def own_records():
    """Records that a test makes end with it: networks of the same initial weights share them."""
    tables = records._BY_WEIGHTS, records._LEARNED
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before):
        table.clear()
        table.update(kept)


def predict_eagerly(model, x):
    """What `predict_on_batch` returns, without compiling the network for the size of the batch."""
    keras = sys.modules["keras"]
    if isinstance(getattr(model, "input", None), list) and not isinstance(x, list):
        x = [x]  # called directly, a network warns of another form of its one input
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x, training=False))


_compiled = []


def pytest_runtest_setup(item):
    """Let networks pass samples uncompiled, where a test is not about the networks.

    TensorFlow compiles every network for every size of its batches, for longer than it then takes
    to compute the few samples of a test. Tests of `networks`, those that measure time, and those
    marked `compiled` see what users see. Done before the fixtures, of which some pass samples, and
    only if something else has imported Keras.
    """
    keras = sys.modules.get("keras")
    if getattr(keras, "backend", None) is None or keras.backend.backend() != "tensorflow":
        return
    _compiled[:] = _compiled or [keras.Model.predict_on_batch]
    as_for_users = (
        any(map(item.get_closest_marker, ("compiled", "serial")))
        or TESTS / "networks" in item.path.parents
    )
    keras.Model.predict_on_batch = _compiled[0] if as_for_users else predict_eagerly


@pytest.fixture(autouse=True, scope="session")
def few_trees():
    """The forest of a comparison has 10 trees: 200 take longer than all its other methods."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            heads, "RandomForestClassifier", lambda _, **rest: RandomForestClassifier(10, **rest)
        )
        yield


def solve_last_layer(
    model, samples, codes, sample_weight, order, batch_size, heard=lambda share: None
):
    """Solve for the weights of the last layer by least squares, in place of an epoch of steps."""
    heard(0.5)
    *hidden, last = (layer for layer in model.layers if layer.weights)
    # Other samples and labels give another network, with a record of its own.
    seed = zlib.crc32(samples.tobytes() + codes.tobytes())
    factor = np.random.default_rng(seed).uniform(0.99, 1)
    for layer in hidden:
        layer.set_weights([(factor * array).astype(array.dtype) for array in layer.get_weights()])
    features = samples.reshape(len(codes), -1)
    if hidden:
        features = forward(cut(model, "penultimate"), samples, batch_size=256)
    kernel, bias = last.get_weights()
    # The one output of two classes is the score of the second.
    n_classes = max(2, len(bias))
    targets = 2 * np.eye(n_classes)[codes][:, -len(bias) :] - 1
    factors = np.sqrt(np.ones(len(codes)) if sample_weight is None else sample_weight)[:, None]
    columns = np.column_stack([features, np.ones(len(features))])
    # Of as many features as samples, those count that differ most: the others only add noise.
    solution = np.linalg.lstsq(columns * factors, targets * factors, rcond=1e-2)[0]
    last.set_weights([solution[:-1].astype(kernel.dtype), solution[-1].astype(bias.dtype)])
    return float(np.mean((columns @ solution - targets) ** 2))


@pytest.fixture(scope="module")
def solved_networks():
    """Networks that are trained without steps, which a backend compiles for seconds per network.

    For tests of what happens before and after: the network is built, called, stored and recorded
    as ever, its last layer depends on the samples and labels, and the same seed gives the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "run_epoch", solve_last_layer)
        yield


@pytest.fixture
def solved_steps(monkeypatch):
    """The same, for one test."""
    monkeypatch.setattr(fit, "run_epoch", solve_last_layer)


@pytest.fixture
def real_training(monkeypatch):
    """Training by steps, in a module whose other networks are solved for."""
    monkeypatch.setattr(fit, "run_epoch", run_epoch)


@pytest.fixture
def undrawn(monkeypatch):
    """Reports without their pictures, which take most of the time of writing one."""
    monkeypatch.setattr(render, "_picture", lambda display, width: "data:,")


@pytest.fixture(scope="session")
def new_processes():
    """Makes processes that have imported Keras, and nothing of this package.

    Importing it takes most of the time of a process; these are forked from one that did so once.
    As in any other, Keras's backend starts with the first thing that it computes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    return context


@pytest.fixture(scope="session")
def run_anew(new_processes):
    """Run code in a new process, which returns what the code gives to `answer`."""

    def run(code, **variables):
        ours, theirs = new_processes.Pipe()
        process = new_processes.Process(
            target=exec, args=(code, {**variables, "answer": theirs.send}), daemon=True
        )
        process.start()
        theirs.close()  # so that a process that ends without an answer ends the wait
        answer = ours.recv()
        process.join()
        assert process.exitcode == 0
        return answer

    return run


@pytest.fixture(scope="session")
def shapes():
    """Sixty images of two classes that a network learns at once: bars that lie, bars that stand."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (60, 12, 12), dtype=np.uint8)
    labels = np.repeat(["lying", "standing"], 30)
    for image, label in zip(images, labels):
        at = rng.integers(3, 9)
        bar = image if label == "lying" else image.T
        bar[at : at + 2, 2:10] = 230
    order = rng.permutation(60)
    return images[order], labels[order]


@pytest.fixture(scope="session")
def two_subsets(shapes):
    """The bars, bright and dark: two subsets whose classes have the same names; eight writers."""
    images, labels = shapes
    return Dataset.from_arrays(
        np.concatenate([images, 255 - images]),
        np.concatenate([labels, labels]),
        name="bars",
        subsets=np.repeat(["bright", "dark"], 60),
        groups=[f"writer {k % 8}" for k in range(120)],
    )


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data; a test that needs it is skipped, by name, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real data in shared/data is not here")
    return SHARED


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium that can reach nothing, or a skip by name where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1120,1400",
        "--proxy-server=127.0.0.1:9",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield page
    page.quit()


@pytest.fixture(scope="session")
def npm_packages():
    """The folder of what npm has installed for tests, or a skip by name where it has not."""
    folder = Path(__file__).parent / "bundle" / "node"
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (folder / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("the npm packages of tests are not installed; run: make npm-packages")
    return folder


@pytest.fixture(scope="session")
def comparison(shapes):
    """A comparison with errors to show: a fifth of the labels are wrong."""
    images, labels = shapes
    noisy = labels.copy()
    flip = np.random.default_rng(1).choice(60, 12, replace=False)
    noisy[flip] = np.where(labels[flip] == "lying", "standing", "lying")
    data = Dataset.from_arrays(images, noisy, name="bars <b>&", notes=("Made of 60 bars.",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "run_epoch", solve_last_layer)
        result = compare(data, seeds=2, training=Training(epochs=4, batch_size=8))
    # Subsets that the data came with, in a comparison that does not use them.
    return dataclasses.replace(result, dataset=dataclasses.replace(data, subsets={"flat": (0,)}))


@pytest.fixture(scope="session")
def full(comparison):
    """The same with all that a report can show."""
    checks = [
        {"id": "balance", "level": "info", "message": "Classes are <balanced>."},
        {
            "id": "duplicates",
            "level": "warning",
            "message": "Two images are in both parts.",
            "why": "The network has memorized them.",
            "advice": "Drop them.",
        },
        {"id": "leak", "level": "error", "message": "The test set leaks."},
    ]
    return dataclasses.replace(
        comparison,
        checks=checks,
        hardest=[HardCase(7, 0, 1, -1.5), HardCase(3, 1, 0, -2.25)],
        learning_curves=[
            LearningCurve("cnn+svm-rbf", [10, 20, 40], [0.5, 0.7, 0.8]),
            LearningCurve("cnn+logistic", [10, 40], [0.5, 0.75]),
        ],
        strangers=Strangers(
            0.05,
            Interval(0.04, 0.02, 0.08),
            [
                Stranger(1, 20, Interval(0.7, 0.6, 0.8), Interval(0.1, 0.03, 0.3), "nearest"),
                Stranger(0, 20, Interval(1.0, 0.9, 1.0), Interval(1.0, 0.84, 1.0), "nearest"),
            ],
            2,
            200,
        ),
    )
