"""Networks: the manifest, their weights, ONNX Runtime sessions and one adapter a family."""
