"""A model that hears fixed windows, as a file of fixed length does: what such a file is held against."""

import numpy as np

from earmark.model.backends import Backend, Outputs, Scores, cut_windows
from earmark.model.card import ModelCard

_AT_ONCE = 16


class Windowed:
    """A backend that scores each window of a waveform as a clip of its own; the windows are its frames.

    Parameters
    ----------
    backend : Backend
        The model as it is.
    card : ModelCard
        Of the file of fixed length: frames as long as a window, and the hop between them.
    """

    def __init__(self, backend: Backend, card: ModelCard) -> None:
        self._backend = backend
        self.card = card

    def run(self, waveforms: Scores) -> Outputs:
        """Run the model; see `earmark.model.backends.Backend.run`."""
        frames = np.stack([self._frames(waveform) for waveform in waveforms])
        return Outputs(clip=frames.mean(axis=1), frames=frames)

    def _frames(self, waveform: Scores) -> Scores:
        windows = cut_windows(waveform, self.card)
        starts = range(0, len(windows), _AT_ONCE)
        return np.concatenate([self._backend.run(windows[start : start + _AT_ONCE]).clip for start in starts])
