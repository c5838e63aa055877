"""The service under load: clips a second, overhead, live listeners, memory, hostile files.

All on two cores of one machine, which service and load share, over loopback. The peer of the throughput is the service
that people write in an afternoon (`plainservice.py`), as uvicorn runs it, in one process, and as somebody runs it who
knows that there are two cores, in two. All are up all the time, and are loaded in turn, each by sixteen clients that
send five seconds of sound as soon as their last are answered. The best round counts; the 99th percentile is of all
requests of all rounds.

A live listener sends blocks of 20 ms as a microphone gives them, and none begins at the same moment as another. The
delay of a score is from the sending of the block with the last sample that it needs to its receipt. At 48 kHz, as
browsers have it, the resampler holds samples back, which the delay includes.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import soxr
from tests.service.hostile import hostile_files, make_originals

from benchmarks.attack import Course, attack
from benchmarks.bench import Bench
from benchmarks.corpus import RATE_HZ, Clip, make_oggs, pieces
from benchmarks.httpclient import Client, post
from benchmarks.row import Goal, Quantity, Row
from benchmarks.services import Service, earmark_service, load, plain_service
from benchmarks.timing import alternate, cores
from earmark.errors import EarmarkError
from earmark.inference.classifier import Classifier

MODEL = "yamnet-int8"
CORES = 2
CLIENTS = 16
OGG_RATE_HZ = 44_100
BROWSER_RATE_HZ = 48_000
LISTENERS = 50
HELD_BACK_SECONDS = 0.05  # the most that the resampler keeps, from 48 kHz
TOGETHER = 8
PEERS = {"FastAPI, librosa, LiteRT": 1, "FastAPI, librosa, LiteRT, two processes": CORES}
"""Plain services, and in how many processes they run."""


def measure(bench: Bench) -> Iterator[Row]:
    """Yield all rows."""
    with cores(CORES):
        clips = bench.esc10[:100]
        forms = {"FLAC, 16 kHz": [clip.path for clip in clips]}
        forms["OGG, 44.1 kHz"] = make_oggs(clips, bench.folder / "serve", OGG_RATE_HZ)
        with ExitStack() as services:
            ours = services.enter_context(earmark_service(bench, MODEL))
            peers = {name: services.enter_context(plain_service(bench, count)) for name, count in PEERS.items()}
            for what, files in forms.items():
                yield from throughput(bench, ours, peers, files, what)
            yield overhead(bench, ours, clips)
        yield from live(bench)
        yield memory(bench, forms["FLAC, 16 kHz"])
        yield from hostile(bench, clips[0])
        yield together(bench, clips)


def throughput(
    bench: Bench, ours: Service, peers: Mapping[str, Service], files: Sequence[Path], what: str
) -> Iterator[Row]:
    """Yield clips a second and the 99th percentile of one form of the clips, beside the peers."""
    rounds, requests = bench.pick(5, 1), bench.pick(400, 20)
    ways = {"earmark": (ours, "/v1/classify"), **{name: (peer, "/classify") for name, peer in peers.items()}}
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}

    def sender(way: str) -> Callable[[], None]:
        service, path = ways[way]
        return lambda: runs[way].append(send_clips(service, path, files, requests))

    alternate({way: sender(way) for way in ways}, rounds)
    rates = {way: max(requests / run["wall"] for run in done[1:]) for way, done in runs.items()}
    delays = {way: [second for run in done[1:] for second in run["seconds"]] for way, done in runs.items()}
    late = {way: 1000 * float(np.percentile(seconds, 99)) for way, seconds in delays.items()}
    for peer in peers:
        yield Row(
            what=f"{what}: 5-second clips, {CLIENTS} clients",
            ours=Quantity(rates["earmark"], "clips/s"),
            against=peer,
            peer=Quantity(rates[peer], "clips/s"),
            goal=Goal(2.5, "ratio"),
            note=f"medians {1000 * median(delays['earmark']):.0f} and {1000 * median(delays[peer]):.0f} ms",
        )
        yield Row(
            what=f"{what}: 99th percentile",
            ours=Quantity(late["earmark"], "ms"),
            against=peer,
            peer=Quantity(late[peer], "ms"),
            goal=Goal(1.0, "ratio", at_most=True),
        )


def send_clips(service: Service, path: str, files: Sequence[Path], requests: int) -> dict[str, Any]:
    """Load a service with clips, see that every one was answered, and return what was taken down."""
    plan = {
        "port": service.port,
        "path": path,
        "files": [str(file) for file in files],
        "clients": CLIENTS,
        "requests": requests,
    }
    taken = load("httpload", plan)
    assert taken["statuses"] == {"200": requests}, taken["statuses"]
    return taken


def overhead(bench: Bench, service: Service, clips: Sequence[Clip]) -> Row:
    """Return how much longer one clip takes through the service than in a process that has the model."""
    classifier = Classifier.load(MODEL, threads=1)
    sounds = [clip.path.read_bytes() for clip in clips[: bench.pick(50, 5)]]

    async def through_service() -> None:
        async with Client(service.port) as client:
            for sound in sounds:
                request = post(service.port, "/v1/classify", sound)
                begin = perf_counter()
                answer = await client.ask(request)
                seconds["service"].append(perf_counter() - begin)
                assert answer.status == 200, answer

    def in_process() -> None:
        for sound in sounds:
            begin = perf_counter()
            classifier.classify(sound)
            seconds["process"].append(perf_counter() - begin)

    seconds: dict[str, list[float]] = {"service": [], "process": []}
    alternate({"service": lambda: asyncio.run(through_service()), "process": in_process}, bench.pick(5, 1))
    both = {way: 1000 * median(taken[len(sounds) :]) for way, taken in seconds.items()}
    return Row(
        what="one clip: longer than Classifier.classify in process",
        ours=Quantity(both["service"] - both["process"], "ms"),
        goal=Goal(10.0, at_most=True),
        note=f"medians {both['service']:.1f} and {both['process']:.1f} ms, one client",
    )


def live(bench: Bench) -> Iterator[Row]:
    """Yield the delay of scores for many listeners at once."""
    seconds, listeners = bench.pick(60, 3), bench.pick(LISTENERS, 5)
    waveform = next(pieces(bench.esc50, 2 * seconds + 10))
    with earmark_service(bench, MODEL, "everyday") as service:
        for model, rate_hz in ((MODEL, RATE_HZ), (MODEL, BROWSER_RATE_HZ), ("everyday", RATE_HZ)):
            sound = bench.folder / f"live-{rate_hz}.pcm"
            samples = soxr.resample(waveform, RATE_HZ, rate_hz)
            (32767 * np.clip(samples, -1, 1)).astype("<i2").tofile(sound)
            card = Classifier.load(model).card
            plan = {
                "host": "127.0.0.1",
                "port": service.port,
                "listeners": listeners,
                "seconds": seconds,
                "seed": 1,
                "sound": str(sound),
                "opening": {"sample_rate": rate_hz, "format": "s16le", "model": model},
                "length_seconds": card.frame_length_seconds,
                "hop_seconds": card.frame_hop_seconds,
            }
            before = _cpu_seconds(service)
            taken = load("liveload", plan)
            load_cores = (_cpu_seconds(service) - before) / seconds
            see_all_heard(taken, plan, card.sample_rate)
            yield live_row(f"{listeners} listeners, {model}, {rate_hz // 1000} kHz", taken, load_cores)


def see_all_heard(taken: dict[str, Any], plan: dict[str, Any], rate_hz: int) -> None:
    """See that every listener got the scores of all it sent: those that were dropped midway have no late ones."""
    held_back_seconds = 0.0 if plan["opening"]["sample_rate"] == rate_hz else HELD_BACK_SECONDS
    least, most = (
        int((seconds - plan["length_seconds"]) / plan["hop_seconds"] + 1 + 1e-6)
        for seconds in (plan["seconds"] - held_back_seconds, plan["seconds"])
    )
    assert all(least <= count <= most for count in taken["frames"]), f"{taken['frames']} are not {least} to {most}"


def live_row(what: str, taken: dict[str, Any], load_cores: float) -> Row:
    """Return the row of one load."""
    middle, late, latest = (1000 * float(value) for value in np.percentile(taken["delays"], [50, 99, 100]))
    return Row(
        what=f"{what}: sample to score, 99th percentile",
        ours=Quantity(late, "ms"),
        goal=Goal(300.0, at_most=True),
        note=f"median {middle:.0f} ms, longest {latest:.0f} ms, {len(taken['delays']):,} scores of all classes; the "
        f"service used {load_cores:.2f} cores; blocks went out {1000 * taken['late']:.0f} ms late at most",
    )


def memory(bench: Bench, files: Sequence[Path]) -> Row:
    """Return what the processes have after many requests, beside what they had after few."""
    few, many = bench.pick(100, 50), bench.pick(10_000, 100)
    with earmark_service(bench, MODEL) as service:
        send_clips(service, "/v1/classify", files, few)
        before = service.memory_bytes()
        send_clips(service, "/v1/classify", files, many - few)
        after = service.memory_bytes()
    return Row(
        what=f"memory after {many:,} requests, all processes",
        ours=Quantity(after / 1e6, "MB"),
        against=f"after {few}",
        peer=Quantity(before / 1e6, "MB"),
        goal=Goal(1.1, "ratio", at_most=True),
    )


def hostile(bench: Bench, clip: Clip) -> Iterator[Row]:
    """Yield how many hostile files, and how many good requests beside them, were answered as they should not."""
    folder = bench.folder / "hostile"
    folder.mkdir()
    files = hostile_files(make_originals(folder), bench.pick(1000, 70), seed=2026)
    with earmark_service(bench, MODEL) as service:
        course = asyncio.run(attack(service.port, files, clip.path.read_bytes()))
        restarts = service.restarts()
        assert service.process.is_running()
    course.failures += wrong_tags(course)
    yield Row(
        what=f"{sum(course.codes.values()) + len(course.failures):,} hostile files: without a clear answer",
        ours=Quantity(len(course.failures), ""),
        goal=Goal(0, at_most=True),
        note=", ".join(f"{code} {count}" for code, count in course.codes.most_common())
        + f"; workers lost: {restarts}"
        + "".join(f"; {failure}" for failure in course.failures[:5]),
    )
    yield Row(
        what="good requests meanwhile that were not answered well",
        ours=Quantity(course.good_failed, ""),
        goal=Goal(0, at_most=True),
        note=f"of {course.good:,}",
    )


def wrong_tags(course: Course) -> list[str]:
    """Return the files that were answered with other tags than the library has for them."""
    classifier = Classifier.load(MODEL)
    return [f"{file.name}: tags" for file, tags in course.tagged if _tags(classifier, file.data) != tags]


def _tags(classifier: Classifier, data: bytes) -> list[Any]:
    try:
        tags: list[Any] = classifier.classify(data).to_dict()["tags"]
    except EarmarkError as error:
        return [str(error)]
    return tags


def together(bench: Bench, clips: Sequence[Clip]) -> Row:
    """Return what it would bring to score several one-second clips in one call of the model, on both cores."""
    backend = Classifier.load(MODEL).backend
    sounds = np.stack([clip.waveform()[:RATE_HZ] for clip in clips] * 4)[: bench.pick(400, 16)]
    with ThreadPoolExecutor(CORES) as pool:

        def score(count: int) -> None:
            calls = [sounds[start : start + count] for start in range(0, len(sounds), count)]
            assert all(pool.map(backend.run, calls))

        runs = alternate({"one": lambda: score(1), "many": lambda: score(TOGETHER)}, bench.pick(7, 1))
    rates = {way: len(sounds) / min(seconds) for way, seconds in runs.items()}
    return Row(
        what=f"one-second clips, {TOGETHER} in a call of the model",
        ours=Quantity(rates["many"], "clips/s"),
        against="one in a call",
        peer=Quantity(rates["one"], "clips/s"),
        note="in process, sound in memory: the most that batching of requests could bring",
    )


def _cpu_seconds(service: Service) -> float:
    return float(sum(service.process.cpu_times()[:2]))
