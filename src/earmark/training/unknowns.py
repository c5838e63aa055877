"""Clips that play the unknown: what they, and known ones, look like to whom their classes were not shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from earmark.training.familiarity import Axes, Familiar, Numbers, Rows
from earmark.training.logistic import Values

ROUNDS = 5
"""Parts that classes, and sources, are divided into."""

FEWEST_CLASSES = 4
FEWEST_CLIPS = 20
"""With fewer no class can be spared."""

_MOST_CLIPS = 6000  # of more, so many are looked at

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The clips under study.

    Parameters
    ----------
    axes : Axes
    rows : ndarray of float32, shape (frames, dimensions)
        Frames along the axes.
    owners : ndarray of int64, shape (frames,)
        The clip of each frame.
    present : ndarray of bool, shape (clips, classes + 1)
        Which labels each has; the last column is for clips without any.
    sources : ndarray of int64, shape (clips,)
        What must be set aside together.
    trained : ndarray of bool, shape (clips,)
        Which clips may be the familiar ones. Where these are not all, only the others are asked about.
    """

    axes: Axes
    rows: Rows
    owners: Numbers
    present: Mask
    sources: Numbers
    trained: Mask

    @classmethod
    def of(
        cls,
        embeddings: Sequence[Rows],
        targets: NDArray[np.float32],
        groups: Sequence[str] | NDArray[Any],
        trained: Mask,
        *,
        rng: np.random.Generator,
    ) -> Self:
        """Lay out clips; of very many, some drawn by `rng`."""
        if len(embeddings) > _MOST_CLIPS:
            chosen = np.sort(rng.choice(len(embeddings), _MOST_CLIPS, replace=False))
            embeddings, trained = [embeddings[index] for index in chosen], trained[chosen]
            targets, groups = targets[chosen], np.asarray(groups)[chosen]
        frames = np.concatenate(list(embeddings)).astype(np.float32, copy=False)
        owners = np.repeat(np.arange(len(embeddings)), [len(clip) for clip in embeddings])
        axes = Axes.fit(frames if trained.all() else frames[trained[owners]], rng)
        present = np.concatenate([targets > 0, ~(targets > 0).any(axis=1, keepdims=True)], axis=1)
        _, sources = np.unique(np.asarray(groups), return_inverse=True)
        return cls(axes, axes.project(frames), owners, present, sources, trained)

    @property
    def classes(self) -> Numbers:
        """Each clip's class, shape (clips,): of several labels the rarest, which says most."""
        rarity = np.where(self.present, -self.present.sum(axis=0), -np.inf)
        return np.asarray(rarity.argmax(axis=1), np.int64)

    def frames_of(self, clips: Mask) -> tuple[Rows, Numbers]:
        """Return the rows of some clips, and whose they are."""
        chosen = clips[self.owners]
        return self.rows[chosen], self.owners[chosen]


class Asked(NamedTuple):
    """Frames that were asked about, in one round or in all.

    Parameters
    ----------
    features : ndarray of float64, shape (frames, features)
        What they look like to whom the unknown ones are new.
    clips : ndarray of int64, shape (frames,)
        Whose frame each is; a clip that was asked about in two rounds has two numbers.
    unknown : ndarray of bool, shape (frames,)
        Whether its classes were left out.
    rounds : ndarray of int64, shape (frames,)
    """

    features: Values
    clips: Numbers
    unknown: Mask
    rounds: Numbers


def ask_in_rounds(
    study: Study, rng: np.random.Generator, progress: Callable[[int, int], None] | None = None
) -> list[Asked]:
    """Ask about clips that were set aside: classes left out where there are enough, else known ones alone."""
    sources = _parts(int(study.sources.max()) + 1, rng)[study.sources]
    used = study.present.any(axis=0)
    spared = used.sum() >= FEWEST_CLASSES and len(sources) >= FEWEST_CLIPS and sources.max() == ROUNDS - 1
    if spared:
        parts = np.where(used, 0, -1)
        parts[used] = _parts(int(used.sum()), rng)
        rounds = []
        for number in range(ROUNDS):
            rounds.append(_ask(study, sources, parts, number, rng))
            if progress:
                progress(number + 1, ROUNDS)
        found = [asked for asked in rounds if asked is not None]
        if any(asked.unknown.any() for asked in found) and any(not asked.unknown.all() for asked in found):
            return found
    nothing = np.full(study.present.shape[1], -1)
    known = (_ask(study, sources, nothing, number, rng) for number in range(int(sources.max()) + 1))
    return [asked for asked in known if asked is not None] or [_ask_all(study, rng)]


def clip_means(values: NDArray[Any], clips: Numbers) -> Values:
    """Return the mean of each clip's frames, in the order of the clips' numbers."""
    _, owner = np.unique(clips, return_inverse=True)
    return np.asarray(np.bincount(owner, values) / np.bincount(owner))


def _parts(count: int, rng: np.random.Generator) -> Numbers:
    """Divide `count` things into `ROUNDS` parts of nearly one size."""
    return np.asarray(rng.permutation(count) % ROUNDS, np.int64)


def _ask(study: Study, sources: Numbers, parts: Numbers, number: int, rng: np.random.Generator) -> Asked | None:
    """Learn without a part of the sources and of the classes, and ask about those; None where there are none."""
    left_out = parts == number
    touched = study.present[:, left_out].any(axis=1)
    unknown = np.logical_and(touched, ~study.present[:, ~left_out].any(axis=1))  # one with a known label is neither
    aside = sources == number if study.trained.all() else ~study.trained
    asked = (aside & ~touched) | (unknown if study.trained.all() else unknown & aside)
    learned = ~aside & ~touched
    if not learned.any() or not asked.any():
        return None
    familiar = Familiar.fit(*study.frames_of(learned), study.classes, rng)
    rows, owners = study.frames_of(asked)
    clips = owners + number * len(sources)
    return Asked(familiar.features(rows), clips, unknown[owners], np.full(len(rows), number))


def _ask_all(study: Study, rng: np.random.Generator) -> Asked:
    """Ask about the very clips that were learned from: there is but one source."""
    rows, owners = study.frames_of(study.trained)
    familiar = Familiar.fit(rows, owners, study.classes, rng)
    return Asked(familiar.features(rows), owners, np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=np.int64))
