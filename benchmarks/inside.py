"""The model inside as it ships: recordings that it was not taught with, its size and its speed.

The recordings are those of ESC-50 whose licence forbids to teach with them; none is of a source that it was taught
with. Each soundscape has one to four of them on noise, and it is known what sounds when. An event counts as found if
one of its label overlaps it, and as false if it overlaps none of its label. Speed is that of one core and one call for
five seconds of sound.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

import numpy as np
import soundfile

from benchmarks.bench import Bench
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import alternate, cores, earmark_command, run
from earmark.evaluation.metrics import expected_calibration_error
from earmark.inference.classifier import Classifier
from earmark.model.backends import load_backend
from earmark.model.hub import default_hub
from everyday.exam import ask
from everyday.scenes import SCENE_SECONDS, Scene, make_scenes
from everyday.sound import RATE_HZ, Sound
from everyday.sources import esc50

MODEL = "everyday"
MOST_CALIBRATION_ERROR, LEAST_RATIO, MOST_MEGABYTES, LONGEST_START_SECONDS = 0.04, 3.0, 3.0, 0.6
ROUNDS, SECONDS, STARTS, SCENES = 30, 5, 7, 300
SHORT_SECONDS = 1.0

Span = tuple[str, float, float]


def measure(bench: Bench) -> Iterator[Row]:
    """Yield accuracy, calibration and events of unseen recordings, speed, size and cold start."""
    sounds = unseen(bench)
    answers = ask(default_hub().resolve(MODEL), sounds)
    yield Row(
        what="accuracy among 53 classes, unseen recordings",
        ours=Quantity(100 * answers.accuracy, "%"),
        note=f"{len(sounds)} clips of {len({sound.group for sound in sounds})} sources",
    )
    yield Row(
        what="calibration error, unseen recordings",
        ours=Quantity(expected_calibration_error(answers.clip, answers.targets), ""),
        goal=Goal(MOST_CALIBRATION_ERROR, at_most=True),
    )
    yield from _event_rows(sounds, bench.pick(SCENES, 5))
    yield from _speed_rows(bench)
    yield _cold_start_row(bench)


def unseen(bench: Bench) -> list[Sound]:
    """Return the clips that the model was not taught with."""
    taught = {sound.group for sound in esc50(bench.shared)}
    return [sound for sound in esc50(bench.shared, clean=False) if sound.group not in taught][:: bench.pick(1, 20)]


def _event_rows(sounds: Sequence[Sound], count: int) -> Iterator[Row]:
    scenes = make_scenes(((sound.label, sound.waveform()) for sound in sounds), count, np.random.default_rng(1))
    heard = _heard(scenes)
    there = [(number, span) for number, scene in enumerate(scenes) for span in scene.spans()]
    for name, chosen in (
        ("at least", [each for each in there if _length(each[1]) >= SHORT_SECONDS]),
        ("less than", [each for each in there if _length(each[1]) < SHORT_SECONDS]),
    ):
        found = [any(_same(span, other) for other in heard[number]) for number, span in chosen]
        yield Row(
            what=f"events of {name} {SHORT_SECONDS:g} s that are found",
            ours=Quantity(100 * float(np.mean(found)) if found else float("nan"), "%"),
            note=f"{len(chosen)} events in {count} soundscapes, 0 to 20 dB above noise",
        )
    false = sum(
        not any(_same(span, other) for other in scene.spans())
        for scene, spans in zip(scenes, heard, strict=True)
        for span in spans
    )
    yield Row(what="false events a minute", ours=Quantity(60 * false / (count * SCENE_SECONDS), ""))


def _heard(scenes: Sequence[Scene]) -> list[list[Span]]:
    classifier = Classifier.load(MODEL)
    found = (classifier.events((scene.waveform, RATE_HZ), novelty="ignore").events for scene in scenes)
    return [[(event.id, event.onset, event.offset) for event in events] for events in found]


def _length(span: Span) -> float:
    return span[2] - span[1]


def _same(span: Span, other: Span) -> bool:
    """Whether two events are of one label and overlap."""
    return span[0] == other[0] and span[1] < other[2] and other[1] < span[2]


def _speed_rows(bench: Bench) -> Iterator[Row]:
    hub, rng = default_hub(), np.random.default_rng(0)
    waveform = (0.1 * rng.standard_normal((1, SECONDS * RATE_HZ))).astype(np.float32)
    models = {name: load_backend(hub.resolve(name)) for name in (MODEL, "yamnet-int8")}
    with cores(1):
        times = alternate({name: partial(model.run, waveform) for name, model in models.items()}, bench.pick(ROUNDS, 2))
    speeds = {name: Quantity(SECONDS / median(seconds), "× real time") for name, seconds in times.items()}
    yield Row(
        what="waveform to scores, one core",
        ours=speeds[MODEL],
        against="yamnet-int8",
        peer=speeds["yamnet-int8"],
        goal=Goal(LEAST_RATIO, "ratio"),
    )
    size = hub.resolve(MODEL).stat().st_size / 1e6
    yield Row(what="file", ours=Quantity(size, "MB"), goal=Goal(MOST_MEGABYTES, at_most=True))


def _cold_start_row(bench: Bench) -> Row:
    clip = bench.folder / "clip.wav"
    soundfile.write(clip, bench.esc10[0].waveform(), RATE_HZ, subtype="PCM_16")
    times = alternate({"cold": partial(run, [earmark_command(), "classify", str(clip)])}, bench.pick(STARTS, 1))
    return Row(
        what="earmark classify clip.wav, a fresh process",
        ours=Quantity(median(times["cold"]), "s"),
        goal=Goal(LONGEST_START_SECONDS, at_most=True),
    )
