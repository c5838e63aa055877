"""Uvicorn's WebSocket, with endings of its own: at shutdown the last word, for the deaf and the flooding none."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SHUTDOWN_CODE = 1012
"""What the application gets as the code of a disconnect that is none yet: the server is about to end."""

LINGER_SECONDS = 10.0
"""How long a client may take to receive what was sent before the application ended."""

MOST_FRAMES = 4096
"""How many frames may come at once, or make one message; of blocks of 20 ms a read holds some four hundred."""

MOST_UNREAD_BYTES = 2**20
"""How much a client may leave unread of the answers to its pings."""

_SLICE_BYTES = 1 << 14


class ListeningProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose application says the last word at shutdown, and whose socket does not outlive it for long.

    Uvicorn closes a stream at once when the server ends, so what was heard would not be told. And it keeps the socket
    of a client that takes nothing for as long as that client likes, and parses tens of thousands of empty frames in a
    row, in which time nobody else is answered.
    """

    _frames_at_once = 0

    def data_received(self, data: bytes) -> None:
        """Take the next frames, unless they are too many."""
        self._frames_at_once = 0
        for start in range(0, len(data), _SLICE_BYTES):
            super().data_received(data[start : start + _SLICE_BYTES])
            if max(self._frames_at_once, len(self.frames)) > MOST_FRAMES:
                self.transport.abort()
            if self.transport.is_closing():
                return
        if not self.handshake_initiated:  # its header came as a whole, and opens no stream: nobody would ever answer
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_events(self) -> None:
        """Count what came."""
        self._frames_at_once += len(self.conn.events)
        super().handle_events()

    def handle_ping(self) -> None:
        """Answer, unless the client never reads the answers."""
        if self.transport.is_closing():
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """Close, and drop the socket of a client that does not even take that."""
        super().keepalive_timeout()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        """Tell the application that the server ends, and leave it to close the stream."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": SHUTDOWN_CODE})

    async def run_asgi(self) -> None:
        """Run the application, and drop the socket some time after it has ended."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)
