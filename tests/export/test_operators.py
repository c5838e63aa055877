"""A model's graph in torch says what ONNX Runtime says: every recipe's model, and every operator by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from earmark.errors import ExportError
from earmark.export.operators import OPERATORS
from earmark.export.padding import with_even_padding
from earmark.export.source import Source
from earmark.export.tflite import input_samples
from earmark.export.torchmodel import TorchModel
from earmark.features.nodes import END, IR_VERSION, OPSET
from earmark.model.backends import load_backend, open_session
from earmark.training.networks import list_heads
from tests.export import test_trees
from tests.export.exports import MODELS, Workshop, windows

NEAR = 1e-5
NEAR_OF = {"finetune": 1e-4}
"""What stands on YAMNet, of 3 million weights, is further off."""

Array = NDArray[Any]


def scores_in_torch(module: TorchModel, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = module(torch.from_numpy(waveform[None])).numpy()
    return found[0]


def differences(path: Path, *, integers: bool = True) -> NDArray[np.float32]:
    """Return how far ONNX Runtime and torch are apart for many sounds of two lengths: shape (sounds, classes)."""
    backend, module = load_backend(path), TorchModel(onnx.load(path), integers=integers).eval()
    card = backend.card
    return np.array(
        [
            np.abs(scores_in_torch(module, waveform) - backend.run(waveform[None]).clip[0])
            for samples in (input_samples(card, None), card.frame_length + 2 * card.frame_hop + 7)
            for waveform in windows(card, samples)
        ]
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_the_same_in_torch(name: str, workshop: Workshop) -> None:
    assert differences(workshop.model(name)).max() <= NEAR_OF.get(name, NEAR)


def test_yamnet_says_the_same_in_torch(yamnet: Path) -> None:
    assert differences(yamnet).max() <= NEAR_OF["finetune"]


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("model", ["everyday", "yamnet_int8"])
def test_models_in_eight_bits_round_alike_in_torch(model: str, integers: bool, request: pytest.FixtureRequest) -> None:
    """A tie may be rounded to either side, then a score moves a step or two: ONNX Runtime optimised does so too."""
    apart = differences(request.getfixturevalue(model), integers=integers)
    assert apart.mean() <= 2e-4
    assert apart.max() <= 0.1


def test_weights_in_eight_bits_are_known_as_such(everyday: Path, tiny_model: Path) -> None:
    assert TorchModel(onnx.load(everyday)).is_quantised
    assert not TorchModel(onnx.load(everyday), integers=False).is_quantised
    assert not TorchModel(onnx.load(tiny_model)).is_quantised


def test_the_models_of_every_head_are_tried() -> None:
    assert {f"conv-{head}" for head in list_heads()} <= set(MODELS)


# One operator at a time, against ONNX Runtime.


def single(
    operator: str, value: Array, *rest: Array | None, outputs: Sequence[str] = ("y",), **attributes: Any
) -> onnx.ModelProto:
    """Return a graph of one node: its first input is the waveform, the rest are constants, None is left out."""
    names = ["waveform", *("" if array is None else f"c{place}" for place, array in enumerate(rest))]
    constants = [numpy_helper.from_array(array, name) for name, array in zip(names[1:], rest, strict=True) if name]
    node = helper.make_node(operator, names, list(outputs), **attributes)
    dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
    graph = helper.make_graph(
        [node],
        "single",
        [helper.make_tensor_value_info("waveform", dtype, value.shape)],
        [helper.make_value_info(outputs[0], onnx.TypeProto())],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return onnx.shape_inference.infer_shapes(model)


def both(operator: str, value: Array, *rest: Array | None, **attributes: Any) -> tuple[Array, Array]:
    """Return what ONNX Runtime and torch make of a node."""
    model = single(operator, value, *rest, **attributes)
    output = model.graph.output[0].name
    expected = open_session(model.SerializeToString()).run([output], {"waveform": value})[0]
    with torch.no_grad():
        found = TorchModel(model, output).eval()(torch.from_numpy(value)).numpy()
    return expected, found


def assert_same(operator: str, value: Array, *rest: Array | None, near: float = 1e-5, **attributes: Any) -> None:
    expected, found = both(operator, value, *rest, **attributes)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=near, rtol=near)


def refusal(operator: str, value: Array, *rest: Array | None, **attributes: Any) -> str:
    """Return the sentence with which a node is refused."""
    model = single(operator, value, *rest, **attributes)
    with pytest.raises(ExportError) as refused:
        TorchModel(model, model.graph.output[0].name).eval()(torch.from_numpy(value))
    return str(refused.value)


def integers(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


@st.composite
def arrays(draw: st.DrawFn, *, least: int = 1, most: int = 4, size: int = 5) -> NDArray[np.float32]:
    """Draw an array of some axes, with numbers that are all different."""
    shape = draw(st.lists(st.integers(1, size), min_size=least, max_size=most))
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(int(np.prod(shape)))
    return (order.reshape(shape) / 7 - 3).astype(np.float32)


def axes_of(value: Array, *, least: int = 0) -> st.SearchStrategy[list[int]]:
    """Draw some of an array's axes, each once, counted from either end."""
    chosen = st.lists(st.integers(0, value.ndim - 1), min_size=least, unique=True)
    return st.tuples(chosen, st.booleans()).map(
        lambda drawn: [axis - value.ndim if drawn[1] else axis for axis in drawn[0]]
    )


quick = settings(deadline=None, max_examples=40)


@st.composite
def spans(draw: st.DrawFn, size: int) -> tuple[int, int, int]:
    """Draw start, end and step of a part of an axis that is not empty, counted from either end or beyond it."""
    step = draw(st.sampled_from([1, 2, 3, -1, -2]))
    start = draw(st.integers(0, size - 1))
    if step > 0:
        end = draw(st.integers(start + 1, size + 2))
        beyond = [END] if end > size else [end, end - size] if end < size else [end]
        first = [start, start - size] if start else [0, -size, -size - 3]
        return draw(st.sampled_from(first)), draw(st.sampled_from(beyond)), step
    end = draw(st.integers(-1, start - 1))
    ends = [-END, -size - 1] if end < 0 else [end, end - size]
    first = [start, start - size] if start < size - 1 else [start, size + 3, END]
    return draw(st.sampled_from(first)), draw(st.sampled_from(ends)), step


@quick
@given(st.data())
def test_slices(data: st.DataObject) -> None:
    value = data.draw(arrays())
    axes = data.draw(axes_of(value, least=1))
    parts = [data.draw(spans(value.shape[axis])) for axis in axes]
    starts, ends, steps = zip(*parts, strict=True)
    assert_same("Slice", value, *(np.array(each, np.int64) for each in (starts, ends, axes, steps)))


@quick
@given(st.data())
def test_pads(data: st.DataObject) -> None:
    value = data.draw(arrays())
    axes = data.draw(axes_of(value, least=1))
    most = [(value.shape[axis] - 1) // 2 for axis in axes]
    before = [data.draw(st.integers(-size, 3)) for size in most]
    after = [data.draw(st.integers(-size, 3)) for size in most]
    fill = data.draw(st.sampled_from([None, np.float32(2.5)]))
    assert_same("Pad", value, integers(*before, *after), None if fill is None else np.array(fill), integers(*axes))


@quick
@given(st.data())
def test_gathers(data: st.DataObject) -> None:
    value = data.draw(arrays())
    axis = data.draw(st.integers(-value.ndim, value.ndim - 1))
    place = st.integers(-value.shape[axis], value.shape[axis] - 1)
    places = data.draw(
        st.one_of(
            place.map(lambda index: np.array(index, np.int64)),
            st.lists(place, min_size=1, max_size=4).map(lambda index: np.array(index, np.int64)),
            st.lists(place, min_size=2, max_size=2).map(lambda index: np.array([index, index], np.int64)),
        )
    )
    assert_same("Gather", value, places, axis=axis)


@quick
@given(st.data(), st.sampled_from(["ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"]))
def test_reductions(data: st.DataObject, operator: str) -> None:
    value = data.draw(arrays())
    axes = data.draw(axes_of(value))
    keepdims = data.draw(st.integers(0, 1))
    assert_same(operator, value, integers(*axes) if axes else None, keepdims=keepdims, near=1e-4)


@quick
@given(st.data(), st.sampled_from(["Squeeze", "Unsqueeze"]))
def test_axes_that_come_and_go(data: st.DataObject, operator: str) -> None:
    value = data.draw(arrays(most=3))
    if operator == "Squeeze":
        single_ones = [axis for axis, size in enumerate(value.shape) if size == 1]
        axes = data.draw(st.lists(st.sampled_from(single_ones), unique=True)) if single_ones else []
        assert_same(operator, value, *([integers(*axes)] if axes else []))
    else:
        rank = value.ndim + 2
        axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=2, max_size=2, unique=True))
        assert_same(operator, value, integers(*(axis - rank if data.draw(st.booleans()) else axis for axis in axes)))


@quick
@given(st.data())
def test_shapes_and_orders(data: st.DataObject) -> None:
    value = data.draw(arrays(least=2))
    order = data.draw(st.permutations(range(value.ndim)))
    assert_same("Transpose", value, perm=order)
    assert_same("Transpose", value)
    assert_same("Flatten", value, axis=data.draw(st.integers(0, value.ndim)))
    kept = data.draw(st.integers(0, value.ndim - 1))
    assert_same("Reshape", value, integers(*[0] * kept, -1))
    assert_same("Concat", value, value + 1, axis=data.draw(st.integers(-value.ndim, value.ndim - 1)))


@quick
@given(st.data())
def test_largest_and_smallest(data: st.DataObject) -> None:
    value = data.draw(arrays())
    axis = data.draw(st.integers(-value.ndim, value.ndim - 1))
    count = data.draw(st.integers(1, value.shape[axis]))
    largest = data.draw(st.integers(0, 1))
    assert_same("TopK", value, integers(count), axis=axis, largest=largest, outputs=("y", "places"))


@quick
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 2))
    group = data.draw(st.integers(1, 2))
    dilations = [data.draw(st.integers(1, 2)) for _ in range(axes)]
    kernel = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    pads = [data.draw(st.integers(0, 2)) for _ in range(2 * axes)]
    strides = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    rng = np.random.default_rng(axes + group)
    value = rng.standard_normal((1, 2 * group, *[8] * axes)).astype(np.float32)
    weight = rng.standard_normal((4 * group, 2, *kernel)).astype(np.float32)
    bias = rng.standard_normal(4 * group).astype(np.float32) if data.draw(st.booleans()) else None
    given_ = (weight,) if bias is None else (weight, bias)
    assert_same("Conv", value, *given_, group=group, strides=strides, pads=pads, dilations=dilations, near=1e-4)


@quick
@given(st.data(), st.sampled_from(["MaxPool", "AveragePool"]))
def test_pools(data: st.DataObject, operator: str) -> None:
    axes = data.draw(st.integers(1, 2))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    pads = [data.draw(st.integers(0, size // 2)) for size in kernel]
    after = [data.draw(st.integers(0, size // 2)) for size in kernel] if operator == "MaxPool" else pads
    strides = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    counted = {"count_include_pad": data.draw(st.integers(0, 1))} if operator == "AveragePool" else {}
    value = np.random.default_rng(3).standard_normal((1, 2, *[9] * axes)).astype(np.float32)
    assert_same(operator, value, kernel_shape=kernel, strides=strides, pads=[*pads, *after], **counted)


@quick
@given(st.integers(0, 1), st.integers(0, 1), st.booleans(), st.floats(0.25, 2), st.floats(0.25, 2))
def test_general_products(across: int, over: int, biased: bool, alpha: float, beta: float) -> None:
    rng = np.random.default_rng(5)
    value = rng.standard_normal((4, 3) if across else (3, 4)).astype(np.float32)
    weight = rng.standard_normal((5, 4) if over else (4, 5)).astype(np.float32)
    bias = (rng.standard_normal(5).astype(np.float32),) if biased else ()
    assert_same("Gemm", value, weight, *bias, transA=across, transB=over, alpha=alpha, beta=beta)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((1, 2, 3, 4), (1, 2, 4, 2)), ((3, 4), (4,))],
)
def test_products(left: tuple[int, ...], right: tuple[int, ...], rng: np.random.Generator) -> None:
    assert_same("MatMul", rng.standard_normal(left).astype("f4"), rng.standard_normal(right).astype("f4"))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum"])
@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (2, 1, 4)])
def test_pairs(operator: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    value = rng.uniform(0.5, 2, (2, 3, 4)).astype(np.float32)
    other = np.asarray(rng.uniform(0.5, 2, shape), np.float32)
    assert_same(operator, value, other)
    if operator in ("Max", "Min", "Sum"):
        assert_same(operator, value, other, other + 0.25)


@pytest.mark.parametrize("operator", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_comparisons(operator: str) -> None:
    expected, found = both(operator, np.array([[1.0, 2, 3]], np.float32), np.array(2, np.float32))
    assert expected.tolist() == found.tolist()


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        *((name, {}) for name in ("Abs", "Exp", "HardSwish", "Identity", "Neg", "Relu", "Sigmoid", "Tanh")),
        *((name, {}) for name in ("Log", "Reciprocal", "Sqrt")),
        ("HardSigmoid", {}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
        ("Softmax", {}),
        ("Softmax", {"axis": 1}),
        ("GlobalAveragePool", {}),
        ("Cast", {"to": TensorProto.INT64}),
        ("Cast", {"to": TensorProto.BOOL}),
    ],
)
def test_one_of_one(operator: str, attributes: dict[str, Any], rng: np.random.Generator) -> None:
    only_positive = operator in ("Log", "Reciprocal", "Sqrt")
    value = rng.uniform(0.1 if only_positive else -4, 4, (2, 3, 5)).astype(np.float32)
    assert_same(operator, value, **attributes)


@pytest.mark.parametrize("bounds", [(-1.0, None), (None, 1.0), (-0.5, 0.75)])
def test_bounds(bounds: tuple[float | None, float | None], rng: np.random.Generator) -> None:
    low, high = (None if bound is None else np.array(bound, np.float32) for bound in bounds)
    assert_same("Clip", rng.uniform(-2, 2, (2, 9)).astype(np.float32), low, high)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 7), (2, 3, 7, 5)])
def test_normalisations(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    value = rng.standard_normal(shape).astype(np.float32)
    scale, bias, mean, variance = (rng.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4))
    assert_same("BatchNormalization", value, scale, bias, mean, variance, epsilon=1e-3)
    last = [rng.uniform(0.5, 2, shape[-1]).astype(np.float32) for _ in range(2)]
    assert_same("LayerNormalization", value, *last)
    assert_same("LayerNormalization", value, last[0], epsilon=1e-2)
    axes = [rng.uniform(0.5, 2, shape[1:]).astype(np.float32) for _ in range(2)]
    assert_same("LayerNormalization", value, *axes, axis=1)


@pytest.mark.parametrize("sizes", [(1, 2, 8, 6), (1, 2, 7, 3), (1, 2, 3, 9), (1, 2, 1, 1)])
@pytest.mark.parametrize(
    "how",
    [
        {"mode": "linear"},
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ],
)
def test_other_sizes(sizes: tuple[int, ...], how: dict[str, Any], rng: np.random.Generator) -> None:
    assert_same("Resize", rng.standard_normal((1, 2, 5, 4)).astype(np.float32), None, None, integers(*sizes), **how)


@pytest.mark.parametrize(
    "how",
    [
        {"mode": "nearest"},
        {"mode": "cubic"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
    ],
)
def test_other_sizes_in_ways_that_torch_has_not(how: dict[str, Any]) -> None:
    said = refusal("Resize", VALUE, None, None, integers(1, 1, 7, 5), **how)
    assert said.startswith(f"the model's Resize cannot be written for this format: the mode {how['mode']}")
    by_scales = refusal("Resize", VALUE, None, np.array([1, 1, 2, 2], np.float32), **how)
    assert "scales in place of sizes" in by_scales


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("in_integers", [True, False])
def test_roundings(dtype: Any, in_integers: bool, rng: np.random.Generator) -> None:
    """A number on the way to eight bits and back is the same, to the last bit; beyond the ends too."""
    value = rng.uniform(-4, 4, (2, 300)).astype(np.float32)
    zero = np.array(100 if dtype is np.uint8 else -20, dtype)
    scale = np.array(0.017, np.float32)
    there = single("QuantizeLinear", value, scale, zero)
    back = helper.make_node("DequantizeLinear", ["y", "c0", "c1"], ["z"])
    there.graph.node.append(back)
    there.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, value.shape))
    expected = open_session(there.SerializeToString()).run(["z"], {"waveform": value})[0]
    with torch.no_grad():
        found = TorchModel(there, "z", integers=in_integers)(torch.from_numpy(value)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_operator_is_tried_by_itself_or_in_a_model() -> None:
    """What is in the table and neither here nor in a model of earmark's is written without a test."""
    text = "".join(Path(file).read_text(encoding="utf-8") for file in (__file__, test_trees.__file__))
    assert [name for name in OPERATORS if f'"{name}"' not in text] == []


# Padding that is uneven in a picture's two directions alike.


def uneven_convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    pads = [
        (node, list(item.ints))
        for node in model.graph.node
        for item in node.attribute
        if node.op_type == "Conv" and item.name == "pads"
    ]
    return [node for node, sizes in pads if sizes[: len(sizes) // 2] != sizes[len(sizes) // 2 :]]


@pytest.mark.parametrize("model", ["everyday", "yamnet", "yamnet_int8"])
def test_even_padding_changes_no_answer(model: str, request: pytest.FixtureRequest) -> None:
    given_ = onnx.load(request.getfixturevalue(model))
    content = given_.SerializeToString()
    even = with_even_padding(given_)
    assert given_.SerializeToString() == content
    assert bool(uneven_convolutions(given_)) == (model != "everyday")
    assert not uneven_convolutions(even)
    card = load_backend(request.getfixturevalue(model)).card
    one, other = (open_session(each.SerializeToString()) for each in (given_, even))
    for waveform in windows(card, card.frame_length + card.frame_hop):
        expected, found = (each.run(["clip"], {"waveform": waveform[None]})[0] for each in (one, other))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(
    ("pads", "becomes"),
    [
        ([0, 0, 1, 1], [1, 1, 1, 1]),
        ([1, 0, 2, 1], [2, 1, 2, 1]),
        ([1, 1, 1, 1], [1, 1, 1, 1]),
        ([0, 0, 1, 0], [0, 0, 1, 0]),
        ([0, 0, 2, 2], [0, 0, 2, 2]),
    ],
)
def test_kernels_that_begin_with_zeros(
    pads: list[int], becomes: list[int], group: int, rng: np.random.Generator
) -> None:
    value = rng.standard_normal((1, 2 * group, 8, 9)).astype(np.float32)
    weight = rng.standard_normal((4 * group, 2, 3, 3)).astype(np.float32)
    model = single("Conv", value, weight, pads=pads, strides=[2, 2], kernel_shape=[3, 3], group=group)
    even = with_even_padding(model)
    (said,) = [list(item.ints) for item in even.graph.node[0].attribute if item.name == "pads"]
    assert said == becomes
    one, other = (open_session(each.SerializeToString()).run(["y"], {"waveform": value})[0] for each in (model, even))
    np.testing.assert_allclose(other, one, atol=1e-5)


# What is not known.


VALUE = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)


def test_operators_that_are_not_known() -> None:
    assert refusal("Erf", VALUE) == (
        "the model has the operator Erf, which cannot be written for this format; export it to ONNX or for the web, "
        "which run the model as it is, or train another head"
    )


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}),
        ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("AveragePool", {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
        ("Cast", {"to": TensorProto.FLOAT16}),
    ],
)
def test_attributes_that_are_not_known(operator: str, attributes: dict[str, Any]) -> None:
    said = refusal(operator, VALUE, **attributes)
    assert said.startswith(f"the model's {operator} cannot be written for this format: ")


def test_attributes_that_change_nothing_are_passed_over() -> None:
    assert_same("MaxPool", VALUE, kernel_shape=[2, 2], dilations=[1, 1], auto_pad="NOTSET", storage_order=0)
    assert_same("TopK", VALUE, integers(1), sorted=1, outputs=("y", "places"))
    weight = np.ones((1, 1, 3, 3), np.float32)
    assert_same("Conv", VALUE, weight, kernel_shape=[3, 3], auto_pad="NOTSET")


def test_what_depends_on_the_sound_and_must_not() -> None:
    said = refusal("Expand", VALUE, integers(2, 1, 4, 4))
    assert said == "the model computes Expand of the sound itself, which cannot be written for this format"


def test_a_model_by_any_source_is_read_once(everyday: Path) -> None:
    source = Source.find(everyday)
    assert source.is_int8
    assert source.graph is source.graph
