"""Batches: clips cut, changed and mixed, the same for the same seed and epoch, on one device or several."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.data.augment import WaveformAugmenter
from earmark.data.augmentation import Augmentation
from earmark.errors import OptionError
from earmark.training.crops import Padding, crop
from earmark.training.mixing import mixup
from earmark.training.sampling import Sampling, epoch_order, share_of

__all__ = ["Batch", "Batches"]

Batch = tuple[Tensor, Tensor]
"""Waveforms [batch, samples] and targets [batch, classes], both float32."""

_ORDER, _CONTENT = 0, 1  # what randomness is for: the order of clips, what happens to them


class Batches:
    """What a network sees, epoch by epoch.

    Everything random comes from the seed, the epoch, the device and the batch's number. So an epoch can be had again,
    by a training that was resumed, in any order and as often as wanted.

    Parameters
    ----------
    waveforms : sequence of ndarray of float32, shape (samples,)
        Of all clips, such as `earmark.data.waveforms.Waveforms`.
    targets : ndarray of float32, shape (clips, classes)
        Of the same clips. With a background class, its column is among them.
    indices : ndarray of int64, optional
        Which of the clips to show; by default all.
    crop_samples : int
        Length of every waveform.
    batch_size : int
        Clips in a batch on each device; the last one of an epoch may have fewer.
    seed : int
        0 or more.
    sampling : {"shuffle", "balanced", "ordered"}
        As `earmark.training.sampling.epoch_order` says.
    augmenter : WaveformAugmenter, optional
        Changes each waveform after it was cut; its settings say whether crops are random and how clips are mixed. By
        default nothing is changed, and crops are from the middle.
    padding : {"zeros", "repeat"}
        What fills up a short clip.
    union : bool
        Whether a mixture has all labels of both its clips; for several labels a clip.
    rank, world_size : int
        Which device this is, and of how many. Each gets its own share of every epoch, all equally much.
    ahead : bool
        Whether a thread makes the next batch while this one is used. It changes no sample.

    Raises
    ------
    OptionError
        If there are no clips, or a number or a name is not allowed.
    """

    def __init__(
        self,
        waveforms: Sequence[NDArray[np.float32]],
        targets: NDArray[np.float32],
        *,
        crop_samples: int,
        indices: NDArray[np.int64] | None = None,
        batch_size: int = 32,
        seed: int = 0,
        sampling: Sampling = "shuffle",
        augmenter: WaveformAugmenter | None = None,
        padding: Padding = "zeros",
        union: bool = False,
        rank: int = 0,
        world_size: int = 1,
        ahead: bool = True,
    ) -> None:
        if len(waveforms) != len(targets):
            raise OptionError(f"{len(waveforms)} waveforms and {len(targets)} targets do not fit: give equally many")
        self._waveforms = waveforms
        self._targets = np.asarray(targets, np.float32)
        self._indices = np.arange(len(targets)) if indices is None else np.asarray(indices, np.int64)
        if not len(self._indices):
            raise OptionError("there are no clips to make batches of: give one at least")
        for name, number, least in (
            ("crop_samples", crop_samples, 1),
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
        ):
            if number < least:
                raise OptionError(f"{name}={number} is not allowed: give {least} or more")
        if not 0 <= rank < world_size:
            raise OptionError(f"rank={rank} of {world_size} is not allowed: give a rank from 0 to {world_size - 1}")
        self._crop_samples, self._batch_size, self._seed = crop_samples, batch_size, seed
        self._sampling, self._padding, self._union, self._ahead = sampling, padding, union, ahead
        self._augmenter = augmenter
        self._settings = Augmentation() if augmenter is None else augmenter.settings
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Return the number of batches in an epoch on this device."""
        each = math.ceil(len(self._indices) / self._world_size)
        return math.ceil(each / self._batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, counted from 0.

        Raises
        ------
        AudioError
            At the batch of a clip that cannot be decoded.
        """
        shown = self.order(number)
        places = [shown[first : first + self._batch_size] for first in range(0, len(shown), self._batch_size)]
        jobs = list(enumerate(places))
        if not self._ahead or len(jobs) == 1:
            for job in jobs:
                yield self._batch(number, *job)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="earmark") as pool:
            waiting: Future[Batch] = pool.submit(self._batch, number, *jobs[0])
            for job in jobs[1:]:
                ready = waiting.result()
                waiting = pool.submit(self._batch, number, *job)
                yield ready
            yield waiting.result()

    def order(self, number: int) -> NDArray[np.int64]:
        """Return the clips that this device sees in an epoch, in order: places in `waveforms`."""
        # All devices draw the same order and take their shares of it.
        rng = np.random.default_rng((self._seed, number, _ORDER))
        order = epoch_order(self._targets[self._indices], self._sampling, rng)
        return self._indices[share_of(order, self._rank, self._world_size)]

    def _batch(self, epoch: int, number: int, places: NDArray[np.int64]) -> Batch:
        rng = np.random.default_rng((self._seed, epoch, _CONTENT, self._rank, number))
        waveforms = torch.from_numpy(np.stack([self._example(int(place), rng) for place in places]))
        targets = torch.from_numpy(self._targets[places])
        return mixup(waveforms, targets, self._settings.mixup_alpha, rng, union=self._union)

    def _example(self, place: int, rng: np.random.Generator) -> NDArray[np.float32]:
        chance = rng if self._settings.random_crop else None
        waveform = crop(self._waveforms[place], self._crop_samples, chance, padding=self._padding)
        return waveform if self._augmenter is None else self._augmenter(waveform, rng)
