"""Many recordings in one request."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import httpx
import pytest

from earmark.inference.classifier import Classifier
from earmark.service.batch import answer_lines
from earmark.service.crew import Crew, Job
from earmark.service.metrics import Metrics
from earmark.service.observer import Visit
from earmark.service.reply import Reply
from tests.service.loops import run_apart
from tests.service.process import Running, serving
from tests.service.rawclient import connected, head
from tests.service.sounds import form_of, noise, silence
from tests.service.test_rest import Upload, error_of
from tests.service.workers import until

CLIPS = [noise(0.5 + seed / 4, seed=seed) for seed in range(6)]
LARGE_BYTES = 1 << 20


def post(client: httpx.Client, *files: bytes, query: str = "", **fields: str) -> httpx.Response:
    body, media_type = form_of(*files, fields=fields)
    return client.post(f"/v1/batch{query}", content=body, headers={"content-type": media_type})


def lines_of(answer: httpx.Response) -> list[dict[str, object]]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_results_in_order(client: httpx.Client, tiny_models: list[Path]) -> None:
    tiny = Classifier.load(tiny_models[0])
    lines = lines_of(post(client, *CLIPS, query="?top_k=2"))
    assert lines == [
        {"number": number, **tiny.classify(Upload(clip), top_k=2).to_dict()} for number, clip in enumerate(CLIPS)
    ]


def test_a_bad_file_is_a_line_and_the_others_are_done(client: httpx.Client) -> None:
    lines = lines_of(post(client, CLIPS[0], b"no sound in here", b"", CLIPS[1]))
    assert [line["number"] for line in lines] == [0, 1, 2, 3]
    assert [line.get("error", {}).get("code") for line in lines] == [None, "not_audio", "empty_audio", None]  # type: ignore[attr-defined]
    assert lines[3]["seconds"] == 0.75


@pytest.mark.parametrize(("task", "key"), [("events", "events"), ("timeline", "frames"), ("embed", "frames")])
def test_every_task(task: str, key: str, client: httpx.Client) -> None:
    assert all(key in line for line in lines_of(post(client, *CLIPS[:2], query=f"?task={task}")))
    assert all(key in line for line in lines_of(post(client, *CLIPS[:2], task=task)))


def test_large_files_and_large_answers(client: httpx.Client, tiny_models: list[Path]) -> None:
    large = noise(70, form="FLAC")
    lines = lines_of(post(client, large, CLIPS[0], large, query="?task=embed"))
    expected = json.loads(json.dumps(Classifier.load(tiny_models[0]).embed(Upload(large)).to_dict()))
    assert lines[0] == {"number": 0, **expected}
    assert lines[2] == {"number": 2, **expected}


def test_more_than_the_queue_holds(tiny_models: list[Path]) -> None:
    with serving(tiny_models, limits={"queue": 0, "batch_files": 40}) as service:
        client = httpx.Client(base_url=service.url, timeout=60)
        assert [line["number"] for line in lines_of(post(client, *CLIPS * 6))] == list(range(36))
        error = error_of(post(client, *CLIPS * 7))
        assert error["code"] == "too_many_files"
        client.close()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?task=wav", "bad_option"),
        ("?task=classify&task=events", "bad_option"),
        ("?task=classify&on=0.5", "unknown_parameter"),
        ("?format=csv", "unknown_parameter"),
        ("?model=other", "unknown_model"),
    ],
)
def test_refusals(query: str, code: str, client: httpx.Client) -> None:
    assert error_of(post(client, CLIPS[0], query=query))["code"] == code


def test_no_files(client: httpx.Client) -> None:
    assert error_of(post(client))["code"] == "no_file"


def test_lines_are_sent_as_they_come(client: httpx.Client, running: Running) -> None:
    """The answer is larger than what the network takes before anybody reads it, so that the rest waits."""
    body, media_type = form_of(*[silence(60.0, 16_000)] * 40)
    answered = 'earmark_requests_total{route="/v1/batch",status="200"}'
    before = running.metric(answered)
    with client.stream("POST", "/v1/batch?task=embed", content=body, headers={"content-type": media_type}) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["number"] == 0
        assert running.metric(answered) == before
        assert [json.loads(line)["number"] for line in lines] == list(range(1, 40))
    assert client.post("/v1/classify", content=CLIPS[0]).status_code == 200


def test_who_leaves_in_the_middle_leaves_nothing_behind(
    tiny_models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    body, media_type = form_of(*[silence(240.0, 16_000)] * 8)
    with serving(tiny_models) as service:
        (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("earmark-"))
        with connected(service) as connection:
            header = head(service, path="/v1/batch?task=embed", content_type=media_type, content_length=len(body))
            connection.sendall(header + body)
            until(service, lambda: list(folder.glob("answer-*")))
        until(service, lambda: "/v1/batch" in service.log)
        service.wait_for("earmark_busy_workers", 0)
        assert list(folder.iterdir()) == []
        assert httpx.post(f"{service.url}/v1/classify", content=CLIPS[0], timeout=60).status_code == 200


class Answers:
    """A crew that has an answer in a file at once for every job."""

    workers = 2

    def __init__(self, folder: Path, text: str) -> None:
        self._folder, self._text = folder, text

    async def ask(self, job: Job, *, patient: bool) -> Reply:
        """Answer."""
        assert patient
        assert isinstance(job.sound, bytes)
        path = self._folder / job.sound.decode()
        path.write_text(self._text)
        return Reply(path, len(self._text), "application/json", 1.0)


def asked(folder: Path, text: str, read: Callable[..., Awaitable[None]]) -> None:
    """Let something read the lines of a batch of which every answer is a file with this text; none must be left."""
    jobs = [Job("embed", "tiny", f"answer-{number}".encode()) for number in range(4)]

    async def whole() -> None:
        lines = answer_lines(jobs, cast(Crew, Answers(folder, text)), Metrics(), Visit())
        await read(lines)
        await lines.aclose()

    run_apart(whole())
    assert list(folder.iterdir()) == []


def test_a_long_line_comes_in_pieces(tmp_path: Path) -> None:
    text = json.dumps({"frames": "x" * 3 * LARGE_BYTES}) + "\n"
    pieces: list[bytes] = []

    async def read(lines: AsyncIterator[bytes]) -> None:
        async for piece in lines:
            pieces.append(piece)
            await asyncio.sleep(0)

    asked(tmp_path, text, read)
    assert max(len(piece) for piece in pieces) < LARGE_BYTES
    lines = b"".join(pieces).splitlines()
    assert [json.loads(line) for line in lines] == [{"number": number, **json.loads(text)} for number in range(4)]


@pytest.mark.parametrize("pieces", [1, 2, 14])
def test_who_leaves_takes_answers_along_that_are_ready(pieces: int, tmp_path: Path) -> None:
    async def read(lines: AsyncIterator[bytes]) -> None:
        for _ in range(pieces):
            await anext(lines)
        assert list(tmp_path.iterdir())

    asked(tmp_path, json.dumps({"frames": "x" * 3 * LARGE_BYTES}) + "\n", read)
