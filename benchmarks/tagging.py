"""Tagging from end to end on two cores: decode, resample, classify each 0.48 s, 400 clips of ESC-10.

Earmark is one call, `classify_many` of `yamnet-int8`. The peer is the documented way, `librosa.load(path, sr=16000)`
and LiteRT window by window, with its two cores used in the better of two ways: two threads inside LiteRT, or two files
at a time with an interpreter each. All of it runs in turn in one process, kept to two cores; the best round counts.

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
PEERS = {"in turn": "two threads in LiteRT", "side by side": "two files at a time"}
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
    weights = bench.published_weights(MODEL)
    classifier = Classifier.load(MODEL, threads=CORES)
    contestants = whole_jobs(classifier, weights, paths) | stages(classifier, paths)
    best = {name: min(seconds) for name, seconds in alternate(contestants, bench.pick(ROUNDS, 1)).items()}
    sound_seconds = len(paths) * CLIP_SECONDS
    fastest = min(PEERS, key=lambda name: best[name])
    ours = Quantity(sound_seconds / best["earmark"], UNIT)
    yield Row(
        what=f"{what}: {len(paths)} clips",
        ours=ours,
        against=f"librosa + LiteRT, {PEERS[fastest]}",
        peer=Quantity(sound_seconds / best[fastest], UNIT),
        goal=goal,
        note="; ".join(f"{text}: {sound_seconds / best[name]:,.0f} {UNIT}" for name, text in PEERS.items()),
    )
    yield Row(
        what=f"{what}: share of the possible",
        ours=ours,
        against="what two busy cores allow",
        peer=Quantity(CORES * sound_seconds / sum(best[name] for name in STAGES), UNIT),
        goal=Goal(0.9, "ratio"),
        note=", ".join(f"{name} {1000 * best[name] / sound_seconds:.3f}" for name in STAGES)
        + " ms for a second of sound on one core",
    )


def whole_jobs(classifier: Classifier, weights: Path, paths: Sequence[Path]) -> Contestants:
    """Return the jobs that end with tags: earmark's and the peer's two ways."""
    threaded, side_by_side = LiteRT(weights, threads=CORES), SideBySide(weights, CORES)
    return {
        "earmark": lambda: tag_all(classifier, paths),
        "in turn": lambda: tag_in_turn(paths, threaded),
        "side by side": lambda: side_by_side(paths),
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
