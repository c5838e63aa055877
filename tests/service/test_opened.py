"""A recording is opened once: for its header, which says how long it is, and for its sound."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from earmark.audio import decode
from earmark.audio.decode import open_audio
from earmark.errors import OptionError
from earmark.inference.classifier import Classifier
from earmark.service.jobs import TASKS, Bounds, perform
from tests.service.sounds import noise

CLIP = noise(2.0, form="FLAC")


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_opens_it_once(task: str, tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    decoder = decode._decoder
    monkeypatch.setattr(decode, "_decoder", lambda source: opened.append(source) or decoder(source))
    options = {"start_time": 0.0} if task == "max" else {}
    assert perform(tiny, task, BytesIO(CLIP), options, Bounds(10.0)).seconds == 2.0
    assert len(opened) == 1


def test_a_reader_is_a_source(tiny: Classifier) -> None:
    rate_hz = tiny.card.sample_rate
    with open_audio(CLIP, rate_hz, start=0.5, end=1.5) as reader:
        assert reader.duration_seconds == 2.0
        assert tiny.classify(reader, start=0.5, end=1.5) == tiny.classify(CLIP, start=0.5, end=1.5)


@pytest.mark.parametrize("other", [{}, {"start": 0.5}, {"start": 0.5, "end": 1.0}])
def test_one_that_was_opened_for_something_else_is_none(other: dict[str, float], tiny: Classifier) -> None:
    with open_audio(CLIP, tiny.card.sample_rate, start=0.5, end=1.5) as reader:
        with pytest.raises(OptionError, match=r"was opened for rate, start and end \(16000, 0.5, 1.5\)"):
            tiny.classify(reader, **other)
        with pytest.raises(OptionError, match="open it again"):
            open_audio(reader, 8000, start=0.5, end=1.5)
