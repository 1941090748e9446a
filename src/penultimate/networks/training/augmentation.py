"""Random rotation, zoom, shift, shear and elastic deformation of images, as one fused warp.

All of them map target to source positions, and add up to a single map: the images are interpolated
once, and lose sharpness once. Every such function is a linear combination of a few fixed functions
of position (`_basis`), so that the maps of many images are one matrix product.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_number

_GRID = 4  # points per side of the grid of elastic displacements
_CHUNK_PIXELS = 2**18  # whose maps are computed together: 2 MiB of float32
# Larger values have no meaning: a scale of zero or less, or an image that is shifted out of view.
_LIMITS = {
    "rotation": 180.0,
    "zoom": 0.9,
    "aspect": 0.9,
    "shift": 1.0,
    "shear": 2.0,
    "elastic": np.inf,
}


@dataclass(frozen=True)
class Augmentation:
    r"""A random warp of each image, the same for the same seed, epoch and sample.

    The source position of a target pixel :math:`p`, both measured from the center, is
    :math:`A p + t + \sum_k b_k(p)\, d_k`: an affine map of rotation, zoom and shear, a shift, and
    bicubic interpolation of displacements :math:`d_k` on a 4 x 4 grid. Values between pixels are
    interpolated linearly; beyond the border, its pixels are repeated.

    Parameters
    ----------
    rotation : float, default=15
        Largest angle in degrees, in either direction.
    zoom : float, default=0.15
        Largest relative change of scale.
    aspect : float, default=0.1
        Largest additional relative change of the width.
    shift : float, default=0.08
        Largest shift, as a fraction of height and width.
    shear : float, default=0.15
        Largest shear, as a tangent.
    elastic : float, default=1.0
        Standard deviation of the grid's displacements, in pixels.

    References
    ----------
    P. Simard, D. Steinkraus and J. Platt, "Best practices for convolutional neural networks
    applied to visual document analysis", ICDAR 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import Augmentation
    >>> image = np.zeros((1, 8, 8, 1), np.uint8)
    >>> Augmentation().warp(image, seed=0, epoch=3).shape
    (1, 8, 8, 1)
    """

    # The warps of the recipe in `Training`. At 28 x 28 pixels one takes 9 microseconds, with or
    # without bending, which hides behind the training steps (benchmarks/results/steps.md).
    rotation: float = 15.0
    zoom: float = 0.15
    aspect: float = 0.1
    shift: float = 0.08
    shear: float = 0.15
    elastic: float = 1.0

    def warp(self, images: NDArray, *, seed: int, epoch: int) -> NDArray:
        """Warp each image at random.

        Parameters
        ----------
        images : ndarray of shape (n_samples, height, width, channels)
            uint8 or float32.
        seed, epoch : int
            Each pair of these gives different warps.

        Returns
        -------
        ndarray of the shape and dtype of `images`

        Raises
        ------
        ValueError
            If a parameter is negative or too large, or `images` is not 4-dimensional.
        """
        import cv2

        for name, limit in _LIMITS.items():
            check_number(getattr(self, name), name, "Augmentation", low=0, high=limit)
        if images.ndim != 4:
            raise ValueError(
                f"Augmentation warps images, of shape (n, height, width, channels); got "
                f"{images.shape}. For other inputs, pass Training(augmentation=None)."
            )
        n_samples, height, width = images.shape[:3]
        basis = _basis(height, width)
        maps = self._coefficients(n_samples, height, width, np.random.default_rng([seed, epoch]))
        out = np.empty_like(images)
        # In chunks, to bound the memory of the maps.
        chunk = max(1, _CHUNK_PIXELS // (height * width))
        for start in range(0, n_samples, chunk):
            sources = np.matmul(basis, maps[start : start + chunk]).reshape(-1, height, width, 2)
            for i, source in enumerate(sources, start):
                # Repeated, since a constant border would draw edges that no image has.
                warped = cv2.remap(
                    images[i], source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                out[i] = warped.reshape(images.shape[1:])
        return out

    def _coefficients(
        self, n_samples: int, height: int, width: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw the coefficients of `_basis`: (n_samples, 3 + 16, 2), the last axis x and y."""

        def uniform(limit: float) -> NDArray[np.float64]:
            return rng.uniform(-limit, limit, n_samples)

        angle = np.deg2rad(uniform(self.rotation))
        scale_y = 1 + uniform(self.zoom)
        scale_x = scale_y * (1 + uniform(self.aspect))
        shear = uniform(self.shear)
        cos, sin = np.cos(angle), np.sin(angle)
        coefficients = np.empty((n_samples, 3 + _GRID**2, 2), np.float32)
        # The rows of the map from target to source: rotation and shear, divided by the scales.
        coefficients[:, 0, 0] = cos / scale_x
        coefficients[:, 1, 0] = (cos * shear - sin) / scale_x
        coefficients[:, 0, 1] = sin / scale_y
        coefficients[:, 1, 1] = (sin * shear + cos) / scale_y
        coefficients[:, 2, 0] = (width - 1) / 2 + uniform(self.shift) * width
        coefficients[:, 2, 1] = (height - 1) / 2 + uniform(self.shift) * height
        coefficients[:, 3:] = rng.normal(0, self.elastic, (n_samples, _GRID**2, 2))
        return coefficients


# One per image size, of which a process rarely has more.
@lru_cache(maxsize=8)
def _basis(height: int, width: int) -> NDArray[np.float32]:
    """Return the functions of position that span all warps: x, y, 1 and the grid's bumps."""
    import cv2

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    # A unit impulse at each grid point, interpolated to the image: the bumps span all
    # displacements.
    bumps = [
        cv2.resize(bump.reshape(_GRID, _GRID), (width, height), interpolation=cv2.INTER_CUBIC)
        for bump in np.eye(_GRID**2, dtype=np.float32)
    ]
    columns = [x - (width - 1) / 2, y - (height - 1) / 2, np.ones_like(x), *bumps]
    return np.stack([column.ravel() for column in columns], axis=1).astype(np.float32)
