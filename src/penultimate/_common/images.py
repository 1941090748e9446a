"""Checks of images and of the scale of their pixels."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Factors between standard deviations: of two features, and of a feature and 1.
# Ratios of standard deviations: between features, and to the ideal of 1.
_UNEVEN, _FAR = 100, 10


def check_images(X: ArrayLike, *, name: str = "X", scale: float | None = None) -> NDArray[Any]:
    """Return images as an array of shape (n_samples, height, width, channels) from 0 to 255.

    8-bit images are returned without a copy. Booleans become 0 and 255. Integers are pixels from 0
    to 255. Floats are multiplied by `scale` or, if it is None, by `pixel_scale`.

    Raises
    ------
    ValueError
        If `X` does not have 3 or 4 dimensions, is empty, has neither 1 nor 3 channels, or holds NaN
        or values outside [0, 1] and [0, 255].
    """
    X = np.asarray(X)
    if X.ndim == 3:
        X = X[..., np.newaxis]
    if X.ndim != 4:
        raise ValueError(
            f"{name} must have the shape (n, height, width) or (n, height, width, channels); got "
            f"{X.shape}.{' If it is one image, pass X[None].' if X.ndim == 2 else ''}"
        )
    if 0 in X.shape:
        raise ValueError(f"{name} holds no pixels: its shape is {X.shape}.")
    if X.shape[-1] not in (1, 3):
        hint = " Move the channels last." if X.shape[1] in (1, 3) else ""
        hint = " Drop the alpha channel, as with X[..., :3]." if X.shape[-1] == 4 else hint
        raise ValueError(f"{name} must have 1 or 3 channels; got {X.shape[-1]} in {X.shape}.{hint}")
    if X.dtype == np.uint8:
        return X
    if X.dtype == bool:
        return X.astype(np.uint8) * 255
    if X.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold numbers; got an array of dtype {X.dtype}.")
    low, high = float(X.min()), float(X.max())
    if not np.isfinite(low) or not np.isfinite(high):
        count = int((~np.isfinite(X)).any(axis=(1, 2, 3)).sum())
        raise ValueError(f"{name} holds NaN or infinity, in {count} of {len(X)} images; drop them.")
    if low < 0 or high > 255:
        raise ValueError(
            f"{name} must hold pixels in [0, 1] or [0, 255]; got values from {low:g} to {high:g}. "
            "Undo the standardization, or pass 8-bit images."
        )
    if X.dtype.kind != "f":
        return X.astype(np.uint8)
    if 1 < high <= 2 and scale != 1:
        raise ValueError(
            f"{name} holds floats up to {high:g}: just outside [0, 1], and too small for [0, 255]. "
            "Clip them, for example with numpy.clip(X, 0, 1), or pass 8-bit images."
        )
    return X.astype(np.float32) * np.float32(pixel_scale(X) if scale is None else scale)


def pixel_scale(X: NDArray[Any]) -> float:
    """Return the factor to pixels from 0 to 255: 255 for booleans and floats up to 1, else 1."""
    return 255.0 if X.dtype.kind in "bf" and X.max() <= 1 else 1.0


def check_one_scale(parts: Mapping[str, NDArray[Any]]) -> None:
    """Raise ``ValueError`` if some parts of one data set are in [0, 1] and others are not.

    Joined, they would be taken for pixels in [0, 255], and the images of that part for black ones.

    Parameters
    ----------
    parts : dict of str to ndarray
        Images of each part, by its name for the message. A part that is all black fits any scale.
    """
    lit = {name: X for name, X in parts.items() if X.dtype.kind in "biuf" and X.size and X.any()}
    if all(X.min() < 0 for X in lit.values()):  # standardized: maxima say nothing about the scale
        return
    tops = {name: float(X.max()) for name, X in lit.items()}
    low = next((name for name, top in tops.items() if top <= 1), None)
    high = next((name for name, top in tops.items() if top > 1), None)
    if low is not None and high is not None:
        raise ValueError(
            f"{low} goes up to {tops[low]:g} and {high} up to {tops[high]:g}: they seem to be on "
            "different scales, such as [0, 1] and [0, 255]. Bring both to one scale."
        )


def note_black(X: NDArray[Any], name: str) -> str | None:
    """Return a note on integers that code black and white as 0 and 1; None for other images."""
    if X.dtype.kind not in "iu" or not X.size or X.max() != 1:
        return None
    return (
        f"{name} holds integers, none above 1: as pixels from 0 to 255 they are nearly black. "
        "Pass booleans, floats from 0 to 1, or 255 * X."
    )


def uneven_scales(X: NDArray[Any]) -> tuple[float, float] | None:
    """Return the extreme standard deviations if far from each other or from 1, else None."""
    deviations = X.std(axis=0, dtype=np.float64)
    deviations = deviations[deviations > 0]
    if not len(deviations):
        return None
    low, high = float(deviations.min()), float(deviations.max())
    uneven = high > _UNEVEN * low or high > _FAR or high < 1 / _FAR
    return (low, high) if uneven else None


def warn_if_unscaled(X: NDArray[Any]) -> None:
    """Warn about features whose standard deviations are far from each other or from 1."""
    if (scales := uneven_scales(X)) is not None:
        low, high = scales
        warnings.warn(
            f"The features' standard deviations range from {low:.3g} to {high:.3g}; margins, C and "
            "the learning rate are meant for values near 1. Pass standardize=True, or scale the "
            "features.",
            UserWarning,
            stacklevel=4,
        )
