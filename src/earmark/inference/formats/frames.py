"""Frames of long results, a few at a time, so that a day of scores is never one Python object."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from earmark.inference.results import EmbeddingResult, TimelineResult

_FRAMES_AT_ONCE = 256


def without_frames(result: TimelineResult | EmbeddingResult) -> dict[str, Any]:
    """Return `to_dict` of the result with an empty list of frames."""
    return _part(result, 0, 0).to_dict()


def iterate_frames(result: TimelineResult | EmbeddingResult) -> Iterator[dict[str, Any]]:
    """Yield the frames of `to_dict`."""
    for start in range(0, len(result.edges) - 1, _FRAMES_AT_ONCE):
        yield from _part(result, start, start + _FRAMES_AT_ONCE).to_dict()["frames"]


def _part(result: TimelineResult | EmbeddingResult, start: int, stop: int) -> TimelineResult | EmbeddingResult:
    edges = result.edges[start : stop + 1]
    novelty = None if result.novelty is None else result.novelty[start:stop]
    if isinstance(result, TimelineResult):
        return replace(result, edges=edges, scores=result.scores[start:stop], novelty=novelty)
    return replace(result, edges=edges, embeddings=result.embeddings[start:stop], novelty=novelty)
