"""A `.tflite` file with a card: what it says, that it is proven by it, and that no damage goes unnoticed."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import CardError, EarmarkError, ModelFormatError, VerificationError
from earmark.export.export import export
from earmark.export.metadata import Description, with_metadata
from earmark.export.windows import Windowed
from earmark.inference.classifier import Classifier
from earmark.model.backends import Outputs, load_backend
from earmark.model.card import ClassRule, DecisionRule, ModelCard, TestVector
from earmark.model.modelfile import read_card
from earmark.model.tflitearchive import CARD_FILE, digest, join, split
from earmark.model.tflitefile import TFLiteFile
from earmark.model.verify import MORE_SIGNALS, SIGNALS, make_clip_vectors, measure, signal, verify
from tests.export.exports import twin, twin_toy, use_twins

RATE_HZ = 8_000
RULE = DecisionRule(on=0.5, off=0.25, smoothing_seconds=0.5, classes={"dog": ClassRule(0.4, 0.2)})


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of one second a frame."""
    path = tmp_path_factory.mktemp("toy") / "toy.onnx"
    return twin_toy(path, decision=RULE, licence="CC-BY-4.0", description="A toy.", citation="Nobody (2026)")


@pytest.fixture(scope="module")
def exported(toy: Path) -> Path:
    """Return the same as a `.tflite` file."""
    with pytest.MonkeyPatch.context() as patch:
        use_twins(patch)
        return export(toy, toy.with_suffix(".tflite"), to="tflite").path


@pytest.fixture
def damaged(exported: Path, tmp_path: Path) -> Callable[[bytes], Path]:
    """Return what writes a file of changed bytes."""

    def write(data: bytes) -> Path:
        path = tmp_path / "damaged.tflite"
        path.write_bytes(data)
        return path

    return write


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def place_of(path: Path, name: str) -> int:
    """Return where the content of a file in the archive begins."""
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes().index(archive.read(name), archive.getinfo(name).header_offset)


def test_the_card_is_that_of_the_model_on_fixed_windows(toy: Path, exported: Path) -> None:
    card, source = load_backend(exported).card, read_card(toy)
    same = ("name", "version", "labels", "sample_rate", "task", "decision", "licence", "description", "citation")
    assert [getattr(card, name) for name in same] == [getattr(source, name) for name in same]
    assert (card.frame_length, card.frame_hop) == (8_000, 4_000)
    assert (card.embedding_size, card.novelty_threshold, card.tolerance) == (0, None, 1e-4)
    assert card.source.startswith("toy 1, exported by earmark ")
    assert card.source.endswith(" to TFLite, float32")
    assert card.metrics["export"]["parity"]["sounds"] == len(MORE_SIGNALS)
    assert card == TFLiteFile(exported.read_bytes()).card


def test_a_file_of_others_has_no_card(shared: Path) -> None:
    path = shared / "models/yamnet/yamnet_classification_int8.tflite"
    assert TFLiteFile(path.read_bytes()).card is None
    with pytest.raises(CardError, match="has no test vectors, so it cannot be verified"):
        verify(path)


def test_it_passes_its_own_test(exported: Path) -> None:
    outcome = verify(exported)
    assert (outcome.passed, outcome.unchanged, outcome.agreement) == (True, True, 1.0)
    assert sorted(outcome.differences) == sorted(f"{recipe} clip" for recipe in MORE_SIGNALS)
    assert outcome.to_dict()["top1_agreement"] == 1.0


def test_the_same_model_gives_the_same_bytes(toy: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch)
    again = export(toy, exported.with_name("again.tflite"), to="tflite").path
    assert again.read_bytes() == exported.read_bytes()


# Frames of the file are the clips of the model.


def test_every_frame_is_the_models_answer_to_that_window(toy: Path, exported: Path, rng: np.random.Generator) -> None:
    waveform = rng.uniform(-0.5, 0.5, 27_000).astype(np.float32)
    model, classifier = load_backend(toy), Classifier.load(exported)
    timeline = classifier.timeline((waveform, RATE_HZ))
    assert timeline.scores.shape == (classifier.card.frame_count(27_000), 3) == (6, 3)
    for index, scores in enumerate(timeline.scores):
        window = np.zeros(8_000, np.float32)
        rest = waveform[index * 4_000 : index * 4_000 + 8_000]
        window[: len(rest)] = rest
        np.testing.assert_allclose(scores, model.run(window[None]).clip[0], atol=1e-5)


def test_windows_of_the_model_are_frames_of_the_file(toy: Path, exported: Path, rng: np.random.Generator) -> None:
    made = load_backend(exported)
    reference = Windowed(load_backend(toy), made.card)
    for samples in (1, 8_000, 8_001, 100_000):
        waveforms = rng.uniform(-0.5, 0.5, (2, samples)).astype(np.float32)
        expected, found = reference.run(waveforms), made.run(waveforms)
        np.testing.assert_allclose(found.frames, expected.frames, atol=1e-5)
        np.testing.assert_allclose(found.clip, expected.frames.mean(axis=1), atol=1e-5)


def test_tags_and_events_follow_the_card(toy: Path, exported: Path) -> None:
    seconds = np.arange(6 * RATE_HZ) / RATE_HZ
    sound = (np.sin(2 * np.pi * (100 + 60 * seconds) * seconds) * (seconds > 1)).astype(np.float32) * 0.8
    one, other = Classifier.load(toy), Classifier.load(exported)
    window = sound[:RATE_HZ], RATE_HZ
    assert {tag.label for tag in other.classify(window, top_k=0).tags} <= {"cat", "dog", "rain"}
    tags = {tag.label: tag.score for tag in one.classify(window, top_k=0).tags}
    assert {tag.label: tag.score for tag in other.classify(window, top_k=0).tags} == pytest.approx(tags, abs=1e-5)
    expected, found = one.events((sound, RATE_HZ)).events, other.events((sound, RATE_HZ)).events
    assert expected
    assert [(event.label, event.onset, event.offset) for event in found] == [
        (event.label, event.onset, event.offset) for event in expected
    ]


# The archive.


def test_what_was_joined_is_split_again() -> None:
    model = bytes(range(256)) * 5
    files = {"labels.txt": "Glöckchen\nRegen".encode(), "empty.txt": b"", CARD_FILE: b"{}"}
    whole = join(model, files)
    assert split(whole) == (model, files)
    assert join(model, files) == whole
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert split(model) == (model, {})


def test_the_digest_is_of_all_but_itself(exported: Path) -> None:
    data = exported.read_bytes()
    card = load_backend(exported).card
    model, files = split(data)
    assert digest(data, card) == card.sha256 == digest(data, replace(card, sha256="f" * 64))
    other = {
        "a weight": digest(join(flipped(model, len(model) // 2), files), card),
        "a label": digest(join(model, files | {"labels.txt": b"cat\ndog\nsnow"}), card),
        "a file more": digest(join(model, files | {"more.txt": b""}), card),
        "a file less": digest(join(model, {name: files[name] for name in files if name != "labels.txt"}), card),
        "the card": digest(data, replace(card, licence="none")),
    }
    assert card.sha256 not in other.values()
    assert len(set(other.values())) == len(other)


# Damage.


def test_a_weight_that_changed(exported: Path, damaged: Callable[[bytes], Path]) -> None:
    data = bytearray(exported.read_bytes())
    place = 100_000  # in the first layer
    data[place : place + 4] = np.float32(30).tobytes()
    with pytest.raises(
        VerificationError, match=r"^damaged.tflite fails its own test: it was changed since it was made; outputs differ"
    ):
        verify(damaged(bytes(data)))


def test_a_weight_that_changed_too_little_to_be_heard(exported: Path, damaged: Callable[[bytes], Path]) -> None:
    with pytest.raises(VerificationError, match="it was changed since it was made"):
        verify(damaged(flipped(exported.read_bytes(), 100_000)))


@pytest.mark.parametrize("name", ["labels.txt", "score_calibration.txt", CARD_FILE])
def test_a_byte_of_a_file_in_the_archive_that_flipped(
    name: str, exported: Path, damaged: Callable[[bytes], Path]
) -> None:
    with pytest.raises(ModelFormatError, match=r"^the files in the \.tflite file are damaged \(.*\); fetch it again$"):
        verify(damaged(flipped(exported.read_bytes(), place_of(exported, name) + 1)))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("labels.txt", b"dog", b"fog"),
        ("score_calibration.txt", b"1,1,0,", b"1,1,1,"),
        (CARD_FILE, b'"cat"', b'"rat"'),
        (CARD_FILE, b"CC-BY-4.0", b"CC0-1.0"),
    ],
)
def test_a_file_of_the_archive_that_was_edited(
    name: str, old: bytes, new: bytes, exported: Path, damaged: Callable[[bytes], Path]
) -> None:
    model, files = split(exported.read_bytes())
    assert old in files[name]
    with pytest.raises(VerificationError, match=r"it was changed since it was made; .*; fetch or save the"):
        verify(damaged(join(model, files | {name: files[name].replace(old, new)})))


def test_another_models_weights_under_this_card(
    exported: Path, tmp_path: Path, damaged: Callable[[bytes], Path]
) -> None:
    other = twin(twin_toy(tmp_path / "other.onnx", seed=9).read_bytes(), samples=8_000, precision="float32")
    _, files = split(exported.read_bytes())
    with pytest.raises(VerificationError, match="it was changed since it was made; outputs differ by 0"):
        verify(damaged(join(other, files)))


def test_what_was_appended(exported: Path, damaged: Callable[[bytes], Path]) -> None:
    with pytest.raises(VerificationError, match="it was changed since it was made"):
        verify(damaged(exported.read_bytes() + b"more"))


@pytest.mark.parametrize("kept", [4, 40, 1_000, 100_000, -3_000, -1_000, -100, -5])
def test_a_file_that_was_cut_off(kept: int, exported: Path, damaged: Callable[[bytes], Path]) -> None:
    with pytest.raises(ModelFormatError, match=r"(damaged|not a TensorFlow Lite|no TensorFlow Lite metadata)"):
        verify(damaged(exported.read_bytes()[:kept]))


def test_no_flipped_byte_ends_in_another_error(exported: Path, damaged: Callable[[bytes], Path]) -> None:
    """Of the structure, behind the weights, every ninth byte; one that is let pass is of what nobody reads."""
    data = exported.read_bytes()
    model, files = split(data)
    outcomes = dict.fromkeys(("refused", "passed"), 0)
    for place in range(len(model) - 1_200, len(data), 9):
        changed = flipped(data, place)
        try:
            verify(damaged(changed))
        except EarmarkError:
            outcomes["refused"] += 1
        else:
            outcomes["passed"] += 1
            assert split(changed) == (model, files)
    assert outcomes["refused"] > outcomes["passed"]


def card_and_model(exported: Path) -> tuple[ModelCard, bytes]:
    return load_backend(exported).card, split(exported.read_bytes())[0]


def test_a_card_of_another_length(exported: Path, damaged: Callable[[bytes], Path]) -> None:
    card, model = card_and_model(exported)
    wrong = replace(card, frame_length_seconds=0.5, frame_hop_seconds=0.25)
    path = damaged(with_metadata(model, wrong, Description("nobody", {})))
    with pytest.raises(
        CardError, match="takes 8000 samples and gives 3 scores, its card says 4000 and 3; export it again"
    ):
        load_backend(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}', b'{"format": 99}'])
def test_a_card_that_is_none(content: bytes, exported: Path, damaged: Callable[[bytes], Path]) -> None:
    model, files = split(exported.read_bytes())
    with pytest.raises(CardError, match=r"model card"):
        load_backend(damaged(join(model, files | {CARD_FILE: content})))


# The test signals.


def test_more_signals_have_their_shape() -> None:
    assert MORE_SIGNALS[: len(SIGNALS)] == SIGNALS
    made = {recipe: signal(recipe, 16_000, 16_000) for recipe in MORE_SIGNALS}
    assert all(np.abs(waveform).max() <= 1 and waveform.dtype == np.float32 for waveform in made.values())
    assert all(len(np.unique(np.round(waveform, 3))) > 1 for waveform in made.values() if waveform.any())
    assert np.flatnonzero(made["clicks:4"]).tolist() == [0, 4_000, 8_000, 12_000]
    assert made["clicks:4"].max() == pytest.approx(0.8)


def test_a_sweep_doubles_its_frequency_each_quarter() -> None:
    rate_hz = 16_000
    sweep = signal("sweep:100", 4 * rate_hz, rate_hz)
    assert np.abs(sweep).max() == pytest.approx(0.25, abs=1e-4)
    rises = np.flatnonzero((sweep[:-1] < 0) & (sweep[1:] >= 0)) / rate_hz
    for octave in range(4):
        between = [rise for rise in rises if octave <= rise < octave + 1]
        assert len(between) == pytest.approx(100 * 2**octave / np.log(2), rel=0.02)


@pytest.mark.parametrize("recipe", ["sweep", "sweep:-1", "sweep:1.5", "clicks:0", "clicks:8001", "clicks:x", "hum:3"])
def test_signals_that_are_none(recipe: str) -> None:
    with pytest.raises(CardError, match=f"test signal '{recipe}' is not known; allowed: silence, .*clicks:HERTZ"):
        signal(recipe, 800, RATE_HZ)


def test_clip_vectors_are_what_the_model_says(toy: Path) -> None:
    backend = load_backend(toy)
    vectors = make_clip_vectors(backend, 5_000)
    assert [vector.signal for vector in vectors] == list(MORE_SIGNALS)
    for vector in vectors:
        assert (vector.samples, list(vector.outputs)) == (5_000, ["clip"])
        expected = backend.run(signal(vector.signal, 5_000, RATE_HZ)[None]).clip[0]
        assert vector.outputs["clip"] == pytest.approx(expected.tolist(), abs=1e-6)


class Said:
    """A backend that says the same of every sound."""

    def __init__(self, card: ModelCard, clip: list[float]) -> None:
        self.card, self._clip = card, np.array([clip], np.float32)

    def run(self, _: object) -> Outputs:
        return Outputs(clip=self._clip, frames=self._clip[:, None])


@pytest.mark.parametrize(
    ("clip", "agreement"),
    [([0.1, 0.6, 0.3], 1.0), ([0.1, 0.55, 0.6], 1.0), ([0.1, 0.4, 0.6], 0.0)],
    ids=["same", "as good as the same", "another"],
)
def test_agreement_is_of_the_best_class(toy: Path, clip: list[float], agreement: float) -> None:
    vector = TestVector("silence", 800, {"clip": [0.1, 0.6, 0.3]})
    card = replace(read_card(toy), tolerance=0.1, test_vectors=(vector,))
    assert measure(Said(card, clip)).agreement == agreement


def test_a_score_that_is_no_number_fails(toy: Path) -> None:
    vector = TestVector("silence", 800, {"clip": [0.1, 0.6, 0.3]})
    outcome = measure(Said(replace(read_card(toy), test_vectors=(vector,)), [0.1, float("nan"), 0.3]))
    assert np.isnan(outcome.largest)
    assert not outcome.passed
