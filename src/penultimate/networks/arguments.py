"""What may be passed as `network`, and for everything else that people pass, what to do instead.

One function is asked by everything that takes a network, so that a path, another framework's
module or a misspelt name gets the same answer everywhere, before any work is done.
"""

import inspect
import os
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from sklearn.base import BaseEstimator

from penultimate.networks.architectures import NETWORKS
from penultimate.networks.frameworks.backend import is_keras_model

_USE_FEATURES = "Compute its features yourself, and pass these as X to SVCSearchCV."
_LOAD_WEIGHTS = "It holds weights without a network: load them into their model, and pass that."
# How files of networks end.
_FILES = {
    ".keras": "Load it with penultimate.networks.load_network, and pass the model.",
    ".h5": "Load it with keras.models.load_model, and pass the model.",
    ".hdf5": "Load it with keras.models.load_model, and pass the model.",
    ".onnx": f"ONNX files are not taken. {_USE_FEATURES}",
    ".pt": f"Files of PyTorch are not taken. {_USE_FEATURES}",
    ".pth": f"Files of PyTorch are not taken. {_USE_FEATURES}",
    ".safetensors": _LOAD_WEIGHTS,
    ".npz": _LOAD_WEIGHTS,
}
_OTHER_FILE = "Load it with the framework that wrote it, and pass the Keras model."
# The package in which a class, or one that it inherits from, is defined. Keras comes first: on
# torch its layers are modules of torch as well.
_FOREIGN = {
    "keras": "Put it into a model: keras.Sequential([keras.Input(shape), ...]).",
    "torch": f"PyTorch modules are not taken. {_USE_FEATURES}",
    "onnx": _FILES[".onnx"],
    "onnxruntime": _FILES[".onnx"],
    "tf_keras": "Models of Keras 2 are not taken: save it, and load it with Keras 3.",
    "tensorflow": "Wrap it in a Keras model; keras.layers.TFSMLayer takes a SavedModel.",
    "flax": "Wrap it in a Keras model; keras.layers.FlaxLayer takes it.",
}
_SHOWN = 80  # characters of an object, in a message


def check_network(network: Any, owner: str, *, takes_trained: bool = True) -> None:
    """Raise unless `network` is a name, a function that builds a Keras model, or such a model.

    Parameters
    ----------
    network : object
    owner : str
        The function or class whose parameter it is, for messages.
    takes_trained : bool, default=True
        Whether it may be a Keras model.

    Raises
    ------
    ValueError
        If it is an unknown name, or the path of a file.
    TypeError
        If it is anything else; the message says what to pass instead.

    Examples
    --------
    >>> from penultimate.networks.arguments import check_network
    >>> try:
    ...     check_network("compcat", "DeepSVC")
    ... except ValueError as error:
    ...     print(str(error)[-39:])
    got 'compcat'. Did you mean 'compact'?
    """
    if isinstance(network, str) and network in NETWORKS:
        return
    shown = repr(network)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    kind: type[Exception] = TypeError
    if is_keras_model(network):
        if takes_trained:
            return
        shown = f"the Keras model {network.name!r}"
        advice = (
            "Pass the function that builds it; or put a head on the features of a trained network "
            "with DeepSVC."
        )
    elif isinstance(network, (str, PurePath)):
        kind, advice = ValueError, _advise_on_text(os.fspath(network), isinstance(network, str))
    else:
        objection = _advise_on_object(network)
        if objection is None:
            return
        advice = objection
    choices = ", ".join(repr(name) for name in NETWORKS)
    model = ", or a Keras model" if takes_trained else ""
    raise kind(
        f"The 'network' parameter of {owner} must be one of {choices}, a function of "
        f"(input_shape, n_classes) that builds a Keras model{model}; got {shown}. {advice}".rstrip()
    )


def _advise_on_text(text: str, may_be_name: bool) -> str:
    """Say what to do with the path of a file, or a name that is none of ours."""
    suffix = PurePath(text).suffix.lower()
    is_path = suffix in _FILES or "/" in text or "\\" in text or os.path.exists(text)
    if is_path or not may_be_name:
        return _FILES.get(suffix, _OTHER_FILE)
    written = text.strip().lower().replace("_", "-")
    if near := get_close_matches(written, NETWORKS, n=2, cutoff=0.5):
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return "For another network pass the model itself, such as keras.applications.ResNet50()."


def _advise_on_object(network: Any) -> str | None:
    """Say what to do with an object; nothing if it builds a model when it is called."""
    is_class = isinstance(network, type)
    ancestors = (network if is_class else type(network)).__mro__
    packages = {cls.__module__.partition(".")[0] for cls in ancestors}
    if is_class and ancestors[0].__module__.partition(".")[0] != "keras" and "keras" in packages:
        return _advise_on_signature(network)  # the user's own class of models builds one
    foreign = next((advice for name, advice in _FOREIGN.items() if name in packages), None)
    if is_class:
        return f"That is a class. {foreign or 'Pass an instance of it.'}"
    if foreign is not None:
        return foreign
    if callable(network):  # a function, or an object such as RandomFeatureNetwork
        return _advise_on_signature(network)
    if isinstance(network, BaseEstimator):
        if is_keras_model(getattr(network, "network_", None)):
            return "Pass the Keras model in it, .network_."
        return "A classifier goes on top of a network, as the 'head' parameter of DeepSVC."
    if isinstance(network, (list, tuple)):
        return "Make a model of layers with keras.Sequential(layers)."
    return ""


def _advise_on_signature(builder: Any) -> str | None:
    try:
        signature = inspect.signature(builder)
    except (TypeError, ValueError):  # some compiled functions have none
        return None
    try:
        signature.bind((28, 28, 1), 10)
    except TypeError as error:
        name = getattr(builder, "__name__", type(builder).__name__)
        return f"It is called as {name}((28, 28, 1), 10), but is {name}{signature}: {error}."
    return None
