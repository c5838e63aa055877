"""The model that comes inside earmark: its file is what its card says, and it knows sounds made from arithmetic.

All of it is skipped where the file is not made yet.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import numpy_helper

from earmark.audio.synthesis import SAMPLE_RATE_HZ, SOUNDS, voice
from earmark.inference.classifier import Classifier
from earmark.model.backends import open_session
from earmark.model.modelfile import read_card
from earmark.model.verify import verify
from everyday.channel import CONDITIONS

MOST_BYTES = 3_000_000
SECONDS = 5.0

GOLDEN = (
    ("church_bells", "church_bells"),
    ("clock_alarm", "clock_alarm"),
    ("rain", "rain"),
    ("silence", "silence"),
    ("siren", "siren"),
    ("speech", "speech"),
)
"""Sounds that are made, and the label that must be among the best `AMONG` for each."""

STURDY = ("clock_alarm", "rain", "siren", "speech")
"""Those of them that must be known through a telephone, in a hall and on a street too."""

AMONG = 3

OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("the network was asked for")

socket.socket.connect = socket.getaddrinfo = refuse
from earmark.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def classifier(everyday: Path) -> Classifier:
    return Classifier.load(everyday, threads=1)


def make(sound: str) -> np.ndarray:
    """Make one of the sounds; the peak of all but silence is half of full scale."""
    if sound == "silence":
        return np.zeros(round(SECONDS * SAMPLE_RATE_HZ), np.float32)
    wave = voice() if sound == "speech" else SOUNDS[sound](np.random.default_rng(2026), SECONDS)
    if wave is None:
        pytest.skip("no espeak-ng to speak")
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.mark.parametrize(("sound", "label"), GOLDEN, ids=[sound for sound, _ in GOLDEN])
def test_it_knows_made_sounds(classifier: Classifier, sound: str, label: str) -> None:
    tags = classifier.classify((make(sound), SAMPLE_RATE_HZ), top_k=AMONG, novelty="ignore").tags
    assert label in [tag.id for tag in tags], [f"{tag.id} {tag.score:.2f}" for tag in tags]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("sound", STURDY)
def test_it_knows_them_as_users_hear_them(classifier: Classifier, sound: str, condition: str) -> None:
    heard = CONDITIONS[condition](make(sound), np.random.default_rng(2026))
    tags = classifier.classify((heard, SAMPLE_RATE_HZ), top_k=AMONG, novelty="ignore").tags
    assert sound in [tag.id for tag in tags], [f"{tag.id} {tag.score:.2f}" for tag in tags]


def test_the_file_is_what_its_card_says(everyday: Path) -> None:
    assert everyday.stat().st_size <= MOST_BYTES
    outcome = verify(everyday)
    assert outcome.passed
    assert outcome.unchanged


def test_every_processor_says_the_same(everyday: Path) -> None:
    """Weights leave room in the 16 bits in which some processors add; other runtimes than ours may load the file."""
    session = open_session(everyday)
    plain = open_session(everyday, optimise=False)  # computes in float32 what the integers stand for
    weights = [numpy_helper.to_array(tensor) for tensor in onnx.load(everyday).graph.initializer]
    assert max(np.abs(each.astype(int)).max() for each in weights if each.dtype == np.int8) <= 64
    for sound, _ in GOLDEN:
        scores = [each.run(["clip"], {"waveform": make(sound)[None]})[0] for each in (session, plain)]
        np.testing.assert_allclose(*scores, atol=0.01)


def test_its_card(everyday: Path) -> None:
    card = read_card(everyday)
    assert (card.name, card.task, card.calibrated, card.background) == ("everyday", "single-label", True, True)
    assert len(card.labels) == 53
    assert {"dog", "door_wood_knock", "speech", "music", "silence"} <= {label.id for label in card.labels}
    assert not [label.name for label in card.labels if "_" in label.name]
    assert card.decision.classes, "thresholds of single classes"
    assert card.novelty_threshold is not None
    assert card.embedding_size > 0
    assert all((card.licence, card.source, card.training_data, card.training, card.test_vectors))


def test_it_needs_neither_network_nor_cache_nor_shared_data(everyday: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", make("siren"), SAMPLE_RATE_HZ)
    home = tmp_path / "home"
    home.mkdir()
    private = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EARMARK_")} | private
    command = [sys.executable, "-c", OFFLINE, "classify", "clip.wav"]
    done = subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", cwd=tmp_path, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clip.wav  everyday ")
    assert done.stderr.startswith("earmark: everyday ")
    assert not list(home.iterdir())
