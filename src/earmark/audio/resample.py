"""One resampler for everything: soxr, continuous over blocks."""

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import SampleRateError

__all__ = ["HIGHEST_RATE_HZ", "LOWEST_RATE_HZ", "Resampler", "checked_rate_hz"]

LOWEST_RATE_HZ = 100  # infrasound loggers
HIGHEST_RATE_HZ = 10_000_000  # ultrasound in the laboratory

_NOTHING = np.zeros(0, np.float32)


def checked_rate_hz(rate_hz: Any, what: str) -> int:
    """Return a sample rate as an int.

    Parameters
    ----------
    rate_hz : Any
        An int, or a float without fraction, in hertz.
    what : str
        Whose rate it is, for the message.

    Returns
    -------
    int
        Between `LOWEST_RATE_HZ` and `HIGHEST_RATE_HZ`.

    Raises
    ------
    SampleRateError
        If it is missing, no whole number, zero, negative or absurd.
    """
    try:
        is_whole_float = isinstance(rate_hz, float | np.floating) and rate_hz % 1 == 0
        whole = operator.index(int(rate_hz) if is_whole_float else rate_hz)
    except TypeError as error:
        raise SampleRateError(f"The sample rate of {what} must be a whole number of hertz, not {rate_hz!r}.") from error
    if not LOWEST_RATE_HZ <= whole <= HIGHEST_RATE_HZ:
        raise SampleRateError(
            f"The sample rate of {what} is {whole} Hz: give one from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz."
        )
    return whole


class Resampler:
    """Mono blocks from one rate to another: the same samples as resampling the whole signal in one go.

    Parameters
    ----------
    from_rate_hz, to_rate_hz : int
        Equal rates pass through untouched.
    """

    def __init__(self, from_rate_hz: int, to_rate_hz: int) -> None:
        self._rates_hz = from_rate_hz, to_rate_hz
        self._stream: Any = None
        self._finished = from_rate_hz == to_rate_hz

    def feed(self, block: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """Return the samples that a block makes certain; possibly none yet.

        Parameters
        ----------
        block : ndarray of float32, shape (samples,)
            The next samples.
        last : bool
            True if it is known that no block follows; `finish` then has nothing to add.

        Returns
        -------
        ndarray of float32, shape (samples,)
            At the new rate.
        """
        if self._finished:
            return block
        import soxr

        if self._stream is None:
            if last:  # the same samples, without the cost of a stream
                self._finished = True
                return np.asarray(soxr.resample(block, *self._rates_hz, quality="HQ"))
            self._stream = soxr.ResampleStream(*self._rates_hz, 1, dtype="float32", quality="HQ")
        self._finished = last
        return np.asarray(self._stream.resample_chunk(block, last=last))

    def finish(self) -> NDArray[np.float32]:
        """Return the last samples, once, after the last block."""
        return _NOTHING if self._finished or self._stream is None else self.feed(_NOTHING, last=True)
