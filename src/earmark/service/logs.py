"""The log: a line for each request and for what an operator should know, as text or as JSON; never names or content."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from earmark.inference.formats.escape import one_line

__all__ = ["LOGGER", "log_failure", "log_request", "start_logging"]

LOGGER = "earmark.service"
"""The logger of everything that the service says."""

_LOG = logging.getLogger(LOGGER)
_FACTS, _TRACE = "facts", "trace"
_OTHERS = ("uvicorn.error", "asyncio")
_SILENT = "python_multipart"  # what is wrong with a form is told to who sent it


def start_logging(*, as_json: bool) -> None:
    """Let the log go to standard error, with what the web server and the event loop complain about."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    for name, level in ((LOGGER, logging.INFO), *((other, logging.WARNING) for other in _OTHERS)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.getLogger(_SILENT).setLevel(logging.CRITICAL)


def log_request(
    *,
    method: str,
    route: str,
    status: int,
    milliseconds: float,
    sound_seconds: float,
    received_bytes: int,
    client: str,
) -> None:
    """Write the line of a request.

    Parameters
    ----------
    method : str
        Such as ``POST``.
    route : str
        Its template, so that nothing that a client wrote into a path comes here.
    status : int
        Of the answer.
    milliseconds : float
        From the header to the end of the answer.
    sound_seconds : float
        How much sound was analysed.
    received_bytes : int
        Of the body.
    client : str
        Its address.
    """
    if not _LOG.isEnabledFor(logging.INFO):
        return
    facts = {
        "method": method,
        "route": route,
        "status": status,
        "ms": round(milliseconds, 1),
        "sound_s": round(sound_seconds, 3),
        "bytes": received_bytes,
        "client": client,
    }
    _LOG.info("request", extra={_FACTS: facts})


def log_failure(message: str, trace: str) -> None:
    """Write that something went wrong which should not, with the traceback of where it did."""
    _LOG.error(message, extra={_TRACE: trace})


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    return getattr(record, _FACTS, {})


def _trace(record: logging.LogRecord) -> str:
    """Return the traceback that a record carries, or nothing."""
    if record.exc_info:
        return logging.Formatter().formatException(record.exc_info)
    return getattr(record, _TRACE, "").rstrip()


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TextFormatter(logging.Formatter):
    """Lines for people: time, then what is the matter."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and after it the traceback if there is one."""
        facts = _facts(record)
        if facts:
            said = "{method} {route} {status} {ms} ms, {sound_s} s of sound, {bytes} bytes, {client}".format(**facts)
        else:
            said = record.getMessage()
        return "\n".join(filter(None, (f"{_time(record)} {one_line(said)}", _trace(record))))


class _JsonFormatter(logging.Formatter):
    """Lines for machines: one object each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        said = {"time": _time(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if trace := _trace(record):
            said["trace"] = trace
        return json.dumps({**said, **_facts(record)})
