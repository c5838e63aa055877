"""A live stream: how long from a frame's last sample to its score, and how much of a core.

A `Stream` is fed blocks of 20 ms as fast as it takes them, with one thread, and each call is timed. The delay of a
frame is what it would be with a microphone: from its last sample to the return of the call that gave its score. It
includes the wait for the rest of the block and, where the resampler holds samples back, for the blocks after it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import soxr

from benchmarks.bench import MODELS, Bench
from benchmarks.corpus import RATE_HZ, Waveform, pieces
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import cores
from earmark.inference.classifier import Classifier

BLOCK_SECONDS = 0.02
RATES_HZ = (RATE_HZ, 44_100)
SECONDS = 300
LONGEST_MS = 30.0
MOST_PERCENT = 3.0


def measure(bench: Bench) -> Iterator[Row]:
    """Yield delay and load of both models, for a source at the model's rate and one at 44.1 kHz."""
    seconds = bench.pick(SECONDS, 20)
    waveform = next(pieces(bench.esc50, seconds))
    with cores(1):
        for model in MODELS:
            classifier = Classifier.load(model, threads=1)
            for rate_hz in RATES_HZ:
                source = soxr.resample(waveform, RATE_HZ, rate_hz)
                yield from rows(f"{model}, {rate_hz / 1000:g} kHz", follow(classifier, source, rate_hz), seconds)


@dataclass
class Course:
    """How a stream went.

    Parameters
    ----------
    computed : list of float
        Seconds that the call took which gave a frame's score, for every frame.
    held_back : list of float
        Seconds of sound that came after a frame's last sample before there was a score.
    cpu_seconds : float
        Of all the feeding.
    """

    computed: list[float] = field(default_factory=list)
    held_back: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def delays_ms(self, percent: float) -> float:
        """Return a percentile of the whole delay, in milliseconds."""
        return 1000 * float(np.percentile(np.add(self.computed, self.held_back), percent))


def follow(classifier: Classifier, waveform: Waveform, rate_hz: int) -> Course:
    """Feed a stream, block by block."""
    stream, course = classifier.stream(rate_hz), Course()
    block_samples = round(BLOCK_SECONDS * rate_hz)
    cpu_begin = time.process_time()
    for start in range(0, len(waveform), block_samples):
        begin = time.perf_counter()
        update = stream.feed(waveform[start : start + block_samples])
        took = time.perf_counter() - begin
        for _ in update.scores:
            course.held_back.append(stream.seconds - frame_end(classifier, len(course.held_back)))
            course.computed.append(took)
    course.cpu_seconds = time.process_time() - cpu_begin
    return course


def frame_end(classifier: Classifier, frame: int) -> float:
    """Return when, in seconds of sound, a frame's last sample is there."""
    return frame * classifier.card.frame_hop_seconds + classifier.card.frame_length_seconds


def rows(what: str, course: Course, seconds: float) -> Iterator[Row]:
    """Yield the rows of one model and one rate."""
    held_back_ms, computed_ms = (1000 * float(np.mean(part)) for part in (course.held_back, course.computed))
    yield Row(
        what=f"{what}: delay, 99th percentile",
        ours=Quantity(course.delays_ms(99), "ms"),
        goal=Goal(LONGEST_MS, at_most=True),
        note=f"median {course.delays_ms(50):.1f} ms, longest {course.delays_ms(100):.1f} ms; on average "
        f"block and resampler hold back {held_back_ms:.1f} ms and the model computes {computed_ms:.1f} ms",
    )
    yield Row(
        what=f"{what}: load",
        ours=Quantity(100 * course.cpu_seconds / seconds, "% of a core"),
        goal=Goal(MOST_PERCENT, at_most=True),
    )
