"""A graph that answers otherwise than Python is found out; what is nearly tied is listed."""

import numpy as np
import pytest
from onnx import numpy_helper
from sklearn.datasets import load_digits

from penultimate import SVC
from penultimate.bundle import parity
from penultimate.bundle.graph import build_graph
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._images import prepare_images
from penultimate.bundle.parity import ParityError, prove
from penultimate.networks import Preprocessing

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)


@pytest.fixture(scope="module")
def machine():
    return SVC().fit(X[:300], y[:300])


def changed(graph, operator, factor):
    """Return a graph whose constant that a node takes second is another one."""
    name = next(node.input[1] for node in graph.graph.node if node.op_type == operator)
    for each in graph.graph.initializer:
        if each.name == name:
            each.CopyFrom(numpy_helper.from_array(factor * numpy_helper.to_array(each), name))
    return graph


def test_what_agrees_is_said_with_figures(machine):
    found = prove(machine, build_graph(machine), X[300:900])
    assert (found.n_samples, found.near_ties, found.n_sizes, found.pixel_error) == (
        600,
        [],
        0,
        None,
    )
    assert found.errors["label"] == 0
    assert 0 < max(found.errors["scores"], found.errors["margins"]) < 1e-5


def test_support_vectors_that_are_slightly_off_are_found_out(machine):
    wrong = changed(build_graph(machine), "Gemm", np.float32(1.001))
    with pytest.raises(ParityError, match="differ between the graph and Python, though no two"):
        prove(machine, wrong, X[300:900])


def test_labels_of_another_order_are_found_out(machine):
    graph = build_graph(machine)
    machine_of_others = SVC().fit(X[:300], 9 - y[:300])
    with pytest.raises(ParityError, match="The label of .* samples differ"):
        prove(machine_of_others, graph, X[300:400])


def test_a_tie_is_listed_and_no_error():
    # Of these two, one is on the boundary, and rounding decides.
    machine = SVC(kernel="linear").fit([[-1.0], [1.0]], ["a", "b"])
    graph = build_graph(machine)
    machine.intercept_ = np.array([-1e-9])
    assert prove(machine, graph, np.zeros((1, 1), np.float32)).near_ties == [0]
    with pytest.raises(ParityError, match="3 of 3 samples are nearly tied"):
        prove(machine, graph, np.zeros((3, 1), np.float32))


def test_nan_is_no_agreement(machine):
    wrong = changed(build_graph(machine), "Gemm", np.float32(np.nan))
    with pytest.raises(ParityError):
        prove(machine, wrong, X[300:400])


def test_images_that_are_resized_otherwise_are_found_out(monkeypatch):
    monkeypatch.setattr(parity, "SIZES", ((8, 8), (20, 31)))
    graph = GraphBuilder()
    value = prepare_images(graph, Preprocessing(size=8, interpolation="bicubic", scale=1 / 255))
    model = graph.finish({"out": (value, 1, ["n", 8, 8, 3])})
    images = list(np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8))
    assert parity._prove_images(model, images) < 0.01
    (resize,) = (node for node in model.graph.node if node.op_type == "Resize")
    next(each for each in resize.attribute if each.name == "antialias").i = 0
    with pytest.raises(ParityError, match="An image of 20 x 31 is prepared differently .* of 255"):
        parity._prove_images(model, images)


def test_the_sizes_are_50():
    assert len(set(parity.SIZES)) == len(parity.SIZES) == 50


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (X[:0], "There are no samples to prove the file on"),
        (X[:5, :3], r"takes features of shape \(n_samples, 64\); got \(5, 3\) as X"),
        (X[0], r"got \(64,\) as X"),
    ],
)
def test_samples_that_prove_nothing(machine, samples, message):
    with pytest.raises(ValueError, match=message):
        prove(machine, build_graph(machine), samples)


def test_labels_may_be_floats():
    machine = SVC().fit(X[:300], y[:300].astype(float))
    assert prove(machine, build_graph(machine), X[300:320]).errors["label"] == 0
