"""The benchmark of the service, in parts and on little: what loads it is answered, and its figures are numbers."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from benchmarks.attack import attack
from benchmarks.bench import Bench
from benchmarks.httpclient import Client, get, post_form
from benchmarks.serve import PEERS, live_row, see_all_heard, send_clips, throughput
from benchmarks.services import Service, load, plain_service

from earmark.inference.classifier import Classifier
from tests.service.hostile import HostileFile
from tests.service.loops import run_apart
from tests.service.process import Running, serving
from tests.service.sounds import noise


@pytest.fixture
def service(running: Running) -> Service:
    return Service(psutil.Process(running.process.pid), running.port)


def test_clips_are_sent_as_often_as_asked(service: Service, tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.wav" for seed in range(3)]
    for seed, file in enumerate(files):
        file.write_bytes(noise(1.0, seed=seed))
    taken = send_clips(service, "/v1/classify", files, 40)
    assert len(taken["seconds"]) == 40
    assert 0 < max(taken["seconds"]) <= taken["wall"]
    assert service.memory_bytes() > 50e6
    assert service.restarts() == 0
    files[0].write_bytes(b"no sound")
    with pytest.raises(AssertionError, match="415"):
        send_clips(service, "/v1/classify", files, 3)


def test_the_client_opens_a_connection_again(running: Running) -> None:
    async def asked() -> list[int]:
        async with Client(running.port) as client:
            first = await client.ask(get(running.port, "/healthz"))
            client.close()
            second = await client.ask(post_form(running.port, "/v1/events", noise(1.0)))
            broken = await client.ask(b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n")
            return [
                first.status,
                second.status,
                broken.status,
                (await client.ask(get(running.port, "/nothing"))).status,
            ]

    assert run_apart(asked()) == [200, 200, 200, 404]


def test_listeners_take_down_when_scores_come(running: Running, tiny_models: list[Path], tmp_path: Path) -> None:
    card = Classifier.load(tiny_models[0]).card
    (tmp_path / "sound").write_bytes(noise(6.0)[44:])
    plan: dict[str, Any] = {"host": "127.0.0.1", "port": running.port, "listeners": 3, "seconds": 2.0, "seed": 1}
    plan |= {"sound": str(tmp_path / "sound"), "opening": {"sample_rate": card.sample_rate}}
    plan |= {"length_seconds": card.frame_length_seconds, "hop_seconds": card.frame_hop_seconds}
    taken = load("liveload", plan)
    frames = int((2.0 - card.frame_length_seconds) / card.frame_hop_seconds + 1 + 1e-6)
    assert taken["frames"] == [frames] * 3
    assert all(delay > 0 for delay in taken["delays"])
    see_all_heard(taken, plan, card.sample_rate)
    with pytest.raises(AssertionError, match=f"are not {frames} to {frames}"):
        see_all_heard(taken | {"frames": [frames, frames - 1, frames]}, plan, card.sample_rate)
    assert live_row("three", taken, 0.1).ours.value >= 1000 * sorted(taken["delays"])[-2]
    running.wait_for("earmark_listeners", 0)
    with pytest.raises(RuntimeError, match="top=0 is not allowed"):
        load("liveload", plan | {"opening": plan["opening"] | {"top": 0}})


def test_listeners_that_are_dropped_are_no_figure(tiny_models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(noise(8.0)[44:])
    with serving(tiny_models) as ending, ThreadPoolExecutor(1) as threads:
        plan: dict[str, Any] = {"host": "127.0.0.1", "port": ending.port, "listeners": 2, "seconds": 4.0, "seed": 1}
        plan |= {"sound": str(tmp_path / "sound"), "opening": {"sample_rate": 16_000}}
        loaded = threads.submit(load, "liveload", plan | {"length_seconds": 1.0, "hop_seconds": 0.5})
        ending.wait_for("earmark_listeners", 2)
        ending.process.terminate()
        with pytest.raises(RuntimeError, match="a listener was dropped"):
            loaded.result()
        assert ending.process.wait(60) == 0


def test_an_attack_is_taken_down(running: Running) -> None:
    files = [HostileFile("noise", noise(1.0)), HostileFile("text", b"no sound"), HostileFile("nothing", b"")]
    course = run_apart(attack(running.port, iter(files), noise(2.0)))
    assert course.codes == {"ok": 1, "not_audio": 1, "no_file": 1}
    assert course.failures == []
    assert course.good > 0
    assert course.good_failed == 0
    assert [file.name for file, _ in course.tagged] == ["noise"]


@pytest.mark.shared
def test_the_plain_service_hears_the_same(shared: Path, yamnet_int8: Path, tmp_path: Path) -> None:
    bench = Bench(shared, tmp_path, quick=True)
    clips = [clip.path for clip in bench.esc10[:4]]
    with plain_service(bench, 1) as theirs, serving([yamnet_int8]) as own:
        ours = Service(psutil.Process(own.process.pid), own.port)
        for clip in clips:
            answers = [
                best_tag(port, path, clip) for port, path in ((own.port, "/v1/classify"), (theirs.port, "/classify"))
            ]
            assert answers[0] == answers[1]
        rows = list(throughput(bench, ours, {next(iter(PEERS)): theirs}, clips, "FLAC"))
    assert [row.ours.unit for row in rows] == ["clips/s", "ms"]
    assert all(row.ratio and row.ratio > 0 for row in rows)


def best_tag(port: int, path: str, clip: Path) -> str:
    async def ask() -> bytes:
        async with Client(port) as client:
            return (await client.ask(post_form(port, path, clip.read_bytes()))).body

    tags = json.loads(run_apart(ask()))["tags"]
    return str(max(tags, key=lambda tag: tag["score"])["label"])
