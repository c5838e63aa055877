"""Workers that die, and workers that are replaced: no request is lost by either."""

import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import psutil
import pytest

from earmark.model.modelfile import save
from tests.service.process import Running, serving
from tests.service.sounds import noise
from tests.service.test_rest import error_of
from tests.service.workers import held_up, until, workers_of
from tests.tinymodel import tiny_card, tiny_graph

CLIP = noise(1.0)
CLIENTS = 4


@contextmanager
def load(service: Running, clients: int = CLIENTS) -> "Iterator[list[httpx.Response]]":
    """Ask again and again while this lasts, then hold that every request was answered; gives the answers so far."""
    enough = Event()
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            while not enough.is_set():
                answers.append(client.post("/v1/classify", content=CLIP))

    with ThreadPoolExecutor(clients) as pool:
        asking: list[Future[None]] = [pool.submit(ask) for _ in range(clients)]
        try:
            yield answers
        finally:
            enough.set()
        for future in asking:
            future.result()
    assert Counter(answer.status_code for answer in answers) == {200: len(answers)}


class TestDeath:
    def test_every_request_is_answered_though_workers_are_killed(self, tiny_models: list[Path]) -> None:
        with serving(tiny_models, workers=2) as service, load(service) as answers:
            for kill in range(1, 4):
                service.wait_for("earmark_workers", 2)
                workers_of(service)[0].kill()
                service.wait_for("earmark_worker_restarts_total", kill)
            until(service, lambda: len(answers) >= 60)

    def test_a_job_whose_worker_is_killed_is_done_by_another(self, service: Running) -> None:
        with ThreadPoolExecutor(1) as pool:
            service.wait_for("earmark_workers", 1)
            with held_up(service) as (worker,):
                answer = pool.submit(httpx.post, f"{service.url}/v1/classify", content=CLIP, timeout=60)
                service.wait_for("earmark_busy_workers", 1)
                worker.kill()
            assert answer.result().status_code == 200

    @pytest.mark.parametrize("fault", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE])
    def test_a_job_that_crashes_its_worker_is_not_tried_again(self, fault: signal.Signals, service: Running) -> None:
        restarts = service.metric("earmark_worker_restarts_total")
        with ThreadPoolExecutor(1) as pool:
            service.wait_for("earmark_workers", 1)
            with held_up(service) as (worker,):
                answer = pool.submit(httpx.post, f"{service.url}/v1/classify", content=CLIP, timeout=60)
                service.wait_for("earmark_busy_workers", 1)
                worker.send_signal(fault)
            assert error_of(answer.result())["code"] == "analysis_crashed"
        service.wait_for("earmark_worker_restarts_total", restarts + 1)
        assert httpx.post(f"{service.url}/v1/classify", content=CLIP, timeout=60).status_code == 200

    def test_it_is_not_ready_without_workers(self, tmp_path: Path, tiny_model: Path) -> None:
        model = tmp_path / "tiny.onnx"
        shutil.copy(tiny_model, model)
        patience = {"crew._PAUSES_SECONDS": (0.0, 1.0)}  # never more, however slowly this test goes on
        with serving([model], patience, limits={"analysis_seconds": 0.5}) as service:
            model.write_bytes(b"no model in here")
            workers_of(service)[0].kill()
            until(service, lambda: "a worker does not start: tiny.onnx" in service.log)
            assert error_of(httpx.get(f"{service.url}/readyz"))["code"] == "no_worker"
            assert httpx.get(f"{service.url}/healthz").status_code == 200
            assert error_of(httpx.post(f"{service.url}/v1/classify", content=CLIP))["code"] == "no_worker"
            shutil.copy(tiny_model, model)
            until(service, lambda: httpx.get(f"{service.url}/readyz").status_code == 200)

    def test_workers_end_with_the_front_process(self, tiny_models: list[Path]) -> None:
        with serving(tiny_models, workers=2) as service:
            workers = workers_of(service)
            service.process.kill()
            _, alive = psutil.wait_procs(workers, timeout=60)
            assert not alive

    def test_signals_to_all_processes_are_the_front_process_s_own(self, service: Running) -> None:
        """A terminal and a supervisor send them to workers too, which must finish their job."""
        service.wait_for("earmark_workers", 1)
        (worker,) = workers_of(service)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            worker.send_signal(number)
        assert httpx.post(f"{service.url}/v1/classify", content=CLIP).status_code == 200
        assert workers_of(service)[0].pid == worker.pid


@pytest.fixture(scope="module")
def service(tiny_models: list[Path]) -> Iterator[Running]:
    with serving(tiny_models) as running:
        yield running


def write_model(path: Path, version: str) -> None:
    """Put a model of that version into its place, whole or not at all."""
    made = path.with_name("new.onnx")
    save(tiny_graph(np.random.default_rng(int(version))), tiny_card(version=version), made)
    made.replace(path)


class TestReload:
    def test_a_model_is_replaced_without_a_lost_request(self, tmp_path: Path) -> None:
        model = tmp_path / "tiny.onnx"
        write_model(model, "1")
        with serving([model], workers=2) as service:
            old = {worker.pid for worker in workers_of(service)}
            with load(service) as answers:
                write_model(model, "2")
                service.process.send_signal(signal.SIGHUP)
                until(service, lambda: answers and answers[-1].json()["model_version"] == "2")
            assert {answer.json()["model_version"] for answer in answers} == {"1", "2"}
            assert httpx.get(f"{service.url}/v1/models/tiny").json()["version"] == "2"
            psutil.wait_procs([process for pid in old if (process := _process(pid))], timeout=60)
            assert not old & {worker.pid for worker in workers_of(service)}
            assert service.metric("earmark_worker_restarts_total") == 0
            assert "reloaded: tiny" in service.log

    def test_a_model_that_cannot_be_loaded_leaves_the_old_one(self, tmp_path: Path, tiny_model: Path) -> None:
        model = tmp_path / "tiny.onnx"
        shutil.copy(tiny_model, model)
        with serving([model]) as service:
            workers = [worker.pid for worker in workers_of(service)]
            model.write_bytes(b"no model in here")
            service.process.send_signal(signal.SIGHUP)
            until(service, lambda: "not reloaded" in service.log)
            assert "tiny.onnx cannot be loaded" in service.log
            assert httpx.post(f"{service.url}/v1/classify", content=CLIP).status_code == 200
            assert [worker.pid for worker in workers_of(service)] == workers

    @pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are set as Linux does")
    def test_a_system_without_files_to_spare_leaves_the_old_one(self, tiny_models: list[Path]) -> None:
        import resource

        with serving(tiny_models) as service:
            before = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
            open_files = max(int(entry.name) for entry in Path(f"/proc/{service.process.pid}/fd").iterdir()) + 1
            resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (open_files + 1, before[1]))
            service.process.send_signal(signal.SIGHUP)
            until(service, lambda: "not reloaded" in service.log)
            resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, before)
            assert "a worker process cannot be started: Too many open files" in service.log
            assert httpx.post(f"{service.url}/v1/classify", content=CLIP).status_code == 200
            service.process.send_signal(signal.SIGHUP)
            until(service, lambda: "are reloaded" in service.log)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
