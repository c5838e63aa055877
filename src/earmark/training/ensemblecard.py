"""The card of an ensemble, from those of its members."""

from collections.abc import Iterable, Sequence
from typing import Any

from earmark.model.card import ClassRule, DecisionRule, ModelCard
from earmark.training.reconciliation import Plan

_DECIMALS = 6


def merge_cards(
    cards: Sequence[ModelCard], plan: Plan, weights: Sequence[float], *, method: str, name: str, version: str
) -> ModelCard:
    """Return the card of an ensemble that nobody calibrated.

    Parameters
    ----------
    cards : sequence of ModelCard
        Of the members.
    plan : Plan
        Their common grid.
    weights : sequence of float
        How much each counts; with them the decision rules are averaged too.
    method, name, version : str
        For the card.
    """
    told = [f"{card.name} {card.version}" for card in cards]
    length_seconds = plan.frame_length / plan.sample_rate_hz
    thresholds = [card.novelty_threshold for card in cards if card.novelty_threshold is not None]
    return ModelCard(
        name=name,
        version=version,
        labels=plan.labels,
        sample_rate=plan.sample_rate_hz,
        frame_length_seconds=length_seconds,
        frame_hop_seconds=plan.frame_hop / plan.sample_rate_hz,
        segment_seconds=max(length_seconds, *(card.segment_seconds for card in cards)),
        task=cards[0].task,
        calibrated=False,
        decision=_mean_rule(cards, plan, weights),
        embedding_size=sum(card.embedding_size for card in cards),
        novelty_threshold=_rounded(sum(thresholds) / len(thresholds)) if thresholds else None,
        background=any(card.background for card in cards),
        tolerance=max(card.tolerance for card in cards),
        licence=_listed((card.licence for card in cards), " and "),
        description=f"Ensemble ({method}) of {', '.join(told)}.",
        citation=_listed((card.citation for card in cards), "; "),
        source=_listed((f"{member}: {card.source}" for member, card in zip(told, cards, strict=True)), "; "),
        training_data=_listed((card.training_data for card in cards), "; "),
        training={"ensemble": _facts(cards, weights, method)},
    )


def _facts(cards: Sequence[ModelCard], weights: Sequence[float], method: str) -> dict[str, Any]:
    members = [
        {"name": card.name, "version": card.version, "sha256": card.sha256, "weight": _rounded(weight)}
        for card, weight in zip(cards, weights, strict=True)
    ]
    return {"method": method, "members": members}


def _mean_rule(cards: Sequence[ModelCard], plan: Plan, weights: Sequence[float]) -> DecisionRule:
    """Return the mean of the members' rules, class by class."""
    rules = [card.decision for card in cards]

    def mean(values: Iterable[float]) -> float:
        return _rounded(sum(weight * value for weight, value in zip(weights, values, strict=True)))

    classes = {}
    for column, label in enumerate(plan.labels):
        ids = [card.labels[part.columns[column]].id for card, part in zip(cards, plan.parts, strict=True)]
        own = [rule.of(label_id) for rule, label_id in zip(rules, ids, strict=True)]
        if any(label_id in rule.classes for rule, label_id in zip(rules, ids, strict=True)):
            classes[label.id] = ClassRule(on=mean(rule.on for rule in own), off=mean(rule.off for rule in own))
    numbers = ("on", "off", "smoothing_seconds", "min_duration_seconds", "merge_gap_seconds")
    return DecisionRule(**{name: mean(getattr(rule, name) for rule in rules) for name in numbers}, classes=classes)


def _listed(texts: Iterable[str], between: str) -> str:
    """Return different texts one after the other."""
    return between.join(dict.fromkeys(text for text in texts if text))


def _rounded(value: float) -> float:
    return round(value, _DECIMALS)
