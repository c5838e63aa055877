"""The exam: what a student says about clips that it has not seen, plain and as users hear them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.model.backends import open_session
from everyday.channel import CONDITIONS
from everyday.labels import LABELS
from everyday.sound import Sound, Waveform

PLAIN = "plain"

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Answers:
    """A student's answers.

    Parameters
    ----------
    columns : ndarray of int64, shape (clips,)
        What each clip is; -1 for none of the classes.
    clip : ndarray of float32, shape (clips, classes)
    frames : sequence of ndarray of float32, shape (frames, classes)
    embeddings : sequence of ndarray of float32, shape (frames, size)
    """

    columns: NDArray[np.int64]
    clip: Scores
    frames: Sequence[Scores]
    embeddings: Sequence[Scores]

    @property
    def targets(self) -> Scores:
        """Shape (clips, classes): 1 where a clip is of a class."""
        return np.asarray(self.columns[:, None] == np.arange(len(LABELS)), np.float32)

    @property
    def accuracy(self) -> float:
        """Share of clips whose highest score is that of their class."""
        return float(np.mean(self.clip.argmax(axis=1) == self.columns))


def ask(model: Path, sounds: Sequence[Sound], condition: str = PLAIN, seed: int = 1) -> Answers:
    """Ask about sounds.

    Parameters
    ----------
    model : Path
        An ONNX file with the outputs ``clip``, ``frames`` and ``embeddings``.
    sounds : sequence of Sound
    condition : str
        `PLAIN`, or one of `everyday.channel.CONDITIONS`.
    seed : int
        Draws rooms and streets; each sound's are its own.
    """
    answers = list(hear(model, (_heard(sound, condition, [seed, number]) for number, sound in enumerate(sounds))))
    return Answers(
        columns=np.array([LABELS.index(sound.label) if sound.label else -1 for sound in sounds], np.int64),
        clip=np.stack([clip for clip, _, _ in answers]),
        frames=[frames for _, frames, _ in answers],
        embeddings=[embeddings for _, _, embeddings in answers],
    )


def hear(model: Path, waveforms: Iterable[Waveform]) -> Iterator[tuple[Scores, Scores, Scores]]:
    """Yield clip, frames and embeddings of each waveform."""
    session = open_session(model)
    for waveform in waveforms:
        clip, frames, embeddings = session.run(["clip", "frames", "embeddings"], {"waveform": waveform[None]})
        yield clip[0], frames[0], embeddings[0]


def _heard(sound: Sound, condition: str, seed: Sequence[int]) -> Waveform:
    waveform = sound.waveform()
    return waveform if condition == PLAIN else CONDITIONS[condition](waveform, np.random.default_rng(seed))
