"""The recipe of the model inside: its students on what they have not heard.

The students are those that `make everyday` leaves in ``build/everyday``, one for each fold of ESC-50 that it has done.
Each was taught without its fold, as its teacher was, and without the sources of speech, music and silence that are held
out; it answers in eight bits. All clips of the fold count, also those that may not be taught with. A clip is right if
its highest score, of all 53, is that of its class. The calibration of a fold is fitted to the other folds, or, while
there is but one, to the half of its clips that is not measured. In each condition every second clip is heard, beside
the same clips as they are. Novelty is asked of one more student, taught without
ten classes and without fold 1.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.bench import Bench
from benchmarks.row import Goal, Quantity, Row
from earmark.evaluation.metrics import expected_calibration_error
from earmark.training.calibration import fit_calibration
from everyday.channel import CONDITIONS
from everyday.exam import Answers, ask
from everyday.labels import LABELS, MUSIC, SILENCE, SPEECH
from everyday.pool import Pool
from everyday.sound import Sound, read_sounds
from everyday.sources import esc50
from everyday.strangers import CLASSES, UNHEARD, tell_strangers
from everyday.strangers import NAME as STRANGERS

BUILD = Path("build", "everyday")
REACH, MOST_CALIBRATION_ERROR, MOST_POINTS_LOST, LEAST_F1, LEAST_NOVELTY = 85.0, 0.04, 5.0, 0.9, 0.85
ESC50_CLASSES = 50


def measure(bench: Bench) -> Iterator[Row]:
    """Yield accuracy, calibration, robustness, the three classes beside ESC-50, and novelty."""
    folds = [fold for fold in range(1, 6) if _student(fold).exists()][: bench.pick(5, 1)]
    clips = {fold: _clips_of(bench, fold) for fold in folds}
    plain = {fold: ask(_student(fold), clips[fold]) for fold in folds}
    yield from _accuracy_rows(plain)
    yield _calibration_row(list(plain.values()))
    for condition in list(CONDITIONS)[: bench.pick(len(CONDITIONS), 1)]:
        yield _condition_row(condition, clips, plain)
    yield from _class_rows(folds[0], plain[folds[0]])
    if (BUILD / f"{STRANGERS}.pt").exists():
        yield _novelty_row(bench)


def _accuracy_rows(plain: dict[int, Answers]) -> Iterator[Row]:
    each = ", ".join(f"{fold}: {100 * answers.accuracy:.2f}" for fold, answers in plain.items())
    mean = 100 * float(np.mean([answers.accuracy for answers in plain.values()]))
    within = [np.mean(a.clip[:, :ESC50_CLASSES].argmax(axis=1) == a.columns) for a in plain.values()]
    yield Row(
        what="ESC-50, accuracy among 53 classes",
        ours=Quantity(mean, "%"),
        goal=Goal(REACH),
        note=f"{len(plain)} of 5 folds, {each}",
    )
    yield Row(what="ESC-50, accuracy among its 50 classes", ours=Quantity(100 * float(np.mean(within)), "%"))


def _calibration_row(plain: Sequence[Answers]) -> Row:
    """Calibrate each fold by the others; a single one in halves, each by the other."""
    parts = [(each.clip, each.targets) for each in plain]
    if len(parts) == 1:
        parts = [(rows[half::2], targets[half::2]) for rows, targets in parts for half in (0, 1)]
    scores, targets = [], []
    for index, (own, its_targets) in enumerate(parts):
        others = [part for number, part in enumerate(parts) if number != index]
        fitted = fit_calibration(*map(np.concatenate, zip(*others, strict=True)), task="single-label", background=True)
        scores.append(fitted.apply(own))
        targets.append(its_targets)
    return Row(
        what="ESC-50, calibration error",
        ours=Quantity(expected_calibration_error(np.concatenate(scores), np.concatenate(targets)), ""),
        goal=Goal(MOST_CALIBRATION_ERROR, at_most=True),
    )


def _condition_row(condition: str, clips: dict[int, list[Sound]], plain: dict[int, Answers]) -> Row:
    heard = [ask(_student(fold), sounds[::2], condition).accuracy for fold, sounds in clips.items()]
    same = [np.mean(a.clip[::2].argmax(axis=1) == a.columns[::2]) for a in plain.values()]
    lost = round(100 * float(np.mean(same) - np.mean(heard)), 6)  # 83 less 78 is no more than 5
    return Row(
        what=f"points lost: {condition}",
        ours=Quantity(lost, "points"),
        goal=Goal(MOST_POINTS_LOST, at_most=True),
        note=f"{100 * np.mean(heard):.2f} % where the clips as they are have {100 * np.mean(same):.2f} %",
    )


def _class_rows(fold: int, plain: Answers) -> Iterator[Row]:
    """Yield F1 of speech, music and silence of sources that no student has heard, among all clips of a fold."""
    sounds = [sound for sound in read_sounds(BUILD / "sounds" / "sounds.csv") if sound.held_out and sound.label]
    heard = ask(_student(fold), sounds)
    columns = np.concatenate([heard.columns, plain.columns])
    given = np.concatenate([heard.clip, plain.clip]).argmax(axis=1)
    for label in (SPEECH, MUSIC, SILENCE):
        column = LABELS.index(label)
        right = int(((columns == column) & (given == column)).sum())
        there, said = int((columns == column).sum()), int((given == column).sum())
        yield Row(
            what=f"{label} of unseen sources, F1",
            ours=Quantity(2 * right / (there + said), ""),
            goal=Goal(LEAST_F1),
            note=f"{there} clips, {right} of them found, {said - right} others taken for it",
        )


def _novelty_row(bench: Bench) -> Row:
    pool, clips = Pool.open(BUILD / "pool"), _clips_of(bench, UNHEARD)
    return Row(
        what="novelty of ten classes that a student never heard, ROC-AUC",
        ours=Quantity(tell_strangers(BUILD, pool, clips, np.random.default_rng(0)), ""),
        goal=Goal(LEAST_NOVELTY),
        note=", ".join(LABELS[column] for column in CLASSES),
    )


def _student(fold: int) -> Path:
    return BUILD / f"fold-{fold}.onnx"


def _clips_of(bench: Bench, fold: int) -> list[Sound]:
    sounds = [sound for sound in esc50(bench.shared, clean=False) if sound.fold == str(fold)]
    return sounds[:: bench.pick(1, 20)]
