"""Live sound: blocks in as they come, frame scores and events out as soon as they are certain."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.audio.array import as_columns
from earmark.audio.resample import Resampler, checked_rate_hz
from earmark.audio.samples import to_float32, to_mono
from earmark.errors import NonFiniteSamplesError, OptionError
from earmark.inference.eventfinder import EventFinder
from earmark.inference.events import EventChange
from earmark.inference.novelty import NoveltyMode
from earmark.inference.timeline import Segment, Segmenter, frame_edges
from earmark.model.backends import Backend
from earmark.model.card import DecisionRule, Label


@dataclass(frozen=True, slots=True)
class StreamUpdate:
    """What a block of sound brought.

    Parameters
    ----------
    edges : ndarray of float64, shape (frames + 1,)
        Seconds since the stream began; see `frame_edges`. Of shape (1,) where no frame was completed.
    scores : ndarray of float32, shape (frames, labels)
        Probabilities of the stream's labels.
    changes : tuple of EventChange
        Events that opened or closed.
    novelty : ndarray of float32, shape (frames,), optional
        How unlike its training data the model finds each frame, in [0, 1]; None where it gives no novelty.
    """

    edges: NDArray[np.float64]
    scores: NDArray[np.float32]
    changes: tuple[EventChange, ...]
    novelty: NDArray[np.float32] | None = None


class Stream:
    """A model following live sound. Whatever the blocks, frames and events are those of a file with the same samples.

    Parameters
    ----------
    backend : Backend
        The loaded model.
    sample_rate_hz : int
        Of the samples that will be fed.
    rule : DecisionRule, optional
        How frame scores become events; by default the card's.
    allow, deny : sequence of str
        Only these labels, and not these.
    novelty, novelty_threshold
        What becomes of unknown sound, as in `Classifier.events`.

    Raises
    ------
    SampleRateError, LabelError, OptionError
        For a rate that is none, an unknown label, an option out of range.
    """

    def __init__(
        self,
        backend: Backend,
        sample_rate_hz: int,
        *,
        rule: DecisionRule | None = None,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        novelty: NoveltyMode = "reject",
        novelty_threshold: float | None = None,
    ) -> None:
        card = backend.card
        self._backend = backend
        self._finder = EventFinder(
            backend, rule=rule, allow=allow, deny=deny, novelty=novelty, novelty_threshold=novelty_threshold
        )
        self._sample_rate_hz = checked_rate_hz(sample_rate_hz, "the stream")
        self._resampler = Resampler(self._sample_rate_hz, card.sample_rate)
        self._samples_fed = 0
        self._segmenter = Segmenter(card, eager=True)
        self._last_edge = 0.0
        self._finished = False

    @property
    def labels(self) -> tuple[Label, ...]:
        """The columns of every update's scores."""
        return self._finder.labels

    @property
    def seconds(self) -> float:
        """Seconds of sound fed so far."""
        return self._samples_fed / self._sample_rate_hz

    def feed(self, block: NDArray[np.float32]) -> StreamUpdate:
        """Take the next samples.

        Parameters
        ----------
        block : ndarray, shape (samples,) or (samples, channels)
            Of any length; floats in [-1, 1], or integers of full scale. Channels are averaged.

        Returns
        -------
        StreamUpdate

        Raises
        ------
        NonFiniteSamplesError
            For NaN or infinite samples; the stream goes on as if the block had not come.
        OptionError
            For a shape or a type that cannot be sound, or after `finish`.
        EmptyAudioError
            For a block of no samples.
        """
        if self._finished:
            raise OptionError("the stream has ended: open another one for more sound")
        mono = to_mono(to_float32(as_columns(block))).copy()  # the caller may fill the same buffer again
        if not np.isfinite(mono).all():
            raise NonFiniteSamplesError(
                f"a block at {self.seconds:.2f} s holds NaN or infinite samples; check the source"
            )
        self._samples_fed += len(mono)
        return self._update(self._segmenter.push(self._resampler.feed(mono)))

    def finish(self) -> StreamUpdate:
        """End the stream: score what is left, close open events."""
        if self._finished:
            raise OptionError("the stream has ended already; open another one")
        self._finished = True
        rest = self._update([*self._segmenter.push(self._resampler.finish()), *self._segmenter.finish()])
        closing = self._finder.finish(self.seconds)
        if len(rest.scores):
            rest.edges[-1] = self.seconds
        return replace(rest, changes=(*rest.changes, *closing))

    def _update(self, segments: Iterable[Segment]) -> StreamUpdate:
        edges, scores = [np.array([self._last_edge])], [np.zeros((0, len(self.labels)), np.float32)]
        novelty = [np.zeros(0, np.float32)] if self._finder.has_novelty else []
        changes: list[EventChange] = []
        for segment in segments:
            outputs = self._backend.run(segment.waveform[None])
            scores.append(self._finder.scores(outputs))
            if outputs.novelty is not None:
                novelty.append(outputs.novelty[0])
            span = np.minimum(frame_edges(self._backend.card, segment.first_frame, segment.frames), self.seconds)
            edges.append(span[1:])
            changes += self._finder.push(outputs, span)
            self._last_edge = float(span[-1])
        return StreamUpdate(
            np.concatenate(edges),
            np.concatenate(scores),
            tuple(changes),
            np.concatenate(novelty) if novelty else None,
        )
