"""Samples that are in memory already, as a decoder."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio.doctor import Finding
from earmark.audio.resample import checked_rate_hz
from earmark.audio.samples import to_float32
from earmark.errors import EmptyAudioError, OptionError, SampleRateError

__all__ = ["ArrayDecoder", "as_columns"]

# More channels than any recorder has: the array is more likely (channels, samples) than (samples, channels).
_MOST_CHANNELS = 1024


class ArrayDecoder:
    """Gives out an array in blocks; a `Decoder`.

    Parameters
    ----------
    samples : ndarray, shape (samples,) or (samples, channels)
        Of a type that `to_float32` knows.
    rate_hz : int
        Its sample rate.

    Raises
    ------
    SampleRateError, OptionError, EmptyAudioError
        For a rate, a shape, a type or a length that cannot be sound.
    """

    container = "array"
    slack_seconds = 0.0
    broken = False
    findings: tuple[Finding, ...] = ()

    def __init__(self, samples: Any, rate_hz: Any) -> None:
        if not isinstance(samples, np.ndarray):
            raise OptionError(
                f"The array of (array, sample_rate_hz) is a {type(samples).__name__}: give a numpy array."
            )
        self.rate_hz = checked_rate_hz(rate_hz, "the array")
        self._columns = as_columns(samples)
        self.channels = self._columns.shape[1]
        self.codec = samples.dtype.name
        self.position, self.samples = 0, len(samples)
        self.claimed_seconds: float | None = len(samples) / self.rate_hz
        to_float32(self._columns[:0])  # refuses a type without a full scale now, not at the first block

    @classmethod
    def of(cls, source: Any) -> "ArrayDecoder":
        """Return the decoder of an ``(array, sample_rate_hz)`` pair."""
        if isinstance(source, np.ndarray):
            raise SampleRateError("An array comes without its sample rate: give the pair (array, sample_rate_hz).")
        if len(source) != 2:
            raise OptionError(f"A tuple of {len(source)} is not sound: give the pair (array, sample_rate_hz).")
        return cls(*source)

    def blocks(self, start: int, stop: int | None, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Yield samples as `Decoder.blocks` says."""
        stop = self.samples if stop is None else min(stop, self.samples)
        for begin in range(start, stop, block_samples):
            self.position = min(begin + block_samples, stop)
            yield to_float32(self._columns[begin : self.position])

    def close(self) -> None:
        """Do nothing: there is no file."""


def as_columns(samples: NDArray[Any]) -> NDArray[Any]:
    """Return an array of shape (samples,) or (samples, channels) as the latter.

    Raises
    ------
    OptionError
        If it is no array, or its shape is another or looks transposed.
    EmptyAudioError
        If it holds no samples.
    """
    if not isinstance(samples, np.ndarray):
        raise OptionError(f"The samples are a {type(samples).__name__}: give a numpy array.")
    columns = samples[:, np.newaxis] if samples.ndim == 1 else samples
    if columns.ndim != 2:
        raise OptionError(f"An array of shape {samples.shape} is not sound: give (samples,) or (samples, channels).")
    if not columns.size:
        raise EmptyAudioError(f"The array of shape {samples.shape} holds no samples.")
    if columns.shape[1] > _MOST_CHANNELS:
        raise OptionError(
            f"An array of shape {samples.shape} would have {columns.shape[1]} channels: give (samples, channels)."
        )
    return columns
