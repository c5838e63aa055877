"""Embeddings as arrays: NPZ for NumPy, Parquet for everything else; many recordings in one file."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import MissingExtraError
from earmark.inference.formats.escape import quotable
from earmark.inference.results import EmbeddingResult, Failure

__all__ = ["ARRAY_WRITERS", "write_npz", "write_parquet"]

_ROWS_AT_ONCE = 4096


def write_npz(results: Iterable[EmbeddingResult | Failure], path: Path) -> None:
    """Write embeddings as one NPZ file, once all of them are there; failures are left out.

    Per frame: ``embeddings`` (float32, frames by size), ``onset`` and ``offset`` (seconds) and ``file_index``, and
    ``novelty`` (float32) of a model that gives it. Per recording: ``files``, ``seconds`` and ``notes``. For all:
    ``model`` and ``model_version``.

    Raises
    ------
    OSError
        If the file cannot be written. It is opened before the first result is asked for.
    """
    with path.open("wb") as file:
        kept = [result for result in results if isinstance(result, EmbeddingResult)]
        nothing = np.zeros((0, 0), np.float32)
        novelty = [result.novelty for result in kept if result.novelty is not None]
        optional: dict[str, Any] = {"novelty": np.concatenate(novelty)} if novelty else {}
        np.savez(
            file,
            embeddings=np.concatenate([result.embeddings for result in kept]) if kept else nothing,
            onset=np.concatenate([np.zeros(0), *(result.edges[:-1] for result in kept)]),
            offset=np.concatenate([np.zeros(0), *(result.edges[1:] for result in kept)]),
            file_index=np.repeat(np.arange(len(kept)), np.array([len(result.embeddings) for result in kept], np.intp)),
            files=np.array([result.file for result in kept], np.str_),
            seconds=np.array([result.seconds for result in kept], np.float64),
            notes=np.array([" | ".join(result.notes) for result in kept], np.str_),
            model=kept[0].model if kept else "",
            model_version=kept[0].model_version if kept else "",
            **optional,
        )


def write_parquet(results: Iterable[EmbeddingResult | Failure], path: Path) -> None:
    """Write embeddings as one Parquet table, recording by recording in constant memory; failures are left out.

    A row for each frame: ``file``, ``onset``, ``offset`` (seconds), ``embedding`` (a list of float32), ``seconds`` of
    the recording, ``notes``, ``model``, ``model_version``, and ``novelty`` (float32) of a model that gives it.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    OSError
        If the file cannot be written. It is opened before the first result is asked for.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError.for_extra("parquet", "pyarrow", "writing Parquet") from error
    with path.open("wb") as file:
        kept = (result for result in results if isinstance(result, EmbeddingResult))
        first = next(kept, None)
        schema = _schema(
            first.embeddings.shape[1] if first else 0, novelty=first is not None and first.novelty is not None
        )
        with pyarrow.parquet.ParquetWriter(file, schema) as writer:
            for result in chain([first], kept) if first else ():
                for rows in _rows(result):
                    writer.write_batch(pyarrow.record_batch(rows, schema=schema))


def _schema(size: int, *, novelty: bool) -> Any:
    import pyarrow as pa

    seconds, text = pa.float64(), pa.string()
    return pa.schema(
        [
            *(("file", text), ("onset", seconds), ("offset", seconds), ("embedding", pa.list_(pa.float32(), size))),
            *(("seconds", seconds), ("notes", text), ("model", text), ("model_version", text)),
            *([("novelty", pa.float32())] if novelty else ()),
        ]
    )


def _rows(result: EmbeddingResult) -> Iterator[dict[str, Any]]:
    """Yield the columns of the table, some thousand frames at a time."""
    import pyarrow as pa

    for start in range(0, len(result.embeddings), _ROWS_AT_ONCE):
        embeddings = result.embeddings[start : start + _ROWS_AT_ONCE]
        count = len(embeddings)
        edges = result.edges[start : start + count + 1]
        columns = {
            "file": [quotable(result.file)] * count,
            "onset": edges[:-1],
            "offset": edges[1:],
            "embedding": pa.FixedSizeListArray.from_arrays(embeddings.reshape(-1), embeddings.shape[1]),
            "seconds": [result.seconds] * count,
            "notes": [" | ".join(result.notes)] * count,
            "model": [result.model] * count,
            "model_version": [result.model_version] * count,
        }
        if result.novelty is not None:
            columns["novelty"] = result.novelty[start : start + count]
        yield columns


ARRAY_WRITERS = {".npz": write_npz, ".parquet": write_parquet}
"""By the suffix of the file."""
