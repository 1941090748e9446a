"""The accuracy of a fitted classifier on samples that it has not seen."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from penultimate._validation import check_choice
from penultimate.evaluation.statistics import Interval, accuracy_interval
from penultimate.provenance import (
    ON_LEAK,
    Provenance,
    fingerprint,
    provenance_of,
    report_leak,
)


def evaluate(
    classifier: Any,
    X: Any,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    on_leak: str = "raise",
) -> Interval:
    """Compute the accuracy on test samples and its interval, unless some were seen in training.

    A classifier with a `provenance_` then remembers them, in the role ``"tested"``.

    Parameters
    ----------
    classifier : classifier
        Fitted. What `DeepSVC`, `MarginClassifier` and `Specialists` have seen is known; of another,
        what is known of the networks in it.
    X : array-like of shape (n_samples, ...)
        What it takes.
    y : array-like of shape (n_samples,)
        True labels.
    groups : array-like of shape (n_samples,), optional
        As in `accuracy_interval`.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        What to do about samples that were seen in training.

    Returns
    -------
    Interval

    Raises
    ------
    LeakageError
        If samples were seen in training, with their number and three examples; a ``ValueError``.
    ValueError
        If there is not one label a sample.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import MarginClassifier
    >>> from penultimate.evaluation import evaluate
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = X[:, 0] > 0
    >>> model = MarginClassifier(random_state=0).fit(X[:100], y[:100])
    >>> evaluate(model, X[100:], y[100:]).value > 0.9
    True
    >>> evaluate(model, X[90:], y[90:])
    Traceback (most recent call last):
    ...
    penultimate.provenance.LeakageError: 10 of 110 test samples were seen in training, ...
    """
    check_choice(on_leak, "on_leak", "evaluate", ON_LEAK)
    y = np.asarray(y)
    if y.shape != (len(X),):
        raise ValueError(f"y must have one label a sample, shape ({len(X)},); got {y.shape}.")
    prints = classifier.fingerprint(X) if hasattr(classifier, "fingerprint") else fingerprint(X)
    leaked = provenance_of(classifier).holds(prints)
    report_leak(
        np.flatnonzero(leaked),
        len(leaked),
        on_leak=on_leak,
        advice="Evaluate on other samples; on_leak='warn' evaluates on these all the same.",
    )
    right = np.asarray(classifier.predict(X)) == y
    if hasattr(classifier, "provenance_"):
        classifier.provenance_ = classifier.provenance_ | Provenance.of(prints, "tested")
    return accuracy_interval(right, groups=None if groups is None else np.asarray(groups))
