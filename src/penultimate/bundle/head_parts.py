"""A fitted head as numbers and words: what it learned as tensors, how it was set as JSON.

The graph is what predicts. These parts are for people and programs that want the machine itself:
support vectors, coefficients, means and scales, under the names that they have in Python.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from penultimate.selection.heldout import plain_params

Tensors = dict[str, NDArray[Any]]


def head_parts(steps: dict[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors and the words of some fitted estimators.

    Parameters
    ----------
    steps : dict of str to estimator
        By the names that begin those of their tensors.

    Returns
    -------
    tensors : dict of str to ndarray
        Such as ``"head.support_vectors_"``.
    words : dict
        Class and parameters of each step, as JSON can hold them.

    Examples
    --------
    >>> from penultimate import SVC
    >>> from penultimate.bundle.head_parts import head_parts
    >>> tensors, words = head_parts({"head": SVC().fit([[0.0], [1.0]], ["a", "b"])})
    >>> tensors["head.support_vectors_"].shape, words["head"]["class"]
    ((2, 1), 'SVC')
    """
    tensors: Tensors = {}
    words: dict[str, Any] = {}
    for name, step in _flattened(steps):
        words[name] = {"class": type(step).__name__, "params": params_of(step)}
        # Some, such as coefficients, are properties, which are computed when they are asked for.
        for attribute in sorted({*vars(step), *dir(type(step))}):
            # What was learned has a name that ends in an underscore; labels are in the manifest.
            if not attribute.endswith("_") or attribute.startswith("_") or attribute == "classes_":
                continue
            value = getattr(step, attribute, None)
            if isinstance(value, (np.ndarray, np.generic, float, int)):
                values = np.asarray(value)
                if values.dtype.kind in "biuf":
                    tensors[f"{name}.{attribute}"] = np.ascontiguousarray(values)
    return tensors, words


def _flattened(steps: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the estimators that predict: the steps of pipelines, the best of searches."""
    for name, step in steps.items():
        if isinstance(step, Pipeline):
            yield from _flattened({f"{name}.{part}": inner for part, inner in step.steps})
        elif hasattr(step, "best_estimator_"):
            yield from _flattened({name: step.best_estimator_})
        elif hasattr(step, "calibrated_classifiers_"):
            for number, inner in enumerate(step.calibrated_classifiers_):
                yield f"{name}.calibration.{number}", inner.calibrators[0]
                if hasattr(inner.estimator, "get_params"):
                    yield from _flattened({f"{name}.{number}": inner.estimator})
        else:
            yield name, step


def params_of(step: object) -> dict[str, Any]:
    """Return the parameters of an estimator, as JSON can hold them."""
    return plain_params(step.get_params(deep=False)) if hasattr(step, "get_params") else {}
