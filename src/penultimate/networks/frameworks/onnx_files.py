"""Reading ONNX models, and refusing those that cannot be run, or not safely.

A file is parsed from its own bytes only. Weights in other files are refused, as the path to them is
part of the model, and could name any file. Local functions, which exporters write for modules, are
inlined, so that the rest of the adapter sees one flat graph.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from penultimate._common.imports import import_optional
from penultimate.networks.frameworks.onnx_messages import (
    OnnxFunction,
    OnnxGraphMessage,
    OnnxModel,
    OnnxNode,
    OnnxTensor,
)
from penultimate.networks.frameworks.onnx_nodes import subgraphs
from penultimate.networks.frameworks.onnx_sessions import open_session

_EXTRA = "onnx"
# What ONNX Runtime has without further libraries. "" and "ai.onnx" are the same.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
_STANDARD = ("", "ai.onnx")
# Models that are not networks: their scores are not computed from a tensor of features.
_NO_NETWORKS = ("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor")
_POINTER = b"version https://git-lfs"
_HEAD = 256  # bytes of a file that show whether it is text
_SHOWN = 40  # of its characters, in a message


def read_onnx(network: "str | os.PathLike[str] | OnnxModel") -> tuple[str, OnnxModel]:
    """Read and check a model.

    Parameters
    ----------
    network : str, path-like or onnx.ModelProto

    Returns
    -------
    name : str
        Name of the file, or of the graph.
    model : onnx.ModelProto
        Without local functions; a model that was passed is not changed.

    Raises
    ------
    ImportError
        If onnx or onnxruntime is not installed.
    OSError
        If there is no such file.
    ValueError
        If it is not an ONNX model, or one that cannot be run: weights in other files, unknown
        operators or versions, a model without a network.
    """
    import_optional("onnx", _EXTRA)
    import_optional("onnxruntime", _EXTRA)

    if isinstance(network, (str, os.PathLike)):
        path = Path(network)
        name, model = path.name, _parse(path)
    else:
        name, model = network.graph.name or "ONNX model", network
    # Protobuf parses much that is no model, to a message in which nothing is set.
    if not model.ir_version or not model.graph.output:
        raise ValueError(
            f"{name!r} has no graph: it is damaged, or not an ONNX model. Export the network again."
        )
    _refuse_external_data(model, name)
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    _check_operators(model, name)
    _check_version(model, name)
    return name, model


def _parse(path: Path) -> OnnxModel:
    from onnx import ModelProto

    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Pass the .onnx file in it.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}. Check the path of the network.")
    content = path.read_bytes()
    if not content:
        raise ValueError(f"{str(path)!r} is empty. Export or download the network again.")
    # The commonest of damaged files: a repository was cloned without its large files.
    if content.startswith(_POINTER):
        raise ValueError(
            f"{str(path)!r} is a pointer of Git LFS, not the network itself. Get it with: "
            "git lfs pull"
        )
    try:
        return ModelProto.FromString(content)
    except Exception as error:  # a DecodeError of protobuf's, which onnx does not pass on
        start = _as_text(content[:_HEAD])
        found = (
            f"is a text file, which begins {start[:_SHOWN]!r}, not an ONNX model"
            if start
            else "is not an ONNX model, or it is damaged (cut off in a download or copy, say)"
        )
        message = f"{str(path)!r} {found}. Export or download the network again."
        raise ValueError(message) from error


def _as_text(content: bytes) -> str:
    try:
        # The last character may have been cut.
        text = content.decode("utf-8", errors="strict" if len(content) < _HEAD else "ignore")
    except UnicodeDecodeError:
        return ""
    return text if all(each.isprintable() or each.isspace() for each in text) else ""


def _refuse_external_data(model: OnnxModel, name: str) -> None:
    from onnx import TensorProto

    places = {
        entry.value
        for tensor in _tensors([model.graph, *model.functions])
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"  # the others are offset, length and checksum
    }
    if places:
        raise ValueError(
            f"{name!r} has its weights in {' and '.join(map(repr, sorted(places)))}. Only networks "
            "in a single file are read, as such a path could name any file. Put them together with "
            f"onnx.save(onnx.load({name!r}), 'single.onnx', save_as_external_data=False); "
            "torch.onnx.export does so with external_data=False."
        )


def _tensors(graphs: Sequence[OnnxGraphMessage | OnnxFunction]) -> Iterator[OnnxTensor]:
    for graph in graphs:
        # A function has nodes, but no initializers.
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
            yield from _tensors(list(subgraphs(node)))


# Also those inside nodes: the branches of an If, the body of a Loop.
def _nodes(graph: OnnxGraphMessage) -> Iterator[OnnxNode]:
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _nodes(inner)


def _check_operators(model: OnnxModel, name: str) -> None:
    import onnx

    used = {(node.domain, node.op_type) for node in _nodes(model.graph)}
    learned = sorted(
        kind
        for domain, kind in used
        if domain == "ai.onnx.ml" and (kind in _NO_NETWORKS or kind.startswith("TreeEnsemble"))
    )
    if learned:
        raise ValueError(
            f"{name!r} is a classifier or regressor itself ({', '.join(learned)}), not a network: "
            "it computes no features that a head could be fitted on. Pass the network, or the "
            "features that this model takes."
        )
    # onnx lists all operators of its own domain, so that a name it lacks there is a custom one.
    custom = sorted(
        f"{domain}.{kind}" if domain else kind
        for domain, kind in used
        if domain not in _DOMAINS or (domain in _STANDARD and not onnx.defs.has(kind))
    )
    if custom:
        raise ValueError(
            f"{name!r} uses operators that ONNX Runtime does not have: {', '.join(custom)}. Export "
            "the network with standard operators, or run it yourself and pass a function from a "
            "batch to its features."
        )


def _check_version(model: OnnxModel, name: str) -> None:
    """Raise if the versions are too new, which an empty graph of the same versions shows."""
    import onnx
    from onnx import TensorProto, helper

    empty = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "empty",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    opsets = {each.domain or "ai.onnx": each.version for each in model.opset_import}
    probe = helper.make_model(
        empty, opset_imports=model.opset_import, ir_version=max(model.ir_version, 4)
    )
    # onnx is asked before the runtime, whose message does not say which versions it knows.
    try:
        newest = onnx.defs.onnx_opset_version()
        if opsets.get("ai.onnx", 1) > newest:
            raise ValueError(f"onnx {onnx.__version__} knows opsets up to {newest}")
        open_session(probe, name)
    except ValueError as error:
        raise ValueError(
            f"{name!r} is in a version of ONNX that the installed runtime does not know (opset "
            f"{opsets.get('ai.onnx')}, IR version {model.ir_version}): {error}. Update with "
            "pip install --upgrade onnx onnxruntime, or export the network with a lower opset."
        ) from error
