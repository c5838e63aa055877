"""What a model answers about labelled clips, beside what is true of them: what calibration is fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.data.manifest import LabelledEvent, Manifest
from earmark.errors import DataError, EarmarkError
from earmark.evaluation.hearing import Heard, hear_clips
from earmark.evaluation.matchlabels import match_labels
from earmark.inference.classifier import Classifier


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """A model's scores of clips and their truth, in the order of the model's labels.

    Parameters
    ----------
    scores, targets : ndarray of float32, shape (clips, classes)
    frames : tuple of ndarray of float32, shape (frames, classes)
        Of each clip.
    edges : tuple of ndarray of float64, shape (frames + 1,)
        Where the frames lie, in seconds from the clip's start.
    events : tuple of (tuple of LabelledEvent, or None)
        Strong labels; None where there are none.
    groups : tuple of str
        The source of each clip.
    failures : tuple of (str, str)
        Clips that could not be read, and why.
    """

    scores: NDArray[np.float32]
    targets: NDArray[np.float32]
    frames: tuple[NDArray[np.float32], ...]
    edges: tuple[NDArray[np.float64], ...]
    events: tuple[Sequence[LabelledEvent] | None, ...]
    groups: tuple[str, ...]
    failures: tuple[tuple[str, str], ...] = ()


def ask_clips(
    classifier: Classifier, manifest: Manifest, progress: Callable[[int, int], None] | None = None
) -> Answers:
    """Ask a model about every clip of a manifest.

    Raises
    ------
    LabelError
        If the model lacks a label of the data.
    DataError
        If no clip can be read.
    """
    card = classifier.card
    match = match_labels(card, manifest.labels)
    clips = [replace(clip, events=clip.events or ()) for clip in manifest.clips]  # so that frames are kept
    kept: dict[int, Heard] = {}
    failures = []
    for place, answer in enumerate(hear_clips(classifier.backend, clips, threads=classifier.threads)):
        if isinstance(answer, EarmarkError):
            failures.append((str(clips[place].path), str(answer)))
        else:
            kept[place] = answer
        if progress is not None:
            progress(place + 1, len(clips))
    if not kept:
        reason = f"; the first: {failures[0][1]}" if failures else ""
        raise DataError(f"none of the {len(clips)} clips of {manifest.source} can be heard{reason}")
    targets = np.zeros((len(kept), len(card.labels)), np.float32)
    targets[:, match.model_columns] = match.targets(manifest.targets())[list(kept)]
    names = {label: card.labels[column].id for label, column in _places(match.names, match.model_columns)}
    groups = manifest.groups()
    return Answers(
        scores=np.stack([heard.scores for heard in kept.values()]),
        targets=targets,
        frames=tuple(heard.frames for heard in kept.values()),
        edges=tuple(heard.edges for heard in kept.values()),
        events=tuple(_by_id(manifest.clips[place].events, names) for place in kept),
        groups=tuple(str(groups[place]) for place in kept),
        failures=tuple(failures),
    )


def _places(names: Sequence[str], columns: NDArray[np.intp]) -> list[tuple[str, int]]:
    return list(zip(names, columns.tolist(), strict=True))


def _by_id(events: Sequence[LabelledEvent] | None, ids: dict[str, str]) -> Sequence[LabelledEvent] | None:
    """Return strong labels under the model's ids."""
    return None if events is None else [replace(event, label=ids[event.label]) for event in events]
