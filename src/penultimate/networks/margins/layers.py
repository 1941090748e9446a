"""Random Fourier features as a Keras 3 layer: kernel machines for any number of samples.

A shift-invariant kernel is the Fourier transform of a distribution of directions (Bochner): the
mean cosine of random projections of x - z estimates it. Training is then linear in the number of
samples, where a kernel matrix is quadratic.

Importing this module imports Keras.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Tensor
from penultimate._common.validation import check_choice, check_number
from penultimate.networks.frameworks.backend import import_keras

if TYPE_CHECKING:
    from penultimate.networks.frameworks.to_onnx.writer import Writer

keras = import_keras()
ops = keras.ops

_KERNELS = ("gaussian", "laplacian")


@keras.saving.register_keras_serializable("penultimate")
class RandomFourierFeatures(keras.layers.Layer):  # type: ignore[name-defined]
    r"""Features whose inner products approximate a kernel.

    .. math:: \phi(x) = \sqrt{\tfrac{2}{D}}\,
              \left[\cos(\gamma' W x),\ \sin(\gamma' W x)\right],
              \qquad \phi(x) \cdot \phi(z) \approx k(x, z)

    with D features from D / 2 random directions, the rows of W. For the Gaussian kernel
    :math:`\exp(-\gamma \lVert x - z \rVert_2^2)`, which is ``SVC(kernel="rbf")``'s, they are normal
    and :math:`\gamma' = \sqrt{2 \gamma}`; for the Laplacian :math:`\exp(-\gamma \lVert x - z
    \rVert_1)` they are Cauchy and :math:`\gamma' = \gamma`. A linear SVM on the features is then
    an approximate kernel machine, whose error falls as :math:`1 / \sqrt D`.

    Parameters
    ----------
    n_features : int
        Number of features D; it must be even.
    kernel : {"gaussian", "laplacian"}, default="gaussian"
    gamma : float or "auto", default="auto"
        Scale of the kernel, as in `SVC`; ``"auto"`` is one over the number of inputs.
    orthogonal : bool, default=True
        Whether to draw directions that are orthogonal in blocks, which lowers the error. Only for
        the Gaussian kernel; the Laplacian ignores it.
    trainable_gamma : bool, default=False
        Whether to learn gamma together with the rest of the network.
    seed : int, default=0
        Controls the directions, which are the same on every backend.
    **kwargs
        Parameters of ``keras.layers.Layer``.

    References
    ----------
    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS 2007.
    F. X. Yu et al., "Orthogonal random features", NIPS 2016.
    D. J. Sutherland and J. Schneider, "On the error of random Fourier features", UAI 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.layers import RandomFourierFeatures
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0]], np.float32)
    >>> features = np.asarray(RandomFourierFeatures(2000, gamma=0.5)(X))
    >>> round(float(features[0] @ features[1]), 1), round(float(np.exp(-0.5)), 1)
    (0.6, 0.6)
    """

    def __init__(
        self,
        n_features: int,
        kernel: str = "gaussian",
        gamma: float | str = "auto",
        orthogonal: bool = True,
        trainable_gamma: bool = False,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_number(n_features, "n_features", owner, low=2, integer=True)
        if n_features % 2:
            raise ValueError(
                f"The 'n_features' parameter of {owner} must be even, for cosines and sines; "
                f"got {n_features}."
            )
        check_choice(kernel, "kernel", owner, _KERNELS)
        if gamma != "auto":
            check_number(gamma, "gamma", owner, low=0, open_low=True)
        self.n_features = n_features
        self.kernel = kernel
        self.gamma = gamma
        self.orthogonal = orthogonal
        self.trainable_gamma = trainable_gamma
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Draw the directions, once the number of inputs is known."""
        n_inputs = input_shape[-1]
        if n_inputs is None:
            raise ValueError(
                f"{type(self).__name__} needs inputs of known width; got shape {input_shape}."
            )
        directions = _draw(self.kernel, n_inputs, self.n_features // 2, self.orthogonal, self.seed)
        # Stored with the network, not drawn again when it is loaded: another version of NumPy may
        # draw others.
        self.directions = self.add_weight(
            shape=directions.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(directions, dtype),
            trainable=False,
            name="directions",
        )
        gamma = 1 / n_inputs if self.gamma == "auto" else float(self.gamma)
        # Its logarithm is learned, so that gamma stays positive.
        self.log_gamma = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(np.log(gamma)),
            trainable=self.trainable_gamma,
            name="log_gamma",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Compute the features.

        Parameters
        ----------
        inputs : tensor of shape (..., n_inputs)

        Returns
        -------
        tensor of shape (..., n_features)
        """
        gamma = ops.exp(self.log_gamma)
        scale = ops.sqrt(2 * gamma) if self.kernel == "gaussian" else gamma
        # cos a cos b + sin a sin b = cos(a - b): the inner product is the mean cosine of the
        # projected difference, over D / 2 directions.
        angles = ops.matmul(inputs, self.directions) * ops.cast(scale, inputs.dtype)
        features = ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)
        return features * float(np.sqrt(2 / self.n_features))

    def to_onnx(self, writer: "Writer", inputs: str) -> str:
        """Write the layer as nodes of an ONNX graph, and return the name of the output."""
        gamma = float(np.exp(ops.convert_to_numpy(self.log_gamma)))
        scale = np.sqrt(2 * gamma) if self.kernel == "gaussian" else gamma
        directions = ops.convert_to_numpy(self.directions) * np.float32(scale)
        angles = writer.node("MatMul", inputs, directions)
        both = writer.node(
            "Concat", writer.node("Cos", angles), writer.node("Sin", angles), axis=-1
        )
        return writer.node("Mul", both, float(np.sqrt(2 / self.n_features)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the features."""
        return (*input_shape[:-1], self.n_features)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration to recreate the layer from."""
        names = ("n_features", "kernel", "gamma", "orthogonal", "trainable_gamma", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _draw(
    kernel: str, n_inputs: int, n_directions: int, orthogonal: bool, seed: int
) -> NDArray[np.float32]:
    """Draw the directions as columns, (n_inputs, n_directions)."""
    rng = np.random.default_rng(seed)
    if kernel == "laplacian":
        # The Fourier transform of exp(-|x|), one dimension at a time.
        return rng.standard_cauchy((n_inputs, n_directions)).astype(np.float32)
    directions = rng.normal(size=(n_inputs, n_directions))
    if orthogonal:
        # Blocks of orthogonal directions from QR decompositions of Gaussian matrices. They have
        # length one, and get the lengths of independent Gaussian directions, so that each of them
        # alone is distributed as if it were independent, up to its sign.
        lengths = np.linalg.norm(rng.normal(size=(n_inputs, n_directions)), axis=0)
        for start in range(0, n_directions, n_inputs):
            block = directions[:, start : start + n_inputs]
            square = rng.normal(size=(n_inputs, n_inputs))
            directions[:, start : start + n_inputs] = np.linalg.qr(square)[0][:, : block.shape[1]]
        directions *= lengths
    return directions.astype(np.float32)
