"""What the recipes with a network have in common: held-out clips, batches, training, export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.data.augment import WaveformAugmenter
from earmark.data.augmentation import Augmentation
from earmark.data.manifest import Manifest
from earmark.data.waveforms import Waveforms
from earmark.errors import OptionError
from earmark.training.batches import Batches
from earmark.training.candidate import Candidate
from earmark.training.crops import Padding
from earmark.training.fit import Fitted, fit_network
from earmark.training.fitsettings import FitSettings
from earmark.training.masking import mask
from earmark.training.module import Lessons, Material
from earmark.training.networks import Network, build_network, find_network
from earmark.training.pace import Pace
from earmark.training.recipes.lesson import Embeddings, Lesson, LossSettings, even_size, heard, settings_facts
from earmark.training.run import Run
from earmark.training.scores import score_for
from earmark.training.torchgraph import export_tail, export_trunk
from earmark.training.wholeclips import WholeClips, embed_whole

LONGEST_CROP_SECONDS = 5.0
"""Where a recipe names no length, clips are cut to that of the longest, this at most."""


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe(LossSettings, FitSettings):
    """A network of waveforms, trained as a whole.

    Parameters
    ----------
    network : str
        A name that `earmark.training.networks.build_network` knows.
    head : str, optional
        ``mean``, ``mean+max``, or one that learns when a label is heard: ``attention``, ``decision-max``,
        ``decision-average``, ``multi-level-attention``, ``feature-attention``. By default ``mean+max`` for earmark's
        own networks, and for those that others published ``mean``, as they have it.
    options : Mapping
        Of the network, such as ``widths``.
    head_options : Mapping
        Of the head, such as ``dropout``.
    augmentation : str or Augmentation
        ``none``, ``light``, ``strong``, with changes as ``strong,mixup_alpha=1``; or the settings themselves.
    crop_seconds : float, optional
        Length that clips are cut to, or filled up to, while training; by default the longest clip's, 5 s at most.
        Outside training a network hears whole clips.
    padding : {"zeros", "repeat"}
        What fills up a short clip while training.
    """

    network: str = "conv"
    head: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    head_options: Mapping[str, Any] = field(default_factory=dict)
    augmentation: str | Augmentation = "light"
    crop_seconds: float | None = None
    padding: Padding = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_seconds is not None and self.crop_seconds <= 0:
            raise OptionError(f"crop_seconds={self.crop_seconds:g} is not allowed: give more than 0")
        if isinstance(self.augmentation, str):
            object.__setattr__(self, "augmentation", Augmentation.parse(self.augmentation))

    @property
    def name(self) -> str:
        """The recipe's name."""
        return type(self).__name__.removesuffix("Recipe").lower()

    def fit(self, manifest: Manifest, run: Run) -> Candidate:
        """Train on the clips of a manifest.

        Raises
        ------
        DataError, OptionError, TrainingError, AudioError
            Each says what to do.
        """
        lesson = Lesson.of(manifest, run)
        network = self.build(lesson, run)
        waveforms = Waveforms(manifest, network.geometry.sample_rate_hz)
        waveforms.load_all(Pace(run.report, "decoded"))
        material = self._material(network, waveforms, lesson, run)
        fitted = fit_network(network, material, self, run, facts=lesson.identity(run))
        run.report("embedding all clips")
        device = torch.device("cuda" if run.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
        every = WholeClips(waveforms, np.arange(len(waveforms)), network.geometry)
        pace, by_index = Pace(run.report, "embedded"), {}
        for index, rows in embed_whole(network, every, device):
            by_index[index] = rows
            pace(len(by_index), len(waveforms))
        embeddings = tuple(by_index[index] for index in range(len(waveforms)))
        return self._candidate(network, embeddings, lesson, run, fitted)

    def build(self, lesson: Lesson, run: Run) -> Network:
        """Make the network, with weights drawn from the seed or loaded."""
        return build_network(
            self.network,
            classes=lesson.classes,
            task=lesson.task,
            seed=run.seed,
            head=self.head or ("mean+max" if find_network(self.network).is_ours else "mean"),
            head_options=self.head_options,
            **self.options,
        )

    def _material(self, network: Network, waveforms: Waveforms, lesson: Lesson, run: Run) -> Material:
        assert isinstance(self.augmentation, Augmentation)
        settings, train, rate_hz = self.augmentation, lesson.split.train, network.geometry.sample_rate_hz
        negatives = [int(place) for place in train if not lesson.manifest.clips[place].labels]
        augmenter = WaveformAugmenter(settings, rate_hz, Chosen(waveforms, negatives))
        crop_samples = self._crop_samples(network, waveforms, train)

        def lessons(rank: int, world_size: int) -> Lessons:
            return Batches(
                waveforms,
                lesson.targets,
                crop_samples=crop_samples,
                indices=train,
                batch_size=even_size(len(train), self.batch_size, world_size),
                seed=run.seed,
                sampling=self.sampling,
                augmenter=augmenter,
                padding=self.padding,
                rank=rank,
                world_size=world_size,
            )

        return Material(
            lessons=lessons,
            held_out=WholeClips(waveforms, lesson.split.test, network.geometry),
            targets=lesson.targets,
            loss=self.loss_of(lesson),
            score=score_for(lesson.task),
            mask=None if network.logmel is None else lambda features, rng: mask(features, settings, rng),
        )

    def _crop_samples(self, network: Network, waveforms: Waveforms, train: NDArray[np.int64]) -> int:
        rate_hz = network.geometry.sample_rate_hz
        if self.crop_seconds is not None:
            return round(self.crop_seconds * rate_hz)
        longest = max(len(waveforms[int(place)]) for place in train)
        return max(network.geometry.frame_length, min(longest, round(LONGEST_CROP_SECONDS * rate_hz)))

    def _candidate(
        self, network: Network, embeddings: tuple[Embeddings, ...], lesson: Lesson, run: Run, fitted: Fitted
    ) -> Candidate:
        tail = export_tail(network, task=lesson.task, outputs=len(lesson.manifest.labels))
        geometry = network.geometry
        return Candidate(
            trunk=export_trunk(network),
            tail=tail,
            sample_rate_hz=geometry.sample_rate_hz,
            frame_length=geometry.frame_length,
            frame_hop=geometry.frame_hop,
            embedding_size=network.embedding_size,
            embeddings=embeddings,
            held_out=heard(tail, embeddings, lesson),
            facts={"recipe": self.name, **settings_facts(self), "seed": run.seed, **fitted.facts()},
        )


class Chosen(Sequence[NDArray[np.float32]]):
    """Some of the waveforms, decoded when they are wanted."""

    def __init__(self, waveforms: Sequence[NDArray[np.float32]], places: Sequence[int]) -> None:
        self._waveforms, self._places = waveforms, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.float32]]: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Return a waveform, or those of a slice."""
        if isinstance(index, slice):
            return [self._waveforms[place] for place in self._places[index]]
        return self._waveforms[self._places[index]]
