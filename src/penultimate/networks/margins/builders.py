"""Networks with score outputs for a margin loss, with the penalty that gives C its meaning.

An SVM minimizes its penalty plus C times the *sum* of the losses; Keras minimizes their *mean* plus
penalties: divided by C n, the first becomes the second (`build_margin_network`).
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Inputs, Loss, Network, RandomState
from penultimate._common.seeds import draw_seed
from penultimate.networks._forward import forward
from penultimate.networks._inputs import as_inputs
from penultimate.networks.architectures import Builder, named
from penultimate.networks.building import build_network
from penultimate.networks.frameworks.backend import import_keras, standard_settings
from penultimate.networks.frameworks.keras_models import (
    classifying_layer,
    giving_scores,
    predicted_codes,
    weight_matrix,
)
from penultimate.networks.frameworks.keras_network import KerasNetwork

__all__ = [
    "RandomFeatureNetwork",
    "build_margin_network",
    "linear",
    "make_margin_loss",
    "predict_scores",
    "predicted_codes",
]


@named
def linear(input_shape: tuple[int, ...], n_outputs: int) -> Network:
    """Build a linear machine: one layer on the flattened samples, initialized to zero.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample.
    n_outputs : int
        Number of scores per sample.

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> from penultimate.networks.margins.builders import linear
    >>> linear((4,), 3).count_params()
    15
    """
    keras = import_keras()
    layers = keras.layers
    # The problem is convex, so that the start decides nothing: zero is the same for every seed.
    flatten = [] if len(input_shape) == 1 else [layers.Flatten()]
    scores = layers.Dense(n_outputs, kernel_initializer="zeros", name="scores")
    return keras.Sequential([layers.Input(input_shape), *flatten, scores], name="linear")


class RandomFeatureNetwork(BaseEstimator):
    """A builder of kernel machines: a linear machine on random Fourier features.

    Its hyper-parameters can be searched through the enclosing classifier, as ``network__gamma``.

    Parameters
    ----------
    n_features : int, default=4096
        Number of features; see `RandomFourierFeatures` for all parameters.
    kernel : {"gaussian", "laplacian"}, default="gaussian"
        Kernel that the inner products approximate.
    gamma : float or "auto", default="auto"
        Scale of the kernel, as in `SVC`.
    orthogonal : bool, default=True
        Whether to draw orthogonal directions.
    trainable_gamma : bool, default=False
        Whether to learn gamma together with the weights.
    random_state : int, RandomState instance or None, default=0
        Controls the directions.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from penultimate import MarginClassifier, Training
    >>> from penultimate.networks.margins.builders import RandomFeatureNetwork
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> recipe = Training(epochs=50, learning_rate=0.05, validation_size=0)
    >>> machine = MarginClassifier(RandomFeatureNetwork(256, gamma=1.0), training=recipe)
    >>> bool((machine.fit(X, y).predict(X) == y).mean() > 0.95)
    True
    """

    def __init__(
        self,
        n_features: int = 4096,
        *,
        kernel: str = "gaussian",
        gamma: float | str = "auto",
        orthogonal: bool = True,
        trainable_gamma: bool = False,
        random_state: RandomState = 0,
    ) -> None:
        self.n_features = n_features
        self.kernel = kernel
        self.gamma = gamma
        self.orthogonal = orthogonal
        self.trainable_gamma = trainable_gamma
        self.random_state = random_state

    def __call__(self, input_shape: tuple[int, ...], n_outputs: int) -> Network:
        """Build the network.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample.
        n_outputs : int
            Number of scores per sample.

        Returns
        -------
        keras.Model
        """
        # Imported late, because that module imports Keras.
        from penultimate.networks.margins.layers import RandomFourierFeatures

        # Its layers are taken over into one model, so that the features are part of the network.
        machine = linear((self.n_features,), n_outputs)
        params = self.get_params()
        # The layer says seed, as in Keras; this builder random_state, as in scikit-learn.
        params["seed"] = draw_seed(params.pop("random_state"))
        layers = import_keras().layers
        with standard_settings():
            features = RandomFourierFeatures(**params, name="random_features")
            return import_keras().Sequential(
                [layers.Input(input_shape), features, *machine.layers],
                name="random_feature_network",
            )


def make_margin_loss(name: str) -> Loss:
    """Make a loss by its name in ``networks.margins.losses.LOSSES``.

    Parameters
    ----------
    name : str

    Returns
    -------
    MarginLoss

    Examples
    --------
    >>> from penultimate.networks.margins.builders import make_margin_loss
    >>> make_margin_loss("squared_hinge").squared
    True
    """
    from penultimate.networks.margins.losses import LOSSES  # which imports Keras

    return LOSSES[name]()


def build_margin_network(
    network: str | Builder,
    input_shape: tuple[int, ...],
    n_outputs: int,
    *,
    penalty: float,
    seed: int = 0,
) -> Network:
    r"""Build an untrained network that outputs scores, with a penalty on its last weights.

    A mean of hinge losses with the penalty :math:`\tfrac{1}{2 C n} \lVert W \rVert^2` is the SVM's
    objective :math:`\tfrac12 \lVert W \rVert^2 + C \sum_i \xi_i`, divided by C n.

    Parameters
    ----------
    network : str or callable
        As in `build_network`; a softmax or sigmoid at its end is removed.
    input_shape : tuple of int
        Shape of one sample.
    n_outputs : int
        Number of scores per sample.
    penalty : float
        Factor of the squared weights of the classifying layer; its bias has no penalty.
    seed : int, default=0
        Controls the initial weights.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        As in `build_network`, and if the network ends in another activation.

    Examples
    --------
    >>> from penultimate.networks.margins.builders import build_margin_network, linear
    >>> model = build_margin_network(linear, (4,), 3, penalty=0.01)
    >>> float(model.layers[-1].kernel_regularizer.l2)
    0.01
    """
    model = giving_scores(build_network(network, input_shape, n_outputs, seed=seed))
    layer = classifying_layer(model)
    # On the last weights alone: those before it make the features, whose scale is not the SVM's.
    regularizer = import_keras().regularizers.L2(penalty)
    weight_matrix(layer).regularizer = regularizer
    if hasattr(layer, "kernel_regularizer"):  # saved with the layer; its kernel exists already
        layer.kernel_regularizer = regularizer
    return model


def predict_scores(
    model: Network, X: Inputs, *, batch_size: int = 256, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Compute the scores of samples, in inference mode.

    Parameters
    ----------
    model : keras.Model
    X : ndarray of shape (n_samples, ...)
    batch_size : int, default=256
        Maximum number of samples per pass.
    progress : Progress, optional
        Observer of every batch.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float32

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.builders import linear, predict_scores
    >>> predict_scores(linear((4,), 3), np.ones((2, 4))).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    step = "predict with the network"
    inputs = as_inputs(KerasNetwork(model).inputs(), X)
    return forward(model, inputs, batch_size=batch_size, progress=progress, step=step)
