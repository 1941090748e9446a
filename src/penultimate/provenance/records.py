"""Records of the samples that a network or a head has seen, by role.

Eight bytes per sample are enough to tell later whether a test sample was used in training. The
record follows a network through copies, which drop its attributes, by a digest of its weights.
"""

import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.files import write_atomically
from penultimate._common.protocols import Network
from penultimate._common.validation import check_choice
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.weights import Weights, is_network, is_torch_module, weights_of

ROLES = ("trained", "selected", "tested")
_HELD_AS = "_penultimate_provenance"  # the attribute of a network or layer

# Copies of a network (by copy, clone or pickle) lose its attributes but keep its weights.
# Weak values, so that a record lives only as long as some network holds it.
_BY_WEIGHTS: weakref.WeakValueDictionary[bytes, "Provenance"] = weakref.WeakValueDictionary()
# What was cut from a network or got another head keeps some of its weights: those that it learned.
_OF_MODULES: weakref.WeakKeyDictionary[Any, "Provenance"] = weakref.WeakKeyDictionary()
_LEARNED: weakref.WeakKeyDictionary["Provenance", frozenset[bytes]] = weakref.WeakKeyDictionary()


def _none() -> NDArray[np.uint64]:
    return np.empty(0, np.uint64)


@dataclass(frozen=True, eq=False)
class Provenance:
    """Fingerprints of the samples that a network or a head has seen, by role.

    Attributes
    ----------
    trained : ndarray of uint64
        Fingerprints of the samples used for fitting. All three arrays are sorted and unique.
    selected : ndarray of uint64
        Fingerprints of the samples used to select hyper-parameters or the best epoch.
    tested : ndarray of uint64
        Fingerprints of the samples used for the final evaluation.
    known : bool
        Whether the record is complete. False if it is missing, as for a network that was trained
        elsewhere without a call of `record`: it may have seen any sample.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.provenance import Provenance, fingerprint
    >>> seen = Provenance.of(fingerprint(np.eye(3)), "trained")
    >>> seen.holds(fingerprint(np.eye(3)[:1])).tolist(), len(seen.tested)
    ([True], 0)
    """

    trained: NDArray[np.uint64] = field(default_factory=_none)
    selected: NDArray[np.uint64] = field(default_factory=_none)
    tested: NDArray[np.uint64] = field(default_factory=_none)
    known: bool = True

    @classmethod
    def of(cls, fingerprints: NDArray[np.uint64], role: str) -> Self:
        """Create a record of samples that were all seen in the same role.

        Parameters
        ----------
        fingerprints : ndarray of uint64
            Fingerprints in any order.
        role : {"trained", "selected", "tested"}
            Role of these samples.

        Returns
        -------
        Provenance
        """
        check_choice(role, "role", "Provenance", ROLES)
        seen: dict[str, Any] = {role: np.unique(fingerprints)}
        return cls(**seen)

    def __or__(self, other: "Provenance") -> "Provenance":
        """Return the union of both records."""
        seen: dict[str, Any] = {
            role: np.union1d(getattr(self, role), getattr(other, role)) for role in ROLES
        }
        return Provenance(**seen, known=self.known and other.known)

    def holds(
        self, fingerprints: NDArray[np.uint64], roles: Sequence[str] = ("trained", "selected")
    ) -> NDArray[np.bool_]:
        """Return which samples were seen in any of the given roles.

        Parameters
        ----------
        fingerprints : ndarray of shape (n_samples,), uint64
        roles : sequence of str, default=("trained", "selected")

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        seen = np.zeros(len(fingerprints), bool)
        for role in roles:
            known = getattr(self, role)
            if len(known):
                # A binary search per sample, because the arrays are sorted.
                place = np.searchsorted(known, fingerprints).clip(max=len(known) - 1)
                seen |= known[place] == fingerprints
        return seen

    def write(self, path: str | Path) -> None:
        """Write the record to a safetensors file.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OSError
            If the file cannot be written; an existing file is left unchanged.
        """
        with write_atomically(path) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file written by `write`.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Provenance

        Raises
        ------
        ValueError
            If it is not such a file.
        """
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file.

        Returns
        -------
        bytes
            Eight bytes per sample, and a short header.
        """
        from safetensors.numpy import save

        arrays = {role: getattr(self, role) for role in ROLES}
        # Without this key, an unknown record would be read as that of an untrained network.
        return save(arrays if self.known else {**arrays, "unknown": _none()})

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "provenance") -> Self:
        """Read a record from the output of `to_bytes`.

        Parameters
        ----------
        content : bytes
            Content of a safetensors file.
        name : str, default="provenance"
            Name used in error messages.

        Returns
        -------
        Provenance

        Raises
        ------
        ValueError
            If the content is damaged or is not a record.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(content)
            known = arrays.pop("unknown", None) is None
            good = set(arrays) == set(ROLES) and all(
                values.dtype == np.uint64 and values.ndim == 1 and (values[:-1] < values[1:]).all()
                for values in arrays.values()
            )
        except SafetensorError:
            good = False
        if not good:
            raise ValueError(f"{name!r} is damaged or holds no provenance; write it again.")
        return cls(**arrays, known=known)


def provenance_of(model: object) -> Provenance:
    """Return the record of the samples that a network or a classifier has seen.

    Parameters
    ----------
    model : object
        Network or classifier. Pipelines, searches and other meta-estimators (frozen,
        calibrated, voting, stacked) are searched for models inside them.

    Returns
    -------
    Provenance
        An empty one, not ``known``, if nothing was recorded. A network that shares trained layers
        with recorded ones, or with their copies, has seen what they have; if it also has other
        trainable layers, the rest is not ``known``.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import build_network
    >>> from penultimate.provenance import provenance_of, record
    >>> network = build_network("compact", (8, 8, 1), 2, seed=1)
    >>> provenance_of(network).known
    False
    >>> record(network, np.zeros((3, 8, 8)))
    >>> len(provenance_of(network).trained)  # three samples, all the same
    1
    """
    found = _held_by(model) or getattr(model, "provenance_", None)
    if found is not None:
        return found
    if is_network(model):
        weights = weights_of(model)
        found = _BY_WEIGHTS.get(weights.digest)
        return _from_its_layers(weights) if found is None else found
    parts = [provenance_of(part) for part in _parts_of(model)]
    # Parts without any record, such as a scaler, must not make a recorded network unknown.
    some = [part for part in parts if part.known or any(len(getattr(part, r)) for r in ROLES)]
    return reduce(Provenance.__or__, some) if some else Provenance(known=False)


def holds_unknown_network(model: object) -> bool:
    """Return whether a classifier contains a pre-trained network without recorded samples.

    Parameters
    ----------
    model : object
        As `provenance_of` takes it. A classifier without a network holds none.

    Returns
    -------
    bool
    """
    if is_network(model):
        return not provenance_of(model).known
    return any(holds_unknown_network(part) for part in _parts_of(model))


def _parts_of(model: object) -> list[Any]:
    """Return the estimators and networks inside a meta-estimator, fitted ones if it is fitted."""
    inner = [getattr(model, name, None) for name in ("best_estimator_", "estimator_", "network_")]
    fitted = getattr(model, "estimators_", None)
    inner += fitted if isinstance(fitted, list) else []  # for boosted trees it is an array
    inner += [each.estimator for each in getattr(model, "calibrated_classifiers_", None) or []]
    if all(part is None for part in inner):
        named = getattr(model, "estimators", None) or []
        inner += [getattr(model, "estimator", None), *(part for _, part in named)]
    inner += [step for _, step in getattr(model, "steps", None) or []]
    for name in ("transformer_list", "transformers"):  # of a FeatureUnion, a ColumnTransformer
        inner += [each[1] for each in getattr(model, name, None) or []]
    network = getattr(model, "network", None)
    if is_network(network) or hasattr(network, "network"):  # or an extractor with one
        inner.append(network)
    return [part for part in inner if part is not None and not isinstance(part, str)]


def record(
    network: Network,
    X: ArrayLike | None = None,
    *,
    role: str = "trained",
    fingerprints: NDArray[np.uint64] | None = None,
) -> None:
    """Record that a network has seen samples, in addition to those already recorded.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module, OnnxNetwork or FeatureExtractor
        Network, for example one that was trained elsewhere.
    X : array-like of shape (n_samples, ...), optional
        The samples before any scaling. An empty list records that the network has seen none of your
        samples, for example because it was pretrained on other data.
    role : {"trained", "selected", "tested"}, default="trained"
        Role in which the samples were seen.
    fingerprints : ndarray of uint64, optional
        Fingerprints of the samples, instead of `X`.

    Raises
    ------
    TypeError
        If `network` has no weights.
    ValueError
        Unless exactly one of samples and fingerprints is given.

    Warns
    -----
    UserWarning
        If the samples cannot be what the network was fed: they have another size than its input,
        or it begins by rescaling pixels from 0 to 255, and they are not on that scale.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import provenance
    >>> from penultimate.networks import build_network
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    >>> network = build_network("compact", (8, 8, 1), 2, seed=4)
    >>> provenance.record(network, images)
    >>> len(provenance.provenance_of(network).trained)
    5
    """
    network = getattr(network, "network", network)  # of an extractor
    if not is_network(network):
        load = ""
        if isinstance(network, (str, PurePath)):
            load = " Load it with penultimate.networks.load_network, and pass the network."
        raise TypeError(
            f"'network' must be a Keras model, a torch module or an ONNX network; got {network!r}."
            f"{load}"
        )
    if (X is None) == (fingerprints is None):
        raise ValueError("Pass X, the samples that the network has seen, or their fingerprints.")
    if fingerprints is None:
        fingerprints = fingerprint(X) if len(X) else np.empty(0, np.uint64)  # type: ignore[arg-type]
        if len(fingerprints):
            _warn_if_unlike(network, np.asarray(X))
    seen = provenance_of(network) | Provenance.of(fingerprints, role)
    set_provenance(network, replace(seen, known=True))


def _warn_if_unlike(network: object, X: NDArray[Any]) -> None:
    """Warn of samples whose fingerprints will not be those of what the network is fed."""
    words = ""
    shape = getattr(network, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4 and X.ndim >= 3:
        sides = zip(shape[1:3], X.shape[1:3], strict=True)
        if any(side not in (None, given) for side, given in sides):
            words = (
                f"of {X.shape[1]} x {X.shape[2]} pixels, and the network takes {shape[1]} x "
                f"{shape[2]}"
            )
    # The first layer, or the one after an input.
    first = [layer for layer in getattr(network, "layers", [])[:2] if hasattr(layer, "scale")]
    rescales = first and type(first[0]).__name__ == "Rescaling" and np.max(first[0].scale) < 0.1
    if not words and rescales and (X.min() < 0 or 0 < X.max() <= 1):
        words = f"from {X.min():g} to {X.max():g}, and the network takes pixels from 0 to 255"
    if words:
        warnings.warn(
            f"The recorded samples are {words}. A sample is only recognized in the form in which "
            "it was recorded: record them as you will test them.",
            UserWarning,
            stacklevel=3,
        )


def set_provenance(network: object, provenance: Provenance) -> None:
    """Replace what is recorded of the samples that a network has seen.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module or OnnxNetwork
    provenance : Provenance

    Examples
    --------
    >>> from penultimate.networks import build_network
    >>> from penultimate.provenance import Provenance, provenance_of, set_provenance
    >>> network = build_network("compact", (8, 8, 1), 2, seed=2)
    >>> set_provenance(network, Provenance())  # known to have seen nothing
    >>> provenance_of(network).known
    True
    """
    _hold(network, provenance)
    weights = weights_of(network)
    _BY_WEIGHTS[weights.digest] = provenance
    learned: set[bytes] = set()
    # Weights that were frozen have learned nothing of it; in a network that is all frozen, who
    # knows when.
    for part in [part for part in weights.parts if part.trainable] or weights.parts:
        _hold(part.holder, provenance)  # lives on, in other networks
        learned |= set(part.trainable or part.all)
    _LEARNED[provenance] = frozenset(learned & weights.distinctive)


def _hold(holder: object, provenance: Provenance) -> None:
    """Attach a record to a network or a layer."""
    if is_torch_module(holder):
        # An attribute would be saved with the module, and need this package to be loaded again.
        _OF_MODULES[holder] = provenance
    else:
        setattr(holder, _HELD_AS, provenance)


def _held_by(holder: object) -> Provenance | None:
    if is_torch_module(holder):
        return _OF_MODULES.get(holder)
    return getattr(holder, _HELD_AS, None)


def _from_its_layers(weights: Weights) -> Provenance:
    """Return what networks that share trained layers with this one have seen."""
    found: dict[int, Provenance] = {}
    known = True
    filed = list(_LEARNED.items())
    for part in weights.parts:
        # What is not frozen and has nothing to train, as random features, learns of no sample.
        learning = part.trainable or (part.all if part.is_frozen else ())
        own = set(learning) & weights.distinctive
        sharing = [provenance for provenance, learned in filed if own & learned]
        known = known and bool(sharing or not own)
        if (held := _held_by(part.holder)) is not None:
            sharing.append(held)
        found |= {id(provenance): provenance for provenance in sharing}
    return reduce(Provenance.__or__, found.values(), Provenance(known=known and bool(found)))
