"""A web server on this machine that answers as a test tells it."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the server's next answer; the last one again and again."""

    server: "LocalServer"

    def do_GET(self) -> None:
        answer = self.server.next_answer()
        with suppress(ConnectionError):  # the client may hang up
            answer(self)

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def head(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


class LocalServer(ThreadingHTTPServer):
    """Answers GET requests one after another as it is told."""

    daemon_threads = False  # so that closing the server waits for them

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._answers = list(answers)
        self._lock = threading.Lock()
        self.requests = 0
        self.stalling = threading.Event()  # set once half of an answer was sent
        self.released = threading.Event()  # ends every stall

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.tflite"

    def next_answer(self) -> Answer:
        with self._lock:
            self.requests += 1
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def serving(*answers: Answer) -> Iterator[LocalServer]:
    """Run a server for the length of a test."""
    with LocalServer(answers) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.02))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def whole(data: bytes) -> Answer:
    """All of it."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(data))
        handler.wfile.write(data)

    return answer


def truncated(data: bytes) -> Answer:
    """Half of it, with the length of all."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(data))
        handler.wfile.write(data[: len(data) // 2])

    return answer


def stalled(data: bytes) -> Answer:
    """Half of it, then nothing more while the connection stays open."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(data))
        handler.wfile.write(data[: len(data) // 2])
        handler.server.stalling.set()
        handler.server.released.wait(30)

    return answer


def silent(handler: Handler) -> None:
    """Not even a head."""
    handler.server.released.wait(30)


def endless(handler: Handler) -> None:
    """Zeros without a length, until the client has enough."""
    handler.head(200)
    while not handler.server.released.is_set():
        handler.wfile.write(bytes(1 << 16))


def status(code: int) -> Answer:
    """A short page with that status."""

    def answer(handler: Handler) -> None:
        handler.head(code, Content_Length=5)
        handler.wfile.write(b"sorry")

    return answer


def moved(handler: Handler) -> None:
    """The same address again, which then gives the next answer."""
    handler.head(302, Location=handler.server.url, Content_Length=0)


def together(answer: Answer, clients: int) -> Answer:
    """Give the answer once so many clients ask for it at the same time."""
    barrier = threading.Barrier(clients, timeout=60)

    def waiting(handler: Handler) -> None:
        barrier.wait()
        answer(handler)

    return waiting
