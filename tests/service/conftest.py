"""What the tests of the service share: one that runs, with two tiny models."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.process import Running, serving
from tests.tinymodel import save_novel_model


@pytest.fixture(scope="session")
def tiny_models(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the paths of a model, and of one that tells unknown sound."""
    return [tiny_model, save_novel_model(tmp_path_factory.mktemp("novel") / "novel.onnx")]


@pytest.fixture(scope="session")
def running(tiny_models: list[Path]) -> Iterator[Running]:
    """Return a service of two workers with `tiny_models`, as it is by default."""
    with serving(tiny_models, workers=2) as service:
        yield service


@pytest.fixture(scope="session")
def client(running: Running) -> Iterator[httpx.Client]:
    """Return a client of `running`."""
    with httpx.Client(base_url=running.url, timeout=60) as made:
        yield made
