"""A first look into sound files: which cannot be read, and what the others are."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from earmark.audio.decode import open_audio
from earmark.data.manifest import Clip, Manifest, UnreadableClip
from earmark.errors import AudioError

__all__ = ["Probe", "Progress", "leave_out_unreadable", "probe", "probe_all"]

_RATE_HZ = 16_000
_THREADS = 4

Progress = Callable[[int, int | None], None]
"""Gets how many files are done and how many there are."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the beginning of a file tells.

    Parameters
    ----------
    rate_hz, channels : int
        Of the file.
    seconds : float, optional
        What its header claims; None if it claims nothing exact.
    """

    rate_hz: int
    channels: int
    seconds: float | None


def probe(path: Path) -> Probe:
    """Decode the first ten seconds of a file.

    Raises
    ------
    AudioError
        If they cannot be decoded.
    """
    with open_audio(path, _RATE_HZ) as reader:
        next(iter(reader))
        return Probe(reader.source_rate_hz, reader.channels, reader.duration_seconds)


def probe_all(paths: Sequence[Path], progress: Progress | None = None) -> dict[Path, Probe | AudioError]:
    """Probe files side by side; those that cannot be read give their error."""
    found: dict[Path, Probe | AudioError] = {}
    with ThreadPoolExecutor(_THREADS, "earmark-probe") as pool:
        for done, (path, outcome) in enumerate(zip(paths, pool.map(_attempt, paths), strict=True), start=1):
            found[path] = outcome
            if progress:
                progress(done, len(paths))
    return found


def leave_out_unreadable(manifest: Manifest, progress: Progress | None = None) -> Manifest:
    """Return the manifest without the clips that cannot be read, which go to its failures; labels stay."""
    outcomes = probe_all(list(dict.fromkeys(clip.path for clip in manifest.clips)), progress)
    reasons = [_reason(clip, outcomes[clip.path]) for clip in manifest.clips]
    kept = tuple(clip for clip, reason in zip(manifest.clips, reasons, strict=True) if reason is None)
    lost = {
        UnreadableClip(clip.path, reason): None
        for clip, reason in zip(manifest.clips, reasons, strict=True)
        if reason is not None
    }
    return replace(manifest, clips=kept, failures=(*manifest.failures, *lost))


def _attempt(path: Path) -> Probe | AudioError:
    try:
        return probe(path)
    except AudioError as error:
        return error


def _reason(clip: Clip, outcome: Probe | AudioError) -> str | None:
    if isinstance(outcome, AudioError):
        return str(outcome)
    start = clip.start_seconds or 0.0
    if outcome.seconds is not None and start >= outcome.seconds:
        return f"start={start:g} s is not before the end of {clip.path}, which lasts {outcome.seconds:.3f} s"
    return None
