"""Labelled clips for the benchmarks of training: ESC-50, ESC-10 and the instruments; when quick, a few of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from benchmarks.bench import Bench
from earmark.data.manifest import Clip, Manifest
from earmark.data.readers import read_manifest

QUICK_EACH = 2
"""Clips of a class in each fold, when quick."""


def esc50(bench: Bench) -> Manifest:
    """Return ESC-50 with its official folds; when quick, a few clips of ESC-10."""
    manifest = read_manifest(bench.shared / "data" / "esc50", layout="esc10" if bench.quick else "esc50")
    return few(manifest, classes=10) if bench.quick else manifest


def esc10(bench: Bench) -> Manifest:
    """Return ESC-10 with its official folds; when quick, a few of its clips."""
    manifest = read_manifest(bench.shared / "data" / "esc50", layout="esc10")
    return few(manifest, classes=10) if bench.quick else manifest


def instruments(bench: Bench) -> Manifest:
    """Return the clips of ten instruments, which have no folds; when quick, ten of each of two."""
    manifest = read_manifest(bench.shared / "data" / "instruments", layout="fsdkaggle2018")
    return few(manifest, classes=2, each=10) if bench.quick else manifest


def few(manifest: Manifest, *, classes: int, each: int = QUICK_EACH) -> Manifest:
    """Return the first classes, and of each the first clips of every fold."""
    taken: dict[tuple[str, str | None], list[Clip]] = {}
    for clip in manifest.clips:
        taken.setdefault((clip.labels[0], clip.fold), []).append(clip)
    labels = manifest.labels[:classes]
    return of([clip for (label, _), alike in taken.items() if label in labels for clip in alike[:each]], manifest)


def of_folds(manifest: Manifest, folds: Sequence[str]) -> Manifest:
    """Return the clips of these folds."""
    return where(manifest, lambda clip: clip.fold in folds)


def where(manifest: Manifest, holds: Callable[[Clip], bool]) -> Manifest:
    """Return the clips of which something holds, with the labels that they have."""
    return of((clip for clip in manifest.clips if holds(clip)), manifest)


def of(clips: Iterable[Clip], manifest: Manifest) -> Manifest:
    """Return a manifest of some clips of another, with the labels that they have."""
    kept = tuple(clips)
    return replace(manifest, clips=kept, labels=tuple(sorted({label for clip in kept for label in clip.labels})))
