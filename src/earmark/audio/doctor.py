"""The input doctor: looks at a recording while it is decoded, and says in words what is wrong with it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.audio.bandwidth import Bandwidth

__all__ = ["Doctor", "Finding", "short_finding"]

_SILENCE_PEAK = 1e-4  # -80 dB: the last three steps of 16 bits
_LOW_PEAK = 0.01  # -40 dB: the quietest of the 2,000 ESC-50 clips peaks at -38 dB
_INTEGER_PEAK = 10.0  # no recording in floats goes 20 dB beyond full scale
_DC_OFFSET, _DC_SECONDS = 0.02, 1.0  # a slow wave has a mean too, for a moment
_CLIPPED_LEVEL = 0.98
_CLIPPED_SHARE = 0.001  # 29 of the 2,000 ESC-50 clips
# Of two channels. More channels that have nothing in common keep less: one divided by their number.
_CANCELLED_ENERGY_SHARE = 0.03
_UNEVEN_DB = 7.0  # four channels that have nothing in common lose 6 dB


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a recording that its user should know.

    Parameters
    ----------
    code : str
        Stable, such as ``clipping``.
    message : str
        What is wrong, with the number measured, and what to do.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def short_finding(seconds: float, frame_length_seconds: float) -> Finding | None:
    """Return the finding ``too-short`` for a recording shorter than one frame of the model, else None."""
    if seconds >= frame_length_seconds:
        return None
    return Finding(
        "too-short",
        f"{seconds:.3f} s is less than the {frame_length_seconds:.3f} s that the model listens to at a time: the rest "
        "is taken as silence, so record for longer.",
    )


class Doctor:
    """Measures a recording block by block, in constant memory.

    Parameters
    ----------
    source_rate_hz : int
        Of the recording.
    model_rate_hz : int
        Of the model it is for: half of it is the highest frequency that matters.

    Attributes
    ----------
    peak : float
        The largest magnitude so far; full scale is 1.
    """

    def __init__(self, source_rate_hz: int, model_rate_hz: int) -> None:
        self._source_rate_hz, self._model_rate_hz = source_rate_hz, model_rate_hz
        self._bandwidth = Bandwidth(source_rate_hz, model_rate_hz / 2)
        self.peak = 0.0
        self._samples = self._values = self._clipped = 0
        self._sum = self._energy = self._mono_energy = 0.0
        self._channel_energies = np.zeros(1)  # measured of more than two channels

    @property
    def rms_db(self) -> float:
        """Root mean square of all channels in dB of full scale; ``-inf`` for silence."""
        return 10 * math.log10(self._energy / self._values) if self._energy else -math.inf

    def feed(self, block: NDArray[np.float32], mono: NDArray[np.float32]) -> bool:
        """Measure one block.

        Parameters
        ----------
        block : ndarray of float32, shape (samples, channels)
            As decoded, not empty.
        mono : ndarray of float32, shape (samples,)
            The mean of its channels.

        Returns
        -------
        bool
            False, with nothing measured, if it holds NaN or infinite samples.
        """
        values = block.ravel(order="K")
        lowest, highest = float(values.min()), float(values.max())
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            return False
        peak = max(-lowest, highest)
        self.peak = max(self.peak, peak)
        if _CLIPPED_LEVEL <= peak < _INTEGER_PEAK:
            self._clipped += _clipped(block)
        self._samples += len(mono)
        self._values += len(values)
        with np.errstate(over="ignore", invalid="ignore"):  # samples in a scale of their own
            energy = float(values @ values)
            self._energy += energy
            self._mono_energy += energy if block.shape[1] == 1 else float(mono @ mono)
            self._sum += float(mono.sum())
            if block.shape[1] > 2:
                self._channel_energies = self._channel_energies + np.einsum("ij,ij->j", block, block)
            self._bandwidth.feed(mono)
        return True

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found so far; nothing on an ordinary recording."""
        if not self._samples:
            return ()
        if self.peak < _SILENCE_PEAK:
            return (self._silence(),)
        if self.peak >= _INTEGER_PEAK:
            return (self._integer_scale(),)
        found = [self._low_level(), self._clipping(), self._dc_offset(), cancelled := self._cancelled()]
        if cancelled is None:
            found += [self._uneven(), self._narrow_band()]
        return tuple(finding for finding in found if finding is not None)

    def _silence(self) -> Finding:
        level = f"no sample is beyond {_in_db(self.peak):.0f} dB of full scale" if self.peak else "every sample is zero"
        return Finding(
            "silence", f"{level}: there is nothing to hear; check the microphone, the cable and the mute switch."
        )

    def _integer_scale(self) -> Finding:
        bits = next((bits for bits in (16, 24) if self.peak <= 2 ** (bits - 1)), 32)
        return Finding(
            "int16-scale",
            f"samples reach {self.peak:.0f} where full scale is 1: this looks like {bits}-bit integers stored as "
            f"float; divide by {2 ** (bits - 1)}.",
        )

    def _low_level(self) -> Finding | None:
        if self.peak >= _LOW_PEAK:
            return None
        return Finding(
            "very-low-level",
            f"the loudest sample is at {_in_db(self.peak):.0f} dB of full scale: scores may be too low; raise the gain "
            "when recording, or amplify the recording.",
        )

    def _clipping(self) -> Finding | None:
        share = self._clipped / self._values
        if share < _CLIPPED_SHARE:
            return None
        return Finding(
            "clipping",
            f"{share:.1%} of the samples stay at full scale, where the wave is cut off: the distortion sounds like "
            "other sources; lower the gain when recording.",
        )

    def _dc_offset(self) -> Finding | None:
        offset = self._sum / self._samples
        if abs(offset) < _DC_OFFSET or self._samples < _DC_SECONDS * self._source_rate_hz:
            return None
        return Finding(
            "dc-offset",
            f"the mean of the samples is {offset:+.3f} of full scale instead of 0: check the sound card, or take out "
            "the offset with a high-pass filter.",
        )

    def _cancelled(self) -> Finding | None:
        kept = self._mono_energy / self._samples / (self._energy / self._values)
        if kept >= _CANCELLED_ENERGY_SHARE * 2 / max(self._values / self._samples, 2):
            return None
        return Finding(
            "phase-cancelled",
            f"the channels cancel: their mean keeps {kept:.1%} of the energy; one of them is wired the wrong way "
            "round, so invert it or give one channel alone.",
        )

    def _uneven(self) -> Finding | None:
        loudest = int(self._channel_energies.argmax())
        if not 0 < self._channel_energies[loudest] < math.inf:
            return None
        lost_db = 10 * math.log10(self._channel_energies[loudest] / self._mono_energy)
        if lost_db < _UNEVEN_DB:
            return None
        return Finding(
            "uneven-channels",
            f"the mean of {len(self._channel_energies)} channels was analysed, {lost_db:.0f} dB below channel "
            f"{loudest + 1}, the loudest: scores may be too low; extract that channel with: ffmpeg -i FILE "
            f'-af "pan=mono|c0=c{loudest}" OUT.wav',
        )

    def _narrow_band(self) -> Finding | None:
        edge_hz, limit_hz = self._bandwidth.edge_hz(), self._model_rate_hz / 2
        if edge_hz is not None:
            cause = f"the sound ends at {edge_hz / 1000:.2g} kHz, as in a telephone recording"
        elif self._source_rate_hz < self._model_rate_hz:
            cause = f"a recording at {self._source_rate_hz} Hz ends at {self._source_rate_hz / 2000:.3g} kHz"
        else:
            return None
        return Finding(
            "narrow-band",
            f"{cause}, but the model listens up to {limit_hz / 1000:.3g} kHz: bright sounds will be missed; record at "
            f"{self._model_rate_hz} Hz or more.",
        )


def _clipped(block: NDArray[np.float32]) -> int:
    """Count the samples at full scale that repeat the one before: a wave that turns around does not stay."""
    values = block.ravel(order="K")
    step = block.shape[1] if block.strides[0] > block.strides[1] else 1  # to the next sample of the same channel
    count = 0
    for loud in (np.flatnonzero(values[step:] >= _CLIPPED_LEVEL), np.flatnonzero(values[step:] <= -_CLIPPED_LEVEL)):
        count += int(np.count_nonzero(values[loud] == values[loud + step]))
    return count


def _in_db(magnitude: float) -> float:
    return 20 * math.log10(magnitude)
