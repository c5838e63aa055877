"""One fold of a cross-validation: a model trained on the other folds, and what it says about the clips of this one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.data.manifest import Manifest
from earmark.data.splits import Split
from earmark.data.waveforms import Waveforms
from earmark.evaluation.metrics import average_precision, top_k_accuracy
from earmark.inference.classifier import default_threads
from earmark.inference.novelty import heard
from earmark.model.backends import open_session
from earmark.training.candidate import Candidate
from earmark.training.embeddings import embed_clips
from earmark.training.finishing import finish
from earmark.training.joining import TailBackend
from earmark.training.pace import Pace
from earmark.training.recipebook import Recipe
from earmark.training.run import Run

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ScoredFold:
    """The tested clips of one fold, in order, and what the model of that fold says about them.

    Parameters
    ----------
    split : Split
        Where the clips are in the manifest.
    scores : ndarray of float32, shape (clips, classes)
        As `Classifier.classify` would give them.
    novelty : ndarray of float32, shape (clips,)
        Likewise.
    novelty_threshold : float
        Of this fold's model.
    thresholds : ndarray of float32, shape (classes,)
        From which score on a label is given by the decision rule of this fold's model.
    calibrated : bool
        Whether it could be.
    """

    split: Split
    scores: Scores
    novelty: Scores
    novelty_threshold: float
    thresholds: Scores
    calibrated: bool


def score_fold(recipe: Recipe, manifest: Manifest, split: Split, run: Run) -> ScoredFold:
    """Train on one side of a split, finish the model as `train` does, and score the other side with it.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C cut the training short: figures of half a training are not what was asked for.
    """
    own = replace(
        run,
        folder=run.folder / f"fold-{split.name}" if run.folder else None,
        report=lambda line: run.report(f"fold {split.name}: {line}"),
    )
    own.report(f"{len(split.train):,} clips to train on, {len(split.test):,} to test with")
    train, test = manifest.select(split.train), manifest.select(split.test)
    candidate = recipe.fit(train, own)
    if candidate.facts.get("stopped") == "interrupted":
        raise KeyboardInterrupt
    finished = finish(candidate, train, own)
    tail, card = TailBackend(finished.tail), finished.card
    answers = [_answer(tail, clip, card.segment_frames) for clip in _embeddings(candidate, recipe, test, own)]
    scores, novelty = (np.array(column, np.float32) for column in zip(*answers, strict=True))
    own.report(_figure(scores, test))
    assert card.novelty_threshold is not None
    return ScoredFold(
        split=split,
        scores=scores,
        novelty=novelty,
        novelty_threshold=card.novelty_threshold,
        thresholds=np.array([card.decision.of(label.id).on for label in card.labels], np.float32),
        calibrated=card.calibrated,
    )


def _embeddings(candidate: Candidate, recipe: Recipe, clips: Manifest, run: Run) -> Iterator[Scores]:
    """Yield each clip's embeddings: a frozen trunk's from the cache, others from the graph that ships."""
    if candidate.frozen:
        yield from embed_clips(clips, recipe.backbone, run).embeddings  # type: ignore[attr-defined]
        return
    trunk = open_session(candidate.trunk.SerializeToString(), threads=default_threads())
    pace = Pace(run.report, "scored")
    for done, waveform in enumerate(Waveforms(clips, candidate.sample_rate_hz, memory_bytes=0), start=1):
        yield trunk.run(["embeddings"], {"waveform": waveform[None]})[0][0]
        pace(done, len(clips))


def _answer(tail: TailBackend, embeddings: Scores, segment_frames: int) -> tuple[NDArray[np.float64], float]:
    """Return scores and novelty of a clip, a long one segment by segment, as `Classifier.classify` does."""
    segments = [embeddings[first : first + segment_frames] for first in range(0, len(embeddings), segment_frames)]
    outputs = tail.run_each(segments)
    frames, novelty = (np.array(column) for column in zip(*map(heard, outputs), strict=True))
    shares = frames / max(1, frames.sum())
    return shares @ np.concatenate([output.clip for output in outputs]), float(shares @ novelty)


def _figure(scores: Scores, test: Manifest) -> str:
    """Return the fold's first figure for people."""
    truth = test.targets()
    if test.is_multi_label:
        return f"mean average precision {100 * np.nanmean(average_precision(scores, truth)):.1f} %"
    return f"accuracy {100 * top_k_accuracy(scores, truth):.1f} %"
