"""The recipe `head`: a frozen backbone's embeddings, pooled over time, and a classifier of scikit-learn on them."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from earmark.data.leaks import leak_notes
from earmark.data.manifest import Manifest
from earmark.training.backbone import Backbone
from earmark.training.candidate import Candidate, HeldOut, Scores
from earmark.training.embeddings import Embedded, embed_clips
from earmark.training.headgraph import build_tail, probabilities
from earmark.training.heads import Head, Lesson, find_head
from earmark.training.headsearch import Choice, inner_folds, refit, search
from earmark.training.pace import Pace
from earmark.training.pooling import Pooling
from earmark.training.run import Run
from earmark.training.scorers import Scorer

_CLIPS_AT_ONCE = 64


@dataclass(frozen=True)
class HeadRecipe:
    """Settings of the recipe `head`.

    Parameters
    ----------
    backbone : str
        Name or file of any model that gives embeddings. It is not changed.
    head : {"logistic", "svm-linear", "svm-rbf", "forest", "knn", "mlp"}
        The classifier. Its own settings are chosen by cross-validation inside the training clips.
    pooling : {"mean", "max", "mean+max", "mean+std"}
        How the embeddings of a clip's frames become one row.
    class_weights : {"balanced"}, optional
        Let rare classes weigh as much as frequent ones.

    Raises
    ------
    OptionError
        For a name that is not known.
    """

    backbone: str = "yamnet"
    head: str = "logistic"
    pooling: str = "mean+max"
    class_weights: Literal["balanced"] | None = None

    def __post_init__(self) -> None:
        find_head(self.head)
        find_head("logistic", class_weights=self.class_weights)
        Pooling(self.pooling)

    def fit(self, manifest: Manifest, run: Run) -> Candidate:
        """Train on every clip of the manifest.

        Raises
        ------
        OptionError
            If the head cannot balance the classes of such clips.
        ModelError, AudioError, LeakError, OutputError
            Each says what to do.
        """
        head = find_head(self.head, class_weights=self.class_weights, multi_label=manifest.is_multi_label)
        backbone = Backbone.load(self.backbone)
        embedded = embed_clips(manifest, backbone, run)
        lesson = self._lesson(manifest, embedded, run)
        choice = self._choice(head, lesson, manifest, run)
        tail = build_tail(
            refit(head, lesson, choice),
            Pooling(self.pooling),
            embedding_size=embedded.embedding_size,
            outputs=len(manifest.labels),
            exclusive=lesson.exclusive,
        )
        return Candidate(
            trunk=backbone.trunk(),
            tail=tail,
            sample_rate_hz=embedded.sample_rate_hz,
            frame_length=embedded.frame_length,
            frame_hop=embedded.frame_hop,
            embedding_size=embedded.embedding_size,
            embeddings=embedded.embeddings,
            held_out=replace(
                self._held_out(choice, embedded, len(manifest.labels), lesson.exclusive),
                notes=leak_notes(manifest, choice.splits),
            ),
            facts=self._facts(choice, backbone, run),
            frozen=True,
        )

    def scorer(self, manifest: Manifest, run: Run) -> Scorer:
        """Return the classifier alone, with settings chosen as in `fit`: logits of pooled rows."""
        head = find_head(self.head, class_weights=self.class_weights, multi_label=manifest.is_multi_label)
        lesson = self._lesson(manifest, embed_clips(manifest, Backbone.load(self.backbone), run), run)
        return refit(head, lesson, self._choice(head, lesson, manifest, run))

    def _choice(self, head: Head, lesson: Lesson, manifest: Manifest, run: Run) -> Choice:
        """Return the best settings of the head, and tell how they are found."""
        splits = inner_folds(manifest, run)
        run.report(f"teaching the head {self.head}")
        choice = search(head, lesson, splits, Pace(run.report, "taught on", "folds"))
        run.report(_told(choice, lesson))
        return choice

    def _lesson(self, manifest: Manifest, embedded: Embedded, run: Run) -> Lesson:
        """Return rows and targets; where classes exclude each other, negatives are a class more."""
        pooling, targets, exclusive = Pooling(self.pooling), manifest.targets(), not manifest.is_multi_label
        if exclusive and manifest.has_negatives:
            targets = np.column_stack([targets, targets.sum(axis=1) == 0]).astype(np.float32)
        rows = np.stack([pooling.clip(embeddings) for embeddings in embedded.embeddings])
        return Lesson(rows, targets, exclusive, balanced=self.class_weights == "balanced", seed=run.seed)

    def _held_out(self, choice: Choice, embedded: Embedded, outputs: int, exclusive: bool) -> HeldOut:
        """Return what the models of the inner folds said about the clips, and the frames, that each had not seen."""
        pooling = Pooling(self.pooling)
        clips: list[Scores] = [np.empty((0, outputs), np.float32)]
        frames: list[Scores] = []
        for split, scorer, logits in zip(choice.splits, choice.scorers, choice.logits, strict=True):
            clips.append(probabilities(logits, outputs=outputs, exclusive=exclusive))
            for start in range(0, len(split.test), _CLIPS_AT_ONCE):
                parts = [embedded.embeddings[index] for index in split.test[start : start + _CLIPS_AT_ONCE]]
                said = scorer(pooling.frames(np.concatenate(parts)))
                ends = np.cumsum([len(part) for part in parts])[:-1]
                frames += np.split(probabilities(said, outputs=outputs, exclusive=exclusive), ends)
        indices = np.concatenate([np.empty(0, np.int64), *(split.test for split in choice.splits)])
        return HeldOut(indices=indices, clip=np.concatenate(clips), frames=tuple(frames))

    def _facts(self, choice: Choice, backbone: Backbone, run: Run) -> dict[str, Any]:
        """Return what the card says of the training."""
        return {
            "recipe": "head",
            "backbone": backbone.card.name,
            "backbone_sha256": backbone.sha256,
            "head": self.head,
            "pooling": self.pooling,
            "class_weights": self.class_weights,
            "scaling": choice.scaling,
            "settings": dict(choice.values),
            "inner_folds": len(choice.splits),
            "seed": run.seed,
        }


def _told(choice: Choice, lesson: Lesson) -> str:
    """Return the choice in a line for people."""
    values = ", ".join(f"{name} {value:g}" for name, value in choice.values.items())
    scaling = f", features scaled {'as a whole' if choice.scaling == 'whole' else 'each'}" if choice.scaling else ""
    if not choice.splits:
        return f"settings: {values}{scaling}"
    right = f"accuracy {100 * choice.accuracy:.1f} %" if lesson.exclusive else f"log loss {choice.log_loss:.3f}"
    return f"settings: {values}{scaling}; {right} on {len(choice.splits)} inner folds"
