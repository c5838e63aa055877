"""The front end: earmark's log-mel graph beside librosa, the same settings, one thread.

Both turn pieces of ESC-50 into YAMNet's log-mel spectrogram, a piece a call, in turn; the best round counts. Pieces are
of ten seconds, as in a file, and of one frame of YAMNet, as in a stream.
The peer is `librosa.feature.melspectrogram` and NumPy's logarithm, as one would write it. A second row spares librosa
from making the mel matrix in every call.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.corpus import Waveform, pieces
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import alternate, cores
from earmark.features.graph import add_logmel
from earmark.features.logmel import PRESETS
from earmark.features.nodes import Nodes
from earmark.model.backends import open_session

SETTINGS = PRESETS["yamnet"]
PIECES_SECONDS = (10.0, 0.975)
ROUNDS = 5
UNIT = "× real time"
STFT: dict[str, Any] = {
    "n_fft": SETTINGS.fft_size,
    "win_length": SETTINGS.window_length,
    "hop_length": SETTINGS.hop_length,
    "center": False,
}
MEL: dict[str, Any] = {
    "n_mels": SETTINGS.bands,
    "fmin": SETTINGS.low_hz,
    "fmax": SETTINGS.high_hz,
    "htk": True,
    "norm": None,
}
PEERS = {"melspectrogram": "librosa.feature.melspectrogram", "stft": "librosa.stft and a mel matrix made once"}


def measure(bench: Bench) -> Iterator[Row]:
    """Yield the speed beside both peers, for long and for short pieces."""
    for piece_seconds in PIECES_SECONDS:
        yield from measure_pieces(bench, piece_seconds)


def measure_pieces(bench: Bench, piece_seconds: float) -> Iterator[Row]:
    """Yield the speed on pieces of one length."""
    samples = round(piece_seconds * SETTINGS.sample_rate)
    long = pieces(bench.esc50[: bench.pick(100, 4)], max(PIECES_SECONDS))
    waveforms = [waveform[i : i + samples] for waveform in long for i in range(0, len(waveform) - samples + 1, samples)]
    with cores(1):
        ours, theirs, spared = open_front_end(), librosa_logmel, LibrosaSpared()
        contestants = {
            "earmark": lambda: [ours.run(None, {"waveform": waveform[None]}) for waveform in waveforms],
            "melspectrogram": lambda: [theirs(waveform) for waveform in waveforms],
            "stft": lambda: [spared(waveform) for waveform in waveforms],
        }
        seconds = alternate(contestants, bench.pick(ROUNDS, 1))
    speed = {name: len(waveforms) * piece_seconds / min(runs) for name, runs in seconds.items()}
    for name, against in PEERS.items():
        yield Row(
            what=f"log-mel spectrogram, one thread, {piece_seconds:g} s a call",
            ours=Quantity(speed["earmark"], UNIT),
            against=against,
            peer=Quantity(speed[name], UNIT),
            goal=Goal(10.0, "ratio") if name == "melspectrogram" else None,
        )


def open_front_end() -> Any:
    """Return an ONNX Runtime session, one thread, from ``waveform`` to the log-mel spectrogram."""
    nodes = Nodes()
    nodes("Identity", add_logmel(nodes, "waveform", SETTINGS), output="logmel")
    shapes: dict[str, list[Any]] = {"logmel": ["batch", "frames", SETTINGS.bands]}
    return open_session(nodes.model({"waveform": ["batch", "samples"]}, shapes).SerializeToString(), threads=1)


def librosa_logmel(waveform: Waveform) -> Waveform:
    """Return librosa's log-mel spectrogram, shape (bands, frames)."""
    import librosa

    mel = librosa.feature.melspectrogram(y=waveform, sr=SETTINGS.sample_rate, power=1.0, **STFT, **MEL)
    return np.log(mel + SETTINGS.log_offset)


class LibrosaSpared:
    """The same with the mel matrix made once."""

    def __init__(self) -> None:
        import librosa

        self._stft = librosa.stft
        self._mel = librosa.filters.mel(sr=SETTINGS.sample_rate, n_fft=SETTINGS.fft_size, **MEL)

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the log-mel spectrogram, shape (bands, frames)."""
        mel = self._mel @ np.abs(self._stft(waveform, **STFT))
        return np.asarray(np.log(mel + SETTINGS.log_offset))
