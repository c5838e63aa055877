"""Nodes that only heads need: those with two outputs, and those of ONNX's domain of classical machine learning."""

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import TensorProto, helper

from earmark.features.nodes import IR_VERSION, OPSET, Nodes

ML_DOMAIN = "ai.onnx.ml"
ML_OPSET = 3


class HeadNodes(Nodes):
    """Nodes of a graph under construction that may hold more: see the module."""

    def smallest(self, tensor: str, count: int) -> str:
        """Add a node for the `count` smallest numbers of each row, ascending."""
        name = f"smallest_{len(self._nodes)}"
        given = [tensor, self.integers(count)]
        self._nodes.append(helper.make_node("TopK", given, [name, f"{name}/places"], name=name, largest=0))
        return name

    def trees(self, rows: str, attributes: Mapping[str, Any]) -> str:
        """Add a node for the sum of decision trees; `attributes` as ONNX's TreeEnsembleRegressor has them."""
        return self("TreeEnsembleRegressor", rows, domain=ML_DOMAIN, **attributes)

    def model(self, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> onnx.ModelProto:
        """Return the checked model, importing that domain where a node is of it."""
        if all(node.domain != ML_DOMAIN for node in self._nodes):
            return super().model(inputs, outputs)
        given, wanted = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in tensors.items()]
            for tensors in (inputs, outputs)
        )
        model = helper.make_model(
            helper.make_graph(self._nodes, "earmark", given, wanted, self._tensors),
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)],
            ir_version=IR_VERSION,
            producer_name="earmark",
        )
        onnx.checker.check_model(model)
        return model
