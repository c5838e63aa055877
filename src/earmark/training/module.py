"""A network as Lightning trains it: one step, one validation, and randomness that an epoch's number decides."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.training.fitsettings import FitSettings
from earmark.training.losses import Loss
from earmark.training.networks.heads import EmbeddingNetwork
from earmark.training.schedule import optimiser_for, parameter_groups, scheduler_for
from earmark.training.scores import Score

if TYPE_CHECKING:
    from earmark.training.networks.network import Network

Mask = Callable[[Tensor, np.random.Generator], Tensor]

HeldOutClips = Sequence[tuple[NDArray[np.int64], Tensor]]


class Lessons(Sized, Protocol):
    """Batches to learn from; their number is the same in every epoch."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of that epoch, counted from 0; the same however often it is asked for."""
        ...  # pragma: no cover - a protocol


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a network is taught with. Inputs are waveforms [B, samples], or embeddings [B, T, E] for a head alone.

    Parameters
    ----------
    lessons : callable
        Gives the batches of one process, from its rank and the number of all.
    held_out : sequence of (indices, inputs)
        Whole clips that are not taught, in batches; the indices are rows of `targets`.
    targets : ndarray of float32, shape (clips, classes)
        Of all clips, background column included.
    loss : callable
        Of logits and targets, both of shape [batch, classes].
    score : callable
        Of logits and targets: higher is better.
    mask : callable, optional
        Hides parts of features [batch, frames, bands] while training.
    """

    lessons: Callable[[int, int], Lessons]
    held_out: HeldOutClips
    targets: NDArray[np.float32]
    loss: Loss
    score: Score
    mask: Mask | None = None


class EpochLoader:
    """The batches of the epoch at hand, asked for only when the first is wanted: Lightning makes iterators early."""

    def __init__(self, lessons: Lessons, epoch: Callable[[], int]) -> None:
        self._lessons, self._epoch = lessons, epoch

    def __len__(self) -> int:
        return len(self._lessons)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self._lessons.epoch(self._epoch())


class HeldOutLoader:
    """One process's share of batches of whole clips, at least one: all must take part in every validation.

    Lightning would take a list of batches for several loaders.
    """

    def __init__(self, batches: HeldOutClips, rank: int, world_size: int) -> None:
        places = range(rank, len(batches), world_size)
        self._batches, self._places = batches, places or range(rank % len(batches), len(batches), len(batches))

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        return (self._batches[place] for place in self._places)


class NetworkModule(pl.LightningModule):
    """One network under training.

    After each validation `training_loss`, `validation_loss` and `validation_score` are those of the epoch.

    Parameters
    ----------
    network : Network or EmbeddingNetwork
        What learns.
    material : Material
        What it learns from.
    settings : FitSettings
        How.
    seed : int
        All randomness comes from it and the epoch's number, so that a resumed training repeats an uninterrupted one.
    """

    def __init__(
        self, network: "Network | EmbeddingNetwork", material: Material, settings: FitSettings, seed: int
    ) -> None:
        super().__init__()
        self.network, self.material, self.settings, self.seed = network, material, settings, seed
        self.training_loss = self.validation_loss = self.validation_score = float("nan")
        self._losses: list[Tensor] = []
        self._answers: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        self._rng = np.random.default_rng(seed)
        self._lessons: Lessons | None = None

    @property
    def lessons(self) -> Lessons:
        """The batches of this process."""
        if self._lessons is None:
            self._lessons = self.material.lessons(self.trainer.global_rank, self.trainer.world_size)
        return self._lessons

    def train_dataloader(self) -> EpochLoader:
        """Return the batches to learn from."""
        return EpochLoader(self.lessons, lambda: self.current_epoch)

    def val_dataloader(self) -> "HeldOutLoader":
        """Return this process's share of the whole clips."""
        return HeldOutLoader(self.material.held_out, self.trainer.global_rank, self.trainer.world_size)

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule."""
        settings, steps = self.settings, len(self.lessons)
        groups = parameter_groups(
            layers_of(self.network),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
        )
        optimiser = optimiser_for(groups, settings.optimiser)
        warmup_steps = round(settings.warmup_epochs * steps)
        schedule = scheduler_for(optimiser, steps=settings.epochs * steps, warmup_steps=warmup_steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's own randomness."""
        entropy = [self.seed, self.current_epoch, self.trainer.global_rank]
        dropout, masks = np.random.SeedSequence(entropy).spawn(2)
        torch.manual_seed(int(dropout.generate_state(1, np.uint64)[0]))
        self._rng = np.random.default_rng(masks)
        self._losses = []

    def features(self, inputs: Tensor) -> Tensor:
        """Return the front end's features in float32: there is nothing to learn in it, and half a float hears less."""
        if isinstance(self.network, EmbeddingNetwork):
            return inputs
        with torch.no_grad(), torch.autocast(inputs.device.type, enabled=False):
            return self.network.features(inputs)

    def logits(self, features: Tensor) -> Tensor:
        """Return the clips' logits in float32, shape [batch, classes]."""
        embeddings = features if isinstance(self.network, EmbeddingNetwork) else self.network.embed(features)
        return self.network.predict(embeddings).clip.float()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        inputs, targets = batch
        features = self.features(inputs)
        if self.material.mask is not None:
            features = self.material.mask(features, self._rng)
        loss = self.material.loss(self.logits(features), targets)
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation, and let all processes hear with the same running statistics."""
        self._answers = []
        agree(self.network.buffers())

    def validation_step(self, batch: tuple[NDArray[np.int64], Tensor], _: int) -> None:
        """Keep the logits of a batch of whole clips."""
        indices, inputs = batch
        logits = self.logits(self.features(inputs))
        self._answers.append((np.asarray(indices), logits.cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        """Measure all clips held out, from all processes."""
        answers = gathered(self._answers)
        indices, first = np.unique(np.concatenate([indices for indices, _ in answers]), return_index=True)
        logits = np.concatenate([logits for _, logits in answers])[first]
        targets = self.material.targets[indices]
        loss = self.material.loss(torch.from_numpy(logits).to(self.device), torch.from_numpy(targets).to(self.device))
        self.validation_loss = float(loss)
        self.validation_score = self.material.score(logits, targets)
        self.training_loss = float(np.mean(gathered([torch.stack(self._losses).mean().item()])))


def gathered(items: list[Any]) -> list[Any]:
    """Return the items of all processes, those of the first process first."""
    if not torch.distributed.is_initialized():
        return items
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def agree(tensors: Iterable[Tensor]) -> None:
    """Give all processes the tensors of the first: each gathers running statistics from its own clips."""
    if torch.distributed.is_initialized():
        for tensor in tensors:
            torch.distributed.broadcast(tensor, src=0)


def layers_of(network: "Network | EmbeddingNetwork") -> tuple[torch.nn.Module, ...]:
    """Return the layers that have parameters, from the input to the head."""
    return (network.head,) if isinstance(network, EmbeddingNetwork) else network.layers()
