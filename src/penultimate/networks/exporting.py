"""A network as an ONNX graph that any runtime computes, proved on samples.

The adapter of the framework writes the network up to its cuts; pooling, mirror average and
concatenation follow in the graph. Then the graph runs in ONNX Runtime on noise, and on samples if
there are some: if it does not compute what the framework computes, there is no graph.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from penultimate._common.imports import import_optional
from penultimate.networks._cutting import CutNetwork
from penultimate.networks.adapting import adapt
from penultimate.networks.extraction import FeatureExtractor
from penultimate.networks.frameworks.frozen import Cut, ExportError, FrozenNetwork, Shape
from penultimate.networks.frameworks.onnx_messages import OnnxModel
from penultimate.provenance.records import provenance_of, set_provenance

__all__ = ["ExportError", "export_network", "export_whole", "exported"]

_TOLERANCE = 1e-4  # of the largest value: rounding differs by far less, a wrong layer by far more
_ROWS = (3, 1)  # batches of several sizes, as a graph may be written for one
_OPEN_SIZES = ((64, 64), (50, 47))  # of maps, tried where the network leaves them open


def export_network(extractor: FeatureExtractor, samples: ArrayLike | None = None) -> OnnxModel:
    """Return the part of a network that computes features as an ONNX graph.

    Parameters
    ----------
    extractor : FeatureExtractor
        Fitted. Its preprocessing is no part of the graph.
    samples : array-like of shape (n_samples, ...), optional
        Samples to prove the graph on, besides noise, as the network takes them after preprocessing.

    Returns
    -------
    onnx.ModelProto
        Of opset 18, with standard operators. Its input ``"prepared"`` is float32 of shape (N,
        shape of a sample), its output ``"features"`` float32 of shape (N, n_features).

    Raises
    ------
    ImportError
        If onnx or onnxruntime is not installed.
    ExportError
        If a layer does not convert, which it names, or the graph computes something else.

    Examples
    --------
    >>> from penultimate import FeatureExtractor
    >>> from penultimate.networks import build_network
    >>> from penultimate.networks.exporting import export_network
    >>> extractor = FeatureExtractor(build_network("compact", (8, 8, 1), 2)).fit()
    >>> graph = export_network(extractor).graph
    >>> graph.input[0].name, graph.output[0].name
    ('prepared', 'features')
    """
    check_is_fitted(extractor)
    prepare = extractor.preprocessing_
    # With a preprocessing the graph may leave its size open, and images still have this one.
    size = None if prepare is None else prepare.size
    sides = _OPEN_SIZES if size is None else ((size, size) if isinstance(size, int) else size,)
    return _export(extractor._network, "features", samples, sides)


def export_whole(network: object, samples: ArrayLike | None = None) -> OnnxModel:
    """Return a whole network as an ONNX graph, up to its only output.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module, str, Path or onnx.ModelProto
    samples : array-like of shape (n_samples, ...), optional
        Samples as the network takes them, to prove the graph on; a torch module needs some.

    Returns
    -------
    onnx.ModelProto
        As of `export_network`, but for the output ``"outputs"`` of shape (N, n_outputs).

    Raises
    ------
    ImportError, ExportError
        As `export_network`.

    Examples
    --------
    >>> from penultimate.networks import build_network
    >>> from penultimate.networks.exporting import export_whole
    >>> graph = export_whole(build_network("compact", (8, 8, 1), 2)).graph
    >>> graph.output[0].name, graph.output[0].type.tensor_type.shape.dim[1].dim_value
    ('outputs', 2)
    """
    frozen = adapt(network)
    example = None if samples is None else [np.asarray(samples)[:1]]
    return _export(CutNetwork(frozen, (frozen.whole(example),)), "outputs", samples, _OPEN_SIZES)


def exported(extractor: FeatureExtractor, samples: ArrayLike | None = None) -> FeatureExtractor:
    """Return an extractor of the same features, computed by ONNX Runtime.

    It is faster than a framework, most of all on single images: ``benchmarks/exported.py``. The
    features are the same up to rounding, so fit a head on those of the extractor that it will be
    used with. What the network has seen is known of it, too.

    Parameters
    ----------
    extractor : FeatureExtractor
        Fitted.
    samples : array-like of shape (n_samples, ...), optional
        As of `export_network`.

    Returns
    -------
    FeatureExtractor
        Fitted, with the same preprocessing.

    Raises
    ------
    ImportError, ExportError
        As `export_network`.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import FeatureExtractor
    >>> from penultimate.networks import build_network, exported
    >>> extractor = FeatureExtractor(build_network("compact", (8, 8, 1), 2)).fit()
    >>> faster = exported(extractor)
    >>> images = np.zeros((3, 8, 8, 1), np.uint8)
    >>> np.allclose(faster.transform(images), extractor.transform(images), atol=1e-5)
    True
    """
    network = adapt(export_network(extractor, samples))
    network.name = adapt(extractor.network).name
    seen = provenance_of(extractor.network)
    if seen.known:
        set_provenance(network, seen)
    own = {
        "network": network,
        "layer": "features",
        "preprocessing": extractor.preprocessing_,
        "pooling": None,
        "mirror": False,
    }
    return FeatureExtractor(**{**extractor.get_params(deep=False), **own}).fit()


def _export(
    network: CutNetwork, output: str, samples: ArrayLike | None, sides: Sequence[tuple[int, int]]
) -> OnnxModel:
    import_optional("onnx", "onnx")
    import_optional("onnxruntime", "onnx")
    from penultimate.networks.frameworks.to_onnx.assembling import Value, assembled

    frozen = network.frozen
    if not network.inputs:
        raise ExportError(
            f"The network {frozen.name!r} has no graph of layers and does not state its input, as "
            "a subclassed model. Export it to ONNX yourself, and pass the file."
        )
    if len(network.inputs) != 1:
        names = ", ".join(repr(each.name) for each in network.inputs)
        raise ExportError(
            f"The features of the network {frozen.name!r} depend on {len(network.inputs)} inputs "
            f"({names}), and a graph is exported from one. Cut it before they are joined."
        )
    (given,) = network.inputs
    model = frozen.to_onnx(network.cuts)
    batches = _noise(frozen, given.shape, given.dtype, sides)
    if samples is not None:
        # Noise may miss what images show, such as units that noise never reaches.
        batches.append(np.asarray(samples, given.dtype))
    shapes = [_shape_of(cut, given.shape, batches[0]) for cut in network.cuts]
    values = [Value(len(shape) + 1, cut.channel_axis) for shape, cut in zip(shapes, network.cuts)]
    made = assembled(
        model,
        frozen.name,
        (None, *(given.shape or batches[0].shape[1:])),
        values,
        output=output,
        width=network.count_features(),
        pooling=network.pooling,
        mirrored_axis=network.mirrored,
    )
    _prove(made, network, batches)
    return made


def _shape_of(cut: Cut, given: Shape | None, batch: NDArray[Any]) -> Shape:
    """Return the shape of a value as the framework states it, or measured where it is open."""
    stated = None if given is None or None in given else cut.output_shape([given])
    # A framework that compiles does so for this one sample: not where nothing is to be found out.
    return cut.run([batch[:1]]).shape[1:] if stated is None or None in stated else stated


def _noise(
    frozen: FrozenNetwork, shape: Shape | None, kind: str, sides: Sequence[tuple[int, int]]
) -> list[NDArray[Any]]:
    """Return batches of noise on the scale of the input, one for every size that is tried."""
    if shape is None:
        raise ExportError(
            f"The network {frozen.name!r} does not state the shape of its input: pass samples."
        )
    rng = np.random.default_rng(0)
    found = []
    for pair in sides if None in shape else sides[:1]:
        open_sizes = cycle(pair)
        full = (max(_ROWS), *(each or next(open_sizes) for each in shape))
        if np.issubdtype(np.dtype(kind), np.integer):
            # Tokens of 0 and 1 are in every vocabulary.
            values = rng.integers(0, 2, full).astype(float)
        elif frozen.takes_pixels():
            values = rng.integers(0, 256, full).astype(float)
        else:
            values = rng.normal(size=full)
        # Noise has no large structures; these show what is padded and pooled how.
        ramp = np.linspace(0, 1, full[1]).reshape(-1, *[1] * (len(full) - 2))
        values[0] = values[0] * ramp
        found.append(values.astype(kind))
    return found


def _prove(model: OnnxModel, network: CutNetwork, batches: list[NDArray[Any]]) -> None:
    """Raise unless the graph computes what the framework does, in batches of several sizes."""
    from penultimate.networks.frameworks.onnx_sessions import open_session

    name = network.frozen.name
    try:
        session = open_session(model, name)
    except ValueError as error:  # a network in bfloat16, say
        raise ExportError(f"{error}. Export the network in float32.") from error
    for batch in batches:
        expected = np.concatenate(network.compute([batch]), axis=1)
        largest = float(np.abs(expected).max(initial=0))
        for n_rows in {len(batch), *(min(rows, len(batch)) for rows in _ROWS)}:
            (found,) = session.run(None, {"prepared": batch[:n_rows].astype(np.float32)})
            same_shape = found.shape == expected[:n_rows].shape
            apart = np.abs(found - expected[:n_rows]).max(initial=0) if same_shape else np.inf
            # Written so that a NaN is refused, too.
            if not apart <= _TOLERANCE * largest:
                raise ExportError(
                    f"The ONNX graph of the network {name!r} does not compute what the network "
                    f"does: values of up to {largest:.3g} differ by {apart:.3g}."
                )
