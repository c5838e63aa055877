"""Whole clips, uncut, in batches: what a network is measured with, and what its embeddings are made from."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.training.networks.network import Geometry, Network

Waveform = NDArray[np.float32]
Embeddings = NDArray[np.float32]
WholeBatch = tuple[NDArray[np.int64], Tensor]

BATCH_SECONDS = 160.0
"""Of sound in one batch, unless a single clip is longer."""


class WholeClips(Sequence[WholeBatch]):
    """Clips in batches of equally many frames, which changes nothing: a network adds the same zeros itself.

    Parameters
    ----------
    waveforms : sequence of ndarray of float32, shape (samples,)
        All clips.
    indices : ndarray of int64
        Which of them.
    geometry : Geometry
        Of the network.
    """

    def __init__(self, waveforms: Sequence[Waveform], indices: NDArray[np.int64], geometry: Geometry) -> None:
        self._waveforms = waveforms
        by_length: dict[int, list[int]] = defaultdict(list)
        for index in indices:
            by_length[geometry.padded_length(len(waveforms[int(index)]))].append(int(index))
        self._batches: list[tuple[int, NDArray[np.int64]]] = []
        for length, places in sorted(by_length.items()):
            size = max(1, int(BATCH_SECONDS * geometry.sample_rate_hz) // length)
            parts = (places[first : first + size] for first in range(0, len(places), size))
            self._batches += [(length, np.array(part, np.int64)) for part in parts]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, place: int) -> WholeBatch:  # type: ignore[override]
        """Return the indices of a batch and its waveforms, shape [batch, samples]."""
        length, indices = self._batches[place]
        waveforms = np.zeros((len(indices), length), np.float32)
        for row, index in zip(waveforms, indices, strict=True):
            waveform = self._waveforms[int(index)]
            row[: len(waveform)] = waveform
        return indices, torch.from_numpy(waveforms)


def embed_whole(network: Network, clips: WholeClips, device: torch.device) -> Iterator[tuple[int, Embeddings]]:
    """Yield index and embeddings, float32 of shape (frames, size), of each clip; the network is not training."""
    network.to(device).eval()
    for indices, waveforms in clips:
        with torch.no_grad():
            embeddings = network.embed(network.features(waveforms.to(device)))
        yield from zip(indices.tolist(), embeddings.float().cpu().numpy(), strict=True)
    network.cpu()
