"""What happens to sound on its way to a user: levels, telephones, MP3, rooms and streets.

Each takes a waveform and a generator and returns a waveform, as long and in time with it. The training draws from the
same conditions as the test of robustness, never with the same generator.
"""

import io
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from earmark.audio.decode import read_audio
from earmark.audio.resample import Resampler
from everyday.room import Room
from everyday.sound import RATE_HZ, Waveform
from everyday.street import street as make_street
from everyday.waves import decibels, rms

Channel = Callable[[Waveform, np.random.Generator], Waveform]

QUIET_DB, CLIPPED_DB = -40.0, 12.0
"""Peaks, in dB of full scale: what is above 0 is cut off."""

STREET_SNR_DB = 10.0
MP3_BITS_A_SECOND = 48_000
MP3_RATE_HZ = 44_100
TELEPHONE_HZ = (300.0, 3_400.0)

_TELEPHONE_RATE_HZ = 8_000
_MU = 255
_SILENT_PEAK = 1e-3  # nothing is turned up that is silence
_FRAME_SECONDS = 0.01


def level(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Return it at a drawn level from `QUIET_DB` to `CLIPPED_DB`."""
    return at_peak(waveform, rng.uniform(QUIET_DB, CLIPPED_DB))


def quiet(waveform: Waveform, _: np.random.Generator) -> Waveform:
    """Return it at `QUIET_DB`."""
    return at_peak(waveform, QUIET_DB)


def clipped(waveform: Waveform, _: np.random.Generator) -> Waveform:
    """Return it at `CLIPPED_DB`."""
    return at_peak(waveform, CLIPPED_DB)


def telephone(waveform: Waveform, _: np.random.Generator) -> Waveform:
    """Return it through a telephone: 300 to 3,400 Hz, 8,000 samples a second of 8 bits on a mu-law scale."""
    hz = np.fft.rfftfreq(len(waveform), 1 / RATE_HZ)
    low_hz, high_hz = TELEPHONE_HZ
    gain = 1 / np.sqrt((1 + (low_hz / np.maximum(hz, 1.0)) ** 8) * (1 + (hz / high_hz) ** 32))
    band = np.fft.irfft(np.fft.rfft(waveform) * gain, len(waveform)).astype(np.float32)
    narrow = np.clip(_resampled(band, RATE_HZ, _TELEPHONE_RATE_HZ), -1.0, 1.0)
    steps = np.round(127.5 * np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU)) / 127.5
    coded = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU
    return _fitted(_resampled(coded.astype(np.float32), _TELEPHONE_RATE_HZ, RATE_HZ), len(waveform))


def mp3(waveform: Waveform, _: np.random.Generator) -> Waveform:
    """Return it through MP3 of 48 kbit/s at 44.1 kHz, as LAME makes it."""
    file = io.BytesIO()
    _encode(_resampled(waveform, RATE_HZ, MP3_RATE_HZ), file)
    return _fitted(read_audio(file.getvalue(), RATE_HZ)[0], len(waveform))


def echo(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Return it in a drawn room."""
    return Room.draw(rng).apply(waveform)


def street(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Return it in the street, `STREET_SNR_DB` above its noise.

    Both are turned down where their sum would be more than full scale.
    """
    noise = _fitted(make_street(len(waveform) / RATE_HZ, rng), len(waveform))
    heard = waveform + noise * (loudness(waveform) / rms(noise) * decibels(-STREET_SNR_DB))
    return (heard / max(1.0, float(np.abs(heard).max()))).astype(np.float32)


CONDITIONS: dict[str, Channel] = {
    "quiet": quiet,
    "clipped": clipped,
    "telephone": telephone,
    "mp3": mp3,
    "echo": echo,
    "street": street,
}
"""In which the accuracy is measured."""


def dull(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Return it without its heights, from 3.5 to 7.5 kHz on: what is quickly computed of a codec of few bits."""
    hz = np.fft.rfftfreq(len(waveform), 1 / RATE_HZ)
    gain = 1 / (1 + (hz / rng.uniform(3_500, 7_500)) ** 24)
    return np.fft.irfft(np.fft.rfft(waveform) * gain, len(waveform)).astype(np.float32)


_TRAINED = (clipped, telephone, telephone, dull, echo, echo)  # streets are among the backgrounds; MP3 takes too long


def distort(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Return it through one channel of those that happen to users."""
    return _TRAINED[rng.integers(len(_TRAINED))](waveform, rng)


def at_peak(waveform: Waveform, peak_db: float) -> Waveform:
    """Return a waveform with its peak at a level in dB, cut off at full scale; silence stays as it is."""
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak < _SILENT_PEAK:
        return waveform
    return np.asarray(np.clip(waveform * (decibels(peak_db) / peak), -1.0, 1.0), np.float32)


def loudness(waveform: Waveform) -> float:
    """Return the root mean square of what sounds: frames within 40 dB of the loudest, not the padding of a clip."""
    frame = round(_FRAME_SECONDS * RATE_HZ)
    power = np.square(waveform[: len(waveform) // frame * frame].reshape(-1, frame), dtype=np.float64).mean(axis=1)
    return float(np.sqrt(power[power >= 1e-4 * power.max(initial=0.0)].mean()))


def _encode(waveform: Waveform, file: io.BytesIO) -> None:
    import av

    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=MP3_RATE_HZ, layout="mono", bit_rate=MP3_BITS_A_SECOND)
        size = stream.codec_context.frame_size or 1152
        for start in range(0, len(waveform), size):
            frame = av.AudioFrame.from_ndarray(waveform[None, start : start + size], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = MP3_RATE_HZ, start, Fraction(1, MP3_RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _resampled(waveform: Waveform, from_hz: int, to_hz: int) -> Waveform:
    return Resampler(from_hz, to_hz).feed(waveform, last=True)


def _fitted(waveform: Waveform, samples: int) -> Waveform:
    """Return so many samples, with zeros where there are fewer."""
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))
