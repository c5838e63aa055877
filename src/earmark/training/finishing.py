"""From a candidate to a model that knows how sure it is: silence, calibration, thresholds, novelty, card."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.data.manifest import Manifest
from earmark.evaluation.outcome import Outcome, summarise
from earmark.inference.timeline import frame_edges
from earmark.model.card import Label, ModelCard, Task
from earmark.training.calibration import fit_calibration
from earmark.training.calibrationgraph import add_calibration
from earmark.training.candidate import Candidate, HeldOut, Scores
from earmark.training.joining import join
from earmark.training.novelty import Novelty, fit_novelty
from earmark.training.noveltygraph import add_novelty
from earmark.training.pace import Pace
from earmark.training.rules import FittedRule, fit_rule
from earmark.training.run import Run
from earmark.training.silence import Silence, fit_silence
from earmark.training.silencegraph import add_silence

if TYPE_CHECKING:
    import onnx

LONGEST_SEGMENT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What people read in the card: its name, its version, its licence, a sentence."""

    name: str = "model"
    version: str = "1"
    licence: str = "unknown"
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A candidate with everything on it that training adds.

    Parameters
    ----------
    trunk, tail : onnx.ModelProto
        As in `Candidate`; the tail is calibrated, gives ``novelty``, and no score where nothing sounds.
    card : ModelCard
        Without test vectors and digest, which saving makes.
    held_out : Outcome
        Calibrated scores of the clips that were held out, and their measures.
    """

    trunk: "onnx.ModelProto"
    tail: "onnx.ModelProto"
    card: ModelCard
    held_out: Outcome

    def model(self) -> "onnx.ModelProto":
        """Return the whole graph."""
        return join(self.trunk, self.tail)


def finish(candidate: Candidate, manifest: Manifest, run: Run, naming: Naming | None = None) -> Finished:
    """Calibrate a candidate on its held-out scores, fit thresholds and novelty, and write its card.

    Parameters
    ----------
    candidate : Candidate
        What a recipe's `fit` gave for `manifest`.
    manifest : Manifest
        The clips it was trained with; nothing else is looked at. Where none was held out, the card says that nothing
        is calibrated.
    run : Run
        Its seed draws the classes that play the unknown.
    naming : Naming, optional
        For the card.
    """
    naming = naming or Naming()
    task: Task = "multi-label" if manifest.is_multi_label else "single-label"
    background = task == "single-label" and manifest.has_negatives
    targets = manifest.targets()
    silence = fit_silence(candidate, targets)
    held = silence.hush(candidate) if silence else candidate.held_out
    run.report(f"calibrating on {len(held.indices):,} held-out clips")
    calibration = fit_calibration(held.clip, targets[held.indices], task=task, background=background)
    scores, frames = calibration.apply(held.clip), [calibration.apply(rows) for rows in held.frames]
    draft = _draft(candidate, manifest, naming, task)
    rule = _rule(held, scores, frames, draft, manifest)
    novelty = _novelty(candidate, manifest, run)
    outcome = _outcome(held, scores, manifest, rule, draft)
    card = replace(
        draft,
        decision=rule.rule,
        background=background,
        metrics={"held_out": outcome.to_dict(classes=False)},
        novelty_threshold=novelty.threshold,
        training=_training_facts(candidate, calibration.to_dict(), novelty, silence, run),
    )
    tail = add_novelty(add_calibration(candidate.tail, calibration), novelty)
    tail = add_silence(tail, silence) if silence else tail
    return Finished(trunk=candidate.trunk, tail=tail, card=card, held_out=outcome)


def _draft(candidate: Candidate, manifest: Manifest, naming: Naming, task: Task) -> ModelCard:
    """Return the card as far as it is known before anything is fitted."""
    return ModelCard(
        name=naming.name,
        version=naming.version,
        labels=tuple(Label(label, label) for label in manifest.labels),
        sample_rate=candidate.sample_rate_hz,
        frame_length_seconds=candidate.frame_length / candidate.sample_rate_hz,
        frame_hop_seconds=candidate.frame_hop / candidate.sample_rate_hz,
        segment_seconds=_segment_seconds(candidate),
        task=task,
        calibrated=len(candidate.held_out.indices) > 0,
        embedding_size=candidate.embedding_size,
        licence=naming.licence,
        description=naming.description or _described(manifest, candidate),
        source=f"earmark {installed('earmark')}, recipe {candidate.facts.get('recipe', 'unknown')}",
        training_data=f"{manifest.source}: {len(manifest):,} clips, SHA-256 of the list {manifest.digest()}",
    )


def _rule(held: HeldOut, scores: Scores, frames: Sequence[Scores], draft: ModelCard, manifest: Manifest) -> FittedRule:
    """Fit thresholds, and where there are strong labels the rest of the decision rule, on held-out clips."""
    return fit_rule(
        frames or [row[None] for row in scores],
        manifest.targets()[held.indices],
        draft.labels,
        edges=[frame_edges(draft, 0, len(rows)) for rows in frames],
        events=[manifest.clips[index].events for index in held.indices] if frames else (),
        frame_hop_seconds=draft.frame_hop_seconds,
    )


def _novelty(candidate: Candidate, manifest: Manifest, run: Run) -> Novelty:
    """Learn what the training data sounds like, from clips that the trunk was not fitted to where it was fitted."""
    run.report("learning what is new: classes left out in turn")
    return fit_novelty(
        candidate.embeddings,
        manifest.targets(),
        manifest.groups(),
        indices_held_out=None if candidate.frozen else candidate.held_out.indices,
        frozen=candidate.frozen,
        seed=run.seed,
        progress=Pace(run.report, "left out", "parts of the classes"),
    )


def _outcome(held: HeldOut, scores: Scores, manifest: Manifest, rule: FittedRule, draft: ModelCard) -> Outcome:
    """Measure the calibrated scores of the held-out clips."""
    clips = [manifest.clips[index] for index in held.indices]
    own = {key: threshold.on for key, threshold in rule.rule.classes.items()}
    return summarise(
        labels=manifest.labels,
        task=draft.task,
        targets=manifest.targets()[held.indices],
        scores=scores,
        thresholds={label: own.get(label, rule.rule.on) for label in manifest.labels},
        model=f"{draft.name} {draft.version}",
        clips=tuple(str(clip.path) for clip in clips),
        starts=tuple(clip.start_seconds for clip in clips),
        ends=tuple(clip.end_seconds for clip in clips),
        calibrated=draft.calibrated,
        data=manifest.source,
        notes=(_HELD_OUT_NOTE if clips else _NOTHING_HELD_OUT_NOTE, *manifest.notes, *held.notes, *rule.notes),
    )


_HELD_OUT_NOTE = (
    "Clips held out of the training; the calibration was fitted on the same clips, so its error leans to the hopeful "
    "side. `earmark crossval` measures without that."
)
_NOTHING_HELD_OUT_NOTE = (
    "There are too few clips to hold any out: nothing was measured, and the scores are not calibrated. Record more."
)


def _segment_seconds(candidate: Candidate) -> float:
    """Return how long a clip of the training data is, to score long recordings as the model learnt it."""
    frames = float(np.median([len(embeddings) for embeddings in candidate.embeddings]))
    samples = candidate.frame_length + (round(frames) - 1) * candidate.frame_hop
    longest = max(LONGEST_SEGMENT_SECONDS * candidate.sample_rate_hz, candidate.frame_length)
    return min(samples, longest) / candidate.sample_rate_hz


def _described(manifest: Manifest, candidate: Candidate) -> str:
    return f"{len(manifest.labels)} classes from {len(manifest):,} clips, recipe {candidate.facts.get('recipe', '')}."


def _training_facts(
    candidate: Candidate, calibration: Mapping[str, Any], novelty: Novelty, silence: Silence | None, run: Run
) -> dict[str, Any]:
    """Return how this model came about, for its card."""
    return {
        **candidate.facts,
        "seed": run.seed,
        "calibration": dict(calibration),
        "novelty": novelty.to_dict(),
        "silence": silence.to_dict() if silence else None,
        "earmark": installed("earmark"),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }
