"""From students to the model file: calibration, thresholds and novelty from what the students of the folds said.

Those have not heard the clips that they were asked about, and the one that is shipped has: so it takes over from them
what must be fitted to unseen sound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from earmark.evaluation.outcome import Outcome, summarise
from earmark.model.card import Label, ModelCard
from earmark.model.modelfile import save
from earmark.training.calibration import fit_calibration
from earmark.training.calibrationgraph import add_calibration
from earmark.training.novelty import Novelty, fit_novelty
from earmark.training.noveltygraph import add_novelty
from earmark.training.rules import fit_rule
from earmark.training.scalings import Calibration
from everyday.exam import Answers
from everyday.labels import LABELS
from everyday.sound import Sound
from everyday.student import Lesson, new_student

NAME, VERSION, LICENCE = "everyday", "1", "Apache-2.0"
DESCRIPTION = "53 everyday sounds: those of ESC-50, speech, music and silence. Small and fast; works without a network."


@dataclass(frozen=True, kw_only=True, eq=False)
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
        )


def ship(
    model: onnx.ModelProto,
    unseen: Unseen,
    novelty: Novelty,
    path: Path,
    *,
    lesson: Lesson,
    metrics: Mapping[str, Any],
) -> Path:
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
    metrics : Mapping
        What was measured, for the card.
    """
    answers = unseen.answers
    calibration = fit_calibration(answers.clip, answers.targets, task="single-label", background=True)
    labels = tuple(Label(label, label.replace("_", " ")) for label in LABELS)
    rule = fit_rule([calibration.apply(rows) for rows in answers.frames], answers.targets, labels)
    geometry = new_student(lesson.seed).geometry
    card = ModelCard(
        name=NAME,
        version=VERSION,
        labels=labels,
        sample_rate=geometry.sample_rate_hz,
        frame_length_seconds=geometry.frame_length_seconds,
        frame_hop_seconds=geometry.frame_hop_seconds,
        segment_seconds=geometry.frame_length_seconds + 11 * geometry.frame_hop_seconds,
        task="single-label",
        calibrated=True,
        embedding_size=new_student(lesson.seed).embedding_size,
        licence=LICENCE,
        description=DESCRIPTION,
        source=f"earmark {installed('earmark')}, recipe everyday",
        training_data="Clips of CC0, CC-BY, Apache-2.0 and MIT licence alone; see everyday-credits.csv",
        decision=rule.rule,
        background=True,
        metrics={"unseen_folds": unseen.outcome(calibration).to_dict(classes=False), **metrics},
        novelty_threshold=novelty.threshold,
        training={
            "recipe": "everyday",
            "lesson": vars(lesson) | {},
            "calibration": calibration.to_dict(),
            "novelty": novelty.to_dict(),
            "date": datetime.now(UTC).date().isoformat(),
        },
    )
    return save(add_novelty(add_calibration(model, calibration), novelty), card, path)


def learn_novelty(own: Answers, others: Answers, unheard: np.ndarray[Any, Any], sounds: Sequence[Sound]) -> Novelty:
    """Learn what is familiar to the student that is shipped, and how far from it the unfamiliar begins.

    Parameters
    ----------
    own : Answers
        Of the student that is shipped, about all sounds that it was taught with.
    others : Answers
        Of the student of one fold, about the same sounds.
    unheard : ndarray of int64
        Those of them that the latter has not heard.
    sounds : sequence of Sound
    """
    groups = [sound.group for sound in sounds]
    asked = fit_novelty(others.embeddings, others.targets, groups, indices_held_out=unheard, frozen=False)
    familiar = fit_novelty(own.embeddings, own.targets, groups)
    return replace(
        familiar,
        weights=asked.weights,
        bias=asked.bias,
        threshold=asked.threshold,
        method=asked.method,
        roc_auc=asked.roc_auc,
    )
