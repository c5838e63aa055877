"""Decision trees in torch say what ONNX Runtime says, to which leaf a row goes as well as what the leaves add up to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from earmark.errors import ExportError
from earmark.export import trees
from earmark.export.torchmodel import TorchModel
from earmark.export.trees import Trees
from earmark.features.nodes import IR_VERSION, OPSET
from earmark.model.backends import open_session
from earmark.training.headnodes import ML_DOMAIN, ML_OPSET

Attributes = dict[str, Any]

FEATURES = 3
GRID = (-1.5, -0.25, 0.0, 0.1, 2.0, 1e30)
"""Of thresholds and of rows, so that many a number lies on its threshold."""


def forest(*shapes: Any, targets: int = 2, seed: int = 0, first: int = 0) -> Attributes:
    """Return the attributes of trees: a branch is a pair of what follows it, a leaf anything else."""
    rng = np.random.default_rng(seed)
    nodes: list[tuple[int, int, str, int, float, int, int]] = []
    leaves: list[tuple[int, int, int, float]] = []

    def grow(tree: int, shape: Any, number: int) -> int:
        """Add a node and all below it; return the next free number."""
        if not isinstance(shape, tuple):
            nodes.append((tree, number, "LEAF", 0, 0.0, 0, 0))
            leaves.extend((tree, number, target, float(rng.integers(0, 4)) / 8) for target in range(targets))
            return number + 1
        place = len(nodes)
        nodes.append((tree, number, "", 0, 0.0, 0, 0))
        other = grow(tree, shape[0], number + 1)
        threshold = np.float32(rng.choice(GRID))
        nodes[place] = (tree, number, "BRANCH_LEQ", int(rng.integers(FEATURES)), threshold, number + 1, other)
        return grow(tree, shape[1], other)

    for tree, shape in enumerate(shapes, start=first):
        grow(tree, shape, 0)
    names = ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    lists = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*nodes, strict=True), strict=True)}
    said = ("treeids", "nodeids", "ids", "weights")
    lists |= {f"target_{name}": list(column) for name, column in zip(said, zip(*leaves, strict=True), strict=True)}
    return {"n_targets": targets, **lists}


def model(attributes: Attributes, rows: NDArray[np.float32]) -> onnx.ModelProto:
    node = helper.make_node("TreeEnsembleRegressor", ["waveform"], ["y"], domain=ML_DOMAIN, **attributes)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("waveform", rows.shape), ("y", [len(rows), attributes["n_targets"]]))
    ]
    graph = helper.make_graph([node], "trees", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def in_torch(attributes: Attributes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = TorchModel(model(attributes, rows), "y").eval()(torch.from_numpy(rows)).numpy()
    return found


def assert_same(attributes: Attributes, rows: NDArray[np.float32]) -> None:
    expected = open_session(model(attributes, rows).SerializeToString()).run(["y"], {"waveform": rows})[0]
    found = in_torch(attributes, rows)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def drawn_rows(seed: int, count: int) -> NDArray[np.float32]:
    """Return rows on the thresholds, and by one step of float32 above or below them."""
    rng = np.random.default_rng(seed)
    on = rng.choice(np.array(GRID, np.float32), (count, FEATURES))
    return np.nextafter(on, on + rng.integers(-1, 2, on.shape), dtype=np.float32)


shapes = st.recursive(st.just("leaf"), lambda below: st.tuples(below, below), max_leaves=12)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(shapes, min_size=1, max_size=5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 9), st.integers(0, 2)
)
def test_any_trees(grown: list[Any], targets: int, count: int, seed: int, first: int) -> None:
    """Unbalanced ones, lone leaves, and trees that are not numbered from 0."""
    assert_same(forest(*grown, targets=targets, seed=seed, first=first), drawn_rows(seed, count))


def test_a_number_on_the_threshold_goes_where_a_smaller_one_goes() -> None:
    attributes = forest(("yes", "no"))
    threshold = np.float32(0.1)
    attributes |= {"nodes_featureids": [1, 0, 0], "nodes_values": [threshold, 0.0, 0.0]}
    attributes["target_weights"] = [1.0, 0.0, 0.0, 1.0]
    rows = np.zeros((4, FEATURES), np.float32)
    rows[:, 1] = [threshold, np.nextafter(threshold, np.float32(1)), np.nextafter(threshold, np.float32(0)), np.nan]
    assert in_torch(attributes, rows).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert_same(attributes, rows)


def test_a_chain_as_deep_as_a_tree_can_be() -> None:
    chain: Any = "leaf"
    for _ in range(60):
        chain = ("leaf", chain)
    attributes = forest(chain, "leaf")
    assert Trees.read(encoded(attributes)).depth == 60
    assert_same(attributes, drawn_rows(1, 8))


def test_nodes_in_any_order(rng: np.random.Generator) -> None:
    attributes = forest((("a", "b"), "c"), ("d", ("e", "f")))
    for kind in ("nodes", "target"):
        names = [name for name in attributes if name.startswith(kind)]
        order = rng.permutation(len(attributes[names[0]]))
        attributes |= {name: [attributes[name][place] for place in order] for name in names}
    rows = drawn_rows(2, 4)
    original = forest((("a", "b"), "c"), ("d", ("e", "f")))
    np.testing.assert_allclose(in_torch(attributes, rows), in_torch(original, rows), atol=1e-6)


def test_leaves_that_say_the_same_are_one() -> None:
    attributes = forest((("a", "b"), "c"), ("d", "e"))
    attributes["target_weights"] = [0.0, 1.0] * 3 + [1.0, 0.0] * 2
    found = Trees.read(encoded(attributes))
    assert (found.branches, len(found.leaves), found.places, found.depth) == (3, 2, 5, 2)


def encoded(attributes: Attributes) -> Attributes:
    """Return attributes as they are read from a file."""
    return attributes | {"nodes_modes": [mode.encode() for mode in attributes["nodes_modes"]]}


# What is not known.


def refusal(attributes: Attributes) -> str:
    with pytest.raises(ExportError) as refused:
        in_torch(attributes, np.zeros((2, FEATURES), np.float32))
    return str(refused.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _: {"aggregate_function": "AVERAGE"}, "trees with aggregate_function AVERAGE"),
        (lambda _: {"post_transform": "LOGISTIC"}, "trees with post_transform LOGISTIC"),
        (lambda _: {"base_values": [0.5, 0.0]}, "trees with base_values"),
        (lambda _: {"nodes_missing_value_tracks_true": [1, 0, 0]}, "trees with nodes_missing_value_tracks_true"),
        (lambda _: {"nodes_modes": ["BRANCH_LT", "LEAF", "LEAF"]}, "trees with nodes of the mode BRANCH_LT"),
    ],
)
def test_trees_of_another_kind(change: Callable[[Attributes], Attributes], sentence: str) -> None:
    attributes = forest(("yes", "no"))
    assert refusal(attributes | change(attributes)) == (
        f"the model's TreeEnsembleRegressor cannot be written for this format: {sentence}"
    )


def test_what_changes_nothing_is_passed_over() -> None:
    idle = {"aggregate_function": "SUM", "post_transform": "NONE", "base_values": [0.0, 0.0]}
    lists = {"nodes_hitrates": [1.0, 0.5, 0.5], "nodes_missing_value_tracks_true": [0, 0, 0]}
    assert_same(forest(("yes", "no")) | idle | lists, drawn_rows(3, 2))


def test_more_places_than_float32_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "_MOST_PLACES", 5)
    assert refusal(forest(("yes", "no"))).endswith("2 × 3 branches and leaves, more than 5")
