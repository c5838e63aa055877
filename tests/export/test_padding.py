"""Kernels that begin with zeros, padded evenly: the same answers, in a form that TensorFlow Lite has for itself."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from earmark.export.padding import with_even_padding
from earmark.model.backends import open_session


def pads_of(model: onnx.ModelProto) -> list[list[int]]:
    return [list(item.ints) for node in model.graph.node for item in node.attribute if item.name == "pads"]


@pytest.mark.parametrize("name", ["yamnet", "yamnet_int8"])
def test_yamnet_says_the_same(name: str, request: pytest.FixtureRequest, rng: np.random.Generator) -> None:
    model = onnx.load(request.getfixturevalue(name))
    even = with_even_padding(model)
    assert any(pads[:2] != pads[2:] for pads in pads_of(model))
    assert all(pads[:2] == pads[2:] for pads in pads_of(even) if len(pads) == 4)
    waveform = rng.uniform(-0.3, 0.3, (1, 30_000)).astype(np.float32)
    answers = [open_session(m.SerializeToString()).run(["clip"], {"waveform": waveform})[0] for m in (model, even)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


def convolutions(kernels: int, pads: list[list[int]], size: tuple[int, int]) -> onnx.ModelProto:
    """Return convolutions of stride two in a row, which share a kernel where there is but one."""
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal((2, 2, 3, 3)).astype(np.float32) for _ in range(kernels)]
    nodes = [
        helper.make_node(
            "Conv", [f"x{n}", f"w{min(n, kernels - 1)}"], [f"x{n + 1}"], pads=pad, strides=[2, 2], kernel_shape=[3, 3]
        )
        for n, pad in enumerate(pads)
    ]
    given = helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, 2, *size])
    made = helper.make_tensor_value_info(f"x{len(pads)}", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(weight, f"w{n}") for n, weight in enumerate(weights)]
    return helper.make_model(
        helper.make_graph(nodes, "g", [given], [made], tensors),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


@pytest.mark.parametrize("size", [(12, 16), (11, 7)])
@pytest.mark.parametrize(
    ("kernels", "pads", "moved"),
    [
        (2, [[0, 0, 1, 1], [1, 1, 2, 2]], 2),
        (2, [[0, 0, 1, 1], [1, 1, 1, 1]], 1),
        (1, [[0, 0, 1, 1], [0, 0, 1, 1]], 2),
        (1, [[0, 0, 1, 1], [1, 1, 1, 1]], 0),  # one kernel that is padded in two ways stays as it is
        (1, [[0, 1, 1, 1]], 0),
        (1, [[1, 1, 0, 0]], 0),
    ],
)
def test_what_is_moved(kernels: int, pads: list[list[int]], moved: int, size: tuple[int, int]) -> None:
    model = convolutions(kernels, pads, size)
    even = with_even_padding(model)
    assert sum(before != after for before, after in zip(pads, pads_of(even), strict=True)) == moved
    picture = np.random.default_rng(4).standard_normal((1, 2, *size)).astype(np.float32)
    answers = [open_session(m.SerializeToString()).run(None, {"x0": picture})[0] for m in (model, even)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
