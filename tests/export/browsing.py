"""A folder for browsers served and seen: a static server, a browser in a thread of its own, a visit of the page."""

import base64
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, expect

from tests.service.page.chromium import chromium
from tests.service.page.visit import Visit

_Given = TypeVar("_Given")

_BODY = """async (text) => {
    const { Classifier } = await import("/classify.js");
    const classifier = (globalThis.kept ??= await Classifier.load());
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const waveform = new Float32Array(bytes.buffer, 0, bytes.length >> 2);
    %s
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing: tests print what matters."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as any static server would; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Browsing:
    """A browser in a thread of its own: another one may have a loop where the tests run."""

    def __init__(self, heard: Path) -> None:
        self._threads = ThreadPoolExecutor(1)
        self._open = ExitStack()
        self._browser: Browser = self.apart(lambda: self._open.enter_context(chromium(heard)))

    def apart(self, action: Callable[[], _Given]) -> _Given:
        """Return what an action gives in the browser's thread."""
        return self._threads.submit(action).result()

    def close(self) -> None:
        """End the browser, and its thread."""
        self.apart(self._open.close)
        self._threads.shutdown()

    @contextmanager
    def visit(self, url: str, **options: Any) -> Iterator[Visit]:
        """Give a page in a fresh profile; at the end it may have nothing to complain of and have asked nobody else."""
        context = self._browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **options})
        try:
            visit = Visit(context.new_page(), url)
            yield visit
        finally:
            context.close()
        visit.check()


@dataclass
class Site:
    """A folder that is served, and the browser to see it in."""

    folder: Path
    url: str
    browsing: Browsing
    _visit: Visit | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    def see(self, action: Callable[[Visit], _Given], *, ready: bool = True, script: str = "", **options: Any) -> _Given:
        """Return what an action gives with the page open; a script may run in the page before its own."""

        def seen() -> _Given:
            with self.browsing.visit(self.url, **options) as visit:
                if script:
                    visit.page.add_init_script(script)
                visit.page.goto(self.url)
                if ready:
                    expect(visit.page.get_by_role("button", name="Choose a file")).to_be_enabled()
                return action(visit)

        return self.browsing.apart(seen)

    def evaluate(self, program: str, sound: bytes = b"") -> Any:
        """Return what the body of a function of `classifier`, `bytes` and `waveform` gives, in a page kept for that."""
        return self.browsing.apart(lambda: self._kept().evaluate(_BODY % program, base64.b64encode(sound).decode()))

    def _kept(self) -> Visit:
        if self._visit is None:
            self._visit = self._open.enter_context(self.browsing.visit(self.url))
            self._visit.page.goto(self.url)
        return self._visit

    def close(self) -> None:
        """Let go of the page that was kept."""
        self.browsing.apart(self._open.close)
