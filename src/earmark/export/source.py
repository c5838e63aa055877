"""The model that is exported: its file, its card, and whether it is in eight bits already."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from earmark.audio.decode import read_audio
from earmark.audio.folder import find_recordings
from earmark.data.readers import read_manifest
from earmark.errors import AudioError, DataError, EarmarkError, ExportError
from earmark.model.backends import Backend, load_backend
from earmark.model.card import ModelCard
from earmark.model.hub import default_hub

_MOST_RECORDINGS = 128  # more move the ranges of activations no further
_LEAST_SECONDS = 5.0


@dataclass(frozen=True)
class Recordings:
    """What activations are measured on.

    Parameters
    ----------
    waveforms : tuple of ndarray of float32, shape (samples,)
    failures : tuple of (str, str)
        Files that could not be read, and why.
    """

    waveforms: tuple[NDArray[np.float32], ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Source:
    """A one-file model that is to be written in another format.

    Parameters
    ----------
    path : Path
        An ``.onnx`` file.
    """

    path: Path

    @classmethod
    def find(cls, model: str | os.PathLike[str]) -> "Source":
        """Return a model by its name or path.

        Raises
        ------
        ExportError
            If it is a `.tflite` file, which is an end.
        ModelError
            If there is no such model.
        """
        path = default_hub().resolve(model)
        if path.suffix.lower() != ".onnx":
            raise ExportError(
                f"{path.name} cannot be exported again: give the .onnx file, or the name, that it came from"
            )
        return cls(path)

    @cached_property
    def backend(self) -> Backend:
        """The model, loaded."""
        return load_backend(self.path)

    @property
    def card(self) -> ModelCard:
        """Its card."""
        return self.backend.card

    @cached_property
    def graph(self) -> Any:
        """The parsed file, an `onnx.ModelProto`; it is not to be changed."""
        return onnx.load(self.path)

    @cached_property
    def is_int8(self) -> bool:
        """Whether its layers compute with integers."""
        return any(node.op_type == "QuantizeLinear" for node in self.graph.graph.node)

    @cached_property
    def has_trees(self) -> bool:
        """Whether decision trees are in it, whose answers move in steps."""
        return any(node.op_type == "TreeEnsembleRegressor" for node in self.graph.graph.node)

    def sounds(self, data: str | os.PathLike[str], *, seed: int = 0) -> Recordings:
        """Return recordings to measure activations on, at the model's rate: the first segment of each.

        Parameters
        ----------
        data : path
            A folder of recordings, or a list of clips (CSV).
        seed : int
            Which ones are taken where there are more than enough.

        Raises
        ------
        DataError, AudioError
            If there are none, none can be read, or those that can are less than `_LEAST_SECONDS` long together.
        """
        paths = list(_recordings(Path(data)))
        most = round(self.card.segment_seconds * self.card.sample_rate)
        found: list[NDArray[np.float32]] = []
        failures: list[tuple[str, str]] = []
        for index in np.random.default_rng(seed).permutation(len(paths)):
            if len(found) == _MOST_RECORDINGS:
                break
            try:
                found.append(np.array(read_audio(paths[index], self.card.sample_rate)[0][:most]))
            except AudioError as error:
                failures.append((str(paths[index]), str(error)))
        if not found:
            raise DataError(f"none of the {len(paths)} recordings of {data} can be read; the last: {failures[-1][1]}")
        seconds = sum(map(len, found)) / self.card.sample_rate
        if seconds < _LEAST_SECONDS:
            raise DataError(
                f"{data} has {seconds:.1f} s of sound, too little to measure activations on: give at least "
                f"{_LEAST_SECONDS:g} s, better minutes, of all that the model will hear"
            )
        return Recordings(tuple(found), tuple(failures))


def _recordings(data: Path) -> Iterator[Path]:
    if data.is_dir():
        yield from (Path(path) for path in find_recordings(str(data), on_error=_stop))
    else:
        yield from dict.fromkeys(clip.path for clip in read_manifest(data, check=False).clips)


def _stop(error: EarmarkError) -> None:
    raise error
