"""Normalizations of features: what is done to them before a head sees them.

Which one suits depends on the network. Standardized, every feature counts alike, also the many of a
large pretrained network that say little of these classes; of unit length, only the direction of a
sample counts. So it is one more hyper-parameter, chosen like the layer (`Choice`).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from penultimate._common.protocols import Transformer
from penultimate._common.validation import suggest

Normalization = str | None
# A layer, and the normalization of its features.
Choice = tuple[str, Normalization]

OWN = "own"  # in results: a head with a preprocessing of its own, which nothing replaces
DEFAULT_NORMALIZATION = "standardize"
NORMALIZATIONS: tuple[Normalization, ...] = ("standardize", "l2", "sqrt-l2", None)


def make_normalization(name: Normalization) -> Transformer:
    """Return an unfitted transformer of features.

    Parameters
    ----------
    name : {"standardize", "l2", "sqrt-l2", None}
        ``"standardize"`` gives every feature mean 0 and variance 1. ``"l2"`` gives every sample the
        same length, the square root of the number of features; a sample of zeros stays one.
        ``"sqrt-l2"`` does the same after a signed square root, which weakens large values. None
        changes nothing.

    Returns
    -------
    transformer
        It keeps the precision of floats.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from penultimate.selection.normalization import make_normalization
    >>> make_normalization("l2").fit_transform([[6.0, 8.0, 0.0, 0.0]]).tolist()
    [[1.2, 1.6, 0.0, 0.0]]
    """
    if name == "standardize":
        return StandardScaler()
    if name is None:
        return FunctionTransformer()
    check_normalizations(name, "make_normalization")
    to_length = (Normalizer(), FunctionTransformer(per_feature))
    if name == "l2":
        return make_pipeline(*to_length)
    return make_pipeline(FunctionTransformer(signed_sqrt), *to_length)


# Functions of this module, not lambdas: a fitted head is pickled with them, and a bundle's graph
# knows them.
def signed_sqrt(X: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the square root of each size, with the sign of the value."""
    return np.sign(X) * np.sqrt(np.abs(X))


def per_feature(X: NDArray[np.floating]) -> NDArray[np.floating]:
    """Scale unit vectors so that their features have a mean square of 1, like standardized ones."""
    # The default grids of C are for linear kernels of about n_features. On 600 unit vectors of 128
    # CIFAR features the best C of a linear SVM is 10, beyond the grid (73.8 % held out, instead of
    # 66.7 % at its edge); scaled, it is 0.01, as when standardized. An RBF kernel needs no scaling,
    # because its gammas follow the variance. Centering changed nothing, so a row of zeros stays.
    return X * X.dtype.type(X.shape[1] ** 0.5)


def check_normalizations(normalization: object, owner: str) -> list[Normalization]:
    """Return the normalizations to choose from: one, or those of a list.

    Raises
    ------
    TypeError
        If `normalization` is neither a name, nor None, nor a list of these.
    ValueError
        If a name is unknown, the list is empty, or it contains a normalization twice.
    """
    given = normalization if isinstance(normalization, (list, tuple)) else [normalization]
    for name in given:
        if name is not None and not isinstance(name, str):
            raise TypeError(
                f"The 'normalization' parameter of {owner} must be a name, None or a list of "
                f"these; got {normalization!r}."
            )
        if name not in NORMALIZATIONS:
            names = [each for each in NORMALIZATIONS if each is not None]
            raise ValueError(
                f"The 'normalization' parameter of {owner} must be one of "
                f"{', '.join(map(repr, names))} and None; got {name!r}." + suggest(name, names)
            )
    if not given or len(set(given)) < len(given):
        raise ValueError(
            f"The 'normalization' parameter of {owner} must name at least one normalization, and "
            f"each only once; got {normalization!r}."
        )
    return list(given)


def choices(
    layers: Iterable[str], normalizations: Iterable[Normalization]
) -> dict[Choice, Transformer]:
    """Return every pair of a layer and a normalization, with the transformer of its features.

    Parameters
    ----------
    layers : iterable of str
    normalizations : iterable of str or None

    Returns
    -------
    dict of (layer, normalization) to transformer
        Unfitted, layer by layer: of equal selection scores the first in this order wins.
    """
    names = list(normalizations)
    return {(layer, name): make_normalization(name) for layer in layers for name in names}
