"""Clips that are one sound: the same bytes, or the same recording at another rate, level or in another format."""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from earmark.data.fingerprint import similar_pairs
from earmark.data.manifest import Clip, Manifest
from earmark.data.probe import Progress
from earmark.data.survey import Findings, content_digest, survey
from earmark.errors import EarmarkError

__all__ = ["Duplicates", "duplicate_notes", "find_copies", "find_duplicates"]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Clips that are one sound.

    Parameters
    ----------
    kind : {"exact", "near"}
        Whether their bytes are the same, or their sound is.
    indices : tuple of int
        Places in the manifest, ascending, two or more.
    clips : tuple of str
        Their names.
    labels : tuple of str
        What any of them is said to be, sorted.
    folds : tuple of str
        The official folds and splits they lie in, sorted.
    contradict : bool
        Whether they differ in their labels.
    has_negative : bool
        Whether one of them is said to be no class.
    """

    kind: Literal["exact", "near"]
    indices: tuple[int, ...]
    clips: tuple[str, ...]
    labels: tuple[str, ...]
    folds: tuple[str, ...]
    contradict: bool
    has_negative: bool

    @property
    def leak(self) -> bool:
        """Whether they lie in several folds, so that a model is tested on what it learnt."""
        return len(self.folds) > 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "kind": self.kind,
            "clips": list(self.clips),
            "labels": list(self.labels),
            "folds": list(self.folds),
            "contradict": self.contradict,
            "has_negative": self.has_negative,
        }


def find_duplicates(
    manifest: Manifest,
    *,
    near: bool = True,
    found: Sequence[Findings | EarmarkError] | None = None,
    progress: Progress | None = None,
) -> tuple[Duplicates, ...]:
    """Find the clips that are one sound.

    Parameters
    ----------
    manifest : Manifest
        The clips.
    near : bool
        Whether to listen, and find also copies whose bytes differ.
    found : sequence of Findings or EarmarkError, optional
        What `earmark.data.survey.survey` found, to save the work.
    progress : callable, optional
        Gets how many clips are read, and how many there are.

    Returns
    -------
    tuple of Duplicates
        Exact ones first; a clip may be among the exact ones of one clip and the near ones of another.
    """
    known = {
        index: one
        for index, one in enumerate(survey(manifest, listen=near, progress=progress) if found is None else found)
        if isinstance(one, Findings)
    }
    copies = defaultdict(list)
    for index, one in known.items():
        copies[one.digest].append(index)
    exact = [indices for indices in copies.values() if len(indices) > 1]
    alike = _near(known, list(copies.values())) if near else []
    return (
        *(_told(manifest, "exact", indices) for indices in exact),
        *(_told(manifest, "near", indices) for indices in alike),
    )


def find_copies(manifest: Manifest) -> tuple[Duplicates, ...]:
    """Find the exact duplicates alone, without decoding: only files of one size are read.

    Files that cannot be read are no copies.
    """
    alike = defaultdict(list)
    for index, clip in enumerate(manifest.clips):
        with suppress(OSError):
            alike[clip.path.stat().st_size, clip.start_seconds or 0.0, clip.end_seconds].append(index)
    content = cache(content_digest)  # a file may hold many clips
    copies = defaultdict(list)
    for look, indices in alike.items():
        for index in indices if len(indices) > 1 else ():
            with suppress(OSError):
                copies[look, content(manifest.clips[index].path)].append(index)
    return tuple(_told(manifest, "exact", indices) for indices in copies.values() if len(indices) > 1)


def duplicate_notes(manifest: Manifest) -> tuple[str, ...]:
    """Return a sentence that counts the exact duplicates and says what lists them; nothing where there are none."""
    groups = find_copies(manifest)
    if not groups:
        return ()
    told = "1 file is" if len(groups) == 1 else f"{len(groups):,} files are"
    contradicting, leaking = sum(group.contradict for group in groups), sum(group.leak for group in groups)
    told += " there more than once"
    told += f", {contradicting:,} under labels that differ" if contradicting else ""
    told += f", {leaking:,} in several folds" if leaking else ""
    return (f"{told}: see `earmark data {shlex.quote(manifest.source)}`",)


def _near(known: dict[int, Findings], copies: Sequence[list[int]]) -> list[list[int]]:
    """Return the groups of clips that sound alike and are not all the same bytes."""
    firsts = [known[indices[0]] for indices in copies]
    pairs = similar_pairs([one.fingerprint for one in firsts], [one.seconds for one in firsts])
    return [sorted(index for place in places for index in copies[place]) for places in _joined(pairs)]


def _joined(pairs: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield what is joined by pairs, directly or through others."""
    group: dict[int, list[int]] = {}
    for one, other in pairs:
        first, second = group.setdefault(one, [one]), group.setdefault(other, [other])
        if first is not second:
            first += second
            group |= dict.fromkeys(second, first)
    yield from {id(members): members for members in group.values()}.values()


def _told(manifest: Manifest, kind: Literal["exact", "near"], indices: Sequence[int]) -> Duplicates:
    clips = [manifest.clips[index] for index in indices]
    return Duplicates(
        kind=kind,
        indices=tuple(indices),
        clips=tuple(clip.name for clip in clips),
        labels=tuple(sorted({label for clip in clips for label in clip.labels})),
        folds=tuple(sorted({place for clip in clips if (place := place_of(clip)) is not None})),
        contradict=len({frozenset(clip.labels) for clip in clips}) > 1,
        has_negative=any(not clip.labels for clip in clips),
    )


def place_of(clip: Clip) -> str | None:
    """Return the side of the official division that a clip is on: its fold and its split, None without either."""
    told = " ".join(filter(None, (clip.split, clip.fold and f"fold {clip.fold}")))
    return told or None
