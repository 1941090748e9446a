"""Specialists on a network that only flattens images, which no framework is loaded for."""

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.datasets import load_digits

from penultimate import SVC, FeatureExtractor, Specialists
from penultimate.networks import load_network
from penultimate.networks.preprocessing import Preprocessing
from penultimate.provenance import record

_DATA = load_digits()
IMAGES = np.rint(_DATA.images * 255 / 16).astype(np.uint8)[..., None]
LABELS = _DATA.target
SUBSETS = {"low": [0, 1, 2, 3], "high": [6, 8, 9]}  # the others are new to the model
KNOWN = np.isin(LABELS, [label for own in SUBSETS.values() for label in own])
FIT, TEST = (np.flatnonzero(KNOWN)[part] for part in (slice(400), slice(400, 800)))


def flatten_network(folder):
    """Write a network whose features are the pixels."""
    path = folder / "flatten.onnx"
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Mul", ["flat", "unit"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "flatten",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8, 8, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 64])],
        [helper.make_tensor("unit", TensorProto.FLOAT, [], [1.0])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path
    )
    return path


def pixels_network(folder):
    """Return it with what is done to images before, on the record that it was trained on none."""
    network = FeatureExtractor(
        load_network(flatten_network(folder)),
        layer="y",
        preprocessing=Preprocessing(size=(8, 8), channels="gray", scale=1 / 255),
    )
    record(network, [])
    return network


def fit_specialists(folder, **params):
    """Return fitted specialists."""
    network = pixels_network(folder)
    model = Specialists(
        network, subsets=SUBSETS, head=SVC(C=3), random_state=0, calibration="temperature", **params
    )
    return model.fit(IMAGES[FIT], LABELS[FIT])
