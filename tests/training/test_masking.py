"""Masking: no more and no wider than asked, filled with the mean."""

import numpy as np
import torch

from earmark.data.augment import Augmentation
from earmark.training.masking import mask


def runs(hidden: np.ndarray) -> list[int]:
    """Return the lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hidden, [False]])))
    return list(edges[1::2] - edges[::2])


def test_masks_are_as_many_and_as_wide_as_asked(rng: np.random.Generator) -> None:
    features = torch.from_numpy(rng.standard_normal((40, 50, 20)).astype(np.float32))
    settings = Augmentation(time_masks=2, time_mask_share=0.2, band_masks=1, band_mask_share=0.25)
    before = features.clone()
    masked = mask(features, settings, np.random.default_rng(1))
    assert torch.equal(features, before)
    assert torch.equal(masked, mask(features, settings, np.random.default_rng(1)))
    hidden = (masked != features).numpy()
    means = features.mean(dim=(1, 2))
    widest = [0, 0]
    for example in range(40):
        torch.testing.assert_close(
            masked[example][torch.from_numpy(hidden[example])],
            means[example].expand(int(hidden[example].sum())),
        )
        in_time, in_bands = hidden[example].all(axis=1), hidden[example].all(axis=0)
        assert np.array_equal(hidden[example], in_time[:, None] | in_bands[None, :])
        assert sum(runs(in_time)) <= 20
        assert len(runs(in_time)) <= 2
        assert len(runs(in_bands)) <= 1
        widest = [max(widest[0], *runs(in_time), 0), max(widest[1], *runs(in_bands), 0)]
    assert widest[0] >= 10
    assert widest[1] == 5
    assert len({hidden[example].tobytes() for example in range(40)}) > 30  # each example has masks of its own


def test_no_masks_change_nothing(rng: np.random.Generator) -> None:
    features = torch.ones(2, 3, 4)
    assert mask(features, Augmentation(), rng) is features
    assert torch.equal(mask(features, Augmentation(time_masks=2, time_mask_share=0.0), rng), features)


def test_one_frame_and_one_band_survive_masks(rng: np.random.Generator) -> None:
    masked = mask(torch.full((5, 1, 1), 3.0), Augmentation(time_masks=3, time_mask_share=1.0, band_masks=2), rng)
    assert torch.equal(masked, torch.full((5, 1, 1), 3.0))


def test_half_precision_and_gradients_pass(rng: np.random.Generator) -> None:
    features = torch.randn(3, 30, 10, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(1))
    features.requires_grad_()
    masked = mask(features, Augmentation(time_masks=1, band_masks=1, band_mask_share=0.5), rng)
    assert masked.dtype == torch.bfloat16
    masked.sum().backward()
    assert features.grad is not None
