"""ONNX in fewer bits: smaller, nearly the same, the front end in float, and a card that says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import earmark
from earmark.errors import ExportError
from earmark.evaluation.evaluate import evaluate
from earmark.export.export import export
from earmark.export.float16 import to_float16
from earmark.export.int8 import to_int8
from earmark.export.integernodes import heard_weights, integer_nodes
from earmark.inference.classifier import Classifier
from earmark.model.backends import load_backend
from earmark.model.modelfile import read_card
from earmark.model.verify import MORE_SIGNALS, verify
from tests.export.exports import MODELS, Made, Workshop, use_twins, windows

SLOW = ("finetune",)
CONVOLUTIONAL = ("cnn", "cnn-several", "wave", "network-conv", "network-compact", "network-sb-cnn", "network-cvxtz-2d")
BOUNDARIES = ("Log", "Relu", "Clip", "Sigmoid", "Tanh")
"""What parts the sound itself from what is made of it."""


@pytest.fixture(scope="module")
def made(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Made]:
    """Return what exports a model of the workshop once."""
    folder = tmp_path_factory.mktemp("onnx")
    done: dict[tuple[str, str], Made] = {}

    def make(name: str, precision: str) -> Made:
        if (name, precision) not in done:
            source = workshop.model(name)
            clips = workshop.mixtures if name.endswith("several") else workshop.clips
            options: dict[str, Any] = {"calibrate_with": clips} if precision == "int8" else {}
            path = folder / f"{name}-{precision}.onnx"
            done[name, precision] = Made(source, export(source, path, to="onnx", precision=precision, **options))
        return done[name, precision]

    return make


def before(model: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes between the waveform and a node, back to the last ones that part from the sound itself."""
    producers = {name: other for other in model.graph.node for name in other.output}
    found: list[onnx.NodeProto] = []
    waiting = [name for name in node.input[:1] if name]
    while waiting:
        producer = producers.get(waiting.pop())
        if producer is not None and producer not in found:
            found.append(producer)
            waiting += [] if producer.op_type in BOUNDARIES else [name for name in producer.input if name]
    return found


def hears_the_waveform(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    return any(
        "waveform" in other.input and other.op_type != "Shape" for other in (node, *before(model, node))
    ) and not any(other.op_type in BOUNDARIES for other in before(model, node))


# Which nodes.


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SLOW])
def test_nothing_that_hears_the_waveform_is_chosen(name: str, workshop: Workshop) -> None:
    model = onnx.load(workshop.model(name))
    chosen = integer_nodes(model)
    assert not [node.name for node in chosen if hears_the_waveform(model, node)]
    names = [node.name for node in chosen]
    assert len(set(names)) == len(names)
    assert all(names)
    assert "waveform" not in {given for node in chosen for given in node.input}


@pytest.mark.parametrize("name", ["wave", "network-wave", "network-cvxtz-1d", "toy-fast"])
def test_a_first_convolution_on_raw_sound_stays_in_float(name: str, workshop: Workshop) -> None:
    model = onnx.load(workshop.model(name))
    first, *rest = [node for node in model.graph.node if node.op_type == "Conv"]
    assert hears_the_waveform(model, first)
    assert first not in integer_nodes(model)
    assert first.input[1] in heard_weights(model)
    assert all(node in integer_nodes(model) for node in rest)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_every_other_convolution_is_chosen(name: str, workshop: Workshop) -> None:
    model = onnx.load(workshop.model(name))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    chosen = [node for node in integer_nodes(model) if node.op_type == "Conv"]
    assert chosen == [node for node in convolutions if not hears_the_waveform(model, node)]
    assert len(chosen) >= len(convolutions) - 1 > 0


@pytest.mark.parametrize("name", ["head-mlp", "toy-fast", "anomaly-both"])
def test_models_without_a_layer_to_round_are_refused(
    name: str, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A front end and small dense layers; ONNX Runtime would take no node for every node."""
    use_twins(monkeypatch)
    source = workshop.model(name)
    assert integer_nodes(onnx.load(source)) == []
    for to in ("onnx", "tflite"):
        with pytest.raises(ExportError, match=r"^the model has no layer for int8: .*; take float16$"):
            export(source, tmp_path / f"small.{to}", to=to, precision="int8", calibrate_with=workshop.clips)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# Eight bits.


@pytest.mark.parametrize("name", ["cnn", "cnn-several", "wave"])
def test_eight_bits(name: str, made: Callable[[str, str], Made]) -> None:
    one = made(name, "int8")
    result, source = one.export, read_card(one.source)
    assert (result.format, result.precision, result.samples) == ("onnx", "int8", None)
    assert result.heard is not None
    assert result.heard.agreement >= 0.9
    assert result.heard.mean < 0.1
    assert result.parity.sounds == len(MORE_SIGNALS)
    assert verify(result.path).passed
    card = read_card(result.path)
    assert card == result.card
    assert card.tolerance == 1e-2
    assert card.source == f"{source.name} 1, exported by earmark {earmark.__version__} to ONNX, int8"
    kept = ("name", "labels", "decision", "calibrated", "background", "novelty_threshold", "embedding_size", "training")
    assert [getattr(card, field) for field in kept] == [getattr(source, field) for field in kept]
    measured = card.metrics["export"]
    assert measured["precision"] == "int8"
    assert measured["parity"] == result.parity.to_dict()
    assert measured["heard"] == result.heard.to_dict()
    assert card.metrics["held_out"] == source.metrics["held_out"]


@pytest.mark.parametrize("name", ["cnn", "wave"])
def test_the_front_end_is_not_rounded(name: str, made: Callable[[str, str], Made]) -> None:
    model = onnx.load(made(name, "int8").export.path)
    roundings = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert roundings
    assert not [node.name for node in roundings if hears_the_waveform(model, node)]
    producers = {name: node for node in model.graph.node for name in node.output}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    is_rounded = producers.get(first.input[0], first).op_type == "DequantizeLinear"
    assert is_rounded == (name == "cnn")


def test_yamnet_in_a_third_of_the_size(yamnet: Path, workshop: Workshop, tmp_path: Path) -> None:
    """In a tiny network the front end weighs most, and it is kept."""
    result = export(yamnet, tmp_path / "small.onnx", to="onnx", precision="int8", calibrate_with=workshop.clips)
    assert result.heard is not None
    assert result.heard.sounds == 32
    assert result.heard.mean < 0.1
    assert result.size_bytes == result.path.stat().st_size < 0.4 * result.source_size_bytes
    assert verify(result.path).passed


def test_the_same_recordings_give_the_same_file(
    made: Callable[[str, str], Made], workshop: Workshop, tmp_path: Path
) -> None:
    one = made("cnn", "int8")
    again = export(one.source, tmp_path / "again.onnx", to="onnx", precision="int8", calibrate_with=workshop.clips)
    assert again.path.read_bytes() == one.export.path.read_bytes()


def test_weights_of_eight_bits_where_they_are_asked_for(workshop: Workshop) -> None:
    model = onnx.load(workshop.model("cnn"))
    noise = [np.random.default_rng(seed).normal(0, 0.1, 16_000).astype(np.float32) for seed in range(3)]
    largest = {
        bits: max(
            int(np.abs(onnx.numpy_helper.to_array(item).astype(int)).max())
            for item in to_int8(model, noise, weight_bits=bits).graph.initializer
            if item.data_type == TensorProto.INT8
        )
        for bits in (7, 8)
    }
    assert largest == {7: 64, 8: 127}


# Sixteen bits.


@pytest.mark.parametrize(
    "name", ["cnn", "wave", "head-mlp", "head-forest", "attention", "ensemble-geometric", "anomaly-both", "isotonic"]
)
def test_sixteen_bits(name: str, made: Callable[[str, str], Made]) -> None:
    one = made(name, "float16")
    result, card = one.export, read_card(one.export.path)
    assert (result.precision, card.tolerance) == ("float16", 1e-3)
    assert result.parity.largest < 0.05
    assert result.parity.agreement >= 0.75
    assert result.heard is None
    assert "heard" not in card.metrics["export"]
    assert card.source.endswith("to ONNX, float16")
    assert verify(result.path).passed
    assert result.size_bytes <= result.source_size_bytes * 1.02


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SLOW])
def test_what_hears_the_waveform_keeps_its_numbers(name: str, workshop: Workshop) -> None:
    model = onnx.load(workshop.model(name))
    half = to_float16(model)
    floats = {item.name for item in half.graph.initializer if item.data_type == TensorProto.FLOAT}
    was = {item.name for item in model.graph.initializer if item.data_type == TensorProto.FLOAT}
    assert (heard_weights(model) & was) <= floats
    assert not half.metadata_props
    assert {item.version for item in half.opset_import} == {item.version for item in model.opset_import}


def test_yamnet_in_half_the_size(yamnet: Path, tmp_path: Path) -> None:
    result = export(yamnet, tmp_path / "half.onnx", to="onnx", precision="fp16")
    assert result.precision == "float16"
    assert 0.45 < result.size_bytes / result.source_size_bytes < 0.6
    assert result.parity.largest < 0.01
    assert result.parity.agreement == 1.0
    assert verify(result.path).passed


def test_weights_beyond_half_precision_are_kept(workshop: Workshop) -> None:
    model = onnx.load(workshop.model("cnn"))
    large = next(
        item for item in model.graph.initializer if item.name not in heard_weights(model) and np.prod(item.dims) > 300
    )
    values = onnx.numpy_helper.to_array(large).copy()
    values.flat[0] = 1e5
    large.CopyFrom(onnx.numpy_helper.from_array(values, large.name))
    kept = {item.name: item.data_type for item in to_float16(model).graph.initializer}
    assert kept[large.name] == TensorProto.FLOAT


# Everything that a model has is there still.


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_all_outputs_and_any_length(precision: str, made: Callable[[str, str], Made]) -> None:
    one = made("cnn", precision)
    source, small = load_backend(one.source), load_backend(one.export.path)
    for samples in (1, source.card.frame_length + 77, 50_000):
        waveform = next(iter(windows(source.card, samples, more=1)))
        expected, found = source.run(waveform[None]), small.run(waveform[None])
        for name in ("clip", "frames", "embeddings", "novelty"):
            assert getattr(found, name).shape == getattr(expected, name).shape
    told = Classifier.load(one.export.path).classify((np.zeros(16_000, np.float32), 16_000))
    assert told.novelty is not None


# What is lost.


@pytest.mark.parametrize(("name", "measure"), [("cnn", "accuracy"), ("cnn-several", "mean_average_precision")])
def test_what_is_lost_is_what_evaluate_says(name: str, measure: str, workshop: Workshop, tmp_path: Path) -> None:
    source = workshop.model(name)
    clips = workshop.mixtures if name.endswith("several") else workshop.clips
    result = export(
        source,
        tmp_path / "small.onnx",
        to="onnx",
        precision="int8",
        calibrate_with=clips,
        measure_on=clips,
        threads=1,
    )
    loss = result.loss
    assert loss is not None
    before_, after = (
        getattr(evaluate(Classifier.load(path), clips).metrics, measure) for path in (source, result.path)
    )
    assert (loss.measure, loss.clips) == (measure, 24 if name.endswith("several") else 40)
    assert loss.model == loss.windows == pytest.approx(before_)
    assert loss.exported == pytest.approx(after)
    assert loss.lost == pytest.approx(before_ - after)
    assert loss.parity.sounds == loss.clips
    assert result.card.metrics["export"]["loss"] == loss.to_dict() == result.to_dict()["loss"]
