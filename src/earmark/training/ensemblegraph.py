"""Several models' graphs as one: each hears the waveform at its own rate, their frames are laid on one grid."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import compose

from earmark.errors import ModelFormatError
from earmark.features.nodes import IR_VERSION, OPSET, Nodes
from earmark.model.card import ModelCard
from earmark.training.extension import GIVEN, extend, output_shape
from earmark.training.mixture import Mean, add_mixture
from earmark.training.reconciliation import Part, Plan
from earmark.training.resampling import add_resampling


def merge_graphs(
    members: Sequence[onnx.ModelProto], plan: Plan, card: ModelCard, weights: Sequence[float], mean: Mean
) -> onnx.ModelProto:
    """Return one graph of the members.

    Parameters
    ----------
    members : sequence of onnx.ModelProto
        Whole models; left as they are.
    plan : Plan
        How they fit together.
    card : ModelCard
        The ensemble's: task and background.
    weights : sequence of float
        With sum 1.
    mean : {"mean", "geometric"}
        See `earmark.training.mixture`.

    Raises
    ------
    ModelFormatError
        If a member is of another operator set than earmark writes.
    """
    merged = _front(plan)
    for number, member in enumerate(members):
        prefixed = compose.add_prefix(_bare(member), _prefix(number))
        merged = compose.merge_models(merged, prefixed, io_map=[(f"waveform_{number}", f"{_prefix(number)}waveform")])
    back = _Back(members, plan)
    for name in ("clip", "frames"):
        tensors = [back.scores(number, name) for number in range(len(members))]
        mixed = add_mixture(back.nodes, tensors, weights, mean, task=card.task, background=card.background)
        back.give(name, mixed, len(plan.labels))
    back.give_embeddings()
    back.give_novelty()
    return extend(merged, back.piece(), "ensemble")


def gives(member: onnx.ModelProto, output: str) -> bool:
    """Return whether a model has an output."""
    return any(item.name == output for item in member.graph.output)


def _prefix(number: int) -> str:
    return f"member_{number}/"


def _bare(member: onnx.ModelProto) -> onnx.ModelProto:
    """Return a member without its card, refusing one whose nodes may mean something else."""
    version = next((item.version for item in member.opset_import if item.domain in ("", "ai.onnx")), 0)
    if version != OPSET:
        raise ModelFormatError(
            f"a model of the ensemble is of ONNX operator set {version}, and earmark joins those of {OPSET}: "
            "save it again with this earmark"
        )
    bare = onnx.ModelProto()
    bare.CopyFrom(member)
    del bare.metadata_props[:]
    bare.ir_version = IR_VERSION
    return bare


def _front(plan: Plan) -> onnx.ModelProto:
    """Return the graph that gives each member its waveform."""
    nodes = Nodes()
    resampled: dict[int, str] = {}
    for number, part in enumerate(plan.parts):
        rate_hz = part.ratio.to_rate_hz
        if rate_hz not in resampled:
            resampled[rate_hz] = add_resampling(nodes, "waveform", part.ratio)
        nodes("Identity", resampled[rate_hz], output=f"waveform_{number}")
    outputs: dict[str, list[int | str]] = {
        f"waveform_{number}": ["batch", f"samples_{number}"] for number in range(len(plan.parts))
    }
    return nodes.model({"waveform": ["batch", "samples"]}, outputs)


class _Back:
    """The nodes after the members."""

    def __init__(self, members: Sequence[onnx.ModelProto], plan: Plan) -> None:
        self.nodes = Nodes()
        self._members, self._plan = members, plan
        self._inputs: dict[str, list[int | str]] = {}
        self._outputs: dict[str, list[int | str]] = {}
        self._frame_numbers = None if plan.is_plain else self._numbered()

    def piece(self) -> onnx.ModelProto:
        """Return them as a graph to extend the merged one with."""
        return self.nodes.model(self._inputs, self._outputs)

    def give(self, name: str, tensor: str, size: int) -> None:
        """Let a tensor be an output."""
        self.nodes("Identity", tensor, output=name)
        self._outputs[name] = ["batch", size] if name == "clip" else ["batch", "frames", size]

    def scores(self, number: int, name: str) -> str:
        """Return a member's scores on the common grid, the classes in the common order."""
        tensor = self._given(number, name)
        columns = self._plan.parts[number].columns
        if columns != tuple(range(len(columns))):
            axis = 1 if name == "clip" else 2
            tensor = self.nodes("Gather", tensor, self.nodes.integers(*columns), axis=axis)
        return tensor if name == "clip" else self._on_grid(tensor, self._plan.parts[number])

    def give_embeddings(self) -> None:
        """Lay the embeddings of the members that have some side by side."""
        having = [number for number, member in enumerate(self._members) if gives(member, "embeddings")]
        parts = [self._on_grid(self._given(number, "embeddings"), self._plan.parts[number]) for number in having]
        if parts:
            size = sum(int(output_shape(self._members[number], "embeddings")[-1]) for number in having)
            self.give("embeddings", self.nodes("Concat", *parts, axis=2), size)

    def give_novelty(self) -> None:
        """Give the mean novelty of the members that tell it."""
        having = [number for number, member in enumerate(self._members) if gives(member, "novelty")]
        parts = [self._on_grid(self._given(number, "novelty"), self._plan.parts[number]) for number in having]
        if parts:
            self.nodes("Mean", *parts, output="novelty")
            self._outputs["novelty"] = ["batch", "frames"]

    def _given(self, number: int, name: str) -> str:
        tensor = f"{GIVEN}{_prefix(number)}{name}"
        shape = output_shape(self._members[number], name)
        self._inputs[tensor] = ["batch", *(size if isinstance(size, int) else f"{name}_{number}" for size in shape[1:])]
        return tensor

    def _numbered(self) -> str:
        """Add the numbers of the ensemble's frames, shape [frames, 1]: the last one is padded, as everywhere."""
        nodes, plan = self.nodes, self._plan
        self._inputs[f"{GIVEN}waveform"] = ["batch", "samples"]
        beyond = nodes("Sub", nodes.size(f"{GIVEN}waveform", 1), nodes.integers(plan.frame_length))
        whole = nodes("Add", nodes("Max", beyond, nodes.integers(0)), nodes.integers(plan.frame_hop - 1))
        count = nodes("Add", nodes("Div", whole, nodes.integers(plan.frame_hop)), nodes.integers(1))
        zero, one = nodes.constant(0, np.int64), nodes.constant(1, np.int64)
        return nodes("Unsqueeze", nodes("Range", zero, nodes("Squeeze", count), one), nodes.integers(1))

    def _on_grid(self, tensor: str, part: Part) -> str:
        """Add the mean of the member's frames that stand for each of the ensemble's; at the end the last stays."""
        if self._frame_numbers is None:
            return tensor
        nodes = self.nodes
        starts = nodes("Mul", self._frame_numbers, nodes.integers(part.frames_per_hop))
        offsets = part.first_frame + np.arange(part.frames_per_hop)
        wanted = nodes("Add", starts, nodes.constant(offsets[None], np.int64))
        last = nodes("Sub", nodes.size(tensor, 1), nodes.integers(1))
        chosen = nodes("Gather", tensor, nodes("Min", wanted, last), axis=1)
        return nodes("ReduceMean", chosen, nodes.integers(2), keepdims=0)
