"""Test accuracy of a fitted classifier, on samples that it was not trained on.

Before anything is scored, the fingerprints of the test samples are compared with those recorded
while the classifier and the networks in it were trained.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.data_objects import as_samples
from penultimate._common.frames import level_outside
from penultimate._common.labels import right_answers, typed_labels
from penultimate._common.protocols import Network
from penultimate._common.validation import check_choice, check_none_missing, check_per_sample
from penultimate.evaluation.intervals.accuracy import Interval, accuracy_interval
from penultimate.networks import predict_probabilities
from penultimate.networks.adapting import adapt
from penultimate.networks.probabilities import numbers_classes
from penultimate.networks.single_images import as_sequence, takes_one_by_one
from penultimate.provenance.leakage import ON_LEAK, report_leak, warn_if_unknown
from penultimate.provenance.unseen import forms_of, note_tested, seen_by


def evaluate(
    classifier: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    on_leak: str = "raise",
) -> Interval:
    """Compute the accuracy on test samples with its interval, unless some were seen in training.

    A classifier with a `provenance_` records the test samples in it, in the role ``"tested"``.

    Parameters
    ----------
    classifier : classifier or keras.Model
        Fitted classifier. `DeepSVC`, `MarginClassifier` and `Specialists` record their training
        samples; for other classifiers, the records of the networks in them are used. A Keras model
        needs `classes`.
    X : array-like of shape (n_samples, ...)
        Test samples, in the form that the classifier accepts.
    y : array-like of shape (n_samples,)
        True labels.
    classes : array-like of shape (n_classes,), optional
        For a Keras model, the label of each output, in the order of the outputs: the first label
        belongs to output 0. For a single output, the second label belongs to values above one half,
        or above 0 if the output is not a sigmoid. Probabilities and logits are treated alike.
    groups : array-like of shape (n_samples,), optional
        Group of each sample, as in `accuracy_interval`.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        Action if test samples were seen in training.

    Returns
    -------
    Interval

    Raises
    ------
    LeakageError
        If test samples were seen in training; a ``ValueError`` with their number and three
        examples.
    ValueError
        If there is not one label per sample or, for a Keras model, not one class per output.

    Warns
    -----
    UnknownProvenanceWarning
        If nobody said which samples the network, or one inside the classifier, was trained on; see
        `provenance.record`.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import MarginClassifier, Training
    >>> from penultimate.evaluation import evaluate
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = X[:, 0] > 0
    >>> training = Training(epochs=20, batch_size=20, learning_rate=0.1)
    >>> model = MarginClassifier(training=training, random_state=0).fit(X[:100], y[:100])
    >>> evaluate(model, X[100:], y[100:]).value > 0.9
    True
    >>> evaluate(model, X[90:], y[90:])
    Traceback (most recent call last):
    ...
    penultimate.provenance.leakage.LeakageError: 10 of 110 test samples were seen in training ...
    """
    check_choice(on_leak, "on_leak", "evaluate", ON_LEAK)
    one_by_one = takes_one_by_one(classifier, X)
    X = as_sequence(X) if one_by_one else as_samples(X, "evaluate")
    y = np.asarray(typed_labels(y))
    n_samples = np.shape(X)[0]
    if y.shape != (n_samples,):
        raise ValueError(f"y must have one label per sample, shape ({n_samples},); got {y.shape}.")
    check_none_missing(y, "y", "labels", "drop these samples, or label them")
    groups = check_per_sample(groups, n_samples, "groups", "evaluate")
    names = _check_classes(classifier, y, classes)
    warn_if_unknown(classifier, "this accuracy is too good", stacklevel=level_outside() + 1)
    leaked = seen_by(classifier, X)
    report_leak(
        np.flatnonzero(leaked),
        len(leaked),
        on_leak=on_leak,
        advice="Evaluate on other samples; on_leak='warn' evaluates on these anyway.",
        stacklevel=level_outside() + 1,
    )
    if names is None:
        predicted = classifier.predict(X)
    else:
        predicted = names[_codes_of(classifier, np.asarray(X), len(names))]
    right = right_answers(predicted, y)
    for prints in forms_of(classifier, X):
        note_tested(classifier, prints)
    return accuracy_interval(right, groups=groups)


def _check_classes(classifier: Any, y: NDArray[Any], classes: Any) -> NDArray[Any] | None:
    """Return the labels of a network's outputs; None for a classifier, which has `classes_`."""
    if not callable(getattr(classifier, "get_weights", None)):
        if classes is not None:
            raise ValueError(
                "classes= is for a Keras model, whose outputs have no names; "
                f"{type(classifier).__name__} has its own, classes_."
            )
        return None
    if classes is None:
        raise ValueError(
            f"The network {classifier.name!r} does not define which class each output stands for; "
            "pass classes=[...], the labels in the order of its outputs (range(n) if the labels "
            "are the output indices)."
        )
    names = np.asarray(typed_labels(classes if hasattr(classes, "dtype") else list(classes)))
    if names.ndim != 1 or len(set(names.tolist())) < len(names):
        raise ValueError(
            f"classes must be a vector that lists each class once; got {names.tolist()}."
        )
    if unknown := [label for label in dict.fromkeys(y.tolist()) if label not in names.tolist()]:
        raise ValueError(
            f"y holds labels that are not among the classes: {unknown[:5]}; classes is "
            f"{names.tolist()[:10]}."
        )
    return names


def _codes_of(network: Network, X: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return the index of the class that a Keras model predicts, for each sample."""
    if not numbers_classes(network, n_classes, X[:1]):
        name = adapt(network).name
        outputs = getattr(network, "outputs", None) or []  # only Keras lists them
        n_outputs = " and ".join(str(output.shape[-1]) for output in outputs) or "other"
        raise ValueError(
            f"The network {name!r} has {n_outputs} outputs, but classes has {n_classes}."
        )
    return predict_probabilities(network, X).argmax(axis=1)
