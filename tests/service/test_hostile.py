"""Hostile files against a running service, while good requests are made: whatever comes, it is answered."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from shutil import which
from threading import Event
from typing import Any

import httpx
import pytest

from earmark.errors import EarmarkError
from earmark.inference.classifier import Classifier
from tests.service.hostile import DAMAGES, HostileFile, hostile_files, make_bombs, make_originals
from tests.service.process import Running

TASKS = ("classify", "events")
COUNT = 110
PAUSE_SECONDS = 0.05
SEED = 4
PATIENCE_SECONDS = 300.0
SENDERS = 4

pytestmark = pytest.mark.skipif(which("ffmpeg") is None, reason="ffmpeg makes the files")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return make_originals(tmp_path_factory.mktemp("originals"))


def ask(running: Running, task: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{running.url}/v1/{task}", content=data, timeout=PATIENCE_SECONDS)


def judged(answer: httpx.Response, classifier: Classifier, task: str, file: HostileFile) -> str:
    """Return the code of a clear refusal, or ``ok`` where the answer is what the library says of the same bytes."""
    ask_library: Callable[..., Any] = getattr(classifier, task)
    if answer.status_code == 200:
        expected = ask_library(file.data).to_dict()
        given = answer.json()
        parts = ("tags", "events", "seconds")
        assert {part: given.get(part) for part in parts} == {part: expected.get(part) for part in parts}, file.name
        return "ok"
    error = answer.json()["error"]
    assert 400 <= answer.status_code < 500, (file.name, error)
    assert all(error[part] for part in ("message", "hint"))
    with pytest.raises(EarmarkError):
        ask_library(file.data)
    return str(error["code"])


def test_damage_is_told_and_good_requests_are_answered(
    running: Running, originals: dict[str, bytes], tiny_model: Path
) -> None:
    classifier = Classifier.load(tiny_model)
    asked = list(zip(cycle(TASKS), hostile_files(originals, COUNT, SEED)))
    good = ask(running, "classify", originals["flac"]).raise_for_status().json()
    done = Event()
    with ThreadPoolExecutor(SENDERS + 1) as pool:
        witness = pool.submit(answered_meanwhile, running, originals["flac"], done)
        try:
            answers = list(pool.map(lambda pair: ask(running, pair[0], pair[1].data), asked))
        finally:
            done.set()
    said = [judged(answer, classifier, task, file) for (task, file), answer in zip(asked, answers, strict=True)]
    assert {"ok", "not_audio"} <= set(said)
    assert all(other == good for other in witness.result())
    assert running.process.poll() is None


def answered_meanwhile(running: Running, data: bytes, done: Event) -> list[dict[str, Any]]:
    """Ask about a good recording, again and again, until the others are done."""
    answers = []
    while not done.wait(PAUSE_SECONDS) or not answers:
        answers.append(ask(running, "classify", data).raise_for_status().json())
    return answers


def test_long_silence_in_a_small_file_is_too_long(running: Running, tmp_path: Path) -> None:
    for bomb in make_bombs(tmp_path):
        answer = ask(running, "classify", bomb.data)
        assert answer.status_code == 413, bomb.name
        assert answer.json()["error"]["code"] == "too_long"
        part = httpx.post(f"{running.url}/v1/classify?start=10&end=12", content=bomb.data, timeout=PATIENCE_SECONDS)
        assert part.raise_for_status().json()["seconds"] == 2.0


def test_every_kind_of_damage_damages(originals: dict[str, bytes]) -> None:
    files = list(hostile_files(originals, len(DAMAGES) * len(originals), SEED))
    unhurt = [file.name for file in files if file.data in originals.values()]
    assert len(unhurt) <= len(files) // 10
    assert len({file.name.partition(": ")[2] for file in files}) == len(files)
    again = list(hostile_files(originals, len(files), SEED))
    assert [file.data for file in files] == [file.data for file in again]
