"""Tagging from end to end on two cores: decode, resample, classify each 0.48 s, 400 clips of ESC-10.

Earmark is one call, `classify_many` of `yamnet-int8`. The peer is the documented way, `librosa.load(path, sr=16000)`
and LiteRT window by window in a loop over the files, with one thread in LiteRT or two, whichever is faster. A second,
harder peer is the same loop as somebody writes it who knows that there are two cores: on two threads, an interpreter
each. All of it runs in turn in one process, kept to two cores; the best round counts.

What two busy cores allow is two seconds of work for each second: the stages are timed apart on one thread in the same
rounds (soundfile decodes whole files, soxr resamples whole waveforms, the model scores waveforms in memory), and two is
divided by the sum of their costs.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from benchmarks.bench import Bench
from benchmarks.corpus import CLIP_SECONDS, RATE_HZ, Waveform, make_oggs
from benchmarks.peers import LiteRT, SideBySide, tag_in_turn
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import alternate, cores
from earmark.inference.classifier import Classifier
from earmark.inference.results import ClipResult

MODEL = "yamnet-int8"
CORES = 2
OGG_RATE_HZ = 44_100
ROUNDS = 5
UNIT = "× real time"
PEERS = {
    "librosa + LiteRT, a loop": ("loop, 1 thread", "loop, 2 threads"),
    "librosa + LiteRT, two loops side by side": ("two loops",),
}
STAGES = ("decode", "resample", "model")

Contestants = dict[str, Callable[[], Any]]


def measure(bench: Bench) -> Iterator[Row]:
    """Yield speed beside the peer and share of the possible, for FLAC and for Ogg Vorbis."""
    with cores(CORES):
        flacs = [clip.path for clip in bench.esc10]
        yield from measure_files(bench, flacs, "FLAC, 16 kHz", Goal(2.0, "ratio"))
        oggs = make_oggs(bench.esc10, bench.folder / "ogg", OGG_RATE_HZ)
        yield from measure_files(bench, oggs, "OGG, 44.1 kHz", Goal(1.6, "ratio"))


def measure_files(bench: Bench, paths: Sequence[Path], what: str, goal: Goal) -> Iterator[Row]:
    """Yield the rows of one form of the clips."""
    classifier = Classifier.load(MODEL, threads=CORES)
    contestants = whole_jobs(classifier, bench.published_weights(MODEL), paths) | stages(classifier, paths)
    sound_seconds = len(paths) * CLIP_SECONDS
    seconds = alternate(contestants, bench.pick(ROUNDS, 1))
    costs = {name: min(runs) / sound_seconds for name, runs in seconds.items()}
    for peer, ways in PEERS.items():
        yield compare(f"{what}: {len(paths)} clips", costs, peer, ways, goal)
    yield share(f"{what}: share of the possible", costs)


def compare(what: str, costs: dict[str, float], peer: str, ways: Sequence[str], goal: Goal) -> Row:
    """Return earmark beside a peer in the faster of its ways; costs are seconds for a second of sound."""
    return Row(
        what=what,
        ours=Quantity(1 / costs["earmark"], UNIT),
        against=peer,
        peer=Quantity(1 / min(costs[way] for way in ways), UNIT),
        goal=goal,
        note="; ".join(f"{way}: {1 / costs[way]:,.0f} {UNIT}" for way in ways) if len(ways) > 1 else "",
    )


def share(what: str, costs: dict[str, float]) -> Row:
    """Return earmark beside what its stages allow."""
    return Row(
        what=what,
        ours=Quantity(1 / costs["earmark"], UNIT),
        against="what two busy cores allow",
        peer=Quantity(CORES / sum(costs[stage] for stage in STAGES), UNIT),
        goal=Goal(0.9, "ratio"),
        note=", ".join(f"{stage} {1000 * costs[stage]:.3f}" for stage in STAGES)
        + " ms for a second of sound on one core",
    )


def whole_jobs(classifier: Classifier, weights: Path, paths: Sequence[Path]) -> Contestants:
    """Return the jobs that end with tags: earmark's and the peers'."""
    single, threaded, side_by_side = LiteRT(weights), LiteRT(weights, threads=CORES), SideBySide(weights, CORES)
    return {
        "earmark": lambda: tag_all(classifier, paths),
        "loop, 1 thread": lambda: tag_in_turn(paths, single),
        "loop, 2 threads": lambda: tag_in_turn(paths, threaded),
        "two loops": lambda: side_by_side(paths),
    }


def tag_all(classifier: Classifier, paths: Sequence[Path]) -> None:
    """Tag files with earmark, all of them."""
    for result in classifier.classify_many(paths):
        assert isinstance(result, ClipResult), result


def stages(classifier: Classifier, paths: Sequence[Path]) -> Contestants:
    """Return the stages of the work, each on one thread with what it needs in memory."""
    decoded = [soundfile.read(path, dtype="float32") for path in paths]
    waveforms = [resample(*each) for each in decoded]
    return {
        "decode": lambda: [soundfile.read(path, dtype="float32") for path in paths],
        "resample": lambda: [resample(*each) for each in decoded],
        "model": lambda: [classifier.backend.run(waveform[None]) for waveform in waveforms],
    }


def resample(samples: Waveform, rate_hz: int) -> Waveform:
    """Return a waveform at the model's rate."""
    return samples if rate_hz == RATE_HZ else np.asarray(soxr.resample(samples, rate_hz, RATE_HZ))
