"""Reading back the scores that `Outcome.write_scores` wrote: what each model said about clips that it had not seen."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import DataError, MissingExtraError, OptionError

LABEL_MARK = "score:"
"""Before the label in the name of a column."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreFile:
    """Scores and truth of clips.

    Parameters
    ----------
    clips : tuple of (str, str)
        Path, and start in seconds as text, empty for the beginning.
    labels : tuple of str
        The columns.
    scores, targets : ndarray of float32, shape (clips, labels)
    folds : tuple of str
        In which fold each clip was held out; empty where the table does not say.
    """

    clips: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    scores: NDArray[np.float32]
    targets: NDArray[np.float32]
    folds: tuple[str, ...] = ()


def read_scores(path: str | os.PathLike[str]) -> ScoreFile:
    """Read a table of scores.

    Parameters
    ----------
    path : str or path
        Ends in ``.parquet`` (extra ``parquet``) or ``.csv``.

    Raises
    ------
    OptionError
        For another suffix.
    DataError
        If it is no such table.
    MissingExtraError
        Without pyarrow.
    """
    source = Path(path)
    readers = {".csv": _csv_columns, ".parquet": _parquet_columns}
    if source.suffix.lower() not in readers:
        raise OptionError(f"{source} is no table of scores by its name: give one that ends in .parquet or .csv")
    columns = readers[source.suffix.lower()](source)
    labels = tuple(name.removeprefix(LABEL_MARK) for name in columns if name.startswith(LABEL_MARK))
    if not labels or "path" not in columns or "truth" not in columns:
        raise DataError(
            f"{source} has no columns path, truth and {LABEL_MARK}LABEL: give what `earmark crossval --scores` wrote"
        )
    try:
        scores = np.array([columns[LABEL_MARK + label] for label in labels], np.float32).T
        truth = [set(json.loads(cell) if isinstance(cell, str) else cell) for cell in columns["truth"]]
        starts = [_start(start) for start in columns.get("start", [""] * len(columns["path"]))]
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{source} has a cell that is no score, no time or no list of labels ({error}); write it again"
        ) from error
    targets = np.array([[label in labelled for label in labels] for labelled in truth], np.float32)
    clips = tuple((str(clip), start) for clip, start in zip(columns["path"], starts, strict=True))
    shape, folds = (len(clips), len(labels)), tuple(map(str, columns.get("fold", ())))
    return ScoreFile(clips, labels, scores.reshape(shape), targets.reshape(shape), folds)


def align(files: Sequence[ScoreFile], labels: Sequence[Sequence[str]]) -> tuple[NDArray[np.float32], ScoreFile]:
    """Bring several models' scores into one order of clips and labels.

    Parameters
    ----------
    files : sequence of ScoreFile
        One for each model.
    labels : sequence of sequence of str
        For each model the names of its labels, in the common order.

    Returns
    -------
    scores : ndarray of float32, shape (models, clips, labels)
    first : ScoreFile
        Clips and targets that belong to them, in the common order of labels.

    Raises
    ------
    DataError
        If the files are about other clips, or lack a label.
    """
    clips = files[0].clips
    rows = []
    for file, names in zip(files, labels, strict=True):
        place = {clip: row for row, clip in enumerate(file.clips)}
        if set(place) != set(clips) or len(place) != len(clips):
            raise DataError(
                f"the tables of scores are about other clips ({len(file.clips)} and {len(clips)}): "
                "give scores of the same clips, each once, from the same folds"
            )
        missing = [name for name in names if name not in file.labels]
        if missing:
            raise DataError(
                f"a table of scores has no label {missing[0]!r}: give the models' own tables, in their order"
            )
        rows.append(file.scores[[place[clip] for clip in clips]][:, [file.labels.index(name) for name in names]])
    order = [files[0].labels.index(name) for name in labels[0]]
    targets = files[0].targets[:, order]
    return np.stack(rows), replace(files[0], labels=tuple(labels[0]), scores=rows[0], targets=targets)


def _start(value: Any) -> str:
    return "" if value in (None, "") else f"{float(value):g}"


def _csv_columns(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path} ({error}); give what `earmark crossval --scores` wrote") from error
    short = next((number for number, row in enumerate(rows, start=2) if len(row) != len(names)), None)
    if short is not None:
        raise DataError(f"row {short} of {path} has not as many cells as its headings; write it again")
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}


def _parquet_columns(path: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError.for_extra("parquet", "pyarrow", "reading Parquet") from error
    try:
        columns: dict[str, list[Any]] = pyarrow.parquet.read_table(path).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} ({error}); give what `earmark crossval --scores` wrote") from error
    return columns
