"""Batches of any size, whatever size the network was exported for."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from penultimate.networks.frameworks.onnx_graphs import OnnxNetwork
from tests.networks.frameworks.onnx_models import images, network, run

SHAPE = (4, 6)
# The size of the batch is in the graph of some: which shapes fail or mix samples then.
NODES = {
    "only declared": "y = Flatten(x)",
    "reshaped to the declared size": "f = Reshape(x, flat) y = Relu(f)",
    "reshaped, the rest left open": "f = Reshape(x, open) y = Relu(f)",
    "mixed without a failure": "f = Reshape(x, {swap}) t = Transpose<perm = [1, 0, 2]>(f) "
    "g = Reshape(t, {swap}) y = Flatten(g)",
    "centered in each batch": "m = ReduceMean(x, first) d = Sub(x, m) y = Flatten(d)",
}


def _fixed(name, rows):
    constants = {
        "flat": np.array([rows, 24]),
        "open": np.array([rows, -1]),
        "pair": np.array([rows, -1, 6]),
        "first": np.array([0]),
    }
    return network(NODES[name].format(swap="pair"), inputs=f"float[{rows},4,6] x", **constants)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("name", NODES)
def test_networks_for_batches_of_one_size(name, rows):
    model = _fixed(name, rows)
    cut = OnnxNetwork(model).whole()
    for n_samples in (1, 2, 3, 7):
        batch = images(n_samples, SHAPE) - np.float32(0.5)
        # By hand: parts of the declared size, the last one filled with its last sample.
        padded = np.concatenate([batch, np.repeat(batch[-1:], -n_samples % rows, axis=0)])
        parts = [run(model, [each]) for each in np.split(padded, len(padded) // rows)]
        expected = np.concatenate(parts)[:n_samples]
        np.testing.assert_allclose(cut.run([batch]), expected, rtol=1e-5, atol=1e-6)


def test_an_open_batch_with_a_size_in_the_graph():
    # As of `view(1, -1)` in a module: only single samples come out right.
    model = network(
        "f = Reshape(x, one) y = Relu(f)", inputs="float[N,4,6] x", one=np.array([1, -1])
    )
    batch = images(5, SHAPE)
    np.testing.assert_array_equal(OnnxNetwork(model).whole().run([batch]), batch.reshape(5, -1))


def test_only_what_needs_it_is_divided():
    sizes = []
    for name in ("only declared", "reshaped to the declared size"):
        frozen = OnnxNetwork(_fixed(name, 1))
        session = frozen.session(["y"])
        at_once = session._at_once
        session._at_once = lambda batch, at_once=at_once: (
            sizes.append(len(batch[0])) or at_once(batch)
        )
        frozen.whole().run([images(9, SHAPE)])
        assert (sizes[-1] == 9) == (name == "only declared")


def test_samples_of_a_wrong_shape_do_not_slow_down_the_right_ones():
    frozen = OnnxNetwork(network("y = Gemm(x, v)", inputs="float[N,6] x", v=(6, 5)))
    with pytest.raises(ValueError, match=r"'net' does not take a batch of shape \(3, 4\): "):
        frozen.whole().run([images(3, (4,))])
    frozen.whole().run([images(3, (6,))])
    assert frozen.session(["y"])._divided is False


def test_values_that_are_not_per_sample():
    model = network("t = Transpose<perm = [1, 0]>(x) y = Relu(t)", inputs="float[N,6] x")
    with pytest.raises(
        ValueError, match=r"values of shape \(6, 1\) for 1 samples, not one row per"
    ):
        OnnxNetwork(model).whole().run([images(1, (6,))])


def test_samples_of_a_quantized_network_do_not_depend_on_others():
    text = "q, s, z = DynamicQuantizeLinear(x) d = DequantizeLinear(q, s, z) y = Relu(d)"
    cut = OnnxNetwork(network(text, inputs="float[N,6] x")).whole()
    assert cut.network.session(["y"])._divided, "noise may not show it"
    batch = images(4, (6,)) * np.float32([[1], [10], [100], [1000]])
    alone = [cut.run([each[None]]) for each in batch]
    np.testing.assert_array_equal(cut.run([batch]), np.concatenate(alone))
