"""Recognition of data objects that are passed instead of arrays, and advice on converting them."""

import reprlib
from collections.abc import Iterator, Mapping, Set
from pathlib import PurePath
from typing import Any

import numpy as np

from penultimate._common.validation import refuse_masked

_DECODE = (
    "A network that prepares images takes files and their contents: "
    "network=FeatureExtractor(network, preprocessing=Preprocessing(size=...))."
)
_TENSORS = ("torch", "tensorflow", "jax", "jaxlib")


def as_samples(X: object, owner: str) -> Any:
    """Convert tensors to arrays, return the rest unchanged, or refuse a data object with advice.

    Arrays, lists and data frames are left to scikit-learn, which handles them.

    Parameters
    ----------
    X : object
        Samples passed to `owner`.
    owner : str
        Name of the class or function, for the messages.

    Raises
    ------
    TypeError
        If `X` is a path, a Pillow image, a generator, or a data set or loader of a deep-learning
        framework, which is read batch by batch and also holds the labels.
    ValueError
        If `X` is a list of samples of different shapes.
    """
    refuse_masked(X, "X")
    kind, advice = _kind_of(X)
    if kind:
        raise TypeError(
            f"X is {kind}; {owner} takes arrays: X of shape (n_samples, ...), such as images of "
            f"(n_samples, height, width, channels), and y of shape (n_samples,). {advice}"
        )
    if _package(X) in _TENSORS:
        try:
            return np.asarray(X)
        except Exception as error:  # a tensor with gradients, or on an accelerator
            raise TypeError(
                f"X is a {type(X).__module__}.{type(X).__qualname__} that NumPy cannot read "
                f"({error}). Pass X.detach().cpu().numpy() or an equivalent."
            ) from error
    if isinstance(X, (list, tuple)) and len(X):
        shapes = {np.shape(sample) for sample in X if hasattr(sample, "shape")}
        if len(shapes) > 1:
            some = " and ".join(str(shape) for shape in sorted(shapes)[:2])
            raise ValueError(f"X holds samples of {len(shapes)} shapes, such as {some}; resize.")
    return X


def _kind_of(X: object) -> tuple[str, str]:
    """Return a description of a data object and advice; empty strings for anything else."""
    read = "Read it first: penultimate.datasets.load(path) gives images and labels."
    collect = "Collect it first: X = np.concatenate([np.asarray(x) for x, _ in data]), y likewise."
    name = f"{type(X).__module__}.{type(X).__qualname__}"
    if isinstance(X, (str, PurePath)):
        return f"a path or text, {reprlib.repr(X)}", read
    if isinstance(X, bytes):
        return f"the content of a file, {len(X):,} bytes", _DECODE
    # (An array of texts is left to classifiers that take some.)
    is_listed = isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.ndim == 1)
    first = next(iter(X), None) if is_listed else None  # type: ignore[call-overload]
    if isinstance(first, bytes):
        return f"a list of files' contents, the first of {len(first):,} bytes", _DECODE
    if isinstance(X, (list, tuple)) and len(X):
        if isinstance(X[0], (str, PurePath)):
            return f"a list of paths or text, such as {reprlib.repr(X[0])}", read
        sizes = {image.size for image in X} if all(_package(x) == "PIL" for x in X) else set()
        modes = {image.mode for image in X} if sizes else set()
        if len(sizes) > 1 or len(modes) > 1:
            return (
                f"a list of images of {len(sizes)} sizes and {len(modes)} modes",
                "Convert them: "
                "np.stack([np.asarray(im.convert('RGB').resize((w, h))) for im in X]).",
            )
        return "", ""
    if _package(X) == "PIL":
        return "a single Pillow image", "Pass np.asarray(image)[np.newaxis]."
    if isinstance(X, Iterator):
        return f"a generator or iterator ({name})", collect
    if isinstance(X, (Mapping, Set)):
        return (
            f"a {name}",
            "Pass one of its values. (For a network with several inputs, FeatureExtractor takes a "
            "dict by input name; fit a head on the features that it returns.)",
        )
    is_array = any(
        hasattr(X, each) for each in ("shape", "__array__", "__array_interface__", "__dataframe__")
    )
    if not is_array and (hasattr(X, "__iter__") or hasattr(X, "__getitem__")):
        return (
            (f"a {name}, a data set or loader", collect) if _package(X) != "builtins" else ("", "")
        )
    return "", ""


def _package(X: object) -> str:
    return type(X).__module__.partition(".")[0]
