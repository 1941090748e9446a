"""Finding the adapter for whatever a user has as a trained network."""

import os
from functools import lru_cache
from pathlib import PurePath
from typing import Any, TypeGuard

from penultimate.networks.files import load_network
from penultimate.networks.frameworks.backend import is_keras_model
from penultimate.networks.frameworks.frozen import FrozenNetwork, Shape
from penultimate.networks.frameworks.onnx_graphs import is_onnx
from penultimate.networks.frameworks.onnx_messages import OnnxModel
from penultimate.networks.frameworks.torch_running import is_torch_module
from penultimate.networks.functions import FunctionNetwork, is_function
from penultimate.networks.preprocessing import Preprocessing
from penultimate.networks.pretrained import PRETRAINED, Pretrained, pretrained_network


class HoldsNetwork:
    """What holds a trained network and says how it is used: a `FeatureExtractor`."""

    network: Any
    preprocessing: Preprocessing | None


def is_frozen(network: object) -> bool:
    """Return whether `network` is a trained network, which is used as it is.

    Parameters
    ----------
    network : object
        A Keras model, a torch module, an ONNX model or the path of one, the name of a pretrained
        network, or a `FeatureExtractor` of any of these. What is not is trained: a name in
        ``networks.NETWORKS``, or a function that builds a network.

    Returns
    -------
    bool

    Examples
    --------
    >>> from penultimate.networks import is_frozen
    >>> is_frozen("compact"), is_frozen("model.onnx")
    (False, True)
    """
    return (
        is_keras_model(network)
        or is_torch_module(network)
        or is_path(network)
        or is_pretrained(network)
        or is_onnx(network)
        or isinstance(network, (FrozenNetwork, HoldsNetwork))
    )


def is_pretrained(network: object) -> TypeGuard[str]:
    """Return whether `network` is the name of a pretrained network."""
    return isinstance(network, str) and network in PRETRAINED


def is_path(network: object) -> TypeGuard[str | PurePath]:
    """Return whether `network` is the path of a file that holds a whole network."""
    return isinstance(network, (str, PurePath)) and (
        PurePath(network).suffix.lower() in (".onnx", ".keras")
    )


def open_network(network: object) -> Any:
    """Return a trained network that is read no more: of a path or a name, what it stands for."""
    if is_path(network) or is_pretrained(network) or is_onnx(network):
        frozen = adapt(network)
        # Of a .keras file the model, as if the user had loaded it.
        return getattr(frozen, "model", frozen) if frozen.framework == "Keras" else frozen
    if isinstance(network, HoldsNetwork) and isinstance(network.network, (str, PurePath)):
        # A copy: the user's extractor keeps the parameter that it was given.
        extractor: Any = network
        params = extractor.get_params(deep=False)
        return type(network)(**{**params, "network": open_network(network.network)})
    return network


def takes_pixels(network: object) -> bool:
    """Return whether images are given to `network` as pixels from 0 to 255.

    Parameters
    ----------
    network : object

    Returns
    -------
    bool
        True for a Keras model with a graph of layers that starts by rescaling pixels, and for what
        comes with a `Preprocessing`; False for anything else.

    Examples
    --------
    >>> from penultimate.networks import build_network, takes_pixels
    >>> takes_pixels(build_network("compact", (8, 8, 1), 2))
    True
    """
    return prepares_images(network) or (is_frozen(network) and adapt(network).takes_pixels())


def prepares_images(network: object) -> bool:
    """Return whether `network` comes with a `Preprocessing`, and takes images of any size."""
    if isinstance(network, HoldsNetwork) and network.preprocessing is not None:
        return True
    return is_frozen(network) and adapt(network).preprocessing is not None


def pretrained_of(network: object) -> Pretrained | None:
    """Return what is known of a network that is pretrained by name; None of any other."""
    inner = network.network if isinstance(network, HoldsNetwork) else network
    # Only a network by name has a preprocessing; a file may happen to be called like one.
    name = inner.name if isinstance(inner, FrozenNetwork) and inner.preprocessing else inner
    return PRETRAINED.get(name) if isinstance(name, str) else None


def takes_channels_first(network: object) -> bool:
    """Return whether a trained network takes arrays with the channels before height and width."""
    return is_frozen(network) and not prepares_images(network) and adapt(network).channels_first()


def stated_shape(network: object) -> Shape | None:
    """Return the shape of the samples that a trained network takes, if it is known and only one."""
    if not is_frozen(network) or prepares_images(network):
        return None
    inputs = adapt(network).inputs()
    return inputs[0].shape if len(inputs) == 1 else None


def adapt(network: object) -> FrozenNetwork:
    """Return the adapter of a trained network.

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(network, FrozenNetwork):
        return network
    if isinstance(network, HoldsNetwork):
        return adapt(network.network)
    # Each adapter is imported where it is needed, as it imports its framework. A model or module
    # shows that its framework is loaded already.
    if is_keras_model(network):
        from penultimate.networks.frameworks.keras_network import KerasNetwork

        return KerasNetwork(network)
    if is_torch_module(network):
        from penultimate.networks.frameworks.torch_modules import TorchNetwork

        return TorchNetwork(network)
    if is_pretrained(network):
        return _by_name(network)
    if is_path(network):
        if not os.path.isfile(network):
            raise ValueError(f"There is no network file {os.fspath(network)!r}.")
        # A file that was changed is read again.
        stat = os.stat(network)
        return _read(os.fspath(network), stat.st_mtime_ns, stat.st_size)
    if is_onnx(network):
        return _of_onnx(network)
    if is_function(network):
        return FunctionNetwork(network)
    raise TypeError(f"{network!r} is no trained network.")


@lru_cache(maxsize=4)  # a fit asks several times, and reading takes up to a second
def _read(path: str, modified: int, size: int) -> FrozenNetwork:
    return _of_onnx(path) if is_onnx(path) else adapt(load_network(path))


@lru_cache(maxsize=4)
def _by_name(name: str) -> FrozenNetwork:
    frozen = _of_onnx(pretrained_network(name))
    # In messages it has the name that was asked for, not that of the cached file.
    frozen.name, frozen.preprocessing = name, PRETRAINED[name].preprocessing
    return frozen


def _of_onnx(network: str | PurePath | OnnxModel) -> FrozenNetwork:
    from penultimate.networks.frameworks.onnx_graphs import OnnxNetwork

    return OnnxNetwork(network)
