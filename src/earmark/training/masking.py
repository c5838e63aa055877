"""Masking: stretches of time and bands of frequency hidden from a network while it learns."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.data.augmentation import Augmentation

__all__ = ["mask"]


def mask(features: Tensor, settings: Augmentation, rng: np.random.Generator) -> Tensor:
    """Hide stretches of frames and of bands of each example behind its mean (SpecAugment: Park et al., 2019).

    Parameters
    ----------
    features : Tensor, float, shape [batch, frames, bands]
        Log-mel; not written to.
    settings : Augmentation
        How many masks, and how wide at most; a width is drawn evenly from nothing to that.
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    Tensor, shape [batch, frames, bands]
        The same tensor where no masks are wanted.
    """
    if not (settings.time_masks or settings.band_masks):
        return features
    batch, frames, bands = features.shape
    in_time = _hidden(batch, frames, settings.time_masks, settings.time_mask_share, rng)
    in_bands = _hidden(batch, bands, settings.band_masks, settings.band_mask_share, rng)
    hidden = torch.from_numpy(in_time[:, :, None] | in_bands[:, None, :]).to(features.device)
    return torch.where(hidden, features.mean(dim=(1, 2), keepdim=True), features)


def _hidden(batch: int, length: int, count: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of `length` places are hidden, shape (batch, length), by `count` masks for each example."""
    widths = rng.integers(int(share * length) + 1, size=(batch, count))
    starts = np.floor(rng.random((batch, count)) * (length - widths + 1)).astype(np.int64)
    places = np.arange(length)[None, :, None]
    return np.asarray(((places >= starts[:, None]) & (places < (starts + widths)[:, None])).any(axis=2))
