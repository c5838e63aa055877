"""From a model's outputs in time to events: the chosen classes, and what is none of them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.inference.events import EventChange, EventTracker
from earmark.inference.labels import listed, rule_by_id, select_labels
from earmark.inference.novelty import NoveltyMode, Rejection
from earmark.inference.unknownsound import UnknownTracker
from earmark.model.backends import Backend, Outputs
from earmark.model.card import NONE_OF_THESE, DecisionRule


class EventFinder:
    """Applies a decision rule to a model's outputs, for a file and for a stream.

    Where the novelty of a frame reaches the threshold, all its classes score 0 before the rule is applied: unknown
    sound is no event of a known class. Where no event of a class is, of those chosen or of others, it is an event of
    the label `NONE_OF_THESE`; see `UnknownTracker`.

    Parameters
    ----------
    backend : Backend
        The loaded model.
    rule : DecisionRule, optional
        By default the card's.
    allow, deny : sequence of str
        Only these labels, and not these. `NONE_OF_THESE` is one of the labels where unknown sound is refused.
    novelty, novelty_threshold
        As in `Classifier.events`.

    Attributes
    ----------
    labels : tuple of Label
        The chosen classes, the columns of `scores`.
    has_novelty : bool
        Whether the outputs have novelty.
    heard : tuple of Label
        What events may be of: `labels`, and `NONE_OF_THESE` where it is chosen, in the columns of `heard_scores`.
    parameters : dict
        The options that shape the events, as JSON-ready data.

    Raises
    ------
    LabelError, OptionError
        For an unknown label, an option out of range.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        rule: DecisionRule | None = None,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        novelty: NoveltyMode = "reject",
        novelty_threshold: float | None = None,
    ) -> None:
        card = backend.card
        self._rejection = Rejection.of(backend, novelty, novelty_threshold)
        self.has_novelty, threshold = self._rejection.has_novelty, self._rejection.threshold
        candidates = card.labels if threshold is None else (*card.labels, NONE_OF_THESE)
        chosen = select_labels(candidates, allow, deny)
        self._columns = chosen[chosen < len(card.labels)]
        self._tells_unknown = len(self._columns) < len(chosen)
        self.labels = tuple(card.labels[index] for index in self._columns)
        self.heard = tuple(candidates[index] for index in chosen)
        self._chosen = {label.id for label in self.heard}
        rule = rule_by_id(rule or card.decision, card.labels)
        self.parameters: dict[str, Any] = {
            "rule": asdict(rule),
            **listed(allow=allow, deny=deny),
            **self._rejection.parameters,
        }
        # Classes that are not chosen are followed too: what is one of them is not unknown.
        self._tracker = EventTracker(rule, card.labels, card.frame_hop_seconds)
        self._unknown = None
        if threshold is not None and self._tells_unknown:
            self._unknown = UnknownTracker(rule, threshold, card.frame_hop_seconds)

    def scores(self, outputs: Outputs) -> NDArray[np.float32]:
        """Return the scores of `labels` as the model gave them, shape (frames, labels); outputs are a batch of one."""
        scores: NDArray[np.float32] = outputs.frames[0][:, self._columns]
        return scores

    def heard_scores(self, outputs: Outputs) -> NDArray[np.float32]:
        """Return the scores of `heard` as the model gave them; that of `NONE_OF_THESE` is the novelty."""
        return self._with_novelty(self.scores(outputs), outputs)

    def push(self, outputs: Outputs, edges: NDArray[np.float64]) -> list[EventChange]:
        """Take the outputs for the next frames, a batch of one, and where these lie; see `EventTracker.push`.

        What changes about unknown sound comes after what changes about classes.
        """
        scores = outputs.frames[0]
        if self._rejection.threshold is not None and outputs.novelty is not None:
            refused = self._rejection.refuses(outputs.novelty[0])
            scores = np.where(refused[:, None], np.float32(0.0), scores)
        changes = self._tracker.push(scores, edges)
        unknown: list[EventChange] = []
        if self._unknown is not None and outputs.novelty is not None:
            unknown = self._unknown.push(outputs.novelty[0], edges, changes, self._tracker.settled_seconds)
        return self._of_chosen(changes) + unknown

    def finish(self, end_seconds: float | None = None) -> list[EventChange]:
        """End the signal; see `EventTracker.finish`."""
        changes = self._tracker.finish(end_seconds)
        unknown = [] if self._unknown is None else self._unknown.finish(changes, end_seconds)
        return self._of_chosen(changes) + unknown

    def _of_chosen(self, changes: list[EventChange]) -> list[EventChange]:
        return [change for change in changes if change.event.id in self._chosen]

    def _with_novelty(self, scores: NDArray[np.float32], outputs: Outputs) -> NDArray[np.float32]:
        if not self._tells_unknown or outputs.novelty is None:
            return scores
        return np.concatenate([scores, outputs.novelty[0][:, None]], axis=1)
