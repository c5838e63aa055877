"""The import equals the published file: scores of every frame of ESC-10 beside LiteRT's, float and int8.

LiteRT runs the `.tflite` file itself, window by window; earmark the model that it made from that file. LiteRT's 8-bit
scores tie often, and of equal scores the first counts as best: so its best class is looked for among earmark's three
best.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import MODELS, Bench
from benchmarks.corpus import Clip
from benchmarks.peers import LiteRT
from benchmarks.row import Goal, Quantity, Row
from earmark.inference.classifier import Classifier

Scores = NDArray[np.float32]


def measure(bench: Bench) -> Iterator[Row]:
    """Yield difference and agreement of both models."""
    for model in MODELS:
        weights = bench.published_weights(model)
        theirs = litert_scores(LiteRT(weights), bench.esc10)
        ours = earmark_scores(Classifier.load(model), bench.esc10)
        yield from compare(model, f"LiteRT on {weights.name}, {len(ours):,} frames", ours, theirs)


def litert_scores(model: LiteRT, clips: Sequence[Clip]) -> Scores:
    """Return LiteRT's scores of all frames, shape (frames, classes)."""
    return np.concatenate([model.frames(clip.waveform()) for clip in clips])


def earmark_scores(classifier: Classifier, clips: Sequence[Clip]) -> Scores:
    """Return earmark's scores of all frames, shape (frames, classes)."""
    return np.concatenate([classifier.timeline(clip.path).scores for clip in clips])


def compare(model: str, against: str, ours: Scores, theirs: Scores) -> Iterator[Row]:
    """Yield the rows of one model."""
    difference = np.abs(ours - theirs)
    yield Row(
        what=f"{model}: mean score difference",
        ours=Quantity(float(difference.mean()), ""),
        against=against,
        goal=Goal(0.001, at_most=True),
        note=f"the largest of all differences is {difference.max():.3f}",
    )
    for count, goal in ((1, None), (3, Goal(99.0))):
        among = "our best" if count == 1 else f"our best {count}"
        share = agreement(ours, theirs, count)
        yield Row(
            what=f"{model}: LiteRT's best class is {among}", ours=Quantity(share, "%"), against=against, goal=goal
        )


def agreement(ours: Scores, theirs: Scores, count: int) -> float:
    """Return in how many percent of the frames LiteRT's first best class is among our `count` best."""
    best = theirs.argmax(axis=1)
    ranked = np.argsort(-ours, axis=1, kind="stable")[:, :count]
    return float(100 * (ranked == best[:, None]).any(axis=1).mean())
