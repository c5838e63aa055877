"""The log-mel front end as a torch layer, for training: the numbers of `earmark.features.graph`, by FFT."""

import torch
from torch import Tensor, nn

from earmark.features.logmel import LogMel


class LogMelLayer(nn.Module):
    """A log-mel spectrogram of waveforms, always in float32: bfloat16 has too few digits for a power spectrum.

    It has no parameters, and its matrices are made from the settings, not kept in checkpoints.

    Parameters
    ----------
    settings : LogMel
        Every number of the front end.
    """

    window: Tensor
    mel: Tensor

    def __init__(self, settings: LogMel) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("window", torch.tensor(settings.window, dtype=torch.float32), persistent=False)
        self.register_buffer("mel", torch.tensor(settings.mel, dtype=torch.float32), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return ``ln(mel + log_offset)``.

        Parameters
        ----------
        waveform : Tensor, shape [B, samples]
            Of at least one window.

        Returns
        -------
        Tensor
            Shape [B, F, bands], float32; F is ``settings.frame_count(samples)``.
        """
        settings = self.settings
        with torch.autocast(waveform.device.type, enabled=False):
            windows = waveform.float().unfold(1, settings.window_length, settings.hop_length) * self.window
            spectrum = torch.fft.rfft(windows, settings.fft_size)
            power = spectrum.real.square() + spectrum.imag.square()
            sums = (power.sqrt() if settings.spectrum == "magnitude" else power) @ self.mel
            return torch.log(sums + settings.log_offset)
