"""A novelty detector as nodes: whether a sample is of none of the classes.

The distances to all known samples are one product, as the kernel values of a support vector machine
are. Each score gives the unlikeness to every class; the offset of the class that a sample is most
like, by the first score, decides. Scores are in float64 but for that product.
"""

from functools import singledispatch

import numpy as np
from onnx import TensorProto
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from penultimate.bundle.graph._answers import SIGNS, STRANGENESS, classify, rows_of
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._networks import features_of, preprocessing_of
from penultimate.bundle.graph._transformers import transform
from penultimate.classifiers.deep_svc import DeepSVC
from penultimate.classifiers.specialists import Specialists
from penultimate.evaluation.novelty.detector import NoveltyDetector
from penultimate.evaluation.novelty.scores import Mahalanobis, Margin, Nearest
from penultimate.networks.frameworks.frozen import ExportError


@singledispatch
def judged_features(model: BaseEstimator, graph: GraphBuilder, samples: str | None) -> str:
    """Return the features of a classifier's samples that a detector judges, as `features_of`."""
    return rows_of(graph, samples, model)


@judged_features.register
def _(model: FrozenEstimator, graph: GraphBuilder, samples: str | None) -> str:
    return judged_features(model.estimator, graph, samples)


@judged_features.register
def _(model: DeepSVC, graph: GraphBuilder, samples: str | None) -> str:
    # The same nodes as those of its own classification, so nothing is computed twice.
    return features_of(graph, model.extractor_, preprocessing_of(model, model.extractor_))


@judged_features.register
def _(model: Specialists, graph: GraphBuilder, samples: str | None) -> str:
    layer, *others = model._extractors
    if others or (len(model.specialists_) > 1 and model.router_ == "network"):
        raise ExportError(
            "Specialists with 'novelty' are exported only with a single layer, and router='head': "
            "the features at this layer are then all that is computed of images."
        )
    extractor = model._extractors[layer]
    return features_of(graph, extractor, preprocessing_of(model, extractor))


def is_novel(detector: NoveltyDetector, graph: GraphBuilder, features: str) -> str:
    """Add the nodes of a fitted detector; return whether each sample is novel."""
    rows = transform(detector._normalization, graph, features)
    names = detector.criterion_.split("+")
    last = graph.constant([1])
    parts = []
    for name in names:
        against = _unlikeness(detector._scores[name], graph, rows)
        least = graph.add("ReduceMin", against, last, keepdims=0)
        mean, deviation = detector._scales[name] if len(names) > 1 else (0.0, 1.0)
        centered = graph.add("Sub", least, graph.constant(mean, np.float64))
        parts.append(graph.add("Div", centered, graph.constant(deviation, np.float64)))
        if name == names[0]:
            most_like = graph.add("ArgMin", against, axis=1, keepdims=0)
    total = graph.add("Sum", *parts)
    unlikeness = graph.add("Div", total, graph.constant(float(len(names)), np.float64))
    graph.mark(unlikeness, STRANGENESS)
    thresholds = graph.constant(-detector.offset_, np.float64)
    excess = graph.add("Sub", unlikeness, graph.add("Gather", thresholds, most_like))
    if np.isfinite(detector.offset_).all():
        graph.mark(excess, SIGNS)
    return graph.add("Greater", excess, graph.constant(0.0))


@singledispatch
def _unlikeness(score: object, graph: GraphBuilder, rows: str) -> str:
    """Return the unlikeness of each sample to each class, in float64."""
    raise TypeError(type(score))


@_unlikeness.register
def _(score: Nearest, graph: GraphBuilder, rows: str) -> str:
    # Of what float32 holds of the mean: the same number is subtracted from both sides.
    mean = score.mean_.astype(np.float32)
    samples = score.samples_ + (score.mean_ - mean)
    centered = graph.add("Sub", rows, graph.constant(mean, np.float32))
    squares = graph.add(
        "Gemm",
        centered,
        graph.constant(-2 * samples.T, np.float32),
        graph.constant(np.einsum("ij,ij->i", samples, samples), np.float32),
    )
    counts = np.diff(np.append(score.starts_, len(samples)))
    last = graph.constant([1])
    blocks = [squares]
    if len(counts) > 1:
        blocks = graph.add_several("Split", [squares, graph.constant(counts)], len(counts), axis=1)
    least = [graph.add("ReduceMin", block, last, keepdims=1) for block in blocks]
    joined = graph.add("Concat", *least, axis=1)
    norms = graph.add("ReduceSumSquare", centered, last, keepdims=1)
    distances = graph.add("Sqrt", graph.add("Relu", graph.add("Add", joined, norms)))
    return graph.add("Cast", distances, to=TensorProto.DOUBLE)


@_unlikeness.register
def _(score: Mahalanobis, graph: GraphBuilder, rows: str) -> str:
    exact = graph.add("Cast", rows, to=TensorProto.DOUBLE)
    white = graph.add("MatMul", exact, graph.constant(score.whitening_, np.float64))
    distances = []
    for mean in score.means_:
        gap = graph.add("Sub", white, graph.constant(mean, np.float64))
        distances.append(graph.add("ReduceL2", gap, graph.constant([1]), keepdims=1))
    return graph.add("Concat", *distances, axis=1)


@_unlikeness.register
def _(score: Margin, graph: GraphBuilder, rows: str) -> str:
    margins = classify(score.svc_, graph, rows).margins
    assert margins is not None
    return graph.add("Cast", graph.add("Neg", margins), to=TensorProto.DOUBLE)
