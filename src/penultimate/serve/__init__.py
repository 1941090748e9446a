"""A model in a bundle as an HTTP service, over ONNX Runtime alone."""

from penultimate._common.imports import import_optional
from penultimate._common.lazy import load_lazily

for _package in ("fastapi", "uvicorn", "prometheus_client"):
    import_optional(_package, "serve")

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
