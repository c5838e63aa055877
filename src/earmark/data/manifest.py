"""The manifest: which clips there are, what is heard in each, and what it needs to divide them honestly."""

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import ManifestError, OutputError, TooFewClipsError

__all__ = ["Clip", "LabelledEvent", "Manifest", "UnreadableClip"]

FEWEST_CLASSES = 2
FEWEST_CLIPS = 2
"""Of a class, to learn from: one to train on and one to test with."""

CSV_COLUMNS = ("path", "label", "fold", "group", "split", "start", "end", "verified", "events")
"""What `Manifest.to_csv` writes and `earmark.data.readers.read_manifest` reads back."""


@dataclass(frozen=True, slots=True)
class LabelledEvent:
    """A stretch of a clip in which a label is heard: a strong label.

    Parameters
    ----------
    label : str
        What is heard.
    onset_seconds, offset_seconds : float
        From the clip's start; ``0 <= onset <= offset``.

    Raises
    ------
    ManifestError
        If the times are not finite or not in that order.
    """

    label: str
    onset_seconds: float
    offset_seconds: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.onset_seconds <= self.offset_seconds < float("inf"):
            raise ManifestError(
                f"the event {self.label!r} from {self.onset_seconds} s to {self.offset_seconds} s is impossible: "
                "0 <= onset <= offset; correct it in the list of events"
            )


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, or a part of one, and what is heard in it.

    Parameters
    ----------
    path : Path
        The sound file.
    labels : tuple of str
        What is heard, each once; empty for a negative, which teaches what is not a class.
    fold : str, optional
        Of the data set's official folds.
    group : str, optional
        The source: what must not be on both sides of a split, such as one long recording, a site or a speaker.
    split : {"train", "validation", "test"}, optional
        Of the data set's official division.
    start_seconds, end_seconds : float, optional
        The part of the file that is meant; its beginning and its end by default.
    events : tuple of LabelledEvent, optional
        When each label is heard, from the clip's start; None where that is not known.
    verified : bool, optional
        Whether a person checked the labels; FSDKaggle2018 calls it `manually_verified`.

    Raises
    ------
    ManifestError
        If a label is there twice, or the end is not after the start.
    """

    path: Path
    labels: tuple[str, ...]
    fold: str | None = None
    group: str | None = None
    split: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    events: tuple[LabelledEvent, ...] | None = None
    verified: bool | None = None

    def __post_init__(self) -> None:
        if len(set(self.labels)) < len(self.labels):
            raise ManifestError(f"{self.path} has a label twice: {', '.join(self.labels)}; give each once")
        start, end = self.start_seconds or 0.0, self.end_seconds
        if not (0.0 <= start < float("inf") and (end is None or start < end < float("inf"))):
            raise ManifestError(
                f"the part of {self.path} from {self.start_seconds} s to {self.end_seconds} s is impossible: "
                "0 <= start < end; correct the row"
            )

    @property
    def name(self) -> str:
        """The path, and the part of it where it is not the whole file: what reports call this clip."""
        if self.start_seconds is None and self.end_seconds is None:
            return str(self.path)
        end = "" if self.end_seconds is None else f"{self.end_seconds:g}"
        return f"{self.path} [{self.start_seconds or 0.0:g}-{end} s]"


@dataclass(frozen=True, slots=True)
class UnreadableClip:
    """A file that was listed, or found, and cannot be used.

    Parameters
    ----------
    path : Path
        Which.
    reason : str
        Why, in one sentence.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Labelled clips.

    Parameters
    ----------
    clips : tuple of Clip
        In the order of their list, or of their paths.
    labels : tuple of str
        All classes, sorted, each once.
    source : str
        Where it was read from.
    layout : str
        The reader that read it: ``folder``, ``csv``, ``esc50`` and so on.
    failures : tuple of UnreadableClip
        What was left out.
    ignored : int
        Files that lay among the clips and are no sound, by their names.
    multi_label : bool, optional
        Whether several classes may be heard at once. By default they may if any clip has several labels.
    notes : tuple of str
        What its reader should know about it, such as rows without a label; outcomes repeat them.

    Raises
    ------
    ManifestError
        If `labels` is not sorted and unique, or lacks a label of a clip.
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    source: str
    layout: str
    failures: tuple[UnreadableClip, ...] = ()
    ignored: int = 0
    multi_label: bool | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if list(self.labels) != sorted(set(self.labels)):
            raise ManifestError(f"the labels of {self.source} must be sorted and unique, not {', '.join(self.labels)}")
        missing = {label for clip in self.clips for label in clip.labels} - set(self.labels)
        if missing:
            raise ManifestError(f"clips of {self.source} have labels that its list lacks: {', '.join(sorted(missing))}")

    @classmethod
    def of(cls, clips: Iterable[Clip], *, source: str, layout: str, **fields: Any) -> "Manifest":
        """Return the manifest of these clips, with the labels that they have."""
        kept = tuple(clips)
        labels = tuple(sorted({label for clip in kept for label in clip.labels}))
        return cls(kept, labels, source, layout, **fields)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def is_multi_label(self) -> bool:
        """Whether several classes may be heard at once."""
        return self.multi_label if self.multi_label is not None else any(len(clip.labels) > 1 for clip in self.clips)

    @property
    def has_negatives(self) -> bool:
        """Whether some clips teach what is not a class."""
        return any(not clip.labels for clip in self.clips)

    @property
    def has_events(self) -> bool:
        """Whether it is known of some clips when their labels are heard."""
        return any(clip.events is not None for clip in self.clips)

    def targets(self) -> NDArray[np.float32]:
        """Return ones where a clip has a label, float32 of shape (clips, labels); negatives are rows of zeros."""
        column = {label: index for index, label in enumerate(self.labels)}
        targets = np.zeros((len(self.clips), len(self.labels)), np.float32)
        for row, clip in enumerate(self.clips):
            targets[row, [column[label] for label in clip.labels]] = 1.0
        return targets

    def groups(self) -> NDArray[np.str_]:
        """Return each clip's source, shape (clips,): its group, or its file where it names none."""
        return np.array([str(clip.path) if clip.group is None else clip.group for clip in self.clips], np.str_)

    def counts(self) -> dict[str, int]:
        """Return how many clips have each label, in the order of `labels`."""
        counts = Counter(label for clip in self.clips for label in clip.labels)
        return {label: counts[label] for label in self.labels}

    def select(self, indices: Iterable[int] | NDArray[np.int64]) -> "Manifest":
        """Return some of the clips, in the order given, with the same labels and the same kind of task."""
        chosen = tuple(self.clips[int(index)] for index in indices)
        return replace(self, clips=chosen, multi_label=self.is_multi_label)

    def require_trainable(self) -> None:
        """Refuse what no classifier can be learnt from.

        Raises
        ------
        TooFewClipsError
            If there are fewer than two classes, or a class with fewer than two clips. A single class beside negatives
            is two things to tell apart, and allowed.
        """
        if len(self.labels) + self.has_negatives < FEWEST_CLASSES or not self.labels:
            found = f"only {self.labels[0]!r}" if self.labels else "none"
            if self.layout == "flat":
                found = "recordings, but no folder for each class"
            raise TooFewClipsError(
                f"{self.source} has fewer than two classes ({found}{self._lost()}): give clips of at least two, "
                "or of one and a folder `background` of what it is not"
            )
        few = [f"{label!r} ({count})" for label, count in self.counts().items() if count < FEWEST_CLIPS]
        if few:
            raise TooFewClipsError(
                f"{self.source} has classes with fewer than two clips: {', '.join(few)}{self._lost()}; "
                "record more of them, or leave them out"
            )

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """The files that could not be read, and why, as outcomes have them."""
        return tuple((str(failure.path), failure.reason) for failure in self.failures)

    def digest(self) -> str:
        """Return the SHA-256 of the list in hexadecimal: same clips, labels and folds, wherever the folder stands.

        What the files hold does not enter.
        """
        folder = self._folder()
        rows = [self._row(clip, folder) for clip in self.clips]
        told = json.dumps([self.labels, self.is_multi_label, rows], ensure_ascii=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def to_csv(self, path: str | Path) -> Path:
        """Write the list as CSV, paths relative to it where they lie below it; `read_manifest` reads it back.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        target = Path(path)
        try:
            with target.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(self._row(clip, target.parent) for clip in self.clips)
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}; give another place") from error
        return target

    def _row(self, clip: Clip, folder: Path) -> dict[str, Any]:
        events = clip.events
        told = [[event.label, event.onset_seconds, event.offset_seconds] for event in events or ()]
        return {
            "path": _relative(clip.path, folder),
            "label": _label_cell(clip.labels),
            "fold": clip.fold,
            "group": clip.group,
            "split": clip.split,
            "start": clip.start_seconds,
            "end": clip.end_seconds,
            "verified": None if clip.verified is None else int(clip.verified),
            "events": None if events is None else json.dumps(told, ensure_ascii=False),
        }

    def _folder(self) -> Path:
        """Return the deepest folder that all clips are in."""
        return Path(os.path.commonpath([clip.path.absolute().parent for clip in self.clips] or [Path.cwd()]))

    def _lost(self) -> str:
        many = "1 file" if len(self.failures) == 1 else f"{len(self.failures)} files"
        return f"; {many} could not be read" if self.failures else ""


def _relative(path: Path, folder: Path) -> str:
    """Return a path as it is seen from a folder, if it lies in it; as text, for lists of a hundred thousand clips."""
    inside, root = path.absolute().as_posix(), folder.absolute().as_posix()
    return inside.removeprefix(root if root.endswith("/") else f"{root}/")


def _label_cell(labels: tuple[str, ...]) -> str:
    """Join labels with ``;``, or write them as a JSON list where one holds what separates labels."""
    if any(set(";|") & set(label) or label.startswith("[") or label != label.strip() for label in labels):
        return json.dumps(list(labels), ensure_ascii=False)
    return ";".join(labels)
