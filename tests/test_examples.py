"""The examples run as they stand and say what earmark says."""

import subprocess
import sys

import pytest
import soundfile

from earmark.inference.classifier import Classifier
from tests.conftest import ROOT


def test_without_earmark(yamnet, shared, tmp_path):
    clip = tmp_path / "dog.wav"
    samples, rate = soundfile.read(shared / "data/esc50/audio/1-100032-A-0.flac")
    soundfile.write(clip, samples, rate)
    command = [sys.executable, ROOT / "examples/without_earmark.py", yamnet, clip]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    heard = [line.split(maxsplit=1) for line in printed.splitlines()]
    tags = Classifier.load(yamnet).classify(clip, top_k=5).tags
    assert [label for _, label in heard] == [tag.label for tag in tags]
    assert [float(score) for score, _ in heard] == pytest.approx([tag.score for tag in tags], abs=1e-3)
