"""TensorFlow Lite Metadata: what an app's library reads to feed an audio classifier and to name what it hears.

Written after the published schema, version 1.5.0 (`metadata_schema.fbs`): a FlatBuffer inside the model, and the files
that it speaks of in a zip archive behind it. Tables are built from the last to the first, as a FlatBuffer wants them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from earmark.errors import MissingExtraError
from earmark.model.card import ModelCard
from earmark.model.tflitearchive import CARD_FILE, digest, join

LABELS_FILE = "labels.txt"
CALIBRATION_FILE = "score_calibration.txt"

_BUFFER_NAME = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.3.0"  # the first that knows sound
_AXIS_LABELS, _SCORE_CALIBRATION = 2, 4  # AssociatedFileType
_AUDIO_PROPERTIES = 4  # ContentProperties
_CALIBRATION_OPTIONS, _THRESHOLD_OPTIONS = 2, 3  # ProcessUnitOptions
_INVERSE_LOGISTIC = 2  # ScoreTransformationType
_SMALLEST_REPORTED = 1e-9  # a score of 0 is that of a class below its min_score: it is not reported


@dataclass(frozen=True, slots=True)
class Description:
    """What is said about a model beside its card.

    Parameters
    ----------
    author : str
        Who made it.
    locales : Mapping of str to sequence of str
        By locale, such as ``de``, the name of each label in that language, in their order.
    """

    author: str
    locales: Mapping[str, Sequence[str]]


def with_metadata(model: bytes, card: ModelCard, description: Description) -> bytes:
    """Return a `.tflite` file with metadata, labels, score calibration and card; see the module.

    Scores are probabilities already. The calibration file maps each to itself, and to 0 below the class's ``on``
    threshold, which readers then leave out.

    Parameters
    ----------
    model : bytes
        Takes one waveform and gives the scores of `card.labels`.
    card : ModelCard
        Its digest is replaced.
    description : Description

    Raises
    ------
    MissingExtraError
        If the extra ``tflite`` is not installed.
    """
    files = {
        LABELS_FILE: _lines(label.name for label in card.labels),
        **{_locale_file(locale): _lines(names) for locale, names in description.locales.items()},
        CALIBRATION_FILE: _lines(_calibration_line(card, label.id) for label in card.labels),
    }
    described = _with_buffer(model, _table(card, description))
    sealed = digest(join(described, files), card)
    return join(described, files | {CARD_FILE: _sealed_card(card, sealed)})


def _sealed_card(card: ModelCard, sha256: str) -> bytes:
    return replace(card, sha256=sha256).to_json().encode()


def _lines(lines: Any) -> bytes:
    whole = (" ".join(line.splitlines()) for line in lines)  # a line is a class
    return "\n".join(whole).encode()  # MediaPipe counts what follows a last line break as a line


def _locale_file(locale: str) -> str:
    return f"labels_{locale}.txt"


def _calibration_line(card: ModelCard, label_id: str) -> str:
    """Return scale, slope, offset and min_score: readers want more than the last, the rule wants as much."""
    below = np.nextafter(np.float32(card.decision.of(label_id).on), np.float32(0))
    return f"1,1,0,{below:.9g}"


def _with_buffer(model: bytes, metadata: bytes) -> bytes:
    """Return the model with its metadata in a buffer, and its input and output named for what they are."""
    try:
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.tools import flatbuffer_utils
    except ImportError as error:
        raise MissingExtraError.for_extra("tflite", "ai-edge-litert", "writing a .tflite file") from error
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    graph.tensors[graph.inputs[0]].name, graph.tensors[graph.outputs[0]].name = b"waveform", b"clip"
    for signature in parsed.signatureDefs or ():
        signature.inputs[0].name, signature.outputs[0].name = b"waveform", b"clip"
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry.name, entry.buffer = _BUFFER_NAME.encode(), len(parsed.buffers)
    parsed.buffers.append(buffer)
    parsed.metadata = [*(parsed.metadata or ()), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


class _Tables:
    """A FlatBuffer under construction."""

    def __init__(self) -> None:
        import flatbuffers

        self._builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def vector(self, items: Sequence[int]) -> int:
        """Return the offset of a vector of offsets."""
        self._builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self._builder.PrependUOffsetTRelative(item)
        return int(self._builder.EndVector())

    def table(self, size: int, **fields: tuple[int, str, Any]) -> int:
        """Return the offset of a table of `size` fields; each given one has its place, kind and value."""
        self._builder.StartObject(size)
        for place, kind, value in fields.values():
            if kind == "offset":
                self._builder.PrependUOffsetTRelativeSlot(place, value, 0)
            else:
                getattr(self._builder, f"Prepend{kind}Slot")(place, value, 0)
        return int(self._builder.EndObject())

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, file_identifier=_IDENTIFIER)
        return bytes(self._builder.Output())


def _table(card: ModelCard, description: Description) -> bytes:
    """Return the root table, ModelMetadata."""
    tables = _Tables()
    graph = tables.table(
        10,
        input_tensor_metadata=(2, "offset", tables.vector([_input(tables, card)])),
        output_tensor_metadata=(3, "offset", tables.vector([_output(tables, card, description)])),
    )
    root = tables.table(
        8,
        name=(0, "offset", tables.text(card.name)),
        description=(1, "offset", tables.text(card.description)),
        version=(2, "offset", tables.text(card.version)),
        subgraph_metadata=(3, "offset", tables.vector([graph])),
        author=(4, "offset", tables.text(description.author)),
        license=(5, "offset", tables.text(card.licence)),
        min_parser_version=(7, "offset", tables.text(_PARSER_VERSION)),
    )
    return tables.finish(root)


def _input(tables: _Tables, card: ModelCard) -> int:
    """Return TensorMetadata of the waveform."""
    sound = tables.table(2, sample_rate=(0, "Uint32", card.sample_rate), channels=(1, "Uint32", 1))
    content = tables.table(3, kind=(0, "Uint8", _AUDIO_PROPERTIES), content_properties=(1, "offset", sound))
    return tables.table(
        7,
        name=(0, "offset", tables.text("waveform")),
        description=(1, "offset", tables.text("Mono sound in [-1, 1].")),
        content=(3, "offset", content),
    )


def _output(tables: _Tables, card: ModelCard, description: Description) -> int:
    """Return TensorMetadata of the scores."""
    files = [
        _file(tables, LABELS_FILE, _AXIS_LABELS, "The name of each class."),
        *(_file(tables, _locale_file(locale), _AXIS_LABELS, "The same.", locale) for locale in description.locales),
        _file(tables, CALIBRATION_FILE, _SCORE_CALIBRATION, "From which score on each class is reported."),
    ]
    calibrate = tables.table(2, transformation=(0, "Int8", _INVERSE_LOGISTIC))
    threshold = tables.table(1, global_score_threshold=(0, "Float32", _SMALLEST_REPORTED))
    units = [
        tables.table(2, kind=(0, "Uint8", kind), options=(1, "offset", options))
        for kind, options in ((_CALIBRATION_OPTIONS, calibrate), (_THRESHOLD_OPTIONS, threshold))
    ]
    said = "Calibrated probability" if card.calibrated else "Score, not calibrated,"
    return tables.table(
        7,
        name=(0, "offset", tables.text("clip")),
        description=(1, "offset", tables.text(f"{said} of each class for the whole input.")),
        process_units=(4, "offset", tables.vector(units)),
        associated_files=(6, "offset", tables.vector(files)),
    )


def _file(tables: _Tables, name: str, kind: int, description: str, locale: str = "") -> int:
    """Return an AssociatedFile."""
    fields: dict[str, tuple[int, str, Any]] = {
        "name": (0, "offset", tables.text(name)),
        "description": (1, "offset", tables.text(description)),
        "type": (2, "Int8", kind),
    }
    if locale:
        fields["locale"] = (3, "offset", tables.text(locale))
    return tables.table(5, **fields)
