"""Segment lists as AudioSet publishes them: a video, a stretch of it, and ids of classes."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from earmark.data.manifest import Clip, Manifest, UnreadableClip
from earmark.data.probe import probe
from earmark.data.tables import read_table
from earmark.data.whereabouts import Whereabouts
from earmark.errors import AudioError, ManifestError

__all__ = ["is_segment_list", "read_segments"]

CLASS_LIST = "class_labels_indices.csv"
"""AudioSet's list of classes: where it lies beside the segments, clips get display names for labels."""

_SLACK_SECONDS = 0.5
_HERE = PurePosixPath()


@dataclass(frozen=True, slots=True)
class _Segment:
    video: str
    start: float
    end: float
    ids: tuple[str, ...]


def is_segment_list(path: Path) -> bool:
    """Whether the first lines of a file are those of a segment list."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = [file.readline() for _ in range(5)]
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.startswith("#") and "YTID" in line for line in head)


def read_segments(path: Path, *, audio: Path | None = None) -> Manifest:
    """Read a segment list: ``YTID, start_seconds, end_seconds, "mid,mid"``, comments after ``#``.

    The sound of a segment is a file named by the video (an optional ``Y`` before it) and, after ``_``, the start, or
    start and end, in seconds or milliseconds. A file named by the video alone is cut if it is longer than the segment.

    Parameters
    ----------
    path : Path
        The list.
    audio : Path, optional
        The folder of the sound files.

    Raises
    ------
    ManifestError
        If a line is malformed, or no file is found.

    Notes
    -----
    Source: Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events", ICASSP 2017.
    """
    whereabouts = Whereabouts(path, audio)
    names = _display_names(path.parent)
    clips, failures, labels = [], [], set[str]()
    for segment in _segments(path):
        heard = tuple(dict.fromkeys(names.get(mid, mid) for mid in segment.ids))
        labels.update(heard)
        clip = _clip(segment, heard, whereabouts)
        if clip is None:
            failures.append(UnreadableClip(Path(segment.video), f"no sound file for {segment.video} beside {path}"))
        else:
            clips.append(clip)
    if not clips:
        places = ", ".join(str(folder) for folder in whereabouts.folders)
        raise ManifestError(f"no sound of {path} is in {places}: say with --audio where the segments are")
    source = str(path)
    return Manifest(tuple(clips), tuple(sorted(labels)), source, "audioset", tuple(failures), multi_label=True)


def _clip(segment: _Segment, labels: tuple[str, ...], whereabouts: Whereabouts) -> Clip | None:
    for stem in _cut_stems(segment):
        path = whereabouts.find_stem(_HERE, stem)
        if path:
            return Clip(path, labels, group=segment.video)
    path = whereabouts.find_stem(_HERE, segment.video) or whereabouts.find_stem(_HERE, f"Y{segment.video}")
    if path is None:
        return None
    if _is_longer(path, segment.end - segment.start):
        return Clip(path, labels, group=segment.video, start_seconds=segment.start, end_seconds=segment.end)
    return Clip(path, labels, group=segment.video)


def _is_longer(path: Path, seconds: float) -> bool:
    try:
        claimed = probe(path).seconds
    except AudioError:
        return False  # whoever decodes it will say so
    return claimed is not None and claimed > seconds + _SLACK_SECONDS


def _cut_stems(segment: _Segment) -> Iterator[str]:
    """Yield the names that common download programs give to a segment."""
    for video in (segment.video, f"Y{segment.video}"):
        for form in ("{:g}", "{:.3f}", "{:.1f}"):
            start, end = form.format(segment.start), form.format(segment.end)
            yield from (f"{video}_{start}", f"{video}_{start}_{end}")
        start, end = str(round(segment.start * 1000)), str(round(segment.end * 1000))
        yield from (f"{video}_{start}", f"{video}_{start}_{end}")


def _segments(path: Path) -> Iterator[_Segment]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read as text: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            video, start, end, ids = next(csv.reader([line], skipinitialspace=True))
            yield _Segment(video, float(start), float(end), tuple(filter(None, map(str.strip, ids.split(",")))))
        except ValueError as error:
            raise ManifestError(
                f"line {number} of {path} is {line!r}: it must be YTID, start_seconds, end_seconds, "
                '"ids with commas between"'
            ) from error


def _display_names(folder: Path) -> dict[str, str]:
    path = folder / CLASS_LIST
    if not path.is_file():
        return {}
    table = read_table(path)
    if not {"mid", "display_name"} <= set(table.headings):
        raise ManifestError(f"{path} must have the columns mid and display_name, and has {', '.join(table.headings)}")
    return {row.cells["mid"]: row.cells["display_name"] for row in table.rows}
