"""Whole models as graphs: what they are given, and what they put out."""

import json

import onnx
from onnx import TensorProto
from sklearn.utils.validation import check_is_fitted

from penultimate._common.protocols import Classifier
from penultimate.bundle.graph._answers import Answer, classify
from penultimate.bundle.graph._builder import GraphBuilder, Output
from penultimate.bundle.graph._margins import register_margins

_FORMAT = "1"


def build_graph(model: Classifier) -> onnx.ModelProto:
    """Write a fitted model as one graph.

    Parameters
    ----------
    model : classifier
        A fitted classifier on features: an SVM of ours, scikit-learn's `LogisticRegression`, a
        pipeline that ends in one, a search over one.

    Returns
    -------
    onnx.ModelProto
        Its inputs are all required; where one has nothing to say it gets 0 rows.

    Raises
    ------
    ExportError
        If a part of the model cannot be written; the message says which, and what can be.

    Examples
    --------
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVC
    >>> from penultimate.bundle.graph import build_graph
    >>> X, y = load_iris(return_X_y=True)
    >>> graph = build_graph(SVC().fit(X, y))
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> session.run(["label"], {"features": X[[0, -1]].astype("float32")})[0].tolist()
    [0, 2]
    """
    check_is_fitted(model)
    register_margins()
    graph = GraphBuilder()
    answer = classify(model, graph, None)
    classes = model.classes_.tolist()
    graph.metadata |= {"format": _FORMAT, "classes": json.dumps(classes)}
    return graph.finish(outputs_of(answer, len(classes)))


def outputs_of(answer: Answer, n_classes: int) -> dict[str, Output]:
    """Return what `GraphBuilder.finish` makes the outputs of a graph that answers."""
    outputs: dict[str, Output] = {"label": (answer.label, TensorProto.INT64, ["rows"])}
    for name in ("scores", "margins", "probabilities"):
        if (value := getattr(answer, name)) is not None:
            outputs[name] = (value, TensorProto.FLOAT, ["rows", n_classes])
    for name, value, kind in answer.others:
        outputs[name] = (value, kind, ["rows"])
    return outputs
