"""Building an untrained network for samples of a given shape, with errors that say what to do."""

from penultimate._common.protocols import Builder, Network
from penultimate.networks.architectures import NETWORKS
from penultimate.networks.arguments import check_network
from penultimate.networks.frameworks.backend import is_keras_model, seeded

# Pixels per side. The named networks pool maps of at least this side: a smaller image would not be
# pooled at all.
_SMALLEST_IMAGE = 8
_LARGEST_TRIED = 1024  # pixels per side: beyond it, the image size is not the problem


def build_network(
    network: str | Builder, input_shape: tuple[int, ...], n_classes: int, *, seed: int = 0
) -> Network:
    """Build an untrained network.

    Parameters
    ----------
    network : str or callable
        A name in ``NETWORKS``, or a function of (input_shape, n_classes) that returns a Keras
        model with `n_classes` outputs.
    input_shape : tuple of int
        Shape of one sample.
    n_classes : int
        Number of classes.
    seed : int, default=0
        Controls the initial weights.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If the name is unknown, the images are too small, or there are not `n_classes` outputs.
    TypeError
        If `network` is neither, or the function does not return a Keras model.

    Examples
    --------
    >>> from penultimate.networks import build_network
    >>> build_network("compact", (28, 28, 1), 10).count_params()
    473306
    """
    check_network(network, "build_network", takes_trained=False)
    if isinstance(network, str):
        if len(input_shape) != 3 or min(input_shape[:2]) < _SMALLEST_IMAGE:
            raise ValueError(
                f"The network {network!r} takes images of at least {_SMALLEST_IMAGE} x "
                f"{_SMALLEST_IMAGE} pixels, (height, width, channels); got samples of shape "
                f"{input_shape}. {_what_to_pass(input_shape)}"
            )
        network = NETWORKS[network]
    model = _build(network, input_shape, n_classes, seed)
    if not is_keras_model(model):
        raise TypeError(
            f"The function that builds the network must return a Keras model; got {model!r}."
        )
    if tuple(model.output_shape) != (None, n_classes):
        raise ValueError(
            f"The network must end in one unit for each of the {n_classes} classes; its output "
            f"has shape {model.output_shape}."
        )
    return model


def _build(builder: Builder, input_shape: tuple[int, ...], n_classes: int, seed: int) -> Network:
    name = getattr(builder, "__name__", type(builder).__name__)
    try:
        # Keras draws initial weights when layers are built, which is inside the builder.
        with seeded(seed):
            return builder(input_shape, n_classes)
    except Exception as error:
        # Keras's message has "zero or negative" and a layer, but neither the image nor a remedy.
        side = None
        if "negative" in str(error):
            with seeded(seed):  # restores the generators that each attempt draws from
                side = _smallest_side(builder, input_shape, n_classes)
        if side is None:
            error.add_note(f"Raised by {name}({input_shape}, {n_classes}), the network's builder.")
            raise
        height, width, *_ = input_shape
        raise ValueError(
            f"The network that {name} builds is too deep for images of {height} x {width} pixels: "
            "its pooling and convolutions reduce them to nothing. It takes images of at least "
            f"{side} x {side} pixels. Pass larger ones, or a network with fewer such layers."
        ) from error


def _what_to_pass(shape: tuple[int, ...]) -> str:
    """Say what to do with samples that a named network does not take."""
    # Rows of a single color image, (width, 3), were given a gray channel: (width, 3, 1).
    if len(shape) == 3 and shape[0] >= _SMALLEST_IMAGE and shape[1:] in ((1, 1), (3, 1), (4, 1)):
        return "If X is one image, pass X[None], an array with one image."
    return "For other inputs pass a function that builds a network."


def _smallest_side(builder: Builder, input_shape: tuple[int, ...], n_classes: int) -> int | None:
    """Return the smallest side of an image that a network can take; None if none helps.

    The side is doubled until the network can be built, then bisected: up to twenty networks are
    built, but only after the user's own call has failed.
    """
    if len(input_shape) != 3:
        return None
    *_, channels = input_shape

    def builds(side: int) -> bool:
        try:
            builder((side, side, channels), n_classes)
        except Exception:
            return False
        return True

    # `low` cannot be built (the user's call failed), `high` will be: invariants of the bisection.
    low = min(input_shape[:2])
    high = 2 * low
    while not builds(high):
        low, high = high, 2 * high
        if high > _LARGEST_TRIED:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if builds(middle) else (middle, high)
    return high
