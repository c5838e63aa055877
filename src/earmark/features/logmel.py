"""The front end's numbers, once: settings in hertz and seconds, sizes derived from them, matrices in float64.

`graph.py` (ONNX nodes) and the torch layer of the training code take their matrices from here, so that training, the
workstation, the phone and the browser compute the same log-mel spectrogram.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LogMel:
    """Settings of a log-mel spectrogram: short-time Fourier transform, mel bands, logarithm.

    Frames are not centred: frame i is the window that starts at sample ``i * hop_length``, and samples that do not fill
    a window are left out. The window is a periodic Hann window, padded with zeros at its end to `fft_size`.

    Parameters
    ----------
    sample_rate : int
        Hertz.
    window_seconds, hop_seconds : float
        Whole numbers of samples at `sample_rate`.
    fft_size : int
        Points of the Fourier transform, at least the window's length, even.
    bands : int
        Mel bands.
    low_hz, high_hz : float
        Lower edge of the first band and upper edge of the last, ``0 <= low_hz < high_hz <= sample_rate / 2``.
    spectrum : {"magnitude", "power"}
        What the bands sum.
    mel_formula : {"htk", "slaney"}
        ``1127 ln(1 + f / 700)``, or linear below 1 kHz and logarithmic above (Slaney's Auditory Toolbox).
    triangles : {"mel", "hertz"}
        The scale on which the sides of the triangular bands are straight: mel in TensorFlow, hertz in librosa.
    area_normalised : bool
        Whether each band is divided by its width in hertz, ``2 / (upper - lower)``.
    log_offset : float
        Added before the natural logarithm, positive.

    Raises
    ------
    OptionError
        If a number is out of range, or a time is no whole number of samples.
    """

    sample_rate: int
    window_seconds: float
    hop_seconds: float
    fft_size: int
    bands: int
    low_hz: float
    high_hz: float
    spectrum: Literal["magnitude", "power"] = "power"
    mel_formula: Literal["htk", "slaney"] = "htk"
    triangles: Literal["mel", "hertz"] = "hertz"
    area_normalised: bool = False
    log_offset: float = 1e-6

    def __post_init__(self) -> None:
        if not 0 < self.hop_length <= self.window_length <= self.fft_size or self.fft_size % 2:
            raise OptionError(
                f"hop {self.hop_length}, window {self.window_length}, FFT {self.fft_size} samples: "
                "they must be positive and in that order, the FFT even"
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise OptionError(
                f"bands from {self.low_hz:g} to {self.high_hz:g} Hz at {self.sample_rate} Hz: "
                f"0 <= low_hz < high_hz <= {self.sample_rate / 2:g}"
            )
        if self.bands < 1 or self.log_offset <= 0:
            raise OptionError(f"bands={self.bands}, log_offset={self.log_offset:g}: both must be positive")

    @property
    def window_length(self) -> int:
        """Samples in a window."""
        return _samples(self.window_seconds, self.sample_rate, "window_seconds")

    @property
    def hop_length(self) -> int:
        """Samples between the starts of two windows."""
        return _samples(self.hop_seconds, self.sample_rate, "hop_seconds")

    @property
    def bins(self) -> int:
        """Frequencies of the Fourier transform, from 0 Hz to half the sample rate."""
        return self.fft_size // 2 + 1

    @cached_property
    def bin_hz(self) -> Matrix:
        """Frequency of each bin in hertz, shape (bins,)."""
        return np.linspace(0.0, self.sample_rate / 2, self.bins)

    @cached_property
    def band_edges_hz(self) -> Matrix:
        """Edges of the bands in hertz, shape (bands + 2,): band i rises from edge i, peaks at i + 1, ends at i + 2."""
        low, high = self.hertz_to_mel(np.array([self.low_hz, self.high_hz]))
        return self.mel_to_hertz(np.linspace(low, high, self.bands + 2))

    @cached_property
    def window(self) -> Matrix:
        """Periodic Hann window, shape (window_length,)."""
        phase = 2 * np.pi * np.arange(self.window_length) / self.window_length
        return np.asarray(0.5 - 0.5 * np.cos(phase))

    @cached_property
    def dft(self) -> tuple[Matrix, Matrix]:
        """Cosine and sine matrices of the windowed transform, each of shape (window_length, bins)."""
        phase = 2 * np.pi * np.outer(np.arange(self.window_length), np.arange(self.bins)) / self.fft_size
        return np.cos(phase) * self.window[:, None], np.sin(phase) * self.window[:, None]

    @cached_property
    def mel(self) -> Matrix:
        """Weight of each bin in each band, shape (bins, bands), at least 0; the row of 0 Hz is zero."""
        on_mel = self.triangles == "mel"
        edges = self.hertz_to_mel(self.band_edges_hz) if on_mel else self.band_edges_hz
        bins = self.hertz_to_mel(self.bin_hz) if on_mel else self.bin_hz
        rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
        falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
        weights = np.maximum(0.0, np.minimum(rising, falling))
        weights[0] = 0.0  # a constant offset of the recorder is no sound
        if self.area_normalised:
            weights *= 2.0 / (self.band_edges_hz[2:] - self.band_edges_hz[:-2])
        return weights

    def frame_count(self, samples: int) -> int:
        """Return how many whole windows fit into so many samples."""
        return max(0, 1 + (samples - self.window_length) // self.hop_length)

    def samples_for(self, frames: int) -> int:
        """Return how many samples `frames` windows cover."""
        return self.window_length + (frames - 1) * self.hop_length

    def hertz_to_mel(self, hertz: Matrix) -> Matrix:
        """Convert frequencies in hertz to mel by `mel_formula`."""
        if self.mel_formula == "htk":
            return np.asarray(_HTK_MEL * np.log1p(hertz / _HTK_HZ))
        logarithmic = _KNEE_MEL + np.log(np.maximum(hertz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
        return np.where(hertz < _KNEE_HZ, hertz / _LINEAR_STEP_HZ, logarithmic)

    def mel_to_hertz(self, mel: Matrix) -> Matrix:
        """Convert mel to hertz, the inverse of `hertz_to_mel`."""
        if self.mel_formula == "htk":
            return np.asarray(_HTK_HZ * np.expm1(mel / _HTK_MEL))
        logarithmic = _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
        return np.where(mel < _KNEE_MEL, mel * _LINEAR_STEP_HZ, logarithmic)


_HTK_MEL, _HTK_HZ = 1127.0, 700.0
# Slaney's scale: steps of 200/3 Hz up to 1 kHz, then 27 steps from 1 kHz to 6.4 kHz.
_LINEAR_STEP_HZ, _KNEE_HZ = 200.0 / 3, 1000.0
_KNEE_MEL, _LOG_STEP = _KNEE_HZ / _LINEAR_STEP_HZ, float(np.log(6.4)) / 27.0


def _samples(seconds: float, sample_rate: int, name: str) -> int:
    """Convert seconds to samples, refusing a time between two samples."""
    samples = round(seconds * sample_rate)
    if abs(samples - seconds * sample_rate) > 1e-6:
        raise OptionError(
            f"{name}={seconds:g} is {seconds * sample_rate:g} samples at {sample_rate} Hz; "
            "it must be a whole number: change the time or the rate"
        )
    return samples


_AUDIOSET = {
    "sample_rate": 16_000,
    "window_seconds": 0.025,
    "hop_seconds": 0.010,
    "fft_size": 512,
    "bands": 64,
    "low_hz": 125.0,
    "high_hz": 7_500.0,
    "spectrum": "magnitude",
    "mel_formula": "htk",
    "triangles": "mel",
}

PRESETS: dict[str, LogMel] = {
    # Google's front ends (tensorflow/models, research/audioset); they differ in the offset alone.
    "yamnet": LogMel(**_AUDIOSET, log_offset=0.001),  # type: ignore[arg-type]
    "vggish": LogMel(**_AUDIOSET, log_offset=0.01),  # type: ignore[arg-type]
    # librosa's bands on a 16 ms grid: the starting point for networks of one's own.
    "general": LogMel(
        sample_rate=16_000,
        window_seconds=0.032,
        hop_seconds=0.016,
        fft_size=512,
        bands=64,
        low_hz=50.0,
        high_hz=8_000.0,
        mel_formula="slaney",
        area_normalised=True,
    ),
}
"""Named settings: ``yamnet``, ``vggish``, ``general``."""


def picture_settings(sample_rate_hz: int) -> LogMel:
    """Return a spectrogram for the eye: finer bands than a network's, up to half the sample rate."""
    window = round(0.032 * sample_rate_hz)
    return LogMel(
        sample_rate=sample_rate_hz,
        window_seconds=window / sample_rate_hz,
        hop_seconds=round(0.010 * sample_rate_hz) / sample_rate_hz,
        # Half the steps between frequencies that the window alone would give, so that each low band holds one.
        fft_size=2 ** (2 * window - 1).bit_length(),
        bands=96,
        low_hz=50.0,
        high_hz=sample_rate_hz / 2,
    )
