"""What a worker can be asked: each task turns the sound that somebody sent into the bytes of the answer."""

import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from typing import Any, BinaryIO, TypeVar

import numpy as np

from earmark.audio.decode import MOST_SECONDS, AudioReader, check_span, open_audio
from earmark.errors import OptionError
from earmark.inference.changedrule import changed_rule
from earmark.inference.classifier import Classifier
from earmark.inference.formats import write_results
from earmark.inference.formats.document import dump
from earmark.inference.labels import split_labels
from earmark.inference.results import Result
from earmark.model.card import ModelCard
from earmark.service.problems import refusal

__all__ = [
    "MAX_ROW_SECONDS",
    "MEDIA_TYPES",
    "RULE_FIELDS",
    "TASKS",
    "WAV_RATE_HZ",
    "Answer",
    "Bounds",
    "label_entries",
    "perform",
]

JSON = "application/json"
MAX_ROW_SECONDS = 0.96
"""Of what the task ``max`` counts its start time in."""

WAV_RATE_HZ = 16_000
"""Of the sound that the task ``wav`` gives back."""

MEDIA_TYPES = {
    "json": JSON,
    "csv": "text/csv; charset=utf-8",
    "audacity": "text/plain; charset=utf-8",
    "raven": "text/tab-separated-values; charset=utf-8",
    "rttm": "text/plain; charset=utf-8",
    "sed-events": "text/tab-separated-values; charset=utf-8",
    "sed-scores": "text/tab-separated-values; charset=utf-8",
}
"""Content types by the names of formats."""

RULE_FIELDS = {
    "on": "on",
    "off": "off",
    "smoothing": "smoothing_seconds",
    "min_duration": "min_duration_seconds",
    "merge_gap": "merge_gap_seconds",
}
"""Options that change a number of the decision rule, and the number's name in it."""

_SPARE_SECONDS = 1.0  # by so much more than allowed is read, to know that there is more
_FULL_SCALE = 2**15 - 1  # of 16-bit samples
_MAX_TAGS, _MAX_ROWS = 5, 10

_Answer = TypeVar("_Answer", bound=Result)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a recording may be.

    Parameters
    ----------
    sound_seconds : float
        Between the start and the end that are asked for.
    """

    sound_seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task gives: bytes of a content type, and how many seconds of sound they are about."""

    body: bytes
    media_type: str
    seconds: float


def perform(classifier: Classifier, task: str, sound: BinaryIO, options: Mapping[str, Any], bounds: Bounds) -> Answer:
    """Do a task.

    Parameters
    ----------
    classifier : Classifier
        The model that was asked for.
    task : str
        One of `TASKS`.
    sound : BinaryIO
        The recording, as it was sent.
    options : Mapping
        Those of the task, as JSON has them; what is None or left out has its default.
    bounds : Bounds
        What is refused.

    Raises
    ------
    AudioError, LabelError, OptionError, RefusedError
        For a recording that cannot be read, an unknown label, an option out of range, too long a recording.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return TASKS[task](classifier, sound, given, bounds)


def label_entries(given: list[str], card: ModelCard) -> list[str]:
    """Return the entries of a repeated option `allow` or `deny`, each of which may hold several with commas between.

    Raises
    ------
    OptionError
        If one of them is empty, as a variable of a script may be: it must not mean all labels.
    """
    entries = [split_labels(text, card.labels) for text in given]
    if not all(entries):
        raise OptionError("allow or deny is empty: give it a label, or leave it out")
    return [entry for several in entries for entry in several]


def _classify(classifier: Classifier, sound: BinaryIO, given: dict[str, Any], bounds: Bounds) -> Answer:
    return _asked(classifier, classifier.classify, sound, given, bounds)


def _events(classifier: Classifier, sound: BinaryIO, given: dict[str, Any], bounds: Bounds) -> Answer:
    changes = {RULE_FIELDS[name]: given.pop(name) for name in RULE_FIELDS if name in given}
    given["rule"] = changed_rule(classifier.card.decision, **changes)
    return _asked(classifier, classifier.events, sound, given, bounds)


def _timeline(classifier: Classifier, sound: BinaryIO, given: dict[str, Any], bounds: Bounds) -> Answer:
    return _asked(classifier, classifier.timeline, sound, given, bounds)


def _embed(classifier: Classifier, sound: BinaryIO, given: dict[str, Any], bounds: Bounds) -> Answer:
    if not classifier.card.embedding_size:
        raise refusal("no_embeddings", f"Model {classifier.card.name!r} gives no embeddings.")
    return _asked(classifier, classifier.embed, sound, given, bounds)


def _asked(
    classifier: Classifier, method: Callable[..., Result], sound: BinaryIO, given: dict[str, Any], bounds: Bounds
) -> Answer:
    """Ask the classifier, and write its result in the format that is wanted."""
    form = given.pop("format", "json")
    for name in ("allow", "deny"):
        given[name] = label_entries(given.get(name, []), classifier.card)
    if method == classifier.embed:
        del given["allow"], given["deny"]
    result = _bounded(method, sound, classifier.card.sample_rate, given, bounds)
    text = StringIO()
    write_results([result], "jsonl" if form == "json" else form, text)
    return Answer(text.getvalue().encode(), MEDIA_TYPES[form], result.seconds)


def _bounded(
    method: Callable[..., _Answer], sound: BinaryIO, rate_hz: int, given: dict[str, Any], bounds: Bounds
) -> _Answer:
    """Ask about no more sound than is allowed, and refuse what is longer: by its header, else when that is reached."""
    start, end = given.get("start", 0.0), given.get("end")
    with _opened(sound, rate_hz, start, end, bounds) as reader:
        result = method(reader, **{**given, "end": _last_second(start, end, bounds)})
    if result.seconds > bounds.sound_seconds:
        raise _too_long(f"more than {bounds.sound_seconds:g}", bounds)
    return replace(result, parameters={**result.parameters, "end": end})


def _opened(sound: BinaryIO, rate_hz: int, start: float, end: float | None, bounds: Bounds) -> AudioReader:
    """Open a recording as far as `_last_second`; refuse one of which the header says that there is more."""
    check_span(start, end)
    reader = open_audio(sound, rate_hz, start=start, end=_last_second(start, end, bounds))
    claimed = reader.duration_seconds
    if claimed is not None and (seconds := _earlier(claimed, end) - start) > bounds.sound_seconds:
        reader.close()
        raise _too_long(f"{seconds:.0f}", bounds)
    return reader


def _last_second(start: float, end: float | None, bounds: Bounds) -> float:
    """Return where to stop reading: at `end`, or just behind what is allowed."""
    return min(_earlier(start + bounds.sound_seconds + _SPARE_SECONDS, end), MOST_SECONDS)


def _earlier(seconds: float, end: float | None) -> float:
    return seconds if end is None else min(seconds, end)


def _too_long(seconds: str, bounds: Bounds) -> Exception:
    return refusal(
        "too_long", f"There are {seconds} s of sound to analyse, and {bounds.sound_seconds:g} s are allowed."
    )


def _wav(_: Classifier, sound: BinaryIO, given: dict[str, Any], bounds: Bounds) -> Answer:
    """Give the sound back as 16-bit mono WAV, which every browser plays."""
    start, end = given.get("start", 0.0), given.get("end")
    made = BytesIO()
    with _opened(sound, WAV_RATE_HZ, start, end, bounds) as reader, wave.open(made, "wb") as file:
        file.setparams((1, 2, WAV_RATE_HZ, 0, "NONE", ""))
        for block in reader:
            file.writeframesraw(np.rint(np.clip(block, -1, 1) * _FULL_SCALE).astype("<i2").tobytes())
    if reader.seconds > bounds.sound_seconds:
        raise _too_long(f"more than {bounds.sound_seconds:g}", bounds)
    return Answer(made.getvalue(), "audio/wav", reader.seconds)


def _max_predict(classifier: Classifier, sound: BinaryIO, given: dict[str, Any], bounds: Bounds) -> Answer:
    """Answer as IBM's MAX Audio Classifier does: five labels at most, of ten rows of 0.96 s from a start time.

    Its `filter` names labels, of which those that do not exist are passed over; here it comes before the best five.
    """
    check_span(max(0.0, given["start_time"]), None)
    start = max(0.0, int(given["start_time"] / MAX_ROW_SECONDS) * MAX_ROW_SECONDS)
    end = start + _MAX_ROWS * MAX_ROW_SECONDS
    options = {"start": start, "end": end, "top_k": 0, "threshold": 0.0, "novelty": "ignore"}
    result = _bounded(classifier.classify, sound, classifier.card.sample_rate, options, bounds)
    if given["start_time"] >= start + result.seconds:  # a row may begin before the end of the clip, and this after it
        raise OptionError(f"start_time={given['start_time']:g} s is not before the end, {start + result.seconds:g} s.")
    wanted = {entry.casefold() for entry in split_labels(given.get("filter", ""), classifier.card.labels)}
    chosen = [tag for tag in result.tags if not wanted or tag.label.casefold() in wanted]
    predictions = [
        {"label_id": tag.id, "label": tag.label, "probability": round(tag.score, 6)} for tag in chosen[:_MAX_TAGS]
    ]
    body = dump({"status": "ok", "predictions": predictions}, "utf-8").encode()
    return Answer(body, JSON, result.seconds)


TASKS: dict[str, Callable[[Classifier, BinaryIO, dict[str, Any], Bounds], Answer]] = {
    "classify": _classify,
    "events": _events,
    "timeline": _timeline,
    "embed": _embed,
    "wav": _wav,
    "max": _max_predict,
}
"""What can be asked, by name."""
