"""Feeds the graph of a bundle: what it needs beside the samples, and what its manifest says."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import suggest
from penultimate.bundle.errors import BundleError
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.predictions import Predictions, of_outputs
from penultimate.bundle.session import Session

_ROUTE = -1  # the value of the graph's subset that leaves the choice to the router
_KINDS = {"images": "tensor(uint8)", "features": "tensor(float)", "subset": "tensor(int64)"}


class Runner:
    """The graph of a bundle, as its manifest describes it.

    Parameters
    ----------
    manifest : Manifest
    session : Session

    Attributes
    ----------
    takes, gives : dict of str to tuple
        Type and shape of inputs and outputs by name.
    inputs : dict of str to list
        Shapes by name.
    outputs : list of str

    Raises
    ------
    BundleError
        If the graph takes or gives something else than the manifest says.
    """

    def __init__(self, manifest: Manifest, session: Session) -> None:
        self._manifest, self._session = manifest, session
        self._classes, self._subsets = manifest.labels(), list(manifest.subsets or ())
        given = session.inputs()
        self.inputs = {name: shape for name, (_, shape) in given.items()}
        self.takes, self.gives = given, session.outputs()
        self.outputs = list(self.gives)
        needed = {manifest.kind} | ({"subset"} if self._subsets else set())
        wrong = [name for name, (kind, _) in given.items() if _KINDS.get(name) != kind]
        if wrong or needed - set(given):
            raise BundleError(
                f"The graph of the bundle takes {sorted(given)}, and its manifest says that it "
                f"takes {sorted(needed)}."
            )
        if "label" not in self.outputs:
            raise BundleError("The graph of the bundle gives no 'label'.")

    def run(self, feed: Mapping[str, NDArray[Any]], n_rows: int, subset: str | None) -> Predictions:
        """Predict samples that are images or features.

        Raises
        ------
        ValueError
            If the model does not take these; BundleError if the graph does not do as it should.
        """
        if missing := set(feed) - set(self.inputs):
            raise ValueError(
                f"The model does not take {missing.pop()}: it needs more of its network than these."
            )
        # The graph takes images and features together, and here there are only rows of one.
        nothing = {
            "images": np.zeros((0, 1, 1, self._manifest.input.get("channels") or 1), np.uint8),
            "features": np.zeros((0, self._manifest.input["n_features"]), np.float32),
            "subset": np.array(self.index_of(subset), np.int64),
        }
        given = {name: feed.get(name, nothing[name]) for name in self.inputs}
        if "images" in given:
            given["images"] = self._with_channels(given["images"])
        found = self._session.run(given)
        if subset is not None:
            # The threshold was set on routed answers, and guarantees nothing about others.
            found = {name: values for name, values in found.items() if name != "accepted"}
        return of_outputs(found, n_rows, self._classes, self._subsets)

    def index_of(self, subset: str | None) -> int:
        """Return the number of a subset in the graph, or raise ``ValueError``."""
        if subset is None:
            return _ROUTE
        if not self._subsets:
            raise ValueError(f"The model has no subsets; got subset={subset!r}. Leave it out.")
        if subset not in self._subsets:
            raise ValueError(
                f"The model has no subset {subset!r}; it has {self._subsets}."
                + suggest(subset, self._subsets)
            )
        return self._subsets.index(subset)

    def _with_channels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a batch with the channels that the graph takes; most take both."""
        wanted = self.inputs["images"][3:]
        if wanted == [3] and pixels.shape[3] == 1:
            return np.repeat(pixels, 3, axis=3)
        if wanted == [1] and pixels.shape[3] == 3:
            raise ValueError("The model takes gray images; convert these to gray first.")
        return pixels


def spelled_shapes(tensors: dict[str, tuple[str, list[Any]]]) -> dict[str, str]:
    """Return types and shapes of a graph's inputs or outputs, such as ``"float32 [N, 10]"``."""
    names = {"tensor(float)": "float32", "tensor(double)": "float64"}
    return {
        name: f"{names.get(kind, kind[7:-1])} [{', '.join(str(side or '?') for side in shape)}]"
        for name, (kind, shape) in tensors.items()
    }
