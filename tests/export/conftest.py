"""What the tests of exports share: models of every recipe, a converter that stays loaded, files made once."""

import importlib.util
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from earmark.errors import DownloadError
from earmark.export import conversion
from earmark.export.export import export
from earmark.export.outcome import Export
from earmark.export.web import write_web
from earmark.export.webruntime import PACKAGE, VERSION, web_runtime
from tests.export.exports import MODELS, LoadedConverter, Made, Workshop, twin_toy, use_twins

Exporting = Callable[..., Export]


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return what makes models by name."""
    backbone = request.getfixturevalue("tiny_model")
    return Workshop(tmp_path_factory.mktemp("workshop"), backbone, lambda: request.getfixturevalue("yamnet"))


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a toy model's twin stand for what the converter makes."""
    use_twins(monkeypatch)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that has a twin."""
    return twin_toy(tmp_path_factory.mktemp("toy") / "toy.onnx")


@pytest.fixture(scope="session")
def with_converter() -> None:
    """Skip where the converter is not installed; it is not imported here, where its warnings would be errors."""
    if importlib.util.find_spec("litert_torch") is None:
        pytest.skip("needs litert-torch: make test-tflite")


@pytest.fixture(scope="session")
def loaded_converter(with_converter: None) -> Iterator[LoadedConverter]:
    """Return the converter in a process that has loaded it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield LoadedConverter(pool)


@pytest.fixture(scope="session")
def exporting(loaded_converter: LoadedConverter) -> Exporting:
    """Return `export` with that converter."""

    def run(model: Path, output: Path, **options: Any) -> Export:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conversion, "_run", loaded_converter)
            return export(model, output, **options)

    return run


@pytest.fixture(scope="session")
def tflites(
    exporting: Exporting, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Made]:
    """Return what exports a model, of the workshop or a fixture, to a `.tflite` file, once."""
    folder = tmp_path_factory.mktemp("tflite")
    done: dict[tuple[str, str | None], Made] = {}

    def make(name: str, precision: str | None = None) -> Made:
        if (name, precision) not in done:
            shop = request.getfixturevalue("workshop")
            source = shop.model(name) if name in MODELS else request.getfixturevalue(name)
            options = {"calibrate_with": shop.clips} if precision == "int8" else {}
            target = folder / f"{name}-{precision}.tflite"
            made = exporting(source, target, to="tflite", precision=precision, **options)
            done[name, precision] = Made(source, made)
        return done[name, precision]

    return make


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache with the runtime in it, which the user's own npm has fetched, or skip."""
    folder = tmp_path_factory.getbasetemp() / "web-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARMARK_CACHE", str(folder))
        try:
            runtime = web_runtime()
        except DownloadError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
    assert runtime.folder.is_relative_to(folder)
    return folder


@pytest.fixture(scope="session")
def installed(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package as npm installs it, as far as a page needs it."""
    folder = tmp_path_factory.mktemp("project") / "node_modules" / PACKAGE
    shutil.copytree(cache / "runtimes" / f"{PACKAGE}-{VERSION}", folder / "dist")
    (folder / "package.json").write_text(json.dumps({"name": PACKAGE, "version": VERSION}))
    return folder


@pytest.fixture(scope="session")
def tiny_page(installed: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "page"
    write_web(tiny_model, folder, runtime=installed)
    return folder


@pytest.fixture
def node() -> None:
    if shutil.which("node") is None:
        pytest.skip("no node on the PATH")
