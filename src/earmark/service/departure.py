"""Clients that leave before they have their answer, for whom nothing more is to be done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

__all__ = ["unless_gone"]

_Given = TypeVar("_Given")


async def unless_gone(request: Request, work: Coroutine[Any, Any, _Given]) -> _Given:
    """Do something for a client as long as it is there.

    Parameters
    ----------
    request : Request
        Whose body has been read.
    work : coroutine
        What is cancelled when the client leaves.

    Raises
    ------
    ClientDisconnect
        If it leaves.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_departure(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        leaving.cancel()


async def _departure(request: Request) -> None:
    """Return once the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
