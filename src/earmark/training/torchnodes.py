"""Torch modules as ONNX nodes: the layers and functions that earmark's own networks are made of, and no others.

`torch.onnx` does the same for everything, through a compiler that takes seconds to minutes where time is a free axis.
This takes milliseconds, and every node can be traced to a line here. Modules are followed into their `forward` by
`torch.fx`; one that has a method ``add_nodes(nodes, tensor)`` writes its own nodes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from earmark.errors import NetworkError
from earmark.features.nodes import END, Nodes


def is_translatable(module: nn.Module) -> bool:
    """Return whether a module is made of earmark's own and of known layers alone, so that `add_module` can write it."""
    known = (*_LAYERS, nn.Sequential, nn.ModuleList)
    return all(type(part).__module__.startswith("earmark.") or isinstance(part, known) for part in module.modules())


def add_module(nodes: Nodes, module: nn.Module, *inputs: str) -> tuple[str, ...]:
    """Add the nodes of a module in evaluation mode.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    module : Module
        In evaluation mode.
    inputs : str
        Tensors that `forward` takes.

    Returns
    -------
    tuple of str
        The tensors that `forward` gives.

    Raises
    ------
    NetworkError
        If the module has a layer or calls a function that is not known here.
    """
    graph = _Tracer().trace(module)
    return _Translation(nodes, module).run(graph, inputs)


class _Tracer(fx.Tracer):
    """Follows calls into modules down to torch's layers, and to those that write their own nodes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return hasattr(m, "add_nodes") or super().is_leaf_module(m, module_qualified_name)


class _Translation:
    """One walk over a traced graph; tensors are known by their ONNX names."""

    def __init__(self, nodes: Nodes, module: nn.Module) -> None:
        self.nodes, self.module = nodes, module
        self.values: dict[fx.Node, Any] = {}

    def run(self, graph: fx.Graph, inputs: Sequence[str]) -> tuple[str, ...]:
        remaining = iter(inputs)
        for node in graph.nodes:
            if node.op == "placeholder":
                self.values[node] = next(remaining)
            elif node.op == "output":
                result = self._known(node.args[0])
                return (result,) if isinstance(result, str) else tuple(result)
            else:
                self.values[node] = self._translate(node)
        raise AssertionError("a graph ends with its output")  # pragma: no cover

    def _translate(self, node: fx.Node) -> Any:
        args, kwargs = self._known(node.args), self._known(node.kwargs)
        if node.op == "get_attr":
            return self.nodes.constant(_array(_attribute(self.module, str(node.target))))
        if node.op == "call_module":
            return _add_layer(self.nodes, self.module.get_submodule(str(node.target)), *args)
        if isinstance(node.target, type):  # a named tuple around what was computed
            return node.target(*args, **kwargs)
        name = node.target if isinstance(node.target, str) else node.target.__name__
        if name not in _FUNCTIONS:
            raise NetworkError(
                f"{type(self.module).__name__} calls {name}, which earmark.training.torchnodes cannot write; "
                f"it knows {', '.join(sorted(_FUNCTIONS))}"
            )
        return _FUNCTIONS[name](self.nodes, *args, **kwargs)

    def _known(self, argument: Any) -> Any:
        return fx.node.map_arg(argument, lambda node: self.values[node])


def _attribute(module: nn.Module, path: str) -> Tensor:
    parent, _, name = path.rpartition(".")
    value: Tensor = getattr(module.get_submodule(parent), name)
    return value


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.detach().float().cpu().numpy()


def _add_layer(nodes: Nodes, layer: nn.Module, tensor: str) -> Any:
    """Add one layer of torch's, or a module that writes its own nodes."""
    if hasattr(layer, "add_nodes"):
        return layer.add_nodes(nodes, tensor)  # type: ignore[operator]
    for kind, add in _LAYERS.items():
        if isinstance(layer, kind):
            return add(nodes, layer, tensor)
    raise NetworkError(
        f"the layer {type(layer).__name__} cannot be written as ONNX nodes; "
        f"known: {', '.join(kind.__name__ for kind in _LAYERS)}, and modules with a method add_nodes"
    )


def add_convolution(nodes: Nodes, layer: Any, tensor: str) -> str:
    """Add a convolution of torch's, with its strides and its padding."""
    parameters = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    weights = [nodes.constant(_array(parameter)) for parameter in parameters]
    return nodes(
        "Conv",
        tensor,
        *weights,
        strides=list(layer.stride),
        pads=[*layer.padding, *layer.padding],
        dilations=list(layer.dilation),
        group=layer.groups,
    )


def _norm(nodes: Nodes, layer: Any, tensor: str) -> str:
    affine = (nodes.constant(_array(value)) for value in (layer.weight, layer.bias)) if layer.affine else (None, None)
    statistics = (nodes.constant(_array(value)) for value in (layer.running_mean, layer.running_var))
    return _batch_norm(nodes, tensor, *statistics, *affine, eps=layer.eps, channels=layer.num_features)


def _batch_norm(  # noqa: PLR0917 - as torch has it
    nodes: Nodes,
    tensor: str,
    mean: str,
    variance: str,
    weight: str | None = None,
    bias: str | None = None,
    *,
    eps: float = 1e-5,
    channels: int = 0,
    **_: Any,
) -> str:
    """Add a normalisation of axis 1 by stored statistics; `channels` is needed where it has no weight and bias."""
    weight = weight or nodes.constant(np.ones(channels), np.float32)
    bias = bias or nodes.constant(np.zeros(channels), np.float32)
    return nodes("BatchNormalization", *(tensor, weight, bias, mean, variance), epsilon=eps)


def _linear(nodes: Nodes, layer: nn.Linear, tensor: str) -> str:
    product = nodes("MatMul", tensor, nodes.constant(_array(layer.weight.T)))
    return product if layer.bias is None else nodes("Add", product, nodes.constant(_array(layer.bias)))


def _max_pool(nodes: Nodes, layer: Any, tensor: str) -> str:
    axes = 2 if isinstance(layer, nn.MaxPool2d) else 1
    size, stride, padding = (_each_axis(value, axes) for value in (layer.kernel_size, layer.stride, layer.padding))
    return nodes("MaxPool", tensor, kernel_shape=size, strides=stride, pads=[*padding, *padding])


def _each_axis(value: int | Sequence[int], axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else list(value)


def _zero_pad(nodes: Nodes, layer: nn.ZeroPad2d, tensor: str) -> str:
    left, right, top, bottom = layer.padding
    return nodes("Pad", tensor, nodes.integers(0, 0, top, left, 0, 0, bottom, right))


_LAYERS: dict[type[nn.Module], Callable[[Nodes, Any, str], str]] = {
    nn.Conv1d: add_convolution,
    nn.Conv2d: add_convolution,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.Linear: _linear,
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.ZeroPad2d: _zero_pad,
    nn.ReLU6: lambda nodes, _, tensor: _clamp(nodes, tensor, 0.0, 6.0),
    nn.ReLU: lambda nodes, _, tensor: nodes("Relu", tensor),
    nn.Flatten: lambda nodes, layer, tensor: nodes("Flatten", tensor, axis=layer.start_dim),
    nn.Dropout: lambda _, __, tensor: tensor,
    nn.Identity: lambda _, __, tensor: tensor,
}


def _operand(nodes: Nodes, value: str | float) -> str:
    return value if isinstance(value, str) else nodes.constant(value, np.float32)


def _binary(operator: str) -> Callable[[Nodes, str | float, str | float], str]:
    return lambda nodes, left, right: nodes(operator, _operand(nodes, left), _operand(nodes, right))


def _unary(operator: str) -> Callable[[Nodes, str], str]:
    return lambda nodes, tensor: nodes(operator, tensor)


def _reduction(operator: str) -> Callable[..., str]:
    def add(nodes: Nodes, tensor: str, dim: int | Sequence[int], keepdim: bool = False) -> str:
        axes = nodes.integers(*([dim] if isinstance(dim, int) else dim))
        return nodes(operator, tensor, axes, keepdims=int(keepdim))

    return add


def _clamp(nodes: Nodes, tensor: str, min: float | None = None, max: float | None = None) -> str:  # noqa: A002 - torch's
    bounds = ("" if bound is None else nodes.constant(bound, np.float32) for bound in (min, max))
    return nodes("Clip", tensor, *bounds)


def _logit(nodes: Nodes, tensor: str) -> str:
    odds = nodes("Div", tensor, nodes("Sub", nodes.constant(1.0, np.float32), tensor))
    return nodes("Log", odds)


def _unsqueeze(nodes: Nodes, tensor: str, dim: int) -> str:
    return nodes("Unsqueeze", tensor, nodes.integers(dim))


def _flatten(nodes: Nodes, tensor: str, start_dim: int) -> str:
    return nodes("Reshape", tensor, nodes.integers(*[0] * start_dim, -1))


def _unflatten(nodes: Nodes, tensor: str, dim: int, sizes: Sequence[int]) -> str:
    """Add the parting of the last axis: axes before it are kept, one of `sizes` may be -1."""
    return nodes("Reshape", tensor, nodes.integers(*[0] * dim, *sizes))


def _transpose(nodes: Nodes, tensor: str, first: int, second: int) -> str:
    """Add the exchange of two of three axes: what earmark's networks transpose has three."""
    order = [0, 1, 2]
    order[first], order[second] = order[second], order[first]
    return nodes("Transpose", tensor, perm=order)


def _slices(nodes: Nodes, tensor: str, index: Any) -> str:
    """Add ``tensor[a:b, ...]`` with slices of step 1 alone."""
    for axis, item in enumerate(index):
        assert isinstance(item, slice), index
        if item != slice(None):
            tensor = nodes.slice(tensor, item.start or 0, END if item.stop is None else item.stop, axis=axis)
    return tensor


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "truediv": _binary("Div"),
    "relu": _unary("Relu"),
    "sigmoid": _unary("Sigmoid"),
    "sqrt": _unary("Sqrt"),
    "log": _unary("Log"),
    "square": lambda nodes, tensor: nodes("Mul", tensor, tensor),
    "softmax": lambda nodes, tensor, dim: nodes("Softmax", tensor, axis=dim),
    "mean": _reduction("ReduceMean"),
    "sum": _reduction("ReduceSum"),
    "amax": _reduction("ReduceMax"),
    "amin": _reduction("ReduceMin"),
    "clamp": _clamp,
    "logit": _logit,
    "cat": lambda nodes, tensors, dim: nodes("Concat", *tensors, axis=dim),
    "unsqueeze": _unsqueeze,
    "flatten": _flatten,
    "unflatten": _unflatten,
    "transpose": _transpose,
    "getitem": _slices,
    "batch_norm": _batch_norm,
    "float": lambda _, tensor: tensor,
}
