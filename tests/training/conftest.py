"""What the tests of whole trainings share: forty tiny clips in folders."""

from pathlib import Path

import pytest

from tests.training.toyclips import write_toy_folders


@pytest.fixture(scope="session")
def forty_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ten clips of each of three classes and of the background; nothing is written there."""
    return write_toy_folders(tmp_path_factory.mktemp("clips") / "forty", ("high", "hiss", "low", ""), each=10)
