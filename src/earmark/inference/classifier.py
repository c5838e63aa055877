"""The classifier: a loaded model and everything one asks of it."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from earmark.audio.decode import Source, check_span, source_name
from earmark.errors import EarmarkError, ModelError, OptionError
from earmark.inference.eventfinder import EventFinder
from earmark.inference.events import closed_events
from earmark.inference.labels import listed, select_labels
from earmark.inference.novelty import NoveltyMode
from earmark.inference.parallel import ordered_map
from earmark.inference.results import (
    ClipResult,
    EmbeddingResult,
    EventsResult,
    Failure,
    Result,
    TimelineResult,
)
from earmark.inference.scan import Scan
from earmark.inference.stream import Stream
from earmark.inference.tagger import Aggregate, Tagger, Threshold
from earmark.model.backends import Backend, Outputs, load_backend
from earmark.model.card import DecisionRule, ModelCard
from earmark.model.hub import default_hub
from earmark.model.inside import INSIDE

DEFAULT_MODEL = INSIDE
"""The model that answers where none is named."""

THREADS_VARIABLE = "EARMARK_THREADS"
"""Environment variable with the default number of threads."""

_Answer = TypeVar("_Answer", bound=Result)


class Classifier:
    """A loaded model: classify, find events, draw timelines, embed, follow a stream.

    A classifier may be used from several threads at once. Recordings of any length are read in constant memory: they
    are scored segment by segment, the segments side by side on `threads` threads.

    Parameters
    ----------
    backend : Backend
        A loaded model file; `Classifier.load` is the usual way.
    threads : int, optional
        How many threads score segments or files side by side. By default `default_threads`.

    Examples
    --------
    >>> import earmark
    >>> classifier = earmark.Classifier.load()  # doctest: +SKIP
    >>> classifier.classify("dog.wav").tags[0].label  # doctest: +SKIP
    'dog'
    """

    def __init__(self, backend: Backend, *, threads: int | None = None) -> None:
        self.backend = backend
        self.threads = default_threads() if threads is None else _positive(threads, "threads")

    @classmethod
    def load(
        cls, model: str | os.PathLike[str] = DEFAULT_MODEL, *, threads: int | None = None, device: str = "cpu"
    ) -> Self:
        """Load a model by name or path.

        Parameters
        ----------
        model : str or path
            A name from `earmark models list`, or an ``.onnx`` or ``.tflite`` file; by default the model inside.
        threads : int, optional
            See `Classifier`.
        device : {"cpu", "cuda"}
            Where ONNX Runtime computes.

        Raises
        ------
        ModelError, DownloadError, MissingExtraError, OptionError
            Each says what to do.
        """
        return cls(load_backend(default_hub().resolve(model), device=device), threads=threads)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.backend.card

    def classify(
        self,
        source: Source,
        *,
        top_k: int = 5,
        threshold: Threshold | None = None,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        start: float = 0.0,
        end: float | None = None,
        aggregate: Aggregate = "mean",
        novelty: NoveltyMode = "reject",
        novelty_threshold: float | None = None,
    ) -> ClipResult:
        """Say what is heard in a recording as a whole.

        Parameters
        ----------
        source : path, bytes, binary file or (array, rate)
            Anything that is or contains sound.
        top_k : int
            At most so many tags; 0 for all.
        threshold : float or "card", optional
            Only tags of at least this score, in [0, 1]; ``"card"`` for the `on` threshold of each class in the card's
            decision rule. By default the card's if the model is calibrated, multi-label, and its card has thresholds of
            single classes; else 0.
        allow, deny : sequence of str
            Only these labels, and not these: names, ids or wildcards. They are applied before `top_k`.
        start, end : float
            Seconds; only what lies between is analysed.
        aggregate : {"mean", "max"}
            How the segments of a long recording become one score: their mean by length, or the highest. So does their
            novelty; with ``"max"`` a segment that is refused is left out, unless all are.
        novelty : {"reject", "ignore"}
            Of a model that tells unknown sound: answer with none of its classes, or with the closest ones all the same.
        novelty_threshold : float, optional
            Novelty in [0, 1] at or above which a recording is refused; by default the card's.

        Returns
        -------
        ClipResult
            Tags, highest score first; or `none_of_these`, without tags.

        Raises
        ------
        AudioError, LabelError, OptionError
            For sound that cannot be read, an unknown label, an option out of range.
        """
        tagger = self._tagger(
            start=start,
            end=end,
            top_k=top_k,
            threshold=threshold,
            allow=allow,
            deny=deny,
            aggregate=aggregate,
            novelty=novelty,
            novelty_threshold=novelty_threshold,
        )
        scan = self._scan(source, start, end)
        for _, outputs in scan:
            tagger.push(outputs)
        return ClipResult(**tagger.answer(), **scan.facts(**tagger.parameters))

    def events(
        self,
        source: Source,
        *,
        rule: DecisionRule | None = None,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        start: float = 0.0,
        end: float | None = None,
        novelty: NoveltyMode = "reject",
        novelty_threshold: float | None = None,
    ) -> EventsResult:
        """Say what is heard and when: label, onset, offset, score.

        Parameters
        ----------
        source, allow, deny, start, end
            As in `classify`.
        rule : DecisionRule, optional
            How frame scores become events; by default the card's.
        novelty : {"reject", "ignore"}
            Of a model that tells unknown sound: let it be an event of the label "none of these" and of no class, or
            look for classes in it all the same. `allow` and `deny` may name that label too.
        novelty_threshold : float, optional
            Novelty in [0, 1] at or above which a frame is refused; by default the card's.
        """
        finder = self._finder(
            start=start,
            end=end,
            rule=rule,
            allow=allow,
            deny=deny,
            novelty=novelty,
            novelty_threshold=novelty_threshold,
        )
        scan = self._scan(source, start, end)
        changes = [change for edges, outputs in scan for change in finder.push(outputs, edges)]
        changes += finder.finish(scan.end_seconds)
        return EventsResult(events=closed_events(changes), **scan.facts(**finder.parameters))

    def timeline(
        self,
        source: Source,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        start: float = 0.0,
        end: float | None = None,
    ) -> TimelineResult:
        """Return the scores of every frame; parameters as in `classify`.

        The scores are kept in memory: 4 bytes for each frame and label, so narrow the labels of day-long recordings.
        """
        chosen = self._chosen(allow=allow, deny=deny, start=start, end=end)
        scan = self._scan(source, start, end)
        edges, scores, novelty = _joined(
            (edges, outputs.frames[0][:, chosen], _novelty(outputs)) for edges, outputs in scan
        )
        edges[-1] = scan.end_seconds
        labels = tuple(self.card.labels[index] for index in chosen)
        facts = scan.facts(**listed(allow=allow, deny=deny))
        return TimelineResult(labels=labels, edges=edges, scores=scores, novelty=novelty, **facts)

    def embed(self, source: Source, *, start: float = 0.0, end: float | None = None) -> EmbeddingResult:
        """Return the embedding of every frame; parameters as in `classify`.

        Raises
        ------
        ModelError
            If the model gives no embeddings.
        """
        self._check_embeddings()
        scan = self._scan(source, start, end)
        edges, embeddings, novelty = _joined(
            (edges, _embeddings(outputs), _novelty(outputs)) for edges, outputs in scan
        )
        edges[-1] = scan.end_seconds
        return EmbeddingResult(edges=edges, embeddings=embeddings, novelty=novelty, **scan.facts())

    def stream(
        self,
        sample_rate_hz: int,
        *,
        rule: DecisionRule | None = None,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        novelty: NoveltyMode = "reject",
        novelty_threshold: float | None = None,
    ) -> Stream:
        """Open a stream to feed blocks of sound into as they come; see `Stream`, and `events` for the options."""
        return Stream(
            self.backend,
            sample_rate_hz,
            rule=rule,
            allow=allow,
            deny=deny,
            novelty=novelty,
            novelty_threshold=novelty_threshold,
        )

    def classify_many(self, sources: Iterable[Source], **options: Any) -> Iterator[ClipResult | Failure]:
        """Classify recordings side by side and yield results in order; a bad one is a `Failure`, not the end.

        `options` are those of `classify`.
        """
        return self._many(Classifier.classify, self._tagger, sources, options)

    def events_many(self, sources: Iterable[Source], **options: Any) -> Iterator[EventsResult | Failure]:
        """Find events in recordings side by side; see `classify_many` and `events`."""
        return self._many(Classifier.events, self._finder, sources, options)

    def timeline_many(self, sources: Iterable[Source], **options: Any) -> Iterator[TimelineResult | Failure]:
        """Draw timelines of recordings side by side; see `classify_many` and `timeline`."""
        return self._many(Classifier.timeline, self._chosen, sources, options)

    def embed_many(self, sources: Iterable[Source], **options: Any) -> Iterator[EmbeddingResult | Failure]:
        """Embed recordings side by side; see `classify_many` and `embed`."""
        self._check_embeddings()
        return self._many(Classifier.embed, self._chosen, sources, options)

    def _many(
        self,
        method: Callable[..., _Answer],
        check: Callable[..., object],
        sources: Iterable[Source],
        options: dict[str, Any],
    ) -> Iterator[_Answer | Failure]:
        """Apply a method to sources, a thread each; a lone source gets all threads for its segments."""
        if isinstance(sources, str | bytes | os.PathLike):
            raise OptionError(f"sources is the single {sources!r}: give a list of them, such as [{sources!r}]")
        check(**options)  # an option wrong for one recording is wrong for all: say so once
        iterator = iter(sources)
        first = list(islice(iterator, 2))
        worker = self if len(first) == 1 else type(self)(self.backend, threads=1)

        def attempt(source: Source) -> _Answer | Failure:
            try:
                return method(worker, source, **options)
            except EarmarkError as error:
                return Failure(source_name(source), error)

        return ordered_map(attempt, chain(first, iterator), self.threads)

    def _tagger(self, *, start: float = 0.0, end: float | None = None, **options: Any) -> Tagger:
        """Refuse what no recording could be asked, and return what makes tags of one."""
        check_span(start, end)
        return Tagger(self.backend, **options)

    def _finder(self, *, start: float = 0.0, end: float | None = None, **options: Any) -> EventFinder:
        """Refuse what no recording could be asked, and return what finds the events of one."""
        check_span(start, end)
        return EventFinder(self.backend, **options)

    def _chosen(
        self, *, start: float = 0.0, end: float | None = None, allow: Sequence[str] = (), deny: Sequence[str] = ()
    ) -> NDArray[np.intp]:
        """Refuse what no recording could be asked, and return the columns of the labels that are meant."""
        check_span(start, end)
        return select_labels(self.card.labels, allow, deny)

    def _check_embeddings(self) -> None:
        if not self.card.embedding_size:
            raise ModelError(f"model {self.card.name!r} gives no embeddings; take one that does, such as yamnet")

    def _scan(self, source: Source, start: float, end: float | None) -> Scan:
        return Scan(self.backend, source, threads=self.threads, start=start, end=end)


def default_threads() -> int:
    """Return how many threads work side by side unless told: EARMARK_THREADS, else the cores this process may use.

    Raises
    ------
    OptionError
        If the variable is no positive whole number.
    """
    wanted = os.environ.get(THREADS_VARIABLE)
    if not wanted:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not wanted.isdecimal():
        raise OptionError(f"{THREADS_VARIABLE}={wanted!r} is not allowed: give a whole number, 1 or more")
    return _positive(int(wanted), THREADS_VARIABLE)


def _positive(number: int, name: str) -> int:
    if number < 1:
        raise OptionError(f"{name}={number} is not allowed: give 1 or more")
    return number


def _embeddings(outputs: Outputs) -> NDArray[np.float32]:
    assert outputs.embeddings is not None, "the card promises embeddings"
    embeddings: NDArray[np.float32] = outputs.embeddings[0]
    return embeddings


def _novelty(outputs: Outputs) -> NDArray[np.float32] | None:
    return None if outputs.novelty is None else outputs.novelty[0]


def _joined(
    parts: Iterable[tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32] | None]],
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32] | None]:
    """Lay the frames of segments end to end: edges, values, and novelty where the model gives it."""
    edges, values, novelty = zip(*parts, strict=True)
    return (
        np.concatenate([edges[0], *(part[1:] for part in edges[1:])]),
        np.concatenate(values),
        None if novelty[0] is None else np.concatenate(novelty),
    )
