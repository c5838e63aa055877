"""The application: all routes around one state, behind one gate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from earmark import __version__
from earmark.service import live, max_api, pages, rest
from earmark.service.access import Gate
from earmark.service.headers import SafeHeaders
from earmark.service.observer import Observer
from earmark.service.problems import RefusedError, status_problem
from earmark.service.settings import Settings
from earmark.service.state import Service

__all__ = ["create_app"]

_DESCRIPTION = (
    "What is heard in a recording, when, and how surely. Send a file as a field of a form or as the body itself; "
    "options stand in the address, or in the form. Live sound goes to the WebSocket `/v1/stream`."
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service as an ASGI application.

    Parameters
    ----------
    settings : Settings, optional
        By default those of `earmark serve` without options.

    Raises
    ------
    ModelError, OptionError
        If a model cannot be loaded, or a setting is out of range.
    """
    service = Service(settings or Settings())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        # Else FastAPI tells of each request, query and errors included, wherever the environment says. One that has no
        # telemetry passes over this.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        title="earmark",
        description=_DESCRIPTION,
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # pages.py serves them: those of FastAPI load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(service),
        exception_handlers={HTTPException: _refuse},
    )
    app.state.service = service
    if service.settings.token:
        _describe_token(app)
    for part in (rest, max_api, pages, live):
        app.router.routes.extend(part.router.routes)  # included routers would be asked anew for each request
    return app


def _describe_token(app: FastAPI) -> None:
    """Let the description of the routes, and the page that tries them, know of the token."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        described = describe()
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
        return described

    app.openapi = openapi  # type: ignore[method-assign]


def _middleware(service: Service) -> list[Middleware]:
    """Return what surrounds the routes, from the outside in."""
    others = Middleware(
        CORSMiddleware,
        allow_origins=list(service.settings.origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
    )
    return [
        Middleware(SafeHeaders),
        *([others] if service.settings.origins else []),
        Middleware(Observer, service=service),
        Middleware(Gate, service=service),
    ]


async def _refuse(_: Request, error: Exception) -> Response:
    """Let what the framework refuses, such as an unknown route, be answered like all other errors."""
    assert isinstance(error, HTTPException)
    raise RefusedError(status_problem(error.status_code, **(error.headers or {})))
