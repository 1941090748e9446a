"""Comparing what a Keras model computes with its ONNX graph, without compiling either."""

import numpy as np
import pytest

from penultimate.networks.frameworks.backend import import_keras

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from penultimate.networks.frameworks.to_onnx.keras_layers import to_onnx  # noqa: E402

keras = import_keras()
layers, ops = keras.layers, keras.ops


def model_of(function, shape):
    """Return the model of a layer, or of a function from a tensor to one."""
    given = keras.Input(shape)
    return keras.Model(given, function(given))


def with_weights(model):
    """Give every weight a value of its own, as many start at zero or one."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            values = rng.uniform(0.5, 1.5, weight.shape)
            kernel = "kernel" in weight.path
            weight.assign(rng.normal(size=weight.shape) / 2 if kernel else values)
    return model


def compute(graph, batch):
    """Return what ONNX Runtime computes for a graph of one input and one output."""
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def compare(function, shape, scale=3.0, sizes=None):
    """Fail unless the graph computes what Keras does; return the types of its nodes."""
    model = with_weights(model_of(function, shape))
    graph = to_onnx(model)
    onnx.checker.check_model(graph, full_check=True)
    for size in sizes or [shape]:
        batch = np.random.default_rng(1).normal(size=(3, *size)).astype(np.float32) * scale
        expected = keras.ops.convert_to_numpy(model(batch, training=False))
        for n_rows in (3, 1):
            found = compute(graph, batch[:n_rows])
            assert found.shape == expected[:n_rows].shape
            largest = np.abs(expected).max()
            np.testing.assert_allclose(found, expected[:n_rows], rtol=0, atol=1e-5 * largest)
    return [node.op_type for node in graph.graph.node]
