"""Many recordings in one request."""

import json
from pathlib import Path

import httpx
import pytest

from earmark.inference.classifier import Classifier
from tests.service.process import Running, serving
from tests.service.rawclient import connected, head
from tests.service.sounds import form_of, noise, silence
from tests.service.test_rest import Upload, error_of

CLIPS = [noise(0.5 + seed / 4, seed=seed) for seed in range(6)]


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


def test_who_leaves_in_the_middle_leaves_nothing_behind(client: httpx.Client, running: Running) -> None:
    body, media_type = form_of(*[silence(60.0, 16_000)] * 40)
    with connected(running) as connection:
        header = head(running, path="/v1/batch?task=embed", content_type=media_type, content_length=len(body))
        connection.sendall(header + body)
        connection.recv(1000)
    running.wait_for("earmark_busy_workers", 0)
    assert client.post("/v1/classify", content=CLIPS[0]).status_code == 200
