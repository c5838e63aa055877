"""A model as a `.tflite` file: fixed length in, calibrated scores out, metadata that apps read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from earmark import __version__
from earmark.errors import OptionError
from earmark.export.source import Source
from earmark.model.card import ModelCard
from earmark.model.verify import make_clip_vectors

_SHORTEST_SECONDS = 0.95  # by default; YAMNet's frame, what apps for sound are made for
_LONGEST_SECONDS = 60.0


def input_samples(card: ModelCard, seconds: float | None) -> int:
    """Return how many samples the file takes: whole frames of the model, which would fill up the last with zeros.

    Parameters
    ----------
    card : ModelCard
        The model's.
    seconds : float, optional
        The least; by default one frame of the model, or as many as last about a second.

    Raises
    ------
    OptionError
        If it is shorter than a frame, or longer than a minute.
    """
    frame_seconds = card.frame_length_seconds
    if seconds is not None and not round(frame_seconds, 3) <= seconds <= _LONGEST_SECONDS:
        raise OptionError(
            f"seconds={seconds:g} is not allowed: {card.name} takes {frame_seconds:g} (one frame) to "
            f"{_LONGEST_SECONDS:g} s"
        )
    beyond = (_SHORTEST_SECONDS if seconds is None else seconds) - frame_seconds
    hops = math.ceil(round(beyond / card.frame_hop_seconds, 6))
    return card.frame_length + max(0, hops) * card.frame_hop


def fixed_card(source: Source, samples: int, precision: str) -> ModelCard:
    """Return the card of a file of fixed length: a frame is a whole input, and there is nothing but scores."""
    card = source.card
    hop = card.frame_hop if samples == card.frame_length else max(samples // 2 // card.frame_hop, 1) * card.frame_hop
    seconds = samples / card.sample_rate
    return replace(
        card,
        frame_length_seconds=seconds,
        frame_hop_seconds=hop / card.sample_rate,
        segment_seconds=max(card.segment_seconds, seconds),
        embedding_size=0,
        novelty_threshold=None,
        source=f"{card.name} {card.version}, exported by earmark {__version__} to TFLite, {precision}",
        test_vectors=make_clip_vectors(source.backend, samples),
        sha256="",
    )


def read_names(card: ModelCard, files: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Read the labels' names in other languages, one a line, in the order of the labels.

    Parameters
    ----------
    card : ModelCard
    files : Mapping of str to path
        By locale, such as ``de`` or ``pt_BR``.

    Raises
    ------
    OptionError
        If a locale is no such word, or a file cannot be read or has another number of lines.
    """
    return {locale: _names(card, locale, path) for locale, path in files.items()}


def _names(card: ModelCard, locale: str, path: str) -> Sequence[str]:
    if not locale.replace("_", "").replace("-", "").isalnum():
        raise OptionError(f"locale {locale!r} is not allowed: give a word such as de or pt_BR, as in de=names.txt")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OptionError(f"names {path} cannot be read: {error.strerror}; give a text file") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"names {path} is not UTF-8 text: save it as UTF-8, one name a line") from error
    names = [line.strip() for line in text.rstrip().splitlines()]
    if "" in names:
        raise OptionError(f"line {names.index('') + 1} of names {path} is empty: give a name for each label")
    if len(names) != len(card.labels):
        raise OptionError(
            f"names {path} has {len(names)} lines, {card.name} has {len(card.labels)} labels: one line for each, in "
            "the order of `earmark models info MODEL --labels`"
        )
    return names
