"""Tiny labelled clips: tones and noise, on disk, and networks small enough for them."""

from pathlib import Path

import numpy as np
import soundfile

from earmark.data.manifest import Clip, Manifest

RATE_HZ = 16_000
PITCHES_HZ = {"high": 2_500.0, "low": 300.0}

TINY_CONV = {"widths": (8, 8), "bands": 16}
TINY_WAVE = {"widths": (8, 8), "filters": 8}


def toy_waveform(label: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return a tone of the label's pitch in noise, noise alone, or for no label near silence."""
    samples = round(seconds * RATE_HZ)
    noise = rng.standard_normal(samples) * {"hiss": 0.2, "": 0.001}.get(label, 0.02)
    if label in PITCHES_HZ:
        hertz = PITCHES_HZ[label] * rng.uniform(0.9, 1.1)
        noise += 0.3 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE_HZ + rng.uniform(0, 6))
    return noise.astype(np.float32)


def toy_manifest(folder: Path, labels: tuple[str, ...] = ("high", "hiss", "low"), *, each: int = 10) -> Manifest:
    """Write clips of about a second, `each` of every label, and return their manifest; ``""`` makes negatives."""
    rng = np.random.default_rng(11)
    clips = []
    for label in labels:
        for number in range(each):
            path = folder / f"{label or 'background'}-{number}.wav"
            soundfile.write(path, toy_waveform(label, rng.choice([0.8, 1.0, 1.2]), rng), RATE_HZ)
            clips.append(Clip(path, (label,) if label else ()))
    return Manifest.of(clips, source=str(folder), layout="folder")


def toy_mixtures(folder: Path, *, clips: int = 24) -> Manifest:
    """Write clips of one tone or two, labelled with both."""
    rng = np.random.default_rng(12)
    made = []
    for number in range(clips):
        labels = (("high",), ("low",), ("high", "low"))[number % 3]
        path = folder / f"mixture-{number}.wav"
        soundfile.write(path, sum(toy_waveform(label, 1.0, rng) for label in labels), RATE_HZ)
        made.append(Clip(path, labels))
    return Manifest.of(made, source=str(folder), layout="folder")


def write_toy_folders(root: Path, labels: tuple[str, ...], *, each: int) -> Path:
    """Write a folder of clips for each label; that of ``""`` is called background."""
    rng = np.random.default_rng(13)
    for label in labels:
        folder = root / (label or "background")
        folder.mkdir(parents=True)
        for number in range(each):
            soundfile.write(folder / f"{number}.wav", toy_waveform(label, rng.choice([0.8, 1.0, 1.2]), rng), RATE_HZ)
    return root
