"""The 53 classes of the model inside: those of ESC-50, speech, music and silence."""

SPEECH, MUSIC, SILENCE = "speech", "music", "silence"

_ESC50 = """
airplane breathing brushing_teeth can_opening car_horn cat chainsaw chirping_birds church_bells clapping clock_alarm
clock_tick coughing cow crackling_fire crickets crow crying_baby dog door_wood_creaks door_wood_knock drinking_sipping
engine fireworks footsteps frog glass_breaking hand_saw helicopter hen insects keyboard_typing laughing mouse_click pig
pouring_water rain rooster sea_waves sheep siren sneezing snoring thunderstorm toilet_flush train vacuum_cleaner
washing_machine water_drops wind
"""

LABELS = (*_ESC50.split(), SPEECH, MUSIC, SILENCE)
"""In the order of the model's columns."""
