"""Samples of any type and any number of channels, as float32 and as mono."""

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError

__all__ = ["to_float32", "to_mono"]

# Full scale and zero of each integer type: 8-bit PCM is unsigned by tradition, with its zero at 128.
_INTEGERS = {"int8": (2.0**7, 0), "uint8": (2.0**7, 2**7), "int16": (2.0**15, 0), "int32": (2.0**31, 0)}


def to_float32(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return samples as float32, full scale at 1.

    Parameters
    ----------
    samples : ndarray of float16, float32, float64, int8, uint8, int16 or int32, any shape
        Integers are divided by their full scale; floats are taken as they are.

    Returns
    -------
    ndarray of float32, same shape
        Not a copy if it was float32 already.

    Raises
    ------
    OptionError
        For any other type: its full scale would be a guess.
    """
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and reported as such
            return samples.astype(np.float32, copy=False)
    if samples.dtype.name not in _INTEGERS:
        raise OptionError(
            f"Samples of type {samples.dtype} have no known full scale: convert them to float32 in [-1, 1], or to "
            f"{', '.join(_INTEGERS)}."
        )
    full_scale, zero = _INTEGERS[samples.dtype.name]
    return (samples.astype(np.float32) - np.float32(zero)) / np.float32(full_scale)


def to_mono(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the channels.

    Parameters
    ----------
    block : ndarray of float32, shape (samples, channels)
        At least one channel.

    Returns
    -------
    ndarray of float32, shape (samples,)
        A view when there is one channel, its samples side by side.
    """
    channels = block.shape[1]
    if channels == 1:
        return np.ascontiguousarray(block[:, 0])
    # Channel after channel: eight times faster than numpy's mean along the short axis, and the same for any block.
    with np.errstate(over="ignore", invalid="ignore"):  # infinite samples are the reader's to report
        mono = block[:, 0] + block[:, 1]
        for channel in range(2, channels):
            mono += block[:, channel]
        mono *= np.float32(1 / channels)
    return mono
