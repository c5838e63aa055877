"""The 521 AudioSet classes of YAMNet, from the class map that the package carries."""

import csv
from functools import cache
from importlib.resources import files

from earmark.model.card import Label


@cache
def audioset_labels() -> tuple[Label, ...]:
    """Return YAMNet's labels in the order of its outputs; ids are AudioSet `mid`s.

    Source: tensorflow/models, research/audioset/yamnet, `yamnet_class_map.csv` (Apache-2.0).
    """
    text = (files("earmark.model") / "weights" / "yamnet_class_map.csv").read_text(encoding="utf-8")
    return tuple(Label(row["mid"], row["display_name"]) for row in csv.DictReader(text.splitlines()))
