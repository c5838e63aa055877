"""What a client may know of a model: its card without what only its maker needs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from earmark.inference.classifier import Classifier
from earmark.service.settings import Limits

__all__ = ["list_models", "model_facts"]


def list_models(classifiers: Mapping[str, Classifier], default: str, limits: Limits) -> dict[str, Any]:
    """Return the models that are served as JSON-ready data, and what may be sent to them."""
    return {
        "default": default,
        "models": [_summary(classifier) for classifier in classifiers.values()],
        "limits": {"upload_bytes": limits.upload_bytes, "sound_seconds": limits.sound_seconds},
    }


def model_facts(classifier: Classifier) -> dict[str, Any]:
    """Return what there is to know of a model as JSON-ready data: what one needs to make its events oneself."""
    card = classifier.card
    return {
        **_summary(classifier),
        "labels": [{"label": label.name, "id": label.id} for label in card.labels],
        "segment_seconds": card.segment_seconds,
        "citation": card.citation,
        "source": card.source,
        "training_data": card.training_data,
        "decision": asdict(card.decision),
    }


def _summary(classifier: Classifier) -> dict[str, Any]:
    card = classifier.card
    return {
        "name": card.name,
        "version": card.version,
        "description": card.description,
        "labels": len(card.labels),
        "sample_rate": card.sample_rate,
        "frame_length_seconds": card.frame_length_seconds,
        "frame_hop_seconds": card.frame_hop_seconds,
        "task": card.task,
        "calibrated": card.calibrated,
        "background": card.background,
        "has_novelty": bool(getattr(classifier.backend, "has_novelty", False)),
        "novelty_threshold": card.novelty_threshold,
        "embedding_size": card.embedding_size,
        "licence": card.licence,
    }
