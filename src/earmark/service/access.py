"""Who may use a service, and how much of it at once: token, host names, pages of others, requests of a client."""

import ipaddress
import secrets
import socket
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from earmark.service.problems import RefusedError, refusal
from earmark.service.settings import Settings
from earmark.service.state import Service

__all__ = ["Gate", "check_token", "sent_token"]

_OPEN = frozenset({"/", "/openapi.json", "/healthz", "/readyz"})
_OPEN_BELOW = ("/static/", "/docs")
_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CHALLENGE = {"www_authenticate": "Bearer"}
_POLICY_VIOLATION = 1008


class Gate:
    """ASGI middleware that lets in who may use the service.

    A WebSocket shows its token later, in its first message or its header; what shows it checks it with `check_token`.

    Parameters
    ----------
    app : ASGIApp
        What is behind the gate.
    service : Service
        Its settings say who may come in.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        settings = service.settings
        self._hosts, self._any_address = _allowed_hosts(settings), _is_open(settings)
        self._most = settings.limits.per_client
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and pass on."""
        if scope["type"] == "http":
            await self._pass_request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._pass_websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _pass_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        self._check_host(headers)
        self._check_origin(headers)
        if self._service.settings.token and not (path in _OPEN or path.startswith(_OPEN_BELOW)):
            check_token(self._service.settings, sent_token(headers))
        if path in _UNCOUNTED:
            await self._app(scope, receive, send)
            return
        client = scope["client"][0] if scope.get("client") else ""
        self._check_load(client)
        self._under_way[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]

    async def _pass_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_origin(headers)
        except RefusedError as error:
            self._service.metrics.count_error(error.problem.code)
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.problem.code})
            return
        await self._app(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        """Refuse a name that is not this service's: a page elsewhere may have pointed its own name at this machine."""
        if self._hosts is None:
            return
        host = _host_name(headers.get("host", ""))
        if host not in self._hosts and not (self._any_address and _is_address(host)):
            raise refusal("host_not_allowed", f"This service is not called {host!r}.")

    def _check_origin(self, headers: Headers) -> None:
        """Refuse a page of another place: browsers let it send forms, and open a WebSocket, to anywhere."""
        origin, allowed = headers.get("origin"), self._service.settings.origins
        if origin is None or origin in allowed or "*" in allowed:
            return
        if origin.partition("://")[2].lower() != headers.get("host", "").lower():
            raise refusal("origin_not_allowed", f"Pages of {origin!r} may not use this service.")

    def _check_load(self, client: str) -> None:
        if self._service.ending.is_set():
            raise refusal("ending", "The service is ending.")
        if self._under_way[client] >= self._most:
            said = f"{self._most} requests of this client are under way, which is as many as are allowed."
            raise refusal("client_busy", said)


def check_token(settings: Settings, token: str | None) -> None:
    """Hold what a client sent as its token against the service's.

    Raises
    ------
    RefusedError
        If the service has a token and this is none, or another.
    """
    if settings.token is None:
        return
    if token is None:
        raise refusal("token_missing", "This service wants a token.", **_CHALLENGE)
    sent = token.encode("utf-8", "surrogatepass")  # JSON may hold half a character
    if not secrets.compare_digest(sent, settings.token.encode()):
        raise refusal("token_wrong", "The token is not that of this service.", **_CHALLENGE)


def sent_token(headers: Headers) -> str | None:
    """Return the token in the header ``Authorization: Bearer TOKEN``, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """Return the names by which clients may call the service; None for any."""
    names = _LOOPBACK | {settings.host.lower(), *(host.lower() for host in settings.hosts)}
    if _is_open(settings):
        return names | _machine_names()
    return names if settings.is_local or settings.hosts else None


def _is_open(settings: Settings) -> bool:
    """Whether others may use the service without a token: then its names alone keep out pages from elsewhere."""
    return settings.token is None and not settings.is_local


def _machine_names() -> frozenset[str]:
    """Return what this machine is called in its own network."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local"})


def _is_address(host: str) -> bool:
    """Whether a host is an address itself, which no page elsewhere can have for its name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_name(header: str) -> str:
    """Return the name in a header such as ``localhost:8000`` or ``[::1]:8000``."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
