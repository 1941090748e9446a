"""Which samples a network or a head has seen: fingerprints, and the guard against leakage."""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash
from numpy.typing import ArrayLike, NDArray

from penultimate._common.files import write_atomically
from penultimate._common.validation import check_choice
from penultimate.provenance.fingerprints import fingerprint

ROLES = ("trained", "selected", "tested")

# Copies of a network (by copy, clone or pickle) lose its attributes, and keep its weights.
_BY_WEIGHTS: weakref.WeakValueDictionary[bytes, "Provenance"] = weakref.WeakValueDictionary()
# What was cut from a network or got another head keeps some of its weights: those that it learned.
_LEARNED: weakref.WeakKeyDictionary["Provenance", frozenset[bytes]] = weakref.WeakKeyDictionary()


def _none() -> NDArray[np.uint64]:
    return np.empty(0, np.uint64)


@dataclass(frozen=True, eq=False)
class Provenance:
    """Fingerprints of the samples that a network or a head has seen, by role.

    Attributes
    ----------
    trained : ndarray of uint64
        Of samples that weights or coefficients were fitted on. Sorted, each once; so the others.
    selected : ndarray of uint64
        Of samples that parameters or the best epoch were chosen on.
    tested : ndarray of uint64
        Of samples that were scored at the end.
    known : bool
        Whether this is all that was seen. False where nobody said, as for a network that was
        trained elsewhere without a call of `record`: it may have seen any sample.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.provenance.records import Provenance, fingerprint
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
        """Take the fingerprints of samples that were all seen in one role.

        Parameters
        ----------
        fingerprints : ndarray of uint64
            In any order.
        role : {"trained", "selected", "tested"}

        Returns
        -------
        Provenance
        """
        check_choice(role, "role", "Provenance", ROLES)
        seen: dict[str, Any] = {role: np.unique(fingerprints)}
        return cls(**seen)

    def __or__(self, other: "Provenance") -> "Provenance":
        """Return what either has seen."""
        seen: dict[str, Any] = {
            role: np.union1d(getattr(self, role), getattr(other, role)) for role in ROLES
        }
        return Provenance(**seen, known=self.known and other.known)

    def holds(
        self, fingerprints: NDArray[np.uint64], roles: Sequence[str] = ("trained", "selected")
    ) -> NDArray[np.bool_]:
        """Tell which samples were seen in some roles.

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
                place = np.searchsorted(known, fingerprints).clip(max=len(known) - 1)
                seen |= known[place] == fingerprints
        return seen

    def write(self, path: str | Path) -> None:
        """Write a safetensors file.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OSError
            If it cannot be written; what was there before is unchanged.
        """
        with write_atomically(path) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` has written.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Provenance

        Raises
        ------
        ValueError
            If it is no such file.
        """
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file.

        Returns
        -------
        bytes
            Eight for each sample, and a short head.
        """
        from safetensors.numpy import save

        arrays = {role: getattr(self, role) for role in ROLES}
        # Read again, what nobody knew must not pass for a network that has seen nothing.
        return save(arrays if self.known else {**arrays, "unknown": _none()})

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "provenance") -> Self:
        """Read what `to_bytes` has returned.

        Parameters
        ----------
        content : bytes
        name : str, default="provenance"
            What an error calls it.

        Returns
        -------
        Provenance

        Raises
        ------
        ValueError
            If it is damaged, or something else.
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
            raise ValueError(f"{name!r} holds no provenance, or is damaged; write it anew.")
        return cls(**arrays, known=known)


def provenance_of(seer: Any) -> Provenance:
    """Return what a network or a classifier has seen.

    Parameters
    ----------
    seer : object
        A Keras model, or a classifier; a pipeline, a search, and other classifiers that hold
        some (frozen, calibrated, voting, stacked) are looked into.

    Returns
    -------
    Provenance
        An empty one, not ``known``, where nobody said. A network that shares trained layers with
        others, by itself or in a copy, has seen what these have; this is all that is known of it
        where it has further layers that learn.
    """
    found = getattr(seer, "_penultimate_provenance", None) or getattr(seer, "provenance_", None)
    if found is not None:
        return found
    if callable(getattr(seer, "get_weights", None)):
        digests, telling = _digests(seer)
        found = _BY_WEIGHTS.get(_digest(digests))
        return _from_its_layers(seer, digests, telling) if found is None else found
    parts = [provenance_of(part) for part in _parts_of(seer)]
    # A scaler beside a network says nothing of what was seen; a part that says some counts.
    some = [part for part in parts if part.known or any(len(getattr(part, r)) for r in ROLES)]
    return reduce(Provenance.__or__, some) if some else Provenance(known=False)


def _parts_of(seer: Any) -> list[Any]:
    """Return the classifiers and networks in another: the fitted ones, where it is fitted."""
    inner = [getattr(seer, name, None) for name in ("best_estimator_", "estimator_", "network_")]
    fitted = getattr(seer, "estimators_", None)
    inner += fitted if isinstance(fitted, list) else []  # of boosted trees it is an array
    inner += [each.estimator for each in getattr(seer, "calibrated_classifiers_", None) or []]
    if all(part is None for part in inner):
        named = getattr(seer, "estimators", None) or []
        inner += [getattr(seer, "estimator", None), *(part for _, part in named)]
    inner += [step for _, step in getattr(seer, "steps", None) or []]
    network = getattr(seer, "network", None)
    if callable(getattr(network, "get_weights", None)):
        inner.append(network)
    return [part for part in inner if part is not None and not isinstance(part, str)]


def record(
    network: Any,
    X: ArrayLike | None = None,
    *,
    role: str = "trained",
    fingerprints: NDArray[np.uint64] | None = None,
) -> None:
    """Note that a network has seen samples, beside those that are known.

    Parameters
    ----------
    network : keras.Model
        As one that was trained elsewhere.
    X : array-like of shape (n_samples, ...), optional
        The samples, as they were before any scaling. An empty list says that it has seen none of
        yours: a network pretrained on other data.
    role : {"trained", "selected", "tested"}, default="trained"
        What they were seen for.
    fingerprints : ndarray of uint64, optional
        Theirs, where they are known.

    Raises
    ------
    TypeError
        If `network` has no weights.
    ValueError
        If neither samples nor fingerprints are given, or both are.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import provenance
    >>> from penultimate.networks import build_network
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    >>> network = build_network("compact", (8, 8, 1), 2)
    >>> provenance.record(network, images)
    >>> len(provenance.provenance_of(network).trained)
    5
    """
    if not callable(getattr(network, "get_weights", None)):
        raise TypeError(f"'network' must be a Keras model; got {network!r}.")
    if (X is None) == (fingerprints is None):
        raise ValueError("Pass X, the samples that the network has seen, or their fingerprints.")
    if fingerprints is None:
        fingerprints = fingerprint(X) if len(X) else np.empty(0, np.uint64)  # type: ignore[arg-type]
    seen = provenance_of(network) | Provenance.of(fingerprints, role)
    set_provenance(network, replace(seen, known=True))


def set_provenance(network: Any, provenance: Provenance) -> None:
    """Say all that a network has seen.

    Parameters
    ----------
    network : keras.Model
    provenance : Provenance
    """
    network._penultimate_provenance = provenance
    digests, telling = _digests(network)
    _BY_WEIGHTS[_digest(digests)] = provenance
    learned: set[bytes] = set()
    layers = [layer for layer in _layers_of(network) if layer.trainable_weights]
    # Weights that were frozen have learned nothing of it; in a network that is all frozen, who
    # knows when.
    for layer in layers or _layers_of(network):
        layer._penultimate_provenance = provenance  # lives on with the layer, in other networks
        learned |= {digests[id(each)] for each in layer.trainable_weights or layer.weights}
    _LEARNED[provenance] = frozenset(learned & telling)


def _from_its_layers(network: Any, digests: Mapping[int, bytes], telling: set[bytes]) -> Provenance:
    """Return what networks that share trained layers with this one have seen."""
    found: dict[int, Provenance] = {}
    known = True
    filed = list(_LEARNED.items())
    for layer in _layers_of(network):
        # What is not frozen and has nothing to train, as random features, learns of no sample.
        learning = layer.trainable_weights or ([] if layer.trainable else layer.weights)
        own = {digests[id(each)] for each in learning} & telling
        sharing = [provenance for provenance, learned in filed if own & learned]
        known = known and bool(sharing or not own)
        if (held := getattr(layer, "_penultimate_provenance", None)) is not None:
            sharing.append(held)
        found |= {id(provenance): provenance for provenance in sharing}
    return reduce(Provenance.__or__, found.values(), Provenance(known=known and bool(found)))


def _layers_of(network: Any) -> list[Any]:
    """Return the layers with weights, those of nested models, too."""
    found: list[Any] = []
    for layer in getattr(network, "layers", []):
        if hasattr(layer, "layers"):
            found += _layers_of(layer)
        elif layer.weights:
            found.append(layer)
    return found


def _digests(network: Any) -> tuple[dict[int, bytes], set[bytes]]:
    """Return a digest for each weight, by identity, and those that tell something.

    One value over and over, as in a bias of zeros, is the same in networks that share nothing.
    """
    digests, telling = {}, set()
    for variable, values in zip(network.weights, network.get_weights()):
        flat = np.ascontiguousarray(values).reshape(-1)
        digest = xxhash.xxh3_128_digest(flat.view(np.uint8).data)
        digests[id(variable)] = digest
        if len(flat) > 1 and (flat != flat[0]).any():
            telling.add(digest)
    return digests, telling


def _digest(digests: Mapping[int, bytes]) -> bytes:
    return xxhash.xxh3_128_digest(b"".join(digests.values()))
