"""The student: a small network that starts from random weights and learns from labels and from the teacher."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from earmark.training.networks import build_network
from earmark.training.networks.heads import MeanMaxHead
from earmark.training.networks.network import Geometry, Network
from earmark.training.precision import chosen_precision
from everyday.labels import LABELS, SILENCE
from everyday.pool import LOGMEL_SHAPE, STEP, Pool, in_batches
from everyday.teacher import DIMENSIONS, Teacher, Teaching
from everyday.views import NONE, SAMPLES
from everyday.waves import decibels

Report = Callable[[str], None]

_SILENT_PEAK = decibels(-62)
_LEVELLED = 0.5


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """How the student is taught.

    Parameters
    ----------
    views : int
        How many it sees in all; the pool is gone through again and again.
    batch_size : int
    learning_rate, weight_decay : float
        Of AdamW; the rate rises at first, then falls as half a cosine.
    from_teacher : float
        Share of the teacher's probabilities in what a clip is to be; the rest is the label.
    of_frames, of_embeddings : float
        Weight of the loss of single frames, and of the distance to the teacher's embeddings, beside that of clips.
    average : float
        Share of the old in the running mean of the weights, which is what is kept.
    seed : int
    """

    views: int = 200_000
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.03
    from_teacher: float = 0.5
    of_frames: float = 0.5
    of_embeddings: float = 0.5
    average: float = 0.998
    seed: int = 2026


def new_student(seed: int) -> Network:
    """Make the network with random weights."""
    return build_network(
        "compact", classes=NONE + 1, task="single-label", seed=seed, head="mean+max", head_options={"dropout": 0.1}
    )


def frame_centres(network: Network) -> list[float]:
    """Return the middle of each of a view's frames, in seconds."""
    geometry = network.geometry
    starts = np.arange(geometry.frame_count(SAMPLES)) * geometry.frame_hop_seconds
    return [float(start) + geometry.frame_length_seconds / 2 for start in starts]


def teach(pool: Pool, rows: NDArray[np.int64], teacher: Teacher, lesson: Lesson, report: Report) -> Network:
    """Teach a new student with some views of a pool; return it as it is after the last step, averaged."""
    rng, network = np.random.default_rng(lesson.seed), new_student(lesson.seed)
    torch.manual_seed(lesson.seed)
    projection = nn.Linear(network.embedding_size, DIMENSIONS)
    parts = nn.ModuleList([network, projection])
    optimiser = torch.optim.AdamW(_groups(parts, lesson.weight_decay), lr=lesson.learning_rate)
    steps = lesson.views // lesson.batch_size
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    mean = copy.deepcopy(network)
    began = time.perf_counter()
    for step, batch in enumerate(_batches(rows, lesson, steps, rng)):
        wanted = _lesson_of(pool, batch, teacher, network.geometry)
        loss = _loss(network, projection, _inputs(pool, batch, rng), wanted, lesson)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        _average(mean, network, min(lesson.average, step / (step + 20)))
        if step % 100 == 99:
            left = (time.perf_counter() - began) * (steps - step - 1) / (step + 1) / 60
            report(f"step {step + 1:,} of {steps:,}: loss {loss.item():.3f}, about {left:.0f} min left")
    return mean.eval()


@torch.no_grad()
def level_classes(student: Network, pool: Pool, rows: NDArray[np.int64]) -> None:
    """Take back half of what the student learned of how common each class is: a seventh of the pool is speech.

    The odds of a class whose share of the views is k times another's are divided by the root of k. All of it (Menon et
    al., "Long-tail learning via logit adjustment", ICLR 2021) would be for a world in which people talk as often as
    they saw wood.
    """
    assert isinstance(student.head, MeanMaxHead), "the bias of another head is elsewhere"
    shares = torch.from_numpy(pool.targets[rows].mean(axis=0))
    student.head.classifier.bias.sub_(_LEVELLED * torch.where(shares > 0, shares, 1.0).log())


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What a batch is to become: the label's share, what the teacher says, and where frames are silent."""

    target: Tensor
    teaching: Teaching
    silent: Tensor


def _batches(rows: NDArray[np.int64], lesson: Lesson, steps: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    batches: list[NDArray[np.int64]] = []
    while len(batches) < steps:
        batches.extend(in_batches(rows, lesson.batch_size, rng))
    return batches[:steps]


def _inputs(pool: Pool, batch: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """Return log-mel spectrograms with a band and a stretch of time masked here and there."""
    logmel = pool.logmel[batch].astype(np.float32)
    steps, bands = LOGMEL_SHAPE
    for picture in logmel:
        if rng.random() < 0.6:
            first, size = rng.integers(bands), rng.integers(1, 12)
            picture[:, first : first + size] = picture.mean()
        if rng.random() < 0.6:
            first, size = rng.integers(steps), rng.integers(4, 40)
            picture[first : first + size] = picture.min()
    return torch.from_numpy(logmel)


def _lesson_of(pool: Pool, batch: NDArray[np.int64], teacher: Teacher, geometry: Geometry) -> _Wanted:
    silent = pool.peaks[batch].astype(np.float32) < _SILENT_PEAK
    starts = np.round(np.arange(geometry.frame_count(SAMPLES)) * geometry.frame_hop / STEP).astype(int)
    covered = [silent[:, start : start + geometry.frame_length // STEP].all(axis=1) for start in starts]
    return _Wanted(
        target=torch.from_numpy(pool.targets[batch]),
        teaching=teacher.teach(pool.embeddings[batch]),
        silent=torch.from_numpy(np.stack(covered, axis=1)),
    )


def _loss(network: Network, projection: nn.Linear, inputs: Tensor, wanted: _Wanted, lesson: Lesson) -> Tensor:
    """Return the loss of a batch: of clips, of frames, and the distance to the teacher's embeddings."""
    network.train()
    # A processor that does not multiply bfloat16 itself takes many times as long for it as for float32.
    with torch.autocast("cpu", torch.bfloat16, enabled=chosen_precision("auto", "cpu") == "bf16-mixed"):
        embeddings = network.embed(inputs)
        prediction, matched = network.predict(embeddings), projection(embeddings)
    share = lesson.from_teacher
    clip = functional.cross_entropy(prediction.clip.float(), share * wanted.teaching.clip + (1 - share) * wanted.target)
    of_silence = functional.one_hot(torch.tensor(LABELS.index(SILENCE)), NONE + 1).float()
    frame_targets = torch.where(wanted.silent[..., None], of_silence, wanted.teaching.frames)
    frames = functional.cross_entropy(prediction.frames.float().flatten(0, 1), frame_targets.flatten(0, 1))
    distance = functional.mse_loss(matched.float(), wanted.teaching.embeddings)
    return clip + lesson.of_frames * frames + lesson.of_embeddings * distance


def _groups(parts: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return weights, which decay, and the rest, which does not."""
    matrices = [parameter for parameter in parts.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in parts.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _rate(step: int, steps: int) -> float:
    warm = 0.05 * steps
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


@torch.no_grad()
def _average(mean: nn.Module, network: nn.Module, share: float) -> None:
    for old, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - share)
        else:
            old.copy_(new)
