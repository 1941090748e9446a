"""Parsing the targets of a margin loss: every common form, and no silent broadcasting.

Targets of shape (n,) and scores of shape (n, 1) broadcast to (n, n), and a loss of that is a number
like any other. So shapes are checked here, and everything is converted to one-hot rows.
"""

from typing import Any

from penultimate._common.protocols import Tensor
from penultimate.networks.frameworks.backend import import_keras


def class_indicator(y_true: Tensor, scores: Tensor, owner: str) -> Tensor:
    """Return one-hot rows of 0 and 1 for class indices or one-hot rows.

    Parameters
    ----------
    y_true : tensor of shape (n,), (n, 1) or (n, n_classes)
        Class indices; or one-hot rows, of 0 and 1 or -1 and 1.
    scores : tensor of shape (n, n_classes)
    owner : str
        Name for error messages.

    Returns
    -------
    tensor of shape (n, n_classes)
        A row without a one marks an index that is not a class.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    ops = import_keras().ops
    shape, wanted = tuple(y_true.shape), tuple(scores.shape)
    if len(wanted) != 2 or wanted[1] == 1:
        raise ValueError(
            f"{owner} takes one score per class, for two classes or more, shape (n, n_classes); "
            f"got {wanted}. For two classes and one score, use BinaryHinge."
        )
    _check_length(shape, wanted, owner)
    # `> 0` reads one-hot rows of 0 and 1 as well as those of -1 and 1.
    if shape[1:] == wanted[1:]:
        return ops.cast(y_true > 0, scores.dtype)
    if shape[1:] not in ((), (1,)):
        raise ValueError(
            f"{owner} takes class indices, shape (n,), or one-hot rows of shape {wanted}; got "
            f"targets of shape {shape}."
        )
    # By comparison with all classes: an index out of range gives a row of zeros, not an error
    # or the last class, on every backend.
    indices = ops.cast(ops.reshape(y_true, (-1, 1)), scores.dtype)
    return ops.cast(ops.equal(indices, ops.arange(wanted[1], dtype=scores.dtype)), scores.dtype)


def signs(y_true: Tensor, scores: Tensor, owner: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the signs of two classes, their scores as a vector, and one-hot rows.

    Parameters
    ----------
    y_true : tensor of shape (n,), (n, 1) or (n, 2)
        0 and 1, or -1 and 1, or one-hot rows.
    scores : tensor of shape (n,) or (n, 1)
        Positive for the second class.
    owner : str
        Name for error messages.

    Returns
    -------
    sign : tensor of shape (n,)
        -1 and 1.
    scores : tensor of shape (n,)
    indicator : tensor of shape (n, 2)
        A row with two ones marks a target that is neither 0, 1 nor -1.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    ops = import_keras().ops
    shape, given = tuple(y_true.shape), tuple(scores.shape)
    if given[1:] not in ((), (1,)):
        raise ValueError(
            f"{owner} takes one score per sample, for two classes; got scores of shape {given}. "
            "For more classes, use CrammerSinger, WestonWatkins or OneVsRestHinge."
        )
    _check_length(shape, given, owner)
    if shape[1:] == (2,):
        y_true = y_true[:, 1]
    elif shape[1:] not in ((), (1,)):
        raise ValueError(
            f"{owner} takes targets of 0 and 1 or -1 and 1, shape (n,) or (n, 1), or one-hot rows "
            f"of two; got shape {shape}."
        )
    y_true, scores = ops.reshape(y_true, (-1,)), ops.reshape(scores, (-1,))
    is_second = ops.cast(y_true > 0, scores.dtype)
    # Two ones mark an invalid target, as `MarginLoss` expects exactly one per row.
    known = (y_true == 0) | (ops.abs(y_true) == 1)
    first = ops.where(known, 1 - is_second, ops.ones_like(is_second))
    second = ops.where(known, is_second, ops.ones_like(is_second))
    return 2 * is_second - 1, scores, ops.stack([first, second], axis=-1)


def _check_length(shape: tuple[Any, ...], scores: tuple[Any, ...], owner: str) -> None:
    # None is an unknown batch size, while a step is being compiled.
    if not shape or (None not in (shape[0], scores[0]) and shape[0] != scores[0]):
        raise ValueError(
            f"{owner} needs one target per sample; got targets of shape {shape} and scores of "
            f"shape {scores}."
        )
