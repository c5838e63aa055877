"""The running service: its socket, its signals, how it begins and how it ends."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from earmark.errors import OptionError
from earmark.service.app import create_app
from earmark.service.connection import PunctualProtocol
from earmark.service.crowd import Crowd
from earmark.service.live import MESSAGE_BYTES
from earmark.service.logs import LOGGER, start_logging
from earmark.service.settings import Limits, Settings
from earmark.service.state import Service
from earmark.service.websocket import ListeningProtocol

__all__ = ["grace_seconds", "run"]

_LOG = logging.getLogger(LOGGER)
_BACKLOG = 2048
_SPARE_SECONDS = 5.0


def grace_seconds(limits: Limits) -> int:
    """Return how long what is running may take to finish: its upload, its wait for a worker, and its analysis."""
    return int(limits.upload_seconds + 2 * limits.analysis_seconds + _SPARE_SECONDS)


def run(settings: Settings, *, as_json: bool = False, on_ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it.

    SIGINT and SIGTERM let what is running finish, a second one ends it at once; SIGHUP goes over to the models as they
    are on disk now.

    Parameters
    ----------
    settings : Settings
        How it is set up.
    as_json : bool
        Whether the log is lines of JSON.
    on_ready : callable
        Called with the address once requests are answered.

    Raises
    ------
    OptionError
        If the port is taken, or the address is none of this machine's.
    ModelError
        If a model cannot be loaded.
    """
    with _bound(settings) as own:
        app = create_app(settings)
        start_logging(as_json=as_json)
        service: Service = app.state.service
        address = _address(settings, own)
        server = _Server(_config(app, settings), service, lambda: on_ready(address))
        server.run(sockets=[own])


def _bound(settings: Settings) -> socket.socket:
    """Return a socket at the address that is wanted."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    own = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # where it would let two programs share a port
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind((settings.host, settings.port))
        own.listen(_BACKLOG)
    except OSError as error:
        own.close()
        raise OptionError(
            f"cannot listen at {settings.host} port {settings.port}: {error.strerror}; give another with --port, or 0 "
            "for any that is free"
        ) from error
    return own


def _address(settings: Settings, own: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{own.getsockname()[1]}"


def _config(app: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(PunctualProtocol, crowd=Crowd(), metrics=app.state.service.metrics),  # type: ignore[arg-type]
        ws=ListeningProtocol,
        ws_max_size=2 * MESSAGE_BYTES,  # what is only a little too large is told so in words
        ws_per_message_deflate=False,  # it costs more than it saves
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=grace_seconds(settings.limits),
    )


class _Server(uvicorn.Server):
    """Uvicorn that ends with status 0 once all is done, and goes over to new models on SIGHUP."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_ready = service, on_ready
        self._reloads: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the models, and begin to answer."""
        await self._service.start()
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        gc.freeze()  # what lives as long as the service need not be looked through again and again
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer no new requests, and let those that run finish."""
        self._service.ending.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler gets them
        """End; at the second signal at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        if self.force_exit:
            logging.getLogger("uvicorn.error").disabled = True  # what is broken off now need not be mourned
        else:
            under_way = len(self.server_state.tasks)
            requests = "request is" if under_way == 1 else "requests are"
            _LOG.info("ending: %d %s finished first, unless a second signal comes", under_way, requests)

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._service.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
