"""The front end: log-mel settings and matrices, and their form as ONNX nodes."""
