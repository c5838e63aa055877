"""From students to the model file: calibration, thresholds and novelty from what the students of the folds said.

Those have not heard the clips that they were asked about, and the one that is shipped has: so it takes over from them
what must be fitted to unseen sound.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.evaluation.outcome import Outcome, summarise
from earmark.model.card import Label, ModelCard
from earmark.model.modelfile import save
from earmark.training.calibration import fit_calibration
from earmark.training.calibrationgraph import add_calibration
from earmark.training.novelty import Novelty, fit_novelty
from earmark.training.noveltygraph import add_novelty
from earmark.training.noveltyweights import Method
from earmark.training.rules import fit_rule
from earmark.training.scalings import Calibration
from everyday.exam import Answers
from everyday.labels import LABELS
from everyday.pool import HELD_OUT_FOLD, Pool
from everyday.sound import Sound
from everyday.student import Lesson, new_student
from everyday.views import SAMPLES

WEIGHTS = Path("src", "earmark", "model", "weights", "everyday.onnx")
NAME, VERSION, LICENCE = "everyday", "1", "Apache-2.0"
KNOWN_QUANTILE = 0.98
"""Share of views of known classes that are not refused: who answers by default must rather answer than refuse."""

METHOD: Method = "mahalanobis"
"""Neighbours would take 1.5 MB of the file."""

NOVELTY_VIEWS = 5_000
CLEAR_SHARE = 0.75
"""Of a class in a view that counts as one of it."""

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


def joined(parts: Sequence[Unseen]) -> Unseen:
    """Return what the students of several folds said, one after another."""
    answers = [part.answers for part in parts]
    return Unseen(
        sounds=[sound for part in parts for sound in part.sounds],
        answers=Answers(
            columns=np.concatenate([each.columns for each in answers]),
            clip=np.concatenate([each.clip for each in answers]),
            frames=[rows for each in answers for rows in each.frames],
            embeddings=[rows for each in answers for rows in each.embeddings],
        ),
        folds=tuple(fold for part in parts for fold in part.folds),
    )


def ship(model: onnx.ModelProto, unseen: Unseen, novelty: Novelty, path: Path, lesson: Lesson) -> Path:
    """Calibrate the student that is shipped, write its card, and save it.

    Parameters
    ----------
    model : onnx.ModelProto
        Taught with everything.
    unseen : Unseen
        From the students of the folds.
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
    rule = fit_rule([calibration.apply(rows) for rows in answers.frames], answers.targets, labels)
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
        licence=LICENCE,
        description=DESCRIPTION,
        source=f"earmark {installed('earmark')}, recipe everyday",
        training_data="Clips of CC0, CC-BY, Apache-2.0 and MIT licence alone; see everyday-credits.csv",
        decision=rule.rule,
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
    return save(add_novelty(add_calibration(model, calibration), novelty), card, path)


def learn_novelty(folder: Path, fold: int, pool: Pool, rng: np.random.Generator) -> Novelty:
    """Learn what is familiar to the student that is shipped, and how far from it the unfamiliar begins.

    Familiar are views, not clips as they are: a telephone makes no sound new. How far is learned from the student of
    one fold, who has not heard all of them.

    Parameters
    ----------
    folder : Path
        Where the students are.
    fold : int
    pool : Pool
        Those of its views count in which one class is nearly all there is to hear.
    rng : numpy.random.Generator
        Draws them.
    """
    clear = np.flatnonzero(pool.targets.max(axis=1) >= CLEAR_SHARE)
    rows = np.sort(rng.choice(clear, min(NOVELTY_VIEWS, len(clear)), replace=False))
    targets = np.asarray(pool.targets[rows] >= CLEAR_SHARE, np.float32)[:, :-1]
    groups = [str(row) for row in rows]
    own, others = (_embedded(folder / f"{name}.pt", pool, rows) for name in ("all", f"fold-{fold}"))
    unheard = np.flatnonzero(np.isin(pool.folds[rows], [fold, HELD_OUT_FOLD]))
    asked = fit_novelty(
        others, targets, groups, indices_held_out=unheard, frozen=False, method=METHOD, quantile=KNOWN_QUANTILE
    )
    familiar = fit_novelty(own, targets, groups)
    return replace(asked, axes=familiar.axes, familiar=familiar.familiar)


@torch.no_grad()
def _embedded(weights: Path, pool: Pool, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Return what a student makes of views, each of shape (frames, size)."""
    student = new_student(0).eval()
    student.load_state_dict(torch.load(weights, weights_only=True))
    parts = np.array_split(rows, 1 + len(rows) // 64)
    return [clip for part in parts for clip in student.embed(_pictures(pool, part)).numpy()]


def _pictures(pool: Pool, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(pool.logmel[rows].astype(np.float32))
