"""The headers on every answer that tell browsers what a page of this service may do, and others to keep out."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SafeHeaders", "made_safe"]

_POLICY = (
    "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'none'"
)
_ALWAYS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"microphone=(self)"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_CACHE = b"cache-control"
_NO_STORE = (_CACHE, b"no-store")


def made_safe(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers with those added; what says nothing about being kept is not to be kept."""
    whole = [*headers, *_ALWAYS]
    if all(name != _CACHE for name, _ in whole):
        whole.append(_NO_STORE)
    return whole


class SafeHeaders:
    """ASGI middleware that adds them.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add the headers to the answer."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": made_safe(message.get("headers", ()))}
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)
