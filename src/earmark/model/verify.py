"""Proof that a file still gives the answers it gave when it was made, wherever it runs now.

The test signals need no file and no library: silence, a sine, and noise from a 32-bit linear congruential generator
that any language writes in two lines.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import CardError, VerificationError
from earmark.model.backends import Backend, Outputs, load_backend
from earmark.model.card import ModelCard, TestVector
from earmark.model.tflitearchive import digest

SIGNALS = ("silence", "sine:440", "noise:7")
"""The signals of a new card's test vectors."""

MORE_SIGNALS = (*SIGNALS, "sine:2500", "sweep:50", "sweep:400", "clicks:4", "clicks:30")
"""Those of a card whose model was written in another format: more, as they are all that tells the two apart."""

_KEPT_VALUES = 600  # every class of `clip` for models of usual size; an even sample of larger outputs
_DECIMALS = 6
_MOST_SECONDS = 600
_CLICK = 0.8
_SWEPT_OCTAVES = 4


def signal(recipe: str, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Make a test signal.

    Parameters
    ----------
    recipe : str
        ``silence``; ``sine:HERTZ`` of amplitude 0.5; ``noise:SEED``, uniform in [-0.25, 0.25], from
        ``state = (1664525 * state + 1013904223) mod 2**32`` (Knuth and Lewis); ``sweep:HERTZ`` of amplitude 0.25, a
        sine that doubles its frequency each quarter of the signal; ``clicks:HERTZ``, so many samples of 0.8 a second.
    samples, sample_rate : int
        Length, and hertz.

    Returns
    -------
    ndarray of float32, shape (samples,)

    Raises
    ------
    CardError
        For a recipe of another kind.
    """
    kind, _, number = recipe.partition(":")
    if not 0 < samples <= _MOST_SECONDS * sample_rate:
        raise CardError(f"a test signal of {samples} samples is not allowed: 1 to {_MOST_SECONDS * sample_rate}")
    if kind == "silence":
        return np.zeros(samples, np.float32)
    if kind == "sine" and number.isdecimal():
        return (0.5 * np.sin(2 * np.pi * int(number) * np.arange(samples) / sample_rate)).astype(np.float32)
    if kind == "noise" and number.isdecimal():
        return _noise(int(number), samples)
    if kind == "sweep" and number.isdecimal():
        return _sweep(int(number), samples, sample_rate)
    if kind == "clicks" and number.isdecimal() and 0 < int(number) <= sample_rate:
        clicks = np.zeros(samples, np.float32)
        clicks[:: sample_rate // int(number)] = _CLICK
        return clicks
    known = "silence, sine:HERTZ, noise:SEED, sweep:HERTZ, clicks:HERTZ"
    raise CardError(f"test signal {recipe!r} is not known; allowed: {known}; update earmark")


def _sweep(hertz: int, samples: int, sample_rate: int) -> NDArray[np.float32]:
    octaves = _SWEPT_OCTAVES * np.arange(samples) / samples
    phase = 2 * np.pi * hertz * samples / sample_rate * (2.0**octaves - 1) / (_SWEPT_OCTAVES * np.log(2))
    return np.asarray(0.25 * np.sin(phase), np.float32)


def _noise(seed: int, samples: int) -> NDArray[np.float32]:
    states = np.empty(samples, np.float64)
    state = seed
    for index in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        states[index] = state
    return (0.5 * states / 2**32 - 0.25).astype(np.float32)


def signal_samples(card: ModelCard) -> int:
    """Return the length of a test signal for a model that takes any length: three frames and a half."""
    return card.frame_length + 2 * card.frame_hop + card.frame_hop // 2


def make_vectors(backend: Backend) -> tuple[TestVector, ...]:
    """Run the test signals, three frames and a half long, and keep what the model says."""
    card = backend.card
    samples = signal_samples(card)
    return tuple(
        TestVector(recipe, samples, _kept(backend.run(signal(recipe, samples, card.sample_rate)[None])))
        for recipe in SIGNALS
    )


def make_clip_vectors(backend: Backend, samples: int) -> tuple[TestVector, ...]:
    """Run `MORE_SIGNALS` of so many samples, and keep what the model says of each as a whole."""
    made = ((recipe, signal(recipe, samples, backend.card.sample_rate)[None]) for recipe in MORE_SIGNALS)
    return tuple(
        TestVector(recipe, samples, {"clip": _kept(backend.run(waveform))["clip"]}) for recipe, waveform in made
    )


def _kept(outputs: Outputs) -> dict[str, list[float]]:
    """Return an even sample of each output, flattened and rounded."""
    present = {name: getattr(outputs, name) for name in Outputs.__slots__ if getattr(outputs, name) is not None}
    return {name: [round(float(value), _DECIMALS) for value in _sample(values)] for name, values in present.items()}


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = values.ravel()
    return flat if len(flat) <= _KEPT_VALUES else flat[np.linspace(0, len(flat) - 1, _KEPT_VALUES).astype(int)]


@dataclass(frozen=True, slots=True)
class Verification:
    """How far a model is from its test vectors.

    Parameters
    ----------
    differences : Mapping of str to float
        Largest absolute difference by signal and output, such as ``"noise:7 clip"``.
    tolerance : float
        What the card allows.
    agreement : float
        On which share of the signals the best class is the same, as far as the tolerance can tell it from the next.
    unchanged : bool or None
        Whether the digest of graph and card is the one in the card; None where the file has none.
    """

    model: str
    version: str
    differences: Mapping[str, float]
    tolerance: float
    agreement: float
    unchanged: bool | None

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return float(np.max(list(self.differences.values())))  # which is NaN where one of them is

    @property
    def passed(self) -> bool:
        """Whether outputs agree within the tolerance and no weight was changed."""
        return self.largest <= self.tolerance and self.unchanged is not False

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready data."""
        return {
            "model": self.model,
            "version": self.version,
            "passed": self.passed,
            "largest_difference": self.largest,
            "tolerance": self.tolerance,
            "top1_agreement": self.agreement,
            "unchanged": self.unchanged,
            "differences": dict(self.differences),
        }


def measure(backend: Backend, *, unchanged: bool | None = None) -> Verification:
    """Run a loaded model on its card's test vectors.

    Raises
    ------
    CardError
        If the card has none.
    """
    card = backend.card
    if not any(vector.outputs for vector in card.test_vectors):
        raise CardError(
            f"model {card.name!r} has no test vectors, so it cannot be verified; save it with earmark again"
        )
    differences, same = {}, []
    for vector in card.test_vectors:
        now = _kept(backend.run(signal(vector.signal, vector.samples, card.sample_rate)[None]))
        for name, before in vector.outputs.items():
            if len(now.get(name, ())) != len(before):
                raise VerificationError(f"model {card.name!r} gives no {name} of the size in its card; fetch it again")
            differences[f"{vector.signal} {name}"] = float(np.max(np.abs(np.subtract(now[name], before))))
        if "clip" in vector.outputs:
            clip, best = np.array(now["clip"]), int(np.argmax(vector.outputs["clip"]))
            same.append(bool(clip[best] >= clip.max() - card.tolerance))
    agreement = float(np.mean(same)) if same else 1.0
    return Verification(card.name, card.version, differences, card.tolerance, agreement, unchanged)


def verify(path: str | os.PathLike[str], *, device: str = "cpu") -> Verification:
    """Check a model file against the test vectors and the digest in its card.

    Raises
    ------
    VerificationError
        If an output differs by more than the card's tolerance, or graph or card were changed.
    CardError
        If there is nothing to check against.
    """
    path = Path(path)
    backend = load_backend(path, device=device)
    outcome = measure(backend, unchanged=_unchanged(path, backend.card))
    return require_passed(outcome, path.name)


def require_passed(outcome: Verification, name: str) -> Verification:
    """Return an outcome that passed; raise VerificationError with the name of the file for another."""
    if outcome.passed:
        return outcome
    differ = f"outputs differ by {outcome.largest:.2g}, allowed {outcome.tolerance:.2g}"
    same = f"best class the same for {outcome.agreement:.0%}"
    why = "it was changed since it was made; " if outcome.unchanged is False else ""
    raise VerificationError(f"{name} fails its own test: {why}{differ}, {same}; fetch or save the model again")


def _unchanged(path: Path, card: ModelCard) -> bool | None:
    if not card.sha256:
        return None
    if path.suffix.lower() == ".tflite":
        return digest(path.read_bytes(), card) == card.sha256
    import onnx

    return content_digest(onnx.load(path), card) == card.sha256


def content_digest(model: Any, card: ModelCard) -> str:
    """Return the SHA-256 of an ONNX model's nodes, its constants by name, and its card but for the digest itself."""
    from onnx import numpy_helper

    digest = hashlib.sha256(replace(card, sha256="").to_json().encode())
    for node in model.graph.node:
        digest.update(node.SerializeToString(deterministic=True))
    for tensor in sorted(model.graph.initializer, key=lambda item: item.name):
        values = numpy_helper.to_array(tensor)
        digest.update(f"{tensor.name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
