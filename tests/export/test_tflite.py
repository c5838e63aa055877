"""Models of every recipe as `.tflite` files: the same answers from LiteRT, with nothing but its own operators."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite

import earmark
from earmark.errors import ExportError, VerificationError
from earmark.evaluation.evaluate import evaluate
from earmark.export import draft
from earmark.export.compression import listening
from earmark.export.export import export
from earmark.export.tflite import input_samples
from earmark.inference.classifier import Classifier
from earmark.model.backends import load_backend
from earmark.model.modelfile import read_card, save
from earmark.model.tflitearchive import split
from earmark.model.tflitefile import builtin_operator
from earmark.model.verify import MORE_SIGNALS, verify
from tests.export.exports import Made, Workshop, windows
from tests.tinymodel import tiny_card, tiny_graph

NEAR = 1e-4
RECIPES = (
    "head-svm-rbf",
    "head-forest",
    "head-knn",
    "head-mlp-several",
    "cnn",
    "wave",
    "attention",
    "finetune",
    "anomaly-both",
    "isotonic",
    "ensemble-of-rates",
    "silenced",
)
"""One for each recipe, and for each part of a graph that only some have; `test_operators` tries the rest in torch."""

Tflites = Callable[..., Made]


def differences(made: Made, *, more: int = 4) -> np.ndarray:
    """Return how far file and model are apart on windows of the file's length: shape (sounds, classes)."""
    one, other = load_backend(made.source), load_backend(made.export.path)
    assert made.export.samples is not None
    sounds = windows(other.card, made.export.samples, more=more)
    return np.array([np.abs(one.run(sound[None]).clip[0] - other.run(sound[None]).clip[0]) for sound in sounds])


def operators(path: Path) -> set[str]:
    """Return the names of the operators in a file; one that is not built in counts as custom."""
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    names = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    return {
        names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "later")
        if code.CustomCode() is None
        else f"CUSTOM {code.CustomCode()!r}"
        for code in codes
    }


def assert_plain(path: Path, samples: int, classes: int) -> None:
    """Hold a file to what every app's LiteRT runs: its own operators, one waveform in, one row of scores out."""
    assert not [name for name in operators(path) if name.startswith(("CUSTOM", "STABLEHLO", "DELEGATE", "later"))]
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    assert (graph.InputsLength(), graph.OutputsLength()) == (1, 1)
    for index, shape, name in (
        (graph.Inputs(0), [1, samples], b"waveform"),
        (graph.Outputs(0), [1, classes], b"clip"),
    ):
        tensor = graph.Tensors(index)
        assert tensor.ShapeAsNumpy().tolist() == shape
        assert tensor.Type() == tflite.TensorType.FLOAT32
        assert tensor.Name() == name


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe(name: str, tflites: Tflites) -> None:
    made = tflites(name)
    result, source = made.export, read_card(made.source)
    assert (result.format, result.precision) == ("tflite", "float32")
    assert result.samples == input_samples(source, None)
    assert result.parity.largest <= NEAR
    assert result.parity.sounds == len(MORE_SIGNALS)
    assert differences(made).max() <= NEAR
    outcome = verify(result.path)
    assert (outcome.passed, outcome.unchanged, outcome.agreement) == (True, True, 1.0)
    assert_plain(result.path, result.samples, len(source.labels))
    card = result.card
    kept = ("name", "version", "labels", "task", "calibrated", "background", "decision", "licence", "training")
    assert [getattr(card, field) for field in kept] == [getattr(source, field) for field in kept]
    assert (card.embedding_size, card.novelty_threshold, card.tolerance) == (0, None, NEAR)
    told = [note for note in result.notes if "has no novelty: sound unlike all" in note]
    assert bool(told) == (source.novelty_threshold is not None)


def test_frames_of_the_file_are_clips_of_the_model(tflites: Tflites, rng: np.random.Generator) -> None:
    made = tflites("finetune")
    model, classifier = load_backend(made.source), Classifier.load(made.export.path)
    length, hop = classifier.card.frame_length, classifier.card.frame_hop
    assert length == model.card.frame_length
    waveform = rng.uniform(-0.4, 0.4, length + 2 * hop).astype(np.float32)
    timeline = classifier.timeline((waveform, classifier.card.sample_rate))
    expected = [model.run(waveform[None, start * hop : start * hop + length]).clip[0] for start in range(3)]
    np.testing.assert_allclose(timeline.scores, expected, atol=NEAR)


def test_what_is_lost_is_what_evaluate_says(exporting: Callable[..., Any], workshop: Workshop, tmp_path: Path) -> None:
    source, path = workshop.model("silenced"), tmp_path / "made.tflite"
    clips = tmp_path / "clips"
    labels = [label.id for label in read_card(source).labels]
    rows = "".join(
        f"{workshop.clips / name / '0.wav'},{label}\n" for name, label in zip(("high", "low"), labels, strict=False)
    )
    clips.with_suffix(".csv").write_text("path,label\n" + rows)
    loss = exporting(source, path, to="tflite", measure_on=clips.with_suffix(".csv")).loss
    assert (loss.measure, loss.clips) == ("mean_average_precision", 2)
    assert loss.model == pytest.approx(
        evaluate(Classifier.load(source), clips.with_suffix(".csv")).metrics.mean_average_precision
    )
    assert loss.exported == pytest.approx(
        evaluate(Classifier.load(path), clips.with_suffix(".csv")).metrics.mean_average_precision
    )
    assert loss.parity.largest <= NEAR


# Fewer bits.


def test_half_precision(tflites: Tflites) -> None:
    made = tflites("network-simple-audio", "float16")
    result = made.export
    assert result.precision == "float16"
    assert 0.4 < result.size_bytes / result.source_size_bytes < 0.6
    assert differences(made).max() < 0.01
    assert result.parity.agreement == 1.0
    assert verify(result.path).passed
    assert_plain(result.path, made.export.samples or 0, 4)


def test_weights_of_eight_bits(tflites: Tflites) -> None:
    made = tflites("cnn", "dynamic")
    result = made.export
    assert result.precision == "dynamic"
    assert result.size_bytes < tflites("cnn").export.size_bytes
    assert differences(made).mean() < 0.05
    assert verify(result.path).passed
    assert_plain(result.path, made.export.samples or 0, 3)


def test_eight_bits_from_float(tflites: Tflites) -> None:
    made = tflites("cnn", "int8")
    result = made.export
    assert result.heard is not None
    assert result.heard.agreement >= 0.9
    assert result.heard.mean < 0.1
    assert result.size_bytes < tflites("cnn").export.size_bytes
    assert verify(result.path).passed
    assert_plain(result.path, made.export.samples or 0, 3)
    assert result.card.metrics["export"]["heard"] == result.heard.to_dict()
    assert result.card.source.endswith(f"exported by earmark {earmark.__version__} to TFLite, int8")


def tables(path: Path) -> list[bytes]:
    """Return the constants of a file's decision trees, each but once: their places, thresholds and leaves."""
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    found = set[bytes]()
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = builtin_operator(model, operator)
        if kind in (tflite.BuiltinOperator.EMBEDDING_LOOKUP, tflite.BuiltinOperator.LESS_EQUAL):
            buffers = (model.Buffers(graph.Tensors(place).Buffer()) for place in operator.InputsAsNumpy())
            found |= {buffer.DataAsNumpy().tobytes() for buffer in buffers if buffer.DataLength()}
    return sorted(found)


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
def test_trees_are_not_rounded(precision: str, tflites: Tflites) -> None:
    """A threshold of fewer bits would send numbers the other way; what gets fewer bits are the layers before it."""
    made, plain = tflites("forest-on-cnn", precision), tflites("forest-on-cnn")
    result = made.export
    assert len(tables(result.path)) == 4  # what to look at, thresholds, roots, leaves
    assert tables(result.path) == tables(plain.export.path)
    assert result.size_bytes < plain.export.size_bytes
    assert differences(made).mean() < 0.05
    assert verify(result.path).passed
    assert_plain(result.path, result.samples or 0, 3)


def test_the_layers_of_the_spectrogram_are_found(tflites: Tflites) -> None:
    """Fourier transform and mel bands of a network that has four convolutions and two dense layers besides."""
    heard = listening(split(tflites("cnn").export.path.read_bytes())[0])
    assert 1 <= len(heard) <= 3


def test_the_model_inside_in_its_own_bits(tflites: Tflites) -> None:
    """The integers are the same; where a sum lies between two steps, a runtime may take the other one."""
    made = tflites("everyday")
    result = made.export
    assert result.precision == "int8"
    assert result.size_bytes < 1.1 * result.source_size_bytes
    apart = differences(made, more=12)
    assert apart.mean() <= 1e-4
    assert np.median(apart.max(axis=1)) <= 1e-4
    assert apart.max() <= 0.02
    assert result.parity.agreement == 1.0
    assert verify(result.path).passed
    card = read_card(made.source)
    assert result.samples == card.frame_length
    assert_plain(result.path, card.frame_length, len(card.labels))
    assert not any("eight bits" in note for note in result.notes)
    model = tflite.Model.GetRootAs(result.path.read_bytes(), 0).Subgraphs(0)
    types = [model.Tensors(index).Type() for index in range(model.TensorsLength())]
    assert types.count(tflite.TensorType.INT8) > 20


# What goes wrong.


def test_a_weight_that_changed(tflites: Tflites, tmp_path: Path) -> None:
    data = bytearray(tflites("silenced").export.path.read_bytes())
    place = len(split(bytes(data))[0]) // 2
    data[place] ^= 1
    (tmp_path / "bad.tflite").write_bytes(data)
    with pytest.raises(VerificationError, match="it was changed since it was made"):
        verify(tmp_path / "bad.tflite")


def test_the_file_of_another_model_is_refused(
    tflites: Tflites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = split(tflites("silenced").export.path.read_bytes())
    monkeypatch.setattr(draft, "convert", lambda *_, **__: other)
    source = save(tiny_graph(np.random.default_rng(8)), tiny_card(), tmp_path / "tiny.onnx")
    with pytest.raises(ExportError, match=r"the new file disagrees with the model: .*; nothing is written"):
        export(source, tmp_path / "made.tflite", to="tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


@pytest.mark.usefixtures("with_converter")
def test_the_converter_in_a_process_of_its_own(
    workshop: Workshop, tflites: Tflites, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As everybody calls it: nothing is printed, and the file is the same."""
    made = export(workshop.model("silenced"), tmp_path / "silenced.tflite", to="tflite")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "LiteRT-Torch" not in printed.err
    assert made.path.read_bytes() == tflites("silenced").export.path.read_bytes()
