"""The documented way to run YAMNet without TensorFlow: librosa reads, LiteRT scores one window after another."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
WINDOW_SAMPLES, HOP_SAMPLES = 15_600, 7_680  # 0.975 s and 0.48 s
WEIGHTS_VARIABLE = "PLAIN_SERVICE_WEIGHTS"
"""Environment variable that tells a service where the `.tflite` file is."""

_TOP = 5


class LiteRT:
    """YAMNet's `.tflite` file in LiteRT.

    Parameters
    ----------
    weights : Path
        The published file.
    threads : int
        Inside one call.
    """

    def __init__(self, weights: Path, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_path=str(weights), num_threads=threads)
        self._interpreter.allocate_tensors()
        source = self._interpreter.get_input_details()[0]
        self._source, self._shape = source["index"], source["shape"]
        self._sink = self._interpreter.get_output_details()[0]["index"]

    def frames(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of every window, shape (frames, classes); zeros fill the last one."""
        hops = -(-max(len(waveform) - WINDOW_SAMPLES, 0) // HOP_SAMPLES)
        padded = np.zeros(WINDOW_SAMPLES + hops * HOP_SAMPLES, np.float32)
        padded[: len(waveform)] = waveform
        starts = range(0, hops * HOP_SAMPLES + 1, HOP_SAMPLES)
        return np.stack([self._score(padded[start : start + WINDOW_SAMPLES]) for start in starts])

    def _score(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._source, window.reshape(self._shape))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._sink)).reshape(-1)


def tag(path: Path, model: LiteRT) -> NDArray[np.intp]:
    """Return the classes that score highest in a file, by the mean over its windows."""
    import librosa

    waveform, _ = librosa.load(path, sr=RATE_HZ)
    scores = model.frames(waveform).mean(axis=0)
    return np.argsort(-scores)[:_TOP]


def tag_in_turn(paths: Iterable[Path], model: LiteRT) -> list[NDArray[np.intp]]:
    """Tag files one after another; the threads are inside LiteRT."""
    return [tag(path, model) for path in paths]


class SideBySide:
    """Tags files on threads, each with an interpreter of its own that it keeps.

    Parameters
    ----------
    weights : Path
        The published file.
    threads : int
        Files under way at a time.
    """

    def __init__(self, weights: Path, threads: int) -> None:
        self._weights, self._own = weights, local()
        self._pool = ThreadPoolExecutor(threads, initializer=self._prepare)

    def __call__(self, paths: Iterable[Path]) -> list[NDArray[np.intp]]:
        """Tag files."""
        return list(self._pool.map(self._tag, paths))

    def _prepare(self) -> None:
        self._own.model = LiteRT(self._weights)

    def _tag(self, path: Path) -> NDArray[np.intp]:
        return tag(path, self._own.model)
