"""Calibrated probabilities as nodes: sigmoid, isotonic regression and temperature."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto
from sklearn.calibration import CalibratedClassifierCV

from penultimate.bundle.graph._answers import Answer, classify
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.networks.frameworks.frozen import ExportError

_SMALL = 1e-12  # what scikit-learn adds to probabilities before their logarithm


class _Calibrated(Protocol):
    """A classifier within a `CalibratedClassifierCV`, and the functions that calibrate it."""

    method: str
    calibrators: Sequence[Any]


@classify.register
def _(head: CalibratedClassifierCV, graph: GraphBuilder, samples: str | None) -> Answer:
    parts = []
    for each in head.calibrated_classifiers_:
        # A curve of straight pieces may be so steep that the seventh digit of a score counts.
        with graph.in_double(each.method == "isotonic"):
            inner = classify(each.estimator, graph, samples)
        if not np.array_equal(each.estimator.classes_, head.classes_):
            raise ExportError(
                "A part of this CalibratedClassifierCV was fitted without some of the classes: use "
                "ensemble=False, which fits the classifier on all samples."
            )
        # As in scikit-learn: decision values first.
        scores = inner.scores if hasattr(each.estimator, "decision_function") else None
        given = scores or inner.probabilities
        if given is None:
            raise ExportError(
                f"CalibratedClassifierCV({type(each.estimator).__name__}) cannot be exported: it "
                "needs one score per class (decision_function_shape='ovr')."
            )
        parts.append(_calibrated(graph, each, given, len(head.classes_), scores is None))
    probabilities = graph.add("Mean", *parts) if len(parts) > 1 else parts[0]
    label = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    return Answer(label, probabilities=probabilities)


def calibrated(graph: GraphBuilder, calibrator: CalibratedClassifierCV, scores: str) -> str:
    """Return the probabilities of scores by a calibrator from `calibrate_scores`.

    Parameters
    ----------
    graph : GraphBuilder
    calibrator : CalibratedClassifierCV
    scores : str
        One per class, also of two.
    """
    (only,) = calibrator.calibrated_classifiers_
    return _calibrated(graph, only, scores, len(calibrator.classes_), False)


def _calibrated(
    graph: GraphBuilder, fitted: _Calibrated, scores: str, n_classes: int, are_probabilities: bool
) -> str:
    """Return probabilities, (rows, n_classes)."""
    if fitted.method == "temperature":
        if are_probabilities:
            scores = graph.add("Log", graph.add("Add", scores, graph.constant(_SMALL, np.float32)))
        beta = graph.constant(fitted.calibrators[0].beta_, np.float32)
        return graph.add("Softmax", graph.add("Mul", scores, beta), axis=1)
    curves = {"sigmoid": _sigmoid, "isotonic": _isotonic}
    if n_classes == 2:
        second = graph.add("Gather", scores, graph.constant([1]), axis=1)
        likely = curves[fitted.method](graph, fitted.calibrators, second)
        rest = graph.add("Sub", graph.constant(1, np.float32), likely)
        return graph.add("Concat", rest, likely, axis=1)
    likely = curves[fitted.method](graph, fitted.calibrators, scores)
    total = graph.add("ReduceSum", likely, graph.constant([1]), keepdims=1)
    # Where every class has probability 0, all are equally likely.
    none = graph.add("Equal", total, graph.constant(0, np.float32))
    divisor = graph.add("Where", none, graph.constant(1, np.float32), total)
    share = graph.constant(1 / n_classes, np.float32)
    return graph.add("Where", none, share, graph.add("Div", likely, divisor))


def _sigmoid(graph: GraphBuilder, calibrators: Sequence[Any], scores: str) -> str:
    slopes = graph.constant([-each.a_ for each in calibrators], np.float32)
    offsets = graph.constant([-each.b_ for each in calibrators], np.float32)
    return graph.add("Sigmoid", graph.add("Add", graph.add("Mul", scores, slopes), offsets))


def _isotonic(graph: GraphBuilder, calibrators: Sequence[Any], scores: str) -> str:
    """Return the value of each class's curve of straight pieces, constant beyond its ends."""
    doubles = graph.add("Cast", scores, to=TensorProto.DOUBLE)
    columns = []
    for position, curve in enumerate(calibrators):
        x, y = curve.X_thresholds_, curve.y_thresholds_
        column = graph.add("Gather", doubles, graph.constant([position]), axis=1)
        # How far the score is along each piece, from 0 to its width, times the slope there.
        along = graph.add("Sub", column, graph.constant(x[:-1], np.float64))
        along = graph.add("Max", along, graph.constant(0.0))
        along = graph.add("Min", along, graph.constant(np.diff(x), np.float64))
        slopes = graph.constant((np.diff(y) / np.diff(x))[:, np.newaxis], np.float64)
        risen = graph.add("MatMul", along, slopes)
        columns.append(graph.add("Add", risen, graph.constant(y[0], np.float64)))
    joined = columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)
    return graph.add("Cast", joined, to=TensorProto.FLOAT)
