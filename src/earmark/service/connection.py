"""A connection of the web server that is not held up for ever: by a header that never ends, or a reader that stops."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["HEADER_BYTES", "HEADER_SECONDS", "UNREAD_SECONDS", "PunctualProtocol"]

HEADER_SECONDS = 10.0
"""In which the header of a request must have come."""

HEADER_BYTES = 1 << 16
"""What it may hold, beyond what came with its first bytes."""

UNREAD_SECONDS = 60.0
"""How long a client may leave an answer unread."""

_LATE = b"408 Request Timeout"
_LARGE = b"431 Request Header Fields Too Large"


class PunctualProtocol(HttpToolsProtocol):
    """HTTP for uvicorn, which by itself waits for ever for the rest of a header, and for a client to read."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._header_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a header."""
        super().connection_made(transport)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, of a header no more than it may hold."""
        super().data_received(data)
        if self._header_timer is not None:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(_LARGE)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a header."""
        super().on_message_begin()
        self._await_header()

    def on_headers_complete(self) -> None:
        """Go on once a header is there."""
        self._stop_waiting()
        super().on_headers_complete()

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

    def _await_header(self) -> None:
        self._stop_waiting()
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._be_late)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _be_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # of a request before this one
            self._await_header()
            return
        self._refuse(_LATE)

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
            self.transport.close()
