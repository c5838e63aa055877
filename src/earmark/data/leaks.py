"""Leaks: sources of sound on both sides of a split, which make a model look better than it is."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earmark.errors import LeakError

if TYPE_CHECKING:
    from earmark.data.manifest import Manifest
    from earmark.data.splits import Split

__all__ = ["Leak", "leak_notes", "leaks", "require_no_leaks"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Leak:
    """A source of sound on both sides of a split.

    Parameters
    ----------
    source : str
        The group of the clips.
    split : str
        The name of the split.
    train, test : int
        How many of its clips are on each side.
    flatters : bool
        Whether clips of one class, or of none, are on both sides: then knowing the source helps to guess right. Clips
        of different classes from one recording, as ESC-50 has nine in its folds, do not help, and are told only.
    """

    source: str
    split: str
    train: int
    test: int
    flatters: bool = True


def leaks(manifest: "Manifest", splits: Sequence["Split"]) -> tuple[Leak, ...]:
    """Return every source that is on both sides of a split, by split and then by name."""
    groups = manifest.groups().tolist()
    return tuple(leak for split in splits for leak in _split_leaks(manifest, groups, split))


def require_no_leaks(manifest: "Manifest", splits: Sequence["Split"], *, force: bool = False) -> tuple[str, ...]:
    """Refuse a split that makes scores too good, or say in words that it was forced.

    Returns
    -------
    tuple of str
        Sentences for the report: none where nothing leaks.

    Raises
    ------
    LeakError
        If clips of one source and one class are on both sides, and `force` is not given.
    """
    found = leaks(manifest, splits)
    flattering, harmless = [leak for leak in found if leak.flatters], [leak for leak in found if not leak.flatters]
    notes = []
    if flattering:
        told = _told(flattering, manifest)
        if not force:
            raise LeakError(
                f"{told}; scores would be too good. Correct the folds, leave them out to have some made, or force it"
            )
        notes.append(f"The split leaks and was forced, so the figures are too good: {told}.")
    if harmless:
        notes.append(f"{_told(harmless, manifest)}, but with other classes on each side, which does not flatter.")
    return tuple(notes)


def leak_notes(manifest: "Manifest", splits: Sequence["Split"]) -> tuple[str, ...]:
    """Return a sentence for figures of clips held out, where splits leak for want of sources or by force; else none."""
    sources = {leak.source for leak in leaks(manifest, splits) if leak.flatters}
    if not sources:
        return ()
    many = "1 source has" if len(sources) == 1 else f"{len(sources)} sources have"
    return (f"{many} clips of one class both held out and trained on, so the figures are too good.",)


def _told(found: Sequence[Leak], manifest: "Manifest") -> str:
    """Return the sources in words, and the splits that each is on both sides of."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for leak in found:
        places[leak.source].append(leak.split)
    many = "1 source is" if len(places) == 1 else f"{len(places)} sources are"
    shown = ", ".join(f"{source!r} ({', '.join(names)})" for source, names in list(places.items())[:_SHOWN])
    return f"{many} on both sides of a split of {manifest.source}: {shown}{', ...' if len(places) > _SHOWN else ''}"


def _split_leaks(manifest: "Manifest", groups: list[str], split: "Split") -> Iterator[Leak]:
    train = Counter(groups[place] for place in split.train)
    test = Counter(groups[place] for place in split.test)
    for source in sorted(train.keys() & test.keys()):
        sides = [
            _classes(manifest, [place for place in side if groups[place] == source])
            for side in (split.train, split.test)
        ]
        yield Leak(source, split.name, train[source], test[source], flatters=bool(sides[0] & sides[1]))


def _classes(manifest: "Manifest", places: Sequence[int]) -> set[str | None]:
    """Return the labels of some clips; None stands for a clip of no class."""
    return {label for place in places for label in (manifest.clips[place].labels or (None,))}
