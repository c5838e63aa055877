"""Routes whose functions take the request and give the answer, and that FastAPI describes but does not unpack."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

__all__ = ["PlainRoute"]


class PlainRoute(APIRoute):
    """A route without FastAPI's reading of parameters, which costs more than all else that the service does.

    Parameters of the path are in ``request.path_params``.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function of the route itself."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler
