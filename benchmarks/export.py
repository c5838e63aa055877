"""Models in other formats beside the models: `earmark export` to TFLite and to ONNX in eight bits.

Scores are those of ESC-10 in windows as long as the file's input, without overlap. The head is that of `earmark train`
on four folds of ESC-50, and heard are the clips of the fold that it has not seen; its files take five seconds.
MediaPipe is its AudioClassifier in clips mode. Speed is one call of one window on one core, the published file in turn
with ours. Eight bits are calibrated on clips that the head was trained on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.corpus import Clip
from benchmarks.manifests import esc50, of_folds, where
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import alternate, cores
from earmark import train
from earmark.data.manifest import Manifest
from earmark.export.export import Export, export
from earmark.export.loss import Loss
from earmark.export.parity import Parity, compare
from earmark.export.windows import Windowed
from earmark.model.backends import load_backend
from earmark.model.hub import default_hub

FOLD = "1"
CLIP_SECONDS = 5.0
MOST_APART, MOST_LOST, LEAST_SMALLER, LEAST_SAME = 1e-4, 1.0, 3.5, 99.0
ROUNDS = 60


def measure(bench: Bench) -> Iterator[Row]:
    """Yield parity of float files, MediaPipe's agreement, the cost of eight bits, and speed."""
    work = _Work(bench)
    yield from _parity_rows(work)
    yield _mediapipe_row(work)
    yield from _loss_rows(work)
    yield from _speed_rows(work)


@dataclass(frozen=True)
class _Work:
    """What is exported once and measured in several ways."""

    bench: Bench

    def export(self, model: str | Path, name: str, **how: Any) -> Export:
        return export(model, self.bench.folder / name, **how)

    @cached_property
    def folds(self) -> tuple[Manifest, Manifest]:
        """The clips to learn from, and those to be heard."""
        everything = esc50(self.bench)
        return where(everything, lambda clip: clip.fold != FOLD), of_folds(everything, [FOLD])

    @cached_property
    def head(self) -> Path:
        path = self.bench.folder / "head.onnx"
        train(self.folds[0], path)
        return path

    @cached_property
    def calibration(self) -> Path:
        path = self.bench.folder / "calibration.csv"
        self.folds[0].to_csv(path)
        return path

    @cached_property
    def float_files(self) -> dict[str, tuple[Path, Export]]:
        """By name, a model and its `.tflite` file as it is by default."""
        models = {name: default_hub().resolve(name) for name in ("everyday", "yamnet")} | {"head": self.head}
        return {name: (path, self.export(path, f"{name}.tflite", to="tflite")) for name, path in models.items()}

    def windows(self, samples: int) -> Iterator[np.ndarray]:
        """Yield the clips of ESC-10 in windows."""
        for clip in self.bench.esc10:
            yield from _cut(clip, samples)


def _cut(clip: Clip, samples: int) -> Iterator[np.ndarray]:
    waveform = clip.waveform()
    for start in range(0, max(1, len(waveform) - samples + 1), samples):
        yield waveform[start : start + samples]


def _parity_rows(work: _Work) -> Iterator[Row]:
    for name, (model, made) in work.float_files.items():
        assert made.samples is not None
        reference = Windowed(load_backend(model), made.card)
        parity = compare(reference, load_backend(made.path), work.windows(made.samples))
        exact = made.precision == "float32"
        yield Row(
            what=f"{name}, TFLite {made.precision}: largest difference of a score",
            ours=Quantity(parity.largest, ""),
            against="the model on the same windows",
            goal=Goal(MOST_APART, at_most=True) if exact else None,
            note=_parity_note(parity) + ("" if exact else "; the model is in eight bits itself"),
        )


def _parity_note(parity: Parity) -> str:
    return (
        f"{parity.sounds:,} windows of ESC-10, mean {parity.mean:.1g}; best class the same for "
        f"{100 * parity.agreement:.4g} %"
    )


def _mediapipe_row(work: _Work) -> Row:
    model, made = work.float_files["everyday"]
    apart = replace(made.card, frame_hop_seconds=made.card.frame_length_seconds)  # MediaPipe's windows do not overlap
    reference = Windowed(load_backend(model), apart)
    names = [label.name for label in made.card.labels]
    least = [made.card.decision.of(label.id).on for label in made.card.labels]
    same = strange = below = count = 0
    for clip, heard in _heard_by_mediapipe(work, made):
        scores = reference.run(clip[None]).frames[0]
        for expected, categories in zip(scores, heard, strict=True):
            count += 1
            passing = [index for index in np.argsort(-expected) if expected[index] >= least[index]]
            best = names[passing[0]] if passing else None
            same += (categories[0][0] if categories else None) == best
            strange += sum(name not in names for name, _ in categories)
            below += sum(score < least[names.index(name)] - MOST_APART for name, score in categories)
    return Row(
        what="everyday in MediaPipe: the same best class, or none, as earmark's rule",
        ours=Quantity(100 * same / count, "%"),
        against="the model on the same windows",
        goal=Goal(LEAST_SAME),
        note=f"{count:,} windows of ESC-10; {strange} names that are no label, {below} scores below their min_score",
    )


def _heard_by_mediapipe(work: _Work, made: Export) -> Iterator[tuple[np.ndarray, list[list[tuple[str, float]]]]]:
    """Yield each clip, cut to whole windows, and names and scores in each."""
    from mediapipe.tasks.python import BaseOptions, audio
    from mediapipe.tasks.python.components.containers import AudioData

    assert made.samples is not None
    options = audio.AudioClassifierOptions(base_options=BaseOptions(model_asset_path=str(made.path)))
    with audio.AudioClassifier.create_from_options(options) as classifier:
        for clip in work.bench.esc10:
            waveform = clip.waveform()
            waveform = waveform[: len(waveform) // made.samples * made.samples]
            results = classifier.classify(AudioData.create_from_array(waveform, made.card.sample_rate))
            yield (
                waveform,
                [
                    [(item.category_name, item.score) for item in result.classifications[0].categories]
                    for result in results
                ],
            )


def _loss_rows(work: _Work) -> Iterator[Row]:
    tflite: dict[str, Any] = {"to": "tflite", "seconds": CLIP_SECONDS, "measure_on": work.folds[1]}
    plain = work.export(work.head, "whole.tflite", **tflite)
    for precision in ("float16", "dynamic", "int8"):
        calibration = {"calibrate_with": work.calibration} if precision == "int8" else {}
        made = work.export(work.head, f"{precision}.tflite", precision=precision, **tflite, **calibration)
        yield from _cost_rows("TFLite", made, plain.size_bytes, bound=precision == "int8")
    for precision in ("float16", "int8"):
        calibration = {"calibrate_with": work.calibration} if precision == "int8" else {}
        how: dict[str, Any] = {"to": "onnx", "precision": precision, "measure_on": work.folds[1], **calibration}
        made = work.export(work.head, f"{precision}.onnx", **how)
        yield from _cost_rows("ONNX", made, made.source_size_bytes, bound=precision == "int8")


def _cost_rows(form: str, made: Export, float_bytes: int, *, bound: bool) -> Iterator[Row]:
    loss = made.loss
    assert loss is not None
    yield Row(
        what=f"head on YAMNet, {form} {made.precision}: points of accuracy lost on ESC-50",
        ours=Quantity(100 * loss.lost, "points"),
        goal=Goal(MOST_LOST, at_most=True) if bound else None,
        note=_loss_note(loss),
    )
    yield Row(
        what=f"the same: times smaller than in float, {form} {made.precision}",
        ours=Quantity(float_bytes / made.size_bytes, "×"),
        goal=Goal(LEAST_SMALLER) if bound else None,
        note=f"{made.size_bytes / 1e6:.2f} MB of {float_bytes / 1e6:.2f} MB",
    )


def _loss_note(loss: Loss) -> str:
    return (
        f"{loss.clips} clips of a fold not seen: {100 * loss.windows:.2f} % of the model, {100 * loss.exported:.2f} % "
        f"exported; best class the same for {100 * loss.parity.agreement:.4g} %"
    )


def _speed_rows(work: _Work) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    published = load_backend(work.bench.published_weights("yamnet-int8"))
    files = {"float32": work.float_files["yamnet"][1].path}
    files["int8"] = work.export("yamnet-int8", "yamnet-int8.tflite", to="tflite").path
    waveform = (0.1 * rng.standard_normal((1, published.card.frame_length))).astype(np.float32)
    contestants = {name: partial(load_backend(path).run, waveform) for name, path in files.items()}
    with cores(1):
        times = alternate({**contestants, "published": partial(published.run, waveform)}, work.bench.pick(ROUNDS, 2))
    fastest = Quantity(1 / median(times["published"]), "windows a second")
    for name in files:
        yield Row(
            what=f"yamnet in LiteRT, TFLite {name}, one core",
            ours=Quantity(1 / median(times[name]), "windows a second"),
            against="the published file, int8",
            peer=fastest,
            goal=Goal(1.0, "ratio") if name == "int8" else None,
        )
