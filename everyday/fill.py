"""Filling the pool: clips are read, views are drawn, and the student's front end and the teacher look at each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from everyday.labels import LABELS
from everyday.pool import COMMON_FOLD, HELD_OUT_FOLD, Pool
from everyday.sound import RATE_HZ, Sound
from everyday.street import street
from everyday.student import new_student
from everyday.teacher import load_teacher
from everyday.views import NONE, SAMPLES, Heap, View, draw_common_view, draw_view, plain_view

BATCH = 16
COMMON_SHARE, HELD_OUT_SHARE = 0.2, 0.02
"""Of drawn views, those that have nothing of a fold, and those of sounds that the measured run may not learn."""

STREETS = 80
"""Street noises that are made, as backgrounds."""

Report = Callable[[str], None]
_REPORT_EVERY = 2_000


@dataclass(frozen=True, eq=False)
class Heaps:
    """What views are mixed from: the clips of each fold, the sounds that have none, and backgrounds."""

    folds: Mapping[int, Heap]
    noises: Heap

    @classmethod
    def read(cls, sounds: Sequence[Sound], rng: np.random.Generator) -> "Heaps":
        """Read all sounds into memory; those without a label, and streets that `rng` draws, are the backgrounds."""
        numbers = [fold_of(sound) for sound in sounds]
        parts = {
            fold: [sound for sound, number in zip(sounds, numbers, strict=True) if number == fold]
            for fold in sorted(set(numbers))
        }
        noises = _heap([sound for sound in parts[COMMON_FOLD] if not sound.label])
        streets = [_short(street(SAMPLES / RATE_HZ, rng)) for _ in range(STREETS)]
        backgrounds = Heap([*noises.waveforms, *streets], np.full(len(noises) + STREETS, NONE, np.int64))
        return cls({fold: _heap(part) for fold, part in parts.items()}, backgrounds)

    def draw(self, fold: int, rng: np.random.Generator) -> View:
        """Draw a view of a fold."""
        if fold in (COMMON_FOLD, HELD_OUT_FOLD):
            return draw_common_view(self.folds[fold], self.noises, rng)
        return draw_view(self.folds[fold], self.folds[COMMON_FOLD], self.noises, rng)


def fill(heaps: Heaps, folder: Path, drawn: int, rng: np.random.Generator, report: Report) -> Pool:
    """Make a pool: first every clip as it is, then views drawn from them.

    Parameters
    ----------
    heaps : Heaps
        Of all sounds.
    folder : Path
        Where the arrays go.
    drawn : int
        How many views to draw.
    rng : numpy.random.Generator
        Draws them.
    report : callable
        Takes lines of progress.
    """
    total = sum(len(heap) for heap in heaps.folds.values()) + drawn // BATCH * BATCH
    pool = Pool.create(folder, total)
    front, teacher = new_student(seed=0), load_teacher()
    row = 0
    for fold, views, plain in _all(heaps, drawn, rng):
        waveforms = np.stack([view.waveform for view in views])
        logmel = front.features(torch.from_numpy(waveforms)).numpy()
        embeddings = teacher.run(waveforms).embeddings
        assert embeddings is not None, "YAMNet gives embeddings"
        pool.write(row, views, logmel, embeddings[:, : pool.embeddings.shape[1]], fold=fold, plain=plain)
        row += len(views)
        if row % _REPORT_EVERY < BATCH:
            report(f"{row:,} of {total:,} views")
    return pool


def _all(heaps: Heaps, drawn: int, rng: np.random.Generator) -> Iterator[tuple[int, list[View], bool]]:
    """Yield views of one fold at a time, and whether they are clips as they are."""
    yield from _plain(heaps)
    folds = [fold for fold in heaps.folds if fold not in (COMMON_FOLD, HELD_OUT_FOLD)]
    shares = [COMMON_SHARE, HELD_OUT_SHARE, *[(1 - COMMON_SHARE - HELD_OUT_SHARE) / len(folds)] * len(folds)]
    for fold in rng.choice([COMMON_FOLD, HELD_OUT_FOLD, *folds], drawn // BATCH, p=shares):
        yield int(fold), [heaps.draw(int(fold), rng) for _ in range(BATCH)], False


def _plain(heaps: Heaps) -> Iterator[tuple[int, list[View], bool]]:
    for fold, heap in heaps.folds.items():
        for start in range(0, len(heap), BATCH):
            part = zip(heap.waveforms[start : start + BATCH], heap.columns[start : start + BATCH], strict=True)
            yield fold, [plain_view(waveform, int(column)) for waveform, column in part], True


def fold_of(sound: Sound) -> int:
    """Return the number of a sound's fold, as the pool has it."""
    if sound.held_out:
        return HELD_OUT_FOLD
    return int(sound.fold) if sound.fold else COMMON_FOLD


def _heap(sounds: Sequence[Sound]) -> Heap:
    """Read sounds whole, in 16 bits."""
    columns = [LABELS.index(sound.label) if sound.label else NONE for sound in sounds]
    return Heap([_short(sound.waveform()) for sound in sounds], np.array(columns, np.int64))


def _short(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.round(np.clip(waveform, -1, 1) * 32767).astype(np.int16)
