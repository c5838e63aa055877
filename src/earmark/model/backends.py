"""Running a model: one protocol, one class per runtime, chosen by the file's suffix and never by trial."""

import os
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.errors import CardError, DeviceError, MissingExtraError, ModelError, ModelFormatError, OptionError
from earmark.model.card import CARD_KEY, Label, ModelCard
from earmark.model.tflitefile import TFLiteFile

Scores = NDArray[np.float32]

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""Devices by name, and the ONNX Runtime provider that drives each."""

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"  # ONNX Runtime counts and reports its use unless told not to

REQUIRED_OUTPUTS = ("clip", "frames")
OPTIONAL_OUTPUTS = ("embeddings", "novelty")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model gives for a batch of waveforms.

    Parameters
    ----------
    clip : ndarray of float32, shape (batch, classes)
    frames : ndarray of float32, shape (batch, frames, classes)
    embeddings : ndarray of float32, shape (batch, frames, size), or None
    novelty : ndarray of float32, shape (batch, frames), or None
    """

    clip: Scores
    frames: Scores
    embeddings: Scores | None = None
    novelty: Scores | None = None


class Backend(Protocol):
    """A loaded model; `run` may be called from several threads at once.

    It may have the attribute `has_novelty`, whether the outputs have novelty; without it they have none.
    """

    card: ModelCard

    def run(self, waveforms: Scores) -> Outputs:
        """Run the model on float32 waveforms of shape (batch, samples) in [-1, 1], at the card's sample rate."""
        ...  # pragma: no cover - a protocol


def load_backend(path: str | os.PathLike[str], *, device: str = "cpu", threads: int = 1) -> Backend:
    """Load a model file.

    Parameters
    ----------
    path : path
        ``.onnx`` for ONNX Runtime, ``.tflite`` for LiteRT (extra ``litert``).
    device : {"cpu", "cuda"}
        Where ONNX Runtime computes.
    threads : int
        Threads inside one call of `Backend.run`. One is right where several calls run side by side.

    Raises
    ------
    ModelFormatError, CardError, DeviceError, MissingExtraError, OptionError
        Each says what to do.
    """
    path = Path(path)
    if threads < 1:
        raise OptionError(f"threads={threads} is not allowed: give 1 or more")
    if device not in PROVIDERS:
        raise OptionError(f"device {device!r} is not known; allowed: {', '.join(PROVIDERS)}")
    if not path.is_file():
        raise ModelFormatError(f"no model file at {path}; check the path, or see `earmark models list`")
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return OnnxBackend(path, device=device, threads=threads)
    if suffix == ".tflite":
        if device != "cpu":
            raise DeviceError(f"{path.name} runs on LiteRT, which uses the CPU here; leave out --device {device}")
        return LiteRTBackend(path, threads=threads)
    raise ModelFormatError(f"{path.name} has suffix {path.suffix!r}; a model file ends in .onnx or .tflite")


class OnnxBackend:
    """A one-file model in ONNX Runtime."""

    def __init__(self, path: Path, *, device: str = "cpu", threads: int = 1) -> None:
        self._session = open_session(path, device=device, threads=threads)
        self.card = card_of(self._session, path)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.has_novelty = "novelty" in self._outputs

    def run(self, waveforms: Scores) -> Outputs:
        """Run the model; see `Backend.run`."""
        try:
            values = self._session.run(self._outputs, {"waveform": waveforms})
        except runtime_refusals() as error:  # out of memory, a lost device
            raise ModelError(f"model {self.card.name!r} failed on {waveforms.shape} samples ({error})") from error
        return Outputs(**dict(zip(self._outputs, values, strict=True)))


def open_session(source: Path | bytes, *, device: str = "cpu", threads: int = 1, optimise: bool = True) -> Any:
    """Open an ONNX Runtime session that neither spins nor prints.

    Raises
    ------
    ModelFormatError
        If the file is damaged or no ONNX model.
    DeviceError
        If ONNX Runtime was built without the device.
    """
    os.environ.setdefault(_NO_TELEMETRY, "1")  # read once, on import
    import onnxruntime as ort

    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise DeviceError(
            f"device {device!r} is not available: this onnxruntime has {', '.join(ort.get_available_providers())}; "
            "install onnxruntime-gpu in its place and a CUDA driver, or use --device cpu"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the core to others
    options.add_session_config_entry("session.x64quantprecision", "1")  # eight bits add up alike on every processor
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    name = "the model" if isinstance(source, bytes) else source.name
    try:
        # What a GPU has no kernel for falls back to the processor; the whole of it must not.
        session = ort.InferenceSession(source, options, providers=list(dict.fromkeys([provider, PROVIDERS["cpu"]])))
    except runtime_refusals() as error:
        reason = str(error).split(" : ")[-1].strip()
        raise ModelFormatError(f"{name} cannot be loaded by ONNX Runtime ({reason}); fetch or save it again") from error
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"device {device!r} did not start: check its driver with the vendor's tool, or use --device cpu"
        )
    return session


def runtime_refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which ONNX Runtime refuses a file or a call; they have no common root."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoModel),
        *(state.NoSuchFile, state.NotImplemented, state.RuntimeException, RuntimeError, ValueError),
    )


def card_of(session: Any, path: Path) -> ModelCard:
    """Return the card inside a session's model after holding it against the graph.

    Raises
    ------
    CardError
        If there is none, or the graph breaks the contract: outputs, number of classes, embedding size, novelty.
    """
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise CardError(f"{path.name} has no model card (metadata key {CARD_KEY!r}), so it is no earmark model")
    card = ModelCard.from_json(text)
    shapes = {output.name: output.shape for output in session.get_outputs()}
    inputs = [item.name for item in session.get_inputs()]
    missing = sorted(set(REQUIRED_OUTPUTS) - set(shapes))
    if inputs != ["waveform"] or missing or set(shapes) - {*REQUIRED_OUTPUTS, *OPTIONAL_OUTPUTS}:
        raise CardError(
            f"{path.name} takes {inputs} and gives {sorted(shapes)}; the contract is waveform in, "
            "clip and frames out, embeddings and novelty at will"
        )
    if ("embeddings" in shapes) != (card.embedding_size > 0):
        raise CardError(f"{path.name}: embeddings are in the card or in the graph, but not in both; save it again")
    if card.novelty_threshold is not None and "novelty" not in shapes:
        raise CardError(f"{path.name}: its card has a novelty threshold, its graph gives no novelty; save it again")
    if "novelty" in shapes and len(shapes["novelty"]) != 2:
        raise CardError(f"{path.name}: novelty has shape {shapes['novelty']}, not [batch, frames]; save it again")
    classes = len(card.labels)
    wanted = {"clip": (2, classes), "frames": (3, classes), "embeddings": (3, card.embedding_size)}
    for name, (rank, size) in wanted.items():
        if name in shapes and (len(shapes[name]) != rank or shapes[name][-1] != size):
            raise CardError(
                f"{path.name}: {name} has shape {shapes[name]}, its card wants {size} numbers; save it again"
            )
    return card


class LiteRTBackend:
    """A `.tflite` audio classifier of fixed input length in LiteRT: waveform in, scores of one patch out.

    A longer waveform is cut into patches at the hop of the card, the last one padded with zeros. A file without a card
    gets half the patch, rounded down to 10 ms, which for YAMNet is its own 0.48 s. Several threads get an interpreter
    each.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtraError.for_extra("litert", "ai-edge-litert", f"running {path.name}") from error
        data = path.read_bytes()
        self.card = _litert_card(TFLiteFile(data), path)
        self._new: Callable[[], Any] = lambda: Interpreter(model_content=data, num_threads=threads)
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        try:
            self._idle.put(_float_interpreter(self._prepared(), path))
        except (RuntimeError, ValueError, IndexError) as error:
            raise ModelFormatError(
                f"{path.name} cannot be loaded by LiteRT ({_line(error)}); export it again"
            ) from error

    def _prepared(self) -> Any:
        interpreter = self._new()
        interpreter.allocate_tensors()
        return interpreter

    @contextmanager
    def _interpreter(self) -> Iterator[Any]:
        """Lend an interpreter to one thread; a new one where all are in use."""
        try:
            interpreter = self._idle.get_nowait()
        except queue.Empty:
            interpreter = self._prepared()
        try:
            yield interpreter
        finally:
            self._idle.put(interpreter)

    def run(self, waveforms: Scores) -> Outputs:
        """Run the model; see `Backend.run`."""
        try:
            with self._interpreter() as interpreter:
                frames = np.stack([self._frames(interpreter, waveform) for waveform in waveforms])
        except (RuntimeError, ValueError, IndexError) as error:  # a damaged file that could be loaded all the same
            raise ModelError(f"model {self.card.name!r} failed in LiteRT ({_line(error)}); export it again") from error
        return Outputs(clip=frames.mean(axis=1), frames=frames)

    def _frames(self, interpreter: Any, waveform: Scores) -> Scores:
        source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        patches = cut_windows(waveform, self.card)
        scores = np.empty((len(patches), len(self.card.labels)), np.float32)
        for index, patch in enumerate(patches):
            interpreter.set_tensor(source["index"], patch.reshape(source["shape"]))
            interpreter.invoke()
            scores[index] = interpreter.get_tensor(sink["index"]).reshape(-1)
        return scores


def cut_windows(waveform: Scores, card: ModelCard) -> Scores:
    """Return the stretches of a waveform that a card's frames depend on, the last padded with zeros.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
    card : ModelCard

    Returns
    -------
    ndarray of float32, shape (frames, frame length)
        A view of one padded copy, not to be written to.
    """
    length, hop = card.frame_length, card.frame_hop
    padded = np.zeros(length + (card.frame_count(len(waveform)) - 1) * hop, np.float32)
    padded[: len(waveform)] = waveform
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def _line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split())


def _float_interpreter(interpreter: Any, path: Path) -> Any:
    """Refuse a file whose input or output is no float: its integers mean nothing without their scale."""
    for detail in (interpreter.get_input_details()[0], interpreter.get_output_details()[0]):
        if detail["dtype"] is not np.float32:
            raise ModelFormatError(
                f"{path.name} takes or gives {np.dtype(detail['dtype']).name}; export it with float32 input and output"
            )
    return interpreter


_TFLITE_HOP_STEPS_PER_SECOND = 100
_TFLITE_SEGMENT_SECONDS = 10.0


def _litert_card(model: TFLiteFile, path: Path) -> ModelCard:
    """Return the card that earmark's export put into a `.tflite` file, or make one from the metadata of another."""
    length, classes = int(np.prod(model.input_shape)), int(np.prod(model.output_shape))
    if (card := model.card) is not None:
        if (card.frame_length, len(card.labels)) != (length, classes):
            raise CardError(
                f"{path.name} takes {length} samples and gives {classes} scores, its card says {card.frame_length} and "
                f"{len(card.labels)}; export it again"
            )
        return card
    if model.sample_rate is None or not model.labels:
        raise ModelFormatError(
            f"{path.name} has no TensorFlow Lite metadata (sample rate, labels), so its numbers mean nothing; "
            "use a file with metadata, or for YAMNet `earmark models import`"
        )
    if len(model.labels) != classes:
        raise ModelFormatError(f"{path.name} has {classes} outputs and {len(model.labels)} labels; export it again")
    seconds = length / model.sample_rate
    step = max(1, model.sample_rate // _TFLITE_HOP_STEPS_PER_SECOND)
    hop = max(1, length // 2 // step * step)
    return ModelCard(
        name=path.stem,
        version="tflite",
        labels=_litert_labels(model.labels),
        sample_rate=model.sample_rate,
        frame_length_seconds=seconds,
        frame_hop_seconds=hop / model.sample_rate,
        segment_seconds=max(seconds, _TFLITE_SEGMENT_SECONDS),
        source=path.name,
    )


def _litert_labels(names: tuple[str, ...]) -> tuple[Label, ...]:
    """Give each name its AudioSet id where it is the AudioSet list, else its name, numbered where it comes again."""
    from earmark.model.audioset import audioset_labels

    known = audioset_labels()
    if names == tuple(label.name for label in known):
        return known
    return tuple(
        Label(name if names.index(name) == index else f"{name} ({index})", name) for index, name in enumerate(names)
    )
