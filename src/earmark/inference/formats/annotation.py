"""Events as annotation programs read them: Audacity, Raven, and RTTM for diarisation tools."""

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import TextIO

from earmark.inference.formats.escape import one_line
from earmark.inference.results import EventsResult

RAVEN_HIGH_HZ = 4000
"""Top of every Raven selection. Raven refuses a table with a frequency above half the sample rate, which a result does
not know; this is half of 8 kHz, the lowest rate in common use."""

_RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "Label",
    "Id",
    "Score",
)


def write_audacity(results: Iterable[EventsResult], stream: TextIO) -> None:
    """Write a label track: onset, offset and text, separated by tabs.

    Source: the Audacity manual, "Importing and Exporting Labels", standard format.
    """
    for result in results:
        for event in result.events:
            stream.write(f"{event.onset:.6f}\t{event.offset:.6f}\t{one_line(event.label)} {event.score:.2f}\n")


def write_raven(results: Iterable[EventsResult], stream: TextIO) -> None:
    """Write a selection table. Its times count from the start of the sound, so it is for one recording.

    Sources: column names as Raven Pro writes them; what it refuses, birdnet-team/BirdNET-V1#30.
    """
    for result in results:
        stream.write("\t".join(_RAVEN_COLUMNS) + "\n")
        file = one_line(PurePath(result.file).name)
        for number, event in enumerate(result.events, start=1):
            stream.write(
                f"{number}\tSpectrogram 1\t1\t{event.onset:.6f}\t{event.offset:.6f}\t0\t{RAVEN_HIGH_HZ}\t{file}\t"
                f"{one_line(event.label)}\t{one_line(event.id)}\t{event.score:.6f}\n"
            )


def write_rttm(results: Iterable[EventsResult], stream: TextIO) -> None:
    """Write one SPEAKER line per event: file stem, channel 1, onset, duration, label, score as confidence.

    Fields are separated by spaces, so a space in a name becomes an underscore.

    Source: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix on RTTM.
    """
    for result in results:
        uri = _word(PurePath(result.file).stem)
        for event in result.events:
            stream.write(
                f"SPEAKER {uri} 1 {event.onset:.6f} {event.offset - event.onset:.6f} "
                f"<NA> <NA> {_word(event.label)} {event.score:.6f} <NA>\n"
            )


def _word(text: str) -> str:
    return one_line(re.sub(r"\s+", "_", text)) or "<NA>"
