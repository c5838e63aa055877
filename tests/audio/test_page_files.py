"""Pages have the files that they share, and no others of the same names."""

from importlib.resources import files
from pathlib import Path

import pytest

from earmark.audio.browser import page_files

SHARED = {"drops.js", "icon.svg", "microphone-worklet.js"}


@pytest.mark.parametrize(("package", "folder"), [("earmark.service", "static"), ("earmark.export", "webpage")])
def test_a_page_has_its_own_files_and_the_shared(package: str, folder: str) -> None:
    place = files(package).joinpath(folder)
    own = {item.name for item in place.iterdir() if item.is_file()}
    assert not own & SHARED
    assert page_files(place).keys() == own | SHARED


def test_its_own_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "icon.svg").write_text("<svg/>")
    assert page_files(tmp_path)["icon.svg"].read_text() == "<svg/>"
