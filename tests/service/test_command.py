"""`earmark serve` as people and supervisors run it: how it begins, what it logs, how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.command import PROGRAM, Here, earmark
from tests.service.process import Running
from tests.service.rawclient import answered, connected, head
from tests.service.sounds import form_of, noise
from tests.service.workers import held_up, until

CLIP = noise(1.0)
Refused = Callable[..., str]
TELEMETRY = {
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_PYTHON_TRACER_PROVIDER": "any",
}
"""What would make FastAPI tell of requests."""
READY = re.compile(r"http://[\w.:\[\]]+")


@contextmanager
def started(tmp_path: Path, *words: str | Path, variables: dict[str, str] | None = None) -> Iterator[Running]:
    """Run the command until it says that it is ready, and end it."""
    log_file = tmp_path / "log"
    with log_file.open("w") as log:
        command = [*PROGRAM, "serve", "--port", "0", "--workers", "1", *map(str, words)]
        environment = {**os.environ, **(variables or {})}
        with subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL, env=environment, text=True) as process:
            running = Running(process, "", log_file)
            try:
                until(running, lambda: READY.search(running.log))
                running.url = READY.findall(running.log)[0]
                yield running
            finally:
                process.terminate()


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Return what runs the command in this process: it says in one line why it does not begin."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> str:
        done = Here(capsys)("serve", *words)
        assert done.status != 0
        (complaint,) = done.complaints
        return complaint

    return run


@pytest.fixture(scope="module")
def service(tiny_models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = [word for model in tiny_models for word in ("--model", model)]
    limits = ["--max-megabytes", "0.1", "--max-seconds", "2", "--timeout", "30", "--queue", "0"]
    with started(tmp_path_factory.mktemp("service"), *models, *limits, variables=TELEMETRY) as running:
        yield running


class TestBeginning:
    def test_it_says_where_it_is_in_one_line(self, service: Running, tiny_models: list[Path]) -> None:
        said = ", ".join(map(str, tiny_models))
        assert service.log.splitlines()[0] == f"earmark: {said} at {service.url} (Ctrl-C ends it)"

    def test_several_models(self, service: Running) -> None:
        models = httpx.get(f"{service.url}/v1/models").json()
        assert [model["name"] for model in models["models"]] == ["tiny", "novel"]
        assert httpx.post(f"{service.url}/v1/classify", content=CLIP).json()["model"] == "tiny"
        assert httpx.post(f"{service.url}/v1/classify?model=novel", content=CLIP).json()["model"] == "novel"

    def test_limits_are_options(self, service: Running) -> None:
        assert httpx.post(f"{service.url}/v1/classify", content=noise(3.0, form="FLAC")).status_code == 413
        assert httpx.post(f"{service.url}/v1/classify", content=bytes(110_000)).status_code == 413

    def test_the_model_inside_answers_where_none_is_named(self, everyday: Path, tmp_path: Path) -> None:
        with started(tmp_path) as inside:
            assert httpx.get(f"{inside.url}/v1/models").json()["default"] == everyday.stem

    def test_others_are_let_in_only_with_a_token(self, refused: Refused) -> None:
        assert "--token or EARMARK_TOKEN" in refused("--host", "0.0.0.0", "--port", "0")

    def test_a_token_of_the_environment(self, tiny_model: Path, tmp_path: Path) -> None:
        variables = {"EARMARK_TOKEN": "a-long-random-word"}
        with started(tmp_path, "--host", "0.0.0.0", "--model", tiny_model, variables=variables) as service:
            here = service.url.replace("0.0.0.0", "127.0.0.1")
            assert httpx.get(f"{here}/v1/models").status_code == 401
            headers = {"authorization": "Bearer a-long-random-word"}
            assert httpx.get(f"{here}/v1/models", headers=headers).status_code == 200
            assert "a-long-random-word" not in service.log

    @pytest.mark.parametrize("token", ["", "two words", "ünicode", "line\nend"])
    def test_what_is_no_token(self, token: str, refused: Refused) -> None:
        assert "the token is empty" in refused("--token", token, "--port", "0")

    def test_insecure_is_said_out_loud(self, tiny_model: Path, tmp_path: Path) -> None:
        with started(tmp_path, "--host", "0.0.0.0", "--insecure", "--model", tiny_model) as service:
            assert "--insecure: whoever reaches 0.0.0.0 can use this service" in service.log

    def test_a_browser_that_ends_late_holds_nothing_up(self, tiny_model: Path, tmp_path: Path) -> None:
        """A text browser ends when its reader is done, and until then the program that opened it would wait."""
        page, browser = tmp_path / "page", tmp_path / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" > {page}.new\nmv {page}.new {page}\nsleep 15\n')
        browser.chmod(0o755)
        variables = {"BROWSER": f"{browser} %s"}
        with started(tmp_path, "--open", "--model", tiny_model, variables=variables) as service:
            until(service, page.exists)
            assert page.read_text().strip() == service.url
            assert httpx.get(f"{service.url}/healthz", timeout=10).status_code == 200

    def test_no_telemetry_whatever_the_environment_says(self, service: Running) -> None:
        """Left to itself, FastAPI looks for what the environment names, and no request survives if it is not there."""
        assert httpx.get(f"{service.url}/v1/models").status_code == 200
        assert "telemetry" not in service.log

    @pytest.mark.parametrize("megabytes", ["inf", "1e308"])
    def test_megabytes_that_cannot_be(self, megabytes: str, refused: Refused) -> None:
        said = refused("--max-megabytes", megabytes, "--port", "0")
        assert said == f"--max-megabytes {float(megabytes)} is not allowed: give a number such as 200"

    def test_a_port_that_is_taken(self, tiny_model: Path, refused: Refused) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = refused("--port", str(port), "--model", tiny_model)
        assert f"cannot listen at 127.0.0.1 port {port}: Address already in use; give another with --port" in said

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--model", "no-such-model"], "no model called 'no-such-model' is known"),
            (["--model", "no-such.onnx"], "no model file at no-such.onnx"),
            (["--host", "no such host"], "cannot listen at no such host"),
        ],
    )
    def test_what_is_not_there(self, words: list[str], said: str, refused: Refused) -> None:
        assert said in refused("--port", "0", "--insecure", *words)

    def test_one_model_twice(self, tiny_model: Path, refused: Refused) -> None:
        assert "two of the models have one name" in refused("--port", "0", "--model", tiny_model, "--model", tiny_model)

    def test_a_refusal_ends_the_process(self, tmp_path: Path) -> None:
        done = earmark("serve", "--host", "0.0.0.0", cwd=tmp_path)
        assert (done.status, len(done.complaints)) == (2, 1)


def logged(service: Running, count: int) -> list[str]:
    """Return the lines after the first, once there are so many: they are written after the answer is sent."""
    until(service, lambda: len(service.log.splitlines()) > count)
    return service.log.splitlines()[1:]


class TestLog:
    def test_a_line_for_each_request_without_names_and_content(self, service: Running) -> None:
        before = len(service.log.splitlines()) - 1
        body, media_type = form_of(CLIP, fields={"allow": "Tone"})
        headers = {"content-type": media_type, "user-agent": "secret agent"}
        httpx.post(f"{service.url}/v1/classify?deny=Silence", content=body, headers=headers)
        httpx.post(f"{service.url}/v1/classify?allow=secret%0Alabel", content=CLIP)
        httpx.get(f"{service.url}/v1/models/secret-model")
        httpx.get(f"{service.url}/secret/path?secret=1")
        lines = logged(service, before + 4)[before:]
        ends = [line.partition(" ")[2] for line in lines]
        length = len(body)
        assert re.fullmatch(rf"POST /v1/classify 200 [\d.]+ ms, 1.0 s of sound, {length} bytes, 127.0.0.1", ends[0])
        assert re.fullmatch(rf"POST /v1/classify 422 [\d.]+ ms, 0.0 s of sound, {len(CLIP)} bytes, 127.0.0.1", ends[1])
        assert re.fullmatch(r"GET /v1/models/\{name\} 404 [\d.]+ ms, 0.0 s of sound, 0 bytes, 127.0.0.1", ends[2])
        assert re.fullmatch(r"GET unknown 404 [\d.]+ ms, 0.0 s of sound, 0 bytes, 127.0.0.1", ends[3])
        assert not [word for word in ("private", "secret", "Tone", "Silence") if any(word in line for line in lines)]

    def test_json(self, tiny_model: Path, tmp_path: Path) -> None:
        with started(tmp_path, "--model", tiny_model, "--json-logs") as service:
            httpx.post(f"{service.url}/v1/classify", content=CLIP)
            broken = {"content-type": "multipart/form-data; boundary=xx"}
            assert httpx.post(f"{service.url}/v1/classify", content=b"abc", headers=broken).status_code == 422
            line, other = logged(service, 2)
        assert json.loads(other)["status"] == 422
        assert json.loads(service.log.splitlines()[0])["message"] == f"{tiny_model} at {service.url}"
        asked = json.loads(line)
        assert {key: asked[key] for key in ("method", "route", "status", "sound_s", "bytes", "client")} == {
            "method": "POST",
            "route": "/v1/classify",
            "status": 200,
            "sound_s": 1.0,
            "bytes": len(CLIP),
            "client": "127.0.0.1",
        }
        assert asked["ms"] > 0


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_what_runs_is_finished(self, number: signal.Signals, tiny_model: Path, tmp_path: Path) -> None:
        with started(tmp_path, "--model", tiny_model) as service, ThreadPoolExecutor(1) as pool:
            with connected(service) as uploading:
                uploading.sendall(head(service, content_length=len(CLIP)) + CLIP[:100])
                with held_up(service):
                    analysed = pool.submit(httpx.post, f"{service.url}/v1/classify", content=CLIP, timeout=60)
                    service.wait_for("earmark_busy_workers", 1)
                    service.process.send_signal(number)
                    until(service, lambda: not _accepts(service.port))
                uploading.sendall(CLIP[100:])
                assert answered(uploading)[0] == 200
            assert analysed.result().status_code == 200
            assert service.process.wait(60) == 0
            assert "Traceback" not in service.log

    def test_a_second_signal_ends_it_at_once(self, tiny_model: Path, tmp_path: Path) -> None:
        with started(tmp_path, "--model", tiny_model) as service, connected(service) as uploading:
            uploading.sendall(head(service, content_length=len(CLIP)) + CLIP[:100])
            httpx.get(f"{service.url}/healthz", timeout=60)  # by when the upload has been noticed
            service.process.send_signal(signal.SIGINT)
            until(service, lambda: not _accepts(service.port))
            # The upload, and perhaps the answer above, which has only just gone out.
            until(service, lambda: re.search("ending: (1 request is|2 requests are) finished first", service.log))
            service.process.send_signal(signal.SIGINT)
            assert service.process.wait(60) == 0
            assert "Traceback" not in service.log


def test_without_its_packages_it_says_which_extra_brings_them(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from earmark.cli.app import app\nsys.argv = ['earmark', 'serve']\napp(prog_name='earmark')"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "earmark: a service needs fastapi, which is not installed: pip install 'earmark[serve]'\n"


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:  # refused, or reset while the service closes its socket
        return False
    return True
