"""The extractors that estimators make of a network: at one layer, at several, or of the whole."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from penultimate._common.protocols import Inputs
from penultimate.networks.extraction import FeatureExtractor


def extractor_of(network: object, layer: str | list[str], batch_size: int) -> FeatureExtractor:
    """Return an extractor of a network at a layer.

    Of an extractor it is a copy with this layer, and its own batch size.

    Raises
    ------
    ValueError
        If an extractor is cut at another layer.
    """
    if not isinstance(network, FeatureExtractor):
        return FeatureExtractor(network, layer=layer, batch_size=batch_size)
    params = network.get_params(deep=False)
    if layer != "penultimate":
        if params["layer"] not in ("penultimate", layer):
            raise ValueError(
                f"layer={layer!r} is asked of an extractor that is cut at {params['layer']!r}: "
                "leave out one of the two."
            )
        params["layer"] = layer
    return FeatureExtractor(**params)


def cut_each(
    network: object,
    layers: Sequence[str],
    batch_size: int,
    X: Inputs | None = None,
    y: ArrayLike | None = None,
) -> dict[str, FeatureExtractor]:
    """Return a network cut at each of several layers, fitted; see `extractor_of`."""
    if len(layers) == 1:
        return {layers[0]: extractor_of(network, layers[0], batch_size).fit(X, y)}
    return extractor_of(network, list(layers), batch_size).fit(X, y).each(layers)


def of_whole(network: object, X: Inputs | None, batch_size: int) -> FeatureExtractor:
    """Return an extractor of what a network puts out in the end, such as its probabilities."""
    own: dict[str, Any] = {"network": network}
    if isinstance(network, FeatureExtractor):
        own = network.get_params(deep=False)
    # Pooling is for features: of what the network puts out, every value counts.
    extractor = FeatureExtractor(**{**own, "batch_size": batch_size, "pooling": None})
    return extractor.fit_whole(X)
