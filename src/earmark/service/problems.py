"""How errors are answered: a status, a stable code, the sentence, and what to do; the one list of all codes."""

import errno
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from earmark.errors import (
    AudioError,
    EarmarkError,
    EmptyAudioError,
    LabelError,
    ModelError,
    NonFiniteSamplesError,
    NoSoundTrackError,
    NotAudioError,
    OptionError,
    SampleRateError,
    UnknownModelError,
)

__all__ = ["KINDS", "Kind", "Problem", "RefusedError", "problem_of", "refusal", "status_problem"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error that clients can tell from others.

    Parameters
    ----------
    status : int
        Of HTTP.
    hint : str
        What to do about it.
    retry_seconds : int, optional
        After which it is worth another try, where waiting helps.
    """

    status: int
    hint: str
    retry_seconds: int | None = None


KINDS: dict[str, Kind] = {
    "not_audio": Kind(415, "Send WAV, FLAC, Ogg, MP3, M4A, WebM, or another sound or video file."),
    "no_sound_track": Kind(415, "Send a file with sound in it."),
    "empty_audio": Kind(422, "Record, copy or download the file again, and see that its bytes are in the request."),
    "non_finite": Kind(422, "Make the file again without NaN and infinite samples."),
    "bad_sample_rate": Kind(422, "Convert the file to a usual sample rate, such as 16000 or 48000 Hz."),
    "bad_audio": Kind(422, "Copy or download the file again, or convert it to WAV."),
    "analysis_crashed": Kind(422, "Convert the file to WAV or FLAC and send that; if it happens again, report it."),
    "unknown_parameter": Kind(422, "The parameters of each route are listed at /docs."),
    "bad_option": Kind(422, "The parameters of each route and what they allow are listed at /docs."),
    "unknown_label": Kind(422, "GET /v1/models/NAME lists the labels of a model."),
    "no_file": Kind(422, "Send a file as a field of a multipart form, or as the body itself."),
    "several_files": Kind(422, "POST many files to /v1/batch."),
    "bad_form": Kind(422, "Let a library write the form, or send the file as the body itself."),
    "no_embeddings": Kind(422, "Choose a model that gives embeddings; GET /v1/models lists those served here."),
    "too_large": Kind(413, "Send less at a time: a part of the recording, or a compressed file such as FLAC or Opus."),
    "too_long": Kind(413, "Give start and end to choose a part, or cut the recording."),
    "too_many_files": Kind(413, "Send several batches."),
    "too_much_memory": Kind(413, "Give start and end to choose a part, narrow the labels with allow, or cut the file."),
    "analysis_too_long": Kind(408, "Give start and end to choose a part, or cut the recording."),
    "upload_too_slow": Kind(408, "Send a compressed file, such as FLAC or Opus, or use a faster line."),
    "bad_message": Kind(422, "The messages of a stream are described in the guide, under Live sound."),
    "too_many_listeners": Kind(503, "Try again later, when others have ended their streams."),
    "client_busy": Kind(429, "Wait for the answers to your other requests, then try again.", 1),
    "queue_full": Kind(503, "Try again in a moment.", 1),
    "no_worker": Kind(503, "Try again in a moment.", 1),
    "no_space": Kind(503, "Try again in a while, or send less at a time: a part, or a compressed file.", 10),
    "ending": Kind(503, "Try again in a moment: the service is being restarted or moved.", 1),
    "too_many_connections": Kind(503, "Close connections that you do not need, then try again.", 1),
    "not_http": Kind(400, "Let a library speak HTTP, or speak it in plain words: https is for a proxy in front."),
    "header_too_slow": Kind(408, "Send the whole header of a request at once, then its body."),
    "header_too_large": Kind(431, "Send a shorter address and fewer header fields."),
    "bad_request": Kind(400, "See the description at /swagger.json."),
    "token_missing": Kind(401, "Send the header 'Authorization: Bearer TOKEN'."),
    "token_wrong": Kind(401, "Ask whoever runs this service for its token."),
    "unknown_model": Kind(404, "GET /v1/models lists the models served here."),
    "not_found": Kind(404, "All routes are listed at /docs."),
    "method_not_allowed": Kind(405, "The header Allow of this answer says which methods there are."),
    "host_not_allowed": Kind(421, "Whoever runs this service can add the name with --allow-host."),
    "origin_not_allowed": Kind(403, "Whoever runs this service can add the page's origin with --allow-origin."),
    "internal": Kind(500, "It is in the service's log. If it happens again, report it."),
}
"""All codes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a client sees it.

    Parameters
    ----------
    code : str
        One of `KINDS`.
    message : str
        A sentence: the thing, its value, what is allowed.
    headers : tuple of (str, str)
        Of the answer.
    """

    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.code].status

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"error": {"code", "message", "hint"}}``."""
        return {"error": {"code": self.code, "message": self.message, "hint": KINDS[self.code].hint}}


class RefusedError(EarmarkError):
    """A request that is answered with an error; `problem` says which."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def refusal(code: str, message: str, **headers: str) -> RefusedError:
    """Return the error for a code of `KINDS`; ``www_authenticate="Bearer"`` becomes the header of that name.

    Where the kind says when it is worth another try, so does the header ``Retry-After``.
    """
    retry_seconds = KINDS[code].retry_seconds
    named = {} if retry_seconds is None else {"retry-after": str(retry_seconds)}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return RefusedError(Problem(code, message, tuple(named.items())))


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (NotAudioError, "not_audio"),
    (NoSoundTrackError, "no_sound_track"),
    (EmptyAudioError, "empty_audio"),
    (NonFiniteSamplesError, "non_finite"),
    (SampleRateError, "bad_sample_rate"),
    (AudioError, "bad_audio"),
    (UnknownModelError, "unknown_model"),
    (LabelError, "unknown_label"),
    (OptionError, "bad_option"),
    (ModelError, "too_much_memory"),  # a model that has answered before, and fails on one recording
)


_FULL = (errno.ENOSPC, errno.EDQUOT)


def problem_of(error: Exception) -> Problem | None:
    """Return how an error is answered, or None for one that is a mistake of the service itself."""
    if isinstance(error, RefusedError):
        return error.problem
    if _is_out_of_memory(error):
        return Problem("too_much_memory", "The recording takes more memory than is allowed.")
    if isinstance(error, OSError) and error.errno in _FULL:
        return refusal("no_space", "The disk of the service, where large files lie for a while, is full.").problem
    for kind, code in _CODES:
        if isinstance(error, kind):
            return Problem(code, str(error))
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether the reason is a lack of memory, which a decoder may report in other words."""
    if isinstance(error, MemoryError):
        return True
    reason = error.__cause__ or error.__context__
    return reason is not None and _is_out_of_memory(reason)


def status_problem(status: int, **headers: str) -> Problem:
    """Return the problem for what the web framework itself refuses: a route or a method that is not there."""
    code, message = _STATUSES.get(status, ("bad_form", f"{HTTPStatus(status).phrase}."))
    return Problem(code, message, tuple(headers.items()))


_STATUSES = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take such requests."),
}
