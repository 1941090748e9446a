"""Networks of any framework as ONNX graphs of standard operators."""
