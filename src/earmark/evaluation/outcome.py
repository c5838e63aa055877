"""What came out of an evaluation or a cross-validation: every clip's scores beside its truth, and the measures."""

import csv
import importlib.util
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import MissingExtraError, OptionError, OutputError
from earmark.evaluation.metrics import Metrics, Spread, Thresholds, decide, measure, roc_auc, spread_over_folds
from earmark.evaluation.metrics.probability import Task
from earmark.evaluation.metrics.table import mean_of_known

__all__ = ["Outcome", "check_scores_file", "summarise"]

_LABEL_MARK = "score:"  # before the label in the name of a column, so that no label hides another column
_DIGITS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Scores against truth. `summarise` makes one and measures it.

    Parameters
    ----------
    model : str
        Name and version of what gave the scores, for people.
    labels : tuple of str
        The columns of `targets` and `scores`.
    task : {"single-label", "multi-label"}
    clips : tuple of str
        Paths, as the manifest gives them.
    starts, ends : tuple of float or None
        Seconds; which stretch of the file was scored, None for its beginning and its end.
    targets : ndarray of float32, shape (clips, labels)
        1 where a clip has a label; zeros for a negative.
    scores : ndarray of float32, shape (clips, labels)
        Probabilities, of a model that has not seen the clip.
    metrics : Metrics
        Of all clips together.
    thresholds : Mapping of str to float, or ndarray of float32, shape (clips, labels)
        From which score a label is given, one for each clip where folds differ; empty where the highest score decides.
    folds : tuple of str, optional
        In which fold each clip was held out.
    spread : Mapping of str to Spread
        Measures over the folds, by name; empty without folds.
    novelty : ndarray of float32, shape (clips,), optional
        How unlike the training data each clip is, where the model says so.
    novelty_threshold : float or ndarray of float32, shape (clips,), optional
        Novelty at or above which a clip is answered with none of these; one for each clip where folds differ.
    events : Mapping of str to Any
        JSON-ready measures of events, where the data has strong labels.
    calibrated : bool
        Whether the scores are calibrated probabilities.
    seconds : float
        How much sound was analysed; 0 where nobody counted.
    data, command : str
        Where the clips are from, and what made this outcome.
    notes : tuple of str
        What a reader must know: a leak that was forced, labels that do not match.
    failures : tuple of (str, str)
        Clips that could not be read, and why.
    """

    model: str
    labels: tuple[str, ...]
    task: Task
    clips: tuple[str, ...]
    targets: NDArray[np.float32]
    scores: NDArray[np.float32]
    metrics: Metrics
    starts: tuple[float | None, ...] = ()
    ends: tuple[float | None, ...] = ()
    thresholds: Mapping[str, float] | NDArray[np.float32] = field(default_factory=dict)
    folds: tuple[str, ...] | None = None
    spread: Mapping[str, Spread] = field(default_factory=dict)
    novelty: NDArray[np.float32] | None = None
    novelty_threshold: float | NDArray[np.float32] | None = None
    events: Mapping[str, Any] = field(default_factory=dict)
    calibrated: bool = False
    seconds: float = 0.0
    data: str = ""
    command: str = ""
    notes: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        columns = {
            "targets": self.targets,
            "scores": self.scores,
            "folds": self.folds,
            "novelty": self.novelty,
            "starts": self.starts or None,
            "ends": self.ends or None,
        }
        wrong = [name for name, column in columns.items() if column is not None and len(column) != len(self.clips)]
        if wrong:
            raise OptionError(f"{wrong[0]} has another length than clips, which has {len(self.clips)}: give one a clip")

    def truth_of(self, row: int) -> tuple[str, ...]:
        """Return the labels that a clip has."""
        return tuple(self.labels[column] for column in np.flatnonzero(self.targets[row]))

    @property
    def limits(self) -> NDArray[np.float32]:
        """From which score each label is given to each clip of a multi-label outcome: shape (clips, labels)."""
        if isinstance(self.thresholds, np.ndarray):
            return self.thresholds
        of_label = [self.thresholds.get(label, 0.5) for label in self.labels]
        return np.broadcast_to(np.array(of_label, np.float32), self.scores.shape)

    @property
    def refused(self) -> NDArray[np.bool_]:
        """Which clips are answered with none of these: bool, shape (clips,).

        For their novelty; or because single-label scores leave more for none of the labels than the highest has, or no
        multi-label score reaches its threshold.
        """
        refused = np.zeros(len(self.clips), bool)
        if self.novelty is not None and self.novelty_threshold is not None:
            refused |= self.novelty >= np.asarray(self.novelty_threshold, np.float32)
        limits = self.limits if self.task == "multi-label" else None
        return np.asarray(refused | ~decide(self.scores, thresholds=limits).any(axis=1), bool)

    @property
    def _rest(self) -> NDArray[np.float32]:
        """What the scores leave for none of the labels: single-label what their sum lacks to 1, else their highest."""
        if self.task == "multi-label":
            return np.asarray(1.0 - self.scores.max(axis=1, initial=0.0), np.float32)
        return np.asarray(np.maximum(0.0, 1.0 - self.scores.sum(axis=1)), np.float32)

    def rejection(self) -> dict[str, float]:
        """Return how well "none of these" tells negatives, which are none of the labels, from the rest.

        Each clip's novelty counts, or what its scores leave for none of the labels, whichever is more.

        Returns
        -------
        dict of str to float
            ``roc_auc``; with a threshold also ``known_refused`` and ``unknown_refused``, the shares of clips with and
            without a label that are answered with none of these. NaN where there are no such clips. Empty without
            novelty.
        """
        if self.novelty is None:
            return {}
        unknown = np.asarray(self.targets.sum(axis=1) == 0)
        strangeness = np.maximum(self.novelty, self._rest)
        figures = {"roc_auc": float(roc_auc(strangeness[:, None], unknown[:, None])[0])}
        if self.novelty_threshold is not None:
            figures["known_refused"] = mean_of_known(self.refused[~unknown])
            figures["unknown_refused"] = mean_of_known(self.refused[unknown])
        return figures

    def to_dict(self, *, classes: bool = True) -> dict[str, Any]:
        """Return measures and circumstances as JSON-ready data, without the scores of single clips.

        `classes` may be left out of the measures, for a card that must stay small.
        """
        return {
            "model": self.model,
            "data": self.data,
            "task": self.task,
            "calibrated": self.calibrated,
            "seconds": round(self.seconds, _DIGITS),
            "metrics": self.metrics.to_dict(classes=classes),
            "folds": sorted(set(self.folds)) if self.folds else [],
            "spread": {name: spread.to_dict() for name, spread in self.spread.items()},
            "novelty": {name: _plain(value) for name, value in self.rejection().items()},
            "events": dict(self.events),
            "command": self.command,
            "notes": list(self.notes),
            "failures": [{"file": file, "error": error} for file, error in self.failures],
        }

    def write_scores(self, path: str | os.PathLike[str]) -> None:
        """Write a row for each clip: ``path``, ``start``, ``end``, ``fold``, ``truth``, ``novelty`` and every score.

        The score of a label is in the column ``score:LABEL``; the labels that the clip has are a JSON list in CSV, a
        list in Parquet. Columns that nobody filled are left out.

        Parameters
        ----------
        path : str or os.PathLike
            Ends in ``.parquet`` (extra ``parquet``) or ``.csv``.

        Raises
        ------
        OptionError
            For another suffix.
        MissingExtraError
            Without pyarrow.
        OutputError
            If the file cannot be written.
        """
        check_scores_file(path)
        writer = self.to_csv if Path(path).suffix.lower() == ".csv" else self.to_parquet
        writer(path)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the scores of every clip as a Parquet table; see `write_scores`."""
        _require_pyarrow()
        import pyarrow as pa
        import pyarrow.parquet

        types = {"truth": pa.list_(pa.string()), "start": pa.float64(), "end": pa.float64()}
        columns = {name: pa.array(values, types.get(name)) for name, values in self._columns()}
        about = json.dumps(self.to_dict(), ensure_ascii=False).encode()
        table = pa.table(columns).replace_schema_metadata({"earmark": about})
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(table, buffer)
        _write(path, buffer.getvalue())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the scores of every clip as CSV; see `write_scores`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names, columns = zip(*self._columns(), strict=True)
        writer.writerow(names)
        for row in zip(*columns, strict=True):
            writer.writerow([_cell(value) for value in row])
        _write(path, text.getvalue().encode())

    def _columns(self) -> Iterator[tuple[str, Any]]:
        yield "path", [_text(clip) for clip in self.clips]
        for name, values in (("start", self.starts), ("end", self.ends)):
            if any(value is not None for value in values):
                yield name, list(values)
        if self.folds is not None:
            yield "fold", list(self.folds)
        yield "truth", [list(map(_text, self.truth_of(row))) for row in range(len(self.clips))]
        if self.novelty is not None:
            yield "novelty", self.novelty.astype(np.float32)
        for column, label in enumerate(self.labels):
            yield _text(f"{_LABEL_MARK}{label}"), self.scores[:, column].astype(np.float32)


def summarise(
    *,
    labels: Sequence[str],
    task: Task,
    targets: NDArray[np.float32],
    scores: NDArray[np.float32],
    thresholds: Thresholds = 0.5,
    folds: Sequence[str] | None = None,
    **circumstances: Any,
) -> Outcome:
    """Measure scores and return the outcome.

    Parameters
    ----------
    labels, task, targets, scores, folds
        As `Outcome` has them.
    thresholds : Mapping of str to float, float, or ndarray of shape (clips, labels)
        From which score a label is given, as `measure` takes them; for multi-label only.
    **circumstances
        The other fields of `Outcome`; `model` and `clips` are needed.
    """
    given = dict.fromkeys(labels, float(thresholds)) if isinstance(thresholds, float | int) else thresholds
    how: dict[str, Any] = {"task": task, "thresholds": given}
    metrics = measure(scores, targets, labels, **how)
    several = folds is not None and len(set(folds)) > 1
    return Outcome(
        labels=tuple(labels),
        task=task,
        targets=np.asarray(targets, np.float32),
        scores=np.asarray(scores, np.float32),
        metrics=metrics,
        thresholds=given if task == "multi-label" else {},
        folds=None if folds is None else tuple(folds),
        spread=spread_over_folds(scores, targets, labels, folds, **how) if folds is not None and several else {},
        **circumstances,
    )


def check_scores_file(path: str | os.PathLike[str]) -> None:
    """Refuse what `Outcome.write_scores` could not write, before hours of work.

    Raises
    ------
    OptionError
        If the name ends neither in ``.parquet`` nor in ``.csv``.
    MissingExtraError
        For Parquet without pyarrow.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise OptionError(
            f"{os.fspath(path)} does not tell in which form to write scores: let it end in .parquet or .csv"
        )
    if suffix == ".parquet":
        _require_pyarrow()


def _require_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError.for_extra("parquet", "pyarrow", "writing Parquet")


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def _cell(value: Any) -> Any:
    """Return what stands in a CSV: a list as JSON, nothing for None."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value


def _plain(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None


def _text(value: str) -> str:
    """Return text that every reader takes: what is no UTF-8, and a carriage return, as an escape."""
    return value.replace("\r", r"\r").encode("utf-8", "backslashreplace").decode()
