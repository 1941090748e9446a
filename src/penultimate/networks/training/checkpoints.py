"""Checkpoints: one safetensors file per training, to resume it bit for bit.

A file holds all state that the rest of the training depends on, a checksum, and descriptions of the
network, the recipe and the samples. The last are compared before resuming: weights of another
training would load without an error, and give wrong results.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.files import check_writable, remove_leftovers, write_atomically
from penultimate._common.protocols import Loss, Network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.training.recipe import Training

_FORMAT = "penultimate checkpoint 1"
_SHOWN = 12  # hexadecimal digits of a fingerprint, in messages
# Keys in a model's JSON that are ignored: addresses, and the optimizer, which the recipe describes.
_VOLATILE = ("shared_object_id", "compile_config")


@dataclass
class TrainingState:
    """Progress of a training, apart from the state of its model and optimizer.

    Attributes
    ----------
    loss, validation_loss, validation_accuracy : list of float
        As in `History`; one entry per completed epoch.
    best_epoch : int or None
        Index, from 0, of the epoch with the best weights so far.
    best_weights : list of ndarray or None
        The weights of that epoch.
    seconds : float
        Time that the epochs took, before and after interruptions.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: list[NDArray[Any]] | None = None
    seconds: float = 0.0

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far."""
        return np.inf if self.best_epoch is None else self.validation_loss[self.best_epoch]


class Checkpoint:
    """The checkpoint file of one training.

    It holds the variables of the model (including batch statistics and the states of random
    generators) and of its optimizer (whose step count is the position in the schedule), the best
    weights so far, the progress, and a description of the training, so that no other training
    resumes from it. The file is replaced atomically: a training that is killed at any moment finds
    the last good one.

    Parameters
    ----------
    path : str or Path
        Path of the file; its folder is created.
    network, samples : dict
        Descriptions of the training, from `describe_network` and `describe_samples`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from penultimate.networks.training.checkpoints import Checkpoint
    >>> with TemporaryDirectory() as folder:
    ...     Checkpoint(f"{folder}/network.ckpt.safetensors", {}, {}).read(None).loss
    []
    """

    def __init__(self, path: str | Path, network: dict[str, Any], samples: dict[str, Any]) -> None:
        self.path = Path(path)
        self.identity = {"network": network, "samples": samples}

    def read(self, model: Network) -> TrainingState:
        """Restore a model and its optimizer from the file.

        Parameters
        ----------
        model : keras.Model
            A compiled model with a built optimizer; unchanged if there is no file.

        Returns
        -------
        TrainingState
            Empty if there is no file.

        Raises
        ------
        ValueError
            If the file is damaged, or belongs to a training with another network or other samples.
        """
        from safetensors import SafetensorError, safe_open

        # Before the first epoch, which a folder that cannot be written would otherwise cost.
        check_writable(self.path.parent, "folder of the checkpoint")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path)
        if not self.path.exists():
            return TrainingState()
        try:
            with safe_open(self.path, framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"its format is {metadata.get('format')!r}, not {_FORMAT!r}")
            # Safetensors has no checksum of its own: flipped bits would load as weights.
            if metadata["sha256"] != _digest(metadata, tensors):
                raise ValueError("its content is not what was written")
            stored = {kind: json.loads(metadata[kind]) for kind in self.identity}
            state = TrainingState(**json.loads(metadata["course"]))
        except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(
                f"The checkpoint {str(self.path)!r} is damaged or is not a checkpoint: {error}. "
                "Delete it to train from the start, or pass another path."
            ) from error
        # Before anything is assigned, so that a rejected file leaves the model unchanged.
        self._check_identity(stored)
        _assign(model.variables, _group(tensors, "model"))
        _assign(model.optimizer.variables, _group(tensors, "optimizer"))
        state.best_weights = _group(tensors, "best") or None
        return state

    def write(self, model: Network, state: TrainingState) -> None:
        """Replace the file with the current state.

        Parameters
        ----------
        model : keras.Model
            The model, with its optimizer.
        state : TrainingState

        Warns
        -----
        RuntimeWarning
            If the file cannot be written, as on a full disk. An earlier one is unchanged.
        """
        from safetensors.numpy import save

        tensors: dict[str, NDArray[Any]] = {}
        for group, arrays in (
            ("model", _values(model.variables)),
            ("optimizer", _values(model.optimizer.variables)),
            ("best", state.best_weights or []),
        ):
            for index, array in enumerate(arrays):
                # Padded with zeros, so that names sort in the order of the variables.
                tensors[f"{group}.{index:05d}"] = np.asarray(array, order="C")
        fields = {k: v for k, v in vars(state).items() if k != "best_weights"}
        texts = {**self.identity, "course": fields}
        metadata = {"format": _FORMAT, **{name: _to_json(text) for name, text in texts.items()}}
        metadata["sha256"] = _digest(metadata, tensors)
        try:
            with write_atomically(self.path) as temporary:
                temporary.write_bytes(save(tensors, metadata))
        except OSError as error:
            # No reason to lose a training of hours, whose checkpoint is only its insurance.
            there = "is from an earlier epoch" if self.path.exists() else "does not exist"
            warnings.warn(
                f"{error} The training continues; its checkpoint {there}.",
                RuntimeWarning,
                stacklevel=3,
            )

    def _check_identity(self, stored: dict[str, dict[str, Any]]) -> None:
        for kind, ours in self.identity.items():
            # Ours goes through JSON as well, which turns tuples into lists.
            theirs, ours = stored[kind], json.loads(_to_json(ours))
            if theirs == ours:
                continue
            differing = sorted(k for k in {*theirs, *ours} if theirs.get(k) != ours.get(k))
            raise ValueError(
                f"The checkpoint {str(self.path)!r} belongs to another training: the fingerprint "
                f"of the {kind} is {_fingerprint(theirs)} there and {_fingerprint(ours)} here; "
                f"they differ in {', '.join(differing)}. Pass another path, or delete the file to "
                "train from the start."
            )


def describe_network(
    model: Network, training: Training, loss: Loss | None, seed: int
) -> dict[str, Any]:
    """Describe all that determines a training, except its samples and initial weights.

    Parameters
    ----------
    model : keras.Model
    training : Training
    loss : keras.losses.Loss
    seed : int

    Returns
    -------
    dict
        A description that can be written as JSON.
    """
    keras = import_keras()
    architecture = json.loads(model.to_json())
    # Keras numbers names by what else was built in the process, but their order is always the same.
    numbers = {name: index for index, name in enumerate(dict.fromkeys(_names(architecture)))}
    architecture = _renamed(architecture, numbers)
    # Shapes are included, since the JSON of a custom layer need not determine its variables.
    shapes = [[list(v.shape), str(v.dtype)] for v in model.variables]
    return {
        "architecture": hashlib.sha256(_to_json([architecture, shapes]).encode()).hexdigest(),
        **asdict(training),
        "loss": keras.losses.serialize(loss),
        "seed": seed,
        # Other versions and backends round differently: what follows would not be bit for bit the
        # same.
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


def describe_samples(
    X: NDArray[Any],
    codes: NDArray[np.integer],
    sample_weight: NDArray[Any] | None,
    validation: tuple[NDArray[Any], ...] | None,
) -> dict[str, Any]:
    """Hash the samples, classes and weights for training and validation.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    codes : ndarray of shape (n_samples,), int
    sample_weight : ndarray of shape (n_samples,) or None
    validation : tuple of ndarray or None
        As in `train`.

    Returns
    -------
    dict of str to str or None
    """
    parts = {"X": X, "codes": codes, "weights": sample_weight}
    held_out = dict(zip(parts, validation or ()))
    parts |= {f"validation {name}": held_out.get(name) for name in list(parts)}
    return {name: None if part is None else _hash([part]) for name, part in parts.items()}


def _hash(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.name} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _digest(metadata: dict[str, str], tensors: dict[str, NDArray[Any]]) -> str:
    # Covers the metadata, too: a changed history would be resumed like a true one.
    texts = sorted((name, text) for name, text in metadata.items() if name != "sha256")
    digest = hashlib.sha256(_to_json([texts, sorted(tensors)]).encode())
    digest.update(_hash(tensors[name] for name in sorted(tensors)).encode())
    return digest.hexdigest()


def _fingerprint(description: dict[str, Any]) -> str:
    return hashlib.sha256(_to_json(description).encode()).hexdigest()[:_SHOWN]


def _to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=lambda number: number.item())


def _names(value: object) -> Iterator[str]:
    """Yield the names of all layers in a model's JSON."""
    if isinstance(value, dict):
        config = value.get("config")
        # A dtype policy's name is a type, such as float32, and part of what the network computes.
        if isinstance(config, dict) and "name" in config and value["class_name"] != "DTypePolicy":
            yield config["name"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)


def _renamed(value: object, numbers: dict[str, int]) -> object:
    if isinstance(value, dict):
        return {k: _renamed(v, numbers) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [_renamed(item, numbers) for item in value]
    return numbers.get(value, value) if isinstance(value, str) else value


def _values(variables: list[Any]) -> list[NDArray[Any]]:
    return [import_keras().ops.convert_to_numpy(variable) for variable in variables]


def _group(tensors: dict[str, NDArray[Any]], group: str) -> list[NDArray[Any]]:
    return [tensors[name] for name in sorted(tensors) if name.startswith(f"{group}.")]


def _assign(variables: list[Any], values: list[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
