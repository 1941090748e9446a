"""Imported first: without onnx, an error that names the extra, not that of the first import."""

from penultimate._common.imports import import_optional

for _name in ("onnx", "onnxruntime"):
    import_optional(_name, "onnx")
