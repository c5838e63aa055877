"""Overlapping windows of a sequence, in torch and as ONNX nodes."""

import math

import numpy as np
from torch import Tensor, nn

from earmark.features.nodes import Nodes


class Windows(nn.Module):
    """Cuts a sequence [B, steps, ...] into windows [B, T, length, ...] that start each `stride` steps.

    Steps that do not fill a window are left out.
    """

    def __init__(self, length: int, stride: int) -> None:
        super().__init__()
        self.length, self.stride = length, stride

    def forward(self, sequence: Tensor) -> Tensor:
        """Cut the windows."""
        windows = sequence.unfold(1, self.length, self.stride)
        return windows.movedim(-1, 2)

    def add_nodes(self, nodes: Nodes, sequence: str, *step_shape: int) -> str:
        """Add nodes that do the same; `step_shape` is the shape of one step, empty for samples.

        Blocks that windows and strides are made of are gathered, not single steps.
        """
        block = math.gcd(self.length, self.stride)
        blocks = nodes("Reshape", sequence, nodes.integers(0, -1, block, *step_shape))
        beyond = nodes("Sub", nodes.size(blocks, 1), nodes.integers(self.length // block))
        last = nodes("Div", beyond, nodes.integers(self.stride // block))
        count = nodes("Squeeze", nodes("Add", last, nodes.integers(1)))
        numbers = nodes("Range", *(nodes.constant(0, np.int64), count, nodes.constant(1, np.int64)))
        starts = nodes("Mul", nodes("Unsqueeze", numbers, nodes.integers(1)), nodes.integers(self.stride // block))
        index = nodes("Add", starts, nodes.integers(*range(self.length // block)))
        gathered = nodes("Gather", blocks, index, axis=1)  # [B, T, blocks, block, ...]
        return nodes("Reshape", gathered, nodes.integers(0, 0, self.length, *step_shape))
