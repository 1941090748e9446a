"""The form of a classifier's samples: pixels or other values, and their scale.

Named networks always take pixels from 0 to 255, so images are brought to that scale; the scale seen
in `fit` is kept, because a single dark image in `predict` does not reveal its own.
"""

from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from penultimate._common.images import check_images, pixel_scale
from penultimate._common.scales import InputScale

_WHITE = 255.0


@dataclass(frozen=True)
class SampleForm:
    """The form of the samples in `fit`, which later samples must have as well.

    Attributes
    ----------
    takes_pixels : bool
        Whether the network takes images with pixels from 0 to 255.
    pixel_scale : float or None
        The factor that brings pixels to that scale; None if the type of the pixels tells it.
    values : InputScale
        Properties of the values, as they were given.
    """

    takes_pixels: bool
    pixel_scale: float | None
    values: InputScale

    @classmethod
    def of(cls, X: NDArray[Any], takes_pixels: bool) -> Self:
        """Describe the samples of `fit`."""
        if not takes_pixels:
            return cls(False, None, InputScale.of(X))
        factor = pixel_scale(X)
        # A dark image must mean the same alone as among others: floats keep the scale of `fit`.
        kept = factor if X.dtype.kind == "f" else None
        return cls(True, kept, InputScale.of(X, factor, _WHITE))

    def check(self, X: NDArray[Any], owner: str) -> None:
        """Raise for samples that are on another scale than those in `fit`; warn if they may be.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...)
        owner : str
            Name of the classifier, for the messages.
        """
        if not self.takes_pixels:
            self.values.check(X, owner)
        elif X.size and X.ndim > 2:  # what has another form is refused by `convert`
            factor = pixel_scale(X)
            if X.dtype.kind == "f" and self.pixel_scale is not None:
                factor = self.pixel_scale
            self.values.check(X, owner, factor)

    def convert(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return samples as the network takes them, such as images with pixels from 0 to 255."""
        return check_images(X, scale=self.pixel_scale) if self.takes_pixels else X
