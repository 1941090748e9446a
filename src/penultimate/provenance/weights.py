"""The weights of a network of any framework, as digests by which networks are recognized.

Copies of a network (by copy, clone or pickle) lose its attributes but keep its weights, and what
was cut from a network or got another head keeps some of them. No framework is imported here: Keras
models, torch modules and the adapters of other networks are recognized by their methods.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import xxhash
from numpy.typing import NDArray


@dataclass(frozen=True)
class Part:
    """A layer or module with weights of its own.

    Attributes
    ----------
    holder : object
        The layer, which may live on in other networks.
    trainable : tuple of bytes
        Digests of the weights that training changes.
    all : tuple of bytes
        Digests of all weights.
    is_frozen : bool
        Whether training was turned off.
    """

    holder: Any
    trainable: tuple[bytes, ...]
    all: tuple[bytes, ...]
    is_frozen: bool


@dataclass(frozen=True)
class Weights:
    """The weights of a network.

    Attributes
    ----------
    digest : bytes
        Of all of them, in order.
    distinctive : set of bytes
        Digests of those that identify a network: constant ones, such as a bias of zeros, are equal
        in networks that share nothing.
    parts : list of Part
        The layers with weights, those of nested models, too.
    """

    digest: bytes
    distinctive: set[bytes]
    parts: list[Part]


def is_network(model: object) -> TypeGuard[Any]:
    """Return whether `model` is a network, by its methods."""
    return _is_keras(model) or is_torch_module(model) or _is_adapter(model)


def weights_of(network: Any) -> Weights:
    """Return the weights of a network.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module or FrozenNetwork
    """
    if _is_keras(network):
        return _of_keras(network)
    if is_torch_module(network):
        return _of_torch(network)
    return Weights(bytes.fromhex(network.digest()), set(), [])


def _is_keras(model: object) -> bool:
    return callable(getattr(model, "get_weights", None))


def is_torch_module(model: object) -> bool:
    """Return whether `model` is a torch module that is not Keras's."""
    methods = ("state_dict", "named_modules")
    return not _is_keras(model) and all(callable(getattr(model, each, None)) for each in methods)


def _is_adapter(model: object) -> bool:
    return callable(getattr(model, "digest", None)) and callable(getattr(model, "cut", None))


def _of_keras(network: Any) -> Weights:
    digests = _Digests(zip(map(id, network.weights), network.get_weights()))
    parts = [
        Part(
            layer,
            digests.of(map(id, layer.trainable_weights)),
            digests.of(map(id, layer.weights)),
            not layer.trainable,
        )
        for layer in _layers_of(network)
    ]
    return Weights(digests.whole(), digests.distinctive, parts)


def _layers_of(network: Any) -> list[Any]:
    found: list[Any] = []
    for layer in getattr(network, "layers", []):
        if hasattr(layer, "layers"):
            found += _layers_of(layer)
        elif layer.weights:
            found.append(layer)
    return found


def _of_torch(network: Any) -> Weights:
    state = network.state_dict(keep_vars=True)
    digests = _Digests((id(tensor), _values(tensor)) for tensor in state.values())
    parts = []
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own:
            trainable = [id(each) for each in own if each.requires_grad]
            every = [id(each) for each in (*own, *module.buffers(recurse=False))]
            parts.append(Part(module, digests.of(trainable), digests.of(every), not trainable))
    return Weights(digests.whole(), digests.distinctive, parts)


def _values(tensor: Any) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16, whose values float32 holds exactly.
    return tensor.float().numpy() if "bfloat16" in str(tensor.dtype) else tensor.numpy()


class _Digests:
    """Digests of weights, by the identity of the variable that holds them."""

    def __init__(self, values: Iterable[tuple[int, NDArray[Any]]]) -> None:
        self._by_id: dict[int, bytes] = {}
        self.distinctive: set[bytes] = set()
        for identity, array in values:
            flat = np.ascontiguousarray(array).reshape(-1)
            digest = xxhash.xxh3_128_digest(flat.view(np.uint8).data)
            self._by_id[identity] = digest
            if len(flat) > 1 and (flat != flat[0]).any():
                self.distinctive.add(digest)

    def of(self, identities: Iterable[int]) -> tuple[bytes, ...]:
        """Return the digests of some; what is not saved with the network has none."""
        return tuple(self._by_id[each] for each in identities if each in self._by_id)

    def whole(self) -> bytes:
        """Return the digest of all."""
        return xxhash.xxh3_128_digest(b"".join(self._by_id.values()))
