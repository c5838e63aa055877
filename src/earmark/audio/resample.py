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
        whole = operator.index(int(rate_hz) if isinstance(rate_hz, float | np.floating) and rate_hz % 1 == 0 else rate_hz)
    except TypeError as error:
        raise SampleRateError(f"The sample rate of {what} must be a whole number of hertz, not {rate_hz!r}.") from error
    if not LOWEST_RATE_HZ <= whole <= HIGHEST_RATE_HZ:
        raise SampleRateError(
            f"The sample rate of {what} is {whole} Hz; give the true rate, between {LOWEST_RATE_HZ} and {HIGHEST_RATE_HZ} Hz."
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
        self._stream = None
        if from_rate_hz != to_rate_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_rate_hz, to_rate_hz, 1, dtype="float32", quality="HQ")

    def feed(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples that `block`, float32 of shape (samples,), makes certain; possibly none yet."""
        return block if self._stream is None else np.asarray(self._stream.resample_chunk(block))

    def finish(self) -> NDArray[np.float32]:
        """Return the last samples, once, after the last block."""
        return _NOTHING if self._stream is None else np.asarray(self._stream.resample_chunk(_NOTHING, last=True))
