"""What a model hears in one clip: the scores of the whole, of every frame, and the events, in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.errors import AudioError, EarmarkError
from earmark.inference.eventfinder import EventFinder
from earmark.inference.events import closed_events
from earmark.inference.parallel import ordered_map
from earmark.inference.results import Event
from earmark.inference.scan import Scan
from earmark.inference.tagger import Tagger
from earmark.model.card import DecisionRule

if TYPE_CHECKING:
    from earmark.data.manifest import Clip
    from earmark.model.backends import Backend


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What a model hears in one clip. Times are seconds from the clip's start.

    Parameters
    ----------
    scores : ndarray of float32, shape (classes,)
        In the order of the model's labels, as `Classifier.classify` gives them.
    novelty : float, optional
        Where the model gives it.
    seconds : float
        How much sound was analysed.
    events : tuple of Event
        As `Classifier.events` gives them; empty where nobody asked.
    edges : ndarray of float64, shape (frames + 1,)
    frames : ndarray of float32, shape (frames, classes)
        As `Classifier.timeline` gives them; no frames where nobody asked.
    """

    scores: NDArray[np.float32]
    novelty: float | None
    seconds: float
    events: tuple[Event, ...]
    edges: NDArray[np.float64]
    frames: NDArray[np.float32]


def hear_clips(
    backend: "Backend", clips: Sequence["Clip"], *, threads: int, rule: DecisionRule | None = None
) -> Iterator[Heard | EarmarkError]:
    """Hear clips side by side and yield what is heard in their order; for one that cannot be read, why.

    Parameters
    ----------
    backend : Backend
        The loaded model.
    clips : sequence of Clip
        Events are looked for in those that have strong labels.
    threads : int
        How many are heard at once.
    rule : DecisionRule, optional
        How frame scores become events; by default the card's.
    """

    def attempt(clip: "Clip") -> Heard | EarmarkError:
        try:
            return hear(backend, clip, rule=rule)
        except EarmarkError as error:
            return error

    return ordered_map(attempt, clips, threads)


def hear(backend: "Backend", clip: "Clip", *, rule: DecisionRule | None = None) -> Heard:
    """Return what a model hears in one clip.

    Raises
    ------
    AudioError
        If it cannot be read, or its samples are so large that no score is finite.
    """
    start = clip.start_seconds or 0.0
    tagger = Tagger(backend, top_k=0, threshold=0.0, novelty="ignore")
    finder = EventFinder(backend, rule=rule) if clip.events is not None else None
    scan = Scan(backend, clip.path, threads=1, start=start, end=clip.end_seconds)
    edges: list[NDArray[np.float64]] = []
    frames: list[NDArray[np.float32]] = []
    changes = []
    for segment_edges, outputs in scan:
        tagger.push(outputs)
        if finder is not None:
            changes += finder.push(outputs, segment_edges)
            edges.append(segment_edges[1:] if edges else segment_edges)
            frames.append(outputs.frames[0])
    changes += finder.finish(scan.end_seconds) if finder else []
    answer = tagger.answer()
    if len(answer["tags"]) < len(backend.card.labels):
        raise AudioError(
            f"{clip.name} gives scores that are not finite: its samples are far beyond full scale, which is 1; "
            "make it again, or leave it out"
        )
    times = np.concatenate(edges) - start if edges else np.zeros(1)
    if finder is not None:
        times[-1] = scan.end_seconds - start
    return Heard(
        scores=_in_order(backend, answer["tags"]),
        novelty=answer["novelty"],
        seconds=scan.end_seconds - start,
        events=tuple(_moved(event, -start) for event in closed_events(changes)),
        edges=times,
        frames=np.concatenate(frames) if frames else np.zeros((0, len(backend.card.labels)), np.float32),
    )


def _in_order(backend: "Backend", tags: Sequence[object]) -> NDArray[np.float32]:
    scores = {tag.id: tag.score for tag in tags}  # type: ignore[attr-defined]
    return np.array([scores[label.id] for label in backend.card.labels], np.float32)


def _moved(event: Event, seconds: float) -> Event:
    return Event(event.label, event.id, max(0.0, event.onset + seconds), event.offset + seconds, event.score)
