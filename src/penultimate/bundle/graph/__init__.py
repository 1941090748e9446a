"""A fitted model as one ONNX graph, of standard operators alone."""

# Imported for what they register.
from penultimate.bundle.graph import _composed, _pairs  # noqa: F401
from penultimate.bundle.graph._builder import ExportError
from penultimate.bundle.graph._models import build_graph

__all__ = ["ExportError", "build_graph"]
