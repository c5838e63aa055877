"""A hub that knows two tiny models, both made from one published file; used by tests and by processes they start."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from earmark.errors import ModelFormatError
from earmark.model.download import Patience
from earmark.model.hub import Hub
from earmark.model.modelfile import seal
from earmark.model.registry import Precision
from tests.tinymodel import tiny_card, tiny_graph

SOURCE = b"TFL3" + bytes(range(256)) * 400
"""A published file that the tiny importer knows; some 100 kB, so that it comes in several pieces."""

QUICK = Patience(connect_seconds=10.0, stall_seconds=10.0, attempts=2, backoff_seconds=0.01)


def import_tiny(source: bytes, /, *, precision: Precision, name: str, calibration=()) -> bytes:
    """Make the tiny model, with other weights for each precision."""
    if not source.startswith(b"TFL3"):
        raise ModelFormatError("the tiny importer does not know this file")
    graph = tiny_graph(np.random.default_rng(len(precision)))
    return seal(graph, tiny_card(name=name, version=f"1-{precision}"))


def changed_weight(model: bytes) -> bytes:
    """Return the model with its largest weights moved by hand and its card as it was."""
    proto = onnx.load_from_string(model)
    weights = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.5), weights.name))
    return proto.SerializeToString()


def write_registry(folder: Path, url: str, **changes: object) -> Path:
    """Write a registry of `tiny` and `tiny-int8`; `changes` are to what it says of their source."""
    source = {
        "url": url,
        "sha256": hashlib.sha256(SOURCE).hexdigest(),
        "size_bytes": len(SOURCE),
        "licence": "CC0-1.0",
        "citation": "nobody",
    }
    model = {"source": "model.tflite", "importer": "yamnet", "description": "A model for tests."}
    registry = {
        "format": 1,
        "sources": {"model.tflite": {**source, **changes}},
        "models": {"tiny": {**model, "precision": "float32"}, "tiny-int8": {**model, "precision": "int8"}},
    }
    path = folder / "registry.json"
    path.write_text(json.dumps(registry), encoding="utf-8")
    return path


def tiny_hub(folder: Path, url: str = "http://127.0.0.1:9/model.tflite", patience: Patience = QUICK) -> Hub:
    """Return the hub, with its cache in ``folder / "cache"``."""
    registry = write_registry(folder, url)
    return Hub(folder / "cache", registry=registry, importers={"yamnet": import_tiny}, patience=patience)
