"""Clips changed at random as microphones, rooms and distance would, so that a network learns the rest."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.data.augmentation import FASTEST, PRESETS, SLOWEST, Augmentation
from earmark.errors import MissingExtraError

__all__ = ["PRESETS", "Augmentation", "WaveformAugmenter"]

Waveform = NDArray[np.float32]
Effect = Callable[[Waveform, np.random.Generator], Waveform]


class WaveformAugmenter:
    """The effects on single waveforms, in the order of a sound's way: source, room, microphone.

    Stretch, pitch and filters are those of audiomentations, with values drawn here: its own are drawn from Python's
    global state. Decibels between a clip and noise are of their mean powers; a silent clip stays silent.

    Parameters
    ----------
    settings : Augmentation
        Which, how often, how much.
    sample_rate_hz : int
        Of all waveforms.
    backgrounds : sequence of ndarray of float32, shape (samples,)
        What is mixed in as background; without any, nothing is.

    Raises
    ------
    MissingExtraError
        If stretch, pitch or filter is switched on and audiomentations is not installed.
    """

    def __init__(self, settings: Augmentation, sample_rate_hz: int, backgrounds: Sequence[Waveform] = ()) -> None:
        self.settings = settings
        self.sample_rate_hz = sample_rate_hz
        self._backgrounds = backgrounds
        offered: tuple[tuple[float, Effect], ...] = (
            (settings.speed_probability, self._speed),
            (settings.stretch_probability, self._stretch),
            (settings.pitch_probability, self._pitch),
            (settings.time_shift_probability, _shift),
            (settings.background_probability if len(backgrounds) else 0.0, self._background),
            (settings.filter_probability, self._filter),
            (settings.noise_probability, self._noise),
            (settings.gain_probability, self._gain),
        )
        self._effects = tuple((probability, effect) for probability, effect in offered if probability > 0)
        if max(settings.stretch_probability, settings.pitch_probability, settings.filter_probability) > 0:
            _audiomentations()

    def __call__(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """Return a changed waveform.

        Parameters
        ----------
        waveform : ndarray of float32, shape (samples,)
            Not written to.
        rng : numpy.random.Generator
            The only source of chance.

        Returns
        -------
        ndarray of float32, shape (samples,)
            Finite; may go beyond [-1, 1]. The same array where nothing was changed.
        """
        for probability, effect in self._effects:
            if rng.random() < probability:
                waveform = effect(waveform, rng)
        return waveform

    def _gain(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        gain_db = rng.uniform(-self.settings.gain_db, self.settings.gain_db)
        return waveform * np.float32(10.0 ** (gain_db / 20.0))

    def _noise(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        noise = rng.standard_normal(len(waveform), np.float32)
        return _mixed(waveform, noise, rng.uniform(*self.settings.noise_snr_db))

    def _background(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        background = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        first = int(rng.integers(len(background)))
        # From a random place on, and from its beginning again where it is over.
        around = np.take(background, np.arange(first, first + len(waveform)), mode="wrap")
        return _mixed(waveform, around, rng.uniform(*self.settings.background_snr_db))

    def _speed(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        slowest, fastest = np.log(self.settings.speed_rate)
        places = np.arange(len(waveform)) * np.exp(rng.uniform(slowest, fastest))
        before = places.astype(np.int64)
        # Between two samples by a straight line, which costs little; after its end a clip begins again.
        left, right = waveform.take(before, mode="wrap"), waveform.take(before + 1, mode="wrap")
        return np.asarray(left + (right - left) * (places - before).astype(np.float32), np.float32)

    def _stretch(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        stretch = _audiomentations().TimeStretch(SLOWEST, FASTEST)
        return self._applied(stretch, waveform, rate=rng.uniform(*self.settings.stretch_rate))

    def _pitch(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        semitones = rng.uniform(-self.settings.pitch_semitones, self.settings.pitch_semitones)
        return self._applied(_audiomentations().PitchShift(), waveform, num_semitones=semitones)

    def _filter(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        low_pass = rng.random() < 0.5
        low_hz, high_hz = self.settings.low_pass_hz if low_pass else self.settings.high_pass_hz
        cutoff_hz = float(np.exp(rng.uniform(np.log(low_hz), np.log(high_hz))))
        if cutoff_hz >= self.sample_rate_hz / 2:  # nothing above half the rate to pass or to stop
            return waveform
        library = _audiomentations()
        chosen = library.LowPassFilter() if low_pass else library.HighPassFilter()
        return self._applied(chosen, waveform, cutoff_freq=cutoff_hz, rolloff=12)

    def _applied(self, transform: Any, waveform: Waveform, **parameters: float) -> Waveform:
        """Apply a transform of audiomentations with values that it does not draw itself."""
        transform.parameters = {"should_apply": True, **parameters}
        transform.freeze_parameters()
        return np.asarray(transform(waveform, sample_rate=self.sample_rate_hz), np.float32)


def _shift(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    return np.roll(waveform, int(rng.integers(len(waveform))))


def _mixed(waveform: Waveform, other: Waveform, snr_db: float) -> Waveform:
    """Return the sum of a waveform and another one that is softer by `snr_db`."""
    power, other_power = _power(waveform), _power(other)
    if power == 0.0 or other_power == 0.0:
        return waveform
    return waveform + other * np.float32(np.sqrt(power / other_power) * 10.0 ** (-snr_db / 20.0))


def _power(waveform: Waveform) -> float:
    return float(np.dot(waveform, waveform)) / len(waveform)


def _audiomentations() -> Any:
    try:
        import audiomentations
    except ImportError as error:
        raise MissingExtraError.for_extra(
            "train", "audiomentations", "augmentation by stretch, pitch and filter"
        ) from error
    return audiomentations
