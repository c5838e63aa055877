"""Mixing: powers add by their shares, targets with them."""

import numpy as np
import pytest
import torch

from earmark.errors import OptionError
from earmark.training.mixing import mixup


def test_power_is_mixed(rng: np.random.Generator) -> None:
    powers = torch.tensor([1.0, 4.0, 9.0, 16.0]).repeat(8)
    waveforms = powers.sqrt()[:, None] * torch.from_numpy(rng.standard_normal((32, 20_000)).astype(np.float32))
    mixed, targets = mixup(waveforms, torch.eye(32), 1.0, rng)
    expected = targets @ powers  # targets are the shares
    torch.testing.assert_close(mixed.square().mean(dim=1), expected, rtol=0.05, atol=0.0)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(32))


def test_it_is_the_passed_generator_alone(rng: np.random.Generator) -> None:
    waveforms, targets = torch.from_numpy(rng.standard_normal((4, 100)).astype(np.float32)), torch.eye(4)
    before = waveforms.clone()
    first, again = (mixup(waveforms, targets, 0.3, np.random.default_rng(1)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(waveforms, before)
    assert torch.equal(targets, torch.eye(4))


def test_a_union_has_all_labels_of_both(rng: np.random.Generator) -> None:
    targets = torch.eye(6)
    shares, union = (
        mixup(torch.ones(6, 3), targets, 1.0, np.random.default_rng(4), union=union)[1] for union in (False, True)
    )
    assert torch.equal(union, (shares > 0).float())


def test_one_clip_is_no_pair(rng: np.random.Generator) -> None:
    waveforms, targets = torch.ones(1, 5), torch.ones(1, 2)
    mixed, same = mixup(waveforms, targets, 0.5, rng)
    assert torch.equal(mixed, waveforms)
    torch.testing.assert_close(same, targets)


def test_zero_mixes_nothing(rng: np.random.Generator) -> None:
    waveforms, targets = torch.ones(3, 5), torch.eye(3)
    assert mixup(waveforms, targets, 0.0, rng) == (waveforms, targets)
    with pytest.raises(OptionError, match="mixup alpha=-1 is not allowed"):
        mixup(waveforms, targets, -1.0, rng)
