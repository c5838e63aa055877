"""Mixing: pairs of clips heard at once, with targets to match."""

import numpy as np
import torch
from torch import Tensor

from earmark.errors import OptionError

__all__ = ["mixup"]


def mixup(
    waveforms: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator, *, union: bool = False
) -> tuple[Tensor, Tensor]:
    """Mix each waveform of a batch with another one, in power: shares l and 1 - l of it, drawn for each pair.

    The mean power of two sounds that know nothing of each other is then l and 1 - l of theirs, as it is in air; a mean
    of log-mel spectrograms would be no sound (mixup: Zhang et al., 2018).

    Parameters
    ----------
    waveforms : Tensor, float32, shape [batch, samples]
        Not written to.
    targets : Tensor, float32, shape [batch, classes]
        Not written to.
    alpha : float
        Shares are drawn from Beta(alpha, alpha): small is mostly one clip, 1 is any share; 0 mixes nothing.
    rng : numpy.random.Generator
        The only source of chance.
    union : bool
        Whether a mixture has all classes of both, whatever the shares; for several labels a clip.

    Returns
    -------
    waveforms, targets : Tensor
        Of the same shapes; ``sqrt(l) * a + sqrt(1 - l) * b`` and ``l * ta + (1 - l) * tb``.

    Raises
    ------
    OptionError
        If `alpha` is negative.
    """
    if alpha < 0:
        raise OptionError(f"mixup alpha={alpha:g} is not allowed: give 0 or more")
    if alpha == 0:
        return waveforms, targets
    batch = len(waveforms)
    share = torch.from_numpy(rng.beta(alpha, alpha, (batch, 1)).astype(np.float32)).to(waveforms.device)
    partner = torch.from_numpy(rng.permutation(batch)).to(waveforms.device)
    mixed = share.sqrt() * waveforms + (1.0 - share).sqrt() * waveforms[partner]
    # A clip that drew itself is no pair, and would come out louder.
    alone = (partner == torch.arange(batch, device=partner.device))[:, None]
    both = torch.maximum(targets, targets[partner]) if union else share * targets + (1.0 - share) * targets[partner]
    return torch.where(alone, waveforms, mixed), both
