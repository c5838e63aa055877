"""A model small enough for every test: log-mel patches, a seeded random layer, five classes with awkward names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from earmark.features.graph import add_logmel, add_padded_size
from earmark.features.logmel import PRESETS
from earmark.features.nodes import END, Nodes
from earmark.model.card import DecisionRule, Label, ModelCard
from earmark.model.modelfile import save

SETTINGS = PRESETS["general"]
FAMILIAR_BELOW = -6.5
"""Mean log-mel at which the novelty of the novel model is one half."""
PATCH_FRAMES, PATCH_HOP_FRAMES = 32, 16
LENGTH, HOP = SETTINGS.samples_for(PATCH_FRAMES), PATCH_HOP_FRAMES * SETTINGS.hop_length

LABELS = (
    Label("/t/tone", "Tone"),
    Label("/t/noise", "Noise, hiss"),
    Label("/t/bird", "Chant d'oiseau"),
    Label("/t/bell", "Glöckchen"),
    Label("/t/quiet", "Silence"),
)


def tiny_card(**changes: object) -> ModelCard:
    """Return the card of the tiny model, with changes."""
    fields: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "labels": LABELS,
        "sample_rate": SETTINGS.sample_rate,
        "frame_length_seconds": LENGTH / SETTINGS.sample_rate,
        "frame_hop_seconds": HOP / SETTINGS.sample_rate,
        "segment_seconds": (LENGTH + 5 * HOP) / SETTINGS.sample_rate,
        "decision": DecisionRule(on=0.6, off=0.4),
        "embedding_size": SETTINGS.bands,
        "licence": "Apache-2.0",
        "description": "A random model for tests.",
    }
    return ModelCard(**(fields | changes))  # type: ignore[arg-type]


def tiny_graph(rng: np.random.Generator, *, novelty: bool = False, labels: Sequence[Label] = LABELS) -> onnx.ModelProto:
    """Return the tiny model's graph with random weights; with `novelty`, loud sound is what it does not know."""
    nodes = Nodes()
    logmel = add_logmel(nodes, "waveform", SETTINGS, add_padded_size(nodes, "waveform", LENGTH, HOP))
    halves = nodes("Reshape", logmel, nodes.integers(0, -1, PATCH_HOP_FRAMES, SETTINGS.bands))
    patches = nodes("Concat", nodes.slice(halves, 0, -1, axis=1), nodes.slice(halves, 1, END, axis=1), axis=2)
    embeddings = nodes("ReduceMean", patches, nodes.integers(2), output="embeddings", keepdims=0)
    weights = rng.standard_normal((SETTINGS.bands, len(labels))) / SETTINGS.bands
    logits = nodes("MatMul", embeddings, nodes.constant(weights, np.float32))
    frames = nodes("Sigmoid", logits, output="frames")
    nodes("ReduceMean", frames, nodes.integers(1), output="clip", keepdims=0)
    classes, size = len(labels), SETTINGS.bands
    outputs: dict[str, list[object]] = {
        "clip": ["batch", classes],
        "frames": ["batch", "frames", classes],
        "embeddings": ["batch", "frames", size],
    }
    if novelty:
        loudness = nodes("ReduceMean", embeddings, nodes.integers(2), keepdims=0)
        beyond = nodes("Sub", loudness, nodes.constant(FAMILIAR_BELOW, np.float32))
        nodes("Sigmoid", beyond, output="novelty")
        outputs["novelty"] = ["batch", "frames"]
    return nodes.model({"waveform": ["batch", "samples"]}, outputs)


def save_novel_model(path: Path, **changes: object) -> Path:
    """Save the tiny model with a novelty output: what is loud is none of its classes."""
    graph = tiny_graph(np.random.default_rng(7), novelty=True)
    return save(graph, tiny_card(**{"name": "novel", "novelty_threshold": 0.5, **changes}), path)
