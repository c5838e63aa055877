"""export, and the commands that take what it wrote."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.export import draft, tools
from earmark.export import export as entry
from earmark.export.conversion import convert
from earmark.model.backends import load_backend
from earmark.model.modelfile import read_card
from earmark.model.tflitearchive import split
from tests.cli.command import Here
from tests.export.exports import altered_twin, twin_toy, use_twins

RATE_HZ = 8_000
SECONDS = 3


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand beside a model that has a twin, labelled clips, and a recording."""
    model = twin_toy(tmp_path / "toy.onnx", seed=1)
    backend = load_backend(model)
    rng = np.random.default_rng(3)
    for number in range(12):
        waveform = rng.normal(0, 0.2, RATE_HZ).astype(np.float32)
        best = int(backend.run(waveform[None]).clip[0].argmax())
        label = backend.card.labels[(best + (number % 4 == 0)) % 3].id
        (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "clips" / label / f"{number}.wav", waveform, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "sound.wav", rng.uniform(-0.4, 0.4, SECONDS * RATE_HZ), RATE_HZ)
    use_twins(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NOT_CALIBRATED = "the model is not calibrated, so its scores are no probabilities: see `earmark calibrate`"


def test_for_people(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "tflite")
    assert done.status == 0
    assert done.complaints == [NOT_CALIBRATED]
    first, second, third = done.out.splitlines()
    size = (workplace / "toy.tflite").stat().st_size
    assert first.startswith(f"toy.tflite  toy 1: float32, 1 s at 8,000 Hz, 3 labels, {size / 1e6:.2f} MB")
    assert second.startswith("  scores of 8 test signals differ by ")
    assert second.endswith(" at most; best class the same for 100%")
    assert third.startswith("  verified: outputs differ by ")
    assert third.endswith(", allowed 0.0001")


def test_for_programs(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "tflite", "-o", "made.tflite", "--json")
    assert (done.status, done.complaints) == (0, [NOT_CALIBRATED])
    (facts,) = done.objects
    assert facts["path"] == "made.tflite"
    assert (facts["format"], facts["precision"], facts["name"], facts["version"]) == ("tflite", "float32", "toy", "1")
    assert (facts["samples"], facts["sample_rate"], facts["tolerance"]) == (8_000, 8_000, 1e-4)
    assert facts["size_bytes"] == (workplace / "made.tflite").stat().st_size
    assert facts["source_size_bytes"] == (workplace / "toy.onnx").stat().st_size
    assert facts["parity"]["sounds"] == 8
    assert facts["verified"]["passed"] is True
    assert (facts["loss"], facts["heard"]) == (None, None)
    assert facts["notes"] == [NOT_CALIBRATED]


def test_what_is_lost(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "tflite", "--measure-on", "clips", "--threads", "1")
    assert done.status == 0
    line = done.out.splitlines()[2]
    assert line == (
        "  accuracy on 12 clips: 75.0% of the model, 75.0% of the model in such windows, 75.0% of the new file "
        "(0.0 points lost); best class the same for 100.0%"
    )
    measured = here("evaluate", "toy.tflite", "clips", "--json")
    assert measured.status == 0
    assert measured.objects[-1]["metrics"]["accuracy"] == 0.75


def test_fewer_bits(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "onnx", "--precision", "float16", "--measure-on", "clips")
    assert done.status == 0
    assert done.out.splitlines()[0].startswith("toy-float16.onnx  toy 1: float16, 8,000 Hz, 3 labels, ")
    assert ": 75.0% of the model, 75.0% of the new file (0.0 points lost)" in done.out
    assert read_card("toy-float16.onnx").source.endswith("to ONNX, float16")
    assert here("verify", "toy-float16.onnx").status == 0


def test_nothing_to_round(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "onnx", "--precision", "int8", "--calibrate-with", "clips")
    assert (done.status, done.out) == (1, "")
    assert done.complaints[0].startswith("the model has no layer for int8: ")
    without = here("export", "toy.onnx", "--to", "onnx", "--precision", "int8")
    assert (without.status, without.out) == (2, "")
    assert "--calibrate-with DATA" in without.complaints[0]


def test_names_and_author(workplace: Path, here: Here) -> None:
    (workplace / "de.txt").write_text("Katze\nHund\nRegen\n", encoding="utf-8")
    (workplace / "fr.txt").write_text("chat\nchien\npluie", encoding="utf-8")
    words = ("--names", "de=de.txt", "--names", "fr=fr.txt", "--author", "Ada")
    assert here("export", "toy.onnx", "--to", "tflite", *words).status == 0
    data = (workplace / "toy.tflite").read_bytes()
    model, files = split(data)
    assert files["labels_de.txt"] == b"Katze\nHund\nRegen"
    assert files["labels_fr.txt"] == b"chat\nchien\npluie"
    assert b"Ada" in model


def test_longer_input(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "tflite", "--seconds", "0.2")
    assert (done.status, done.out) == (2, "")
    assert done.complaints == ["seconds=0.2 is not allowed: toy takes 1 (one frame) to 60 s"]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("--to", "onnx"), 2, "--to onnx writes the model in fewer bits: say --precision float16 or int8"),
        (
            ("--to", "tflite", "--names", "de"),
            2,
            "--names de is not understood: give LOCALE=FILE, such as de=names.txt",
        ),
        (
            ("--to", "tflite", "--names", "=x"),
            2,
            "--names =x is not understood: give LOCALE=FILE, such as de=names.txt",
        ),
        (
            ("--to", "tflite", "--names", "de="),
            2,
            "--names de= is not understood: give LOCALE=FILE, such as de=names.txt",
        ),
        (
            ("--to", "tflite", "--precision", "int4"),
            2,
            "precision 'int4' is not for tflite: float32, float16, dynamic, int8",
        ),
        (("--to", "tflite", "-o", "toy.bin"), 1, "toy.bin does not end in .tflite: give toy.tflite"),
        (
            ("--to", "tflite", "-o", "none/toy.tflite"),
            1,
            "there is no folder none: make it, or choose another place for toy.tflite",
        ),
    ],
)
def test_refusals(words: tuple[str, ...], status: int, sentence: str, workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", *words)
    assert (done.status, done.out) == (status, "")
    assert done.complaints == [sentence]
    assert sorted(path.name for path in workplace.iterdir()) == ["clips", "sound.wav", "toy.onnx"]


def test_a_format_that_is_not_known(workplace: Path, here: Here) -> None:
    done = here("export", "toy.onnx", "--to", "coreml")
    assert (done.status, done.out) == (2, "")
    assert "coreml" in done.err


def test_a_file_that_disagrees(workplace: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "convert", lambda source, **how: altered_twin(source, by=np.negative, **how))
    done = here("export", "toy.onnx", "--to", "tflite", "--json")
    assert (done.status, done.out) == (1, "")
    (complaint,) = done.complaints
    assert complaint.startswith("the new file disagrees with the model: on the test signals scores differ by up to 0.")
    assert not (workplace / "toy.tflite").exists()


def test_without_the_converter(workplace: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told at once; and where it is there but cannot be imported, by the other process."""
    monkeypatch.setattr(entry, "require_tools", tools.require_tools)
    monkeypatch.setattr(tools, "find_spec", lambda _: None)
    at_once = here("export", "toy.onnx", "--to", "tflite")
    monkeypatch.setattr(tools, "find_spec", lambda name: name)
    monkeypatch.setattr(draft, "convert", convert)
    (workplace / "without").mkdir()
    (workplace / "without" / "litert_torch.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(workplace / "without"))
    done = here("export", "toy.onnx", "--to", "tflite")
    assert (at_once.status, at_once.out) == (done.status, done.out) == (1, "")
    assert at_once.complaints == done.complaints
    assert done.complaints == [
        "writing a .tflite file needs litert-torch, which is not installed: pip install 'earmark[tflite]'"
    ]


# What was written is a model like any other.


@pytest.fixture
def exported(workplace: Path, here: Here) -> Path:
    assert here("export", "toy.onnx", "--to", "tflite").status == 0
    return workplace / "toy.tflite"


def test_classify(exported: Path, here: Here) -> None:
    said = [
        here("classify", "sound.wav", "--model", model, "--json", "--top-k", "3")
        for model in ("toy.tflite", "toy.onnx")
    ]
    assert [done.status for done in said] == [0, 0]
    found, expected = ({tag["label"]: tag["score"] for tag in done.objects[0]["tags"]} for done in said)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-4)
    assert said[0].objects[0]["model"] == said[1].objects[0]["model"]


def test_events_and_timeline(exported: Path, here: Here) -> None:
    assert here("events", "sound.wav", "--model", "toy.tflite", "--json").status == 0
    done = here("timeline", "sound.wav", "--model", "toy.tflite", "--json")
    assert (done.status, done.objects[0]["model"]) == (0, "toy")
    frames = done.objects[0]["frames"]
    model = load_backend("toy.onnx")
    sound, _ = soundfile.read("sound.wav", dtype="float32")
    expected = [model.run(sound[None, start : start + 8_000]).clip[0] for start in range(0, 16_001, 4_000)]
    assert len(frames) == 5
    np.testing.assert_allclose([frame["scores"] for frame in frames], expected, atol=1e-5)


def test_verify(exported: Path, here: Here) -> None:
    done = here("verify", "toy.tflite")
    assert (done.status, done.err) == (0, "")
    assert "toy" in done.out
    (facts,) = here("verify", "toy.tflite", "--json").objects
    assert (facts["passed"], facts["unchanged"], facts["top1_agreement"]) == (True, True, 1.0)


@pytest.mark.parametrize("place", [100_000, -2_000, -30])
def test_damage_is_told(place: int, exported: Path, here: Here) -> None:
    data = bytearray(exported.read_bytes())
    data[place] ^= 0x40
    exported.write_bytes(data)
    done = here("verify", "toy.tflite")
    assert done.status == 1
    assert len(done.complaints) == 1
    assert "Traceback" not in done.err + done.out


def test_a_cut_file_is_told(exported: Path, here: Here) -> None:
    exported.write_bytes(exported.read_bytes()[:150_000])
    for command in (("verify",), ("classify", "sound.wav", "--model")):
        done = here(*command, "toy.tflite")
        assert done.status == 1
        assert any("the .tflite file is damaged or cut off" in line for line in done.complaints)


def test_a_tflite_file_is_an_end(exported: Path, here: Here) -> None:
    done = here("export", "toy.tflite", "--to", "onnx", "--precision", "int8")
    assert (done.status, done.out) == (1, "")
    assert done.complaints == [
        "toy.tflite cannot be exported again: give the .onnx file, or the name, that it came from"
    ]


def test_info(exported: Path, here: Here) -> None:
    done = here("models", "info", "toy.tflite", "--json")
    assert done.status == 0
    assert done.objects[0]["source"].endswith("to TFLite, float32")
