"""Torch networks as ONNX graphs: a trunk from waveform to embeddings, and a tail from embeddings to scores.

The front end is written as nodes, the rest is exported by torch. Normalisations stand with the statistics that training
gathered; dropout is gone.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import onnx
import torch
from onnx import compose
from torch import Tensor, nn

from earmark.errors import MissingExtraError, NetworkError
from earmark.features.graph import add_logmel, add_padded_size, add_padding
from earmark.features.nodes import IR_VERSION, OPSET, Nodes
from earmark.model.card import Task
from earmark.training.networks.heads import Head
from earmark.training.networks.network import Network
from earmark.training.torchnodes import add_module, is_translatable

_TRACED_CLIPS, _TRACED_FRAMES = 2, 3  # any numbers but 0 and 1, which torch takes for constants


class Predictor(Protocol):
    """What has a head: a `Network`, or an `EmbeddingNetwork`."""

    head: Head


def export_trunk(network: Network) -> onnx.ModelProto:
    """Return the graph from ``waveform`` [batch, samples] to ``embeddings`` [batch, frames, size].

    An encoder of earmark's own and of plain layers is written node by node. Any other, such as timm's, torch exports.

    Parameters
    ----------
    network : Network
        It is left as it was, training mode included.

    Raises
    ------
    NetworkError
        If a layer cannot be written.
    """
    with _evaluating(network), torch.no_grad():
        trunk = _native_trunk(network) if is_translatable(network.encoder) else _foreign_trunk(network)
    return _checked(trunk)


def export_tail(network: Predictor, *, task: Task, outputs: int) -> onnx.ModelProto:
    """Return the graph from ``embeddings`` [batch, frames, size] to ``clip`` and ``frames``, as probabilities.

    Parameters
    ----------
    network : Network or EmbeddingNetwork
        Its head is exported. It is left as it was, training mode included.
    task : {"multi-label", "single-label"}
        Whether scores are sigmoids or a softmax.
    outputs : int
        Classes to give, from 1 to the head's. A background class, the last, is left out by giving one less; the scores
        of a clip then add up to less than 1.

    Raises
    ------
    NetworkError
        If `outputs` is out of range, or a layer of the head cannot be written.
    """
    head, nodes = network.head, Nodes()
    if not 1 <= outputs <= head.classes:
        raise NetworkError(f"outputs={outputs} is not allowed: the head has {head.classes} classes")
    with _evaluating(head):
        logits = add_module(nodes, head, "embeddings")
    for name, tensor in zip(("clip", "frames"), logits, strict=True):
        scores = nodes("Softmax", tensor, axis=-1) if task == "single-label" else nodes("Sigmoid", tensor)
        kept = nodes.slice(scores, 0, outputs, axis=-1) if outputs < head.classes else scores
        nodes("Identity", kept, output=name)
    shapes = {"clip": ["batch", outputs], "frames": ["batch", "frames", outputs]}
    return _checked(nodes.model({"embeddings": ["batch", "frames", head.embedding_size]}, shapes))


def _native_trunk(network: Network) -> onnx.ModelProto:
    """Write all nodes: windows, where there are any, become rows of one batch and are parted again at the end."""
    nodes = Nodes()
    pieces = _add_front(nodes, network)
    if network.windows is None:
        (embeddings,) = add_module(nodes, network.encoder, pieces)
    else:
        rows = nodes("Reshape", pieces, nodes.integers(-1, *_piece_shape(network)))
        (encoded,) = add_module(nodes, network.encoder, rows)
        sizes = (nodes.size(pieces, 0), nodes.size(pieces, 1), nodes.integers(network.embedding_size))
        embeddings = nodes("Reshape", encoded, nodes("Concat", *sizes, axis=0))
    nodes("Identity", embeddings, output="embeddings")
    return nodes.model({"waveform": ["batch", "samples"]}, _embedding_shape(network))


def _foreign_trunk(network: Network) -> onnx.ModelProto:
    """Write the front end's nodes and let torch export the rest."""
    nodes = Nodes()
    nodes("Identity", _add_front(nodes, network), output="pieces")
    front = nodes.model({"waveform": ["batch", "samples"]}, {"pieces": ["batch", "steps", *_piece_shape(network)]})
    samples = network.geometry.frame_length + (_TRACED_FRAMES - 1) * network.geometry.frame_hop
    features = network.features(torch.zeros(_TRACED_CLIPS, samples, device=_device_of(network)))
    pieces = features if network.windows is None else network.windows(features).contiguous()
    back = _exported(_Encoder(network).eval(), pieces, "pieces", _embedding_shape(network))
    return compose.merge_models(
        compose.add_prefix(front, "front/", rename_inputs=False, rename_outputs=False),
        compose.add_prefix(back, "encoder/", rename_inputs=False, rename_outputs=False),
        io_map=[("pieces", "pieces")],
    )


def _embedding_shape(network: Network) -> dict[str, list[Any]]:
    return {"embeddings": ["batch", "frames", network.embedding_size]}


def _piece_shape(network: Network) -> tuple[int, ...]:
    """Return the shape of one window, or of one step where there are no windows."""
    bands = () if network.logmel is None else (network.logmel.bands,)
    return bands if network.windows is None else (network.windows.length, *bands)


def _add_front(nodes: Nodes, network: Network) -> str:
    """Add padding, features and windows: what `Network.encode` takes."""
    geometry, logmel = network.geometry, network.logmel
    whole = (nodes, "waveform", geometry.frame_length, geometry.frame_hop)
    features = add_padding(*whole) if logmel is None else add_logmel(nodes, "waveform", logmel, add_padded_size(*whole))
    if network.windows is None:
        return features
    return network.windows.add_nodes(nodes, features, *(() if logmel is None else (logmel.bands,)))


class _Encoder(nn.Module):
    """The part of a network behind the front end."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pieces: Tensor) -> Tensor:
        return self.network.encode(pieces)


def _exported(module: nn.Module, example: Tensor, name: str, outputs: dict[str, list[Any]]) -> onnx.ModelProto:
    """Let torch export a module of one tensor whose first two axes are free, quietly."""
    free = torch.export.Dim.DYNAMIC
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: free, 1: free},),
                input_names=[name],
                output_names=list(outputs),
                external_data=False,
                verbose=False,
            )
    except ModuleNotFoundError as error:
        raise MissingExtraError.for_extra("train", "onnxscript", "saving this network") from error
    except torch.onnx.errors.OnnxExporterError as error:
        raise NetworkError(f"torch cannot export the encoder: {str(error).splitlines()[0]}") from error
    assert program is not None
    model = program.model_proto
    for value, shape in zip(model.graph.output, outputs.values(), strict=True):
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape))
    return _bare(model)


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave out what torch writes about itself: where each node came from on this machine, and guessed shapes."""
    model.ir_version = IR_VERSION
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with earmark's versions and name on it, having checked it."""
    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, "earmark", ""
    model.graph.name = "earmark"
    model.graph.doc_string = model.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    return model


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode and give every part its own mode back."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter prints, logs and warns about from people who cannot do anything about it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
