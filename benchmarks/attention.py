"""Onsets from clip labels: soundscapes of known times, attention heads beside the frames of the recipe `head`.

Everyone is trained on folds 3 to 5 of ESC-50 with the labels of whole clips, and on the same frozen embeddings.
Scenes (`everyday/scenes.py`) are made of clips that nobody was trained on: those of fold 2 choose the one threshold
above which a frame is an event, for each system the one of best F1 and on the same grid; those of fold 1 are what is
measured. An event counts as found if an event of its class begins and ends within a second of it; F1 is over all
events. PSDS is the polyphonic sound detection score over all thresholds: scenario 1 of DCASE 2021 asks for the right
place, scenario 2 for the right class; the spread over classes is not taken off, because with fifty classes of few
events it would leave nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bench import Bench
from benchmarks.manifests import esc50, of_folds
from benchmarks.row import Goal, Quantity, Row
from earmark.audio.decode import read_audio
from earmark.data.manifest import Manifest
from earmark.evaluation.eventmetrics import PSDS1, PSDS2, Collar, EventMetrics, match_events, psds
from earmark.inference.classifier import Classifier
from earmark.inference.events import find_events
from earmark.inference.results import TimelineResult
from earmark.model.card import DecisionRule
from earmark.training.recipes.attention import AttentionRecipe
from earmark.training.train import train
from everyday.scenes import Scene, make_scenes
from everyday.sound import RATE_HZ, Waveform

TRAINED_ON, TUNED_ON, TESTED_ON = ("3", "4", "5"), ("2",), ("1",)
TUNING_SCENES, TEST_SCENES = 150, 300
SEED = 20_26
HEADS = ("feature-attention", "attention", "decision-max", "multi-level-attention")
COLLAR = Collar(onset_seconds=1.0, offset_seconds=1.0)
ONSET_COLLAR = Collar(onset_seconds=1.0)
_NEAR_1 = (0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
THRESHOLDS = (0.01, 0.02, 0.03, *(round(0.05 * step, 2) for step in range(1, 20)), *_NEAR_1)
OFF_SHARE = 0.5
SCENARIOS = {"PSDS 1": replace(PSDS1, alpha_st=0.0), "PSDS 2": replace(PSDS2, alpha_st=0.0)}
PLAIN = "head, frames above a threshold"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a system made of the test scenes.

    Parameters
    ----------
    figures : dict of str to float
        By measure.
    threshold : float
        The one that fold 2 chose.
    macro_f1, onset_f1, card_f1 : float
        Mean F1 of the classes; F1 of onsets alone; F1 with the card's own rule in place of the threshold.
    """

    figures: dict[str, float]
    threshold: float
    macro_f1: float
    onset_f1: float
    card_f1: float

    def told(self) -> str:
        """Return what a reader should know besides."""
        return (
            f"threshold {self.threshold:g}, mean F1 of classes {self.macro_f1:.3f}, F1 of onsets alone "
            f"{self.onset_f1:.3f}, F1 by the rule in the card {self.card_f1:.3f}"
        )


def measure(bench: Bench) -> Iterator[Row]:
    """Yield each head's figures beside those of the recipe `head`; only the recipe's default has a goal."""
    manifest = esc50(bench)
    rng = np.random.default_rng(SEED)
    tuning = make_scenes(labelled(of_folds(manifest, TUNED_ON)), bench.pick(TUNING_SCENES, 3), rng)
    scenes = make_scenes(labelled(of_folds(manifest, TESTED_ON)), bench.pick(TEST_SCENES, 3), rng)
    ask = partial(hear, tuning=tuning, scenes=scenes)
    plain = ask(taught(bench, manifest, "head"))
    events = sum(len(scene.events) for scene in scenes)
    for head in HEADS[: bench.pick(len(HEADS), 1)]:
        short = {"epochs": 1} if bench.quick else {}
        heard = ask(taught(bench, manifest, "attention", head=head, **short))
        for name, value in heard.figures.items():
            ours, peer = f"{head}: {heard.told()}", f"head: {plain.told()}"
            yield Row(
                what=f"{head}: {name}, {len(scenes)} scenes",
                ours=Quantity(value, ""),
                against=PLAIN,
                peer=Quantity(plain.figures[name], ""),
                goal=Goal(1.0, "ratio") if head == AttentionRecipe().head else None,
                note=f"{events} events; {ours}; {peer}" if name == "event F1" else "",
            )


def labelled(manifest: Manifest) -> Iterator[tuple[str, Waveform]]:
    """Yield the label and the samples of each clip."""
    return ((clip.labels[0], read_audio(clip.path, RATE_HZ)[0]) for clip in manifest.clips)


def taught(bench: Bench, manifest: Manifest, recipe: str, **settings: object) -> Classifier:
    """Train a model on the labels of clips and load it."""
    name = "-".join([recipe, *(str(value) for value in settings.values())])
    result = train(of_folds(manifest, TRAINED_ON), _path(bench, name), recipe=recipe, **settings)
    return Classifier.load(result.path)


def _path(bench: Bench, name: str) -> Path:
    return bench.folder / f"attention-{name}.onnx"


def hear(classifier: Classifier, tuning: Sequence[Scene], scenes: Sequence[Scene]) -> Heard:
    """Choose a threshold on some scenes and measure on others."""
    heard = timelines(classifier, tuning)
    threshold = max(THRESHOLDS, key=lambda on: score(classifier, tuning, heard, flat_rule(on)).total.f1)
    heard = timelines(classifier, scenes)
    found = score(classifier, scenes, heard, flat_rule(threshold))
    labels = [label.name for label in classifier.card.labels]
    frames = [(timeline.edges, timeline.scores) for timeline in heard]
    spans = [scene.spans() for scene in scenes]
    areas = {name: psds(spans, frames, labels, settings=settings).score for name, settings in SCENARIOS.items()}
    return Heard(
        figures={"event F1": found.total.f1, **areas},
        threshold=threshold,
        macro_f1=found.f1_macro,
        onset_f1=score(classifier, scenes, heard, flat_rule(threshold), ONSET_COLLAR).total.f1,
        card_f1=score(classifier, scenes, heard, classifier.card.decision).total.f1,
    )


def timelines(classifier: Classifier, scenes: Sequence[Scene]) -> list[TimelineResult]:
    """Return the scores of every frame of the scenes, as `earmark timeline` gives them."""
    results = []
    for result in classifier.timeline_many((scene.waveform, RATE_HZ) for scene in scenes):
        assert isinstance(result, TimelineResult), result
        results.append(result)
    return results


def flat_rule(on: float) -> DecisionRule:
    """Return the rule of one threshold for all classes, and nothing else."""
    return DecisionRule(on=on, off=on * OFF_SHARE)


def score(
    classifier: Classifier,
    scenes: Sequence[Scene],
    heard: Sequence[TimelineResult],
    rule: DecisionRule,
    collar: Collar = COLLAR,
) -> EventMetrics:
    """Return how well the events that a rule makes of the frames match those of the scenes."""
    card = classifier.card
    found = [
        [
            (event.label, event.onset, event.offset)
            for event in find_events(timeline.scores, timeline.edges, rule, timeline.labels, card.frame_hop_seconds)
        ]
        for timeline in heard
    ]
    return match_events([scene.spans() for scene in scenes], found, collar=collar)
