"""Checking a torch module, and running it in evaluation mode up to one of its values.

The module is left as it was: its mode is set flag by flag, as ``module.eval()`` may do more (LoRA
layers merge their weights into others), hooks are removed whatever happens, and gradients are off
for this thread only. One thread at a time is in here, since modules may share submodules.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import DTypeLike, NDArray

from penultimate.networks.frameworks.frozen import Example, Input
from penultimate.networks.frameworks.torch_graph import Place
from penultimate.networks.frameworks.torch_recording import leaves, tensors_taken

if TYPE_CHECKING:  # torch is loaded by whoever passes a module of it
    import torch

_one_at_a_time = threading.RLock()
# By their keys, as `leaves` gives them and as `tensors_taken` does.
_Tensors = Mapping[str, "torch.Tensor"] | Iterable[tuple[str, "torch.Tensor"]]


def is_torch_module(network: object) -> TypeGuard["torch.nn.Module"]:
    """Return whether `network` is a module of torch's, without importing torch.

    Parameters
    ----------
    network : object

    Returns
    -------
    bool
        False for a Keras model, which is a module, too, if its backend is torch.

    Examples
    --------
    >>> from penultimate.networks.frameworks.torch_modules import is_torch_module
    >>> is_torch_module("resnet18")
    False
    """
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    # While torch is being imported, by another thread, it has no `nn` yet.
    if torch is None or not hasattr(torch, "nn") or not isinstance(network, torch.nn.Module):
        return False
    return not isinstance(network, getattr(keras, "Layer", ()))


def checked(network: object) -> "torch.nn.Module":
    """Return the module to run, or raise for what cannot be run or observed."""
    import torch

    if isinstance(network, type):
        raise TypeError(
            f"The network is the class {network.__name__!r}; pass a trained instance of it: "
            f"{network.__name__}(...), with its weights loaded."
        )
    if isinstance(network, Mapping) and not isinstance(network, torch.nn.Module):
        raise TypeError(
            f"The network is a {type(network).__name__} of {len(network)} entries, as a state_dict "
            "is: weights without the network. Build the module, call "
            "module.load_state_dict(...) with it, and pass the module."
        )
    if not is_torch_module(network):
        raise TypeError(f"The network must be a torch.nn.Module; got {network!r}.")
    module = network
    # What torch.compile returns holds the module that it was given.
    if type(module).__name__ == "OptimizedModule":
        module = dict(module.named_children()).get("_orig_mod", module)
    name = type(module).__name__
    for part, each in module.named_modules():
        if isinstance(each, torch.jit.ScriptModule):
            scripted = f"has a scripted part, {part!r}," if part else "is a scripted module,"
            raise TypeError(
                f"The network {name!r} {scripted} whose layers cannot be observed; pass the "
                "torch.nn.Module that it was made of, or export it to ONNX."
            )
    # On several devices a hook sees parts of a batch, in any order.
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    if isinstance(module, wrappers):
        raise TypeError(
            f"The network is wrapped in {name}, which splits batches over devices; pass what it "
            "wraps, network.module."
        )
    for weight, value in weights_of(module):
        if torch.nn.parameter.is_lazy(value):
            raise ValueError(
                f"The weights {weight!r} of the network {name!r} have no shape yet: it has a lazy "
                "layer and never ran. Run it once, load trained weights, and pass it then."
            )
        if value.is_meta:
            raise ValueError(
                f"The weights {weight!r} of the network {name!r} are on the device 'meta', which "
                "holds no values; load them before."
            )
    return module


@contextmanager
def inference(module: "torch.nn.Module") -> Iterator[None]:
    """Put a module into evaluation mode, without gradients, and every part back into its own."""
    import torch

    # A compiled part would be compiled anew for every hook.
    is_compiling = "torch._dynamo" in sys.modules
    eager = torch.compiler.set_stance("force_eager") if is_compiling else nullcontext()
    with _one_at_a_time, torch.no_grad(), eager:
        modes = [(each, each.training) for each in module.modules()]
        try:
            for each, training in modes:
                if training:
                    each.training = False
            yield
        finally:
            for each, training in modes:
                if training:
                    each.training = True


class _Reached(BaseException):
    """Ends a forward pass: no `Exception`, which the module may catch."""


def until(
    module: "torch.nn.Module",
    places: Sequence[Place],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    ends_there: bool = True,
) -> list["torch.Tensor | None"]:
    """Run a module until values are there; return them, and None for those that never are.

    Unless it `ends_there`, the pass goes on to its own end, as one that is traced has to.
    """
    thread = threading.get_ident()
    found: dict[Place, torch.Tensor] = {}
    wanted = set(places)

    def watch(name: str, is_input: bool) -> Callable[[_Tensors], None]:
        calls = 0

        def keep(value: _Tensors) -> None:
            nonlocal calls
            # Another thread may be running the module meanwhile, for its own ends.
            if threading.get_ident() != thread:
                return
            for key, tensor in dict(value).items():
                if (place := Place(name, calls, key, is_input)) in wanted:
                    # What runs after it may change it in place.
                    found[place] = tensor.clone() if len(wanted) > 1 else tensor
            calls += 1
            if ends_there and len(found) == len(wanted):
                raise _Reached

        return keep

    handles = []
    try:
        # One hook for each side of a module, whatever the number of its values.
        for name, is_input in {(place.name, place.is_input): None for place in places}:
            # `keep` is bound as a default below, since the loop gives the name to the next one.
            keep, observed = watch(name, is_input), module.get_submodule(name)
            if is_input:
                handle = observed.register_forward_pre_hook(
                    lambda _, args, kwargs, keep=keep: keep(tensors_taken(args, kwargs)),
                    with_kwargs=True,
                )
            else:
                handle = observed.register_forward_hook(
                    lambda _, args, output, keep=keep: keep(leaves(output))
                )
            handles.append(handle)
        module(*args, **kwargs)
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return [found.get(place) for place in places]


def weights_of(module: "torch.nn.Module") -> Iterator[tuple[str, "torch.Tensor"]]:
    """Yield the parameters and buffers of a module, with their names."""
    yield from module.named_parameters()
    yield from module.named_buffers()


def rows(example: Example, which: Sequence[int]) -> list[NDArray[Any]]:
    """Return some samples of each input, by number; they are repeated if there are fewer."""
    arrays = list(example.values()) if isinstance(example, Mapping) else list(example)
    arrays = [np.asarray(each) for each in arrays]
    for each in arrays:
        if each.ndim == 0 or not len(each):
            raise ValueError("There are no samples to pass through the network.")
    return [each[np.asarray(which) % len(each)] for each in arrays]


def possible_types(batch: Sequence[NDArray[Any]]) -> list[tuple[str, ...]]:
    """Return the types that the inputs may have, in the order in which to try them.

    Whole numbers are tokens or pixels, which only the module knows. Pixels as tokens fail, and so
    do tokens as floats, as which they may come.
    """

    def types(byte: str, integer: str, boolean: str, whole: str = "float32") -> tuple[str, ...]:
        found = []
        for each in batch:
            if each.dtype.kind == "f":
                found.append(whole if (each == np.round(each)).all() else "float32")
            elif each.dtype.kind == "b":
                found.append(boolean)
            else:
                found.append(byte if each.dtype == np.uint8 else integer)
        return tuple(found)

    tried = [
        types("float32", "int64", "bool"),  # bytes are pixels, larger integers are tokens
        types("float32", "float32", "float32"),  # all are measurements
        types("int64", "int64", "bool"),  # bytes are tokens, too
        types("int64", "int64", "bool", "int64"),  # and so are whole numbers in floats
    ]
    return list(dict.fromkeys(tried))


def arguments(
    module: "torch.nn.Module",
    batch: Sequence[NDArray[Any]],
    inputs: Sequence[Input],
    by_name: bool,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call: tensors on the device of the module, of its float type."""
    import torch

    # A module without weights runs where its input is.
    device = next((each.device for _, each in weights_of(module)), torch.device("cpu"))
    floats = getattr(torch, float_type(module))
    tensors = []
    for array, each in zip(batch, inputs, strict=True):
        kind: DTypeLike = each.dtype
        # A copy: the module may change its input in place, and arrays may be read-only.
        tensor = torch.from_numpy(np.array(array, kind, order="C"))
        tensors.append(tensor.to(device, floats) if kind == "float32" else tensor.to(device))
    if by_name:
        return (), {each.name: tensor for each, tensor in zip(inputs, tensors)}
    return tuple(tensors), {}


def float_type(module: "torch.nn.Module") -> str:
    """Return the name of the type that a module computes in: that of its first float weights."""
    kinds = (each.dtype for _, each in weights_of(module) if each.is_floating_point())
    return str(next(kinds, "float32")).removeprefix("torch.")


def as_array(value: "torch.Tensor") -> NDArray[np.float32]:
    """Return a tensor as an array of its own."""
    import torch

    if value.is_complex():
        raise ValueError("The layer gives complex numbers; name one that gives real ones.")
    if value.is_nested:  # of the fast path of transformers, which leaves out padded positions
        raise ValueError(
            "The layer gives a nested tensor, without the padded positions: name a layer after the "
            "encoder, or call torch.backends.mha.set_fastpath_enabled(False) before."
        )
    value = value.to_dense() if value.is_sparse else value
    # A copy: the module may keep the tensor, and change it in the next pass.
    return value.detach().to("cpu", torch.float32, copy=True).numpy()


def explained(
    error: Exception,
    module: "torch.nn.Module",
    batch: Sequence[NDArray[Any]],
    inputs: Sequence[Input],
) -> Exception:
    """Return the error to raise for one in a forward pass: what the module was given, and why."""
    import torch

    # Of its own type, for whoever catches it.
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return type(error)(f"{error} Lower batch_size.")
    shapes = [each.shape for each in batch]
    last = next((s for s in shapes if len(s) == 4 and s[-1] in (1, 3) and s[1] not in (1, 3)), None)
    advice = ""
    if last is not None:
        advice = " torch takes images with their channels first: pass numpy.moveaxis(X, -1, 1)."
    named = ", ".join(f"{each.name!r}" for each in inputs)
    return ValueError(
        f"The network {type(module).__name__!r} cannot take samples of shape {shapes_of(batch)} "
        f"(for {named}): {type(error).__name__}: {error}.{advice}"
    )


def shapes_of(batch: Sequence[NDArray[Any]]) -> str:
    """Name the shapes of a sample in a message."""
    return " and ".join(str(each.shape[1:]) for each in batch)
