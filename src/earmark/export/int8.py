"""A float model in eight bits: its layers compute with integers, the front end and the scores stay in float32.

Static quantisation by ONNX Runtime: activations unsigned, weights signed with a scale for each channel. Normalisations
are folded into the convolutions first. For ONNX Runtime weights use seven of their eight bits: on processors without
instructions for dot products of bytes it adds two products in 16 bits, which larger weights overflow, and the model
would say something else. LiteRT adds in 32 bits everywhere, and is given all eight.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from earmark.errors import ExportError, OptionError
from earmark.export.integernodes import integer_nodes
from earmark.features.nodes import IR_VERSION


def to_int8(
    model: onnx.ModelProto, waveforms: Iterable[NDArray[np.float32]], *, weight_bits: Literal[7, 8] = 7
) -> onnx.ModelProto:
    """Return a model whose convolutions and large dense layers, and what lies between them, are in eight bits.

    Parameters
    ----------
    model : onnx.ModelProto
        From waveform to embeddings, or to scores; left as it is.
    waveforms : iterable of ndarray of float32, shape (samples,)
        Sound at the model's rate, as varied as what it will hear: the ranges of activations are measured on it.
    weight_bits : {7, 8}
        Of the eight that are stored; see the module.

    Returns
    -------
    onnx.ModelProto
        Without the metadata of `model`: its test vectors are not those of this graph.

    Raises
    ------
    OptionError
        If there is no waveform.
    ExportError
        If the model has no such layer.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    reader = _Reader(waveforms)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "folded.onnx"), Path(folder, "int8.onnx")
        folded = _folded(model, Path(folder))
        chosen = integer_nodes(folded)
        if not chosen:  # which ONNX Runtime would take for all of them
            raise ExportError(
                "the model has no layer for int8: its front end stays in float, and what follows is small; take float16"
            )
        onnx.save(folded, source)
        quantize_static(
            source,
            target,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=weight_bits == 7,
            op_types_to_quantize=sorted({node.op_type for node in chosen}),
            nodes_to_quantize=[node.name for node in chosen],
        )
        quantised = onnx.load(target)
    quantised.ir_version = IR_VERSION
    del quantised.metadata_props[:]
    onnx.checker.check_model(quantised)
    return quantised


class _Reader:
    """Hands out waveforms one by one, as ONNX Runtime asks for them."""

    def __init__(self, waveforms: Iterable[NDArray[np.float32]]) -> None:
        self._rows: Iterator[NDArray[np.float32]] = iter(waveforms)
        self._first = next(self._rows, None)
        if self._first is None:
            raise OptionError("int8 needs sound to measure activations on, and there is none: give some recordings")

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input, None after the last."""
        row, self._first = (self._first, None) if self._first is not None else (next(self._rows, None), None)
        return None if row is None else {"waveform": row[None]}


def _folded(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Return the graph with normalisations folded into convolutions, for the default operator set alone."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, target = folder / "model.onnx", folder / "optimised.onnx"
    onnx.save(model, source)
    quant_pre_process(source, target, skip_symbolic_shape=True)
    folded = onnx.load(target)
    version = max(item.version for item in folded.opset_import if item.domain in ("", "ai.onnx"))
    used = {node.domain for node in folded.graph.node} - {"", "ai.onnx"}
    others = [item for item in model.opset_import if item.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend([helper.make_opsetid("", version), *others])
    return folded
