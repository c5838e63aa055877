"""What a service is told when it starts: models, address, who may use it, and how much of it."""

import ipaddress
import math
import re
from dataclasses import dataclass, field, fields

from earmark.errors import OptionError
from earmark.inference.classifier import DEFAULT_MODEL, default_threads

__all__ = ["TOKEN_VARIABLE", "Limits", "Settings"]

TOKEN_VARIABLE = "EARMARK_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the token, for those who would not have it among the arguments of a process."""


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]+")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a service bears before it refuses.

    Parameters
    ----------
    upload_bytes : int
        Of the body of a request.
    sound_seconds : float
        Of a recording, between the start and the end that were asked for.
    analysis_seconds : float
        That a worker may take for one recording, and that a request may wait for a worker.
    upload_seconds : float
        In which the body of a request must have come.
    queue : int
        Recordings that wait for a worker.
    per_client : int
        Requests of one address at a time.
    batch_files : int
        Recordings in one batch.
    listeners : int
        Open streams of live sound.
    worker_memory_bytes : int
        What a worker may take for one recording, beside its models.

    Raises
    ------
    OptionError
        If one of them is not a number above 0; only `queue` and `listeners` may be 0.
    """

    upload_bytes: int = 200 * 2**20
    sound_seconds: float = 3600.0
    analysis_seconds: float = 60.0
    upload_seconds: float = 60.0
    queue: int = 64
    per_client: int = 32
    batch_files: int = 1000
    listeners: int = 200
    worker_memory_bytes: int = 2**30

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not (0 < value < math.inf or (value == 0 and limit.name in ("queue", "listeners"))):
                raise OptionError(f"{limit.name}={value} is not allowed: give a finite number above 0")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a service is set up.

    Parameters
    ----------
    models : tuple of str
        Names or paths; the first is the default.
    host : str
        Address to listen on.
    port : int
        0 for any that is free.
    token : str, optional
        What clients must send as ``Authorization: Bearer ...``.
    insecure : bool
        Whether an address that others can reach may do without a token.
    workers : int
        Processes that decode and score.
    origins : tuple of str
        Web pages of other places that may call, such as ``https://example.org``; ``*`` for all.
    hosts : tuple of str
        Names beside `host` by which clients may call the service.
    limits : Limits
        What it bears.

    Raises
    ------
    OptionError
        If an option is out of range, or others could use the service without a token.
    """

    models: tuple[str, ...] = (DEFAULT_MODEL,)
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    insecure: bool = False
    workers: int = field(default_factory=default_threads)
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.models:
            raise OptionError("models is empty: give at least one")
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port={self.port} is not allowed: give 1 to 65535, or 0 for any that is free")
        if self.workers < 1:
            raise OptionError(f"workers={self.workers} is not allowed: give 1 or more")
        if self.token is not None and not _is_token(self.token):
            raise OptionError("the token is empty or holds spaces or other than ASCII letters, digits and signs")
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise OptionError(
                    f"origin {origin!r} is not allowed: give what browsers send, scheme, host and port alone, such as "
                    "https://example.org, or * for all"
                )
        if not (self.is_local or self.token or self.insecure):
            raise OptionError(
                f"host {self.host} lets others in: give a token with --token or {TOKEN_VARIABLE}, or --insecure to do "
                "without"
            )

    @property
    def threads(self) -> int:
        """Threads that a worker may use for one recording."""
        return max(1, default_threads() // self.workers)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach `host`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and text != ""
