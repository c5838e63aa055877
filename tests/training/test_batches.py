"""Batches: the same for the same seed and epoch, each clip once, shared fairly among devices."""

import threading
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.augment import PRESETS, Augmentation, WaveformAugmenter
from earmark.errors import OptionError
from earmark.training.batches import Batches
from earmark.training.crops import crop, crops
from earmark.training.sampling import epoch_order, share_of

CLIPS, CROP = 10, 400


@pytest.fixture
def waveforms(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.standard_normal(int(samples)).astype(np.float32) for samples in rng.integers(100, 900, CLIPS)]


@pytest.fixture
def targets() -> np.ndarray:
    return np.eye(CLIPS, dtype=np.float32)


def test_an_epoch_shows_each_clip_once(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    batches = Batches(waveforms, targets, crop_samples=CROP, batch_size=4)
    shown = list(batches.epoch(0))
    assert len(shown) == len(batches) == 3
    assert [tuple(inputs.shape) for inputs, _ in shown] == [(4, CROP), (4, CROP), (2, CROP)]
    for inputs, wanted in shown:
        assert inputs.dtype == wanted.dtype == torch.float32
        for waveform, row in zip(inputs, wanted, strict=True):
            np.testing.assert_array_equal(waveform, crop(waveforms[int(row.argmax())], CROP))
    assert torch.equal(torch.cat([wanted for _, wanted in shown]).sum(dim=0), torch.ones(CLIPS))


def test_epochs_differ_and_repeat_exactly(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    """What a resumed training sees is what an uninterrupted one would have seen."""

    def made(seed: int = 1, ahead: bool = True) -> Batches:
        augmenter = WaveformAugmenter(PRESETS["light"], 8_000, waveforms[:2])
        return Batches(waveforms, targets, crop_samples=CROP, batch_size=4, seed=seed, augmenter=augmenter, ahead=ahead)

    straight = [list(made().epoch(number)) for number in range(3)]
    resumed = [list(made(ahead=False).epoch(number)) for number in (2, 1)]
    for epoch, again in ((straight[2], resumed[0]), (straight[1], resumed[1])):
        for (inputs, wanted), (same_inputs, same_wanted) in zip(epoch, again, strict=True):
            assert torch.equal(inputs, same_inputs)
            assert torch.equal(wanted, same_wanted)
    assert not torch.equal(straight[0][0][0], straight[1][0][0])
    assert not torch.equal(straight[0][0][0], next(made(seed=2).epoch(0))[0])


def test_some_of_the_clips(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    chosen = np.array([7, 2, 5])
    batches = Batches(waveforms, targets, crop_samples=CROP, indices=chosen, batch_size=2)
    assert len(batches) == 2
    assert sorted(batches.order(3)) == [2, 5, 7]
    ordered = Batches(waveforms, targets, crop_samples=CROP, indices=chosen, sampling="ordered")
    ((_, wanted),) = ordered.epoch(0)
    assert wanted.argmax(dim=1).tolist() == [7, 2, 5]


def test_random_crops_only_where_wanted(targets: np.ndarray) -> None:
    ramp = np.arange(1_000, dtype=np.float32)
    augmenter = WaveformAugmenter(Augmentation(random_crop=True), 8_000)
    random = Batches([ramp] * CLIPS, targets, crop_samples=CROP, augmenter=augmenter)
    middle = Batches([ramp] * CLIPS, targets, crop_samples=CROP)
    assert len({float(waveform[0]) for inputs, _ in random.epoch(0) for waveform in inputs}) > 5
    assert {float(waveform[0]) for inputs, _ in middle.epoch(0) for waveform in inputs} == {300.0}


@pytest.mark.parametrize("world_size", [2, 3])
def test_devices_share_an_epoch(waveforms: list[np.ndarray], targets: np.ndarray, world_size: int) -> None:
    devices = [
        Batches(waveforms, targets, crop_samples=CROP, batch_size=2, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    shares = [device.order(4) for device in devices]
    assert len({len(device) for device in devices}) == len({len(share) for share in shares}) == 1
    shown = Counter(np.concatenate(shares).tolist())
    assert set(shown) == set(range(CLIPS))
    assert sum(shown.values()) == world_size * -(-CLIPS // world_size)
    assert max(shown.values()) <= 2
    assert sum(len(inputs) for inputs, _ in devices[0].epoch(4)) == len(shares[0])


@given(st.integers(1, 30), st.integers(1, 8))
def test_shares_cover_the_order(count: int, world_size: int) -> None:
    shares = [share_of(np.arange(count), rank, world_size) for rank in range(world_size)]
    assert {len(share) for share in shares} == {-(-count // world_size)}
    assert set(np.concatenate(shares).tolist()) == set(range(count))


def test_balanced_sampling_shows_classes_equally(rng: np.random.Generator) -> None:
    classes = np.array([0] * 50 + [1] * 9 + [2] + [3] * 20)  # the last are negatives
    targets = np.eye(4, dtype=np.float32)[classes][:, :3]
    order = epoch_order(targets, "balanced", rng)
    assert len(order) == 80
    assert Counter(classes[order].tolist()) == {0: 20, 1: 20, 2: 20, 3: 20}
    shown = Counter(order.tolist())
    assert max(shown[index] for index in range(50)) == 1  # of many clips none twice before all were shown
    assert {shown[index] for index in range(50, 59)} == {2, 3}
    assert set(classes[order[:4]].tolist()) == {0, 1, 2, 3}  # all have their turn before one has its second


def test_balanced_sampling_with_several_labels(rng: np.random.Generator) -> None:
    targets = np.array([[1, 0], [1, 0], [1, 0], [1, 1]], np.float32)
    shown = Counter(epoch_order(np.repeat(targets, 10, axis=0), "balanced", rng).tolist())
    assert sum(shown[index] for index in range(30, 40)) >= 20


def test_mixup_runs_in_the_batch(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    augmenter = WaveformAugmenter(Augmentation(mixup_alpha=1.0), 8_000)
    single, several = (
        next(Batches(waveforms, targets, crop_samples=CROP, augmenter=augmenter, union=union).epoch(0))
        for union in (False, True)
    )
    torch.testing.assert_close(single[1].sum(dim=1), torch.ones(CLIPS))
    assert ((single[1] > 0) & (single[1] < 1)).any()
    assert set(several[1].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(single[0], several[0])


def test_stopping_early_leaves_no_thread(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    epoch = Batches(waveforms, targets, crop_samples=CROP, batch_size=1).epoch(0)
    next(epoch)
    epoch.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("earmark")]


def test_a_clip_that_fails_is_told_in_its_place(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    class Failing(list[np.ndarray]):
        def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
            if index == 6:
                raise OSError("gone")
            return super().__getitem__(index)

    batches = Batches(Failing(waveforms), targets, crop_samples=CROP, batch_size=2, sampling="ordered")
    epoch = batches.epoch(0)
    assert [tuple(next(epoch)[0].shape) for _ in range(3)] == [(2, CROP)] * 3
    with pytest.raises(OSError, match="gone"):
        next(epoch)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"crop_samples": 0}, "crop_samples=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"rank": 2, "world_size": 2}, "rank=2 of 2 is not allowed: give a rank from 0 to 1"),
        ({"indices": np.array([], np.int64)}, "no clips"),
    ],
)
def test_options_are_checked(waveforms: list[np.ndarray], targets: np.ndarray, options: dict, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        Batches(waveforms, targets, **{"crop_samples": CROP, **options})


def test_targets_must_fit(waveforms: list[np.ndarray], targets: np.ndarray) -> None:
    with pytest.raises(OptionError, match="10 waveforms and 9 targets do not fit"):
        Batches(waveforms, targets[:9], crop_samples=CROP)
    with pytest.raises(OptionError, match="sampling='fair' is not known; allowed: shuffle, balanced, ordered"):
        Batches(waveforms, targets, crop_samples=CROP, sampling="fair").order(0)  # type: ignore[arg-type]


def test_crops_lie_evenly() -> None:
    ramp = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(crops(ramp, 4, 3)[:, 0], [0, 3, 6])
    np.testing.assert_array_equal(crops(ramp, 4, 1), [[3, 4, 5, 6]])
    np.testing.assert_array_equal(crops(ramp[1:3], 4, 3), [[1, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2]])
    np.testing.assert_array_equal(crops(ramp[1:4], 5, 1, padding="repeat"), [[3, 1, 2, 3, 1]])
    with pytest.raises(OptionError, match="count=0 crops"):
        crops(ramp, 4, 0)
    with pytest.raises(OptionError, match="length=0 samples"):
        crops(ramp, 0, 2)
    with pytest.raises(OptionError, match="padding='mirror' is not known; allowed: zeros, repeat"):
        crop(ramp, 4, padding="mirror")  # type: ignore[arg-type]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5), st.sampled_from(["zeros", "repeat"]))
def test_a_crop_is_a_stretch_of_the_clip(samples: int, length: int, seed: int, padding: str) -> None:
    waveform = np.arange(1, samples + 1, dtype=np.float32)
    cut = crop(waveform, length, np.random.default_rng(seed), padding=padding)  # type: ignore[arg-type]
    assert cut.shape == (length,)
    assert cut.dtype == np.float32
    heard = cut[cut > 0]
    if padding == "zeros":
        assert len(heard) == min(samples, length)
        assert (np.diff(heard) == 1).all()
    else:
        assert len(heard) == length
        assert np.isin(np.diff(heard), [1, 1 - samples]).all()
