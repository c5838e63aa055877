"""What the files of a manifest hold: lengths, rates, channels, digests and fingerprints, each file read once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.audio.decode import AudioReader, open_audio, read_audio
from earmark.data.fingerprint import RATE_HZ, SPAN_SECONDS, Fingerprint, fingerprint
from earmark.data.manifest import Clip, Manifest
from earmark.data.probe import Progress
from earmark.errors import EarmarkError

__all__ = ["Findings", "content_digest", "survey"]

_THREADS = 4


@dataclass(frozen=True, slots=True)
class Findings:
    """What a clip turned out to be.

    Parameters
    ----------
    seconds : float
        Of the clip.
    rate_hz, channels : int
        Of its file.
    digest : str
        SHA-256 of the file's bytes, and which part of it is meant: equal for exact duplicates.
    fingerprint : ndarray of int8, optional
        Of the sound; None where it was not asked for, or there is nothing to tell it by.
    is_silent : bool
        Whether what was heard of it are zeros alone; False where it was not asked for.
    """

    seconds: float
    rate_hz: int
    channels: int
    digest: str
    fingerprint: Fingerprint | None = None
    is_silent: bool = False


def survey(
    manifest: Manifest, *, listen: bool = True, progress: Progress | None = None
) -> list[Findings | EarmarkError]:
    """Look at every clip.

    Parameters
    ----------
    manifest : Manifest
        The clips.
    listen : bool
        Whether to take fingerprints.
    progress : callable, optional
        Gets how many clips are done, and how many there are.

    Returns
    -------
    list of Findings or EarmarkError
        In the clips' order; the error where one cannot be read.
    """

    def look(clip: Clip) -> Findings | EarmarkError:
        try:
            return _look(clip, listen=listen)
        except EarmarkError as error:
            return error

    found: list[Findings | EarmarkError] = []
    with ThreadPoolExecutor(_THREADS, "earmark-survey") as pool:
        for done, outcome in enumerate(pool.map(look, manifest.clips), start=1):
            found.append(outcome)
            if progress:
                progress(done, len(manifest))
    return found


def _look(clip: Clip, *, listen: bool) -> Findings:
    start = clip.start_seconds or 0.0
    end = start + SPAN_SECONDS if clip.end_seconds is None else min(clip.end_seconds, start + SPAN_SECONDS)
    waveform, print_ = None, None
    if listen:
        waveform, reader = read_audio(clip.path, RATE_HZ, start=start, end=end)
        print_ = fingerprint(waveform)
    else:
        with open_audio(clip.path, RATE_HZ, start=start, end=clip.end_seconds) as reader:
            next(iter(reader))
    return Findings(
        seconds=_seconds(clip, reader),
        rate_hz=reader.source_rate_hz,
        channels=reader.channels,
        digest=_digest(clip),
        fingerprint=print_,
        is_silent=waveform is not None and not np.any(waveform),
    )


def _seconds(clip: Clip, reader: AudioReader) -> float:
    """Return how long a clip lasts: what the header claims, or else what there is to decode."""
    start = clip.start_seconds or 0.0
    if reader.duration_seconds is not None:
        whole = reader.duration_seconds
        return (whole if clip.end_seconds is None else min(whole, clip.end_seconds)) - start
    with open_audio(clip.path, RATE_HZ, start=start, end=clip.end_seconds) as whole_reader:
        for _ in whole_reader:
            pass
    return whole_reader.seconds


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; raise OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(clip: Clip) -> str:
    return f"{content_digest(clip.path)} {clip.start_seconds or 0.0:.6f} {clip.end_seconds}"
