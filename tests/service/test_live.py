"""Live sound over a WebSocket: a real process, real clients, and what the library says of the same samples."""

import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import psutil
import pytest
import soundfile
from benchmarks.liveload import UPGRADE, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from earmark.inference.classifier import Classifier
from earmark.inference.results import Event
from earmark.model.card import DecisionRule, Label
from earmark.model.modelfile import save
from earmark.service.live import MESSAGE_BYTES
from tests.service.process import Running, serving
from tests.tinymodel import tiny_card, tiny_graph

RATE_HZ = 16_000
OPENING = {"sample_rate": RATE_HZ, "format": "f32le"}
END = '{"type": "end"}'
TOKEN = "a-long-random-word"


@dataclass
class Heard:
    """All that a service said in a stream."""

    ready: dict[str, Any]
    frames: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    rest: list[dict[str, Any]] = field(default_factory=list)
    code: int | None = None

    @property
    def scores(self) -> list[Any]:
        return [row for message in self.frames for row in message["scores"]]

    @property
    def edges(self) -> list[float]:
        return [0.0, *(edge for message in self.frames for edge in message["edges"][1:])]

    def closed(self) -> list[dict[str, Any]]:
        """Return the events that closed, as a result lists them."""
        events = [
            {key: event[key] for key in event if key not in ("type", "kind")} for event in self.events_of("close")
        ]
        return sorted(events, key=lambda event: (event["onset"], event["offset"], event["id"]))

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


@contextmanager
def opened(running: Running, **opening: Any) -> Iterator[ClientConnection]:
    """Open a stream and say what will be sent."""
    with connect(running.address("ws", "/v1/stream"), max_size=None) as client:
        client.send(json.dumps(opening))
        yield client


def messages_of(client: ClientConnection) -> Iterator[dict[str, Any]]:
    """Yield what comes until the service closes."""
    with suppress(ConnectionClosed):
        while True:
            yield json.loads(client.recv())


def hear(client: ClientConnection) -> Heard:
    """Take down what comes until the service closes."""
    first, *others = messages_of(client)
    heard = Heard(first, code=client.close_code)
    for message in others:
        {"frames": heard.frames, "event": heard.events}.get(message["type"], heard.rest).append(message)
    return heard


def listened(running: Running, blocks: Sequence[bytes], **opening: Any) -> Heard:
    """Send blocks and the end, while what comes is taken down."""
    with opened(running, **opening) as client, ThreadPoolExecutor(1) as pool:
        heard = pool.submit(hear, client)
        for block in blocks:
            client.send(block)
        client.send(END)
        return heard.result()


def refused(running: Running, *messages: str | bytes, **headers: str) -> tuple[str, str, int | None]:
    """Send messages and return code and sentence of the error that comes of it, and how the stream is closed."""
    with connect(running.address("ws", "/v1/stream"), additional_headers=headers) as client:
        for message in messages:
            client.send(message)
        said = list(messages_of(client))
    error = said[-1]["error"]
    assert said[-1]["type"] == "error"
    assert set(error) == {"code", "message", "hint"}
    return error["code"], error["message"], client.close_code


def in_blocks(samples: np.ndarray, sizes: Sequence[int]) -> list[bytes]:
    """Cut samples of shape (samples, channels) into messages of so many samples, again and again."""
    blocks, start = [], 0
    for size in cycle(sizes):
        if start >= len(samples):
            return blocks
        blocks.append(samples[start : start + size].tobytes())
        start += size
    raise AssertionError


def sound(seed: int, rate_hz: int, *, seconds: float = 3.0, channels: int = 1, form: str = "f32le") -> np.ndarray:
    """Return noise that comes and goes."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    loudness = np.repeat(rng.choice([0.0, 0.01, 0.5], 12), -(-count // 12))[:count, None]
    samples = loudness * rng.standard_normal((count, channels)).clip(-1.9, 1.9) / 2
    return samples.astype("<f4") if form == "f32le" else (32767 * samples).astype("<i2")


def assert_same(heard: list[dict[str, Any]], expected: Sequence[Event]) -> None:
    """See that events are the same, but for the last digit of a score, which depends on what is scored at once."""
    assert heard == [event.to_dict() | {"score": pytest.approx(event.score, abs=2e-6)} for event in expected]


def rule_with_events(classifier: Classifier, source: tuple[np.ndarray, int]) -> DecisionRule:
    """Return a rule by which something is heard: its threshold lies in the widest gap between scores of a class."""
    scores = classifier.timeline(source).scores
    ordered = np.sort(scores[:, np.argmax(np.ptp(scores, axis=0))])
    wide = np.argmax(np.diff(ordered))
    on = float(ordered[wide : wide + 2].mean())
    return DecisionRule(on=on, off=on)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(1, 12_000), min_size=1, max_size=6),
    rate_hz=st.sampled_from([RATE_HZ, 8_000, 22_050, 44_100]),
    channels=st.integers(1, 3),
    form=st.sampled_from(["f32le", "s16le"]),
    model=st.sampled_from([0, 1]),
)
def test_a_stream_hears_what_a_file_says(
    running: Running,
    tiny_models: list[Path],
    seed: int,
    sizes: list[int],
    rate_hz: int,
    channels: int,
    form: str,
    model: int,
) -> None:
    samples = sound(seed, rate_hz, channels=channels, form=form)
    classifier = Classifier.load(tiny_models[model])
    rule = rule_with_events(classifier, (samples, rate_hz))
    timeline, events = classifier.timeline((samples, rate_hz)), classifier.events((samples, rate_hz), rule=rule)
    heard = listened(
        running,
        in_blocks(samples, [*sizes, 6_000]),
        sample_rate=rate_hz,
        format=form,
        channels=channels,
        model=classifier.card.name,
        on=rule.on,
        off=rule.off,
    )
    np.testing.assert_allclose(heard.scores, timeline.scores, atol=6e-5)
    np.testing.assert_allclose(heard.edges, timeline.edges, atol=2e-6)
    novelty = [value for message in heard.frames for value in message.get("novelty", [])]
    np.testing.assert_allclose(novelty, [] if timeline.novelty is None else timeline.novelty, atol=6e-5)
    assert_same(heard.closed(), events.events)
    assert len(heard.events_of("open")) == len(events.events)
    assert heard.rest == [{"type": "summary", "seconds": round(len(samples) / rate_hz, 6)}]
    assert heard.code == 1000
    assert [label["id"] for label in heard.ready["labels"]] == [label.id for label in classifier.card.labels]


def test_options_are_those_of_events(running: Running, tiny_models: list[Path]) -> None:
    samples = sound(3, RATE_HZ, seconds=6.0)
    classifier = Classifier.load(tiny_models[0])
    on = rule_with_events(classifier, (samples, RATE_HZ)).on
    rule = DecisionRule(on=on, off=on / 2, smoothing_seconds=0.5, min_duration_seconds=0.3, merge_gap_seconds=0.4)
    labels = ["Noise, hiss", "Glöckchen", "Tone"]
    expected = classifier.events((samples, RATE_HZ), rule=rule, allow=labels, deny=["Tone"])
    options = {"on": on, "off": on / 2, "smoothing": 0.5, "min_duration": 0.3, "merge_gap": 0.4}
    heard = listened(running, in_blocks(samples, [1600]), **OPENING, **options, allow=",".join(labels), deny=["Tone"])
    assert_same(heard.closed(), expected.events)
    assert expected.events
    assert [label["label"] for label in heard.ready["labels"]] == ["Noise, hiss", "Glöckchen"]
    assert heard.ready["model"] == "tiny"
    assert heard.ready["frame_hop_seconds"] == classifier.card.frame_hop_seconds


def test_scores_may_be_the_best_or_none(running: Running) -> None:
    blocks = in_blocks(sound(4, RATE_HZ), [1600])
    whole = listened(running, blocks, **OPENING)
    best = listened(running, blocks, **OPENING, top=2)
    expected = [sorted(enumerate(row), key=lambda pair: -pair[1])[:2] for row in whole.scores]
    assert best.scores == [[list(pair) for pair in row] for row in expected]
    none = listened(running, blocks, **OPENING, scores=False)
    assert none.frames == []
    assert none.events == whole.events


def test_scores_come_as_soon_as_their_sound_has(running: Running, tiny_models: list[Path]) -> None:
    card = Classifier.load(tiny_models[0]).card
    samples = sound(5, RATE_HZ)[:, 0]
    with opened(running, **OPENING) as client:
        assert json.loads(client.recv())["type"] == "ready"
        start = 0
        for frame in range(5):
            needed = card.frame_length + frame * card.frame_hop
            client.send(samples[start : needed - 1].tobytes())
            client.send(samples[needed - 1 : needed].tobytes())
            start = needed
            while (message := json.loads(client.recv()))["type"] != "frames":
                pass
            assert len(message["scores"]) == 1


def test_many_listen_at_once(running: Running, tiny_models: list[Path]) -> None:
    classifier = Classifier.load(tiny_models[0])
    sounds = [sound(seed, RATE_HZ, seconds=2.0) for seed in range(24)]
    with ThreadPoolExecutor(len(sounds)) as pool:
        heard = list(pool.map(lambda samples: listened(running, in_blocks(samples, [997]), **OPENING), sounds))
    for samples, one in zip(sounds, heard, strict=True):
        np.testing.assert_allclose(one.scores, classifier.timeline((samples, RATE_HZ)).scores, atol=6e-5)
        assert one.code == 1000


def test_an_end_without_sound_is_an_end(running: Running) -> None:
    heard = listened(running, [], **OPENING)
    assert (heard.frames, heard.events, heard.rest, heard.code) == ([], [], [{"type": "summary", "seconds": 0.0}], 1000)


def test_sound_is_counted(running: Running) -> None:
    before = running.metric('earmark_sound_seconds_total{model="tiny"}')
    listened(running, in_blocks(sound(6, RATE_HZ), [4000]), **OPENING)
    assert running.metric('earmark_sound_seconds_total{model="tiny"}') == before + 3.0


@pytest.mark.parametrize(
    ("first", "code", "said"),
    [
        ("no JSON", "bad_option", "is not JSON"),
        ("[" * 100_000, "bad_option", "is not JSON"),
        ("[]", "bad_option", "is a JSON list"),
        ("{}", "bad_option", "has no sample_rate"),
        ('{"sample_rate": "fast"}', "bad_option", "sample_rate='fast' is not allowed"),
        ('{"sample_rate": 16000, "smothing": 1}', "unknown_parameter", "did you mean 'smoothing'"),
        ('{"sample_rate": 16000, "format": "mp3"}', "bad_option", "'s16le' or 'f32le'"),
        ('{"sample_rate": 16000, "channels": 0}', "bad_option", "channels=0"),
        ('{"sample_rate": 16000, "top": 0}', "bad_option", "top=0"),
        ('{"sample_rate": 16000, "on": 2}', "bad_option", "2"),
        ('{"sample_rate": 16000, "on": NaN}', "bad_option", "nan"),
        ('{"sample_rate": 16000, "smoothing": 1e308}', "bad_option", "smoothing_seconds is 1e+308"),
        ('{"sample_rate": 1}', "bad_sample_rate", "1 Hz"),
        ('{"sample_rate": 16000, "model": "none"}', "unknown_model", "'none'"),
        ('{"sample_rate": 16000, "allow": ["Tuba"]}', "unknown_label", "'Tuba'"),
        ('{"sample_rate": 16000, "allow": ""}', "bad_option", "empty"),
        (END, "unknown_parameter", "'type'"),
        (b"\0\0", "bad_message", "before it was said what sound it is"),
        ("{" + " " * MESSAGE_BYTES + "}", "too_large", "are allowed"),
    ],
)
def test_a_wrong_first_message_is_refused(running: Running, first: str | bytes, code: str, said: str) -> None:
    told, sentence, closed = refused(running, first)
    assert (told, closed) == (code, 1009 if code == "too_large" else 1008)
    assert said in sentence


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (b"\0" * 5, "bad_option", "a message of 5 bytes does not hold whole samples of 4 bytes"),
        (np.full(RATE_HZ, np.nan, "<f4").tobytes(), "non_finite", "NaN or infinite"),
        ("garbage", "bad_message", "A text of 7 characters"),
        ("[" * 100_000, "bad_message", "A text of 100000 characters"),
        ('{"type": "begin"}', "bad_message", "A text of 17 characters"),
        (bytes(MESSAGE_BYTES + 4), "too_large", f"{MESSAGE_BYTES + 4} bytes"),
    ],
)
def test_a_wrong_message_ends_the_stream(running: Running, message: str | bytes, code: str, said: str) -> None:
    opening = json.dumps(OPENING)
    told, sentence, closed = refused(running, opening, bytes(4 * RATE_HZ), message)
    assert (told, closed) == (code, 1009 if code == "too_large" else 1008)
    assert said in sentence


@pytest.mark.parametrize("form", ["s16le", "f32le"])
@given(data=st.binary(max_size=4000))
@settings(max_examples=25, deadline=None)
def test_whatever_comes_is_heard_or_refused(running: Running, form: str, data: bytes) -> None:
    with opened(running, sample_rate=100, format=form) as client:
        client.send(data)
        with suppress(ConnectionClosed):
            client.send(END)
        heard = hear(client)
    assert heard.code in (1000, 1008)
    assert heard.rest[-1]["type"] == ("summary" if heard.code == 1000 else "error")
    assert all(score is None or 0.0 <= score <= 1.0 for row in heard.scores for score in row)


@contextmanager
def raw(running: Running, **opening: Any) -> Iterator[socket.socket]:
    """Open a stream without a library, which would close it as one should."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # what is not read is soon too much
        client.connect(("127.0.0.1", running.port))
        client.sendall(UPGRADE.format(host="127.0.0.1", port=running.port).encode())
        assert client.recv(12) == b"HTTP/1.1 101"
        client.sendall(frame(1, json.dumps(opening).encode()))
        yield client


def test_a_message_beyond_all_limits_closes_the_stream(running: Running) -> None:
    with raw(running, **OPENING) as client:
        client.sendall(frame(2, bytes(MESSAGE_BYTES)))
        with suppress(ConnectionError):
            client.sendall(frame(2, bytes(16 * MESSAGE_BYTES)))
        with suppress(ConnectionError):
            while client.recv(2**16):
                pass
    running.wait_for("earmark_listeners", 0)


def test_other_pages_are_refused(running: Running) -> None:
    own = running.address("http", "")
    with connect(running.address("ws", "/v1/stream"), origin=own) as client:
        client.send(json.dumps(OPENING))
        assert json.loads(client.recv())["type"] == "ready"
    for origin in ("http://example.org", "null", own.replace("http", "https") + "0"):
        with pytest.raises(InvalidStatus, match="403"), connect(running.address("ws", "/v1/stream"), origin=origin):
            pass


def reset(client: ClientConnection) -> None:
    """Vanish as a machine does that loses its power or its network: no close, and nothing that is read any more."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_dropped_clients_free_everything(running: Running) -> None:
    def drop(times: int) -> int:
        for number in range(times):
            with opened(running, **OPENING) as client:
                assert json.loads(client.recv())["type"] == "ready"
                client.send(bytes(4 * RATE_HZ * (number % 3)))
                if number % 2:
                    reset(client)
        running.wait_for("earmark_listeners", 0)
        return int(psutil.Process(running.process.pid).memory_info().rss)

    first = drop(30)
    assert drop(120) - first < 16 * 2**20


def test_a_client_that_sends_too_fast_waits(running: Running) -> None:
    """Sixty megabytes go in as fast as they are taken, and are nowhere kept."""
    process = psutil.Process(running.process.pid)
    listened(running, [bytes(MESSAGE_BYTES)] * 4, sample_rate=RATE_HZ, scores=False)
    before = process.memory_info().rss
    heard = listened(running, [bytes(MESSAGE_BYTES)] * 60, sample_rate=RATE_HZ, scores=False)
    assert heard.rest[-1]["seconds"] == 60 * MESSAGE_BYTES / 2 / RATE_HZ
    assert process.memory_info().rss - before < 24 * 2**20


def send_for_ever(client: socket.socket) -> NoReturn:
    """Send silence of 100 Hz, of which a megabyte is an hour and a half, and has many scores."""
    while True:
        client.sendall(frame(2, bytes(MESSAGE_BYTES)))


def test_a_client_that_does_not_read_is_closed(tmp_path: Path) -> None:
    """A model of many labels says much of little sound, so that soon no more of it can be sent."""
    labels = [Label(f"/t/{number}", f"Label {number}") for number in range(500)]
    graph = tiny_graph(np.random.default_rng(7), labels=labels)
    model = save(graph, tiny_card(labels=tuple(labels)), tmp_path / "talkative.onnx")
    patience = {"live.READING_SECONDS": 0.5, "websocket.LINGER_SECONDS": 0.5}
    with serving([model], patience) as running, raw(running, sample_rate=100) as client:
        with pytest.raises(ConnectionError):
            send_for_ever(client)
        running.wait_for("earmark_listeners", 0)


def test_a_client_that_says_nothing_is_closed(tiny_models: list[Path]) -> None:
    with serving(tiny_models, {"live.OPENING_SECONDS": 0.2}) as running:
        assert refused(running)[0] == "bad_message"
        running.wait_for("earmark_listeners", 0)


def test_the_token_is_asked_for(tiny_models: list[Path]) -> None:
    opening = json.dumps(OPENING)
    with serving(tiny_models, token=TOKEN) as running:
        assert refused(running, opening)[::2] == ("token_missing", 1008)
        assert refused(running, json.dumps(OPENING | {"token": "another"}))[::2] == ("token_wrong", 1008)
        assert refused(running, json.dumps(OPENING | {"token": "wörtchen"}))[::2] == ("token_wrong", 1008)
        assert refused(running, opening, Authorization="Bearer another")[::2] == ("token_wrong", 1008)
        assert listened(running, [], **OPENING, token=TOKEN).code == 1000
        header = {"Authorization": f"Bearer {TOKEN}"}
        with connect(running.address("ws", "/v1/stream"), additional_headers=header) as client:
            client.send(opening)
            client.send(END)
            assert hear(client).code == 1000


def test_there_is_room_for_so_many(tiny_models: list[Path]) -> None:
    with serving(tiny_models, limits={"listeners": 2}) as running, opened(running, **OPENING) as first:
        with opened(running, **OPENING) as second:
            assert {json.loads(client.recv())["type"] for client in (first, second)} == {"ready"}
            assert refused(running, json.dumps(OPENING))[::2] == ("too_many_listeners", 1013)
            assert running.metric("earmark_listeners") == 2
        running.wait_for("earmark_listeners", 1)
        assert listened(running, [], **OPENING).code == 1000


def test_at_shutdown_all_is_told(tiny_models: list[Path]) -> None:
    samples = sound(8, RATE_HZ)
    source = (samples[:20_000], RATE_HZ)
    classifier = Classifier.load(tiny_models[0])
    rule = rule_with_events(classifier, source)
    with (
        serving(tiny_models) as running,
        connect(running.address("ws", "/v1/stream")) as silent,
        opened(running, **OPENING, on=rule.on, off=rule.off) as client,
    ):
        assert json.loads(client.recv())["type"] == "ready"
        client.send(samples[:20_000].tobytes())
        first = json.loads(client.recv())
        running.process.send_signal(signal.SIGTERM)
        said = [first, *messages_of(client)]
        assert client.close_code == 1001
        with pytest.raises(ConnectionClosed):
            silent.recv()
        assert running.process.wait(60) == 0
    assert said[-1] == {"type": "summary", "seconds": 1.25}
    frames = [row for message in said if message["type"] == "frames" for row in message["scores"]]
    np.testing.assert_allclose(frames, classifier.timeline(source).scores, atol=6e-5)
    closed = [message for message in said if message.get("kind") == "close"]
    assert len(closed) == len(classifier.events(source, rule=rule).events)


def test_the_client_of_the_guide_hears(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/stream.md").read_text(encoding="utf-8")
    program = guide.partition("```python\n")[2].partition("```")[0]
    assert "ws://127.0.0.1:8000/v1/stream" in program
    soundfile.write(tmp_path / "street.wav", sound(9, RATE_HZ)[:, 0], RATE_HZ)
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program.replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, *events = done.stdout.splitlines()
    assert first == "tiny listens"
    assert {line.split()[0] for line in events} == {"open", "close"}
