"""Detection of inputs on a different scale than those that a classifier was fitted on.

A network fitted on pixels from 0 to 1 that is given pixels from 0 to 255 fails silently, at chance
level. Values alone reveal most of these mistakes: values far outside the range of `fit`, or
negative values where `fit` had none, are certainly on another scale. A faint image, or one without
negative values where all samples in `fit` had some, may just be dark or bright: one such image only
gives a warning, but a whole batch of them is an error.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.frames import level_outside

_WHITES = (1.0, 255.0)  # conventional maxima of pixels
_ABOVE = 1.5  # times white: resizing overshoots it by a few percent, another scale by far more
_FAR = 10.0  # times the largest value, for data without such a convention
_OVERSHOOT = 0.1  # of an image's largest value: resizing undershoots zero by less
_MOST = 0.95  # of the samples in `fit`: a property that nearly all of them have is expected
_NAMED = 3  # samples that a message lists
_PIXELS = 16  # shorter vectors are not treated as images


@dataclass(frozen=True)
class InputScale:
    """Properties of the sample values in `fit`.

    Attributes
    ----------
    low, high : float
        Range of all values, as given.
    white : float or None
        Maximum of pixels on this scale, 1 or 255; None for standardized and other values.
    size : float
        Largest absolute value.
    nonnegative : bool
        Whether there were no negative values.
    signed : bool
        Whether nearly all samples had values far below zero.
    faint : float
        Fraction of samples, ignoring black ones, with no value above the first level of gray.
    whole : bool
        Whether all values were whole numbers.
    checked : bool
        Whether the samples are images, or vectors that look like images.
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
            Samples of `fit`.
        factor : float, default=1.0
            Factor applied to the samples before they enter the network.
        white : float, optional
            Maximum of the pixels after that, if known.
        """
        lows, highs, sizes = _extremes(X, factor)
        low, high = float(lows.min()), float(highs.max())
        if white is None:
            white = next((w for w in _WHITES if max(-low, high) <= w), None)
            # Standardized values, because pixels are never that negative.
            if low < 0 and white == 255:
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
        """Refuse samples that are on another scale; warn about those that may be.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...)
        owner : str
            Name of the classifier, for the messages.
        factor : float, default=1.0
            Factor for these samples, as in `of`.

        Raises
        ------
        ValueError
            If samples are certainly on another scale.

        Warns
        -----
        UserWarning
            If samples may be on another scale.
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
        # Whole-number pixels in fit, but fractions now: these samples were divided.
        divided = faint.any() and self.whole and not _are_whole(X[faint])
        if other.any() or all_of_many or divided:
            odd = other if other.any() else doubtful if all_of_many else faint
            raise ValueError(self._message(X, odd, owner, "are"))
        ordinary = faint & (self.faint > 0)
        if (odd := doubtful & ~ordinary).any():
            warnings.warn(
                self._message(X, odd, owner, "may be"),
                UserWarning,
                stacklevel=level_outside(),
            )

    def _message(self, X: NDArray[Any], odd: NDArray[np.bool_], owner: str, verb: str) -> str:
        # Of some samples among others the values are stated, not those of the whole batch.
        low, high = float(X[odd].min()), float(X[odd].max())
        samples = "The samples"
        if not odd.all():
            places = np.flatnonzero(odd).tolist()
            named = ", ".join(map(str, places[:_NAMED])) + (", ..." if places[_NAMED:] else "")
            samples = f"{len(places):,} of the {len(odd):,} samples ({named})"
            verb = verb.replace("are", "is") if len(places) == 1 else verb
        advice = ""
        # Negative values in fit mean standardized data, or [-1, 1]: no factor leads there.
        pixels = low >= 0 and self.low >= 0
        if pixels and self.high <= 1 < high:
            advice = " Divide by 255, as before fit."
        elif pixels and self.high > 1 >= high:
            advice = " Multiply by 255, or pass the samples before scaling."
        return (
            f"{samples} {verb} on another scale than those that this {owner} was fitted on: "
            f"values from {low:g} to {high:g}, where fit had values from {self.low:g} to "
            f"{self.high:g}."
            f"{advice} Samples must be scaled as in fit."
        )


def _extremes(X: NDArray[Any], factor: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return each sample's minimum, maximum and maximum absolute value, times `factor`."""
    rows = X.reshape(len(X), -1)
    lows = rows.min(axis=1).astype(np.float64) * factor
    highs = rows.max(axis=1).astype(np.float64) * factor
    return lows, highs, np.maximum(np.abs(lows), np.abs(highs))


def _are_whole(X: NDArray[Any]) -> bool:
    return X.dtype.kind in "biu" or bool((np.rint(X) == X).all())
