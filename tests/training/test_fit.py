"""The training loop on toy embeddings: what is kept, what ends it, what it says, Ctrl-C."""

import math
import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from earmark.errors import OptionError, TrainingError
from earmark.training.checkpoints import CHECKPOINT, Record
from earmark.training.fit import Fitted, fit_network
from earmark.training.fitsettings import FitSettings
from earmark.training.losses import loss_for
from earmark.training.module import HeldOutLoader, Lessons, Material
from earmark.training.networks import EmbeddingNetwork
from earmark.training.precision import chosen_precision
from earmark.training.run import Run
from earmark.training.schedule import FINAL_SHARE, parameter_groups, rate_share
from earmark.training.scores import score_for
from earmark.training.sequences import Sequences, repeated, whole_sequences

CLIPS, FRAMES, SIZE, CLASSES = 40, 5, 16, 3
TAUGHT = np.arange(32)

Watch = Callable[[int, int], None]


class Watched:
    """Lessons that call `watch` with epoch and batch before each batch."""

    def __init__(self, lessons: Lessons, watch: Watch) -> None:
        self._lessons, self._watch = lessons, watch

    def __len__(self) -> int:
        return len(self._lessons)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for place, batch in enumerate(self._lessons.epoch(number)):
            self._watch(number, place)
            yield batch


def toy_material(watch: Watch = lambda epoch, batch: None) -> Material:
    rng = np.random.default_rng(3)
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, CLIPS)]
    embeddings = [rng.standard_normal((FRAMES, SIZE)).astype(np.float32) for _ in range(CLIPS)]
    for clip, target in zip(embeddings, targets, strict=True):
        clip[:, :CLASSES] += 2 * target
    return Material(
        lessons=lambda rank, world: Watched(
            Sequences(embeddings, targets, indices=TAUGHT, batch_size=8, seed=1, rank=rank, world_size=world), watch
        ),
        held_out=whole_sequences(embeddings, np.arange(32, CLIPS), batch_size=3),
        targets=targets,
        loss=loss_for("single-label"),
        score=score_for("single-label"),
    )


def toy_network() -> EmbeddingNetwork:
    return EmbeddingNetwork(SIZE, CLASSES, "single-label", "attention", seed=0, width=16)


def toy_fit(settings: FitSettings, *, material: Material | None = None, **run: Any) -> Fitted:
    return fit_network(toy_network(), material or toy_material(), settings, Run(**run))


def interrupt_at(epoch: int) -> Watch:
    def watch(now: int, batch: int) -> None:
        if (now, batch) == (epoch, 2):
            os.kill(os.getpid(), signal.SIGINT)

    return watch


def test_it_learns_and_says_so_in_one_line_an_epoch(capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    fitted = toy_fit(FitSettings(epochs=12, warmup_epochs=1, learning_rate=1e-2), report=lines.append)
    assert fitted.stopped == "finished"
    assert fitted.best["validation_score"] >= 0.75
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    assert len(lines) == 12
    assert lines[0].startswith("epoch 1/12: loss 1.")
    assert lines[0].endswith(" left")
    assert capfd.readouterr() == ("", "")  # nothing of Lightning's own


def test_global_randomness_is_given_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    toy_fit(FitSettings(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_the_network_holds_the_epoch_that_is_kept() -> None:
    network = toy_network()
    fitted = fit_network(network, toy_material(), FitSettings(epochs=3, keep="last", average=0.9), Run())
    assert fitted.facts() == {"epochs_done": 3, "stopped": "finished", "kept_epoch": 3}
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, fitted.weights[name])


def test_the_running_mean_is_what_is_measured() -> None:
    plain, mean = (toy_fit(FitSettings(epochs=2, keep="last", average=share)) for share in (0.0, 0.99))
    assert plain.history[0]["loss"] == mean.history[0]["loss"]  # the steps are the same
    assert plain.history[-1]["validation_loss"] != mean.history[-1]["validation_loss"]


def test_patience_ends_a_training() -> None:
    lines: list[str] = []
    settings = FitSettings(epochs=200, patience=3, learning_rate=1e-2, warmup_epochs=0)
    fitted = toy_fit(settings, report=lines.append)
    assert fitted.stopped == "patience"
    assert fitted.epochs == fitted.best["epoch"] + 3
    assert "stopped by patience" in lines[-1]


@pytest.mark.parametrize(("monitor", "kept"), [("score", 2), ("loss", 1)])
def test_what_makes_an_epoch_better(monitor: Any, kept: int) -> None:
    record, settings = Record(), FitSettings(monitor=monitor)
    for epoch, (loss, score) in enumerate([(0.5, 0.5), (0.7, 0.6), (0.9, 0.6)], start=1):
        row = {"epoch": float(epoch), "validation_loss": loss, "validation_score": score}
        record.history.append(row)
        if record.is_better(row, settings):
            record.best = row
    assert record.best is not None
    assert record.best["epoch"] == kept


def test_time_ends_a_training_with_the_best_so_far() -> None:
    lines: list[str] = []
    fitted = toy_fit(FitSettings(epochs=10_000), max_time_seconds=0.3, report=lines.append)
    assert fitted.stopped == "time"
    assert 1 <= fitted.epochs < 10_000
    assert "stopped by the time limit" in lines[-1]


def test_ctrl_c_keeps_the_best_so_far_and_says_so() -> None:
    before = signal.getsignal(signal.SIGINT)
    lines: list[str] = []
    fitted = toy_fit(FitSettings(epochs=9), material=toy_material(interrupt_at(2)), report=lines.append)
    assert fitted.stopped == "interrupted"
    assert fitted.epochs == 2
    assert "stopped by Ctrl-C after 2 of 9 epochs; kept is epoch" in lines[-1]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_epoch_is_done() -> None:
    with pytest.raises(TrainingError, match="before one epoch was done"):
        toy_fit(FitSettings(epochs=9), material=toy_material(interrupt_at(0)))


def test_a_loss_that_is_no_number_is_told() -> None:
    with pytest.raises(TrainingError, match="diverged; lower learning_rate"):
        fit_network(
            toy_network(),
            Material(
                **{**vars(toy_material()), "loss": lambda logits, targets: logits.sum() * math.nan},
            ),
            FitSettings(epochs=1),
            Run(),
        )


def test_logs_and_checkpoint_of_a_folder(tmp_path: Path) -> None:
    toy_fit(FitSettings(epochs=2), folder=tmp_path)
    rows = (tmp_path / "csv/version_0/metrics.csv").read_text().splitlines()
    assert rows[0].split(",") == ["loss", "seconds", "step", "validation_loss", "validation_score"]
    assert len(rows) == 3
    assert list((tmp_path / "tensorboard/version_0").glob("events*"))
    assert (tmp_path / CHECKPOINT).is_file()
    assert not list(tmp_path.glob("*.partial"))


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    settings = FitSettings(epochs=2)
    first = toy_fit(settings, folder=tmp_path)
    again = toy_fit(settings, folder=tmp_path, resume=True)
    assert again.history == first.history
    assert all(torch.equal(again.weights[name], value) for name, value in first.weights.items())


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    toy_fit(FitSettings(epochs=1), folder=tmp_path)
    with pytest.raises(OptionError, match=r"learning_rate=0\.5 cannot resume .* has learning_rate=0\.001"):
        toy_fit(FitSettings(epochs=1, learning_rate=0.5), folder=tmp_path, resume=True)
    with pytest.raises(OptionError, match="seed=4 cannot resume"):
        toy_fit(FitSettings(epochs=1), folder=tmp_path, resume=True, seed=4)


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="no checkpoint that can be read"):
        toy_fit(FitSettings(epochs=1), folder=tmp_path, resume=True)


def test_resuming_where_nothing_was_begun_begins(tmp_path: Path) -> None:
    lines: list[str] = []
    assert toy_fit(FitSettings(epochs=1), folder=tmp_path, resume=True, report=lines.append).epochs == 1
    assert "no checkpoint" in lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0 is not allowed"),
        ({"average": 1.0}, "average=1.0 is not allowed"),
        ({"layer_decay": 0.0}, "layer_decay=0.0 is not allowed"),
        ({"keep": "first"}, "give best or last"),
    ],
)
def test_settings_out_of_range(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        FitSettings(**change)


def test_the_rate_rises_then_falls_to_its_end() -> None:
    shares = [rate_share(step, steps=100, warmup_steps=10) for step in range(101)]
    assert shares.index(max(shares)) == 10
    assert max(shares) == 1.0
    assert shares[-1] == pytest.approx(FINAL_SHARE)
    assert all(a < b for a, b in pairwise(shares[:11]))
    assert all(a > b for a, b in pairwise(shares[10:]))


def test_lower_layers_learn_more_slowly_and_biases_do_not_decay() -> None:
    layers = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    groups = parameter_groups(layers, learning_rate=1.0, weight_decay=0.1, layer_decay=0.5)
    told = [(group["lr"], group["weight_decay"], group["params"][0].ndim) for group in groups]
    assert told == [(1.0, 0.1, 2), (1.0, 0.0, 1), (0.5, 0.1, 2), (0.5, 0.0, 1)]


def test_precision_that_is_asked_for_is_taken() -> None:
    assert chosen_precision("32-true", "cpu") == "32-true"
    assert chosen_precision("auto", "cpu") in ("32-true", "bf16-mixed")


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_every_process_has_clips_to_validate_with(world_size: int) -> None:
    batches = toy_material().held_out
    assert len(batches) == 3
    shares = [list(HeldOutLoader(batches, rank, world_size)) for rank in range(world_size)]
    assert all(shares)
    assert {int(index) for share in shares for indices, _ in share for index in indices} == set(range(32, CLIPS))


def test_short_clips_start_over() -> None:
    clips = [np.arange(3, dtype=np.float32)[:, None], np.arange(5, dtype=np.float32)[:, None]]
    assert repeated(clips)[..., 0].tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]]


def test_mean_average_precision_leaves_out_classes_without_clips() -> None:
    logits = np.array([[2.0, 0.0], [1.0, 0.0]], np.float32)
    assert score_for("multi-label")(logits, np.array([[1, 0], [0, 0]], np.float32)) == 1.0
