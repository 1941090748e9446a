"""Classifiers on the features of a network, and abstention, as nodes."""

import numpy as np
from onnx import TensorProto
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from penultimate.bundle.graph._answers import (
    EMBEDDING,
    SIGNS,
    Answer,
    classify,
    rows_of,
)
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._calibration import calibrated
from penultimate.bundle.graph._networks import (
    features_of,
    prepared_for,
    preprocessing_of,
    probabilities_of,
)
from penultimate.bundle.graph._novelty import is_novel, judged_features
from penultimate.classifiers.abstaining import AbstainingClassifier
from penultimate.classifiers.deep_svc import DeepSVC
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.classifiers.softmax import LEAST, SoftmaxClassifier
from penultimate.evaluation.head_calibration import of_chosen
from penultimate.networks.frameworks.frozen import ExportError

NOVEL = "novel"  # the output that says whether a sample is of none of the classes


@classify.register
def _(model: DeepSVC, graph: GraphBuilder, samples: str | None) -> Answer:
    preprocessing = preprocessing_of(model, model.extractor_)
    features = features_of(graph, model.extractor_, preprocessing)
    return on_features(model, graph, features)


@classify.register
def _(model: FeatureClassifier, graph: GraphBuilder, samples: str | None) -> Answer:
    return on_features(model, graph, rows_of(graph, samples, model))


def on_features(model: DeepSVC | FeatureClassifier, graph: GraphBuilder, features: str) -> Answer:
    """Return the answer of a classifier whose features are known."""
    graph.mark(features, EMBEDDING)
    answer = classify(model.head_, graph, features)
    if model.calibrator_ is None:
        return answer
    # It takes the margins of the machine itself, whether or not its search forwards them.
    machine = classify(of_chosen(model.head_), graph, features)
    assert machine.margins is not None
    probabilities = calibrated(graph, model.calibrator_, machine.margins)
    return Answer(answer.label, answer.scores, answer.margins, probabilities)


@classify.register
def _(model: SoftmaxClassifier, graph: GraphBuilder, samples: str | None) -> Answer:
    preprocessing, shape = model.extractor_.preprocessing_, model.input_shape_
    example = None
    if preprocessing is None:
        preprocessing = prepared_for(model, shape)
        if shape is not None and None not in shape:
            example = np.zeros((2, *(side or 0 for side in shape)), np.float32)
    # As it was cut in fit: a torch module states its graph only after it ran once.
    frozen = model.extractor_._network.frozen
    likely = probabilities_of(graph, frozen, preprocessing, example)
    if not np.array_equal(model.columns_, np.arange(len(model.columns_))):
        likely = graph.add("Gather", likely, graph.constant(model.columns_), axis=1)
    label = graph.add("ArgMax", likely, axis=1, keepdims=0)
    if model.calibrator_ is None:
        return Answer(label, probabilities=likely)
    logs = graph.add("Log", graph.add("Add", likely, graph.constant(LEAST, np.float32)))
    mean = graph.add("ReduceMean", logs, graph.constant([1]), keepdims=1)
    scores = graph.add("Sub", logs, mean)
    return Answer(label, probabilities=calibrated(graph, model.calibrator_, scores))


@classify.register
def _(model: AbstainingClassifier, graph: GraphBuilder, samples: str | None) -> Answer:
    answer = classify(model.estimator_, graph, samples)
    confidence = _confidence(model, graph, answer)
    found = None
    if model.novelty is not None:
        features = judged_features(model.estimator_, graph, samples)
        found = is_novel(model.novelty_detector_, graph, features)
    return with_abstention(graph, answer, confidence, model.threshold_, found)


def with_abstention(
    graph: GraphBuilder, answer: Answer, confidence: str, threshold: float, novel: str | None
) -> Answer:
    """Return an answer with whether each sample gets it: it is sure enough, and not novel.

    Parameters
    ----------
    graph : GraphBuilder
    answer : Answer
    confidence : str
    threshold : float
        One of -inf accepts all, one of inf none.
    novel : str or None
        Whether each sample is of none of the classes.
    """
    # In float64, as the threshold is.
    exact = graph.add("Cast", confidence, to=TensorProto.DOUBLE)
    above = graph.add("Sub", exact, graph.constant(threshold, np.float64))
    if np.isfinite(threshold):
        graph.mark(above, SIGNS)
    accepted = graph.add("Greater", above, graph.constant(0.0))
    others = answer.others
    if novel is not None:
        accepted = graph.add("And", accepted, graph.add("Not", novel))
        others += ((NOVEL, novel, TensorProto.BOOL),)
    others += (
        ("confidence", confidence, TensorProto.FLOAT),
        ("accepted", accepted, TensorProto.BOOL),
    )
    return Answer(answer.label, answer.scores, answer.margins, answer.probabilities, others)


def _confidence(model: AbstainingClassifier, graph: GraphBuilder, answer: Answer) -> str:
    """Return the confidence of each sample, as `confidence_scores` does."""
    fitted = model.estimator_
    criterion = model.criterion
    if criterion == "auto":
        criterion = "margin" if hasattr(fitted, "decision_function") else "probability"
    last = graph.constant([1])
    values = answer.probabilities
    if criterion == "margin":
        values = answer.margins if _has_margins(fitted) else answer.scores
    if values is None:
        raise ExportError(
            f"The confidence of this {type(model).__name__} cannot be exported: its classifier has "
            "no score per class. For an SVC, set decision_function_shape='ovr'."
        )
    if criterion == "probability" or values == answer.margins:
        return highest_of(graph, values)
    two, _ = graph.add_several("TopK", [values, graph.constant([2])], 2, axis=1)
    highest, second = graph.add_several("Split", [two], 2, axis=1, num_outputs=2)
    gap = graph.add("Sub", highest, second)
    if len(model.classes_) == 2:
        # The one decision value, whose negative is the other score.
        gap = graph.add("Mul", gap, graph.constant(0.5, np.float32))
    return graph.add("Squeeze", gap, last)


def highest_of(graph: GraphBuilder, values: str) -> str:
    """Return each sample's highest value among those of its classes."""
    return graph.add("ReduceMax", values, graph.constant([1]), keepdims=0)


def _has_margins(fitted: object) -> bool:
    """Return whether `confidence_scores` takes the class margins of a classifier."""
    while isinstance(fitted, (FrozenEstimator, Pipeline)):
        fitted = fitted.estimator if isinstance(fitted, FrozenEstimator) else fitted[-1]
    return hasattr(fitted, "class_margins")
