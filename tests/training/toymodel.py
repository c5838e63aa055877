"""Toy models of any rate, frames, labels and task: random windows as a strided convolution, and a random layer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earmark.features.graph import add_padding
from earmark.features.nodes import Nodes
from earmark.model.card import Label, ModelCard, Task
from earmark.model.modelfile import save

SIZE = 6


def toy_model(
    path: Path,
    *,
    labels: Sequence[str] = ("cat", "dog", "rain"),
    rate_hz: int = 8000,
    length: int = 1600,
    hop: int = 800,
    seed: int = 0,
    task: Task = "single-label",
    novelty: bool = False,
    embeddings: bool = True,
    tones_hz: tuple[float, float] = (100, 500),
    **card: object,
) -> Path:
    """Write a model; two with one seed and one set of labels differ by the order of the labels alone.

    It listens for tones between the two of `tones_hz`, in one phase: the lower, the less it minds a sound that is moved
    by some samples.
    """
    rng = np.random.default_rng(seed)
    nodes = Nodes()
    seconds = np.arange(length) / rate_hz
    tones = np.stack([np.sin(2 * np.pi * rng.uniform(*tones_hz) * seconds) * np.hanning(length) for _ in range(SIZE)])
    channels = nodes("Unsqueeze", add_padding(nodes, "waveform", length, hop), nodes.integers(1))
    windows = nodes("Conv", channels, nodes.constant(tones[:, None] * 40 / length, np.float32), strides=[hop])
    nodes("Relu", nodes("Transpose", windows, perm=[0, 2, 1]), output="embeddings")
    weights = {label: rng.normal(size=SIZE) for label in sorted(labels)}
    columns = nodes.constant(np.stack([weights[label] for label in labels], axis=1), np.float32)
    logits = nodes("MatMul", "embeddings", columns)
    single = task == "single-label"
    nodes("Softmax", logits, output="frames", axis=-1) if single else nodes("Sigmoid", logits, output="frames")
    nodes("ReduceMean", "frames", nodes.integers(1), output="clip", keepdims=0)
    outputs: dict[str, list[int | str]] = {
        "clip": ["batch", len(labels)],
        "frames": ["batch", "frames", len(labels)],
    }
    if embeddings:
        outputs["embeddings"] = ["batch", "frames", SIZE]
    if novelty:
        mean = nodes("ReduceMean", "embeddings", nodes.integers(2), keepdims=0)
        nodes("Sigmoid", mean, output="novelty")
        outputs["novelty"] = ["batch", "frames"]
    facts: dict[str, object] = {
        "name": path.stem,
        "version": "1",
        "labels": tuple(Label(label, label) for label in labels),
        "sample_rate": rate_hz,
        "frame_length_seconds": length / rate_hz,
        "frame_hop_seconds": hop / rate_hz,
        "segment_seconds": (length + 9 * hop) / rate_hz,
        "task": task,
        "embedding_size": SIZE if embeddings else 0,
        "licence": "CC0",
    }
    return save(nodes.model({"waveform": ["batch", "samples"]}, outputs), ModelCard(**(facts | card)), path)  # type: ignore[arg-type]
