"""Hooks: a command and an address get each event; whatever they do, listening goes on and what failed is said."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earmark.errors import OptionError
from earmark.inference.hookrunner import HookCounts, HookRunner
from earmark.inference.hooks import CommandHook, WebhookHook

CALL = {"kind": "open", "label": "Glöckchen, 'bell'", "id": "/t/bell", "onset": 1.5, "offset": 2.25, "score": 0.75}


def python(program: str) -> str:
    return f'"{sys.executable}" -c "{program}"'


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(true, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


# --- a command ----------------------------------------------------------------------------------------------


def test_command_gets_the_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import json, os, sys\n"
        "environment = {k: v for k, v in os.environ.items() if k.startswith('EARMARK_EVENT_')}\n"
        "json.dump([sys.argv[1:], json.load(sys.stdin), environment], open('told.json', 'w'))\n"
        "print('the lamp is on')\n"
    )
    said: list[str] = []
    hook = CommandHook(f"\"{sys.executable}\" program.py 'two words' $HOME ';'", show=said.append)
    assert hook.name == f"exec {sys.executable}"
    monkeypatch.chdir(tmp_path)
    assert hook.run(CALL) is None
    assert said == [f"the lamp is on{os.linesep}"]
    arguments, told, environment = json.loads(Path("told.json").read_text())
    assert arguments == ["two words", "$HOME", ";"], "there is no shell"
    assert told == CALL
    assert environment == {f"EARMARK_EVENT_{key.upper()}": str(value) for key, value in CALL.items()}


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("import sys; print('a', file=sys.stderr); sys.exit('no such lamp')", "exit status 1: no such lamp"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "exit status -15"),
    ],
)
def test_command_that_fails(program: str, problem: str) -> None:
    assert CommandHook(python(program)).run(CALL) == problem


def test_command_that_went_away(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    hook = CommandHook(str(program))
    assert hook.run(CALL) is None
    program.unlink()
    assert hook.run(CALL) == "could not be run: No such file or directory"


def test_command_need_not_read_its_input() -> None:
    assert CommandHook("true").run({**CALL, "label": "x" * 100_000}) is None, "more than a pipe holds"


def test_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hook = CommandHook(f"sh -c 'sleep 60 & echo $! $$ > {pids}; wait'", timeout_seconds=0.5)
    began = time.monotonic()
    assert hook.run(CALL) == "killed after 0.5 s"
    assert time.monotonic() - began < 5
    assert wait_until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def test_what_a_command_leaves_behind_is_not_waited_for() -> None:
    began = time.monotonic()
    assert CommandHook("sh -c 'sleep 5 &'").run(CALL) is None
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("notify 'the dog", r"exec: the command .* cannot be split \(No closing quotation\)"),
        ("", r"exec: no program '' in the command ''"),
        ("no-such-program --loud", r"exec: no program 'no-such-program' in the command 'no-such-program --loud'; give"),
    ],
)
def test_commands_that_cannot_be(command: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        CommandHook(command)


# --- an address ---------------------------------------------------------------------------------------------


class Server:
    """Answers POSTs with the statuses it is given, the last of them for ever; keeps what it got."""

    def __init__(self, *statuses: int, delay_seconds: float = 0.0) -> None:
        self.got: list[tuple[str, str | None, object]] = []
        self.times: list[float] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.times.append(time.monotonic())
                server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
                time.sleep(delay_seconds)
                status = statuses[min(len(server.got), len(statuses)) - 1]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - its name in the standard library

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that left."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events?key=1"

    @contextmanager
    def running(self) -> "Iterator[Server]":
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def test_webhook_posts_json() -> None:
    with Server(204).running() as server:
        assert WebhookHook(server.url).run(CALL) is None
    assert server.got == [("/events?key=1", "application/json", CALL)]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_webhook_tries_again_with_growing_pauses(status: int) -> None:
    with Server(status, status, 200).running() as server:
        assert WebhookHook(server.url, back_off_seconds=0.05).run(CALL) is None
    first, second, third = server.times
    assert second - first >= 0.05
    assert third - second >= 0.1


def test_webhook_gives_up() -> None:
    with Server(500).running() as server:
        assert (
            WebhookHook(server.url, attempts=2, back_off_seconds=0.0).run(CALL) == "answered 500 Internal Server Error"
        )
    assert len(server.got) == 2


@pytest.mark.parametrize(("status", "words"), [(404, "Not Found"), (401, "Unauthorized"), (302, "Found")])
def test_an_answer_that_is_final(status: int, words: str) -> None:
    with Server(status).running() as server:
        assert WebhookHook(server.url, back_off_seconds=0.0).run(CALL) == f"answered {status} {words}"
    assert len(server.got) == 1


def test_webhook_that_is_slow() -> None:
    with Server(200, delay_seconds=0.6).running() as server:
        problem = WebhookHook(server.url, timeout_seconds=0.2, attempts=2, back_off_seconds=0.0).run(CALL)
    assert problem == "no answer: timed out"
    assert len(server.got) == 2


def test_webhook_where_nobody_listens() -> None:
    server = Server(200)
    with server.running():
        pass
    problem = WebhookHook(server.url, back_off_seconds=0.0).run(CALL)
    assert problem is not None
    assert problem.startswith("no answer: ")
    assert "refused" in problem


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8080", "ftp://host/x", "file:///etc/passwd", "http://", "http:///x", "http://host:99999/", ""),
        *("http://a b/", "https://me:secret@host/", "http://hö.st/", "http://[::1/", "http://host/\n"),
    ],
)
def test_addresses_that_cannot_be(url: str) -> None:
    with pytest.raises(OptionError, match=r"webhook: .* is no address; give one such as http://localhost:8080/events"):
        WebhookHook(url)


def test_the_name_of_a_webhook_keeps_its_key_secret() -> None:
    assert WebhookHook("https://[::1]:8443/services/T00/secret?key=1").name == "webhook [::1]:8443"


# --- both, beside the listening -----------------------------------------------------------------------------


class Fake:
    """A hook that does as it is told."""

    name = "fake"

    def __init__(self, *problems: str | None, hold: threading.Event | None = None) -> None:
        self.calls: list[object] = []
        self.aborted = threading.Event()
        self._problems, self._hold = problems, hold

    def run(self, call):
        self.calls.append(call)
        if self._hold is not None:
            self._hold.wait(20)
        return self._problems[min(len(self.calls), len(self._problems)) - 1] if self._problems else None

    def abort(self) -> None:
        self.aborted.set()
        if self._hold is not None:
            self._hold.set()


def number(count: int) -> Iterator[dict[str, int]]:
    return ({"number": index} for index in range(count))


def test_every_hook_gets_every_call_in_order() -> None:
    hooks, said = [Fake(), Fake(None, "no", None)], []
    runner = HookRunner(hooks, said.append)
    for call in number(5):
        runner.submit(call)
    assert runner.finish() == HookCounts(done=9, failed=1)
    assert [hook.calls for hook in hooks] == [list(number(5))] * 2
    assert said == ["fake: no"]


def test_without_hooks_nothing_happens() -> None:
    runner = HookRunner([], print)
    runner.submit(CALL)
    assert runner.finish() == HookCounts()


def test_a_stuck_hook_blocks_neither_listening_nor_others() -> None:
    stuck, free = Fake(hold=threading.Event()), Fake()
    runner = HookRunner([stuck, free], print, queue_calls=10)
    began = time.monotonic()
    runner.submit({"number": -1})
    assert wait_until(lambda: stuck.calls and free.calls)
    for call in number(100):
        runner.submit(call)
        wait_until(lambda call=call: free.calls[-1] == call)
    assert time.monotonic() - began < 5
    assert len(free.calls) == 101
    assert runner.counts == HookCounts(done=101, dropped=90)
    counts = runner.finish(timeout_seconds=0.1)
    assert time.monotonic() - began < 6
    assert counts == HookCounts(done=101, dropped=90, left=11)
    assert stuck.aborted.is_set()
    time.sleep(0.05)
    assert runner.counts == counts, "a call is counted once"


def test_the_end_waits_for_what_is_queued() -> None:
    hold = threading.Event()
    hook = Fake(hold=hold)
    runner = HookRunner([hook], print)
    for call in number(5):
        runner.submit(call)
    assert runner.wait(0.05) == 5
    threading.Timer(0.1, hold.set).start()
    assert runner.finish(timeout_seconds=10) == HookCounts(done=5)


def test_failures_are_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earmark.inference.hookrunner.REPORT_SECONDS", 0.3)
    said: list[str] = []
    runner = HookRunner([Fake("no lamp")], said.append)
    for call in number(20):
        runner.submit(call)
    assert wait_until(lambda: runner.counts.failed == 20)
    assert said == ["fake: no lamp"]
    time.sleep(0.3)
    runner.submit(CALL)
    assert runner.finish() == HookCounts(failed=21)
    assert said == ["fake: no lamp", "fake: no lamp (19 more failures since the last report)"]


def test_the_end_stops_a_command_and_a_webhook() -> None:
    with Server(500).running() as server:
        hooks = [CommandHook("sleep 60"), WebhookHook(server.url, back_off_seconds=60)]
        runner = HookRunner(hooks, lambda _: None)
        runner.submit(CALL)
        assert wait_until(lambda: server.got)
        began = time.monotonic()
        assert runner.finish(timeout_seconds=0.2) == HookCounts(left=2)
        assert wait_until(lambda: not any(thread.name.startswith("earmark exec") for thread in threading.enumerate()))
        assert wait_until(lambda: not any(thread.name.startswith("earmark web") for thread in threading.enumerate()))
        assert time.monotonic() - began < 5
        assert hooks[0].run(CALL) == "not run: too late"
