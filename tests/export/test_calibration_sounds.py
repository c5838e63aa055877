"""Recordings to measure activations on: too few, too short, broken; and what a model of few bits loses is counted."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.errors import DataError, OutputError
from earmark.export.export import export
from earmark.export.source import Source
from earmark.model.modelfile import read_card
from tests.export.exports import Workshop


def write_sounds(folder: Path, count: int, seconds: float, rng: np.random.Generator) -> Path:
    folder.mkdir()
    for number in range(count):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(round(seconds * 16_000)), 16_000)
    return folder


def test_too_little_sound_is_refused(workshop: Workshop, tmp_path: Path, rng: np.random.Generator) -> None:
    sounds = write_sounds(tmp_path / "short", 3, 0.1, rng)
    with pytest.raises(
        DataError, match=r"short has 0\.3 s of sound, too little to measure activations on: give at least"
    ):
        export(workshop.model("cnn"), tmp_path / "made.onnx", to="onnx", precision="int8", calibrate_with=sounds)
    assert not (tmp_path / "made.onnx").exists()


def test_what_cannot_be_read_is_told(workshop: Workshop, tmp_path: Path) -> None:
    (workshop.clips / "high" / "broken.wav").write_bytes(b"no sound")
    try:
        made = export(
            workshop.model("cnn"), tmp_path / "a.onnx", to="onnx", precision="int8", calibrate_with=workshop.clips
        )
    finally:
        (workshop.clips / "high" / "broken.wav").unlink()
    assert [Path(file).name for file, _ in made.failures] == ["broken.wav"]
    assert made.to_dict()["failures"][0]["file"].endswith("broken.wav")
    assert made.notes == ()


def test_few_recordings_are_noted(workshop: Workshop, tmp_path: Path) -> None:
    made = export(
        workshop.model("cnn"), tmp_path / "a.onnx", to="onnx", precision="int8", calibrate_with=workshop.clips / "high"
    )
    assert any("measured on 10 recordings: give 20 or more" in note for note in made.notes)


def test_none_of_these_counts_in_what_is_lost(workshop: Workshop, tmp_path: Path) -> None:
    made = export(
        workshop.model("cnn"),
        tmp_path / "a.onnx",
        to="onnx",
        precision="int8",
        calibrate_with=workshop.clips,
        measure_on=workshop.clips,
    )
    assert made.loss is not None
    assert made.loss.decided is not None
    assert 0.0 <= made.loss.decided.exported <= 1.0
    assert made.to_dict()["loss"]["balanced_accuracy"]["exported"] == made.loss.decided.exported
    assert read_card(made.path).metrics["export"]["loss"]["balanced_accuracy"] is not None


@pytest.mark.parametrize("place", ["", ".", "/"])
def test_an_output_without_a_name(place: str, tiny_model: Path) -> None:
    with pytest.raises(
        OutputError, match=r"names no file: give the new file a name|is a folder: give the name of a file"
    ):
        export(tiny_model, place, to="onnx", precision="float16")


def test_the_model_itself_is_not_replaced(workshop: Workshop) -> None:
    model = workshop.model("cnn")
    with pytest.raises(OutputError, match="is the model itself: give the new file another name"):
        export(model, model, to="onnx", precision="float16")
    assert Source.find(model).is_int8 is False
