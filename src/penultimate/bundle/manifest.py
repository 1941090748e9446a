"""What a bundle says of itself: ``manifest.json``, strictly checked."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate.bundle.errors import BundleError
from penultimate.bundle.schema import find_fault
from penultimate.bundle.strict_json import parse_json

FORMAT, VERSION = "penultimate-bundle", 1
_CLASS_TYPES: dict[str, tuple[type, Any]] = {
    "str": (str, np.str_),
    "int": (int, np.int64),
    "float": (float, np.float64),
    "bool": (bool, np.bool_),
}
_INT64 = 2**63


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle says of itself; ``manifest.schema.json`` in the package describes each field.

    Attributes
    ----------
    kind : {"images", "features"}
        What the model takes.
    classes : list
        Labels, in the order of the graph's outputs.
    class_type : {"str", "int", "float", "bool"}
    input : dict
        ``n_features``; for images also ``channels``, ``size`` and ``white``.
    head : dict
        ``kind``, ``params`` and ``normalization``.
    created_with : dict of str to str
        Versions.
    subsets : dict of str to list of int, or None
        Positions in `classes`.
    router : str or None
        How the subset of a sample is predicted.
    preprocessing, network, calibration, abstention, protocol, parity : dict or None
    provenance : dict or None
        How many samples the model has seen, and the digest of their fingerprints.
    expected : dict or None
        Accuracy to expect on new data, with its interval.
    teach : dict or None
        What is in the part for teaching, and who can see it; None without one.
    watch : dict or None
        By which scores of how many held-out samples the model is watched; None if it cannot be.
    lineage : dict or None
        Of a bundle that was taught: its number, the hash of the one before, and what was taught.
    parts : dict of str to dict
        Hash, size and tensors of every other part; see `describe_part`.
    """

    kind: str
    classes: list[Any]
    class_type: str
    input: dict[str, Any]
    head: dict[str, Any]
    created_with: dict[str, str] = field(default_factory=dict)
    subsets: dict[str, list[int]] | None = None
    router: str | None = None
    preprocessing: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    abstention: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None
    expected: dict[str, Any] | None = None
    parity: dict[str, Any] | None = None
    teach: dict[str, Any] | None = None
    watch: dict[str, Any] | None = None
    lineage: dict[str, Any] | None = None
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: bytes | memoryview | str) -> Self:
        """Parse and check the content of ``manifest.json``.

        Parameters
        ----------
        content : bytes or str

        Returns
        -------
        Manifest

        Raises
        ------
        BundleError
            If it is of another version, or anything in it is not as it must be.
        """
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        document = parse_json(content, "manifest.json")
        _check(document)
        document = {k: v for k, v in document.items() if k not in ("format", "version")}
        return cls(**document)

    def to_json(self) -> bytes:
        """Return the content of ``manifest.json``; the same fields give the same bytes.

        Returns
        -------
        bytes

        Raises
        ------
        BundleError
            If `from_json` would refuse it.
        """
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        try:
            text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
        except (TypeError, ValueError) as error:
            raise BundleError(f"The manifest cannot be written: {error}.") from error
        content = f"{text}\n".encode("utf-8", "surrogatepass")
        type(self).from_json(content)
        return content

    def labels(self) -> NDArray[Any]:
        """Return the classes as an array of the type that they had in training.

        Returns
        -------
        ndarray of shape (n_classes,)
        """
        return np.array(self.classes, dtype=_CLASS_TYPES[self.class_type][1])


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of manifests.

    Returns
    -------
    dict
    """
    text = files("penultimate.bundle").joinpath("manifest.schema.json").read_text("utf-8")
    return json.loads(text)


def _check(document: Any) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BundleError(
            f"The file is no bundle of Penultimate: its manifest does not say format {FORMAT!r}. "
            f"Pass a file that {spelled('penultimate fit', 'penultimate.save')} wrote."
        )
    version = document.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise BundleError(
            f"The bundle is of version {version}, and this Penultimate reads version {VERSION}. "
            "Update it: pip install --upgrade penultimate"
        )
    fault = find_fault(document, schema(), "manifest.json") or next(_faults(document), None)
    if fault:
        raise BundleError(f"In the bundle, {fault}.")


def _faults(document: dict[str, Any]) -> Iterator[str]:
    """Yield what no schema can say: how fields have to go together."""
    classes, name = document["classes"], document["class_type"]
    kind = _CLASS_TYPES[name][0]
    if any(type(each) is not kind for each in classes):
        odd = next(each for each in classes if type(each) is not kind)
        yield f"manifest.json.classes has {odd!r}, and class_type is {name!r}"
    if name == "int" and any(not -_INT64 <= each < _INT64 for each in classes):
        yield "manifest.json.classes has a number of more than 64 bits"
    if len(set(classes)) < len(classes):
        twice = next(each for each in classes if classes.count(each) > 1)
        yield f"manifest.json.classes has {twice!r} twice"
    if document.get("subsets") is not None:
        members = [index for each in document["subsets"].values() for index in each]
        if sorted(members) != list(range(len(classes))):
            yield "manifest.json.subsets does not have each class in one subset"
    is_of_images = document["kind"] == "images"
    channels = document["input"].get("channels")
    if is_of_images != (channels is not None):
        yield f"manifest.json.input.channels is {channels!r} for kind {document['kind']!r}"
    names = document["input"].get("feature_names")
    if names is not None and len(names) != document["input"]["n_features"]:
        yield f"manifest.json.input has {len(names)} feature_names for other n_features"
    expected = document.get("expected")
    if expected is not None:
        low, high = expected["low"], expected["high"]
        if not (low or 0) <= expected["accuracy"] <= (1 if high is None else high):
            yield "manifest.json.expected has an accuracy outside of its own interval"
