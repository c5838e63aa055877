"""What the tests of inference share."""

from pathlib import Path

import pytest

from tests.tinymodel import save_novel_model


@pytest.fixture(scope="session")
def novel_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a model that tells unknown sound: what is loud."""
    return save_novel_model(tmp_path_factory.mktemp("novel") / "novel.onnx")
