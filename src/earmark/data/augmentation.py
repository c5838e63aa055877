"""How clips are changed while a network is trained: settings, and presets of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from earmark.errors import OptionError

__all__ = ["PRESETS", "Augmentation"]

Range = tuple[float, float]

SLOWEST, FASTEST = 0.5, 2.0
"""Speed and stretch beyond these make another sound."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How clips are changed while a network is trained; by default not at all.

    A probability is that of changing a clip, each time it is used. Ranges are drawn from evenly.

    Parameters
    ----------
    time_shift_probability : float
        Of starting the clip somewhere else, its end joined to its beginning.
    gain_probability, gain_db : float
        Louder or softer by up to so many decibels.
    noise_probability : float
    noise_snr_db : tuple of float
        White noise, so many decibels below the clip.
    background_probability : float
    background_snr_db : tuple of float
        A negative clip mixed in, so many decibels below the clip.
    speed_probability : float
    speed_rate : tuple of float
        Played faster (above 1) or slower, the pitch with it, as a tape is; in [0.5, 2]. Costs little.
    stretch_probability : float
    stretch_rate : tuple of float
        Faster (above 1) or slower at the same pitch; in [0.5, 2].
    pitch_probability, pitch_semitones : float
        Higher or lower by up to so many semitones, 12 at most, at the same speed.
    filter_probability : float
    low_pass_hz, high_pass_hz : tuple of float
        A low-pass or a high-pass filter, 12 dB per octave, with its cut-off drawn from one of these ranges.
    mixup_alpha : float
        Pairs of clips are mixed, with shares drawn from Beta(alpha, alpha); 0 mixes none.
    time_masks, band_masks : int
        Stretches of frames and of bands that are hidden in the spectrogram.
    time_mask_share, band_mask_share : float
        The widest a mask may be, as a share of all frames or bands; in [0, 1].
    random_crop : bool
        Whether a long clip is cut, and a short one placed, at random instead of in the middle.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    time_shift_probability: float = 0.0
    gain_probability: float = 0.0
    gain_db: float = 6.0
    noise_probability: float = 0.0
    noise_snr_db: Range = (10.0, 40.0)
    background_probability: float = 0.0
    background_snr_db: Range = (3.0, 30.0)
    speed_probability: float = 0.0
    speed_rate: Range = (0.8, 1.25)
    stretch_probability: float = 0.0
    stretch_rate: Range = (0.85, 1.15)
    pitch_probability: float = 0.0
    pitch_semitones: float = 2.0
    filter_probability: float = 0.0
    low_pass_hz: Range = (2_000.0, 8_000.0)
    high_pass_hz: Range = (50.0, 500.0)
    mixup_alpha: float = 0.0
    time_masks: int = 0
    time_mask_share: float = 0.1
    band_masks: int = 0
    band_mask_share: float = 0.1
    random_crop: bool = False

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            allowed = _fault(item.name, value)
            if allowed:
                raise OptionError(f"{item.name}={value} is not allowed: give {allowed}")

    @classmethod
    def preset(cls, name: str) -> "Augmentation":
        """Return the settings called `name`: one of `PRESETS`.

        Raises
        ------
        OptionError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise OptionError(f"augmentation {name!r} is not known; allowed: {', '.join(PRESETS)}")
        return PRESETS[name]

    @classmethod
    def parse(cls, text: str) -> "Augmentation":
        """Read settings as the command line gives them: ``PRESET[,NAME=VALUE...]``, a range as ``LOW:HIGH``.

        For example ``strong,pitch_probability=0,noise_snr_db=5:20``.

        Raises
        ------
        OptionError
            If the preset or a name is not known, or a value is no number or out of range.
        """
        name, *changes = (part.strip() for part in text.split(","))
        options: dict[str, Any] = {}
        for change in changes:
            key, _, value = change.partition("=")
            options[key.strip()] = _read(key.strip(), value.strip())
        return cls.preset(name).with_options(**options)

    def with_options(self, **options: Any) -> Self:
        """Return these settings with some changed.

        Raises
        ------
        OptionError
            If a name is not known or a value is out of range.
        """
        known = [item.name for item in fields(self)]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise OptionError(f"augmentation has no {unknown[0]!r}; allowed: {', '.join(known)}")
        return replace(self, **options)

    def for_events(self) -> Self:
        """Return these settings without what moves sounds in time: shift, speed and stretch."""
        return replace(self, time_shift_probability=0.0, speed_probability=0.0, stretch_probability=0.0)

    @property
    def changes_waveforms(self) -> bool:
        """Whether any effect on single waveforms is switched on."""
        return any(getattr(self, item.name) > 0 for item in fields(self) if item.name.endswith("_probability"))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings ready for JSON, for the card."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _fault(name: str, value: Any) -> str | None:
    """Return what is allowed instead of the value of a setting, or None where it is allowed."""
    if isinstance(getattr(Augmentation, name), tuple):
        return _range_fault(name, value)
    if name == "random_crop":
        return None if isinstance(value, bool) else "true or false"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    if name.endswith(("_probability", "_share")):
        return None if 0.0 <= value <= 1.0 else "a number from 0 to 1"
    if name.endswith("_masks"):
        return None if value >= 0 and isinstance(value, int) else "a whole number, 0 or more"
    highest = {"pitch_semitones": 12.0, "gain_db": 60.0}.get(name, 100.0)
    return None if 0.0 <= value <= highest else f"a number from 0 to {highest:g}"


def _range_fault(name: str, value: Any) -> str | None:
    lowest, highest = {
        "speed_rate": (SLOWEST, FASTEST),
        "stretch_rate": (SLOWEST, FASTEST),
        "low_pass_hz": (10.0, 1e6),
        "high_pass_hz": (10.0, 1e6),
    }.get(name, (-100.0, 100.0))
    numbers = isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value)
    if numbers and lowest <= value[0] <= value[1] <= highest:
        return None
    return f"two numbers, the lower one first, from {lowest:g} to {highest:g}"


def _read(name: str, text: str) -> Any:
    """Return the value of a setting from its text, of the type of its default."""
    default = getattr(Augmentation, name, None)
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            return tuple(float(end) for end in text.split(":"))
        return int(text) if isinstance(default, int) else float(text)
    except (ValueError, KeyError):
        if default is None:
            return text  # with_options says that there is no such name
        what = (
            "true or false" if isinstance(default, bool) else "LOW:HIGH" if isinstance(default, tuple) else "a number"
        )
        raise OptionError(f"{name}={text!r} is not allowed: give {what}") from None


PRESETS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(
        time_shift_probability=0.5,
        gain_probability=0.5,
        speed_probability=0.2,
        noise_probability=0.2,
        noise_snr_db=(20.0, 50.0),
        background_probability=0.2,
        background_snr_db=(10.0, 40.0),
        mixup_alpha=0.3,
        time_masks=1,
        band_masks=1,
        random_crop=True,
    ),
    "strong": Augmentation(
        time_shift_probability=0.8,
        gain_probability=0.8,
        gain_db=12.0,
        speed_probability=0.3,
        noise_probability=0.3,
        background_probability=0.5,
        stretch_probability=0.1,
        pitch_probability=0.1,
        filter_probability=0.2,
        mixup_alpha=0.5,
        time_masks=2,
        time_mask_share=0.15,
        band_masks=2,
        band_mask_share=0.15,
        random_crop=True,
    ),
}
"""``none``; ``light``, which costs next to nothing; ``strong``, for few clips or new places."""
