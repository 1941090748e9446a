"""What a classifier puts out, and the function that turns one into nodes.

`classify` is dispatched on the classifier's class: each kind registers how it is computed, and
composed ones (pipelines, searches, calibrations) call it for what they contain. A class of one's
own is registered the same way: ``@classify.register(MyHead)``.
"""

from dataclasses import dataclass, replace
from functools import singledispatch

from onnx import TensorProto
from sklearn.base import BaseEstimator

from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.networks.frameworks.frozen import ExportError

# Names of values inside a graph where the slightest difference may decide: those whose sign counts,
# one for each pair of classes, and those whose largest counts.
SIGNS, SHARES = "signs_", "shares_"
# And of the features that heads are given: what teaching keeps of a graph ends there.
EMBEDDING = "embedding_"
# What says how unlike the known samples one is: how near it is to each support vector, and how
# unlike a novelty detector finds it.
NEARNESS, STRANGENESS = "nearness_", "strangeness_"


@dataclass(frozen=True)
class Answer:
    """The values that a classifier computes for each sample, by their names in the graph.

    Attributes
    ----------
    label : str
        int64, the position in `classes_`.
    scores, margins, probabilities : str or None
        One per class, float32: those of `decision_function`, `class_margins` and `predict_proba`.
    others : dict of str to (value, type)
        Further values with one number per sample, such as a confidence.
    """

    label: str
    scores: str | None = None
    margins: str | None = None
    probabilities: str | None = None
    others: tuple[tuple[str, str, int], ...] = ()


@singledispatch
def classify(head: object, graph: GraphBuilder, samples: str | None) -> Answer:
    """Add the nodes of a fitted classifier.

    Parameters
    ----------
    head : classifier
    graph : GraphBuilder
    samples : str or None
        The value that it classifies; None for the graph's own input, which the first step of a
        model declares.

    Returns
    -------
    Answer

    Raises
    ------
    ExportError
        If it cannot be exported; the message lists what can be.
    """
    # Searches of any kind, ours and scikit-learn's, predict with the best of their candidates.
    if hasattr(head, "best_estimator_"):
        answer = classify(head.best_estimator_, graph, samples)
        # scikit-learn's forward no method but its own: without `class_margins`, others take the
        # decision values for a confidence.
        return answer if hasattr(head, "class_margins") else replace(answer, margins=None)
    raise ExportError(
        f"{type(head).__name__} cannot be exported. These can: {', '.join(exportable())}, and "
        "searches over these. Choose one of them as the head."
    )


def exportable() -> list[str]:
    """Return the names of the classifiers that `classify` takes."""
    names = {kind.__name__ for kind in classify.registry if kind is not object}
    return sorted(names)


def rows_of(graph: GraphBuilder, samples: str | None, model: BaseEstimator) -> str:
    """Return the features that a step of a model is given; of the first step, the graph's input."""
    if samples is not None:
        return samples
    return graph.input("features", TensorProto.FLOAT, ["rows", int(model.n_features_in_)])


def from_decisions(
    graph: GraphBuilder, decisions: str, n_classes: int, *, zero_is_second: bool = False
) -> Answer:
    """Return label and scores of decisions: one per class, or one that is positive for the second.

    Parameters
    ----------
    graph : GraphBuilder
    decisions : str
        float32 or float64, of shape (rows, 1) for two classes, otherwise (rows, n_classes).
    n_classes : int
    zero_is_second : bool, default=False
        Which of two classes a decision of exactly 0 stands for.
    """
    if n_classes > 2:
        scores = graph.as_real(decisions)
        return Answer(graph.add("ArgMax", decisions, axis=1, keepdims=0), scores)
    single = graph.as_real(decisions)
    comparison = "GreaterOrEqual" if zero_is_second else "Greater"
    # A tiny value must keep its sign, so the decision itself is compared, before it is rounded.
    second = graph.add(comparison, decisions, graph.add("CastLike", graph.constant(0.0), decisions))
    label = graph.add("Cast", second, to=TensorProto.INT64)
    scores = graph.add("Concat", graph.add("Neg", single), single, axis=1)
    return Answer(graph.add("Squeeze", label, graph.constant([1])), scores)
