"""What a recipe with a network teaches, and what it asks afterwards: clips as numbers, loss, held-out scores."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earmark.data.augmentation import Augmentation
from earmark.data.leaks import leak_notes, require_no_leaks
from earmark.data.manifest import Manifest
from earmark.data.splits import Split, hold_out
from earmark.model.card import Task
from earmark.training.candidate import HeldOut
from earmark.training.joining import TailBackend
from earmark.training.losses import Loss, LossKind, class_weights, loss_for
from earmark.training.run import Run
from earmark.training.sampling import Sampling

if TYPE_CHECKING:
    import onnx

Embeddings = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The clips of one training as numbers.

    Parameters
    ----------
    manifest : Manifest
        All clips.
    task : {"multi-label", "single-label"}
        Whether classes exclude each other.
    targets : ndarray of float32, shape (clips, classes)
        With a last column for the background where classes exclude each other and there are negatives.
    split : Split
        Which clips are taught, and which are held out.
    """

    manifest: Manifest
    task: Task
    targets: NDArray[np.float32]
    split: Split

    @classmethod
    def of(cls, manifest: Manifest, run: Run) -> "Lesson":
        """Divide the clips, and give negatives a class of their own where classes exclude each other.

        Raises
        ------
        LeakError
            If a source is on both sides of the data set's own division, unless the run is forced.
        TooFewClipsError
            If no clip can be held out.
        """
        task: Task = "multi-label" if manifest.is_multi_label else "single-label"
        targets = manifest.targets()
        if task == "single-label" and manifest.has_negatives:
            targets = np.column_stack([targets, (targets.sum(axis=1) == 0).astype(np.float32)])
        split = hold_out(manifest, fraction=run.validation, seed=run.seed)
        require_no_leaks(manifest, [split], force=run.force)
        return cls(manifest=manifest, task=task, targets=targets, split=split)

    @property
    def classes(self) -> int:
        """Number of logits, background included."""
        return int(self.targets.shape[1])

    def identity(self, run: Run) -> dict[str, Any]:
        """Return what must be the same for a training to be resumed."""
        return {"clips": self.manifest.digest(), "validation": run.validation}


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What counts as wrong while a network learns, and what it is shown how often.

    Parameters
    ----------
    loss : {"cross-entropy", "focal"}
        As `earmark.training.losses.loss_for` says.
    label_smoothing : float
        Share of a target that is spread over all classes; in [0, 1).
    class_weights : bool
        Whether rare classes count for more.
    sampling : {"shuffle", "balanced", "ordered"}
        ``balanced`` shows each class equally often.
    batch_size : int
        Clips in a batch on each device.
    """

    loss: LossKind = "cross-entropy"
    label_smoothing: float = 0.0
    class_weights: bool = False
    sampling: Sampling = "shuffle"
    batch_size: int = 32

    def loss_of(self, lesson: Lesson) -> Loss:
        """Return the loss for these clips."""
        weights = class_weights(lesson.targets[lesson.split.train]) if self.class_weights else None
        return loss_for(lesson.task, self.loss, weights, self.label_smoothing)


def heard(tail: "onnx.ModelProto", embeddings: Sequence[Embeddings], lesson: Lesson) -> HeldOut:
    """Return the scores of held-out clips, from the nodes that ship."""
    indices = lesson.split.test
    outputs = TailBackend(tail).run_each(embeddings[int(index)] for index in indices)
    return HeldOut(
        indices=indices,
        clip=np.concatenate([output.clip for output in outputs]),
        frames=tuple(output.frames[0] for output in outputs),
        notes=leak_notes(lesson.manifest, [lesson.split]),
    )


def even_size(clips: int, batch_size: int, world_size: int) -> int:
    """Return the batch size, or one near it, so that no batch has a single clip: batch normalisation needs two."""
    each = -(-clips // world_size)
    nearby = (*range(batch_size, 1, -1), *range(batch_size + 1, each + 1))
    return next((size for size in nearby if each % size != 1), batch_size)


def settings_facts(recipe: Any) -> dict[str, Any]:
    """Return a recipe's settings, ready for JSON."""
    facts = asdict(recipe)
    augmentation = getattr(recipe, "augmentation", None)
    return facts | ({"augmentation": augmentation.to_dict()} if isinstance(augmentation, Augmentation) else {})
