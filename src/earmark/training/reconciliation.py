"""Reconciling models that are to become one: their rates, frames, labels and tasks, or a sentence why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from earmark.errors import OptionError
from earmark.model.card import Label, ModelCard
from earmark.training.resampling import Ratio

LONGEST_HOP_SECONDS = 2.0
"""Frames of different hops are joined where they fall together, at most this far apart."""


@dataclass(frozen=True, slots=True)
class Part:
    """How one member's frames and classes are found on the common grid.

    Parameters
    ----------
    ratio : Ratio
        From the ensemble's rate to the member's.
    frames_per_hop : int
        Frames of the member in one hop of the ensemble; their mean stands for it.
    first_frame : int
        The member's first frame that belongs to the ensemble's first.
    columns : tuple of int
        The member's class for each class of the ensemble.
    """

    ratio: Ratio
    frames_per_hop: int
    first_frame: int
    columns: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the member's frames are the ensemble's, one for one."""
        return self.ratio.down == 1 and self.frames_per_hop == 1 and self.first_frame == 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The common grid of an ensemble.

    Parameters
    ----------
    sample_rate_hz : int
        The highest of the members'.
    frame_length, frame_hop : int
        Samples at that rate: the stretch that covers what the members look at, and the least common multiple of
        their hops.
    labels : tuple of Label
        Of the first member.
    parts : tuple of Part
        One for each member.
    """

    sample_rate_hz: int
    frame_length: int
    frame_hop: int
    labels: tuple[Label, ...]
    parts: tuple[Part, ...]

    @property
    def is_plain(self) -> bool:
        """Whether all members have the ensemble's frames."""
        return all(part.is_plain for part in self.parts)


def reconcile(cards: Sequence[ModelCard]) -> Plan:
    """Return the plan by which models become one.

    Raises
    ------
    OptionError
        If there are fewer than two, tasks or labels differ, or rates or frames do not fit together.
    """
    if len(cards) < 2:
        raise OptionError(f"an ensemble of {len(cards)} model is none: give two or more")
    first = cards[0]
    for card in cards[1:]:
        if card.task != first.task:
            raise OptionError(
                f"{first.name!r} is {first.task} and {card.name!r} is {card.task}: their scores do not mean the same, "
                "so take models of one kind"
            )
    rate_hz = max(card.sample_rate for card in cards)
    ratios = [Ratio(rate_hz, card.sample_rate) for card in cards]
    hop = _common_hop(cards, ratios, rate_hz)
    counts = [int(hop * card.sample_rate / rate_hz / card.frame_hop) for card in cards]
    spans = [_span(card, ratio, count) for card, ratio, count in zip(cards, ratios, counts, strict=True)]
    length = max(spans)
    parts = []
    for card, ratio, count, span in zip(cards, ratios, counts, spans, strict=True):
        hops_before = Fraction(length - span, 2) / Fraction(card.frame_hop * rate_hz, card.sample_rate)
        # Rounded to the nearest, which reaches at most as far beyond the middle as there is room after it.
        parts.append(Part(ratio, count, int(hops_before + Fraction(1, 2)), _columns(first, card)))
    return Plan(rate_hz, length, hop, first.labels, tuple(parts))


def _common_hop(cards: Sequence[ModelCard], ratios: Sequence[Ratio], rate_hz: int) -> int:
    """Return the shortest hop that is whole hops, and whole blocks of resampling, of every member."""
    hop = 1
    for card, ratio in zip(cards, ratios, strict=True):
        own = Fraction(card.frame_hop * rate_hz, card.sample_rate)
        hop = lcm(hop, own.numerator, ratio.down)
    if hop > LONGEST_HOP_SECONDS * rate_hz:
        told = " and ".join(dict.fromkeys(f"{card.frame_hop_seconds:g} s at {card.sample_rate} Hz" for card in cards))
        raise OptionError(
            f"frames each {told} fall together only each {hop / rate_hz:g} s, and "
            f"{LONGEST_HOP_SECONDS:g} s is the most: train the models with hops of which one divides the other"
        )
    return hop


def _span(card: ModelCard, ratio: Ratio, count: int) -> int:
    """Return how many samples, at the ensemble's rate, so many frames of a member look at."""
    own = Fraction((card.frame_length + (count - 1) * card.frame_hop) * ratio.from_rate_hz, card.sample_rate)
    return -(-own.numerator // own.denominator) + 2 * ratio.margin


def _columns(first: ModelCard, card: ModelCard) -> tuple[int, ...]:
    """Return where the labels of the first model are in another: by id, else by name."""
    by_id = {label.id: column for column, label in enumerate(card.labels)}
    by_name = {label.name: column for column, label in enumerate(card.labels)}
    columns = [by_id.get(label.id, by_name.get(label.name)) for label in first.labels]
    lacking = [label.name for label, column in zip(first.labels, columns, strict=True) if column is None]
    found = [column for column in columns if column is not None]
    spare = [label.name for column, label in enumerate(card.labels) if column not in found]
    for names, has, lacks in ((lacking, first, card), (spare, card, first)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise OptionError(
                f"{has.name!r} has the label {', '.join(map(repr, names[:5]))}{more}, which {lacks.name!r} does not "
                "have: an ensemble needs models of the same labels, in any order"
            )
    return tuple(found)
