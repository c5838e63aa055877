"""Metadata of a `.tflite` file: by its published schema, by any unzip, and by MediaPipe, which hears the same."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tflite

from earmark.export.export import export
from earmark.export.outcome import Export
from earmark.inference.classifier import Classifier
from earmark.model.backends import load_backend
from earmark.model.card import ClassRule, DecisionRule
from earmark.model.modelfile import read_card
from earmark.model.tflitefile import TFLiteFile
from earmark.model.verify import verify
from tests.export.exports import Made, twin_toy, use_twins, windows

RULE = DecisionRule(on=0.5, off=0.25, classes={"dog": ClassRule(0.05, 0.01), "cat": ClassRule(0.99, 0.5)})
GERMAN, FRENCH = ("Katze", "Hund, groß", "Regen"), ("chat", "chien", "pluie d'été")
AUDIO_PROPERTIES, AXIS_LABELS, SCORE_CALIBRATION = 4, 2, 4
CALIBRATION_OPTIONS, THRESHOLD_OPTIONS, INVERSE_LOGISTIC = 2, 3, 2


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return the export of a toy, with everything that can be said of it."""
    folder = tmp_path_factory.mktemp("described")
    for locale, names in (("de", GERMAN), ("fr_CA", FRENCH)):
        (folder / f"{locale}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    facts = {"licence": "CC-BY-4.0", "description": "Three sounds, «quoted».", "version": "2.1", "calibrated": True}
    toy = twin_toy(folder / "toy.onnx", decision=RULE, **facts)
    names = {locale: str(folder / f"{locale}.txt") for locale in ("de", "fr_CA")}
    with pytest.MonkeyPatch.context() as patch:
        use_twins(patch)
        return export(toy, folder / "toy.tflite", to="tflite", names=names, author="Ada Lovelace")


# By the schema, with the reader that MediaPipe brings.


@pytest.fixture(scope="module")
def schema() -> ModuleType:
    """Return the published schema's classes; MediaPipe itself is not imported, where its warnings would be errors."""
    package = importlib.util.find_spec("mediapipe")
    if package is None or package.origin is None:
        pytest.skip("needs MediaPipe: make test-tflite")
    path = Path(package.origin).parent / "tasks" / "metadata" / "metadata_schema_py_generated.py"
    found = importlib.util.spec_from_file_location("metadata_schema", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def metadata_of(path: Path, schema: ModuleType) -> Any:
    """Return the metadata of a file, unpacked."""
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    (entry,) = [
        model.Metadata(index)
        for index in range(model.MetadataLength())
        if model.Metadata(index).Name() == b"TFLITE_METADATA"
    ]
    content = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    return schema.ModelMetadataT.InitFromPackedBuf(content, 0)


def test_what_is_said_of_the_model(described: Export, schema: ModuleType) -> None:
    found = metadata_of(described.path, schema)
    assert found.name == b"toy"
    assert found.version == b"2.1"
    assert found.description.decode() == "Three sounds, «quoted»."
    assert found.author == b"Ada Lovelace"
    assert found.license == b"CC-BY-4.0"
    assert found.minParserVersion == b"1.3.0"
    assert len(found.subgraphMetadata) == 1


def test_what_is_said_of_the_input(described: Export, schema: ModuleType) -> None:
    (sound,) = metadata_of(described.path, schema).subgraphMetadata[0].inputTensorMetadata
    assert sound.name == b"waveform"
    assert sound.content.contentPropertiesType == AUDIO_PROPERTIES
    properties = sound.content.contentProperties
    assert (properties.sampleRate, properties.channels) == (8_000, 1)


def test_what_is_said_of_the_output(described: Export, schema: ModuleType) -> None:
    (scores,) = metadata_of(described.path, schema).subgraphMetadata[0].outputTensorMetadata
    assert scores.name == b"clip"
    assert scores.description.startswith(b"Calibrated probability")
    files = [(file.name, file.type, file.locale) for file in scores.associatedFiles]
    assert files == [
        (b"labels.txt", AXIS_LABELS, None),
        (b"labels_de.txt", AXIS_LABELS, b"de"),
        (b"labels_fr_CA.txt", AXIS_LABELS, b"fr_CA"),
        (b"score_calibration.txt", SCORE_CALIBRATION, None),
    ]
    calibration, threshold = scores.processUnits
    assert calibration.optionsType == CALIBRATION_OPTIONS
    assert calibration.options.scoreTransformation == INVERSE_LOGISTIC
    assert calibration.options.defaultScore == 0.0
    assert threshold.optionsType == THRESHOLD_OPTIONS
    assert 0 < threshold.options.globalScoreThreshold < 1e-6


# By earmark's own reader, and by unzip.


def test_earmark_reads_it_without_its_card(described: Export) -> None:
    file = TFLiteFile(described.path.read_bytes())
    assert (file.sample_rate, file.labels) == (8_000, ("cat", "dog", "rain"))
    assert (file.input_shape, file.output_shape) == ((1, 8_000), (1, 3))


@pytest.fixture
def unzip() -> Callable[..., bytes]:
    """Return what runs unzip."""
    if shutil.which("unzip") is None:
        pytest.skip("needs unzip")

    def run(*words: str | Path) -> bytes:
        done = subprocess.run(["unzip", *words], capture_output=True, check=False, timeout=60)
        assert done.returncode in (0, 1), done.stderr  # 1: what stands before the archive is passed over
        return done.stdout

    return run


def test_unzip_lists_and_reads_the_files(described: Export, unzip: Callable[..., bytes]) -> None:
    listed = unzip("-Z1", described.path).decode().splitlines()
    assert listed == ["labels.txt", "labels_de.txt", "labels_fr_CA.txt", "score_calibration.txt", "earmark.json"]
    assert unzip("-p", described.path, "labels.txt") == b"cat\ndog\nrain"
    assert unzip("-p", described.path, "labels_de.txt").decode() == "\n".join(GERMAN)
    assert unzip("-p", described.path, "labels_fr_CA.txt").decode() == "\n".join(FRENCH)
    card = json.loads(unzip("-p", described.path, "earmark.json"))
    assert (card["name"], card["version"], card["sha256"]) == ("toy", "2.1", described.card.sha256)
    assert b"No errors" in unzip("-t", described.path)


def test_scores_below_a_thresholds_are_left_out_and_others_stay(described: Export, unzip: Callable[..., bytes]) -> None:
    lines = unzip("-p", described.path, "score_calibration.txt").decode().split("\n")
    rows = [[np.float32(part) for part in line.split(",")] for line in lines]
    assert [row[:3] for row in rows] == [[1, 1, 0]] * 3
    for row, on in zip(rows, (0.99, 0.05, 0.5), strict=True):
        assert row[3] < np.float32(on), "readers leave out what is not above it, the rule what is below"
        assert np.nextafter(row[3], np.float32(1)) == np.float32(on)


def test_labels_with_awkward_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch)
    labels = ("Chant d'oiseau, aigu", "ветер", "雨 🎵; |")
    path = export(twin_toy(tmp_path / "toy.onnx", labels=labels), tmp_path / "toy.tflite", to="tflite").path
    assert TFLiteFile(path.read_bytes()).labels == labels
    assert tuple(label.name for label in load_backend(path).card.labels) == labels
    assert verify(path).passed


def test_a_name_with_a_line_break_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers take a line for a class."""
    use_twins(monkeypatch)
    labels = ("a\nb", "c", "d")
    path = export(twin_toy(tmp_path / "toy.onnx", labels=labels), tmp_path / "toy.tflite", to="tflite").path
    assert len(TFLiteFile(path.read_bytes()).labels) == 3


def test_names_of_any_text_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unzip: Callable[..., bytes]) -> None:
    """With a byte order mark, line ends of Windows, and more of them at the end."""
    use_twins(monkeypatch)
    names = tmp_path / "names.txt"
    names.write_bytes("\ufeffKatze\r\n Hund \r\nRegen\r\n\r\n".encode())
    toy = twin_toy(tmp_path / "toy.onnx")
    path = export(toy, tmp_path / "toy.tflite", to="tflite", names={"de": str(names)}).path
    assert unzip("-p", path, "labels_de.txt") == b"Katze\nHund\nRegen"


# By MediaPipe.


MEDIAPIPE = """
import json, sys
import numpy as np
from mediapipe.tasks.python import BaseOptions, audio
from mediapipe.tasks.python.components.containers import AudioData

model, sounds, rate_hz, locale = sys.argv[1:]
options = audio.AudioClassifierOptions(
    BaseOptions(model_asset_path=model), display_names_locale=locale or None, max_results=-1
)
answers = []
with audio.AudioClassifier.create_from_options(options) as classifier:
    for sound in np.load(sounds):
        for result in classifier.classify(AudioData.create_from_array(sound, int(rate_hz))):
            answers.append(
                [[c.category_name, c.display_name, c.index, c.score] for c in result.classifications[0].categories]
            )
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def mediapipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[list[list[Any]]]]:
    """Return what asks MediaPipe, in a process of its own, about windows; one answer for each."""
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("needs MediaPipe: make test-tflite")
    folder = tmp_path_factory.mktemp("mediapipe")

    def ask(model: Path, sounds: Sequence[np.ndarray], rate_hz: int, locale: str = "") -> list[list[list[Any]]]:
        np.save(folder / "sounds.npy", np.stack(sounds))
        command = [sys.executable, "-c", MEDIAPIPE, str(model), str(folder / "sounds.npy"), str(rate_hz), locale]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120)
        assert done.returncode == 0, done.stderr[-2_000:]
        line = next(line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
        answers: list[list[list[Any]]] = json.loads(line.removeprefix("ANSWERS "))
        return answers

    return ask


def reported(model: Path, sounds: Sequence[np.ndarray]) -> list[dict[str, float]]:
    """Return what the model's card lets pass of its scores, by name."""
    backend = load_backend(model)
    card = backend.card
    rows = [backend.run(sound[None]).clip[0] for sound in sounds]
    return [
        {
            label.name: float(score)
            for label, score in zip(card.labels, row, strict=True)
            if score >= np.float32(card.decision.of(label.id).on)
        }
        for row in rows
    ]


def test_mediapipe_reports_what_the_card_lets_pass(
    described: Export, mediapipe: Callable[..., list[list[list[Any]]]]
) -> None:
    sounds = list(windows(described.card, 8_000, more=4))
    source = described.path.with_suffix(".onnx")
    expected = reported(source, sounds)
    answers = mediapipe(described.path, sounds, 8_000)
    assert len(answers) == len(sounds)
    assert all("dog" in each for each in expected), "its threshold is low"
    assert not any("cat" in each for each in expected), "its threshold is out of reach"
    for answer, scores in zip(answers, expected, strict=True):
        found = {name: score for name, _, _, score in answer if score > 0}
        assert found == pytest.approx(scores, abs=1e-4)
        assert [name for name, _, _, score in answer if score > 0] == sorted(
            scores, key=scores.__getitem__, reverse=True
        )


@pytest.mark.parametrize(("locale", "names"), [("", None), ("de", GERMAN), ("fr_CA", FRENCH)])
def test_mediapipe_shows_names_in_a_language(
    locale: str,
    names: tuple[str, ...] | None,
    described: Export,
    mediapipe: Callable[..., list[list[list[Any]]]],
) -> None:
    (answer, *_) = mediapipe(described.path, list(windows(described.card, 8_000, more=0))[1:3], 8_000, locale)
    labels = ("cat", "dog", "rain")
    assert answer
    for name, shown, index, _ in answer:
        assert name == labels[index]
        assert (shown or None) == (names[index] if names else None)


@pytest.mark.parametrize("name", ["everyday", "silenced"])
def test_mediapipe_hears_what_earmark_hears(
    name: str, tflites: Callable[..., Made], mediapipe: Callable[..., list[list[list[Any]]]]
) -> None:
    made = tflites(name)
    samples = made.export.samples
    assert samples is not None
    sounds = list(windows(made.export.card, samples, more=8))
    answers = mediapipe(made.export.path, sounds, made.export.card.sample_rate)
    expected = reported(made.export.path, sounds)
    assert len(answers) == len(sounds)
    assert any(expected)
    classifier = Classifier.load(made.source)
    known = {label.name for label in read_card(made.source).labels}
    for answer, scores, sound in zip(answers, expected, sounds, strict=True):
        found = {category: score for category, _, _, score in answer if score > 0}
        assert set(found) <= known
        assert found == pytest.approx(scores, abs=1e-3)
        if found:
            best = classifier.classify((sound, made.export.card.sample_rate), novelty="ignore", top_k=2).tags
            close = [tag.label for tag in best if tag.score >= best[0].score - 0.02]
            assert max(found, key=found.__getitem__) in close
