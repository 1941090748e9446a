"""The graph of a bundle, with its head replaced.

Everything up to the value that the head is given stays as it is, node by node: the network, and
what is done to images. The new head is written by the code that writes all heads, and put behind.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.pipeline import Pipeline

from penultimate.bundle.graph import build_graph
from penultimate.bundle.graph._answers import SIGNS
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.teaching.head import Head

_HEAD, _FEATURES = "taught_", "features"


def until(model: onnx.ModelProto, value: str) -> onnx.ModelProto:
    """Return the part of a graph that computes one of its values.

    Parameters
    ----------
    model : onnx.ModelProto
    value : str

    Raises
    ------
    ValueError
        If the graph computes no such value.
    """
    wanted, kept = {value}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    if not kept:
        raise ValueError(f"The graph of the bundle computes no {value[:60]!r}.")
    output = helper.make_tensor_value_info(value, TensorProto.FLOAT, None)
    return _model(
        model,
        list(reversed(kept)),
        [each for each in model.graph.input if each.name in wanted],
        [output],
        [each for each in model.graph.initializer if each.name in wanted],
    )


def with_head(
    model: onnx.ModelProto, value: str, head: Head, classes: NDArray[Any]
) -> onnx.ModelProto:
    """Return the graph of a bundle with another head.

    Parameters
    ----------
    model : onnx.ModelProto
    value : str
        What the head is given.
    head : Head
    classes : ndarray
        Labels.
    """
    own = build_graph(_as_classifier(head, classes))
    if value == _FEATURES:
        own.metadata_props.sort(key=lambda each: each.key)
        return own
    before = until(model, value)
    outputs = {each.name for each in own.graph.output}

    def renamed(name: str) -> str:
        if name == _FEATURES:
            return value
        return name if not name or name in outputs or name.startswith(SIGNS) else _HEAD + name

    for node in own.graph.node:
        node.name = _HEAD + node.name
        node.input[:] = [renamed(each) for each in node.input]
        node.output[:] = [renamed(each) for each in node.output]
    for each in own.graph.initializer:
        each.name = renamed(each.name)
    joined = _model(
        model,
        [*before.graph.node, *own.graph.node],
        before.graph.input,
        own.graph.output,
        [*before.graph.initializer, *own.graph.initializer],
    )
    notes = {each.key: each.value for each in (*model.metadata_props, *own.metadata_props)}
    helper.set_model_props(joined, dict(sorted(notes.items())))
    onnx.checker.check_model(joined)
    return joined


def _model(model: onnx.ModelProto, nodes: Any, inputs: Any, outputs: Any, constants: Any) -> Any:
    """Return a model of the same versions."""
    return helper.make_model(
        helper.make_graph(nodes, model.graph.name, inputs, outputs, constants),
        producer_name=model.producer_name,
        ir_version=model.ir_version,
        opset_imports=model.opset_import,
    )


def _as_classifier(head: Head, classes: NDArray[Any]) -> FeatureClassifier:
    """Return what the writer of graphs takes for the head."""
    steps = [("preprocessing", head.normalization), ("head", head.machine)]
    classifier = FeatureClassifier()
    classifier.head_ = Pipeline(steps)
    classifier.classes_, classifier.n_features_in_ = classes, head.X.shape[1]
    classifier.calibrator_ = None
    if head.beta is not None:
        temperature = SimpleNamespace(beta_=np.float64(head.beta))
        fitted = SimpleNamespace(method="temperature", calibrators=[temperature])
        classifier.calibrator_ = SimpleNamespace(classes_=classes, calibrated_classifiers_=[fitted])
    return classifier
