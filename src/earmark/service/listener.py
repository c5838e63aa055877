"""One listener: raw samples in, and what is heard in them out, as the JSON messages of a stream."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio.pcm import PcmStream
from earmark.errors import OptionError
from earmark.inference.changedrule import changed_rule
from earmark.inference.classifier import Classifier
from earmark.inference.stream import Stream, StreamUpdate
from earmark.service.jobs import RULE_FIELDS, label_entries
from earmark.service.opening import Opening

MOST_WAITING_BYTES = 2**20
"""How many bytes may wait for the rest of a frame."""

SLICE_SECONDS = 10.0
"""The most sound that is scored at once, so that a long message takes turns with other listeners."""

_SAMPLE_BYTES = {"s16le": 2, "f32le": 4}
_SCORE_DIGITS, _TIME_DIGITS = 4, 6

Scores = NDArray[np.float32]


class Listener:
    """Follows the sound of one client.

    Samples that cannot complete a frame wait together: a call into the model's thread for each of fifty blocks a second
    would cost more than the model. What is heard does not depend on it; see `Stream`.

    Parameters
    ----------
    classifier : Classifier
        The model that listens.
    opening : Opening
        What the client said first.

    Raises
    ------
    EarmarkError
        For a rate or a number of channels that cannot be, an unknown label, an option out of range.
    """

    def __init__(self, classifier: Classifier, opening: Opening) -> None:
        self._card = classifier.card
        self._stream = _open_stream(classifier, opening)
        self._waiting = _Waiting()
        self._pcm = PcmStream(
            self._waiting,  # type: ignore[arg-type]  # it needs `read` and nothing else
            opening.sample_rate,
            channels=opening.channels,
            format=opening.format,
            block_seconds=SLICE_SECONDS,
        )
        self._sample_bytes = opening.channels * _SAMPLE_BYTES[opening.format]
        self._second_bytes = opening.sample_rate * self._sample_bytes
        self._described = _describer(opening)
        self._frames = 0

    @property
    def model(self) -> str:
        """Name of the model that listens."""
        return self._card.name

    @property
    def seconds(self) -> float:
        """Seconds of sound that were scored."""
        return self._stream.seconds

    @property
    def waiting(self) -> bool:
        """Whether there is sound that was not scored."""
        return len(self._waiting) > 0

    @property
    def ready(self) -> bool:
        """Whether what waits may complete a frame, or is too much to wait."""
        if not self.waiting:
            return False
        due_seconds = self._card.frame_length_seconds + self._frames * self._card.frame_hop_seconds
        arrived_seconds = self.seconds + len(self._waiting) / self._second_bytes
        return arrived_seconds >= due_seconds - 1e-6 or len(self._waiting) >= MOST_WAITING_BYTES

    def greeting(self) -> str:
        """Return the message that says what listens."""
        card = self._card
        return _message(
            "ready",
            model=card.name,
            model_version=card.version,
            labels=[{"label": label.name, "id": label.id} for label in self._stream.labels],
            frame_hop_seconds=card.frame_hop_seconds,
            frame_length_seconds=card.frame_length_seconds,
        )

    def add(self, data: bytes) -> None:
        """Take the next samples.

        Raises
        ------
        OptionError
            If they are not whole.
        """
        if len(data) % self._sample_bytes:
            raise OptionError(
                f"a message of {len(data)} bytes does not hold whole samples of {self._sample_bytes} bytes: "
                "send all channels of a sample in one message"
            )
        self._waiting.write(data)

    def hear(self) -> list[str]:
        """Score what waits, at most a slice of it, and return the messages that come of it.

        Raises
        ------
        NonFiniteSamplesError
            At NaN or infinite samples.
        """
        block = next(iter(self._pcm), None)
        return [] if block is None else self._messages(self._stream.feed(block))

    def finish(self) -> list[str]:
        """End the sound: score what no frame was complete of, close open events, and return the last messages.

        Nothing may wait any more.
        """
        last = self._messages(self._stream.finish())
        return [*last, _message("summary", seconds=round(self.seconds, _TIME_DIGITS))]

    def _messages(self, update: StreamUpdate) -> list[str]:
        self._frames += len(update.scores)
        messages = []
        if self._described is not None and len(update.scores):
            messages.append(_frames_message(update, self._described))
        return messages + [_message("event", **change.to_dict()) for change in update.changes]


class _Waiting:
    """Bytes that were taken and not yet read."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def write(self, data: bytes) -> None:
        self._bytes += data

    def read(self, size: int) -> bytes:
        data = bytes(self._bytes[:size])
        del self._bytes[:size]
        return data


def _open_stream(classifier: Classifier, opening: Opening) -> Stream:
    card = classifier.card
    changes = {field: getattr(opening, name) for name, field in RULE_FIELDS.items()}
    return classifier.stream(
        opening.sample_rate,
        rule=changed_rule(card.decision, **changes),
        allow=label_entries(opening.allow, card),
        deny=label_entries(opening.deny, card),
        novelty=opening.novelty,
        novelty_threshold=opening.novelty_threshold,
    )


def _describer(opening: Opening) -> Callable[[Scores], list[Any]] | None:
    """Return what makes lists of scores, as many as the client wants; None if it wants events alone."""
    if opening.top is not None:
        return lambda scores: [_best(row, opening.top) for row in scores]
    return _rounded if opening.scores else None


def _best(row: Scores, count: int | None) -> list[list[float]]:
    """Return the highest scores of a frame with their columns, highest first."""
    columns = np.argsort(-row, kind="stable")[:count]
    return [[column, score] for column, score in zip(columns.tolist(), _rounded(row[columns]), strict=True)]


def _frames_message(update: StreamUpdate, described: Callable[[Scores], list[Any]]) -> str:
    novelty = {} if update.novelty is None else {"novelty": _rounded(update.novelty)}
    edges = np.round(update.edges, _TIME_DIGITS).tolist()
    return _message("frames", edges=edges, scores=described(update.scores), **novelty)


def _rounded(scores: Scores) -> list[Any]:
    rounded: NDArray[Any] = np.round(scores.astype(np.float64), _SCORE_DIGITS)  # 0.1 of float32 has 17 digits
    unknown = ~np.isfinite(rounded)
    if unknown.any():  # the sound was beyond all bounds, and JSON knows no NaN
        rounded = rounded.astype(object)
        rounded[unknown] = None
    values: list[Any] = rounded.tolist()
    return values


def _message(type_: str, /, **content: Any) -> str:
    return json.dumps({"type": type_, **content}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
