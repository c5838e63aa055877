"""What is in a set of clips, and what is wrong with it, before anything is learnt from it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from earmark.data.duplicates import Duplicates, find_duplicates, place_of
from earmark.data.manifest import FEWEST_CLIPS, Manifest, UnreadableClip
from earmark.data.probe import Progress
from earmark.data.survey import Findings, survey
from earmark.errors import EarmarkError

__all__ = ["ClassSize", "ClipLength", "Description", "SharedSource", "describe"]


_NO_LABEL = ""


@dataclass(frozen=True, slots=True)
class ClassSize:
    """How much there is of a class: clips, sources, seconds."""

    label: str
    clips: int
    sources: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ClipLength:
    """A clip and how long it lasts, in seconds."""

    clip: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SharedSource:
    """A source of clips in several folds or splits, which are named."""

    source: str
    folds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is in a set of clips.

    Parameters
    ----------
    source, layout : str
        Where it was read from, and how.
    task : {"single-label", "multi-label"}
        Whether classes may be heard at once.
    clips, sources, ignored : int
        Clips that can be read; different sources of them; files that are no sound by their names.
    seconds : float
        Of all clips together.
    classes : tuple of ClassSize
        By label.
    negatives : ClassSize
        What is no class; its label is empty.
    shortest, longest : ClipLength, optional
        None where no clip can be read.
    rates_hz, channels : dict of int to int
        How many clips have each.
    folds, splits : dict of str to int
        How many clips lie in each official one; empty where there are none.
    official_folds : bool
        Whether every clip has a fold, so that they are used.
    events : int, optional
        How many events are known; None where no clip has any times.
    verified : int, optional
        How many clips a person checked; None where nothing is said of it.
    failures : tuple of UnreadableClip
        What cannot be read, and why.
    silent : tuple of str
        Clips of zeros alone, among those that were listened to.
    duplicates : tuple of Duplicates
        Clips that are one sound.
    searched_near : bool
        Whether copies with other bytes were searched for.
    too_few : tuple of str
        Labels with fewer than two clips, which nothing can be learnt from.
    shared_sources : tuple of SharedSource
        Sources on several sides of the official division.
    notes : tuple of str
        What the reader of the clips noted, such as rows without a label.
    """

    source: str
    layout: str
    task: str
    clips: int
    sources: int
    ignored: int
    seconds: float
    classes: tuple[ClassSize, ...]
    negatives: ClassSize
    shortest: ClipLength | None
    longest: ClipLength | None
    rates_hz: dict[int, int]
    channels: dict[int, int]
    folds: dict[str, int]
    splits: dict[str, int]
    official_folds: bool
    events: int | None
    verified: int | None
    failures: tuple[UnreadableClip, ...]
    silent: tuple[str, ...]
    duplicates: tuple[Duplicates, ...]
    searched_near: bool
    too_few: tuple[str, ...]
    shared_sources: tuple[SharedSource, ...]
    notes: tuple[str, ...] = ()

    @property
    def leaking_duplicates(self) -> tuple[Duplicates, ...]:
        """Duplicates that lie in several folds or splits."""
        return tuple(group for group in self.duplicates if group.leak)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {
            "classes": [_plain(size) for size in self.classes],
            "negatives": {"clips": self.negatives.clips, "seconds": round(self.negatives.seconds, 3)},
            "seconds": round(self.seconds, 3),
            "shortest": self.shortest and _plain(self.shortest),
            "longest": self.longest and _plain(self.longest),
            "rates_hz": {str(rate): count for rate, count in self.rates_hz.items()},
            "channels": {str(number): count for number, count in self.channels.items()},
            "failures": [{"file": str(failure.path), "reason": failure.reason} for failure in self.failures],
            "silent": list(self.silent),
            "duplicates": [group.to_dict() for group in self.duplicates],
            "too_few": list(self.too_few),
            "notes": list(self.notes),
            "shared_sources": [{"source": one.source, "folds": list(one.folds)} for one in self.shared_sources],
        }


def describe(manifest: Manifest, *, near: bool = True, progress: Progress | None = None) -> Description:
    """Say what is in a manifest.

    Parameters
    ----------
    manifest : Manifest
        The clips; those that turn out to be unreadable only now are counted among its failures.
    near : bool
        Whether to listen for copies whose bytes differ: the same sound at another rate, level or in another format.
    progress : callable, optional
        Gets how many clips are read, and how many there are.

    Returns
    -------
    Description
        Of the clips that can be read.
    """
    outcomes = survey(manifest, listen=near, progress=progress)
    manifest, found = _readable(manifest, outcomes)
    lengths = [ClipLength(clip.name, one.seconds) for clip, one in zip(manifest.clips, found, strict=True)]
    sizes = _sizes(manifest, found)
    negatives = sizes.pop(_NO_LABEL)
    events = [len(clip.events) for clip in manifest.clips if clip.events is not None]
    return Description(
        source=manifest.source,
        layout=manifest.layout,
        task="multi-label" if manifest.is_multi_label else "single-label",
        clips=len(manifest),
        sources=len(set(manifest.groups().tolist())),
        ignored=manifest.ignored,
        seconds=sum(one.seconds for one in found),
        classes=tuple(sizes.values()),
        negatives=negatives,
        shortest=min(lengths, key=lambda length: length.seconds, default=None),
        longest=max(lengths, key=lambda length: length.seconds, default=None),
        rates_hz=_counted(one.rate_hz for one in found),
        channels=_counted(one.channels for one in found),
        folds=_counted(clip.fold for clip in manifest.clips if clip.fold is not None),
        splits=_counted(clip.split for clip in manifest.clips if clip.split is not None),
        official_folds=bool(manifest.clips) and all(clip.fold is not None for clip in manifest.clips),
        events=sum(events) if events else None,
        verified=_verified(manifest),
        failures=manifest.failures,
        silent=tuple(clip.name for clip, one in zip(manifest.clips, found, strict=True) if one.is_silent),
        duplicates=find_duplicates(manifest, near=near, found=found),
        searched_near=near,
        too_few=tuple(label for label, count in manifest.counts().items() if count < FEWEST_CLIPS),
        shared_sources=_shared_sources(manifest),
        notes=manifest.notes,
    )


def _readable(manifest: Manifest, outcomes: Sequence[Findings | EarmarkError]) -> tuple[Manifest, list[Findings]]:
    pairs = list(zip(manifest.clips, outcomes, strict=True))
    lost = tuple(UnreadableClip(clip.path, str(one)) for clip, one in pairs if not isinstance(one, Findings))
    kept = tuple(clip for clip, one in pairs if isinstance(one, Findings))
    return (
        replace(manifest, clips=kept, failures=(*manifest.failures, *dict.fromkeys(lost))),
        [one for one in outcomes if isinstance(one, Findings)],
    )


def _sizes(manifest: Manifest, found: Sequence[Findings]) -> dict[str, ClassSize]:
    """Return how much there is of each label, and under the empty label of negatives."""
    places: dict[str, list[int]] = {label: [] for label in (*manifest.labels, _NO_LABEL)}
    for index, clip in enumerate(manifest.clips):
        for label in clip.labels or (_NO_LABEL,):
            places[label].append(index)
    groups = manifest.groups()
    return {
        label: ClassSize(label, len(where), len({*groups[where]}), sum(found[index].seconds for index in where))
        for label, where in places.items()
    }


def _counted(values: Any) -> dict[Any, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (len(str(item[0])), str(item[0]))))  # 2 before 10


def _verified(manifest: Manifest) -> int | None:
    said = [clip.verified for clip in manifest.clips if clip.verified is not None]
    return sum(said) if said else None


def _shared_sources(manifest: Manifest) -> tuple[SharedSource, ...]:
    places = defaultdict(set)
    for clip, group in zip(manifest.clips, manifest.groups().tolist(), strict=True):
        place = place_of(clip)
        if place is not None:
            places[group].add(place)
    return tuple(
        SharedSource(source, tuple(sorted(where))) for source, where in sorted(places.items()) if len(where) > 1
    )


def _plain(size: ClassSize | ClipLength) -> dict[str, Any]:
    plain = {name: getattr(size, name) for name in size.__dataclass_fields__}
    return plain | {"seconds": round(size.seconds, 3)}
