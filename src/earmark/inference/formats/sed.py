"""Scores and events as sound event detection is evaluated: sed_scores_eval, psds_eval, DCASE."""

import csv
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, TextIO

from earmark.inference.formats.escape import quotable
from earmark.inference.formats.frames import iterate_frames
from earmark.inference.results import EventsResult, TimelineResult


def write_sed_scores(results: Iterable[TimelineResult], stream: TextIO) -> None:
    """Write a row per frame: onset, offset, and a column of scores per class.

    sed_scores_eval takes the recording from the file's name: save it as the recording's stem and ``.tsv``. Classes go
    by their names, or by their ids where two share a name.

    Source: `sed_scores_eval.io.read_sed_scores` (0.0.4).
    """
    writer = _tsv(stream)
    for result in results:
        names = [label.name for label in result.labels]
        if len(set(names)) < len(names):
            names = [label.id for label in result.labels]
        writer.writerow(["onset", "offset", *names])
        writer.writerows([frame["onset"], frame["offset"], *frame["scores"]] for frame in iterate_frames(result))


def write_sed_events(results: Iterable[EventsResult], stream: TextIO) -> None:
    """Write a row per event: filename (without folder), onset, offset, event_label.

    A recording without events has one row with nothing but its name, which readers take as just that.

    Source: `sed_scores_eval.io.read_ground_truth_events` (0.0.4), the DCASE task 4 ground truth.
    """
    writer = _tsv(stream)
    writer.writerow(["filename", "onset", "offset", "event_label"])
    for result in results:
        name = quotable(PurePath(result.file).name)
        for event in result.events:
            writer.writerow([name, round(event.onset, 6), round(event.offset, 6), event.label])
        if not result.events:
            writer.writerow([name, "", "", ""])


def _tsv(stream: TextIO) -> Any:
    return csv.writer(stream, delimiter="\t", lineterminator="\n")
