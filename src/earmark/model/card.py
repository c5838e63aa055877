"""The model card: everything about a model that its graph does not say, as JSON inside the model file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from earmark.errors import CardError

CARD_KEY = "earmark"
"""Metadata key of the ONNX file under which the card is kept."""

CARD_FORMAT = 1
"""Version of the card's layout. A reader refuses a card of a later one."""

Task = Literal["multi-label", "single-label"]


@dataclass(frozen=True, slots=True)
class Label:
    """One class a model can hear.

    Parameters
    ----------
    id : str
        Stable identifier; for AudioSet classes the `mid`, such as ``/m/03m9d0z``.
    name : str
        Display name, such as ``Rain``.
    """

    id: str
    name: str


NONE_OF_THESE = Label("none_of_these", "none of these")
"""What sound is called that is of no class: the label of an answer, not of a class."""


@dataclass(frozen=True, slots=True)
class ClassRule:
    """Thresholds of one class where they differ from the model's: probabilities in [0, 1]."""

    on: float
    off: float

    def __post_init__(self) -> None:
        if not (_is_number(self.on) and _is_number(self.off) and 0.0 <= self.off <= self.on <= 1.0):
            raise CardError(
                f"thresholds on={self.on}, off={self.off} are not allowed: "
                "0 <= off <= on <= 1; give an off threshold at or below the on threshold"
            )


_MOST_SECONDS = {
    "smoothing_seconds": 3_600,  # whoever follows live sound keeps the scores of so much in memory
    "min_duration_seconds": 86_400,
    "merge_gap_seconds": 86_400,
}


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How frame scores become events; data in the card, applied by `earmark.inference.events` alone.

    A class's event opens at the first frame whose smoothed score reaches `on` and closes at the first one below `off`
    (hysteresis). Events of one class closer than `merge_gap_seconds` become one; those shorter than
    `min_duration_seconds` are dropped.

    Parameters
    ----------
    on, off : float
        Thresholds in [0, 1], ``off <= on``, of every class that `classes` does not name.
    smoothing_seconds : float
        Length of the centred running median over frame scores, at most an hour; 0 for none. Rounded to an odd number
        of frames.
    min_duration_seconds, merge_gap_seconds : float
        From 0 to a day.
    classes : Mapping of str to ClassRule
        Exceptions, by label id.

    Raises
    ------
    CardError
        If a number is outside its range.
    """

    on: float = 0.3
    off: float = 0.15
    smoothing_seconds: float = 0.0
    min_duration_seconds: float = 0.0
    merge_gap_seconds: float = 0.0
    classes: Mapping[str, ClassRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ClassRule(self.on, self.off)
        for name, most in _MOST_SECONDS.items():
            value = getattr(self, name)
            if not (_is_number(value) and 0.0 <= value <= most):
                raise CardError(f"{name} is {value}: it must be a number of seconds from 0 to {most}")

    def of(self, label_id: str) -> ClassRule:
        """Return the thresholds of a class: its own, else those of the model."""
        return self.classes.get(label_id) or ClassRule(self.on, self.off)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a rule from its JSON form; raises CardError for an unknown key."""
        known = _known(cls, data, "decision rule")
        classes = known.pop("classes", {})
        if not isinstance(classes, Mapping):
            raise CardError(f"classes is {classes!r}: give an object of thresholds by label, or leave it out")
        return cls(**known, classes={key: _class_rule(key, rule) for key, rule in classes.items()})


@dataclass(frozen=True, slots=True)
class TestVector:
    """One signal that can be made anywhere and what the model answered for it when it was saved.

    Parameters
    ----------
    signal : str
        A recipe that `earmark.model.verify.signal` understands, such as ``noise:7`` (seed 7), ``silence`` or
        ``sine:440``.
    samples : int
        Length of the signal at the card's sample rate.
    outputs : Mapping of str to list of float
        Per output of the graph, a fixed sample of its values, flattened.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    signal: str
    samples: int
    outputs: Mapping[str, list[float]]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is, hears, was made from and promises.

    Parameters
    ----------
    name, version : str
        Shown with every result.
    labels : tuple of Label
        In the order of the graph's class axis. Ids are unique.
    sample_rate : int
        Hertz, of the waveform the graph takes.
    frame_length_seconds, frame_hop_seconds : float
        The stretch of sound one frame depends on, and the step between frames.
    segment_seconds : float
        The stretch of a long recording that is scored as one clip.
    task : {"multi-label", "single-label"}
        Whether classes may sound together or exclude each other.
    calibrated : bool
        Whether scores are probabilities that were checked on data.
    decision : DecisionRule
        How frame scores become events.
    embedding_size : int
        Length of an embedding; 0 where the model gives none.
    novelty_threshold : float, optional
        Novelty in [0, 1] at or above which sound is of no class, `NONE_OF_THESE`; only for a graph that gives novelty.
        None where no sound is refused.
    background : bool
        Whether the scores of a single-label model may sum to less than 1, because sound of no class takes its share.
    tolerance : float
        Largest difference from the test vectors at which `verify` still accepts the file.
    licence, description, citation, source, training_data : str
        For people. `source` says what the file was made from.
    training : Mapping
        How the model was made, as JSON: recipe, settings, seeds, augmentation, versions.
    metrics : Mapping
        Measured figures, with the command that gives them.
    test_vectors : tuple of TestVector
        Empty where the file was never verified.
    sha256 : str
        Digest of the graph and of this card; empty where the file was never sealed.

    Raises
    ------
    CardError
        If a field contradicts another or is out of range.
    """

    name: str
    version: str
    labels: tuple[Label, ...]
    sample_rate: int
    frame_length_seconds: float
    frame_hop_seconds: float
    segment_seconds: float
    task: Task = "multi-label"
    calibrated: bool = False
    decision: DecisionRule = field(default_factory=DecisionRule)
    embedding_size: int = 0
    novelty_threshold: float | None = None
    background: bool = False
    tolerance: float = 1e-3
    licence: str = "unknown"
    description: str = ""
    citation: str = ""
    source: str = ""
    training_data: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    test_vectors: tuple[TestVector, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise CardError(f"model card of {self.name!r}: {problem}")

    @property
    def frame_length(self) -> int:
        """Samples one frame depends on."""
        return round(self.frame_length_seconds * self.sample_rate)

    @property
    def frame_hop(self) -> int:
        """Samples between the starts of two frames."""
        return round(self.frame_hop_seconds * self.sample_rate)

    @property
    def segment_frames(self) -> int:
        """Frames in a full segment, at least one."""
        return 1 + max(0, round(self.segment_seconds * self.sample_rate) - self.frame_length) // self.frame_hop

    def frame_count(self, samples: int) -> int:
        """Return how many frames the graph gives for so many samples: the last one is padded with zeros."""
        return 1 + max(0, -(-(samples - self.frame_length) // self.frame_hop))

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON-ready data.

        Fields that came later are left out while they say nothing, so that the digest of an older file stays the same.
        """
        said = {name: value for name, value in asdict(self).items() if name not in _LATER or value != _LATER[name]}
        return {"format": CARD_FORMAT, **said}

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card back.

        Raises
        ------
        CardError
            If the text is no JSON, a key is missing or unknown, or a value is out of range.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise CardError(f"the model card is not JSON ({error}); save the model again") from error
        if not isinstance(data, dict):
            raise CardError(f"the model card is a JSON {type(data).__name__}, not an object; save the model again")
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a card from what `to_dict` gave; raises CardError as `from_json` does."""
        if data.get("format") != CARD_FORMAT:
            raise CardError(
                f"the model card has format {data.get('format')!r}, this earmark reads {CARD_FORMAT}; "
                "update earmark or save the model again"
            )
        known = _known(cls, {key: value for key, value in data.items() if key != "format"}, "model card")
        try:
            known["labels"] = tuple(Label(**label) for label in known["labels"])
            known["decision"] = DecisionRule.from_dict(known.get("decision", {}))
            known["test_vectors"] = tuple(TestVector(**vector) for vector in known.get("test_vectors", ()))
            return cls(**known)
        except (TypeError, KeyError, AttributeError) as error:
            raise CardError(f"the model card is malformed: {error}; save the model again") from error


_LATER: Mapping[str, object] = {"novelty_threshold": None, "background": False, "training": {}}
"""Fields that came after the first files, and what it means that a file has none."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _class_rule(label: str, data: Any) -> ClassRule:
    known = _known(ClassRule, data, f"rule of {label!r}")
    if set(known) != {"on", "off"}:
        raise CardError(f"the rule of {label!r} is {dict(data)}: give both its on and its off threshold")
    return ClassRule(**known)


def _known(cls: type, data: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return `data` as keyword arguments of the dataclass `cls`, refusing names it does not have."""
    if not isinstance(data, Mapping):
        raise CardError(f"the {what} is {data!r}: it must be a JSON object")
    allowed = {item.name for item in fields(cls)}
    unknown = sorted(set(data) - allowed)
    if unknown:
        raise CardError(f"unknown key {unknown[0]!r} in the {what}; allowed: {', '.join(sorted(allowed))}")
    return dict(data)


def _problem(card: ModelCard) -> str | None:
    """Return what is wrong with the card, in words, or None."""
    if card.task not in ("multi-label", "single-label"):
        return f"task is {card.task!r}; allowed: 'multi-label', 'single-label'"
    return _label_problem(card) or _time_problem(card) or _novelty_problem(card) or _training_problem(card)


def _label_problem(card: ModelCard) -> str | None:
    ids = [label.id for label in card.labels]
    if not ids:
        return "it has no labels; a model needs at least one"
    if len(set(ids)) != len(ids):
        twice = next(label_id for label_id in ids if ids.count(label_id) > 1)
        return f"the label id {twice!r} is there twice; ids must be unique"
    unknown = sorted(set(card.decision.classes) - set(ids))
    return f"the decision rule names {unknown[0]!r}, which is no label id" if unknown else None


def _time_problem(card: ModelCard) -> str | None:
    if card.sample_rate <= 0:
        return f"sample_rate is {card.sample_rate}; it must be a positive number of hertz"
    if not 0 < card.frame_hop_seconds <= card.frame_length_seconds <= card.segment_seconds:
        return (
            f"hop {card.frame_hop_seconds} s, frame {card.frame_length_seconds} s, segment {card.segment_seconds} s; "
            "they must be positive and in that order"
        )
    for name in ("frame_hop_seconds", "frame_length_seconds"):
        samples = getattr(card, name) * card.sample_rate
        if abs(samples - round(samples)) > _SAMPLE_TOLERANCE:
            return f"{name} is {samples:g} samples; it must be a whole number, or times drift"
    return None


def _novelty_problem(card: ModelCard) -> str | None:
    threshold = card.novelty_threshold
    if threshold is not None and not (_is_number(threshold) and 0.0 <= threshold <= 1.0):
        return f"novelty_threshold is {threshold!r}; it must be in 0 to 1, or None for none"
    if threshold is not None and NONE_OF_THESE.id in {label.id for label in card.labels}:
        return f"the label id {NONE_OF_THESE.id!r} is what a novelty threshold answers with; give the class another id"
    if not isinstance(card.background, bool):
        return f"background is {card.background!r}; allowed: True, False"
    if card.background and card.task != "single-label":
        return "background is for single-label models: scores of a multi-label one need not sum to anything"
    return None


def _training_problem(card: ModelCard) -> str | None:
    if not isinstance(card.training, Mapping):
        return f"training is {card.training!r}; it must be an object of facts, or be left out"
    try:
        json.dumps(card.training, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"training is not JSON ({error}); give numbers, text, lists and objects"
    return None


_SAMPLE_TOLERANCE = 1e-3  # a day of frames then drifts by less than a millisecond
