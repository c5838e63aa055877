"""A live stream: how long from a frame's last sample to its score, and how much of a core.

A `Stream` is fed blocks of 20 ms as fast as it takes them, with one thread, and each call is timed. The delay of a
frame is what it would be with a microphone: from the moment that the block with its last sample is there, to the return
of the call that gave its score. Where the resampler holds samples back, that includes the wait for the blocks after it.
"""

import time
from collections.abc import Iterator

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
                delays, cpu_seconds = follow(classifier, source, rate_hz)
                yield from rows(f"{model}, {rate_hz / 1000:g} kHz", delays, 100 * cpu_seconds / seconds)


def follow(classifier: Classifier, waveform: Waveform, rate_hz: int) -> tuple[list[float], float]:
    """Feed a stream.

    Returns
    -------
    delays : list of float
        Seconds from last sample to score, of every frame.
    cpu_seconds : float
        Of all the feeding.
    """
    stream = classifier.stream(rate_hz)
    block_samples = round(BLOCK_SECONDS * rate_hz)
    delays: list[float] = []
    cpu_begin = time.process_time()
    for start in range(0, len(waveform), block_samples):
        begin = time.perf_counter()
        update = stream.feed(waveform[start : start + block_samples])
        took = time.perf_counter() - begin
        for _ in update.scores:
            delays.append(took + stream.seconds - arrival(classifier, len(delays)))
    return delays, time.process_time() - cpu_begin


def arrival(classifier: Classifier, frame: int) -> float:
    """Return when, in seconds of sound, the block with a frame's last sample is there."""
    card = classifier.card
    end = frame * card.frame_hop_seconds + card.frame_length_seconds
    return float(np.ceil(round(end / BLOCK_SECONDS, 6)) * BLOCK_SECONDS)


def rows(what: str, delays: list[float], percent_of_core: float) -> Iterator[Row]:
    """Yield the rows of one model and one rate."""
    median, high, longest = (1000 * float(np.percentile(delays, percent)) for percent in (50, 99, 100))
    yield Row(
        what=f"{what}: delay, 99th percentile",
        ours=Quantity(high, "ms"),
        goal=Goal(LONGEST_MS, at_most=True),
        note=f"median {median:.1f} ms, longest {longest:.1f} ms, {len(delays)} frames",
    )
    yield Row(
        what=f"{what}: load",
        ours=Quantity(percent_of_core, "% of a core"),
        goal=Goal(MOST_PERCENT, at_most=True),
    )
