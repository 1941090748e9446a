"""The probabilities of a network, whatever it ends in: softmax, sigmoid or logits."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Inputs
from penultimate.networks.adapting import adapt
from penultimate.networks.extraction import extracted
from penultimate.networks.extractors import of_whole

_ROUNDING = 1e-3  # bound on the rounding of the sum of a softmax's outputs, even in bfloat16


def predict_probabilities(
    network: object, X: Inputs, *, batch_size: int = 256, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Compute the probabilities of a network, in inference mode.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module, str, Path, onnx.ModelProto or FeatureExtractor
        A trained network; of an extractor, the network and its preprocessing are used.
    X : ndarray of shape (n_samples, ...), or sequence of images
        Inputs of the network; with several, a list or a dict by name.
    batch_size : int, default=256
        Maximum number of samples per pass.
    progress : Progress, optional
        Observer of every batch.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32
        Logits, and outputs with negative values among them, pass through a softmax, or through a
        sigmoid if there is a single output. A single output becomes two columns, and is the second.
        Sigmoids of several classes are scaled to sum to one, which keeps their order.

    Raises
    ------
    ValueError
        If the samples do not have the shape that the network takes, if it has several outputs, or
        if it is not clear whether they are probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import build_network, predict_probabilities
    >>> network = build_network("compact", (8, 8, 1), 3)
    >>> predict_probabilities(network, np.zeros((2, 8, 8, 1))).sum(axis=1).round(3).tolist()
    [1.0, 1.0]
    """
    extractor = of_whole(network, X, batch_size)
    outputs = extracted(extractor, X, progress, step="predict with the network")
    # A negative value is no probability, whatever the graph says.
    are_logits = extractor._network.frozen.gives_logits(outputs) or bool((outputs < 0).any())
    if outputs.shape[1] == 1:
        positive = expit(outputs) if are_logits else outputs
        return np.hstack([1 - positive, positive])
    if are_logits:
        return softmax(outputs, axis=1)
    total = outputs.sum(axis=1, keepdims=True)
    if np.allclose(total, 1, atol=_ROUNDING):
        return outputs  # already a softmax: dividing would only round it again
    # All sigmoids may be zero at once.
    return outputs / np.maximum(total, np.finfo(np.float32).tiny)


def numbers_classes(network: object, n_classes: int, X: Inputs | None = None) -> bool:
    """Return whether a network has one output per class, or a single one for two classes.

    Parameters
    ----------
    network : object
        A trained network, or an extractor.
    n_classes : int
    X : array-like of shape (n_samples, ...), or sequence of images, optional
        A few samples, for networks that state no shapes.
    """
    frozen = adapt(network)
    try:
        if frozen.states_shapes:
            cut = frozen.whole()
            shape = cut.output_shape([each.shape or () for each in cut.inputs])
        elif X is not None:
            shape = extracted(of_whole(network, X, batch_size=1), X).shape[1:]
        else:
            return False
    except ValueError:  # several outputs
        return False
    return shape == (n_classes,) or (shape, n_classes) == ((1,), 2)
