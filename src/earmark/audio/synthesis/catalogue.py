"""What can be made, under the names of ESC-50's categories, and what AudioSet calls it."""

from collections.abc import Callable

import numpy as np

from earmark.audio.synthesis import animals, household, machines, music, signals, weather
from earmark.audio.synthesis.waves import Wave

SPEECH, SILENCE = "speech", "silence"

SOUNDS: dict[str, Callable[[np.random.Generator, float], Wave]] = {
    "bell": signals.bell,
    "car_horn": signals.car_horn,
    "chirping_birds": animals.chirping_birds,
    "church_bells": signals.church_bells,
    "clock_alarm": signals.clock_alarm,
    "clock_tick": household.clock_tick,
    "crackling_fire": weather.crackling_fire,
    "crickets": animals.crickets,
    "door_wood_knock": household.door_wood_knock,
    "engine": machines.engine,
    "helicopter": machines.helicopter,
    "music": music.music,
    "rain": weather.rain,
    "sea_waves": weather.sea_waves,
    "siren": signals.siren,
    "thunderstorm": weather.thunderstorm,
    "water_drops": weather.water_drops,
    "waterfall": weather.waterfall,
    "wind": weather.wind,
}
"""What makes each sound, from a generator of random numbers and a length in seconds. Two more than ESC-50 has."""

AUDIOSET: dict[str, tuple[str, ...]] = {
    "car_horn": ("Vehicle horn, car horn, honking",),
    "chirping_birds": ("Bird", "Bird vocalization, bird call, bird song", "Chirp, tweet"),
    "church_bells": ("Bell", "Church bell"),
    "clock_alarm": ("Alarm clock", "Alarm"),
    "clock_tick": ("Tick-tock", "Tick", "Clock"),
    "crackling_fire": ("Fire", "Crackle"),
    "crickets": ("Cricket", "Insect"),
    "door_wood_knock": ("Knock",),
    "engine": ("Engine", "Idling"),
    "rain": ("Rain", "Raindrop", "Rain on surface"),
    "sea_waves": ("Ocean", "Waves, surf"),
    "thunderstorm": ("Thunderstorm", "Thunder"),
    "water_drops": ("Plop", "Drip"),
    "wind": ("Wind", "Wind noise (microphone)"),
}
"""Names of the same in AudioSet, where it is another than the category's own."""
