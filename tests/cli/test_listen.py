"""listen, as people run it: pipes, files, a microphone, actions, and an end that is always clean."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import PROGRAM, Done, Here, earmark
from tests.inference.test_hooks import Server, alive, wait_until
from tests.inference.test_stream import restless

Fed = Callable[..., Done]

RATE_HZ = 16_000
PATIENCE_SECONDS = 60.0
"""How long a test waits for what must happen, far longer than it takes on a busy machine."""
RULE = ("--on", "0.52", "--off", "0.5", "--smoothing", "0.8", "--min-duration", "0.3", "--merge-gap", "0.5")
ALWAYS = ("--on", "0", "--off", "0", "--allow", "Tone", "--json")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of 12 s in which events open and close."""
    path = tmp_path_factory.mktemp("listen") / "street.wav"
    soundfile.write(path, restless(12 * RATE_HZ, RATE_HZ), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def expected(street: Path, tiny_model: Path) -> list[dict[str, object]]:
    """Return the events of the recording."""
    (result,) = earmark("events", street, "--model", tiny_model, *RULE, "--json", cwd=street.parent).objects
    assert len(result["events"]) > 3
    return result["events"]


def listen(street: Path, tiny_model: Path, *words: str | Path, stdin: bytes = b"") -> Done:
    return earmark("listen", *words, "--model", tiny_model, *RULE, cwd=street.parent, stdin=stdin)


@pytest.fixture
def fed(here: Here, monkeypatch: pytest.MonkeyPatch) -> Fed:
    """Return what runs the command in this process, with a pipe for standard input."""

    def run(*words: str | Path, stdin: bytes) -> Done:
        receiving, sending = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(receiving) as source:  # closed first: nobody writes for ever
            monkeypatch.setattr("sys.stdin", source)
            pool.submit(write_all, sending, stdin)
            return here("listen", *words)

    return run


def write_all(descriptor: int, data: bytes) -> None:
    """Write into a pipe until all is written or nobody reads, and close it."""
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        pipe.write(data)


def converted(street: Path, *options: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", street, *options, "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def close(events, expected, tolerance: float = 0.01) -> None:
    """Compare events without their scores, which another codec changes a little."""
    spans = [[(e["label"], e["onset"], e["offset"]) for e in sorted_events(found)] for found in (events, expected)]
    assert [label for label, _, _ in spans[0]] == [label for label, _, _ in spans[1]]
    np.testing.assert_allclose([s[1:] for s in spans[0]], [s[1:] for s in spans[1]], atol=tolerance)


def sorted_events(events):
    return sorted(events, key=lambda event: (event["onset"], event["label"]))


def check(done: Done, expected, *, seconds: float = 12.0, notes: bool = False) -> None:
    """Hold the JSON lines of a run against the events of the file."""
    assert (done.status, done.err) == (0, "")
    *lines, summary = done.objects
    assert {line["kind"] for line in lines} == {"open", "close"}
    ends = [line for line in lines if line["kind"] == "close"]
    assert len(ends) == len(lines) / 2 == len(expected)
    assert set(ends[0]) == {"kind", "label", "id", "onset", "offset", "score"}
    close(ends, expected)
    assert summary["seconds"] == pytest.approx(seconds, abs=0.001)
    calls = {"done": 0, "failed": 0, "dropped": 0, "left": 0}
    assert summary == {
        "kind": "summary",
        "model": "tiny",
        "seconds": summary["seconds"],
        "lost_seconds": 0.0,
        "events": len(expected),
        "calls": calls,
        "notes": summary["notes"],
    }
    assert [note.partition(":")[0] for note in summary["notes"]] == ["clipping"] * notes


def test_a_recording(street: Path, tiny_model: Path, expected) -> None:
    done = listen(street, tiny_model, street, "--json")
    check(done, expected, notes=True)
    ends = [{k: v for k, v in line.items() if k != "kind"} for line in done.objects if line["kind"] == "close"]
    assert sorted_events(ends) == [{**e, "score": pytest.approx(e["score"], abs=1e-4)} for e in sorted_events(expected)]


@pytest.mark.parametrize(
    "options",
    [
        ("-f", "wav"),
        ("-f", "wav", "-c:a", "pcm_f32le", "-af", "pan=stereo|c0=c0|c1=c0"),
        ("-f", "wav", "-c:a", "pcm_s24le"),
        ("-f", "flac"),
        ("-f", "matroska", "-c:a", "flac"),
    ],
    ids=" ".join,
)
def test_a_file_on_standard_input(street: Path, tiny_model: Path, expected, fed: Fed, options: tuple[str, ...]) -> None:
    plain = options[:2] == ("-f", "wav") and "pcm_s24le" not in options  # samples straight from the pipe: no doctor
    words = ("-", "--model", tiny_model, *RULE, "--json")
    check(fed(*words, stdin=converted(street, *options)), expected, notes=not plain)


def test_the_pipe_of_the_docs(street: Path, tiny_model: Path, expected) -> None:
    writer = subprocess.Popen(["ffmpeg", "-v", "error", "-i", street, "-f", "wav", "-"], stdout=subprocess.PIPE)
    words = [*PROGRAM, "listen", "-", "--model", str(tiny_model), *RULE, "--json"]
    reader = subprocess.run(words, check=False, capture_output=True, stdin=writer.stdout, timeout=60)
    writer.stdout.close()
    assert writer.wait(PATIENCE_SECONDS) == 0
    check(Done(reader.returncode, reader.stdout.decode(), reader.stderr.decode()), expected)


def test_a_lossy_file_on_standard_input(street: Path, tiny_model: Path, fed: Fed) -> None:
    done = fed("-", "--model", tiny_model, *RULE, "--json", stdin=converted(street, "-f", "ogg"))
    assert done.status == 0
    assert done.objects[-1]["seconds"] == pytest.approx(12.0, abs=0.1)
    assert len(done.objects) > 3


@pytest.mark.parametrize(("form", "channels"), [("s16le", 1), ("f32le", 1), ("s16le", 3)])
def test_raw_pcm(street: Path, tiny_model: Path, expected, fed: Fed, form: str, channels: int) -> None:
    copies = "|".join(f"c{channel}=c0" for channel in range(channels))
    data = converted(street, "-f", form, "-af", f"pan={channels}c|{copies}")
    words = ("-", "--rate", "16000", "--pcm", form, "--channels", str(channels), "--model", tiny_model, *RULE, "--json")
    check(fed(*words, stdin=data), expected)


def test_lines_for_people(street: Path, tiny_model: Path, expected, here: Here) -> None:
    done = here("listen", street, "--model", tiny_model, *RULE)
    lines = done.out.splitlines()
    assert done.status == 0
    model, summary, note = done.err.splitlines()
    assert model == "earmark: tiny 1 answers, with 5 labels"
    assert summary == f"12.00 s heard by tiny, nothing lost; {len(expected)} events"
    assert note.startswith("earmark: note: clipping: ")
    assert len(lines) == 2 * len(expected)
    event = sorted_events(expected)[0]
    assert f"{event['onset']:9.2f} s  begins  {event['label']}" in lines
    length = event["offset"] - event["onset"]
    end = f"{event['offset']:9.2f} s  ends    {event['label']}  ({length:.2f} s, score {event['score']:.2f})"
    assert end in lines


def test_labels_and_duration(street: Path, tiny_model: Path, here: Here) -> None:
    words = ("--model", tiny_model, "--allow", "Tone,Glöckchen", "--deny", "tone", "--on", "0", "--off", "0", "--json")
    done = here("listen", street, *words, "--duration", "2.5")
    assert done.status == 0
    begin, end, summary = done.objects
    assert (begin["kind"], begin["label"], end["offset"], summary["seconds"]) == ("open", "Glöckchen", 2.5, 2.5)
    assert summary["notes"] == [], "nobody asked for the rest"
    one = here("listen", street, *words[:-1], "--duration", "2.5")
    assert one.err.splitlines()[1:] == ["2.50 s heard by tiny, nothing lost; 1 event"]


def test_a_recording_that_is_cut_off_is_told(street: Path, tiny_model: Path, here: Here, tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(street.read_bytes()[: 2 * 2 * RATE_HZ])
    for words in ((path,), (path, "--realtime", "--duration", "20")):
        done = here("listen", *words, "--model", tiny_model, "--json")
        assert done.status == 0
        assert any(note.startswith("truncated: ") for note in done.objects[-1]["notes"])


def test_a_command_gets_each_event(street: Path, tiny_model: Path, expected, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = f"sh -c 'cat >> {log}; echo \" $EARMARK_EVENT_KIND\" >> {log}'"
    done = listen(street, tiny_model, street, "--exec", command, "--json")
    lines = [line.rpartition(" ") for line in log.read_text().splitlines()]
    told = [(json.loads(event), kind) for event, _, kind in lines]
    *changes, summary = done.objects
    assert [without_time_and_place(event, str(street)) for event, _ in told] == changes
    assert all(event["kind"] == kind for event, kind in told)
    assert summary["calls"] == {"done": len(changes), "failed": 0, "dropped": 0, "left": 0}
    assert len(changes) == 2 * len(expected)


def without_time_and_place(event: dict[str, object], source: str) -> dict[str, object]:
    """Check the clock's time and the source of what an action got, and return the rest."""
    told = datetime.fromisoformat(str(event["time"]))
    assert told.utcoffset() == timedelta(0)
    assert abs(told - datetime.now(UTC)) < timedelta(minutes=2)
    assert event["source"] == source
    return {key: value for key, value in event.items() if key not in ("time", "source")}


def test_what_a_command_prints_is_shown(street: Path, tiny_model: Path, here: Here) -> None:
    command = "sh -c 'echo hello from $EARMARK_EVENT_SOURCE at ${EARMARK_EVENT_TIME%T*}'"
    done = here("listen", street, "--model", tiny_model, *ALWAYS, "--exec", command)
    assert len(done.objects) == 3, "standard output is for events"
    today = f"{datetime.now(UTC):%Y-%m-}"
    hellos = [line for line in done.err.splitlines() if line.startswith(f"hello from {street} at {today}")]
    assert len(hellos) == 2


def test_a_webhook_gets_each_event(street: Path, tiny_model: Path, here: Here) -> None:
    with Server(204).running() as server:
        done = here("listen", street, "--model", tiny_model, *RULE, "--webhook", server.url, "--json")
    assert (done.status, done.err) == (0, "")
    got = [without_time_and_place(event, str(street)) for _, _, event in server.got]
    assert got == done.objects[:-1]


def test_actions_that_fail_are_said_and_counted(street: Path, tiny_model: Path, expected) -> None:
    with Server(404).running() as server:
        done = listen(street, tiny_model, street, "--webhook", server.url, "--exec", "false")
    assert done.status == 0, "listening itself went well"
    *about, failures, _ = done.err.splitlines()[1:]
    about_command, about_address = sorted(about)
    assert about_command == "earmark: exec false: exit status 1"
    assert about_address.startswith("earmark: webhook 127.0.0.1:")
    assert about_address.endswith(": answered 404 Not Found")
    assert failures.endswith(f"; calls: {4 * len(expected)} failed")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-", "--device-name", "USB"), "--device-name is for the microphone, and - is none"),
        (("street.wav", "--rate", "16000"), "--rate is for raw PCM on standard input"),
        (("--realtime",), "--realtime is for a recording"),
        (("-", "--realtime"), "--realtime is for a recording"),
        (("-", "--allow", "Tonne"), "no label matches 'Tonne'"),
        (("-", "--exec", "no-such-program"), "exec: no program 'no-such-program'"),
        (("-", "--webhook", "localhost"), "webhook: 'localhost' is no address"),
        (("-", "--on", "0.1", "--off", "0.9"), "give an off threshold at or below"),
    ],
)
def test_wrong_usage(tiny_model: Path, here: Here, words: tuple[str, ...], message: str) -> None:
    done = here("listen", *words, "--model", tiny_model)
    assert (done.status, done.out) == (2, "")
    (complaint,) = done.complaints
    assert message in complaint


@pytest.mark.parametrize(
    ("words", "stdin", "status", "message"),
    [
        (("-",), bytes(range(256)) * 400, 1, "If it is raw PCM, say its rate, such as --rate 16000."),
        (("-",), b"", 1, "is empty"),
        (("-", "--rate", "16000"), b"RIFF\xff\xff\xff\xffWAVE" + bytes(100), 2, "standard input has a header"),
        (("no.wav",), b"", 1, "No such file: 'no.wav'"),
        (("-", "--rate", "0"), bytes(4000), 1, "sample rate of the PCM stream is 0 Hz"),
        (("-", "--rate", "16000", "--pcm", "f32le"), b"\xff" * 4000, 1, "NaN or infinite samples"),
    ],
)
def test_sound_that_is_none(tiny_model: Path, fed: Fed, words, stdin: bytes, status: int, message: str) -> None:
    done = fed(*words, "--model", tiny_model, stdin=stdin)
    assert done.status == status
    assert message in done.err
    assert "Traceback" not in done.err


def test_sound_that_breaks_off_is_reported_and_summed_up(tiny_model: Path, tmp_path: Path) -> None:
    good = restless(2 * RATE_HZ, RATE_HZ)
    data = np.append(good, np.full(100, np.nan)).astype("<f4").tobytes()
    log = tmp_path / "log"
    words = ("--rate", "16000", "--pcm", "f32le", *ALWAYS, "--exec", f"sh -c 'echo $EARMARK_EVENT_KIND >> {log}'")
    done = earmark("listen", "-", "--model", tiny_model, *words, cwd=tmp_path, stdin=data)
    assert done.status == 1
    assert "NaN or infinite samples" in done.complaints[0]
    begin, end, summary = done.objects
    assert (begin["kind"], end["offset"], summary["seconds"]) == ("open", summary["seconds"], end["offset"])
    assert summary["calls"] == {"done": 2, "failed": 0, "dropped": 0, "left": 0}
    assert log.read_text() == "open\nclose\n"


class Running:
    """A command under way, whose lines are kept as they come."""

    def __init__(self, *words: str | Path, **options: object) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        self._thread.start()

    def end(self) -> Done:
        with self.process:  # closes its pipes
            status = self.process.wait(PATIENCE_SECONDS)
            self._thread.join()
            return Done(status, "".join(self.lines), self.process.stderr.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(street: Path, tiny_model: Path, number: int) -> None:
    running = Running("listen", street, "--realtime", "--model", tiny_model, *ALWAYS)
    assert wait_until(lambda: running.lines, PATIENCE_SECONDS), "an event has begun"
    running.process.send_signal(number)
    done = running.end()
    assert (done.status, done.err) == (0, "")
    begin, end, summary = done.objects
    assert (begin["kind"], end["kind"], summary["kind"]) == ("open", "close", "summary")
    assert end["offset"] == summary["seconds"] < 12
    assert summary["lost_seconds"] == 0


def test_a_signal_while_a_command_runs(street: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = f"sh -c 'echo $$ >> {tmp_path}/pids; sleep 30'"
    running = Running("listen", street, "--realtime", "--model", tiny_model, *ALWAYS, "--exec", command)
    assert wait_until((tmp_path / "pids").exists, PATIENCE_SECONDS)
    running.process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    assert running.process.poll() is None, "it waits for the command"
    running.process.send_signal(signal.SIGINT)
    done = running.end()
    assert done.status == 130
    assert done.complaints == ["waiting for 2 calls (Ctrl-C again to stop)", "stopped"]
    pid = int((tmp_path / "pids").read_text())
    assert wait_until(lambda: not alive(pid)), "it does not outlive earmark"


def test_a_signal_while_the_pipe_is_silent(street: Path, tiny_model: Path) -> None:
    running = Running("listen", "-", "--rate", "16000", "--model", tiny_model, *ALWAYS, stdin=subprocess.PIPE)
    running.process.stdin.buffer.write(bytes(2 * 2 * RATE_HZ))
    running.process.stdin.flush()
    assert wait_until(lambda: running.lines, PATIENCE_SECONDS), "events come while the pipe is open"
    time.sleep(1.0)  # by when all of it is heard
    running.process.send_signal(signal.SIGINT)
    done = running.end()
    assert (done.status, done.err) == (0, "")
    assert done.objects[-1]["seconds"] == 2.0


def test_events_come_while_the_sound_plays(street: Path, tiny_model: Path) -> None:
    """A WAV of unknown length, 1 s of it, and the pipe stays open: the first frame is decided."""
    running = Running("listen", "-", "--model", tiny_model, *ALWAYS, stdin=subprocess.PIPE)
    data = converted(street, "-f", "wav", "-t", "1")
    running.process.stdin.buffer.write(data)
    running.process.stdin.flush()
    assert wait_until(lambda: running.lines, PATIENCE_SECONDS)
    running.process.stdin.close()
    assert running.end().objects[-1]["seconds"] == 1.0


def test_a_reader_that_has_seen_enough(street: Path, tiny_model: Path) -> None:
    command = f'"{sys.executable}" -m earmark listen {street} --model {tiny_model} --on 0 --off 0 | head -1'
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_the_last_frame(street: Path, tiny_model: Path) -> None:
    import pty

    outside, inside = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm", "NO_COLOR": "1"}
    words = [*PROGRAM, "listen", str(street), "--model", str(tiny_model), *RULE, "--exec", "false"]
    process = subprocess.Popen(words, stdin=inside, stdout=inside, stderr=inside, env=environment)
    os.close(inside)
    shown = b""
    while chunk := _read(outside):
        shown += chunk
    assert process.wait(PATIENCE_SECONDS) == 0
    text = shown.decode()
    assert "\x1b[2K" in text, "a line is redrawn"
    assert "█" in text
    assert " s   " in text
    assert " begins  " in text
    assert "earmark: exec false: exit status 1" in text
    summary = next(line for line in text.splitlines() if "12.00 s heard" in line)
    assert text.index("earmark: note: clipping") > text.index(summary)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux: the other side is closed
        return b""


# --- a microphone, or what stands in for one ----------------------------------------------------------------


class FakeMicrophone:
    """What `Microphone` is to the command: blocks, what was lost, and findings."""

    sample_rate_hz = 48_000
    asked: object = None

    def __init__(self, device, *, block_seconds, patience_seconds, on_event) -> None:
        type(self).asked = (device, patience_seconds)
        self.lost_seconds, self._tell = 0.0, on_event

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    def __iter__(self):
        from earmark.audio.check import Finding

        sound = restless(3 * 48_000, 48_000)
        yield from np.split(sound[: 2 * 48_000], 100)
        self._tell(Finding("microphone-lost", "the microphone gives no sound any more: opening it again."))
        time.sleep(0.3)
        self.lost_seconds = 7.0
        self._tell(Finding("microphone-back", "the microphone could be opened again."))
        yield from np.split(sound[2 * 48_000 :], 50)


def test_a_microphone_that_goes_away_and_comes_back(
    tiny_model: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earmark.audio.microphone.Microphone", FakeMicrophone)
    words = ("--on", "0", "--off", "0", "--allow", "Tone", "--json")
    done = here("listen", "--device-name", "3", "--model", tiny_model, *words)
    assert FakeMicrophone.asked == (3, float("inf"))
    assert done.status == 0
    kinds = [(line["kind"], line.get("onset"), line.get("offset")) for line in done.objects]
    assert kinds == [
        ("open", 0.0, pytest.approx(0.4, abs=0.3)),
        ("close", 0.0, 2.0),
        ("gap", 2.0, 9.0),
        ("open", 9.0, pytest.approx(9.4, abs=0.3)),
        ("close", 9.0, 10.0),
        ("summary", None, None),
    ]
    assert (done.objects[-1]["seconds"], done.objects[-1]["lost_seconds"]) == (10.0, 7.0)
    assert done.complaints == [
        "the microphone gives no sound any more: opening it again.",
        "the microphone could be opened again.",
        "7.00 s lost at 2.00 s: the source did not hear it",
    ]
