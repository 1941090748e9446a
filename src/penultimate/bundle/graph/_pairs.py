"""One-vs-one support vector machines as nodes.

All pairs share the support vectors: one product gives the kernel values of a sample, a second one,
with a matrix of coefficients, the decisions of all pairs. Distances are computed from norms and the
product, in float32: float64 takes 3 to 7 times as long in ONNX Runtime
(``benchmarks/results/serving.md``). How many digits that leaves depends on the coefficients, so
it is measured on support vectors; where they are too few, the nodes compute in float64.
"""

from functools import singledispatch
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn import svm

from penultimate._common.imports import import_optional
from penultimate.bundle.graph._answers import (
    NEARNESS,
    SIGNS,
    Answer,
    classify,
    from_decisions,
    rows_of,
)
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.svm._kernel import Kernel
from penultimate.svm._pairs import pair_indices
from penultimate.svm.svc import SVC

# Of the largest decision: a tenth of what `prove` allows.
_PRECISE = 1e-5
_PROBES = 256
# Up to 16 classes one matrix of coefficients, mostly zeros, is faster than a product per class; for
# more it would be large, as it grows with their square.
_MOST_PAIRS = 120

# The two have the attributes of libsvm in common.
Machine: TypeAlias = SVC | svm.SVC
Real = type[np.floating]  # float32, or float64 where that is not precise enough


@classify.register
def _(machine: SVC, graph: GraphBuilder, samples: str | None) -> Answer:
    return _classify(machine, graph, samples, has_margins=True)


@classify.register
def _(machine: svm.SVC, graph: GraphBuilder, samples: str | None) -> Answer:
    return _classify(machine, graph, samples, has_margins=False)


@singledispatch
def kernel_of(machine: object) -> Kernel:
    """Return the kernel of a fitted machine with its numbers."""
    raise TypeError(type(machine))


@kernel_of.register
def _(machine: SVC) -> Kernel:
    return machine._fitted_kernel()


@kernel_of.register
def _(machine: svm.SVC) -> Kernel:
    gamma = 1 / machine.n_features_in_ if machine.gamma == "auto" else machine.gamma
    if gamma == "scale" and machine.kernel in ("rbf", "poly"):
        raise ExportError(
            "sklearn.svm.SVC does not publish the number that gamma='scale' stood for: fit it with "
            "gamma=1 / (X.shape[1] * X.var()), or use penultimate.SVC."
        )
    return Kernel(str(machine.kernel), gamma, machine.coef0, machine.degree)


def _classify(
    machine: Machine, graph: GraphBuilder, samples: str | None, has_margins: bool
) -> Answer:
    kernel = kernel_of(machine)
    if kernel.name not in ("rbf", "linear", "poly"):
        raise ExportError(
            f"{type(machine).__name__} with kernel={kernel.name!r} cannot be exported: its "
            "kernel values cannot be computed from one sample's features alone. Use kernel='rbf', "
            "'linear' or 'poly'."
        )
    rows = rows_of(graph, samples, machine)
    suffices = graph.real is np.float32 and _float32_suffices(machine, kernel)
    kind = np.float32 if suffices else np.float64
    n_classes = len(machine.classes_)
    if n_classes == 2:
        single = _of_pairs(machine, kernel, graph, rows, kind)
        graph.mark(single, SIGNS)
        # `SVC.predict` gives a sample on the boundary to the second class.
        answer = from_decisions(graph, single, 2, zero_is_second=True)
        return Answer(answer.label, answer.scores, answer.scores if has_margins else None)
    against = _against_others(machine, kernel, graph, rows, kind)
    graph.mark(against, SIGNS)
    last = graph.constant([2])
    # In `predict` a decision of exactly 0 goes to the second class, as in libsvm; in
    # `decision_function` to the first, as in scikit-learn.
    is_first = _others(n_classes) > np.arange(n_classes)[:, np.newaxis]
    votes = _votes(graph, against, zero_wins=is_first)
    scores = graph.add("Add", votes, _below_a_third(graph, against))
    winner = scores if machine.break_ties else _votes(graph, against, zero_wins=~is_first)
    label = graph.add("ArgMax", winner, axis=1, keepdims=0)
    margins = graph.add("ReduceMin", against, last, keepdims=0) if has_margins else None
    per_class = machine.decision_function_shape == "ovr"
    return Answer(label, scores if per_class else None, margins)


def _below_a_third(graph: GraphBuilder, against: str) -> str:
    """Return sums / (3 * (|sums| + 1)), which breaks ties of votes and nothing else."""
    sums = graph.add("ReduceSum", against, graph.constant([2]), keepdims=0)
    if graph.real is np.float32:
        soft = graph.add("Softsign", sums)
    else:  # for which there is no Softsign in ONNX Runtime
        size = graph.add("Add", graph.add("Abs", sums), graph.constant(1, graph.real))
        soft = graph.add("Div", sums, size)
    return graph.add("Mul", soft, graph.constant(1 / 3, graph.real))


def _votes(graph: GraphBuilder, against: str, zero_wins: NDArray[np.bool_]) -> str:
    """Return how many pairs each class wins, and whether it wins those whose decision is 0."""
    # "At least 0" as "more than the largest number below it that counts".
    bounds = np.where(zero_wins, -np.finfo(graph.real).tiny, 0)
    won = graph.as_real(graph.add("Greater", against, graph.constant(bounds, graph.real)))
    return graph.add("ReduceSum", won, graph.constant([2]), keepdims=0)


def _others(n_classes: int) -> NDArray[np.int64]:
    """Return the other classes of each class, (n_classes, n_classes - 1)."""
    columns, rows = np.meshgrid(np.arange(n_classes - 1), np.arange(n_classes))
    return columns + (columns >= rows)


def _against_others(
    machine: Machine, kernel: Kernel, graph: GraphBuilder, rows: str, kind: Real
) -> str:
    """Return each class's decision against each other one, (rows, n_classes, n_classes - 1)."""
    n_classes = len(machine.classes_)
    others = _others(n_classes)
    own = np.arange(n_classes)[:, np.newaxis]
    first, second = np.minimum(own, others), np.maximum(own, others)
    pairs = np.zeros((n_classes, n_classes), np.int64)
    pairs[pair_indices(n_classes)] = np.arange(n_classes * (n_classes - 1) // 2)
    pair, sign = pairs[first, second], np.where(own < others, 1.0, -1.0)
    if kernel.name == "linear" or pairs.max() < _MOST_PAIRS:
        decisions = _of_pairs(machine, kernel, graph, rows, kind)
        # One product puts each decision in its two places, with its sign. For very many classes
        # (of a linear kernel) the matrix would be too large.
        if pairs.max() < _MOST_PAIRS:
            spread = np.zeros((pairs.max() + 1, pair.size))
            spread[pair.ravel(), np.arange(pair.size)] = sign.ravel()
            flat = graph.add("MatMul", decisions, graph.constant(spread, kind))
        else:
            flat = graph.add("Gather", decisions, graph.constant(pair.ravel()), axis=1)
            flat = graph.add("Mul", flat, graph.constant(sign.ravel(), kind))
    else:
        values = _kernel_values(machine, kernel, graph, rows, kind)
        counts = np.asarray(machine.n_support_, np.int64)
        blocks = graph.add_several("Split", [values, graph.constant(counts)], n_classes, axis=1)
        ends = np.cumsum(counts)
        parts = [
            # A row of coefficients per other class, as in libsvm.
            (sign[c][:, np.newaxis] * machine.dual_coef_[:, end - count : end]).T
            for c, (end, count) in enumerate(zip(ends, counts))
        ]
        sums = [
            graph.add("MatMul", block, graph.constant(part, kind))
            for block, part in zip(blocks, parts)
        ]
        joined = graph.add("Concat", *sums, axis=1)
        # A pair's decision has a part from each of its two classes.
        partner = others * (n_classes - 1) + np.where(own < others, own, own - 1)
        rest = graph.add("Gather", joined, graph.constant(partner.ravel()), axis=1)
        flat = graph.add("Sub", joined, rest)
        flat = graph.add(
            "Add", flat, graph.constant((sign * machine.intercept_[pair]).ravel(), kind)
        )
    flat = flat if kind is graph.real else graph.as_real(flat)
    return graph.add("Reshape", flat, graph.constant([-1, n_classes, n_classes - 1]))


def _of_pairs(machine: Machine, kernel: Kernel, graph: GraphBuilder, rows: str, kind: Real) -> str:
    """Return the decision of each pair, positive for its first class; of two, for the second."""
    intercepts = graph.constant(machine.intercept_, kind)
    if kernel.name == "linear":
        rows = _in(graph, rows, kind)
        return graph.add("Gemm", rows, graph.constant(machine.coef_.T, kind), intercepts)
    ends = np.cumsum(machine.n_support_)
    blocks = [slice(end - count, end) for end, count in zip(ends, machine.n_support_)]
    pairs = list(zip(*pair_indices(len(blocks))))
    coefficients = np.zeros((ends[-1], len(pairs)))
    for column, (i, j) in enumerate(pairs):
        coefficients[blocks[i], column] = machine.dual_coef_[j - 1, blocks[i]]
        coefficients[blocks[j], column] = machine.dual_coef_[i, blocks[j]]
    values = _kernel_values(machine, kernel, graph, rows, kind)
    return graph.add("Gemm", values, graph.constant(coefficients, kind), intercepts)


def _kernel_values(
    machine: Machine, kernel: Kernel, graph: GraphBuilder, rows: str, kind: Real
) -> str:
    """Return the kernel values with all support vectors, (rows, n_support)."""
    rows = _in(graph, rows, kind)
    vectors = np.asarray(machine.support_vectors_, np.float64)
    if kernel.name == "poly":
        product = graph.add(
            "Gemm",
            rows,
            graph.constant(kernel.gamma * vectors.T, kind),
            graph.constant(kernel.coef0, kind),
        )
        return graph.add("Pow", product, graph.constant(kernel.degree, kind))
    # Of what float32 holds of the mean: the same number is subtracted from both sides.
    mean = vectors.mean(axis=0).astype(np.float32)
    centered = vectors - mean
    # Of features that vary more than they are off zero, centering saves less than a bit.
    if len(vectors) * np.sum(np.square(mean, dtype=np.float64)) > np.sum(centered**2):
        rows, vectors = graph.add("Sub", rows, graph.constant(mean, kind)), centered
    root = kernel.gamma**0.5
    vectors = root * vectors
    scaled = graph.add("Mul", rows, graph.constant(root, kind))
    # -|x - s|^2 = (2 <x, s> - |s|^2) - |x|^2
    product = graph.add(
        "Gemm",
        scaled,
        graph.constant(2 * vectors.T, kind),
        graph.constant(-np.einsum("ij,ij->i", vectors, vectors), kind),
    )
    norms = graph.add("ReduceSumSquare", scaled, graph.constant([1]), keepdims=1)
    nearness = graph.add("Sub", product, norms)
    graph.mark(nearness, NEARNESS)
    return graph.add("Exp", nearness)


def _in(graph: GraphBuilder, rows: str, kind: Real) -> str:
    return rows if kind is np.float32 else graph.add("Cast", rows, to=TensorProto.DOUBLE)


def _float32_suffices(machine: Machine, kernel: Kernel) -> bool:
    """Return whether float32 gives nearly the same decisions as float64 on support vectors."""
    vectors = np.asarray(machine.support_vectors_, np.float32)
    probes = vectors[:: max(1, len(vectors) // _PROBES)]
    runtime = import_optional("onnxruntime", "onnx")
    found = []
    for kind, code in ((np.float32, TensorProto.FLOAT), (np.float64, TensorProto.DOUBLE)):
        trial = GraphBuilder()
        rows = trial.input("features", TensorProto.FLOAT, ["rows", probes.shape[1]])
        decisions = _of_pairs(machine, kernel, trial, rows, kind)
        model = trial.finish({"decisions": (decisions, code, ["rows", "pairs"])})
        session = runtime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found.append(session.run(None, {"features": probes})[0])
    error, largest = np.abs(found[0] - found[1]).max(), np.abs(found[1]).max()
    return bool(error <= _PRECISE * largest)
