"""The process that decodes and scores: it loads its models, then does one job at a time until its pipe closes.

Everything that a stranger sent is decoded here and nowhere else, under a memory limit, so that a hostile file costs no
more than this process.
"""

import gc
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO, FileIO
from pathlib import Path
from traceback import format_exc
from typing import Any, BinaryIO

from earmark.errors import EarmarkError
from earmark.inference.classifier import Classifier
from earmark.service.jobs import Answer, Bounds, perform
from earmark.service.pipe import WorkerPipe
from earmark.service.problems import problem_of, refusal

__all__ = ["IN_MEMORY_BYTES", "UPLOAD_NAME", "work"]

IN_MEMORY_BYTES = 1 << 20
"""What is larger, upload or answer, goes through a file."""

UPLOAD_NAME = "upload"
"""What results and messages call a recording: the client's own name for it is never used."""


def work(end: socket.socket, models: Sequence[str], threads: int, bounds: Bounds, memory_bytes: int) -> None:
    """Be a worker; the target of its process.

    Parameters
    ----------
    end : socket
        Of the pipe to the front process.
    models : sequence of str
        Names or paths.
    threads : int
        That score one recording side by side.
    bounds : Bounds
        What a recording may be.
    memory_bytes : int
        That a job may take beside what is loaded.
    """
    _leave_signals_to_the_front()
    pipe = WorkerPipe(end)
    try:
        classifiers = {loaded.card.name: loaded for loaded in (Classifier.load(m, threads=threads) for m in models)}
        _warm_up(classifiers)
    except EarmarkError as error:
        pipe.send({"failed": str(error)})
        return
    gc.freeze()  # models and modules stay: no use in looking through them for garbage again and again
    _limit_memory(memory_bytes)
    pipe.send({"ready": list(classifiers)})
    with suppress(EOFError, OSError):  # the front process has gone, or wants no more
        while True:
            pipe.send(*_answer(classifiers, bounds, *pipe.receive()))


def _answer(
    classifiers: Mapping[str, Classifier], bounds: Bounds, job: dict[str, Any], body: bytes
) -> tuple[dict[str, Any], bytes]:
    """Do a job and return the head and the body of the answer."""
    try:
        with _sound(job, body) as sound:
            answer = perform(_chosen(classifiers, job["model"]), job["task"], sound, job["options"], bounds)
        return _packed(answer, job["large"])
    except Exception as error:  # noqa: BLE001 - whatever it is, the front process shall hear of it
        problem = problem_of(error)
        if problem is None:
            return {"error": "internal", "message": "The service made a mistake.", "trace": format_exc()}, b""
        return {"error": problem.code, "message": problem.message}, b""


def _chosen(classifiers: Mapping[str, Classifier], model: str) -> Classifier:
    """Return the model of a job; one that waited while the models were reloaded may ask for one that is gone."""
    if model not in classifiers:
        raise refusal("unknown_model", f"Model {model!r} is not served any more.")
    return classifiers[model]


def _packed(answer: Answer, large: str) -> tuple[dict[str, Any], bytes]:
    head = {"media": answer.media_type, "seconds": answer.seconds, "bytes": len(answer.body)}
    if len(answer.body) <= IN_MEMORY_BYTES:
        return head, answer.body
    try:
        Path(large).write_bytes(answer.body)
    except OSError:  # such as of a full disk, on which half an answer only takes room
        Path(large).unlink(missing_ok=True)
        raise
    return {**head, "file": large}, b""


def _sound(job: Mapping[str, Any], body: bytes) -> BinaryIO:
    """Return a recording, from the message or a file of the service's own, under the one name that all have."""
    sound: Any = FileIO(job["file"]) if "file" in job else BytesIO(body)
    sound.name = UPLOAD_NAME
    return sound  # type: ignore[no-any-return]


def _leave_signals_to_the_front() -> None:
    """Ignore what a terminal or a supervisor sends to all processes: the front process ends its workers itself."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _warm_up(classifiers: Mapping[str, Classifier]) -> None:
    """Import the decoders and run each model once, so that the first request is like the others, and the limit fair."""
    import av  # noqa: F401
    import numpy as np
    import soundfile  # noqa: F401
    import soxr  # noqa: F401

    for classifier in classifiers.values():
        rate_hz = classifier.card.sample_rate
        classifier.classify((np.zeros(round(classifier.card.segment_seconds * rate_hz), np.float32), rate_hz))


def _limit_memory(memory_bytes: int) -> None:
    """Let this process have so much more address space than now, where the system knows such a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return
    statm = Path("/proc/self/statm")
    if statm.exists():
        taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, resource.RLIM_INFINITY))
