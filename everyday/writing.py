"""From a student to model files: in float, and with its trunk in eight bits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from earmark.export.int8 import to_int8
from earmark.training.joining import join
from earmark.training.networks.network import Network
from earmark.training.torchgraph import export_tail, export_trunk
from everyday.channel import level
from everyday.labels import LABELS
from everyday.sound import Sound, Waveform

MEASURED_ON = 300
"""Sounds that the ranges of eight bits are measured on."""


def write_students(network: Network, sounds: Sequence[Sound], path: Path, rng: np.random.Generator) -> None:
    """Write a student as ``PATH.onnx``, in eight bits, and as ``PATH-float.onnx``; nothing is calibrated yet.

    Parameters
    ----------
    network : Network
    sounds : sequence of Sound
        That it was taught with: some of them, at drawn levels, say what ranges its activations have.
    path : Path
        Without suffix.
    rng : numpy.random.Generator
        Draws which, and their levels.
    """
    trunk, tail = export_trunk(network), export_tail(network, task="single-label", outputs=len(LABELS))
    chosen = rng.choice(len(sounds), min(MEASURED_ON, len(sounds)), replace=False)
    waveforms: list[Waveform] = [level(sounds[index].waveform(), rng) for index in chosen]
    onnx.save(join(trunk, tail), path.with_name(f"{path.name}-float.onnx"))
    onnx.save(join(to_int8(trunk, waveforms), tail), path.with_name(f"{path.name}.onnx"))
