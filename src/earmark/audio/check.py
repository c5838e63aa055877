"""What is wrong with a recording, if anything: what `earmark check` prints."""

import math
from dataclasses import dataclass
from typing import Any

from earmark.audio.decode import Source, open_audio
from earmark.audio.doctor import Doctor, Finding, short_finding

__all__ = ["CheckReport", "Doctor", "Finding", "check_audio", "short_finding"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A recording in numbers, and what is wrong with it.

    Parameters
    ----------
    file : str
        The path as it was given, or ``<bytes>``, ``<array>``, ``<stream>``.
    seconds : float
        How much could be read.
    sample_rate_hz, channels : int
        Of the recording.
    container, codec : str
        In lower case, such as ``wav`` and ``pcm_16``.
    peak : float
        The largest magnitude; full scale is 1.
    rms_db : float
        Root mean square of all channels in dB of full scale; ``-inf`` for silence.
    findings : tuple of Finding
        Nothing for an ordinary recording.
    """

    file: str
    seconds: float
    sample_rate_hz: int
    channels: int
    container: str
    codec: str
    peak: float
    rms_db: float
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data: ``rms_db`` None for silence, ``findings`` as ``{code, message}``."""
        return {
            "file": self.file,
            "seconds": round(self.seconds, 6),
            "sample_rate_hz": self.sample_rate_hz,
            "channels": self.channels,
            "container": self.container,
            "codec": self.codec,
            "peak": round(self.peak, 6),
            "rms_db": round(self.rms_db, 2) if math.isfinite(self.rms_db) else None,
            "findings": [{"code": finding.code, "message": finding.message} for finding in self.findings],
        }


def check_audio(source: Source, sample_rate_hz: int = 16_000, frame_length_seconds: float = 0.975) -> CheckReport:
    """Read a recording to its end and report what a model would stumble over.

    Parameters
    ----------
    source : Source
        As for `open_audio`.
    sample_rate_hz : int
        Of the model it is for.
    frame_length_seconds : float
        How much sound that model listens to at a time.

    Returns
    -------
    CheckReport
        With what was found.

    Raises
    ------
    EarmarkError
        As `open_audio` and `AudioReader.__iter__`: what cannot be decoded cannot be checked.
    """
    with open_audio(source, sample_rate_hz) as reader:
        for _ in reader:
            pass
    short = short_finding(reader.seconds, frame_length_seconds)
    return CheckReport(
        file=reader.name,
        seconds=reader.seconds,
        sample_rate_hz=reader.source_rate_hz,
        channels=reader.channels,
        container=reader.container,
        codec=reader.codec,
        peak=reader.peak,
        rms_db=reader.rms_db,
        findings=reader.findings if short is None else (*reader.findings, short),
    )
