"""From a model's outputs along a recording to its tags: one score per class, ranked, or none of these."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.inference.labels import listed, select_labels
from earmark.inference.novelty import NoveltyMode, Rejection, heard
from earmark.inference.results import Tag
from earmark.model.backends import Backend, Outputs
from earmark.model.card import ModelCard

Aggregate = Literal["mean", "max"]
Threshold = float | Literal["card"]


class Tagger:
    """Tags of one recording; push its segments, then ask for `answer`.

    Parameters
    ----------
    backend : Backend
        The loaded model.
    top_k, threshold, allow, deny, aggregate, novelty, novelty_threshold
        As in `Classifier.classify`.

    Attributes
    ----------
    parameters : dict
        The options that shape the answer, as JSON-ready data.

    Raises
    ------
    LabelError, OptionError
        For an unknown label, an option out of range.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        top_k: int = 5,
        threshold: Threshold | None = None,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        aggregate: Aggregate = "mean",
        novelty: NoveltyMode = "reject",
        novelty_threshold: float | None = None,
    ) -> None:
        if top_k < 0 or aggregate not in ("mean", "max"):
            raise OptionError(f"top_k={top_k}, aggregate={aggregate!r}: top_k is 0 or more, aggregate 'mean' or 'max'")
        self._labels = backend.card.labels
        threshold = _default_threshold(backend.card) if threshold is None else threshold
        self._least = _least_scores(backend.card, threshold)
        self._chosen = select_labels(self._labels, allow, deny)
        self._top_k, self._aggregate = top_k, aggregate
        self._rejection = Rejection.of(backend, novelty, novelty_threshold)
        self._scores, self._refused_scores = np.zeros((2, len(self._labels)))
        self._novelty = 0.0 if self._rejection.has_novelty else None
        self._weight = 0  # heard frames of a mean, segments that were not refused of a maximum
        self.parameters: dict[str, Any] = {
            "top_k": top_k,
            "threshold": threshold,
            **listed(allow=allow, deny=deny),
            "aggregate": aggregate,
            **self._rejection.parameters,
        }

    def push(self, outputs: Outputs) -> None:
        """Take a segment: the outputs for it, a batch of one. It counts by the frames in which something is heard."""
        clip = outputs.clip[0]
        frames, novelty = heard(outputs)
        if self._aggregate == "mean":
            self._scores += clip * np.float64(frames)
            self._weight += frames
            self._novelty = None if self._novelty is None else self._novelty + novelty * frames
            return
        refused = self._rejection.refuses(novelty).item() or self._rejection.outweighs(clip)
        scores = self._refused_scores if refused else self._scores
        np.maximum(scores, clip, out=scores)
        self._weight += not refused
        self._novelty = None if self._novelty is None else max(self._novelty, novelty)

    def answer(self) -> dict[str, Any]:
        """Return what all segments come to, as the content of a `ClipResult`."""
        scores, novelty = self._scores, self._novelty
        if self._aggregate == "mean":
            weight = max(1, self._weight)
            scores = scores / weight
            novelty = None if novelty is None else novelty / weight
            refused = self._rejection.refuses(novelty).item() or self._rejection.outweighs(scores)
        else:
            refused = self._weight == 0  # what is known in one segment is there, whatever the others hold
            scores = self._refused_scores if refused else scores
        tags = self._tags(scores)
        return {
            "tags": () if refused else tags,
            "novelty": novelty,
            "none_of_these": refused,
            "closest": tags if refused and scores.any() else (),
        }

    def _tags(self, scores: NDArray[np.float64]) -> tuple[Tag, ...]:
        """Return the chosen labels by falling score."""
        ranked = self._chosen[np.argsort(-scores[self._chosen], kind="stable")][: self._top_k or None]
        return tuple(
            Tag(self._labels[index].name, self._labels[index].id, float(scores[index]))
            for index in ranked
            if scores[index] >= self._least[index]
        )


def _default_threshold(card: ModelCard) -> Threshold:
    """Return the card's thresholds where they were fitted on probabilities of classes that may sound together."""
    return "card" if card.calibrated and card.task == "multi-label" and card.decision.classes else 0.0


def _least_scores(card: ModelCard, threshold: Threshold) -> NDArray[np.floating[Any]]:
    """Return the score that each label needs for a tag."""
    if threshold == "card":
        # In the scores' own type, so that 0.7 reaches 0.7.
        return np.array([card.decision.of(label.id).on for label in card.labels], np.float32)
    if isinstance(threshold, str) or not 0.0 <= threshold <= 1.0:
        shown = repr(threshold) if isinstance(threshold, str) else f"{threshold:g}"
        raise OptionError(f"threshold={shown} is not allowed: a score lies in 0 to 1, 'card' stands for the card's")
    return np.full(len(card.labels), threshold)
