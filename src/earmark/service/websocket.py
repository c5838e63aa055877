"""Uvicorn's WebSocket, with two endings of its own: at shutdown the last word, and for the deaf none."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SHUTDOWN_CODE = 1012
"""What the application gets as the code of a disconnect that is none yet: the server is about to end."""

LINGER_SECONDS = 10.0
"""How long a client may take to receive what was sent before the application ended."""


class ListeningProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose application says the last word at shutdown, and whose socket does not outlive it for long.

    Uvicorn closes a stream at once when the server ends, so what was heard would not be told. And it keeps the socket
    of a client that takes nothing for as long as that client likes.
    """

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
