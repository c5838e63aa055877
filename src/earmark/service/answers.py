"""Answers on their way out: bytes as a worker wrote them, from memory or from a file of the service's own."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from earmark.service.reply import Reply

__all__ = ["LinesAnswer", "ReplyAnswer", "json_answer"]


def json_answer(content: Any) -> Response:
    """Return JSON-ready data as an answer."""
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")


class ReplyAnswer(Response):
    """What a worker wrote, as an answer.

    Parameters
    ----------
    reply : Reply
        Its file, where it has one, is deleted once it is sent, or nobody is there to receive it.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(headers={"content-type": reply.media_type, "content-length": str(reply.size)})
        self._reply = reply

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        body = self._reply.body
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if isinstance(body, bytes):
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        try:
            await send(start)
            for piece in self._reply.pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._reply.discard()


class LinesAnswer(StreamingResponse):
    """Lines of JSON, each sent as it comes.

    Parameters
    ----------
    lines : async iterator of bytes
        What is sent.
    kept : AsyncExitStack
        What the lines are made of; closed at the end, whatever that is.
    """

    def __init__(self, lines: AsyncGenerator[bytes, None], kept: AsyncExitStack) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._lines, self._kept = lines, kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        async with self._kept, aclosing(self._lines):
            await super().__call__(scope, receive, send)
