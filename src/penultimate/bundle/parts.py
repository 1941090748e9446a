"""The parts of a bundle: what the manifest says of each, and that it is so."""

import hashlib
from collections.abc import Mapping
from math import prod
from typing import Any

from penultimate.bundle.archive import MANIFEST, ORDER, SIGNATURE
from penultimate.bundle.errors import BundleError
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.operators import Graph, check_graph
from penultimate.bundle.result_sizes import MAX_VALUES
from penultimate.bundle.strict_json import parse_json
from penultimate.bundle.teaching_part import TEACH, check_teaching
from penultimate.bundle.tensors import check_safetensors
from penultimate.bundle.thumbnails import check_thumbnails, number_of
from penultimate.bundle.watching_part import WATCH, check_watching

GRAPH, HEAD, HEAD_WORDS, CARD = ORDER[1:]
_REQUIRED = set(ORDER) - {MANIFEST}
_OPTIONAL = (TEACH, WATCH)  # of tensors
_LARGEST = 4096 * 4096  # pixels that a manifest can state as the size of images


def describe_part(name: str, content: bytes | memoryview) -> dict[str, Any]:
    """Return what a manifest says of a part: its entry in ``parts``.

    Parameters
    ----------
    name : str
        Such as ``"model.onnx"``.
    content : bytes

    Returns
    -------
    dict
        ``sha256`` and ``bytes``, and ``tensors`` of a graph or of safetensors.

    Raises
    ------
    BundleError
        If the content is what no reader would accept.

    Examples
    --------
    >>> from penultimate.bundle import describe_part
    >>> describe_part("README.md", b"# Digits")["bytes"]
    8
    """
    entry: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    if name == GRAPH:
        entry["tensors"] = check_graph(content, _LARGEST).tensors
    elif name in (HEAD, *_OPTIONAL):
        entry["tensors"] = check_safetensors(content, name)
    return entry


def check_parts(manifest: Manifest, members: Mapping[str, memoryview]) -> Graph:
    """Check the members of an archive against its manifest; hashes first.

    Parameters
    ----------
    manifest : Manifest
    members : mapping of str to memoryview
        Of the whole archive, by name.

    Returns
    -------
    Graph
        What the graph has.

    Raises
    ------
    BundleError
        If a member is missing, not listed, or not what the manifest says.
    """
    listed, there = set(manifest.parts), set(members) - {MANIFEST, SIGNATURE}
    known = _REQUIRED | set(_OPTIONAL)
    if odd := sorted(each for each in listed if each not in known and number_of(each) is None):
        raise BundleError(f"The manifest lists {odd[0][:100]!r}, which is no part of a bundle.")
    if missing := sorted((listed | _REQUIRED) - there):
        raise BundleError(f"The bundle has no {missing[0]!r}. Copy or download it again.")
    if extra := sorted(there - listed):
        raise BundleError(f"The bundle has {extra[0]!r}, which its manifest does not list.")
    for name, entry in manifest.parts.items():
        content = members[name]
        if len(content) != entry["bytes"]:
            raise BundleError(
                f"{name!r} in the bundle has {len(content):,} bytes, and its manifest says "
                f"{entry['bytes']:,}. Copy or download it again."
            )
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise BundleError(
                f"{name!r} in the bundle is not what its manifest was written for: their SHA-256 "
                "differ. Copy or download it again."
            )
    check_thumbnails(members, len(manifest.classes))
    parse_json(members[HEAD_WORDS], HEAD_WORDS)
    graph = check_graph(members[GRAPH], max(MAX_VALUES, prod(manifest.input.get("size") or ())))
    stated = graph.metadata.get("classes")
    if stated is not None and parse_json(stated.encode(), "classes") != manifest.classes:
        raise BundleError(
            "The graph of the bundle is of other classes than its manifest: "
            f"{stated[:100]}, and {str(manifest.classes)[:100]}."
        )
    found = {GRAPH: graph.tensors, HEAD: check_safetensors(members[HEAD], HEAD)}
    for name in _OPTIONAL:
        if name in members:
            found[name] = check_safetensors(members[name], name)
    check_teaching(manifest, found.get(TEACH))
    check_watching(manifest, found.get(WATCH))
    for name, tensors in found.items():
        if manifest.parts[name].get("tensors") != tensors:
            raise BundleError(f"{name!r} in the bundle has other tensors than its manifest says.")
    return graph
