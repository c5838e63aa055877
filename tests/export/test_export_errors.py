"""What cannot be exported is refused in one sentence, before the work where that can be known; nothing is written."""

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from onnx import helper

from earmark.errors import (
    DataError,
    EarmarkError,
    ExportError,
    LabelError,
    MissingExtraError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    OutputError,
)
from earmark.export import conversion
from earmark.export.conversion import convert
from earmark.export.export import export
from earmark.export.judgement import Limits, judge
from earmark.export.parity import Parity
from earmark.export.source import Source
from earmark.export.tflite import input_samples
from earmark.model.modelfile import read_card, save
from tests.export.exports import Workshop, altered_twin, twin, twin_toy, use_twins
from tests.tinymodel import tiny_card
from tests.training.toymodel import toy_model

WITHOUT_CONVERTER = importlib.util.find_spec("litert_torch") is None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty folder, in which nothing may be left."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


# What does not go together.


def test_formats_that_are_not_known(toy: Path, place: Path) -> None:
    with pytest.raises(OptionError, match=r"^format 'coreml' is not known: tflite, onnx, web$"):
        export(toy, to="coreml")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"to": "onnx"}, "--to onnx writes the model in fewer bits: say --precision float16 or int8"),
        ({"to": "onnx", "precision": "float32"}, "precision 'float32' is not for onnx: float16, int8"),
        ({"to": "onnx", "precision": "dynamic"}, "precision 'dynamic' is not for onnx: float16, int8"),
        ({"to": "web", "precision": "dynamic"}, "precision 'dynamic' is not for web: float32, float16, int8"),
        ({"to": "tflite", "precision": "int4"}, "precision 'int4' is not for tflite: float32, float16, dynamic, int8"),
        (
            {"to": "onnx", "precision": "fp16", "seconds": 2},
            "seconds=2 is for tflite: a model for onnx takes any length",
        ),
        ({"to": "web", "seconds": 1.5}, "seconds=1.5 is for tflite: a model for web takes any length"),
        (
            {"to": "tflite", "precision": "int8"},
            (
                "int8 from toy, which is in float, needs sound to measure activations on: give some recordings of what "
                "it will hear, --calibrate-with DATA"
            ),
        ),
        ({"to": "tflite", "seconds": 0.5}, "seconds=0.5 is not allowed: toy takes 1 (one frame) to 60 s"),
        ({"to": "tflite", "seconds": 61}, "seconds=61 is not allowed: toy takes 1 (one frame) to 60 s"),
        ({"to": "tflite", "seconds": float("nan")}, "seconds=nan is not allowed: toy takes 1 (one frame) to 60 s"),
        ({"to": "tflite", "seconds": float("inf")}, "seconds=inf is not allowed: toy takes 1 (one frame) to 60 s"),
    ],
)
@pytest.mark.usefixtures("twins")
def test_options_that_do_not_go_together(options: dict[str, Any], sentence: str, toy: Path, place: Path) -> None:
    with pytest.raises(OptionError) as refused:
        export(toy, **options)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"to": "onnx", "precision": "float16", "calibrate_with": "sounds"},
            "calibration is for int8 from a model in float, not for float16 from toy: leave out --calibrate-with",
        ),
        (
            {"to": "onnx", "precision": "float16", "names": {"de": "de.txt"}},
            "names in other languages are for tflite: a model for onnx has its card's labels",
        ),
    ],
)
def test_options_of_other_formats(
    options: dict[str, Any], sentence: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "de.txt").write_text("Katze\nHund\nRegen\n")
    with pytest.raises(OptionError) as refused:
        export(toy, **options)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "options",
    [
        {"to": "onnx", "precision": "float16"},
        {"to": "tflite", "precision": "float16"},
        {"to": "tflite", "precision": "dynamic"},
        {"to": "web", "precision": "float16"},
        {"to": "web", "precision": "float32"},
    ],
)
def test_a_model_in_eight_bits_gets_no_smaller(options: dict[str, Any], everyday: Path, place: Path) -> None:
    precision = options["precision"]
    with pytest.raises(
        ExportError,
        match=f"^everyday is in eight bits already, which {precision} would not make smaller: export it as int8, the "
        "default of tflite and web, or export the float model that it came from$",
    ):
        export(everyday, **options)


@pytest.mark.parametrize(("name", "fits"), [("author", "tflite"), ("runtime", "web")])
def test_an_option_of_another_format(name: str, fits: str, toy: Path, place: Path) -> None:
    with pytest.raises(OptionError, match=f"^{name} is for {fits}, not for onnx: leave out --{name}$"):
        export(toy, to="onnx", precision="float16", **{name: "x"})


def test_a_model_in_eight_bits_is_there_already(everyday: Path, place: Path) -> None:
    with pytest.raises(ExportError, match=r"^everyday is in eight bits already: take the file as it is, .*\.onnx$"):
        export(everyday, to="onnx", precision="int8")


def test_an_operator_that_is_not_known(place: Path, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch, convert)
    odd = onnx.load(toy)
    last = next(node for node in odd.graph.node if "clip" in node.output)
    last.output[:] = ["scores"]
    odd.graph.node.append(helper.make_node("Erf", ["scores"], ["clip"]))
    with pytest.raises(EarmarkError) as refused:
        export(save(odd, read_card(toy), tmp_path / "odd.onnx"), to="tflite")
    assert isinstance(refused.value, ExportError)
    assert str(refused.value) == (
        "the model has the operator Erf, which cannot be written for this format; export it to ONNX or for the web, "
        "which run the model as it is, or train another head"
    )


# Files that are no source, or no place.


def test_a_tflite_file_is_an_end(shared: Path, place: Path) -> None:
    with pytest.raises(
        ExportError,
        match=r"^yamnet_classification_int8\.tflite cannot be exported again: give the \.onnx file, or the name, that "
        r"it came from$",
    ):
        export(shared / "models/yamnet/yamnet_classification_int8.tflite", to="tflite")


def test_models_that_are_not_there(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"nowhere\.onnx"):
        export("nowhere.onnx", to="tflite")
    with pytest.raises(OptionError, match="nosuchname"):
        export("nosuchname", to="tflite")
    (tmp_path / "noise.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFormatError, match=r"noise\.onnx cannot be loaded by ONNX Runtime"):
        export(tmp_path / "noise.onnx", to="tflite")


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("model.onnx", r"^model\.onnx does not end in \.tflite: give model\.tflite$"),
        ("model", r"^model does not end in \.tflite: give model\.tflite$"),
        ("none/model.tflite", r"^there is no folder none: make it, or choose another place for model\.tflite$"),
    ],
)
def test_places_that_are_none(output: str, sentence: str, toy: Path, place: Path) -> None:
    with pytest.raises(OutputError, match=sentence):
        export(toy, output, to="tflite")


def test_a_folder_is_no_place_for_a_file(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(OutputError, match=r"model\.onnx is a folder: give the name of a file$"):
        export(toy, tmp_path / "model.onnx", to="onnx", precision="float16")
    with pytest.raises(OutputError, match=r"does not end in \.onnx: give .*other\.onnx$"):
        export(toy, tmp_path / "other.tflite", to="onnx", precision="float16")


def test_a_model_does_not_replace_itself(tmp_path: Path) -> None:
    toy = twin_toy(tmp_path / "toy.onnx")
    before = toy.read_bytes()
    with pytest.raises(OutputError, match=r"toy\.onnx is the model itself: give the new file another name$"):
        export(toy, toy, to="onnx", precision="float16")
    assert toy.read_bytes() == before


def test_a_name_that_names_no_file(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch)
    toy = twin_toy(tmp_path / "toy.onnx", name="../up")
    with pytest.raises(OutputError, match=r"^the model's name, '\.\./up', cannot name a file: say where .*--output$"):
        export(toy, to="tflite")
    assert export(toy, tmp_path / "made.tflite", to="tflite").card.name == "../up"


# Names, and sounds.


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            {"../de": "de.txt"},
            r"^locale '\.\./de' is not allowed: give a word such as de or pt_BR, as in de=names\.txt$",
        ),
        ({"": "de.txt"}, r"^locale '' is not allowed: give a word"),
        (
            {"de": "none.txt"},
            r"^names none\.txt cannot be read: No such file or directory; give a text file$",
        ),
        ({"de": "gap.txt"}, r"^line 2 of names gap\.txt is empty: give a name for each label$"),
        ({"de": "short.txt"}, r"^names short\.txt has 2 lines, toy has 3 labels: one line for each, in the order of"),
        ({"de": "bytes.txt"}, r"^names bytes\.txt is not UTF-8 text: save it as UTF-8, one name a line$"),
    ],
)
def test_names_that_are_none(
    names: dict[str, str], sentence: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gap.txt").write_text("Katze\n\nHund\n")
    (tmp_path / "short.txt").write_text("Katze\nHund\n")
    (tmp_path / "bytes.txt").write_bytes("Köter".encode("latin-1"))
    with pytest.raises(OptionError, match=sentence):
        export(toy, to="tflite", names=names)
    assert {path.name for path in tmp_path.iterdir()} == {"gap.txt", "short.txt", "bytes.txt"}


def test_nothing_to_measure_activations_on(toy: Path, place: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    options: dict[str, Any] = {"to": "onnx", "precision": "int8", "calibrate_with": sounds}
    with pytest.raises((DataError, OptionError, EarmarkError), match=r"sounds"):
        export(toy, **options)
    (sounds / "noise.wav").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"^none of the 1 recordings of .*sounds can be read; the last: .*noise\.wav"):
        export(toy, **options)
    with pytest.raises(EarmarkError, match=r"nowhere"):
        export(toy, **{**options, "calibrate_with": tmp_path / "nowhere"})


def test_clips_of_other_labels(toy: Path, place: Path, tmp_path: Path) -> None:
    for label in ("cat", "snow"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "clips" / label / "a.wav", np.full(8_000, 0.1), 8_000)
    with pytest.raises(LabelError, match="snow"):
        export(toy, to="onnx", precision="float16", measure_on=tmp_path / "clips")


# A file that disagrees.


def shaken(source: bytes, *, samples: int, **_: object) -> bytes:
    """Return the twin of a model whose weights are a little off."""
    noise = np.random.default_rng(3)
    return altered_twin(
        source, samples=samples, by=lambda values: values + noise.normal(0, 0.05, values.shape).astype("f4")
    )


def turned(source: bytes, *, samples: int, **_: object) -> bytes:
    """Return the twin of a model that says the opposite."""
    return altered_twin(source, samples=samples, by=lambda values: -values)


def test_a_draft_that_disagrees_is_not_written(toy: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch, shaken)
    with pytest.raises(
        ExportError,
        match=r"^the new file disagrees with the model: on the test signals scores differ by up to 0\.[0-9]+, allowed "
        r"0\.001; nothing is written\. Take another precision, or for int8 more and more varied sound$",
    ):
        export(toy, to="tflite")


def test_trees_answer_in_steps(toy: Path, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them that goes the other way moves a score by more than is allowed to other models in float."""
    assert Source(workshop.model("head-forest")).has_trees
    assert not Source(toy).has_trees
    monkeypatch.setattr(Source, "has_trees", True)
    use_twins(monkeypatch, shaken)
    assert 1e-4 < export(toy, tmp_path / "made.tflite", to="tflite").parity.mean < 1e-3
    use_twins(monkeypatch, turned)
    with pytest.raises(ExportError, match=r"scores differ by 0\.[0-9]+ in the mean, allowed 0\.001; nothing"):
        export(toy, tmp_path / "other.tflite", to="tflite")


def test_a_file_that_was_there_stays(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch, shaken)
    (tmp_path / "toy.tflite").write_bytes(b"what was there")
    with pytest.raises(ExportError, match="disagrees"):
        export(toy, tmp_path / "toy.tflite", to="tflite")
    assert (tmp_path / "toy.tflite").read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["toy.tflite"]


@pytest.mark.parametrize("precision", ["float16", "dynamic"])
def test_a_rounded_file_whose_best_classes_are_others(
    precision: str, toy: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_twins(monkeypatch, turned)
    with pytest.raises(
        ExportError,
        match=r"^the new file disagrees with the model: on the test signals .*; nothing is written\. Take an",
    ):
        export(toy, to="tflite", precision=precision)


def test_another_models_file_is_not_taken_for_its_own(
    toy: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = twin(twin_toy(tmp_path / "other.onnx", seed=4).read_bytes(), samples=8_000)
    use_twins(monkeypatch, lambda _, **__: other)
    with pytest.raises(ExportError, match="the new file disagrees with the model"):
        export(toy, to="tflite")


def test_a_file_of_another_shape_is_not_taken(
    toy: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = twin(twin_toy(tmp_path / "other.onnx", labels=("cat", "dog")).read_bytes(), samples=8_000)
    use_twins(monkeypatch, lambda _, **__: other)
    with pytest.raises(EarmarkError, match="takes 8000 samples and gives 2 scores, its card says 8000 and 3"):
        export(toy, to="tflite")


def parity(largest: float, agreement: float) -> Parity:
    return Parity(sounds=8, largest=largest, mean=largest / 2, agreement=agreement)


LIMITS = Limits(largest=0.2, mean=0.1, agreement=0.75)


def test_what_is_kept() -> None:
    judge([])
    judge([("clips", None, LIMITS)])
    judge(
        [("test signals", parity(0.2, 0.75), LIMITS), ("recordings", replace(parity(0.1, 1.0), refusals=0.75), LIMITS)]
    )


@pytest.mark.parametrize(
    ("measured", "problem"),
    [
        (parity(0.21, 1.0), "scores differ by up to 0.21, allowed 0.2"),
        (replace(parity(0.2, 1.0), mean=0.11), "scores differ by 0.11 in the mean, allowed 0.1"),
        (parity(0.1, 0.74), "the best class is the same for 74%, needed 75%"),
        (replace(parity(0.1, 1.0), refusals=0.5), "the same is refused for 50%, needed 75%"),
        (parity(float("nan"), 1.0), "scores are no numbers"),
        (parity(float("inf"), 1.0), "scores are no numbers"),
    ],
)
def test_what_is_refused(measured: Parity, problem: str) -> None:
    with pytest.raises(ExportError) as refused:
        judge([("test signals", parity(0.0, 1.0), LIMITS), ("clips", measured, LIMITS)])
    assert str(refused.value).startswith(
        f"the new file disagrees with the model: on the clips {problem}; nothing is written. "
    )


def test_parity_is_of_scores_and_best_classes() -> None:
    reference = np.array([[0.1, 0.9], [0.5, 0.5], [0.6, 0.4], [0.2, 0.7]], np.float32)
    found = np.array([[0.1, 0.8], [0.5, 0.5], [0.4, 0.6], [0.2, 0.7]], np.float32)
    made = Parity.of(reference, found)
    assert (made.sounds, made.agreement) == (4, 0.75)
    assert made.largest == pytest.approx(0.2)
    assert made.mean == pytest.approx(0.3 / 4)
    assert Parity.of(reference, reference).to_dict() == {
        "sounds": 4,
        "largest_difference": 0.0,
        "mean_difference": 0.0,
        "top1_agreement": 1.0,
    }


@pytest.mark.parametrize(
    ("length", "hop", "seconds", "samples"),
    [
        (16_000, 8_000, None, 16_000),
        (15_360, 7_680, None, 15_360),
        (15_600, 7_680, None, 15_600),
        (8_000, 4_000, None, 16_000),
        (1_600, 800, None, 15_200),
        (160_000, 16_000, None, 160_000),
        (8_000, 4_000, 0.5, 8_000),
        (8_000, 4_000, 60, 960_000),
    ],
)
def test_how_long_the_input_is(length: int, hop: int, seconds: float | None, samples: int) -> None:
    """By default one frame, or as many whole ones as last 0.95 s."""
    card = tiny_card(
        sample_rate=16_000,
        frame_length_seconds=length / 16_000,
        frame_hop_seconds=hop / 16_000,
        segment_seconds=20.0,
    )
    assert input_samples(card, seconds) == samples


# The converter.


@pytest.mark.skipif(not WITHOUT_CONVERTER, reason="the converter is installed")
def test_the_converter_is_not_installed(toy: Path, place: Path) -> None:
    with pytest.raises(
        MissingExtraError,
        match=r"^writing a \.tflite file needs litert-torch, which is not installed: pip install 'earmark\[tflite\]'$",
    ):
        export(toy, to="tflite")


@pytest.mark.parametrize(
    ("status", "out", "err", "kind", "sentence"),
    [
        (
            -6,
            "loading\n",
            "some noise\nLLVM ERROR: out of memory\n\n",
            ExportError,
            r"^the converter ended with status -6 \(LLVM ERROR: out of memory\); try another precision$",
        ),
        (-9, "", "", ExportError, r"^the converter ended with status -9 \(no reason given\); try another precision$"),
        (
            1,
            'W0000 noise\n\n{"kind": "ExportError", "message": "the converter refuses the model (odd)"}\n',
            "noise",
            ExportError,
            r"^the converter refuses the model \(odd\)$",
        ),
        (
            1,
            '{"kind": "MissingExtraError", "message": "it needs what is not installed"}\n',
            "",
            MissingExtraError,
            "^it needs what is not installed$",
        ),
        (0, "[1, 2]\n", "", ExportError, r"^the converter ended with status 0 \(no reason given\)"),
    ],
)
def test_how_the_converter_may_end(
    status: int,
    out: str,
    err: str,
    kind: type[EarmarkError],
    sentence: str,
    toy: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_twins(monkeypatch, convert)
    ended = subprocess.CompletedProcess([], status, out, err)
    monkeypatch.setattr(conversion, "_run", lambda _: ended)
    with pytest.raises(kind, match=sentence):
        export(toy, to="tflite")


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (ExportError("it cannot be"), "ExportError", "it cannot be"),
        (MissingExtraError("it is not there"), "MissingExtraError", "it is not there"),
        (ValueError("odd shape\nat line 3"), "ExportError", "the converter refuses the model (odd shape)"),
        (AssertionError(), "ExportError", "the converter refuses the model (AssertionError)"),
    ],
)
def test_what_the_other_process_says(
    error: Exception,
    kind: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise error

    monkeypatch.setattr(conversion, "_converted", refuse)
    assert conversion.main(["source.onnx", str(tmp_path / "made.tflite"), "800", "float32"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"kind": kind, "message": sentence}
    assert list(tmp_path.iterdir()) == []


# What the reader must know.


@pytest.mark.usefixtures("twins")
def test_notes(tmp_path: Path) -> None:
    plain = twin_toy(tmp_path / "plain.onnx", calibrated=True)
    assert export(plain, tmp_path / "plain.tflite", to="tflite").notes == ()
    novel = twin_toy(tmp_path / "novel.onnx", novelty=True, novelty_threshold=0.7)
    made = export(novel, tmp_path / "novel.tflite", to="tflite")
    assert made.notes == (
        "a .tflite file has no novelty: sound unlike all that the model was trained on is not refused",
        "the model is not calibrated, so its scores are no probabilities: see `earmark calibrate`",
    )
    assert made.card.novelty_threshold is None
    halved = export(novel, tmp_path / "half.onnx", to="onnx", precision="float16")
    assert len(halved.notes) == 1
    assert read_card(halved.path).novelty_threshold == 0.7


def test_what_is_done_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins(monkeypatch)
    told: list[str] = []
    toy = twin_toy(tmp_path / "toy.onnx")
    export(toy, tmp_path / "toy.tflite", to="tflite", report=lambda what, *_: told.append(what))
    assert told == ["converting", "comparing", "verifying"]


def test_a_model_of_another_file_name_keeps_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy_model(tmp_path / "file.onnx", name="meadow")
    made = export(tmp_path / "file.onnx", to="onnx", precision="fp16")
    assert made.path == Path("meadow-float16.onnx")
    assert replace(made.card, sha256="") == replace(read_card(made.path), sha256="")
