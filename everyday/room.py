"""Rooms that sound is played in: first echoes off six walls, then a tail that dies away."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from everyday.sound import RATE_HZ, Waveform
from everyday.waves import Wave, coloured, decibels, rms, samples_of

SIZE_METRES = ((2.5, 12.0), (2.0, 9.0), (2.2, 4.5))
RT60_SECONDS = (0.2, 1.5)
DIRECT_TO_REVERBERANT_DB = (-6.0, 12.0)

_SOUND_METRES_PER_SECOND = 343.0
_FROM_WALLS = 0.1  # a share of the room where neither source nor microphone stands
_ORDERS = range(-1, 2)  # of mirrored rooms on each axis: more of them lie within the tail
_TAIL_SLOPE = 1.0  # air and soft walls take the high frequencies first


@dataclass(frozen=True)
class Room:
    """A box, where the source and the microphone stand in it, and how it answers.

    Parameters
    ----------
    size, source, microphone : tuple of float
        Length, width and height, or a place, in metres.
    rt60_seconds : float
        In which the tail falls by 60 dB.
    direct_to_reverberant_db : float
        How much more energy comes straight than by echoes.
    seed : int
        Of the tail.
    """

    size: tuple[float, ...]
    source: tuple[float, ...]
    microphone: tuple[float, ...]
    rt60_seconds: float
    direct_to_reverberant_db: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Room":
        """Draw a room; short and long tails are equally likely on a scale of ratios."""
        size = np.array([rng.uniform(*metres) for metres in SIZE_METRES])
        source, microphone = size * rng.uniform(_FROM_WALLS, 1 - _FROM_WALLS, (2, len(size)))
        return cls(
            size=tuple(size.tolist()),
            source=tuple(source.tolist()),
            microphone=tuple(microphone.tolist()),
            rt60_seconds=float(np.exp(rng.uniform(*np.log(RT60_SECONDS)))),
            direct_to_reverberant_db=float(rng.uniform(*DIRECT_TO_REVERBERANT_DB)),
            seed=int(rng.integers(2**31)),
        )

    def impulse_response(self) -> Wave:
        """Return what a click becomes, shape (samples,): the direct sound first, of 1; then the echoes."""
        response = np.zeros(samples_of(self.rt60_seconds) + 1)
        delays, levels = self._echoes()
        inside = delays < len(response)
        np.add.at(response, delays[inside], levels[inside])
        response[0] = 0.0  # the direct sound
        response += self._tail(len(response), int(delays[-1]), energy=float(np.sum(response**2)))
        response *= decibels(-self.direct_to_reverberant_db) / np.linalg.norm(response)
        response[0] = 1.0
        return response

    def apply(self, waveform: Waveform) -> Waveform:
        """Return a waveform as it is heard in the room: as long and as loud as before, in time with it.

        It is turned down where it would be more than full scale.
        """
        response = self.impulse_response()
        samples = len(waveform) + len(response) - 1
        size = 1 << (samples - 1).bit_length()
        heard = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(response, size), size)[: len(waveform)]
        heard *= rms(waveform) / max(rms(heard), 1e-12)
        return (heard / max(1.0, float(np.abs(heard).max(initial=0.0)))).astype(np.float32)

    def _echoes(self) -> tuple[NDArray[np.int_], Wave]:
        """Return the mirror images, the nearest first: delays after the direct sound, in samples, and levels."""
        images = np.array(list(product(*map(self._mirrored, range(len(self.size))))))
        metres = np.linalg.norm(images[..., 0] - np.array(self.microphone), axis=1)
        levels = self._reflection() ** images[..., 1].sum(axis=1) / np.maximum(metres, 0.1)
        order = np.argsort(metres)
        delays = np.round((metres - metres.min()) / _SOUND_METRES_PER_SECOND * RATE_HZ).astype(int)
        return delays[order], levels[order]

    def _mirrored(self, axis: int) -> list[tuple[float, int]]:
        """Return where the source and its images stand on an axis, and how many walls each was mirrored in."""
        length, place = self.size[axis], self.source[axis]
        straight = [(2 * order * length + place, abs(2 * order)) for order in _ORDERS]
        return straight + [(2 * order * length - place, abs(2 * order - 1)) for order in _ORDERS]

    def _reflection(self) -> float:
        """Return what a wall gives back of the amplitude, so that the room has its RT60 by Eyring's formula."""
        length, width, height = self.size
        walls = 2 * (length * width + length * height + width * height)
        return float(np.exp(-0.161 * length * width * height / (walls * self.rt60_seconds) / 2))

    def _tail(self, samples: int, full_after: int, *, energy: float) -> Wave:
        """Return noise that rises while the first echoes last, goes on as loud as they, and falls by 60 dB."""
        time = np.arange(samples)
        fall = 10 ** (-3 * time / samples)
        rise = np.minimum(1.0, (time / max(1, full_after)) ** 2)
        noise = coloured(samples, _TAIL_SLOPE, np.random.default_rng(self.seed), low_hz=300.0)
        return np.asarray(np.sqrt(energy / np.sum(fall[:full_after] ** 2)) * noise * fall * rise)
