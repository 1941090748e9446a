"""Validation of `network` parameters, with advice for everything else that people pass.

All functions and classes that take a network call `check_network`, so that a path, a module of
another framework or a misspelled name gets the same error everywhere, before any work is done.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from sklearn.base import BaseEstimator

from penultimate.networks.adapting import HoldsNetwork, adapt, is_frozen, is_path
from penultimate.networks.architectures import NETWORKS
from penultimate.networks.frameworks.backend import is_keras_model
from penultimate.networks.functions import is_function
from penultimate.networks.pretrained import PRETRAINED

_LOAD_WEIGHTS = (
    "It holds weights without a network: load them into their model, and pass the model."
)
_LOAD_MODULE = "Load it in torch, into its module, and pass the module."
# Suffixes of network files, other than those that are taken as they are.
_FILES = {
    ".h5": "Load it with keras.models.load_model, and pass the model.",
    ".hdf5": "Load it with keras.models.load_model, and pass the model.",
    ".pt": _LOAD_MODULE,
    ".pth": _LOAD_MODULE,
    ".safetensors": _LOAD_WEIGHTS,
    ".npz": _LOAD_WEIGHTS,
}
_OTHER_FILE = "Load it with the framework that wrote it, and pass the network."
# Advice by the package that defines a class or one of its bases. Keras comes first: with the torch
# backend, its layers are also torch modules.
_FOREIGN = {
    "keras": "Put it into a model: keras.Sequential([keras.Input(shape), ...]).",
    "torch": "Pass the torch.nn.Module itself.",
    "onnx": "Pass an onnx.ModelProto, or the path of an .onnx file.",
    "onnxruntime": "Pass the path of its .onnx file.",
    "tf_keras": "Models of Keras 2 are not supported: save it, and load it with Keras 3.",
    "tensorflow": "Wrap it in a Keras model; keras.layers.TFSMLayer takes a SavedModel.",
    "flax": "Wrap it in a Keras model; keras.layers.FlaxLayer takes it.",
}
_TRAINED = (
    "a Keras model, a torch module, the path of an .onnx or .keras file, the name of a pretrained "
    f"one such as {next(iter(PRETRAINED))!r}"
)
_SHOWN = 80  # characters of an object's repr in a message


def check_network(network: object, owner: str, *, takes_trained: bool = True) -> None:
    """Raise unless `network` is a name, a function that builds a Keras model, or a trained network.

    Parameters
    ----------
    network : object
    owner : str
        Name of the function or class with this parameter, for messages.
    takes_trained : bool, default=True
        Whether a trained network is accepted.

    Raises
    ------
    ValueError
        If it is an unknown name, or the path of a file that is missing or no network.
    TypeError
        If it is anything else invalid; the message says what to pass instead.

    Examples
    --------
    >>> from penultimate.networks.arguments import check_network
    >>> try:
    ...     check_network("compcat", "DeepSVC")
    ... except ValueError as error:
    ...     print(str(error)[-39:])
    got 'compcat'. Did you mean 'compact'?
    """
    if names_builder(network):
        return
    shown = _shown(network)
    kind: type[Exception] = TypeError
    if is_frozen(network):
        if takes_trained:
            check_file(network, owner)
            return
        if is_keras_model(network):
            shown = f"the Keras model {network.name!r}"
        advice = (
            "Pass the function that builds it, or fit a head on the features of a trained network "
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
    model = f", or a trained network ({_TRAINED})" if takes_trained else ""
    raise kind(
        f"The 'network' parameter of {owner} must be one of {choices}, a function of "
        f"(input_shape, n_classes) that builds a Keras model{model}; got {shown}. {advice}".rstrip()
    )


def names_builder(network: object) -> bool:
    """Return whether `network` is a name in `NETWORKS`, of a network to be trained."""
    return isinstance(network, str) and network in NETWORKS


def check_one_input(network: object, X: object, owner: str) -> None:
    """Raise for the inputs of a network that has several, where one array is taken.

    Raises
    ------
    ValueError
        With the way out.
    """
    if not is_frozen(network) or not isinstance(X, (list, tuple, Mapping)):
        return
    inputs = adapt(network).inputs()
    # A list of another length is one of samples, whose shape is checked later.
    if len(inputs) > 1 and len(X) == len(inputs):
        raise ValueError(
            f"{owner} takes one array; the network takes {len(inputs)}. Compute its "
            "features with FeatureExtractor(network).fit_transform(X), and fit SVCSearchCV on them."
        )


def check_file(network: object, owner: str) -> None:
    """Raise ``ValueError`` for the path of a file that does not exist."""
    if isinstance(network, (str, PurePath)) and is_path(network) and not os.path.isfile(network):
        kind = "is a folder" if os.path.isdir(network) else "does not exist"
        raise ValueError(
            f"The 'network' parameter of {owner} must be the path of a file; got "
            f"{str(network)!r}, which {kind}."
        )


def check_extracted(network: object, owner: str) -> None:
    """Raise unless `network` is a trained network, or a function from a batch to features.

    Raises
    ------
    TypeError
        With advice for what people pass instead.
    ValueError
        If it is the path of a file that does not exist.
    """
    # Those of its bases, too: a network is usually of a class that the user derived.
    packages = {cls.__module__.partition(".")[0] for cls in type(network).__mro__}
    foreign = next((advice for name, advice in _FOREIGN.items() if name in packages), None)
    if isinstance(network, HoldsNetwork):
        raise TypeError(
            f"The 'network' parameter of {owner} is an extractor already; change it with "
            "set_params, such as set_params(layer='block_3')."
        )
    if is_frozen(network) or (foreign is None and is_function(network)):
        check_file(network, owner)
        return
    if isinstance(network, (str, PurePath)):
        advice = "To train a network by name, use DeepSVC."
        if not names_builder(network):
            advice = _advise_on_text(os.fspath(network), isinstance(network, str))
    elif isinstance(network, type):
        advice = "That is a class. Pass an instance of it."
    elif isinstance(network, Mapping):
        advice = _LOAD_WEIGHTS
    else:
        advice = foreign or ""
    raise TypeError(
        f"The 'network' parameter of {owner} must be a trained network ({_TRAINED}) or a function "
        f"from a batch to features; got {_shown(network)}. {advice}".rstrip()
    )


def _shown(network: object) -> str:
    shown = repr(network)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _advise_on_text(text: str, may_be_name: bool) -> str:
    """Return advice for the path of a file, or for an unknown name."""
    suffix = PurePath(text).suffix.lower()
    # What looks like a path is not taken for a misspelled name.
    path = suffix in _FILES or "/" in text or "\\" in text or os.path.exists(text)
    if path or not may_be_name:
        return _FILES.get(suffix, _OTHER_FILE)
    written = text.strip().lower().replace("_", "-")
    # Lower than difflib's 0.6: names are short, so that each wrong letter weighs more.
    if near := get_close_matches(written, [*NETWORKS, *PRETRAINED], n=2, cutoff=0.5):
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return "For another network pass the model itself, such as keras.applications.ResNet50()."


def _advise_on_object(network: object) -> str | None:
    """Return advice for an object; None if it may build a model when called."""
    kind = network if isinstance(network, type) else type(network)
    is_class, ancestors = kind is network, kind.__mro__
    packages = {cls.__module__.partition(".")[0] for cls in ancestors}
    if is_class and ancestors[0].__module__.partition(".")[0] != "keras" and "keras" in packages:
        return _advise_on_signature(kind)  # a user's own model class builds a model
    foreign = next((advice for name, advice in _FOREIGN.items() if name in packages), None)
    if is_class:
        return f"That is a class. {foreign or 'Pass an instance of it.'}"
    if foreign is not None:
        return foreign
    if callable(network):  # a function, or an object such as RandomFeatureNetwork
        return _advise_on_signature(network)
    # A classifier that was passed instead of the network in it, or of the head on top.
    if isinstance(network, BaseEstimator):
        if is_keras_model(getattr(network, "network_", None)):
            return "Pass its Keras model, the attribute .network_."
        return "A classifier goes on top of a network, as the 'head' parameter of DeepSVC."
    if isinstance(network, (list, tuple)):
        return "Make a model from layers with keras.Sequential(layers)."
    return ""


def _advise_on_signature(builder: Callable[..., Any]) -> str | None:
    try:
        signature = inspect.signature(builder)
    except (TypeError, ValueError):  # some compiled functions have no signature
        return None
    try:
        # Any values will do: only the number of parameters is asked for.
        signature.bind((28, 28, 1), 10)
    except TypeError as error:
        name = getattr(builder, "__name__", type(builder).__name__)
        return f"It is called as {name}((28, 28, 1), 10), but is {name}{signature}: {error}."
    return None
