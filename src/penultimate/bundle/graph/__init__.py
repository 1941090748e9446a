"""A fitted model as one ONNX graph, of standard operators alone."""

# Imported for what they register.
from penultimate.bundle.graph import (  # noqa: F401
    _available,
    _calibration,
    _classifiers,
    _composed,
    _pairs,
    _specialists,
)
from penultimate.bundle.graph._models import build_graph
from penultimate.networks.frameworks.frozen import ExportError

__all__ = ["ExportError", "build_graph"]
