"""Crops: waveforms brought to one length, for batches and for asking about a clip in several places."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError

__all__ = ["Padding", "crop", "crops"]

Waveform = NDArray[np.float32]
Padding = Literal["zeros", "repeat"]
"""What a short clip is filled up with: silence on both sides, or itself again."""


def crop(
    waveform: Waveform, length: int, rng: np.random.Generator | None = None, *, padding: Padding = "zeros"
) -> Waveform:
    """Cut a waveform to a length, or place it in that length.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
        At least one sample.
    length : int
        In samples, at least 1.
    rng : numpy.random.Generator, optional
        Draws the place; without one it is the middle.
    padding : {"zeros", "repeat"}
        What fills up a short one.

    Returns
    -------
    ndarray of float32, shape (length,)
        Perhaps a view of `waveform`.

    Raises
    ------
    OptionError
        If `length` is below 1 or `padding` is not known.
    """
    if length < 1:
        raise OptionError(f"length={length} samples is not allowed: give 1 or more")
    if padding not in get_args(Padding):
        raise OptionError(f"padding={padding!r} is not known; allowed: {', '.join(get_args(Padding))}")
    spare = abs(len(waveform) - length)
    return _crop_at(waveform, length, spare // 2 if rng is None else int(rng.integers(spare + 1)), padding)


def crops(waveform: Waveform, length: int, count: int, *, padding: Padding = "zeros") -> NDArray[np.float32]:
    """Return crops at even distances from the first possible place to the last; a single one lies in the middle.

    Parameters
    ----------
    waveform, length, padding
        As for `crop`.
    count : int
        How many, at least 1.

    Returns
    -------
    ndarray of float32, shape (count, length)

    Raises
    ------
    OptionError
        As `crop`, or if `count` is below 1.
    """
    if count < 1:
        raise OptionError(f"count={count} crops are not allowed: give 1 or more")
    if count == 1:
        return crop(waveform, length, padding=padding)[None]
    crop(waveform, length, padding=padding)  # refuses what is not allowed
    places = np.linspace(0, abs(len(waveform) - length), count).round().astype(int)
    return np.stack([_crop_at(waveform, length, int(place), padding) for place in places])


def _crop_at(waveform: Waveform, length: int, place: int, padding: Padding) -> Waveform:
    """Return the crop that starts at `place`, or in which a short waveform starts there."""
    if len(waveform) >= length:
        return waveform[place : place + length]
    if padding == "repeat":
        return np.take(waveform, np.arange(-place, length - place), mode="wrap")
    placed = np.zeros(length, np.float32)
    placed[place : place + len(waveform)] = waveform
    return placed
