"""What a service refuses, and that it goes on after it: too much, too long, too slow, too many at once."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.process import Running, serving
from tests.service.rawclient import answered, connected, head, until_closed
from tests.service.sounds import claiming, form_of, noise, of_unknown_length, silence
from tests.service.test_rest import error_of
from tests.service.workers import held_up, until, workers_of

CLIP = noise(1.0)
DAY_SECONDS = 86_400
IMPATIENCE = {
    "connection.HEADER_SECONDS": 0.3,
    "uploads.STILL_SECONDS": 0.3,
    "observer._LINGER_SECONDS": 0.3,
}
SMALL = {"upload_bytes": 300_000, "sound_seconds": 20.0, "upload_seconds": 1.0, "queue": 1, "per_client": 2}


@pytest.fixture(scope="module")
def strict(tiny_models: list[Path]) -> Iterator[Running]:
    with serving(tiny_models, IMPATIENCE, limits=SMALL) as service:
        yield service


@pytest.fixture(scope="module")
def strict_client(strict: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=strict.url, timeout=60) as client:
        yield client


def posted(pool: ThreadPoolExecutor, service: Running) -> "Future[httpx.Response]":
    return pool.submit(httpx.post, f"{service.url}/v1/classify", content=CLIP, timeout=60)


class TestSize:
    def test_two_gigabytes_declared_and_ten_bytes_sent(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, content_length=2 * 2**30) + b"0123456789")
            status, body = answered(connection)
            assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
            assert until_closed(connection) == b""

    def test_a_body_without_a_length(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, transfer_encoding="chunked"))
            chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
            for _ in range(SMALL["upload_bytes"] // 0x4000 + 1):  # type: ignore[operator]
                connection.sendall(chunk)
            status, body = answered(connection)
            assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")

    def test_a_client_that_sends_all_of_it_hears_why(self, strict_client: httpx.Client) -> None:
        assert error_of(strict_client.post("/v1/classify", content=bytes(8 * 2**20)))["code"] == "too_large"
        assert strict_client.post("/v1/classify", content=CLIP).status_code == 200

    def test_a_form(self, strict_client: httpx.Client) -> None:
        error = error_of(strict_client.post("/v1/batch", files=[("a", bytes(200_000)), ("b", bytes(200_000))]))
        assert error["code"] == "too_large"

    @pytest.mark.parametrize("length", ["-1", "many", "1e3", "99999999999999999999999999"])
    def test_a_length_that_is_none(self, length: str, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, content_length=length) + b"0123456789")
            assert b" 200 " not in until_closed(connection).split(b"\r\n")[0]

    def test_a_header_without_end(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict)[:-2])
            line = b"x-filler: " + b"x" * 1000 + b"\r\n"
            try:
                for _ in range(2000):
                    connection.sendall(line)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert b" 200 " not in until_closed(connection)


class TestLength:
    def test_a_day_that_the_header_claims(self, strict_client: httpx.Client) -> None:
        error = error_of(strict_client.post("/v1/classify", content=claiming(CLIP, 20_000)))
        assert error["code"] == "too_long"
        assert "20000 s of sound" in error["message"]
        assert "20 s are allowed" in error["message"]

    def test_a_day_of_silence(self, client: httpx.Client) -> None:
        day = silence(DAY_SECONDS)
        assert len(day) < 2**20
        for task in ("classify", "events", "timeline", "embed", "wav"):
            error = error_of(client.post(f"/v1/{task}", content=day))
            assert (error["code"], "86400 s" in error["message"]) == ("too_long", True)

    def test_a_part_of_a_day(self, client: httpx.Client) -> None:
        answer = client.post("/v1/classify?start=80000&end=80010", content=silence(DAY_SECONDS)).json()
        assert answer["seconds"] == 10
        assert (answer["parameters"]["start"], answer["parameters"]["end"]) == (80_000, 80_010)

    @pytest.mark.parametrize("task", ["classify", "wav"])
    def test_what_no_header_says(self, task: str, strict_client: httpx.Client) -> None:
        streamed = of_unknown_length(silence(200.0))
        error = error_of(strict_client.post(f"/v1/{task}", content=streamed))
        assert (error["code"], "more than 20 s" in error["message"]) == ("too_long", True)
        assert strict_client.post(f"/v1/{task}?end=15", content=streamed).status_code == 200

    def test_just_as_long_as_allowed(self, strict_client: httpx.Client) -> None:
        answer = strict_client.post("/v1/classify", content=silence(20.0)).json()
        assert (answer["seconds"], answer["parameters"]["end"]) == (20, None)


class TestPace:
    def test_a_header_that_does_not_end(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, content_length=10)[:-2])
            assert until_closed(connection).startswith(b"HTTP/1.1 408 ")

    def test_a_connection_on_which_nothing_comes(self, strict: Running) -> None:
        with connected(strict) as connection:
            assert until_closed(connection).startswith(b"HTTP/1.1 408 ")

    def test_a_second_header_that_does_not_end(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, content_length=len(CLIP)) + CLIP)
            assert answered(connection)[0] == 200
            connection.sendall(head(strict)[:-2])
            assert until_closed(connection).startswith(b"HTTP/1.1 408 ")

    def test_a_body_that_stands_still(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, content_length=100) + b"0123456789")
            status, body = answered(connection)
            assert (status, json.loads(body)["error"]["code"]) == (408, "upload_too_slow")
            assert "10 bytes" in json.loads(body)["error"]["message"]

    def test_a_body_that_trickles(self, strict: Running) -> None:
        with connected(strict) as connection:
            connection.sendall(head(strict, content_length=10_000))
            connection.settimeout(0.05)
            data = b""
            while not data:
                connection.sendall(b"x")
                try:
                    data = connection.recv(1000)
                except TimeoutError:
                    continue
            assert data.startswith(b"HTTP/1.1 408 ")

    def test_a_client_that_goes_away(self, strict: Running, strict_client: httpx.Client) -> None:
        for sent in (b"", CLIP[:100]):
            with connected(strict) as connection:
                connection.sendall(head(strict, content_length=len(CLIP)) + sent)
        assert strict_client.post("/v1/classify", content=CLIP).status_code == 200


class TestLoad:
    def test_a_busy_client_and_a_full_queue(self, strict: Running) -> None:
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        with ThreadPoolExecutor(2) as pool, httpx.Client(transport=other) as other_client:
            with held_up(strict):
                waiting = [posted(pool, strict), posted(pool, strict)]
                strict.wait_for("earmark_queue_jobs", 1)
                assert strict.metric("earmark_busy_workers") == 1
                busy = httpx.get(f"{strict.url}/v1/models")
                assert (error_of(busy)["code"], busy.headers["retry-after"]) == ("client_busy", "1")
                assert httpx.get(f"{strict.url}/healthz").status_code == 200
                full = other_client.post(f"{strict.url}/v1/classify", content=CLIP)
                assert (error_of(full)["code"], full.headers["retry-after"]) == ("queue_full", "1")
            assert [future.result().status_code for future in waiting] == [200, 200]
        assert strict.metric("earmark_queue_jobs") == 0
        assert httpx.post(f"{strict.url}/v1/classify", content=CLIP).status_code == 200

    def test_an_analysis_that_takes_too_long(self, tiny_models: list[Path]) -> None:
        with serving(tiny_models, limits={"analysis_seconds": 0.5}) as service:
            (worker,) = workers_of(service)
            worker.suspend()
            error = error_of(httpx.post(f"{service.url}/v1/classify", content=CLIP, timeout=60))
            assert (error["code"], "0.5 s" in error["message"]) == ("analysis_too_long", True)
            service.wait_for("earmark_worker_restarts_total", 1)
            assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
            until(service, lambda: httpx.get(f"{service.url}/readyz").status_code == 200)
            assert httpx.post(f"{service.url}/v1/classify", content=CLIP).status_code == 200

    def test_too_much_memory(self, tiny_models: list[Path]) -> None:
        with serving(tiny_models, limits={"worker_memory_bytes": 64 * 2**20}) as service:
            hour = silence(3600)
            error = error_of(httpx.post(f"{service.url}/v1/wav", content=hour, timeout=60))
            assert error["code"] == "too_much_memory"
            assert httpx.post(f"{service.url}/v1/classify", content=CLIP).status_code == 200
            assert service.metric("earmark_worker_restarts_total") == 0

    @pytest.mark.parametrize("path", ["/v1/classify", "/model/predict"])
    def test_who_leaves_makes_room_in_the_queue(self, path: str, strict: Running) -> None:
        body, media_type = form_of(CLIP)
        header = head(strict, path=path, content_type=media_type, content_length=len(body))
        with ThreadPoolExecutor(2) as pool, held_up(strict):
            first = posted(pool, strict)
            strict.wait_for("earmark_busy_workers", 1)
            with connected(strict) as leaving:
                leaving.sendall(header + body)
                strict.wait_for("earmark_queue_jobs", 1)
            strict.wait_for("earmark_queue_jobs", 0)
            until(strict, lambda: f"POST {path} 499" in strict.log)
            second = posted(pool, strict)
            strict.wait_for("earmark_queue_jobs", 1)
        assert [future.result().status_code for future in (first, second)] == [200, 200]

    def test_who_leaves_while_heard_does_not_keep_the_worker(self, strict: Running) -> None:
        with held_up(strict), connected(strict) as leaving:
            leaving.sendall(head(strict, path="/v1/events", content_length=len(CLIP)) + CLIP)
            strict.wait_for("earmark_busy_workers", 1)
            leaving.close()
            until(strict, lambda: "POST /v1/events 499" in strict.log)
        strict.wait_for("earmark_busy_workers", 0)
        assert httpx.post(f"{strict.url}/v1/classify", content=CLIP).status_code == 200
        assert strict.metric("earmark_worker_restarts_total") == 0

    def test_batches_leave_the_queue_to_others(self, tiny_models: list[Path]) -> None:
        body, media_type = form_of(*[CLIP] * 3)
        with serving(tiny_models, limits={"queue": 2}) as service, ThreadPoolExecutor(4) as pool:
            headers = {"content-type": media_type}
            with held_up(service):
                url = f"{service.url}/v1/batch"
                batches = [pool.submit(httpx.post, url, content=body, headers=headers, timeout=60) for _ in range(2)]
                service.wait_for("earmark_queue_jobs", 3)
                singles = [posted(pool, service) for _ in range(2)]
                service.wait_for("earmark_queue_jobs", 5)
                assert error_of(httpx.post(f"{service.url}/v1/classify", content=CLIP))["code"] == "queue_full"
            assert [future.result().status_code for future in (*batches, *singles)] == [200] * 4

    def test_batches_wait_where_others_are_refused(self, strict: Running) -> None:
        body, media_type = form_of(*[CLIP] * 6)
        answer = httpx.post(f"{strict.url}/v1/batch", content=body, headers={"content-type": media_type})
        assert [json.loads(line)["number"] for line in answer.text.splitlines()] == list(range(6))


def test_uploads_of_all_clients_have_so_much_room_together(tiny_models: list[Path]) -> None:
    with serving(tiny_models, limits={"upload_bytes": 3_000_000, "queue": 0}) as service:
        url, data = f"{service.url}/v1/classify", bytes(2_000_000)
        with connected(service) as other:
            other.sendall(head(service, content_length=3_000_000) + data)
            until(service, lambda: httpx.post(url, content=data).status_code == 503)
            full = httpx.post(url, content=data)
            assert (error_of(full)["code"], full.headers["retry-after"]) == ("no_space", "10")
            assert "3000000 bytes" in error_of(full)["message"]
            assert httpx.post(url, content=CLIP).status_code == 200  # of what fits into memory
        until(service, lambda: error_of(httpx.post(url, content=data))["code"] == "not_audio")


def test_no_file_is_left_behind(tiny_models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving(tiny_models) as service:
        (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("earmark-"))
        assert folder.stat().st_mode & 0o077 == 0
        large = noise(40)
        for data in (large, large[: len(large) // 2], b"x" * 2_000_000):
            httpx.post(f"{service.url}/v1/wav", content=data, timeout=60)
        with connected(service) as connection:  # one that goes away while its file is written
            connection.sendall(head(service, content_length=10**8) + bytes(2_000_000))
        until(service, lambda: service.log.count("POST /v1/wav") == 3 and "/v1/classify 499" in service.log)
        assert list(folder.iterdir()) == []
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
        assert not folder.exists()
