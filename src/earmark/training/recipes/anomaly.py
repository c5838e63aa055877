"""The anomaly recipe: from recordings of the normal state alone to a model that tells what is not normal."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.data.manifest import Manifest
from earmark.errors import OptionError, TooFewClipsError
from earmark.evaluation.metrics import roc_auc
from earmark.evaluation.outcome import Outcome, summarise
from earmark.model.card import ClassRule, DecisionRule, Label, ModelCard
from earmark.training.backbone import Backbone
from earmark.training.embeddings import Embedded, embed_clips
from earmark.training.finishing import LONGEST_SEGMENT_SECONDS, Finished, Naming
from earmark.training.novelty import Novelty, fit_novelty
from earmark.training.noveltygraph import novelty_tail
from earmark.training.noveltyweights import Method
from earmark.training.run import Run

ANOMALOUS = Label("anomalous", "anomalous")
"""The only class: its score is the novelty."""

ANOMALY_LABELS = frozenset({"abnormal", "anomalies", "anomalous", "anomaly", "fault", "faults", "faulty"})
"""Labels, in any case, of clips that are known to be anomalous. They are never learned from, only measured on."""

PARTIAL_RATE = 0.1
"""False-positive rate up to which the partial ROC-AUC counts, as in the DCASE tasks on machine condition."""

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

_EDGE = 0.5  # the novelty of a frame at the quantile, by the way it is fitted


@dataclass(frozen=True, kw_only=True)
class AnomalyRecipe:
    """Learn what normal sounds like; whatever differs is anomalous.

    Labels are ignored, so a folder of recordings is enough. Where some clips are labelled as anomalies
    (`ANOMALY_LABELS`), how well they are told is measured.

    Parameters
    ----------
    backbone : str
        A model, by name or file, whose embeddings are compared; it stays as it is.
    quantile : float
        Share of normal frames, and of normal clips, below the threshold, in (0, 1).
    method : {"auto", "mahalanobis", "neighbours", "both"}
        See `earmark.training.novelty.fit_novelty`.

    Raises
    ------
    OptionError
        If the quantile is out of range.
    """

    backbone: str = "yamnet"
    quantile: float = 0.99
    method: Method = "auto"

    def __post_init__(self) -> None:
        if not 0.0 < self.quantile < 1.0:
            raise OptionError(f"quantile={self.quantile:g} is not allowed: give a share between 0 and 1, such as 0.99")

    def finish(self, manifest: Manifest, run: Run, naming: Naming | None = None) -> Finished:
        """Make the whole model; its scores are no calibrated probabilities, for of anomalies nothing is known.

        Parameters
        ----------
        manifest : Manifest
            Recordings of the normal state, and perhaps some anomalies.
        run : Run
            Its seed and share decide which normal clips the measures are taken on.
        naming : Naming, optional
            For the card.

        Raises
        ------
        TooFewClipsError
            If there are fewer than two normal clips.
        """
        named = naming or Naming()
        anomalous = np.array([_is_anomalous(clip.labels) for clip in manifest.clips], dtype=bool)
        if (~anomalous).sum() < 2:
            raise TooFewClipsError(
                f"{manifest.source} has {(~anomalous).sum()} clips of the normal state: give two or more"
            )
        backbone = Backbone.load(self.backbone)
        embedded = embed_clips(manifest, backbone, run)
        run.report(f"learning what {(~anomalous).sum():,} normal clips sound like")
        novelty = self._fit(embedded, manifest, np.flatnonzero(~anomalous), run)
        held_out = self._held_out(embedded, manifest, anomalous, run, named)
        return Finished(
            trunk=backbone.trunk(),
            tail=novelty_tail(novelty),
            card=self._card(
                embedded=embedded,
                backbone=backbone,
                manifest=manifest,
                novelty=novelty,
                held_out=held_out,
                run=run,
                naming=named,
            ),
            held_out=held_out,
        )

    def _fit(self, embedded: Embedded, manifest: Manifest, clips: Indices, run: Run) -> Novelty:
        """Learn what some clips, all normal, sound like."""
        return fit_novelty(
            [embedded.embeddings[index] for index in clips],
            np.ones((len(clips), 1), np.float32),
            manifest.groups()[clips],
            seed=run.seed,
            method=self.method,
            quantile=self.quantile,
        )

    def _held_out(self, embedded: Embedded, manifest: Manifest, anomalous: Mask, run: Run, naming: Naming) -> Outcome:
        """Measure, with some normal clips set aside, how novel these and the known anomalies are."""
        aside = _set_aside(manifest, anomalous, run)
        novelty = self._fit(embedded, manifest, np.flatnonzero(~anomalous & ~aside), run)
        asked = np.flatnonzero(aside | anomalous)
        scores = np.array([novelty.apply(embedded.embeddings[index]).mean() for index in asked], np.float32)
        clips = [manifest.clips[index] for index in asked]
        return summarise(
            labels=(ANOMALOUS.name,),
            task="multi-label",
            targets=anomalous[asked, None].astype(np.float32),
            scores=scores[:, None],
            thresholds={ANOMALOUS.name: novelty.threshold},
            model=f"{naming.name} {naming.version}",
            clips=tuple(str(clip.path) for clip in clips),
            starts=tuple(clip.start_seconds for clip in clips),
            ends=tuple(clip.end_seconds for clip in clips),
            novelty=scores,
            data=manifest.source,
            notes=(_HELD_OUT_NOTE, *(() if anomalous.any() else (_NO_ANOMALIES_NOTE,)), *manifest.notes),
        )

    def _card(
        self,
        *,
        embedded: Embedded,
        backbone: Backbone,
        manifest: Manifest,
        novelty: Novelty,
        held_out: Outcome,
        run: Run,
        naming: Naming,
    ) -> ModelCard:
        rate_hz = embedded.sample_rate_hz
        learned = sum(not _is_anomalous(clip.labels) for clip in manifest.clips)
        rule = ClassRule(on=_EDGE, off=_EDGE / 2)
        return ModelCard(
            name=naming.name,
            version=naming.version,
            labels=(ANOMALOUS,),
            sample_rate=rate_hz,
            frame_length_seconds=embedded.frame_length / rate_hz,
            frame_hop_seconds=embedded.frame_hop / rate_hz,
            segment_seconds=_segment_seconds(embedded),
            task="multi-label",
            decision=DecisionRule(on=rule.on, off=rule.off, classes={ANOMALOUS.id: rule}),
            embedding_size=embedded.embedding_size,
            licence=naming.licence,
            description=naming.description or f"What is not normal, from {learned:,} recordings of the normal state.",
            source=f"earmark {installed('earmark')}, recipe anomaly, backbone {backbone.card.name}",
            training_data=f"{manifest.source}: {learned:,} clips, SHA-256 of the list {manifest.digest()}",
            metrics={"held_out": held_out.to_dict(classes=False), "anomalies": anomaly_measures(held_out)},
            training={
                "recipe": "anomaly",
                **asdict(self),
                "backbone_sha256": embedded.backbone_sha256,
                "novelty": novelty.to_dict(),
                "seed": run.seed,
                "earmark": installed("earmark"),
                "python": platform.python_version(),
                "date": datetime.now(UTC).date().isoformat(),
            },
        )


_HELD_OUT_NOTE = "Normal clips were set aside, and what is normal was learned anew without them and their sources."
_NO_ANOMALIES_NOTE = "No clip is labelled as an anomaly, so it is not known how well anomalies are told."


def anomaly_measures(outcome: Outcome) -> dict[str, Any]:
    """Return ROC-AUC and partial ROC-AUC of anomalies against normal clips as JSON-ready data; None without either."""

    def plain(limit: float) -> float | None:
        area = float(roc_auc(outcome.scores, outcome.targets, max_false_positive_rate=limit)[0])
        return None if np.isnan(area) else round(area, 6)

    return {
        "normal": int((outcome.targets == 0).sum()),
        "anomalous": int((outcome.targets > 0).sum()),
        "roc_auc": plain(1.0),
        "partial_roc_auc": plain(PARTIAL_RATE),
        "partial_rate": PARTIAL_RATE,
    }


def _is_anomalous(labels: Sequence[str]) -> bool:
    return any(label.strip().casefold() in ANOMALY_LABELS for label in labels)


def _set_aside(manifest: Manifest, anomalous: Mask, run: Run) -> Mask:
    """Choose normal clips to measure on: whole sources, about the share of the run; of one source, clips."""
    rng = np.random.default_rng(run.seed)
    _, sources = np.unique(manifest.groups(), return_inverse=True)
    normal = np.unique(sources[~anomalous])
    if len(normal) < 2:
        sources = np.arange(len(manifest))
        normal = np.flatnonzero(~anomalous)
    count = min(len(normal) - 1, max(1, round(run.validation * len(normal))))
    chosen = np.isin(sources, rng.choice(normal, count, replace=False))
    return np.asarray(chosen & ~anomalous)


def _segment_seconds(embedded: Embedded) -> float:
    """Return how long a clip is, to score long recordings as they were learned."""
    frames = round(float(np.median([len(clip) for clip in embedded.embeddings])))
    samples = embedded.frame_length + (frames - 1) * embedded.frame_hop
    longest = max(LONGEST_SEGMENT_SECONDS * embedded.sample_rate_hz, embedded.frame_length)
    return min(samples, longest) / embedded.sample_rate_hz
