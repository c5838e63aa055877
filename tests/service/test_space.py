"""A disk that is full: it is said to be, it is no mistake of the service, and nothing stays on it."""

import errno
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from earmark.inference.classifier import Classifier
from earmark.service.app import create_app
from earmark.service.crew import _reply
from earmark.service.jobs import Bounds
from earmark.service.problems import RefusedError, problem_of
from earmark.service.room import Room
from earmark.service.settings import Limits, Settings
from earmark.service.state import Service
from earmark.service.worker import _answer
from tests.service.loops import run_apart
from tests.service.sounds import form_of, noise
from tests.service.test_rest import error_of

FULL = Path("/dev/full")
POSIX = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
LARGE = bytes(3 << 20)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_it_is_a_problem_with_a_code(number: int) -> None:
    problem = problem_of(OSError(number, "no room"))
    assert problem is not None
    assert (problem.status, problem.code, problem.headers) == (503, "no_space", (("retry-after", "10"),))


def test_other_failures_of_the_disk_are_mistakes() -> None:
    assert problem_of(OSError(errno.EACCES, "not allowed")) is None


@POSIX
def test_a_worker_without_room_for_its_answer(tiny_model: Path, tmp_path: Path) -> None:
    large = tmp_path / "answer"
    large.symlink_to(FULL)
    job = {"model": "tiny", "task": "wav", "options": {}, "large": str(large)}
    head, body = _answer({"tiny": Classifier.load(tiny_model)}, Bounds(100.0), job, noise(40.0))
    assert (head["error"], body, large.is_symlink()) == ("no_space", b"", False)
    with pytest.raises(RefusedError, match="is full") as refused:
        _reply(head, body)
    assert refused.value.problem.headers == (("retry-after", "10"),)


@POSIX
@pytest.mark.parametrize("path", ["/v1/classify", "/model/predict", "/v1/batch"])
def test_a_service_without_room_for_an_upload(
    path: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "upload"

    def opened(**_: Any) -> Any:
        link.symlink_to(FULL)
        return link.open("wb")

    app = create_app(Settings(models=(str(tiny_model),)))
    service: Service = app.state.service
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", opened)
    answer = run_apart(_posted(app, path))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    if path != "/model/predict":
        assert error_of(answer)["code"] == "no_space"
    assert not link.is_symlink()
    assert service.room._left == service.room._most
    run_apart(service.stop())


async def _posted(app: Any, path: str) -> httpx.Response:
    """Send a large file in small pieces, of which some are kept back until there are enough to be written."""
    body, media_type = form_of(LARGE)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 4000):
            yield body[start : start + 4000]

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post(path, content=pieces(), headers={"content-type": media_type})


def test_room_is_taken_and_given_back(tmp_path: Path) -> None:
    room = Room.of(Settings(workers=2, limits=Limits(queue=3, upload_bytes=100)), tmp_path)
    room.take(400)
    room.take(100)
    with pytest.raises(RefusedError, match="may take 500 bytes"):
        room.take(1)
    room.give_back(100)
    room.take(1)
