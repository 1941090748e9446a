"""Transformers of features as nodes: normalizations, and scikit-learn's common ones.

Features are float32, and stay so: scikit-learn's transformers keep the type of what they are given,
so a mean is rounded there as it is here.
"""

from functools import singledispatch

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from penultimate.bundle.graph._answers import rows_of
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.selection import normalization

_NORMS = {"l2": "ReduceL2", "l1": "ReduceL1"}


@singledispatch
def transform(step: object, graph: GraphBuilder, samples: str | None) -> str:
    """Add the nodes of a fitted transformer; return the value that it computes.

    Raises
    ------
    ExportError
        If it cannot be exported.
    """
    names = sorted(kind.__name__ for kind in transform.registry if kind is not object)
    raise ExportError(
        f"The transformer {type(step).__name__} cannot be exported. These can: {', '.join(names)}."
    )


def standardized(
    graph: GraphBuilder, rows: str, mean: ArrayLike | None, scale: ArrayLike | None
) -> str:
    """Return (rows - mean) / scale, to the bit what scikit-learn computes in float32.

    Either may be None.
    """
    if mean is not None:
        rows = graph.add("Sub", rows, graph.constant(mean, np.float32))
    if scale is not None:
        rows = graph.add("Div", rows, graph.constant(scale, np.float32))
    return rows


@transform.register
def _(step: StandardScaler, graph: GraphBuilder, samples: str | None) -> str:
    mean, scale = step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None
    return standardized(graph, rows_of(graph, samples, step), mean, scale)


@transform.register
def _(step: RobustScaler, graph: GraphBuilder, samples: str | None) -> str:
    return standardized(graph, rows_of(graph, samples, step), step.center_, step.scale_)


@transform.register
def _(step: MaxAbsScaler, graph: GraphBuilder, samples: str | None) -> str:
    scaled = standardized(graph, rows_of(graph, samples, step), None, step.scale_)
    return _clipped(graph, scaled, -1.0, 1.0) if step.clip else scaled


@transform.register
def _(step: MinMaxScaler, graph: GraphBuilder, samples: str | None) -> str:
    # x * scale + min is (x - center) / (1 / scale), which keeps the digits of large values.
    center, unit = -step.min_ / step.scale_, 1 / step.scale_
    scaled = standardized(graph, rows_of(graph, samples, step), center, unit)
    return _clipped(graph, scaled, *step.feature_range) if step.clip else scaled


@transform.register
def _(step: Normalizer, graph: GraphBuilder, samples: str | None) -> str:
    rows = rows_of(graph, samples, step)
    if step.norm == "max":
        length = graph.add("ReduceMax", graph.add("Abs", rows), graph.constant([1]), keepdims=1)
    else:
        length = graph.add(_NORMS[step.norm], rows, graph.constant([1]), keepdims=1)
    # A row of zeros stays one: its length counts as 1.
    is_zero = graph.add("Equal", length, graph.constant(0, np.float32))
    divisor = graph.add("Where", is_zero, graph.constant(1, np.float32), length)
    return graph.add("Div", rows, divisor)


@transform.register
def _(step: PCA, graph: GraphBuilder, samples: str | None) -> str:
    components = step.components_.astype(np.float64)
    if step.whiten:
        # As PCA itself does: a component without variance is not divided by zero.
        least = np.finfo(step.explained_variance_.dtype).eps
        components /= np.sqrt(np.maximum(step.explained_variance_, least))[:, np.newaxis]
    centered = standardized(graph, rows_of(graph, samples, step), step.mean_, None)
    return graph.add("MatMul", centered, graph.constant(components.T, np.float32))


@transform.register
def _(step: FunctionTransformer, graph: GraphBuilder, samples: str | None) -> str:
    rows = rows_of(graph, samples, step)
    # Functions of any kind cannot be exported; those of our own normalizations are known.
    if step.func is None:
        return rows
    if step.func is normalization.signed_sqrt:
        return graph.add("Mul", graph.add("Sign", rows), graph.add("Sqrt", graph.add("Abs", rows)))
    if step.func is normalization.per_feature:
        return graph.add("Mul", rows, graph.constant(step.n_features_in_**0.5, np.float32))
    name = getattr(step.func, "__name__", repr(step.func))
    raise ExportError(
        f"The transformer FunctionTransformer({name}) cannot be exported: a function of Python is "
        "no graph. Compute it before, or use normalization='l2' or 'sqrt-l2'."
    )


@transform.register
def _(step: Pipeline, graph: GraphBuilder, samples: str | None) -> str:
    return rows_of(graph, through(step, graph, samples), step)


def through(steps: Pipeline, graph: GraphBuilder, samples: str | None) -> str | None:
    """Add the nodes of each transformer in a pipeline; those passed through add none."""
    for _, step in steps.steps:
        if step not in (None, "passthrough"):
            samples = transform(step, graph, samples)
    return samples


def _clipped(graph: GraphBuilder, rows: str, low: float, high: float) -> str:
    bounds = graph.constant(low, np.float32), graph.constant(high, np.float32)
    return graph.add("Clip", rows, *bounds)
