"""From words on a command line to recordings."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from earmark.cli.inputs import Input, find_inputs
from earmark.errors import AudioError, AudioNotFoundError, OptionError
from earmark.inference.results import Failure


def test_folders_are_searched_in_order_without_hidden_files(sounds: Path) -> None:
    inputs = find_inputs(["noise.wav", "./forest/", "forest"])
    assert all(isinstance(item, Input) for item in inputs)
    found = [(item.source, item.place.as_posix()) for item in inputs if isinstance(item, Input)]
    assert found[0] == ("noise.wav", "noise.wav")
    assert found[1] == ("./forest/a.WAV", "a.WAV")
    assert [place for _, place in found[4:]] == ["a.WAV", "b.flac", "deep/c.ogg"]


def test_named_files_need_no_suffix(sounds: Path) -> None:
    (item,) = find_inputs(["forest/notes.txt"])
    assert isinstance(item, Input)
    assert item.source == "forest/notes.txt"


def test_a_folder_without_recordings_keeps_its_place(sounds: Path) -> None:
    first, empty, last = find_inputs(["noise.wav", "empty", "noise.wav"])
    assert isinstance(first, Input)
    assert isinstance(last, Input)
    assert isinstance(empty, Failure)
    assert empty.file == "empty"
    assert isinstance(empty.error, AudioNotFoundError)


def test_a_folder_inside_that_may_not_be_read(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    *found, failure = find_inputs(["forest"])
    assert [item.place.name for item in found if isinstance(item, Input)] == ["a.WAV", "b.flac"]
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, AudioError)
    assert "may not be searched: Permission denied" in str(failure.error)


def test_a_folder_that_may_not_be_read_is_told_once(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    (failure,) = find_inputs(["forest"])
    assert isinstance(failure, Failure)
    assert "may not be searched: Permission denied" in str(failure.error)


def test_a_terminal_gives_no_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(OptionError, match="pipe a recording into it"):
        find_inputs(["-"])
