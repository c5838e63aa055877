"""Models to export: of every recipe, made in seconds, and toys whose `.tflite` twin is written by hand."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from earmark.data.readers import read_manifest
from earmark.errors import ExportError
from earmark.export import conversion, draft
from earmark.export import export as entry
from earmark.export.outcome import Export
from earmark.model.backends import load_backend
from earmark.model.card import ModelCard, Task
from earmark.model.modelfile import save
from earmark.model.verify import MORE_SIGNALS, signal
from earmark.training import heads
from earmark.training.ensemble import ensemble
from earmark.training.joining import join
from earmark.training.networks import NETWORKS, list_heads
from earmark.training.recalibration import calibrate
from earmark.training.silence import Silence
from earmark.training.silencegraph import add_silence
from earmark.training.torchgraph import export_tail, export_trunk
from earmark.training.train import train
from tests.tinymodel import save_novel_model, tiny_card
from tests.training.test_networks import small, warmed
from tests.training.toyclips import TINY_CONV, TINY_WAVE, toy_mixtures, write_toy_folders
from tests.training.toymodel import toy_model

ON_CPU: Mapping[str, Any] = {"accelerator": "cpu", "precision": "32-true"}
SHORT: Mapping[str, Any] = {"epochs": 1, "batch_size": 8, "warmup_epochs": 0, "learning_rate": 1e-2}
HEADS = ("logistic", "svm-linear", "svm-rbf", "forest", "knn", "mlp")


@dataclass(frozen=True)
class Made:
    """A model and its export."""

    source: Path
    export: Export


class Workshop:
    """Makes models by name, each once; nobody changes them."""

    def __init__(self, folder: Path, backbone: Path, yamnet: Callable[[], Path]) -> None:
        self.folder, self.backbone, self.yamnet = folder, backbone, yamnet
        self.clips = write_toy_folders(folder / "clips", ("high", "hiss", "low", ""), each=10)
        (folder / "mixtures").mkdir()
        toy_mixtures(folder / "mixtures").to_csv(folder / "mixtures.csv")
        self.mixtures = folder / "mixtures.csv"

    def model(self, name: str) -> Path:
        """Return the file of a model of `MODELS`."""
        path = self.folder / f"{name}.onnx"
        if not path.exists():
            with pytest.MonkeyPatch.context() as patch:
                for setting, value in {"_TREES": 10, "_HIDDEN": 16, "_STEPS": 200}.items():
                    patch.setattr(heads, setting, value)
                patch.setenv("EARMARK_CACHE", str(self.folder / "cache"))
                MODELS[name](self, path)
        return path


Maker = Callable[[Workshop, Path], object]


def _head(name: str, *, several: bool = False, backbone: str | None = None) -> Maker:
    def make(shop: Workshop, path: Path) -> None:
        below = shop.backbone if backbone is None else shop.model(backbone)
        train(shop.mixtures if several else shop.clips, path, recipe="head", backbone=str(below), head=name)

    return make


def _recipe(recipe: str, *, several: bool = False, frozen: bool = False, **options: Any) -> Maker:
    def make(shop: Workshop, path: Path) -> None:
        backbone = {"backbone": str(shop.backbone)} if frozen else {}
        train(shop.mixtures if several else shop.clips, path, recipe=recipe, **ON_CPU, **backbone, **options)

    return make


def _anomaly(method: str) -> Maker:
    def make(shop: Workshop, path: Path) -> None:
        train(shop.clips, path, recipe="anomaly", backbone=str(shop.backbone), method=method)

    return make


def _finetune(shop: Workshop, path: Path) -> None:
    few = read_manifest(shop.clips).select(range(0, 40, 4))
    options = SHORT | {"learning_rate": 1e-4, "backbone": str(shop.yamnet())}
    train(few, path, recipe="finetune", **ON_CPU, **options)


def _calibrated(method: Any, source: str) -> Maker:
    def make(shop: Workshop, path: Path) -> None:
        several = source.endswith("several")
        calibrate(shop.model(source), shop.mixtures if several else shop.clips, path, method=method)

    return make


def _ensemble(members: tuple[str, ...], method: Any) -> Maker:
    def make(shop: Workshop, path: Path) -> None:
        ensemble([shop.model(member) for member in members], path, method=method)

    return make


def _silenced(shop: Workshop, path: Path) -> None:
    backend = load_backend(shop.backbone)
    embeddings = backend.run(np.zeros((1, 16_000), np.float32)).embeddings
    assert embeddings is not None
    model = add_silence(onnx.load(shop.backbone), Silence(embeddings[0, 0], 1.0))
    save(model, replace(backend.card, name="silenced"), path)


def _toy(**options: Any) -> Maker:
    return lambda _, path: toy_model(path, **options)


def _network(name: str, *, task: Task = "single-label", **options: Any) -> Maker:
    """Return the maker of a network with random weights and warm normalisations."""

    def make(_: Workshop, path: Path) -> None:
        network = warmed(small(name, task=task, **options))
        graph = join(export_trunk(network), export_tail(network, task=task, outputs=4))
        save(graph, _card_of(network, path.stem, task), path)

    return make


def _card_of(network: Any, name: str, task: Task) -> ModelCard:
    geometry, labels = network.geometry, tiny_card().labels[:4]
    seconds = geometry.frame_length_seconds
    return tiny_card(
        name=name,
        labels=labels,
        sample_rate=geometry.sample_rate_hz,
        frame_length_seconds=seconds,
        frame_hop_seconds=geometry.frame_hop_seconds,
        segment_seconds=seconds + 1,
        embedding_size=network.embedding_size,
        task=task,
        background=task == "single-label",
    )


MODELS: Mapping[str, Maker] = {
    **{f"head-{name}": _head(name) for name in HEADS},
    **{f"head-{name}-several": _head(name, several=True) for name in HEADS},
    "forest-on-cnn": _head("forest", backbone="cnn"),
    "cnn": _recipe("cnn", options=TINY_CONV, **SHORT),
    "cnn-several": _recipe("cnn", several=True, options=TINY_CONV, **SHORT),
    "wave": _recipe("wave", options=TINY_WAVE, **SHORT),
    "attention": _recipe("attention", frozen=True, width=8, **SHORT),
    "finetune": _finetune,
    **{f"anomaly-{method}": _anomaly(method) for method in ("mahalanobis", "neighbours", "both")},
    "novel": lambda _, path: save_novel_model(path),
    "silenced": _silenced,
    "temperature": _calibrated("temperature", "head-logistic"),
    "platt": _calibrated("platt", "head-knn-several"),
    "isotonic": _calibrated("isotonic", "head-knn-several"),
    "toy-fast": _toy(rate_hz=16_000, length=6_400, hop=3_200, seed=1, tones_hz=(1, 8)),
    "toy-slow": _toy(rate_hz=8_000, length=800, hop=800, seed=2, tones_hz=(1, 8)),
    "toy-odd": _toy(rate_hz=22_050, length=2_205, hop=2_205, seed=3, tones_hz=(1, 8)),
    "ensemble-of-rates": _ensemble(("toy-slow", "toy-fast"), "mean"),
    "ensemble-of-odd-rates": _ensemble(("toy-fast", "toy-odd"), "mean"),
    "ensemble-geometric": _ensemble(("head-logistic", "head-mlp", "cnn"), "geometric"),
    "ensemble-several": _ensemble(("head-logistic-several", "cnn-several"), "geometric"),
    **{f"network-{name}": _network(name) for name in NETWORKS if name != "yamnet"},
    **{f"conv-{head}": _network("conv", head=head) for head in list_heads()},
    **{f"conv-{head}-several": _network("conv", head=head, task="multi-label") for head in list_heads()},
}
"""By name, how each is made."""


def windows(card: ModelCard, samples: int, *, more: int = 2) -> Iterator[NDArray[np.float32]]:
    """Yield sounds of a length: the test signals, and noise of several kinds."""
    yield from (signal(recipe, samples, card.sample_rate) for recipe in MORE_SIGNALS)
    rng = np.random.default_rng(samples)
    for _ in range(more):
        noise = np.cumsum(rng.standard_normal(samples)) if rng.random() < 0.5 else rng.standard_normal(samples)
        yield (rng.uniform(0.01, 0.5) * noise / np.abs(noise).max()).astype(np.float32)


def twin_toy(path: Path, **changes: Any) -> Path:
    """Write a toy model of one second a frame, which `twin` can write as a `.tflite` file."""
    return toy_model(path, **{"length": 8_000, "hop": 4_000, **changes})


def twin(source: bytes, *, samples: int, **_: object) -> bytes:
    """Do the converter's work for a toy model on one frame: two dense layers, and the scores."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    nodes, constants = _parts(onnx.load_from_string(source))
    listening, deciding = constants[nodes["Conv"].input[1]], constants[nodes["MatMul"].input[1]]
    if listening.shape[-1] != samples:
        raise ExportError("a twin hears one frame")
    kinds, options = schema.BuiltinOperator, schema.BuiltinOptions
    is_single = "Softmax" in nodes
    file = _TwinFile(schema)
    wave = file.tensor([1, samples])
    heard = file.dense(wave, listening[:, 0].astype(np.float32), activation=1)
    logits = file.dense(heard, deciding.T.astype(np.float32), activation=0)
    scores = file.tensor([1, deciding.shape[1]])
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    last = (kinds.SOFTMAX, options.SoftmaxOptions, softmax) if is_single else (kinds.LOGISTIC, options.NONE, None)
    file.operator([logits], [scores], *last)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(file.model(wave, scores)))


def use_twins(patch: pytest.MonkeyPatch, convert: Callable[..., bytes] = twin) -> None:
    """Let twins of toy models, or what else is given, stand for what the converter makes, installed or not."""
    patch.setattr(draft, "convert", convert)
    patch.setattr(entry, "require_tools", lambda *_, **__: None)


def _parts(model: onnx.ModelProto) -> tuple[dict[str, onnx.NodeProto], dict[str, NDArray[Any]]]:
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    return {node.op_type: node for node in model.graph.node}, constants


def altered_twin(
    source: bytes, *, samples: int, by: Callable[[NDArray[np.float32]], NDArray[np.float32]], **_: object
) -> bytes:
    """Return the twin of a model that decides otherwise."""
    other = onnx.load_from_string(source)
    for item in other.graph.initializer:
        if len(item.dims) == 2:
            item.CopyFrom(numpy_helper.from_array(by(numpy_helper.to_array(item)), item.name))
    return twin(other.SerializeToString(), samples=samples)


class _TwinFile:
    """A `.tflite` file under construction, by the classes of its schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._buffers = [schema.BufferT()]
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[Any] = []

    def tensor(self, shape: list[int], values: NDArray[np.float32] | None = None) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type = f"t{len(self._tensors)}".encode(), shape, 0
        tensor.buffer = 0
        if values is not None:
            tensor.buffer = len(self._buffers)
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            self._buffers.append(buffer)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def operator(self, given: list[int], made: list[int], kind: int, options_type: int, options: Any) -> None:
        code, operator = self._schema.OperatorCodeT(), self._schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        operator.inputs, operator.outputs = given, made
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        operator.opcodeIndex = len(self._codes)
        self._codes.append(code)
        self._operators.append(operator)

    def dense(self, given: int, weights: NDArray[np.float32], *, activation: int) -> int:
        made = self.tensor([1, len(weights)])
        options = self._schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        parts = [self.tensor(list(weights.shape), weights), self.tensor([len(weights)], np.zeros(len(weights), "f4"))]
        kind, table = self._schema.BuiltinOperator.FULLY_CONNECTED, self._schema.BuiltinOptions.FullyConnectedOptions
        self.operator([given, *parts], [made], kind, table, options)
        return made

    def model(self, given: int, made: int) -> Any:
        graph, model = self._schema.SubGraphT(), self._schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._operators, [given], [made]
        model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], self._buffers, self._codes
        return model


def convert_here(arguments: list[str]) -> tuple[int, str, str]:
    """Do in this process what the converter does in one of its own; return its status and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, name) for name in ("out", "err")]
        with _descriptors_in(printed):
            status = conversion.main(arguments)
        out, err = (path.read_text(errors="replace") for path in printed)
    return status, out, err


@contextlib.contextmanager
def _descriptors_in(files: list[Path]) -> Iterator[None]:
    """Send what this process prints, compilers in C++ too, into files."""
    kept = [os.dup(number) for number in (1, 2)]
    try:
        for number, path in enumerate(files, start=1):
            with path.open("wb") as file:
                os.dup2(file.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


class LoadedConverter:
    """Does what `earmark.export.conversion` has another process do for each model, in one that stays.

    To start it anew for each model and to import the converter takes longer than to convert a small model.
    """

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
        """Do what ``python -m earmark.export.conversion`` does."""
        return subprocess.CompletedProcess(arguments, *self._pool.submit(convert_here, arguments).result(timeout=300))
