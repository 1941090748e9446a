"""Classifiers made of others: pipelines, frozen ones, and linear ones on features."""

from typing import TypeAlias

import numpy as np
from onnx import TensorProto
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from penultimate.bundle.graph._answers import Answer, classify, from_decisions, rows_of
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._transformers import through, transform
from penultimate.svm.streamed import StreamedSVC

# One weight per feature and class, or per feature alone for two classes.
Linear: TypeAlias = LinearSVC | LogisticRegression | StreamedSVC


@classify.register
def _(head: Pipeline, graph: GraphBuilder, samples: str | None) -> Answer:
    before = head[:-1] if len(head) > 1 else None
    return classify(head[-1], graph, samples if before is None else through(before, graph, samples))


@classify.register
def _(head: FrozenEstimator, graph: GraphBuilder, samples: str | None) -> Answer:
    return classify(head.estimator, graph, samples)


@classify.register
def _(head: LinearSVC, graph: GraphBuilder, samples: str | None) -> Answer:
    return _linear(head, graph, rows_of(graph, samples, head))[0]


@classify.register
def _(head: StreamedSVC, graph: GraphBuilder, samples: str | None) -> Answer:
    rows = rows_of(graph, samples, head)
    if head.kernel == "rbf":
        mapped = head._map
        rows = transform(mapped.statistics, graph, rows) if mapped.standardize else rows
        rows = transform(mapped.sampler, graph, rows)
    answer, _ = _linear(head, graph, rows)
    return Answer(answer.label, answer.scores, margins=answer.scores)


@classify.register
def _(head: LogisticRegression, graph: GraphBuilder, samples: str | None) -> Answer:
    answer, decisions = _linear(head, graph, rows_of(graph, samples, head))
    if len(head.classes_) > 2:
        likely = graph.add("Softmax", decisions, axis=1)
    else:
        second = graph.add("Sigmoid", decisions)
        first = graph.add("Sub", graph.constant(1.0), second)
        likely = graph.add("Concat", first, second, axis=1)
    probabilities = graph.add("Cast", likely, to=TensorProto.FLOAT)
    return Answer(answer.label, answer.scores, probabilities=probabilities)


@transform.register
def _(step: RBFSampler, graph: GraphBuilder, samples: str | None) -> str:
    weights = graph.constant(step.random_weights_, np.float32)
    offset = graph.constant(step.random_offset_, np.float32)
    phases = graph.add("Gemm", rows_of(graph, samples, step), weights, offset)
    factor = graph.constant((2 / step.n_components) ** 0.5, np.float32)
    return graph.add("Mul", graph.add("Cos", phases), factor)


def _linear(head: Linear, graph: GraphBuilder, rows: str) -> tuple[Answer, str]:
    """Return what a linear machine answers, and its decisions in float64.

    Weights times features that were not centered may nearly cancel, and there are few of them.
    """
    rows = graph.add("Cast", rows, to=TensorProto.DOUBLE)
    weights = graph.constant(head.coef_.T, np.float64)
    intercepts = graph.constant(np.broadcast_to(head.intercept_, len(head.coef_)), np.float64)
    decisions = graph.add("Gemm", rows, weights, intercepts)
    return from_decisions(graph, decisions, len(head.classes_)), decisions
