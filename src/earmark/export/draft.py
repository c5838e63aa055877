"""A model in another format, before it is measured against the model itself."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from earmark import __version__
from earmark.errors import ExportError, OptionError
from earmark.export.conversion import convert
from earmark.export.float16 import to_float16, with_half_front
from earmark.export.int8 import to_int8
from earmark.export.metadata import Description, with_metadata
from earmark.export.outcome import Format, Report
from earmark.export.source import Recordings, Source
from earmark.export.tflite import fixed_card, input_samples
from earmark.export.windows import Windowed
from earmark.model.backends import Backend
from earmark.model.card import ModelCard
from earmark.model.modelfile import seal
from earmark.model.verify import MORE_SIGNALS, signal, signal_samples

PRECISIONS: Mapping[Format, tuple[str, ...]] = {
    "tflite": ("float32", "float16", "dynamic", "int8"),
    "onnx": ("float16", "int8"),
    "web": ("float32", "float16", "int8"),
}
"""By format."""

_ALIASES = {"fp32": "float32", "fp16": "float16"}
_COMPARED = 32  # recordings
_OWN_TOLERANCE = {"float32": 1e-3, "float16": 1e-3, "int8": 1e-2}  # of an .onnx file against its own answers


@dataclass(frozen=True)
class Plan:
    """What is to be written.

    Parameters
    ----------
    source : Source
    to : {"tflite", "onnx", "web"}
    precision : str, optional
        By default int8 where the model is in eight bits, else float32; for ``onnx`` it must be said.
    seconds : float, optional
        Length of the input of a `.tflite` file.
    calibrate_with : path, optional
        Recordings to measure activations on, for int8 from a float model.
    description : Description
    report : callable
        See `earmark.export.outcome.Report`.

    Raises
    ------
    ExportError, OptionError
        If format and precision do not go together, or something is missing; each says what to do.
    """

    source: Source
    to: Format
    wanted: str | None
    seconds: float | None
    calibrate_with: str | os.PathLike[str] | None
    description: Description
    report: Report = field(repr=False)

    def __post_init__(self) -> None:
        allowed = PRECISIONS[self.to]
        if self.wanted is None and self.to == "onnx":
            raise OptionError(f"--to onnx writes the model in fewer bits: say --precision {' or '.join(allowed)}")
        if self.precision not in allowed:
            raise OptionError(f"precision {self.precision!r} is not for {self.to}: {', '.join(allowed)}")
        if self.seconds is not None and self.to != "tflite":
            raise OptionError(f"seconds={self.seconds:g} is for tflite: a model for {self.to} takes any length")
        if self.to != "tflite" and self.description.locales:
            raise OptionError(f"names in other languages are for tflite: a model for {self.to} has its card's labels")
        self._check_bits()

    @cached_property
    def precision(self) -> str:
        """That of the new file."""
        if self.wanted is None:
            return "int8" if self.source.is_int8 else "float32"
        return _ALIASES.get(self.wanted, self.wanted)

    def _check_bits(self) -> None:
        name, is_int8 = self.source.card.name, self.source.is_int8
        if self.calibrate_with is not None and (is_int8 or self.precision != "int8"):
            raise OptionError(
                f"calibration is for int8 from a model in float, not for {self.precision} from {name}: "
                "leave out --calibrate-with"
            )
        if is_int8 and self.to == "onnx" and self.precision == "int8":
            raise ExportError(f"{name} is in eight bits already: take the file as it is, {self.source.path}")
        if is_int8 and (self.to == "onnx" or self.precision not in ("int8", "float32") or self._is_widened_for_web):
            raise ExportError(
                f"{name} is in eight bits already, which {self.precision} would not make smaller: "
                "export it as int8, the default of tflite and web, or export the float model that it came from"
            )
        if self.precision == "int8" and not is_int8 and self.calibrate_with is None:
            raise OptionError(
                f"int8 from {name}, which is in float, needs sound to measure activations on: "
                "give some recordings of what it will hear, --calibrate-with DATA"
            )

    @property
    def _is_widened_for_web(self) -> bool:
        """Whether a model in eight bits is asked for in float where its file runs as it is."""
        return self.to == "web" and self.precision == "float32"

    @cached_property
    def samples(self) -> int | None:
        """Length of the input; None where any is taken."""
        return input_samples(self.source.card, self.seconds) if self.to == "tflite" else None

    @cached_property
    def sounds(self) -> Recordings:
        """Recordings to measure activations on; none where that is not needed."""
        if self.precision != "int8" or self.source.is_int8:
            return Recordings()
        assert self.calibrate_with is not None
        self.report("reading the recordings", 0, 0)
        return self.source.sounds(self.calibrate_with)

    @cached_property
    def graph(self) -> onnx.ModelProto:
        """The model in the bits that were asked for, as far as ONNX has them."""
        if self.sounds.waveforms:
            self.report("measuring activations", 0, 0)
            if self.to == "tflite":  # whose front end the converter makes smaller
                return to_int8(self.source.graph, self.sounds.waveforms, weight_bits=8)
            return with_half_front(to_int8(self.source.graph, self.sounds.waveforms))
        if self.precision == "float16" and self.to != "tflite":
            return to_float16(self.source.graph)
        graph: onnx.ModelProto = self.source.graph
        return graph

    def signals(self) -> Iterator[NDArray[np.float32]]:
        """Yield the test signals, as long as the input."""
        card = self.source.card
        samples = self.samples or signal_samples(card)
        return (signal(recipe, samples, card.sample_rate) for recipe in MORE_SIGNALS)

    def recordings(self) -> Iterator[NDArray[np.float32]]:
        """Yield the beginnings of some of the recordings that were given, as long as the input."""
        return (sound[: self.samples] for sound in self.sounds.waveforms[:_COMPARED])


class Draft(Protocol):
    """A model in another format, whose card is not final."""

    suffix: str

    @property
    def card(self) -> ModelCard:
        """The card as it is now."""

    def reference(self) -> Backend:
        """Return the model itself, hearing what the new file hears."""

    def data(self, card: ModelCard) -> bytes:
        """Return the bytes of the file with a card."""


class TFLiteDraft:
    """A `.tflite` file."""

    suffix = ".tflite"

    def __init__(self, plan: Plan) -> None:
        assert plan.samples is not None
        self._plan = plan
        self.card = fixed_card(plan.source, plan.samples, plan.precision)
        graph = plan.graph
        plan.report("converting", 0, 0)
        exact = plan.precision != "int8" or plan.source.is_int8
        self._made = convert(graph.SerializeToString(), samples=plan.samples, precision=plan.precision, exact=exact)

    def reference(self) -> Backend:
        """Return the model on windows of the file's length."""
        return Windowed(self._plan.source.backend, self.card)

    def data(self, card: ModelCard) -> bytes:
        """Return the file; see `earmark.export.metadata`."""
        return with_metadata(self._made, card, self._plan.description)


class OnnxDraft:
    """An `.onnx` file, for ONNX Runtime or the web."""

    suffix = ".onnx"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        card = plan.source.card
        self._same = plan.graph is plan.source.graph
        if self._same:  # which the browser runs as it is
            self.card = card
            return
        made = f"{card.name} {card.version}, exported by earmark {__version__} to ONNX, {plan.precision}"
        self.card = replace(card, source=made, tolerance=_OWN_TOLERANCE[plan.precision])

    def reference(self) -> Backend:
        """Return the model as it is."""
        return self._plan.source.backend

    def data(self, card: ModelCard) -> bytes:
        """Return the file, with test vectors that it gave just now; the model's own where it is written as it is."""
        if self._same:
            return self._plan.source.path.read_bytes()
        graph = onnx.ModelProto()
        graph.CopyFrom(self._plan.graph)
        return seal(graph, card)


def make_draft(plan: Plan) -> Draft:
    """Write a model in another format, in memory."""
    return TFLiteDraft(plan) if plan.to == "tflite" else OnnxDraft(plan)
