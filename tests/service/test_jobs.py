"""What a worker does with a job, in this process: above all with those that nobody foresaw."""

import json
import logging
from io import BytesIO
from pathlib import Path

import pytest

from earmark.inference.classifier import Classifier
from earmark.service.crew import _reply
from earmark.service.jobs import Bounds, perform
from earmark.service.logs import LOGGER, start_logging
from earmark.service.problems import RefusedError, problem_of
from earmark.service.worker import _answer
from tests.service.sounds import noise

BOUNDS = Bounds(sound_seconds=10.0)
JOB = {"model": "tiny", "task": "classify", "options": {}, "large": ""}


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model)


def test_an_answer(tiny: Classifier) -> None:
    answer = perform(tiny, "classify", BytesIO(noise(1.0)), {"top_k": 1, "threshold": None}, BOUNDS)
    assert len(json.loads(answer.body)["tags"]) == 1
    assert (answer.media_type, answer.seconds) == ("application/json", 1.0)


def test_a_service_without_bounds(tiny: Classifier) -> None:
    answer = perform(tiny, "classify", BytesIO(noise(1.0)), {}, Bounds(sound_seconds=1e308))
    assert answer.seconds == 1.0


def test_a_model_that_is_gone(tiny: Classifier) -> None:
    head, body = _answer({"tiny": tiny}, BOUNDS, {**JOB, "model": "other"}, noise(1.0))
    assert (head["error"], body) == ("unknown_model", b"")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_mistake_of_the_service_is_logged_and_not_told(
    as_json: bool, tiny: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _ = _answer({"tiny": tiny}, BOUNDS, {**JOB, "task": "no such task"}, noise(1.0))
    start_logging(as_json=as_json)
    with pytest.raises(RefusedError, match="The service made a mistake") as refused:
        _reply(head, b"")
    logging.getLogger(LOGGER).handlers.clear()
    assert refused.value.problem.to_dict()["error"] == {
        "code": "internal",
        "message": "The service made a mistake.",
        "hint": "It is in the service's log. If it happens again, report it.",
    }
    said = capsys.readouterr().err
    assert "a worker failed" in said
    assert "KeyError: 'no such task'" in (json.loads(said)["trace"] if as_json else said)


def test_a_lack_of_memory_is_one_in_whatever_words() -> None:
    error = RuntimeError("the decoder failed")
    assert problem_of(error) is None
    error.__cause__ = MemoryError()
    problem = problem_of(error)
    assert problem is not None
    assert problem.code == "too_much_memory"
