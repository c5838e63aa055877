"""Recipe ``attention``: labels of whole clips become scores of frames, so that a folder of clips gives onsets too."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from earmark.data.augmentation import Augmentation
from earmark.data.manifest import Manifest
from earmark.training.backbone import Backbone
from earmark.training.candidate import Candidate
from earmark.training.embeddings import Embedded, embed_clips
from earmark.training.fit import fit_network
from earmark.training.fitsettings import FitSettings
from earmark.training.module import Lessons, Material
from earmark.training.networks import EmbeddingNetwork
from earmark.training.recipes.cnn import CnnRecipe
from earmark.training.recipes.lesson import Lesson, LossSettings, even_size, heard, settings_facts
from earmark.training.run import Run
from earmark.training.scores import score_for
from earmark.training.sequences import Sequences, whole_sequences
from earmark.training.torchgraph import export_tail

CNN_PREFIX = "cnn:"


@dataclass(frozen=True, kw_only=True)
class AttentionRecipe(LossSettings, FitSettings):
    """A head that learns which frames a clip's labels are about, on a frozen backbone or on a network taught with it.

    Parameters
    ----------
    backbone : str
        Name or file of a model that gives embeddings and is left as it is; or ``cnn:NAME`` for a network from scratch.
    head : str
        ``attention``, ``decision-max``, ``decision-average``, ``multi-level-attention`` or ``feature-attention``.
    width : int
        Neurons of each hidden layer of the head.
    dropout : float
        Share of them that is silent at each step; in [0, 1).
    options : Mapping
        Of the network from scratch.
    augmentation : str or Augmentation
        Of the clips for a network from scratch; embeddings of a frozen backbone are made once, of clips unchanged.
    """

    backbone: str = "yamnet"
    head: str = "feature-attention"
    width: int = 512
    dropout: float = 0.5
    options: Mapping[str, Any] = field(default_factory=dict)
    augmentation: str | Augmentation = "light"
    epochs: int = 30
    batch_size: int = 64
    average: float = 0.99

    def fit(self, manifest: Manifest, run: Run) -> Candidate:
        """Train on the clips of a manifest.

        Raises
        ------
        DataError, ModelError, OptionError, TrainingError, AudioError
            Each says what to do.
        """
        if self.backbone.startswith(CNN_PREFIX):
            candidate = self._from_scratch().fit(manifest, run)
            return replace(candidate, facts={**candidate.facts, "recipe": "attention"})
        backbone = Backbone.load(self.backbone)
        embedded = embed_clips(manifest, backbone, run)
        lesson = Lesson.of(manifest, run)
        network = EmbeddingNetwork(
            embedded.embedding_size, lesson.classes, lesson.task, self.head, seed=run.seed, **self._head_options()
        )
        material = self._material(embedded, lesson, run)
        identity = lesson.identity(run) | {"backbone_sha256": embedded.backbone_sha256}
        fitted = fit_network(network, material, self, run, facts=identity)
        return self._candidate(network, backbone, embedded, lesson, {"seed": run.seed, **fitted.facts()})

    def _head_options(self) -> dict[str, Any]:
        return {"width": self.width, "dropout": self.dropout} if self.head != "mean" else {"dropout": self.dropout}

    def _from_scratch(self) -> CnnRecipe:
        """Return the recipe of a network with this head."""
        known = {item.name for item in fields(CnnRecipe)}
        shared = {item.name: getattr(self, item.name) for item in fields(self) if item.name in known}
        network = self.backbone.removeprefix(CNN_PREFIX)
        return CnnRecipe(**shared, network=network, head_options=self._head_options())

    def _material(self, embedded: Embedded, lesson: Lesson, run: Run) -> Material:
        train, embeddings = lesson.split.train, embedded.embeddings

        def lessons(rank: int, world_size: int) -> Lessons:
            return Sequences(
                embeddings,
                lesson.targets,
                indices=train,
                batch_size=even_size(len(train), self.batch_size, world_size),
                seed=run.seed,
                sampling=self.sampling,
                rank=rank,
                world_size=world_size,
            )

        return Material(
            lessons=lessons,
            held_out=whole_sequences(embeddings, lesson.split.test, batch_size=self.batch_size),
            targets=lesson.targets,
            loss=self.loss_of(lesson),
            score=score_for(lesson.task),
        )

    def _candidate(
        self, network: EmbeddingNetwork, backbone: Backbone, embedded: Embedded, lesson: Lesson, facts: dict[str, Any]
    ) -> Candidate:
        tail = export_tail(network, task=lesson.task, outputs=len(lesson.manifest.labels))
        return Candidate(
            trunk=backbone.trunk(),
            tail=tail,
            sample_rate_hz=embedded.sample_rate_hz,
            frame_length=embedded.frame_length,
            frame_hop=embedded.frame_hop,
            embedding_size=embedded.embedding_size,
            embeddings=embedded.embeddings,
            held_out=heard(tail, embedded.embeddings, lesson),
            facts={"recipe": "attention", **settings_facts(self), "backbone_sha256": embedded.backbone_sha256, **facts},
            frozen=True,
        )
