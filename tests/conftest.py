"""What the tests share: the folder of data and weights beside the project, tiny and true models, seeded randomness."""

import os
from pathlib import Path

import numpy as np
import pytest

from earmark.model.inside import inside_file
from earmark.model.modelfile import save
from earmark.model.registry import Precision
from earmark.model.yamnet import import_yamnet
from tests.tinymodel import tiny_card, tiny_graph

ROOT = Path(__file__).parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded generator."""
    return np.random.default_rng(20_26)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's models and settings out of the tests, and the tests out of the user's cache."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("EARMARK_THREADS", raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of data and weights, or skip."""
    folder = Path(os.environ.get("EARMARK_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no data and weights at {folder} (EARMARK_SHARED)")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the tiny model."""
    return save(tiny_graph(np.random.default_rng(7)), tiny_card(), tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def everyday() -> Path:
    """Return the path of the model inside, or skip where it is not made yet."""
    path = inside_file()
    if not path.is_file():
        pytest.skip(f"no model inside at {path}: python -m everyday ship makes it")
    return path


def _yamnet(shared: Path, folder: Path, precision: Precision, name: str) -> Path:
    source = shared / "models/yamnet/yamnet_classification_int8.tflite"
    path = folder / f"{name}.onnx"
    path.write_bytes(import_yamnet(source.read_bytes(), precision=precision, name=name))
    return path


@pytest.fixture(scope="session")
def yamnet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of YAMNet in float."""
    return _yamnet(shared, tmp_path_factory.mktemp("yamnet"), "float32", "yamnet")


@pytest.fixture(scope="session")
def yamnet_int8(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of YAMNet in int8."""
    return _yamnet(shared, tmp_path_factory.mktemp("yamnet-int8"), "int8", "yamnet-int8")
