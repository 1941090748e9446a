"""The scale that inputs had when a classifier was fitted, and whether others are on it.

A network that was fitted on pixels from 0 to 1 and is given pixels from 0 to 255 answers without
a word, at chance. Values alone tell most such slips: what exceeds the range of `fit` many times
over, or is negative where nothing was, is on another scale for certain. What is merely faint, or
has no negative values where all samples in `fit` had some, may be a dark or bright image: of one
that cannot be told, of many it can.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.frames import level_outside

_WHITES = (1.0, 255.0)  # what pixels go up to, by convention
_ABOVE = 1.5  # of white: resizing overshoots it by some per cent, another scale by far more
_FAR = 10.0  # of the largest value, where there is no such convention
_OVERSHOOT = 0.1  # of an image's largest value: below zero, that much is resizing's
_MOST = 0.95  # of the samples in `fit`: what they all but all are, many others are, too
_PIXELS = 16  # vectors of fewer values are not taken for images


@dataclass(frozen=True)
class InputScale:
    """What the values of samples were like in `fit`.

    Attributes
    ----------
    low, high : float
        Of all values, as they were given.
    white : float or None
        What pixels on this scale go up to, 1 or 255; None for standardized values and others.
    size : float
        The largest absolute value.
    nonnegative : bool
        Whether there was no negative value.
    signed : bool
        Whether all but all samples had values far below zero.
    faint : float
        The share of samples, black ones left out, with no value above the first level of gray.
    whole : bool
        Whether all values were whole numbers.
    checked : bool
        Whether these are images, or vectors that look like some.
    """

    low: float
    high: float
    white: float | None
    size: float
    nonnegative: bool
    signed: bool
    faint: float
    whole: bool
    checked: bool

    @classmethod
    def of(cls, X: NDArray[Any], factor: float = 1.0, white: float | None = None) -> Self:
        """Describe the samples of `fit`.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...)
        factor : float, default=1.0
            What they are multiplied by before the network gets them.
        white : float, optional
            What pixels then go up to, where that is known.
        """
        lows, highs, sizes = _extremes(X, factor)
        low, high = float(lows.min()), float(highs.max())
        if white is None:
            white = next((w for w in _WHITES if max(-low, high) <= w), None)
            if low < 0 and white == 255:  # standardized: pixels are not negative by so much
                white = None
        lit = sizes[sizes > 0]
        gray = (white or 0) / 255
        looks_like_pixels = X.shape[1:] and np.prod(X.shape[1:]) >= _PIXELS and white is not None
        return cls(
            low / factor,
            high / factor,
            white,
            float(sizes.max()),
            low >= 0,
            float(np.mean(lows < -_OVERSHOOT * sizes)) >= _MOST,
            float(np.mean(lit <= gray)) if len(lit) else 1.0,
            _are_whole(X),
            X.ndim > 2 or bool(looks_like_pixels and low >= 0),
        )

    def check(self, X: NDArray[Any], owner: str, factor: float = 1.0) -> None:
        """Refuse samples that are on another scale; warn of those that may be.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...)
        owner : str
            What was fitted, for the messages.
        factor : float, default=1.0
            As in `of`, of these samples.

        Raises
        ------
        ValueError
            If samples are on another scale for certain.

        Warns
        -----
        UserWarning
            If that cannot be told.
        """
        if not self.checked:
            return
        lows, _, sizes = _extremes(X, factor)
        bound = _FAR * self.size if self.white is None else _ABOVE * self.white
        other = sizes > bound
        if self.nonnegative:
            other |= lows < -_OVERSHOOT * sizes
        gray = (self.white or 0) / 255
        faint = (sizes > 0) & (sizes <= gray) & self.nonnegative
        unsigned = self.signed & (lows >= 0) & (sizes > 0)
        doubtful = unsigned | (faint if self.faint <= 1 - _MOST else np.zeros_like(faint))
        all_of_many = len(X) > 1 and doubtful.all()
        # Pixels that were whole numbers and are fractions now were divided.
        divided = faint.any() and self.whole and not _are_whole(X[faint])
        if other.any() or all_of_many or divided:
            raise ValueError(self._message(X, owner, "are on another scale"))
        ordinary = faint & (self.faint > 0)
        if (doubtful & ~ordinary).any():
            warnings.warn(
                self._message(X, owner, "may be on another scale"),
                UserWarning,
                stacklevel=level_outside(),
            )

    def _message(self, X: NDArray[Any], owner: str, verdict: str) -> str:
        low, high = float(X.min()), float(X.max())
        advice = ""
        # What had negative values in fit was standardized, or mapped to [-1, 1].
        pixels = low >= 0 and self.low >= 0
        if pixels and self.high <= 1 < high:
            advice = " Divide by 255, as before fit."
        elif pixels and self.high > 1 >= high:
            advice = " Multiply by 255, or pass the samples as they were before they were scaled."
        return (
            f"The samples {verdict} than those that this {owner} was fitted on: values from "
            f"{low:g} to {high:g}, where fit had values from {self.low:g} to {self.high:g}."
            f"{advice} Samples must be scaled as in fit."
        )


def _extremes(X: NDArray[Any], factor: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return each sample's least, largest and largest absolute value, times `factor`."""
    rows = X.reshape(len(X), -1)
    lows = rows.min(axis=1).astype(np.float64) * factor
    highs = rows.max(axis=1).astype(np.float64) * factor
    return lows, highs, np.maximum(np.abs(lows), np.abs(highs))


def _are_whole(X: NDArray[Any]) -> bool:
    return X.dtype.kind in "biu" or bool((np.rint(X) == X).all())
