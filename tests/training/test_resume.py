"""A training that was killed and resumed gives, to the last bit, what an uninterrupted one gives."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from earmark.data.manifest import Manifest
from earmark.training.batches import Batches
from earmark.training.checkpoints import CHECKPOINT
from earmark.training.recipes.cnn import CnnRecipe
from earmark.training.run import Run
from tests.training.toyclips import TINY_CONV, toy_manifest

ROOT = Path(__file__).parents[2]
KILLED_EPOCH, KILLED_BATCH = 2, 1  # both counted from 0: in the middle of the third of four


def recipe() -> CnnRecipe:
    return CnnRecipe(
        options=TINY_CONV,
        head_options={"dropout": 0.3},
        epochs=4,
        batch_size=6,
        warmup_epochs=1,
        average=0.9,
        augmentation="light",
        crop_seconds=0.9,
    )


def train(clips: Path, folder: Path, *, resume: bool = False) -> None:
    recipe().fit(manifest_of(clips), Run(folder=folder, resume=resume, accelerator="cpu", seed=7))


def manifest_of(clips: Path) -> Manifest:
    return toy_manifest(clips)


def train_until_killed(clips: Path, folder: Path) -> None:
    """Train, and kill this very process, as the kernel kills one that takes too much memory."""
    make = Batches._batch

    def batch(self: Batches, epoch: int, number: int, *rest: Any) -> Any:
        if (epoch, number) == (KILLED_EPOCH, KILLED_BATCH + 1):  # made one ahead of the batch that is learnt from
            signal.raise_signal(signal.SIGKILL)
        return make(self, epoch, number, *rest)

    Batches._batch = batch  # type: ignore[method-assign]
    train(clips, folder)


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Return where two checkpoints differ, to the bit; times apart."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) and one.dtype == other.dtype else [place]
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        return [
            found for key in one if key != "seconds" for found in differences(one[key], other[key], f"{place}/{key}")
        ]
    if isinstance(one, list | tuple):
        return [
            found
            for i, (a, b) in enumerate(zip(one, other, strict=True))
            for found in differences(a, b, f"{place}/{i}")
        ]
    return [] if one == other else [place]


def test_resume_after_a_kill_equals_an_uninterrupted_training(tmp_path: Path) -> None:
    clips, whole, killed = (tmp_path / name for name in ("clips", "whole", "killed"))
    clips.mkdir()
    program = "import sys; from pathlib import Path; from tests.training.test_resume import train_until_killed as go; "
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + "go(Path(sys.argv[1]), Path(sys.argv[2]))", clips, killed],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(torch.load(killed / CHECKPOINT, weights_only=True)["earmark"]["history"]) == KILLED_EPOCH
    train(clips, killed, resume=True)
    train(clips, whole)
    one, other = (torch.load(folder / CHECKPOINT, weights_only=True) for folder in (whole, killed))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "earmark"):
        assert differences(one[part], other[part], part) == []
    assert differences(one["callbacks"], other["callbacks"]) == []


def test_the_comparison_sees_a_bit() -> None:
    one = {"a": [torch.zeros(2), 1]}
    assert differences(one, {"a": [torch.tensor([0.0, 1e-45]), 1]}) == ["/a/0"]


if __name__ == "__main__":
    pytest.main([__file__])
