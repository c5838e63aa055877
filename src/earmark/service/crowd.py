"""How many connections a service has at once: in all, and of one address."""

import logging
import sys
from collections.abc import Collection
from time import monotonic
from typing import Any

from earmark.service.logs import LOGGER

__all__ = ["Crowd"]

MOST_CONNECTIONS = 2000
"""In all: ten times the streams of live sound that there may be, and some fifteen megabytes if all are idle."""

FILES_OF_CONNECTION = 2
"""What one may take of the files that the process may open: its socket, and its upload while that lies on disk."""

SHARE_OF_ONE = 0.75
"""What one address may have of all: a proxy in front needs many, and still no client keeps out the others."""

QUIET_SECONDS = 60.0
"""How long the log says nothing more of connections that are refused."""

_LOG = logging.getLogger(LOGGER)


class Crowd:
    """Lets in connections while there is room for them.

    Parameters
    ----------
    most : int, optional
        In all; by default `MOST_CONNECTIONS`, or fewer where the process may not open files enough.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most or min(MOST_CONNECTIONS, _files() // FILES_OF_CONNECTION)
        self._most_of_one = max(1, int(self._most * SHARE_OF_ONE))
        self._quiet_until = 0.0

    def refusal(self, newcomer: Any, connections: Collection[Any]) -> str | None:
        """Return why there is no room for a connection, as a sentence; None if there is.

        Parameters
        ----------
        newcomer : protocol of uvicorn
            Its `client` says from where it comes.
        connections : collection of such protocols
            All that are open, this one among them. To look through them costs less than books that must be kept right
            when HTTP becomes a WebSocket.
        """
        if len(connections) > self._most:
            return self._told(f"{self._most} connections are open, which is as many as this service bears.")
        address = _address(newcomer)
        if sum(_address(connection) == address for connection in connections) > self._most_of_one:
            return self._told(f"{self._most_of_one} connections of one address are open: as many as it may have.")
        return None

    def _told(self, said: str) -> str:
        """Say it in the log too, but not for each of thousands."""
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + QUIET_SECONDS
            _LOG.warning("connections are refused: %s", said)
        return said


def _address(connection: Any) -> str:
    return connection.client[0] if connection.client else ""


def _files() -> int:
    """Return how many files the process may open."""
    if sys.platform == "win32":  # where sockets are no files
        return sys.maxsize
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else most
