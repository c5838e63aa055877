"""YAMNet as a torch network that starts from the weights in a model file, for fine-tuning."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from earmark.errors import ModelFormatError, NetworkError
from earmark.features.logmel import PRESETS
from earmark.features.nodes import Nodes
from earmark.model.hub import default_hub
from earmark.model.yamnet import EMBEDDING_SIZE, PATCH_FRAMES, PATCH_HOP_FRAMES
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import AsPicture, GlobalMeanPool, channels_last
from earmark.training.networks.network import Field, Network
from earmark.training.torchnodes import add_convolution

_CONVOLUTIONS = 27  # the first, then a depthwise and a pointwise one in each of 13 blocks


@dataclass(frozen=True)
class StoredConvolution:
    """A convolution of a YAMNet file: weights [outputs, inputs / groups, size, size], bias, and what ONNX says beside.

    `pads` are zeros before and after, first in time, then in frequency; `rectifier` is ``Clip`` (ReLU6) or ``Relu``.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    pads: tuple[int, int, int, int]
    groups: int
    rectifier: str

    def layer(self) -> nn.Sequential:
        """Return the convolution as torch layers that start from its weights."""
        outputs, inputs, size, _ = self.weights.shape
        top, left, bottom, right = self.pads
        even = top == bottom == left == right
        kind = HalvingConvolution if self.groups > 1 and self.stride == 2 else nn.Conv2d
        convolution = kind(
            inputs * self.groups,
            outputs,
            size,
            stride=self.stride,
            padding=top if even else 0,
            groups=self.groups,
        )
        with torch.no_grad():
            convolution.weight.copy_(torch.tensor(self.weights))
            assert convolution.bias is not None
            convolution.bias.copy_(torch.tensor(self.bias))
        padding: list[nn.Module] = [] if even else [nn.ZeroPad2d((left, right, top, bottom))]
        return nn.Sequential(*padding, convolution, nn.ReLU6() if self.rectifier == "Clip" else nn.ReLU())


class HalvingConvolution(nn.Conv2d):
    """A depthwise convolution of stride 2 that is computed with stride 1, of which every other value is kept.

    The gradient of the strided one takes torch several times as long on a processor in bfloat16.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return what a convolution of stride 2 gives."""
        every = functional.conv2d(maps, self.weight, self.bias, 1, self.padding, self.dilation, self.groups)
        return every[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)

    def add_nodes(self, nodes: Nodes, tensor: str) -> str:
        """Add the strided convolution, which runtimes compute well."""
        return add_convolution(nodes, self, tensor)


def yamnet(make_head: HeadMaker, *, weights: str | os.PathLike[str] = "yamnet") -> Network:
    """Return YAMNet, its convolutions as the file has them, with a new head.

    Its 14 layers are the first convolution and the 13 blocks of a depthwise and a pointwise one. Normalisation is part
    of weights and biases already, and stays so.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    weights : str or os.PathLike
        Name of an installed model, or an ``.onnx`` file, that was made from YAMNet in float.

    Raises
    ------
    NetworkError
        If the file is another network, or YAMNet in int8.
    ModelNotFoundError
        If there is no such model.
    """
    first, *rest = (stored.layer() for stored in read_convolutions(default_hub().resolve(weights)))
    blocks = [nn.Sequential(*depthwise, *pointwise) for depthwise, pointwise in zip(rest[::2], rest[1::2], strict=True)]
    encoder = channels_last(nn.Sequential(AsPicture(), first, *blocks, GlobalMeanPool()))
    field = Field(PATCH_FRAMES, PATCH_HOP_FRAMES)
    return Network(encoder, make_head(EMBEDDING_SIZE), field=field, windowed=True, front_end=PRESETS["yamnet"])


def read_convolutions(path: Path) -> tuple[StoredConvolution, ...]:
    """Read the convolutions of a model file made by `earmark.model.yamnet`, in order.

    Raises
    ------
    NetworkError
        If they are not YAMNet's, or not in float.
    """
    try:
        graph = onnx.load(path).graph
    except Exception as error:
        raise ModelFormatError(f"{path.name} cannot be read as an ONNX model ({error}); give a YAMNet .onnx") from error
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = tuple(_convolutions(graph, constants))
    widths = [len(stored.bias) for stored in convolutions]
    if len(convolutions) != _CONVOLUTIONS or widths[0] != 32 or widths[-1] != EMBEDDING_SIZE:
        raise NetworkError(
            f"{path.name} is not YAMNet in float: {len(convolutions)} of {_CONVOLUTIONS} convolutions do; "
            "give `yamnet`, or an .onnx file that `earmark models import` made from YAMNet"
        )
    return convolutions


def _convolutions(graph: onnx.GraphProto, constants: dict[str, NDArray[np.float32]]) -> Iterator[StoredConvolution]:
    """Yield the convolutions with constant weights and a bias, and the rectifier after each."""
    after = {node.input[0]: node.op_type for node in graph.node}
    for node in graph.node:
        if node.op_type != "Conv" or len(node.input) != 3 or not {*node.input[1:]} <= constants.keys():
            continue
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        weights, bias = (constants[name] for name in node.input[1:])
        if weights.ndim == 4:
            yield StoredConvolution(
                weights=weights,
                bias=bias,
                stride=attributes["strides"][0],
                pads=tuple(attributes["pads"]),
                groups=attributes.get("group", 1),
                rectifier=after.get(node.output[0], ""),
            )
