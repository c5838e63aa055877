"""From students to the model file: calibration, thresholds and novelty from what the students of the folds said.

Those have not heard the clips that they were asked about, and the one that is shipped has: so it takes over from them
what must be fitted to unseen sound.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Self

import numpy as np
import onnx

from earmark.evaluation.outcome import Outcome, summarise
from earmark.inference.timeline import frame_edges
from earmark.model.card import DecisionRule, Label, ModelCard
from earmark.model.modelfile import save
from earmark.training.calibration import fit_calibration
from earmark.training.calibrationgraph import add_calibration
from earmark.training.novelty import Novelty
from earmark.training.noveltygraph import add_novelty
from earmark.training.rules import Grid, fit_rule
from earmark.training.scalings import Calibration
from everyday.exam import Answers, Scores, hear
from everyday.labels import LABELS
from everyday.scenes import Scene, make_scenes
from everyday.sound import Sound
from everyday.student import Lesson, new_student
from everyday.views import SAMPLES

WEIGHTS = Path("src", "earmark", "model", "weights", "everyday.onnx")
NAME, VERSION, LICENCE = "everyday", "1", "Apache-2.0"
GRID = Grid(raised=(1.0, 1.3, 1.6, 2.0), smoothing_frames=(0,), duration_frames=(0, 1.5, 2.5), gap_frames=(0, 1.5))
"""A single bark must be an event, and what is before and after it not one: so no smoothing, long durations or gaps."""

TOLERANCE = 0.01
"""Processors round the front end each in their own way, and eight bits make a step of that."""

MOST_OF_A_CLASS = 8
"""Sounds of a class in the soundscapes of a fold."""

DESCRIPTION = "53 everyday sounds: those of ESC-50, speech, music and silence. Small and fast; works without a network."


@dataclass(frozen=True, eq=False)
class Unseen:
    """What students said about sounds that they had not heard.

    Parameters
    ----------
    sounds : sequence of Sound
    answers : Answers
        One for each sound.
    folds : tuple of str
        Of each sound, the fold that the student was taught without.
    """

    sounds: Sequence[Sound]
    answers: Answers
    folds: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return what the students of several folds said, one after another."""
        answers = [part.answers for part in parts]
        return cls(
            sounds=[sound for part in parts for sound in part.sounds],
            answers=Answers(
                columns=np.concatenate([each.columns for each in answers]),
                clip=np.concatenate([each.clip for each in answers]),
                frames=[rows for each in answers for rows in each.frames],
                embeddings=[rows for each in answers for rows in each.embeddings],
            ),
            folds=tuple(fold for part in parts for fold in part.folds),
        )

    def outcome(self, calibration: Calibration) -> Outcome:
        """Measure the calibrated scores."""
        return summarise(
            labels=LABELS,
            task="single-label",
            targets=self.answers.targets,
            scores=calibration.apply(self.answers.clip),
            folds=self.folds,
            model=f"{NAME} {VERSION}",
            clips=tuple(sound.path.name for sound in self.sounds),
            calibrated=True,
            data="ESC-50, and held-out sources of speech, music and silence",
            notes=(
                "Said by students of the folds, who had not heard these clips; the calibration was fitted to them.",
            ),
        )


@dataclass(frozen=True, eq=False)
class Scenes:
    """What students made of soundscapes of sounds that they had not heard.

    Parameters
    ----------
    scenes : sequence of Scene
    frames : sequence of ndarray of float32, shape (frames, classes)
        For each scene.
    """

    scenes: Sequence[Scene]
    frames: Sequence[Scores]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return those of several folds, one after another."""
        return cls([scene for part in parts for scene in part.scenes], [rows for part in parts for rows in part.frames])

    def fit_rule(self, calibration: Calibration, card: ModelCard) -> DecisionRule:
        """Fit thresholds and times to calibrated scores."""
        frames = [calibration.apply(rows) for rows in self.frames]
        return fit_rule(
            frames,
            np.zeros((len(frames), len(card.labels)), np.float32),
            card.labels,
            edges=[frame_edges(card, 0, len(rows)) for rows in frames],
            events=[scene.events for scene in self.scenes],
            frame_hop_seconds=card.frame_hop_seconds,
            grid=GRID,
        ).rule


def hear_scenes(model: Path, sounds: Sequence[Sound], count: int, rng: np.random.Generator) -> Scenes:
    """Make soundscapes of sounds, no more of one class than of another, and ask a student about them."""
    chosen = _of_each_class(sounds, rng)
    scenes = make_scenes(((sound.label, sound.waveform()) for sound in chosen), count, rng)
    return Scenes(scenes, [frames for _, frames, _ in hear(model, (scene.waveform for scene in scenes))])


def _of_each_class(sounds: Sequence[Sound], rng: np.random.Generator) -> list[Sound]:
    kept: dict[str, list[Sound]] = {}
    for index in rng.permutation(len(sounds)):
        sound = sounds[index]
        if sound.label and len(kept.setdefault(sound.label, [])) < MOST_OF_A_CLASS:
            kept[sound.label].append(sound)
    return [sound for label in sorted(kept) for sound in kept[label]]


def ship(
    model: onnx.ModelProto, unseen: Unseen, scenes: Scenes, novelty: Novelty, *, path: Path, lesson: Lesson
) -> Path:
    """Calibrate the student that is shipped, write its card, and save it.

    Parameters
    ----------
    model : onnx.ModelProto
        Taught with everything.
    unseen : Unseen
        From the students of the folds.
    scenes : Scenes
        From the same.
    novelty : Novelty
        From `learn_novelty`.
    path : Path
        Of the model file.
    lesson : Lesson
        How it was taught, for the card.
    """
    answers = unseen.answers
    calibration = fit_calibration(answers.clip, answers.targets, task="single-label", background=True)
    labels = tuple(Label(label, label.replace("_", " ")) for label in LABELS)
    student = new_student(lesson.seed)
    geometry = student.geometry
    card = ModelCard(
        name=NAME,
        version=VERSION,
        labels=labels,
        sample_rate=geometry.sample_rate_hz,
        frame_length_seconds=geometry.frame_length_seconds,
        frame_hop_seconds=geometry.frame_hop_seconds,
        segment_seconds=geometry.padded_length(SAMPLES) / geometry.sample_rate_hz,
        task="single-label",
        calibrated=True,
        embedding_size=student.embedding_size,
        tolerance=TOLERANCE,
        licence=LICENCE,
        description=DESCRIPTION,
        source=f"earmark {installed('earmark')}, recipe everyday",
        training_data="Clips of CC0, CC-BY, Apache-2.0 and MIT licence alone; see everyday-credits.csv",
        background=True,
        metrics={"unseen_folds": unseen.outcome(calibration).to_dict(classes=False)},
        novelty_threshold=novelty.threshold,
        training={
            "recipe": "everyday",
            "lesson": asdict(lesson),
            "calibration": calibration.to_dict(),
            "novelty": novelty.to_dict(),
            "date": datetime.now(UTC).date().isoformat(),
        },
    )
    card = replace(card, decision=scenes.fit_rule(calibration, card))
    return save(add_novelty(add_calibration(model, calibration), novelty), card, path)
