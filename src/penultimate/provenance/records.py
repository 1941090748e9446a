"""Which samples a network or a head has seen: fingerprints, and the guard against leakage."""

import weakref
from collections.abc import Sequence
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
        An empty one, not ``known``, where nobody said.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import build_network
    >>> from penultimate.provenance import provenance_of, record
    >>> network = build_network("compact", (8, 8, 1), 2)
    >>> provenance_of(network).known
    False
    >>> record(network, np.zeros((3, 8, 8)))
    >>> len(provenance_of(network).trained)  # three samples, all the same
    1
    """
    found = getattr(seer, "_penultimate_provenance", None) or getattr(seer, "provenance_", None)
    if found is not None:
        return found
    if callable(getattr(seer, "get_weights", None)):
        return _BY_WEIGHTS.get(_digest(seer), Provenance(known=False))
    parts = [provenance_of(part) for part in _parts_of(seer)]
    # A scaler beside a network says nothing of what was seen; a part that says some counts.
    telling = [part for part in parts if part.known or any(len(getattr(part, r)) for r in ROLES)]
    return reduce(Provenance.__or__, telling) if telling else Provenance(known=False)


def holds_unknown_network(seer: Any) -> bool:
    """Whether a network in a classifier, however deep, came trained on samples nobody recorded.

    Parameters
    ----------
    seer : object
        As `provenance_of` takes it. A classifier without a network holds none.

    Returns
    -------
    bool
    """
    if callable(getattr(seer, "get_weights", None)):
        return not provenance_of(seer).known
    return any(holds_unknown_network(part) for part in _parts_of(seer))


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
    for name in ("transformer_list", "transformers"):  # of a FeatureUnion, a ColumnTransformer
        inner += [each[1] for each in getattr(seer, name, None) or []]
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
    """Replace what is recorded of the samples that a network has seen.

    Parameters
    ----------
    network : keras.Model
    provenance : Provenance

    Examples
    --------
    >>> from penultimate.networks import build_network
    >>> from penultimate.provenance import Provenance, provenance_of, set_provenance
    >>> network = build_network("compact", (8, 8, 1), 2)
    >>> set_provenance(network, Provenance())  # known to have seen nothing
    >>> provenance_of(network).known
    True
    """
    network._penultimate_provenance = provenance
    _BY_WEIGHTS[_digest(network)] = provenance


def _digest(network: Any) -> bytes:
    hasher = xxhash.xxh3_128()
    for weights in network.get_weights():
        hasher.update(np.ascontiguousarray(weights).reshape(-1).view(np.uint8).data)
    return hasher.digest()
