"""All specialists in one graph, and the router between them.

Every head computes every sample, and a comparison selects: a branch for each subset would need
`If`, which answers for a whole batch, not per sample. Features are computed once for all heads.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from penultimate.bundle.graph._answers import SHARES, Answer, classify
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._classifiers import on_features
from penultimate.bundle.graph._networks import (
    features_of,
    preprocessing_of,
    probabilities_of,
)
from penultimate.classifiers._routing import Member
from penultimate.classifiers.specialists import Specialists
from penultimate.networks.preprocessing import Preprocessing

SUBSET, CHOSEN, SPECIALIST = "subset", "subset_index", "specialist_"
KINDS = ("label", "scores", "margins", "probabilities")


@classify.register
def _(model: Specialists, graph: GraphBuilder, samples: str | None) -> Answer:
    names = list(model.specialists_)
    members: list[Any] = [model._members[name] for name in names]
    first_layer = next(iter(model._extractors))
    by_network = len(names) > 1 and model.router_ == "network"
    layers = [each.head.layer for each in members]
    if len(names) > 1 and model.router_ == "head":
        layers.append(first_layer)
    # Features alone do not suffice for several layers, or the network's softmax.
    alone = len(set(layers)) == 1 and not by_network
    preprocessing = preprocessing_of(model, model._extractors[first_layer])
    features = {
        layer: features_of(graph, model._extractors[layer], preprocessing, alone=alone)
        for layer in dict.fromkeys(layers)
    }
    answers = [on_features(each.specialist, graph, features[each.head.layer]) for each in members]
    if len(names) == 1:
        routed = graph.add("Mul", answers[0].label, graph.constant(0))
    elif by_network:
        routed = _most_probable(model, graph, members, preprocessing)
    else:
        head = model._router_head
        order = np.array([names.index(name) for name in head.classes_.tolist()])
        routed = classify(head, graph, features[first_layer]).label
        routed = graph.add("Gather", graph.constant(order), routed)
    chosen = _chosen(graph, routed, len(names))
    # Named, so that one that was taught can be put in the place of another.
    for number, each in enumerate(answers):
        for name in KINDS:
            if (value := getattr(each, name)) is not None:
                graph.name(value, answer_name(number, name))
    classes = [np.searchsorted(model.classes_, each.classes) for each in members]
    return join_answers(graph, answers, classes, len(model.classes_), chosen)


def answer_name(number: int, kind: str) -> str:
    """Return the name of what the specialist of this number answers: one of `KINDS`."""
    return f"{SPECIALIST}{number}_{kind}"


def join_answers(
    graph: GraphBuilder,
    answers: Sequence[Answer],
    classes: Sequence[NDArray[np.int64]],
    n_classes: int,
    chosen: str,
) -> Answer:
    """Return what specialists answer to samples of their own, as one answer.

    Parameters
    ----------
    graph : GraphBuilder
    answers : sequence of Answer
    classes : sequence of ndarray of int
        Positions of the classes of each.
    n_classes : int
        Of all together.
    chosen : str
        Which of them each sample goes to.
    """
    labels = [
        graph.add("Gather", graph.constant(own), each.label) for own, each in zip(classes, answers)
    ]
    joined: dict[str, str] = {}
    for name in KINDS[1:]:
        values = [getattr(each, name) for each in answers]
        tables = [
            _table(graph, value, own, n_classes, 0.0 if name == "probabilities" else None)
            for value, own in zip(values, classes)
            if value is not None
        ]
        # As in Python: only what all specialists have.
        if len(tables) == len(answers):
            joined[name] = _selected(graph, tables, chosen, rows=True)
    label = _selected(graph, labels, chosen, rows=False)
    return Answer(label, **joined, others=((CHOSEN, chosen, TensorProto.INT64),))


def _chosen(graph: GraphBuilder, routed: str, n_subsets: int) -> str:
    """Return the subset of each sample: the one that is asked for, or that of the router."""
    asked = graph.input(SUBSET, TensorProto.INT64, [])
    is_asked = graph.add("GreaterOrEqual", asked, graph.constant(0))
    chosen = graph.add("Where", is_asked, asked, routed)
    # A subset that does not exist is looked up in vain, which every runtime refuses.
    return graph.add("Gather", graph.constant(np.arange(n_subsets)), chosen)


def _most_probable(
    model: Specialists,
    graph: GraphBuilder,
    members: Sequence[Member],
    preprocessing: Preprocessing | None,
) -> str:
    """Return the subset whose classes have the largest total probability."""
    # As it was cut for the features: a torch module states its graph only after it ran once.
    frozen = next(iter(model._extractors.values()))._network.frozen
    likely = probabilities_of(graph, frozen, preprocessing)
    belongs = [np.isin(model._network_classes, each.classes) for each in members]
    totals = graph.add("MatMul", likely, graph.constant(np.transpose(belongs), np.float32))
    graph.mark(totals, SHARES)
    return graph.add("ArgMax", totals, axis=1, keepdims=0)


def _table(
    graph: GraphBuilder, values: str, own: NDArray[np.int64], n_classes: int, others: float | None
) -> str:
    """Return a specialist's values in the columns of all classes, as `join_values` does."""
    places, is_own = np.zeros(n_classes, np.int64), np.zeros((1, n_classes), bool)
    places[own], is_own[0, own] = np.arange(len(own)), True
    spread = graph.add("Gather", values, graph.constant(places), axis=1)
    if others is None:
        least = graph.add("ReduceMin", values, graph.constant([1]), keepdims=1)
        rest = graph.add("Sub", least, graph.constant(1, np.float32))
    else:
        rest = graph.constant(others, np.float32)
    return graph.add("Where", graph.constant(is_own), spread, rest)


def _selected(graph: GraphBuilder, values: Sequence[str], chosen: str, *, rows: bool) -> str:
    """Return each sample's values, a number or a row, from those of its subset."""
    found = values[0]
    for position, each in enumerate(values[1:], 1):
        belongs = graph.add("Equal", chosen, graph.constant(position))
        if rows:
            belongs = graph.add("Unsqueeze", belongs, graph.constant([1]))
        found = graph.add("Where", belongs, each, found)
    return found
