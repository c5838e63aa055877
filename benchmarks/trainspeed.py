"""Training speed: the 2-D network of CVxTz/audio_classification in our loop and in Keras, in turn, on two cores.

The same layers, batches of 32, clips of 5 s at 16 kHz, Adam, cross-entropy, no augmentation. Each is run in two ways:
with its data pipeline, from decoded waveforms in memory to a step of the optimiser; and on spectrograms that were made
before, so that the steps alone count. Keras' pipeline is `tf.data` with `tf.signal`, faster than librosa in the
original. An epoch is timed, the first left out; of all rounds the best epoch counts.

Keras runs in the Python that EARMARK_KERAS_PYTHON names (`pip install tensorflow-cpu`), with and without its compiler
XLA, and the faster of the two counts. Our loop computes in what it chooses on this processor; where that is not
float32, float32 is a row of its own.
"""

import json
import math
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.bench import Bench
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import cores
from earmark.training.batches import Batches
from earmark.training.fit import fit_network
from earmark.training.fitsettings import FitSettings
from earmark.training.losses import loss_for
from earmark.training.module import Lessons, Material
from earmark.training.networks import Network, build_network
from earmark.training.precision import chosen_precision
from earmark.training.run import Precision, Run
from earmark.training.scores import score_for

PYTHON_VARIABLE = "EARMARK_KERAS_PYTHON"
PEER = Path(__file__).with_name("kerasnet.py")
NETWORK, CLASSES, BATCH_SIZE, CROP_SAMPLES = "cvxtz-2d", 41, 32, 80_000
CORES = 2
AT_LEAST = 1.5

Way = Literal["waveforms", "features"]
WAYS: dict[Way, str] = {"waveforms": "with its data pipeline", "features": "on spectrograms made before"}
NO_KERAS = f"no row for Keras: set {PYTHON_VARIABLE} to a Python that has tensorflow-cpu"


@dataclass(frozen=True, eq=False)
class Exercise:
    """What both are taught with.

    Parameters
    ----------
    waveforms : ndarray of float32, shape (clips, samples)
    targets : ndarray of float32, shape (clips, classes)
        One-hot.
    epochs : int
        At least two: the first is not timed.
    """

    waveforms: NDArray[np.float32]
    targets: NDArray[np.float32]
    epochs: int


def measure(bench: Bench) -> Iterator[Row]:
    """Yield examples a second, ours beside Keras'."""
    exercise = make_exercise(bench)
    python = os.environ.get(PYTHON_VARIABLE)
    precision = chosen_precision("auto", "cpu")
    precisions: list[Precision] = list(dict.fromkeys([precision, "32-true"]))
    ours = {(way, each): partial(our_speed, exercise, way, each) for way in WAYS for each in precisions}
    theirs = partial(keras_speeds, bench, exercise, python) if python else dict
    with cores(CORES):
        best, peer = in_turn(ours, theirs, bench.pick(3, 1))
    for (way, each), speed in best.items():
        yield Row(
            what=f"2-D network {WAYS[way]}, {each}",
            ours=Quantity(speed, "examples/s"),
            against="Keras" if peer else "",
            peer=Quantity(peer[way], "examples/s") if peer else None,
            goal=Goal(AT_LEAST, "ratio") if peer and each == precision else None,
            note=f"our loop with its defaults takes {precision} here" if peer else NO_KERAS,
        )


def make_exercise(bench: Bench) -> Exercise:
    """Return clips of ESC-50 and classes drawn for them: what is learnt does not matter."""
    count = bench.pick(320, 2 * BATCH_SIZE)
    rng = np.random.default_rng(0)
    decoded = [clip.waveform()[:CROP_SAMPLES] for clip in bench.esc50[:count]]
    waveforms = np.zeros((count, CROP_SAMPLES), np.float32)
    for row, waveform in zip(waveforms, decoded, strict=False):
        row[: len(waveform)] = waveform
    return Exercise(waveforms, np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=count)], bench.pick(4, 2))


def in_turn(
    ours: dict[tuple[Way, Precision], Callable[[], float]], theirs: Callable[[], dict[str, float]], rounds: int
) -> tuple[dict[tuple[Way, Precision], float], dict[str, float]]:
    """Run all of ours, then Keras, and again; return the best of each."""
    best, peer = dict.fromkeys(ours, 0.0), dict[str, float]()
    for _ in range(rounds):
        best = {key: max(best[key], run()) for key, run in ours.items()}
        peer = {way: max(peer.get(way, 0.0), speed) for way, speed in theirs().items()}
    return best, peer


class Spectrograms(Lessons):
    """Batches of features that were made before."""

    def __init__(self, features: Tensor, targets: Tensor) -> None:
        self._features, self._targets = features, targets

    def __len__(self) -> int:
        return math.ceil(len(self._targets) / BATCH_SIZE)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch in an order of its own."""
        order = torch.from_numpy(np.random.default_rng(number).permutation(len(self._targets)))
        for places in order.split(BATCH_SIZE):
            yield self._features[places], self._targets[places]


def our_speed(exercise: Exercise, way: Way, precision: Precision) -> float:
    """Return the examples a second of our loop's fastest epoch but the first."""
    network = build_network(NETWORK, classes=CLASSES, task="single-label", seed=0)
    lessons: Lessons = Batches(
        list(exercise.waveforms), exercise.targets, crop_samples=CROP_SAMPLES, batch_size=BATCH_SIZE
    )
    few = torch.from_numpy(exercise.waveforms[:2])  # to validate with: next to nothing
    if way == "features":
        few, lessons = network.features(few), spectrograms(network, exercise)
    material = Material(
        lessons=lambda *_: lessons,
        held_out=[(np.arange(2), few)],
        targets=exercise.targets,
        loss=loss_for("single-label"),
        score=score_for("single-label"),
    )
    run = Run(accelerator="cpu", precision=precision)
    fitted = fit_network(network, material, FitSettings(epochs=exercise.epochs), run)
    return len(exercise.targets) / min(row["seconds"] for row in fitted.history[1:])


def spectrograms(network: Network, exercise: Exercise) -> Spectrograms:
    """Make the features of all clips, and have the network take them for what they are."""
    with torch.no_grad():
        parts = [network.features(part) for part in torch.from_numpy(exercise.waveforms).split(BATCH_SIZE)]
    network.features = lambda features: features  # type: ignore[method-assign]  # nothing is left to do
    return Spectrograms(torch.cat(parts), torch.from_numpy(exercise.targets))


def keras_speeds(bench: Bench, exercise: Exercise, python: str) -> dict[str, float]:
    """Return the examples a second of Keras in both ways, each with the better of XLA and no XLA.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    data = bench.folder / "keras.npz"
    if not data.exists():
        np.savez(data, waveforms=exercise.waveforms, labels=exercise.targets.argmax(axis=1))
    speeds: dict[str, float] = {}
    for compiler in ("none", "xla"):
        done = subprocess.run(
            [python, str(PEER), str(data), str(exercise.epochs), compiler], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{python} {PEER.name} failed: {done.stderr.strip()[-2000:]}")
        for way, speed in json.loads(done.stdout.splitlines()[-1]).items():
            speeds[way] = max(speeds.get(way, 0.0), speed)
    return speeds
