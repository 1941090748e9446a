"""The weights of a network of any framework, as digests by which networks are recognized.

Copies of a network (by copy, clone or pickle) lose its attributes but keep its weights, and what
was cut from a network or got another head keeps some of them. No framework is imported here: Keras
models, torch modules and the adapters of other networks are recognized by their methods.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeGuard

import numpy as np
import xxhash
from numpy.typing import NDArray


class _KerasLayer(Protocol):
    """A layer of a Keras model, or the model itself."""

    weights: Sequence[object]
    trainable_weights: Sequence[object]
    trainable: bool

    def get_weights(self) -> list[NDArray[Any]]:
        """Return the values of its weights, in their order."""


class _TorchTensor(Protocol):
    """A tensor of torch, with the members that its values are read by."""

    dtype: object
    requires_grad: bool

    def detach(self) -> Self: ...
    def cpu(self) -> Self: ...
    def float(self) -> Self: ...
    def numpy(self) -> NDArray[Any]: ...


class _TorchModule(Protocol):
    """A module of torch, with the members that its weights are read by."""

    def state_dict(self, *, keep_vars: bool) -> Mapping[str, _TorchTensor]: ...
    def modules(self) -> Iterator["_TorchModule"]: ...
    def parameters(self, *, recurse: bool) -> Iterator[_TorchTensor]: ...
    def buffers(self, *, recurse: bool) -> Iterator[_TorchTensor]: ...


class _Adapter(Protocol):
    """A network of another framework, which knows the digest of its weights."""

    def digest(self) -> str:
        """Return it as hexadecimal digits."""


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

    holder: object
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


def weights_of(network: object) -> Weights:
    """Return the weights of a network.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module or FrozenNetwork
    """
    if _is_keras(network):
        return _of_keras(network)
    if is_torch_module(network):
        return _of_torch(network)
    assert _is_adapter(network)  # the only other kind of which anything is recorded
    return Weights(bytes.fromhex(network.digest()), set(), [])


def _is_keras(model: object) -> TypeGuard[_KerasLayer]:
    return callable(getattr(model, "get_weights", None))


def is_torch_module(model: object) -> TypeGuard[_TorchModule]:
    """Return whether `model` is a torch module that is not Keras's."""
    methods = ("state_dict", "named_modules")
    return not _is_keras(model) and all(callable(getattr(model, each, None)) for each in methods)


def _is_adapter(model: object) -> TypeGuard[_Adapter]:
    return callable(getattr(model, "digest", None)) and callable(getattr(model, "cut", None))


def _of_keras(network: _KerasLayer) -> Weights:
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


def _layers_of(network: _KerasLayer) -> list[_KerasLayer]:
    found: list[_KerasLayer] = []
    for layer in getattr(network, "layers", []):
        if hasattr(layer, "layers"):
            found += _layers_of(layer)
        elif layer.weights:
            found.append(layer)
    return found


def _of_torch(network: _TorchModule) -> Weights:
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


def _values(tensor: _TorchTensor) -> NDArray[Any]:
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
            # Networks that share nothing have equal biases of zeros, and equal scales of ones.
            if len(flat) > 1 and (flat != flat[0]).any():
                self.distinctive.add(digest)

    def of(self, identities: Iterable[int]) -> tuple[bytes, ...]:
        """Return the digests of some; what is not saved with the network has none."""
        return tuple(self._by_id[each] for each in identities if each in self._by_id)

    def whole(self) -> bytes:
        """Return the digest of all."""
        return xxhash.xxh3_128_digest(b"".join(self._by_id.values()))
