"""embed: arrays for NumPy and Parquet, many recordings in one file."""

import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.inference.classifier import Classifier
from tests.cli.command import Here, earmark


def test_npz(sounds: Path, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.npz"
    done = earmark("embed", "noise.wav", "bad.wav", "forest", "-o", path, "--model", tiny_model, cwd=sounds)
    assert (done.status, done.out) == (1, "")
    expected = Classifier.load(tiny_model).embed("noise.wav")
    with np.load(path) as data:
        assert [Path(name).name for name in data["files"]] == ["noise.wav", "a.WAV", "b.flac", "c.ogg"]
        np.testing.assert_allclose(data["seconds"], [3.0, 1.0, 2.0, 1.5])
        mine = data["file_index"] == 0
        np.testing.assert_array_equal(data["embeddings"][mine], expected.embeddings)
        np.testing.assert_array_equal(data["onset"][mine], expected.edges[:-1])
        np.testing.assert_array_equal(data["offset"][mine], expected.edges[1:])
        assert set(data["file_index"]) == {0, 1, 2, 3}
        assert len(data["onset"]) == len(data["offset"]) == len(data["file_index"]) == len(data["embeddings"])
        assert (str(data["model"]), str(data["model_version"])) == ("tiny", "1")
        assert list(data["notes"]) == ["", "", "", ""]


def test_parquet(sounds: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "all.parquet"
    assert here("embed", "noise.wav", "forest", "-o", path, "--model", tiny_model).status == 0
    table = parquet.read_table(path)
    expected = Classifier.load(tiny_model).embed("noise.wav")
    rows = table.filter(np.array(table["file"]) == "noise.wav")
    np.testing.assert_array_equal(np.array(rows["embedding"].to_pylist(), np.float32), expected.embeddings)
    np.testing.assert_array_equal(rows["onset"], expected.edges[:-1])
    assert len(set(table["file"].to_pylist())) == 4
    assert set(table["model"].to_pylist()) == {"tiny"}


def test_parquet_without_pyarrow(
    sounds: Path, tiny_model: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    done = here("embed", "noise.wav", "-o", tmp_path / "noise.parquet", "--model", tiny_model)
    assert done.status == 1
    assert done.complaints == [
        "writing Parquet needs pyarrow, which is not installed: pip install 'earmark[parquet]'",
    ]
    assert not (tmp_path / "noise.parquet").exists()


def test_nothing_to_embed(sounds: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    pytest.importorskip("pyarrow")
    for name in ("none.npz", "none.parquet"):
        done = here("embed", "bad.wav", "-o", tmp_path / name, "--model", tiny_model)
        assert done.status == 1
        assert "bad.wav is no sound" in done.complaints[0]
    with np.load(tmp_path / "none.npz") as data:
        assert data["embeddings"].size == data["files"].size == 0


def test_other_formats(sounds: Path, tiny_model: Path, here: Here) -> None:
    assert "frames ×" in here("embed", "noise.wav", "--model", tiny_model).out
    (result,) = here("embed", "noise.wav", "--model", tiny_model, "--json").objects
    assert set(result["frames"][0]) == {"onset", "offset", "embedding"}
    done = here("embed", "noise.wav", "--model", tiny_model, "-o", "x.hdf5")
    assert done.status == 2
    assert "-o x.hdf5 does not tell by its suffix" in done.complaints[0]
    done = here("embed", "noise.wav", "--model", tiny_model, "--format", "npz", "-o", "x")
    assert done.status == 2
    assert "leave it out and give -o NAME.npz" in done.complaints[0]
