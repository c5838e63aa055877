"""Evaluation: a model asked about labelled clips, its answers measured against the labels."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.data.leaks import leak_notes
from earmark.data.manifest import Clip, Manifest
from earmark.data.readers import as_manifest
from earmark.data.splits import test_split
from earmark.errors import DataError, EarmarkError, OptionError
from earmark.evaluation.eventmetrics import PSDS1, PSDS2, Collar, Span, match_events, match_segments, psds
from earmark.evaluation.hearing import Heard, hear_clips
from earmark.evaluation.matchlabels import LabelMatch, match_labels
from earmark.evaluation.outcome import Outcome, summarise
from earmark.inference.classifier import Classifier
from earmark.inference.labels import rule_by_id
from earmark.model.card import DecisionRule, ModelCard

__all__ = ["evaluate"]

CLIPS_AND_FRAMES = (
    "Precision, recall and F1 are of labels whose clip score reaches the threshold of the decision rule, which is made "
    "for frames: where it was fitted, by the highest frame of a clip or by strong labels."
)
"""What a reader must know of the decisions of multi-label models."""

Progress = Callable[[int, int], None]

_OR_NONE = "take them for sound of none of its classes with --unknown none"


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """A clip, what is heard in it, and its place in the manifest."""

    place: int
    clip: Clip
    heard: Heard


def evaluate(
    model: str | os.PathLike[str] | Classifier,
    data: str | os.PathLike[str] | Manifest,
    *,
    layout: str | None = None,
    audio: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    unknown: Literal["refuse", "none"] = "refuse",
    rule: DecisionRule | None = None,
    collar_seconds: float = 0.2,
    threads: int | None = None,
    report: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Measure a model on labelled clips.

    Clip scores, events and novelty are what `classify`, `events` and `timeline` give a user, from the same code.

    Parameters
    ----------
    model : str, path or Classifier
        A name, a model file, or a loaded model.
    data, layout, audio, columns
        Labelled clips, as `earmark.data.readers.read_manifest` takes them, or a manifest.
    split : str, optional
        Only clips of this part of the data set's official division, such as ``test``.
    unknown : {"refuse", "none"}
        What to do with labels that the model does not have: refuse the data, or take their clips for sound that is none
        of the model's classes, which is how a novelty threshold is tried.
    rule : DecisionRule, optional
        How scores become events, and from which on a label of a multi-label model is given; by default the card's.
    collar_seconds : float
        How far the onset of an event may be off, where the data has strong labels.
    threads : int, optional
        How many clips are heard side by side.
    report : path, optional
        Write a page about it here; see `earmark.evaluation.report.write_report`.
    progress : callable, optional
        Gets how many clips are heard, and how many there are.

    Returns
    -------
    Outcome
        Clips that cannot be read are listed in its failures, and what a reader must know in its notes.

    Raises
    ------
    LabelError
        If the data has labels that the model does not have.
    DataError
        If there are no clips, or none can be read.
    ModelError, OptionError, OutputError
        Each says what to do.
    """
    collar = Collar(collar_seconds)
    classifier = model if isinstance(model, Classifier) else Classifier.load(model)
    card = classifier.card
    decision = rule_by_id(rule or card.decision, card.labels)
    everything = as_manifest(data, layout=layout, audio=audio, columns=columns)
    manifest = _part(everything, split)
    match = match_labels(card, manifest.labels, allow_unknown=unknown == "none", otherwise=_OR_NONE)
    answers = hear_clips(classifier.backend, manifest.clips, threads=_threads(classifier, threads), rule=decision)
    pairs, failures = _sorted_out(_counted(answers, len(manifest), progress), manifest)
    targets = match.targets(manifest.targets())[[pair.place for pair in pairs]]
    outcome = summarise(
        labels=match.names,
        task=card.task,
        targets=targets,
        scores=np.stack([pair.heard.scores[match.model_columns] for pair in pairs]),
        thresholds=_thresholds(card, match, decision),
        novelty=_novelty(pairs),
        novelty_threshold=card.novelty_threshold,
        events=_events(pairs, card, match, collar),
        notes=(
            *manifest.notes,
            *_notes(card, (everything, manifest), match),
            *_division_notes(card, everything, split),
            *_label_notes(card, targets),
            *([CLIPS_AND_FRAMES] if card.task == "multi-label" else []),
        ),
        failures=(*manifest.left_out, *failures),
        **_circumstances(card, manifest, pairs),
    )
    if report is not None:
        from earmark.evaluation.report import write_report

        write_report(outcome, report)
    return outcome


def _threads(classifier: Classifier, threads: int | None) -> int:
    if threads is not None and threads < 1:
        raise OptionError(f"threads={threads} is not allowed: give 1 or more")
    return threads or classifier.threads


def _part(manifest: Manifest, split: str | None) -> Manifest:
    """Return the clips of one split, or all."""
    if split is None:
        return manifest
    chosen = [place for place, clip in enumerate(manifest.clips) if clip.split == split]
    if not chosen:
        there = sorted({clip.split for clip in manifest.clips if clip.split})
        listed = f"it has {', '.join(there)}" if there else "it has no official split; leave the option out"
        raise OptionError(f"{manifest.source} has no clip of the split {split!r}: {listed}")
    return manifest.select(chosen)


def _counted(
    answers: Iterator[Heard | EarmarkError], total: int, progress: Progress | None
) -> Iterator[Heard | EarmarkError]:
    for done, answer in enumerate(answers, start=1):
        if progress is not None:
            progress(done, total)
        yield answer


def _sorted_out(
    answers: Iterator[Heard | EarmarkError], manifest: Manifest
) -> tuple[list[_Pair], tuple[tuple[str, str], ...]]:
    """Return the clips that were heard, and the others with the reason."""
    pairs, failures = [], []
    for place, (clip, answer) in enumerate(zip(manifest.clips, answers, strict=True)):
        if isinstance(answer, Heard):
            pairs.append(_Pair(place, clip, answer))
        else:
            failures.append((str(clip.path), str(answer)))
    if not pairs:
        reason = f"; the first: {failures[0][1]}" if failures else ""
        raise DataError(f"none of the {len(manifest)} clips of {manifest.source} can be heard{reason}")
    return pairs, tuple(failures)


def _thresholds(card: ModelCard, match: LabelMatch, rule: DecisionRule) -> dict[str, float]:
    ids = [card.labels[column].id for column in match.model_columns]
    return {name: rule.of(label_id).on for name, label_id in zip(match.names, ids, strict=True)}


def _novelty(pairs: Sequence[_Pair]) -> NDArray[np.float32] | None:
    values = [pair.heard.novelty for pair in pairs]
    return None if any(value is None for value in values) else np.array(values, np.float32)


def _circumstances(card: ModelCard, manifest: Manifest, pairs: Sequence[_Pair]) -> dict[str, Any]:
    """Return the fields of an Outcome that say what was measured where."""
    return {
        "model": f"{card.name} {card.version}",
        "clips": tuple(str(pair.clip.path) for pair in pairs),
        "starts": tuple(pair.clip.start_seconds for pair in pairs),
        "ends": tuple(pair.clip.end_seconds for pair in pairs),
        "calibrated": card.calibrated,
        "seconds": sum(pair.heard.seconds for pair in pairs),
        "data": manifest.source,
    }


def _events(pairs: Sequence[_Pair], card: ModelCard, match: LabelMatch, collar: Collar) -> dict[str, Any]:
    """Return the measures of events as JSON-ready data; nothing where the data has no strong labels."""
    strong = [pair for pair in pairs if pair.clip.events is not None]
    names = {card.labels[column].id: name for column, name in zip(match.model_columns, match.names, strict=True)}
    known = [name for name, column in zip(match.names, match.data_columns, strict=True) if column >= 0]
    if not strong or not known:
        return {}
    columns = match.model_columns[match.data_columns >= 0]
    there = [_true_spans(pair.clip, set(known)) for pair in strong]
    found = [_found_spans(pair.heard, names, set(known)) for pair in strong]
    frames = [(pair.heard.edges, pair.heard.frames[:, columns]) for pair in strong]
    return {
        "clips": len(strong),
        "collar_seconds": collar.onset_seconds,
        "event": match_events(there, found, collar=collar, labels=known).to_dict(),
        "segment": match_segments(there, found, [pair.heard.seconds for pair in strong], labels=known).to_dict(),
        "psds1": psds(there, frames, known, settings=PSDS1).to_dict(),
        "psds2": psds(there, frames, known, settings=PSDS2).to_dict(),
    }


def _true_spans(clip: Clip, known: set[str]) -> list[Span]:
    return [
        (event.label, event.onset_seconds, event.offset_seconds) for event in clip.events or () if event.label in known
    ]


def _found_spans(heard: Heard, names: dict[str, str], known: set[str]) -> list[Span]:
    """Return the events of labels that the data has; what it does not list, it does not say is absent."""
    named = [(names.get(event.id, ""), event.onset, event.offset) for event in heard.events]
    return [span for span in named if span[0] in known]


def _notes(card: ModelCard, manifests: Sequence[Manifest], match: LabelMatch) -> Iterator[str]:
    """Say what a reader must know."""
    if any(manifest.digest() in card.training_data for manifest in manifests):
        yield "The model was trained on this very list of clips: the figures say what it remembers, not how good it is."
    if not card.calibrated:
        yield "The scores of this model are not calibrated: they rank, but are no probabilities."
    if match.unknown:
        yield (
            f"{len(match.unknown)} labels of the data are none of the model's ({', '.join(match.unknown[:5])}"
            f"{', ...' if len(match.unknown) > 5 else ''}); their clips count as none of these."
        )
    if match.spare and card.task == "single-label":
        yield f"The model has {match.spare} labels that the data has not: answering with one of them is wrong here."
    elif match.spare:
        yield (
            f"The model has {match.spare} labels that the data has not; they are left out, so ranks are among the "
            f"{len(match.names)} of the data."
        )


def _division_notes(card: ModelCard, everything: Manifest, split: str | None) -> tuple[str, ...]:
    """Say where the data set's own division leaks, if the model was trained on the other side of it."""
    division = test_split(everything) if split == "test" else None
    if division is None or everything.select(division.train).digest() not in card.training_data:
        return ()
    return leak_notes(everything, [division])


def _label_notes(card: ModelCard, targets: NDArray[np.float32]) -> Iterator[str]:
    several = int((targets.sum(axis=1) > 1).sum())
    if several and card.task == "single-label":
        yield f"{several} clips have several labels, and the model gives one: any of them is right."
