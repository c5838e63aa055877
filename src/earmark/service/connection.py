"""A connection of the web server that nobody holds up for ever, and where nothing passes for a request that is none."""

import asyncio
import json
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from earmark.service.crowd import Crowd
from earmark.service.headers import made_safe
from earmark.service.metrics import Metrics
from earmark.service.problems import Problem, refusal

__all__ = ["HEADER_BYTES", "HEADER_SECONDS", "UNREAD_SECONDS", "PunctualProtocol"]

HEADER_SECONDS = 10.0
"""In which the header of a request must have come, from the end of the answer before it or the opening on."""

HEADER_BYTES = 1 << 16
"""What may come beside bodies, such as a header, beyond what came with its first bytes."""

UNREAD_SECONDS = 60.0
"""How long a client may leave an answer unread."""


class PunctualProtocol(HttpToolsProtocol):
    """HTTP for uvicorn, which by itself waits for ever for a header, the rest of a body that nobody reads, a reader.

    It also takes what follows a header with ``Upgrade`` for another protocol, even where it stays with HTTP and a body
    follows. RFC 9110, 7.8, lets a server pass over an upgrade; so the request is read again without it.

    Parameters
    ----------
    crowd : Crowd
        Says whether there is room for a connection.
    metrics : Metrics
        Counts what is refused here, of which no application hears.
    given, named
        As uvicorn gives them.
    """

    def __init__(self, *given: Any, crowd: Crowd, metrics: Metrics, **named: Any) -> None:
        super().__init__(*given, **named)
        self._crowd, self._metrics = crowd, metrics
        self._header_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._vain_bytes = 0
        self._in_header = self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a header, if there is room."""
        super().connection_made(transport)
        refused = self._crowd.refusal(self, self.connections)
        if refused is None:
            self._await_header()
        else:
            self._refuse("too_many_connections", refused)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        self.resume_writing()
        if self._end_timer is not None:
            self._end_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; of what is no body not too many."""
        self._unset_keepalive_if_required()
        if self._deaf:
            return
        self._vain_bytes += len(data)
        try:
            self._feed(data)
        except HttpParserError:
            self._refuse("not_http", "What came is no request of HTTP/1.1.")
        if self._vain_bytes > HEADER_BYTES:
            self._refuse("header_too_large", f"A header of more than {HEADER_BYTES} bytes came.")

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a header."""
        super().on_message_begin()
        self._vain_bytes, self._in_header = 0, True
        self._await_header()

    def on_headers_complete(self) -> None:
        """Go on once a header is there."""
        self._vain_bytes, self._in_header = 0, False
        self._stop_waiting()
        if not self._passes_over_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._vain_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        if not self._passes_over_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, and for the rest of this one's body if nobody has read it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif not self._is_answering():
            self._await_header()

    def timeout_keep_alive_handler(self) -> None:
        """Close where no request follows."""
        self._close()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on once it has read."""
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def _feed(self, data: bytes) -> None:
        """Parse; raise HttpParserError at what is no HTTP."""
        rest = memoryview(data)
        while True:  # a client may ask for upgrades one after the other
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                rest = rest[upgrade.args[0] :]
                self._read_without_upgrade()
            else:
                return

    def _should_upgrade(self) -> bool:
        """Whether a WebSocket is asked for as RFC 6455 has it, and no answer is under way that it would break into."""
        return (
            super()._should_upgrade()
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and not _brings_body(self.headers)
            and not self._is_answering()
        )

    def _passes_over_upgrade(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _read_without_upgrade(self) -> None:
        """Read the header again as one that asks for no upgrade; the parser took it to be the end of HTTP."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise HttpParserError("a tunnel is asked for")
        version = self.parser.get_http_version().encode()
        fields = [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        header = b"\r\n".join([b"%b %b HTTP/%b" % (method, self.url, version), *fields, b"", b""])
        self.parser = HttpRequestParser(self)
        self.parser.feed_data(header)

    def _is_answering(self) -> bool:
        """Whether a request was read that is not answered; there may be others before it."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_header(self) -> None:
        self._stop_waiting()
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._be_late)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _be_late(self) -> None:
        if self._is_answering():  # a request before this one
            self._await_header()
        elif self.cycle is None or self._in_header:
            self._refuse("header_too_slow", f"No whole header came for {HEADER_SECONDS:g} s.")
        else:  # it has its answer, and need not be told of more
            self._close()

    def _refuse(self, code: str, message: str) -> None:
        """Answer what is no request, and hear nothing more; requests before it are answered in its place."""
        self._stop_waiting()
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        self._metrics.count_error(code)
        if self._is_answering():
            self.cycle.keep_alive = False
            if self.pipeline or self.cycle.response_started or not self.cycle.more_body:
                return
            self.cycle.disconnected = True  # what is refused is the rest of this one
        self.transport.write(_answer(refusal(code, message).problem, self.server_state.default_headers))
        self._close()

    def _close(self) -> None:
        """Close once all is sent; and after a while anyway, for a client may take the last bytes never."""
        self.transport.close()
        if self._end_timer is None:
            self._end_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)


def _brings_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in headers
    )


def _answer(problem: Problem, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return an error as the bytes of an answer, with what the application would have put around it."""
    body = json.dumps(problem.to_dict()).encode()
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *((name.encode(), value.encode()) for name, value in problem.headers),
    ]
    fields = b"".join(b"%b: %b\r\n" % field for field in made_safe(headers))
    return b"%b%b\r\n%b" % (STATUS_LINE[problem.status], fields, body)
