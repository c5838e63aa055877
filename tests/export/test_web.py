"""A model as a page: the folder, and that its runtime in Node says what Python says."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import (
    CardError,
    DeviceError,
    EarmarkError,
    ModelFormatError,
    OutputError,
    VerificationError,
)
from earmark.export import web
from earmark.export.web import NodeBackend, verify_web, write_web
from earmark.export.webruntime import PACKAGE, VERSION
from earmark.model.backends import load_backend, open_session
from earmark.model.modelfile import read_card, save
from tests.tinymodel import save_novel_model, tiny_card, tiny_graph

NEAR = 1e-4


def test_the_folder_holds_what_it_should(tiny_model: Path, installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()  # an empty one may be there
    runtime = write_web(tiny_model, folder, runtime=installed)
    assert (runtime.version, runtime.origin) == (VERSION, "given")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert names >= {"index.html", "page.js", "page.css", "classify.js", "model.onnx", "card.json", "README.txt"}
    assert {name for name in names if name.startswith("runtime/")} == {
        *("runtime/ort.wasm.bundle.min.js", "runtime/ort-wasm-simd-threaded.wasm"),
        *("runtime/LICENSE.txt", "runtime/VERSION.txt"),
    }
    assert not names & {"verify.mjs", "runtime-licence.txt"}
    assert (folder / "model.onnx").read_bytes() == tiny_model.read_bytes()
    metadata = open_session(tiny_model).get_modelmeta().custom_metadata_map
    assert (folder / "card.json").read_text(encoding="utf-8") == metadata["earmark"]
    assert "Microsoft" in (folder / "runtime" / "LICENSE.txt").read_text()
    readme = (folder / "README.txt").read_text()
    assert all(words in readme for words in ("tiny 1:", "5 labels", "Apache-2.0", f"Web {VERSION}", "http.server"))
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_licence_that_the_package_has_is_taken(tiny_model: Path, installed: Path, tmp_path: Path) -> None:
    package = tmp_path / PACKAGE
    shutil.copytree(installed, package)
    (package / "LICENSE").write_text("As it pleases.")
    write_web(tiny_model, tmp_path / "page", runtime=package / "dist")
    assert (tmp_path / "page" / "runtime" / "LICENSE.txt").read_text() == "As it pleases."


def test_no_file_of_the_page_speaks_of_another_place(tiny_page: Path) -> None:
    for path in tiny_page.iterdir():
        if path.suffix in {".js", ".html", ".css", ".svg"}:
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert set(re.findall(r"\b(?:https?|wss?):/*[\w.:]+", text)) <= {"http://localhost:8000"}, path.name


def test_what_is_there_stays(tiny_model: Path, installed: Path, tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "thesis.txt").write_text("precious")
    file.write_text("precious")
    with pytest.raises(OutputError, match=r"full is not empty: give a new folder, or empty this one$"):
        write_web(tiny_model, full, runtime=installed)
    with pytest.raises(OutputError, match=r"file is a file: give a new folder$"):
        write_web(tiny_model, file, runtime=installed)
    with pytest.raises(OutputError, match=r"there is no folder .*nowhere: make it, or choose another place$"):
        write_web(tiny_model, tmp_path / "nowhere" / "page", runtime=installed)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "thesis.txt"]


def test_whole_or_not_at_all(
    tiny_model: Path, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match=r"cannot write .*page: No space left on device; choose another place$"):
        write_web(tiny_model, tmp_path / "page", runtime=installed)
    assert not list(tmp_path.iterdir())


def test_what_is_no_model(installed: Path, tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.onnx", tmp_path / "model.tflite"
    broken.write_bytes(b"no protobuf at all")
    other.touch()
    with pytest.raises(ModelFormatError, match=r"no model file at .*absent.onnx; check the path"):
        write_web(tmp_path / "absent.onnx", tmp_path / "page", runtime=installed)
    with pytest.raises(ModelFormatError, match=r"model.tflite is no .onnx file: browsers run those alone; give"):
        write_web(other, tmp_path / "page", runtime=installed)
    with pytest.raises(ModelFormatError, match=r"broken.onnx cannot be loaded"):
        write_web(broken, tmp_path / "page", runtime=installed)


# The runtime in Node


def test_the_test_vectors_come_again(node: None, tiny_page: Path) -> None:
    outcome = verify_web(tiny_page)
    assert outcome.passed
    assert outcome.unchanged
    assert set(outcome.differences) == {
        f"{signal} {output}"
        for signal in ("silence", "sine:440", "noise:7")
        for output in ("clip", "frames", "embeddings")
    }
    assert outcome.largest <= 1e-4


def test_node_gives_what_python_gives(node: None, tiny_page: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    model = save_novel_model(tmp_path / "novel.onnx")
    folder = tmp_path / "page"
    shutil.copytree(tiny_page, folder)
    shutil.copy(model, folder / "model.onnx")
    (folder / "card.json").write_text(read_card(model).to_json(), encoding="utf-8")
    waveforms = rng.uniform(-0.5, 0.5, (2, 20_000)).astype(np.float32)
    backend = NodeBackend(folder)
    assert backend.has_novelty
    ours, theirs = backend.run(waveforms), load_backend(model).run(waveforms)
    for name in ("clip", "frames", "embeddings", "novelty"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-4, rtol=1e-4)


def test_another_model_in_the_folder_is_caught(node: None, tiny_page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    shutil.copytree(tiny_page, folder)
    save(tiny_graph(np.random.default_rng(8)), tiny_card(), folder / "model.onnx")
    with pytest.raises(VerificationError, match=r"page fails its own test: it was changed since it was made; "):
        verify_web(folder)


def test_a_changed_weight_is_caught(tiny_model: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(tiny_model)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.raw_data = largest.raw_data[:-4] + np.float32(np.frombuffer(largest.raw_data[-4:], "<f4") + 1e-6).tobytes()
    onnx.save(model, tmp_path / "model.onnx")
    card = read_card(tiny_model)
    assert web._unchanged(tiny_model, card) is True
    assert web._unchanged(tmp_path / "model.onnx", card) is False
    assert web._unchanged(tiny_model, replace(card, name="tony")) is False


def test_a_folder_that_node_cannot_run(
    node: None, tiny_page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(tiny_page, folder)
    with pytest.raises(ModelFormatError, match=r"has no card.json that can be read, so it is no model for browsers"):
        verify_web(tmp_path)
    whole = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match=r"model.onnx cannot be loaded"):
        verify_web(folder)
    with pytest.raises(ModelFormatError, match=r"page cannot be run in Node \(.+\); export it again$"):
        NodeBackend(folder).run(np.zeros((1, 20_000), np.float32))
    (folder / "card.json").write_text("{")
    with pytest.raises(CardError, match="the model card is not JSON"):
        verify_web(folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"needs node, which is not on the PATH: install Node.js 20 or later"):
        verify_web(folder)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("#!/bin/sh\nexit 1", ModelFormatError, r"cannot be run in Node \(it ended without a word\); export it again"),
        ("#!/bin/sh\necho bad option >&2; echo; exit 9", ModelFormatError, r"cannot be run in Node \(bad option\)"),
        ("#!/bin/sh\nexec sleep 20", ModelFormatError, r"cannot be run in Node \(it ended without a word\)"),
        ("#!/no/such/shell", DeviceError, r"node cannot be run \(No such file or directory\): install Node.js again"),
    ],
)
def test_node_fails(
    script: str,
    error: type[EarmarkError],
    message: str,
    tiny_page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "node").write_text(script)
    (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("earmark.export.webnode._MOST_SECONDS", 0.3)
    with pytest.raises(error, match=message):
        NodeBackend(tiny_page).run(np.zeros((1, 20_000), np.float32))
