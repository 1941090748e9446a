"""What is done to an image before a network sees it, as an object that travels with the network.

Images are resized in float32 with antialiasing, as in Pillow's mode "F"
(``_common/resizing.py``). The ``Resize`` of ONNX with ``antialias=1`` computes the same to .004 of
255, at every size that was tried; resizing in 8 bits rounds between its two passes, and is off by
up to 6.
A network that sees other pixels than in its training predicts worse without an error, so nothing
here is guessed: what is not stated is not done.
"""

import warnings
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from penultimate._common.decoding import least_size
from penultimate._common.frames import level_outside
from penultimate._common.resizing import FILTERS, resize
from penultimate._common.validation import check_choice, check_number

_CHANNELS = ("rgb", "bgr", "gray")
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow converts

# Range of prepared pixels below which they were scaled already, for a network that expects 255:
# those in [0, 1] have 1, those of ImageNet's mean and deviation less than 5.
_LEAST_SPAN = 25


@dataclass(frozen=True)
class Preprocessing:
    """What is done to images before a network sees them: resize, crop, scale, order the channels.

    A pixel x from 0 to 255 becomes ``(scale * x - mean) / std``.

    Parameters
    ----------
    size : int, (height, width) or None, default=None
        Size in pixels that the network takes; None leaves images as they are.
    crop : float or None, default=None
        If None, images are resized to `size`, and their aspect ratio is not kept. A number keeps
        it: images are resized until the shorter side is `size` / `crop`, and the center is cropped
        to `size`. That is ``crop_pct`` in timm; a resize to 256 and a crop to 224 is 0.875.
    scale : float, default=1
        Factor for pixels from 0 to 255, such as 1 / 255.
    mean, std : float or tuple of float, default=0, 1
        Subtracted after scaling, and divided by; one number, or one per channel in the order of
        `channels`.
    channels : {"rgb", "bgr", "gray"}, default="rgb"
        Channels that the network takes. Gray images are repeated for the three colors; colors are
        turned to gray by ITU-R BT.601.
    interpolation : {"bilinear", "bicubic", "lanczos"}, default="bilinear"
        How images are resized, always with antialiasing.
    channels_first : bool or None, default=None
        Whether the channels come before height and width. None asks the network.
    draft : bool, default=True
        Whether large JPEG files are decoded at 1/2, 1/4 or 1/8 of their size, never below twice the
        size to which they are resized. A photo of 20 megapixels then takes a fifth of the time,
        and selection sees no difference (benchmarks/results/draft.md). Arrays are never reduced.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import Preprocessing
    >>> preprocessing = Preprocessing(size=8, scale=1 / 255, mean=0.5, std=0.5)
    >>> white = np.full((30, 20, 3), 255, np.uint8)
    >>> image = preprocessing.apply(white)
    >>> image.shape, float(image.max())
    ((8, 8, 3), 1.0)
    """

    size: int | tuple[int, int] | None = None
    crop: float | None = None
    scale: float = 1.0
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    channels_first: bool | None = None
    draft: bool = True

    def __post_init__(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for what is no preprocessing."""
        owner = "Preprocessing"
        check_choice(self.channels, "channels", owner, _CHANNELS)
        check_choice(self.interpolation, "interpolation", owner, tuple(FILTERS))
        check_number(self.scale, "scale", owner)
        if not isinstance(self.draft, bool):
            raise TypeError(
                f"The 'draft' parameter of Preprocessing must be True or False; got {self.draft!r}."
            )
        if self.size is not None:
            given: Any = self.size
            sides = (given, given) if np.isscalar(given) else tuple(given)
            if len(sides) != 2:
                raise ValueError(
                    "The 'size' parameter of Preprocessing must be one number or (height, width); "
                    f"got {self.size!r}."
                )
            # A larger side is most likely a slip: one image of 4096 x 4096 takes 200 MB.
            for side in sides:
                check_number(side, "size", owner, low=1, high=4096, integer=True)
            # Frozen, hence this way; in one form, so that equal settings have equal digests.
            object.__setattr__(self, "size", (int(sides[0]), int(sides[1])))
        if self.crop is not None:
            # A share of nothing: the center of an image is cropped to the size.
            if self.size is None:
                raise ValueError(
                    "The 'crop' parameter of Preprocessing needs a 'size' to crop to; got "
                    f"crop={self.crop!r} with size=None."
                )
            # At the limit, an image is resized to 4,480 pixels for a size of 224: less is a slip.
            check_number(self.crop, "crop", owner, low=0.05, high=1)
        for name in ("mean", "std"):
            given = getattr(self, name)
            values: Any = (given,) if np.isscalar(given) else tuple(given)
            if len(values) not in (1, self.n_channels):
                raise ValueError(
                    f"The {name!r} parameter of Preprocessing must be one number, or one per "
                    f"channel of {self.channels!r}; got {given!r}."
                )
            for value in values:
                check_number(value, name, owner)
            if name == "std" and 0 in values:
                raise ValueError(
                    f"The 'std' parameter of Preprocessing must not be 0; got {given}."
                )
            # One number is kept as one, so that it fits any number of channels.
            kept = float(values[0]) if len(values) == 1 else tuple(map(float, values))
            object.__setattr__(self, name, kept)

    @classmethod
    def imagenet(cls, size: int = 224, crop: float | None = 0.875) -> Self:
        """Return what most networks trained on ImageNet take, those of torchvision among them.

        Parameters
        ----------
        size : int, default=224
        crop : float or None, default=0.875

        Returns
        -------
        Preprocessing
            With the mean and the standard deviation of ImageNet's pixels, scaled to [0, 1].
        """
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return cls(size=size, crop=crop, scale=1 / 255, mean=mean, std=std)

    @property
    def n_channels(self) -> int:
        """Number of channels that the network takes."""
        return 1 if self.channels == "gray" else 3

    @property
    def decoded_size(self) -> tuple[int, int] | None:
        """The least (height, width) at which a file may be decoded; None if only the whole will do.

        Examples
        --------
        >>> from penultimate.networks import Preprocessing
        >>> Preprocessing(size=224, crop=0.875).decoded_size
        (512, 512)
        """
        if not self.draft or not isinstance(self.size, tuple):
            return None
        return least_size(self.size, self.crop)

    def apply(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Prepare one image.

        Parameters
        ----------
        image : ndarray of shape (height, width) or (height, width, channels)
            Pixels from 0 to 255, of any type, with one channel or the three of RGB.

        Returns
        -------
        ndarray of shape (height, width, channels), float32
            With the channels first if `channels_first` is true.

        Raises
        ------
        ValueError
            If it is no image.
        """
        pixels = np.asarray(image)
        if pixels.ndim == 2:
            pixels = pixels[..., np.newaxis]
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
            raise ValueError(
                "An image must have the shape (height, width), (height, width, 1) or (height, "
                f"width, 3); got {np.shape(image)}."
            )
        if self.size is not None:
            pixels = self._resized(pixels)
        values = self._ordered(pixels.astype(np.float32, copy=False)) * np.float32(self.scale)
        # In place, as the product is an array of its own.
        values -= np.asarray(self.mean, np.float32)
        values /= np.asarray(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1) if self.channels_first else values)

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that `apply` gives an image.

        Parameters
        ----------
        image_shape : tuple of int
            Height, width and channels, or height and width.

        Returns
        -------
        tuple of int
        """
        # Without a size the image keeps its own.
        height, width = self.size if isinstance(self.size, tuple) else image_shape[:2]
        sides = (height, width)
        return (self.n_channels, *sides) if self.channels_first else (*sides, self.n_channels)

    def in_words(self) -> str:
        """Return in words what is done, such as for a report.

        Returns
        -------
        str

        Examples
        --------
        >>> from penultimate.networks import Preprocessing
        >>> Preprocessing(size=224, crop=0.875, scale=1 / 255, mean=0.5, std=0.25).in_words()
        'resized until 224 x 224 is 87.5 % ... cropped to its center (large JPEG ... 0.5) / 0.25'
        """
        steps = []
        if isinstance(self.size, tuple):
            size = f"{self.size[0]} x {self.size[1]}"
            if self.crop is None:
                steps.append(f"resized to {size} ({self.interpolation}, antialiased)")
            else:
                steps.append(
                    f"resized until {size} is {100 * self.crop:g} % of the shorter side "
                    f"({self.interpolation}), cropped to its center"
                )
        if (least := self.decoded_size) is not None:
            steps[-1] += (
                " (large JPEG photos decoded at 1/2, 1/4 or 1/8 of their size, at least "
                f"{least[0]} x {least[1]})"
            )
        if self.channels != "rgb":
            steps.append("turned to gray" if self.channels == "gray" else "channels reversed (BGR)")
        # "x / 255" rather than "0.00392157 x".
        values = "x" if self.scale == 1 else f"x / {1 / self.scale:g}"
        if self.mean:
            values = f"({values} - {_figures(self.mean)})"
        if self.std != 1:
            values += f" / {_figures(self.std)}"
        return ", ".join([*steps, values] if values != "x" else steps) or "unchanged"

    def digest(self) -> str:
        """Return a fingerprint of all that is done.

        Returns
        -------
        str
            32 hexadecimal digits.
        """
        # By name: the order of the fields may change between versions.
        return xxhash.xxh3_128_hexdigest(repr(sorted(asdict(self).items())).encode())

    def _resized(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        assert isinstance(self.size, tuple)
        height, width = self.size
        before = pixels.shape[:2]
        if self.crop is None:
            return self._to_size(pixels, (height, width))
        # The smallest resize in which `size` is at most this share of each side.
        factor = max(height / before[0], width / before[1]) / self.crop
        # Rounded half up, as an exported graph rounds; Python's `round` takes a half to even.
        whole = (
            max(height, int(before[0] * factor + 0.5)),
            max(width, int(before[1] * factor + 0.5)),
        )
        top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
        # The pixels of the image resized whole, then cropped, as a graph of ONNX does it: cropping
        # first would change those along the edge.
        crop = slice(top, top + height), slice(left, left + width)
        return self._to_size(pixels, whole, crop)

    def _to_size(
        self,
        pixels: NDArray[Any],
        size: tuple[int, int],
        crop: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> NDArray[np.float32]:
        if pixels.shape[:2] == size:
            return pixels[crop].astype(np.float32)
        return resize(pixels, size, self.interpolation, crop)

    def _ordered(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the channels that the network takes, in its order."""
        if self.n_channels == 1:
            return values if values.shape[2] == 1 else (values @ LUMA)[..., np.newaxis]
        if values.shape[2] == 1:
            return np.repeat(values, 3, axis=2)
        return values[..., ::-1] if self.channels == "bgr" else values


def _figures(values: float | tuple[float, ...]) -> str:
    return (
        f"{values:g}" if isinstance(values, float) else f"({', '.join(f'{v:g}' for v in values)})"
    )


def warn_if_scaled_twice(preprocessing: Preprocessing) -> None:
    """Warn of a preprocessing that leaves little to a network that scales pixels itself."""
    span = float(np.min(255 * abs(preprocessing.scale) / np.abs(preprocessing.std)))
    if span < _LEAST_SPAN:
        warnings.warn(
            f"The network begins by rescaling pixels from 0 to 255, and the preprocessing already "
            f"scales them to a range of {span:.3g}: its features will be nearly the same for all "
            "images. Leave out scale, mean and std.",
            UserWarning,
            stacklevel=level_outside(),
        )
