"""Splits: which clips are learnt from and which are asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.data.leaks import Leak, leaks, require_no_leaks
from earmark.data.stratification import stratify
from earmark.errors import ManifestError, OptionError, TooFewClipsError

if TYPE_CHECKING:
    from earmark.data.manifest import Manifest

__all__ = ["Leak", "Split", "cross_folds", "hold_out", "leaks", "require_no_leaks", "test_split"]

Indices = NDArray[np.int64]

DEFAULT_FOLDS = 5
FEWEST_SOURCES = 2
NEGATIVES = "negatives"
"""What messages call the clips that teach what is not a class."""

_TRIES = 20
"""Divisions drawn where sources hold several classes, until each class is on both sides."""


@dataclass(frozen=True, slots=True)
class Split:
    """A division of clips in two.

    Parameters
    ----------
    name : str
        The fold that is tested, or ``validation``, or ``test``.
    train, test : ndarray of int64
        Places in the manifest, ascending, none in both.
    """

    name: str
    train: Indices
    test: Indices


def cross_folds(
    manifest: "Manifest", *, count: int | None = None, seed: int = 0, force: bool = False
) -> tuple[Split, ...]:
    """Divide clips so that each is tested once, by a model that learnt from no clip of its source.

    The official folds where every clip has one. Else folds of whole sources with each class spread evenly, negatives as
    a class of their own; a class with fewer sources than there are folds is tested in as many as it has sources.

    Parameters
    ----------
    manifest : Manifest
        The clips.
    count : int, optional
        Folds; by default the official ones, else 5, or fewer where no class has 5 sources.
    seed : int
        Of folds that are made here: the same seed gives the same folds.
    force : bool
        Take official folds that leak as well.

    Returns
    -------
    tuple of Split
        In the order of the folds' names. Every class is in the train part of each.

    Raises
    ------
    LeakError
        If a source lies in two official folds, unless forced.
    TooFewClipsError
        If a class has one source only, or lies in one official fold only, or more folds are asked for than any class
        has sources.
    OptionError
        If `count` is below 2, or is not the number of the official folds.
    """
    if count is not None and count < 2:
        raise OptionError(f"count={count} folds are not allowed: give 2 or more")
    _require_clips(manifest)
    official = [clip.fold for clip in manifest.clips if clip.fold is not None]
    if len(official) == len(manifest):
        splits = _official_folds(manifest, official, count)
        require_no_leaks(manifest, splits, force=force)
    else:
        splits = _made_folds(manifest, count, seed)
    return splits


def hold_out(manifest: "Manifest", *, fraction: float = 0.1, seed: int = 0) -> Split:
    """Set clips aside that are not trained on.

    Clips that the manifest marks ``validation``, if there are any. Else whole sources, each class in proportion: one
    with two sources or more is on both sides, one with a single source is trained on. Clips marked ``test`` are on
    neither side.

    Parameters
    ----------
    manifest : Manifest
        The clips.
    fraction : float
        About which part of the clips to set aside; in (0, 0.5].
    seed : int
        The same seed gives the same split.

    Returns
    -------
    Split
        Named ``validation``.

    Raises
    ------
    TooFewClipsError
        If nothing can be set aside, or some class would not be trained on.
    OptionError
        If `fraction` is out of range.
    """
    if not 0.0 < fraction <= 0.5:
        raise OptionError(f"fraction={fraction:g} is not allowed: give a share above 0, 0.5 at most")
    marks = np.array([clip.split or "" for clip in manifest.clips])
    usable = np.flatnonzero(marks != "test")
    chosen = manifest.select(usable)
    _require_clips(chosen)
    aside = marks[usable] == "validation"
    if not aside.any():
        aside = _set_aside(chosen, fraction, seed)
    split = Split("validation", usable[~aside], usable[aside])
    if not len(split.test):
        raise TooFewClipsError(
            f"no class of {manifest.source} has {FEWEST_SOURCES} sources, so no clip can be held out: "
            "record more, or name the sources apart"
        )
    _require_classes(manifest, split)
    return split


def test_split(manifest: "Manifest") -> Split | None:
    """Return the official division into clips marked ``test`` and all others, or None where none is marked so.

    Raises
    ------
    TooFewClipsError
        If some class has test clips only.
    """
    tested = np.array([clip.split == "test" for clip in manifest.clips], bool)
    if not tested.any():
        return None
    split = Split("test", np.flatnonzero(~tested), np.flatnonzero(tested))
    _require_classes(manifest, split)
    return split


def _official_folds(manifest: "Manifest", folds: list[str], count: int | None) -> tuple[Split, ...]:
    names = sorted(set(folds), key=lambda name: (len(name), name))  # 2 before 10
    if len(names) < 2:
        raise ManifestError(f"every clip of {manifest.source} is in fold {names[0]!r}: leave the folds out, or correct")
    if count not in (None, len(names)):
        raise OptionError(
            f"count={count} is not allowed: {manifest.source} has {len(names)} official folds; "
            "leave count out, or the folds"
        )
    return _splits(manifest, np.array([names.index(fold) for fold in folds]), names)


def _made_folds(manifest: "Manifest", count: int | None, seed: int) -> tuple[Split, ...]:
    names, counts, source_of = _sources(manifest)
    sources = (counts > 0).sum(axis=0)
    scarce = [f"{name!r}" for name, number in zip(names, sources, strict=True) if number < FEWEST_SOURCES]
    if scarce:
        raise TooFewClipsError(
            f"{', '.join(scarce)} in {manifest.source}: all clips come from 1 source, which no fold divides. "
            "Record another source, or leave the class out"
        )
    folds = min(DEFAULT_FOLDS, int(sources.max())) if count is None else count
    if folds > sources.max():
        raise TooFewClipsError(
            f"{folds} folds are not possible: {names[int(sources.argmax())]!r} has the most sources in "
            f"{manifest.source}, {sources.max()}; give that many folds or fewer"
        )
    rng = np.random.default_rng(seed)
    for _ in range(_TRIES):
        parts = stratify(counts, np.bincount(source_of), np.full(folds, 1.0 / folds), rng)
        if len(np.unique(parts)) == folds and not _in_one_part(counts, parts).any():
            return _splits(manifest, parts[source_of], [str(number + 1) for number in range(folds)])
    raise TooFewClipsError(
        f"no {folds} folds of {manifest.source} have every class to learn from, because sources hold several classes "
        "and are few: give fewer folds, or record more"
    )


def _set_aside(manifest: "Manifest", fraction: float, seed: int) -> NDArray[np.bool_]:
    """Return which clips are held out: about `fraction` of them, in whole sources."""
    _, counts, source_of = _sources(manifest)
    rng = np.random.default_rng(seed)
    shares = np.array([1.0 - fraction, fraction])
    several = counts[:, (counts > 0).sum(axis=0) >= FEWEST_SOURCES]
    best, fewest = np.zeros(len(counts), np.int64), several.shape[1] + 1
    for _ in range(_TRIES):
        parts = stratify(counts, np.bincount(source_of), shares, rng)
        undivided = int(_in_one_part(several, parts).sum())
        if undivided < fewest:
            best, fewest = parts, undivided
        if not undivided:
            break
    return np.asarray(best[source_of] == 1)


def _in_one_part(counts: NDArray[np.int64], parts: Indices) -> NDArray[np.bool_]:
    """Return of each class whether all its sources got the same part."""
    present = counts > 0
    first = parts[present.argmax(axis=0)]
    return np.asarray(np.logical_not((present & (parts[:, None] != first)).any(axis=0)))


def _splits(manifest: "Manifest", folds: Indices, names: Sequence[str]) -> tuple[Split, ...]:
    """Return the splits that test each fold in turn."""
    splits = tuple(
        Split(name, np.flatnonzero(folds != number), np.flatnonzero(folds == number))
        for number, name in enumerate(names)
    )
    for split in splits:
        _require_classes(manifest, split)
    return splits


def _classes(manifest: "Manifest") -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the classes that have clips, and which clips those are: shape (clips, classes), zeros and ones."""
    targets = manifest.targets() > 0
    table = np.column_stack([targets, ~targets.any(axis=1)])
    used = np.flatnonzero(table.any(axis=0))
    names = (*manifest.labels, NEGATIVES)
    return tuple(names[column] for column in used), table[:, used].astype(np.int64)


def _sources(manifest: "Manifest") -> tuple[tuple[str, ...], NDArray[np.int64], Indices]:
    """Return the classes, the clips of each in each source, and the source of each clip."""
    names, table = _classes(manifest)
    sources, source_of = np.unique(manifest.groups(), return_inverse=True)
    counts = np.zeros((len(sources), len(names)), np.int64)
    np.add.at(counts, source_of, table)
    return names, counts, source_of


def _require_clips(manifest: "Manifest") -> None:
    if not len(manifest):
        raise TooFewClipsError(f"{manifest.source} has no clips to divide: give some of two classes at least")


def _require_classes(manifest: "Manifest", split: Split) -> None:
    names, table = _classes(manifest)
    missing = [repr(names[column]) for column in np.flatnonzero(table[split.train].sum(axis=0) == 0)]
    if missing:
        raise TooFewClipsError(
            f"without the {split.name!r} part of {manifest.source} no clip of {', '.join(missing)} is left to train "
            "on: correct the division, or record more"
        )
