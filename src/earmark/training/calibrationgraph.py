"""Calibration as nodes at the end of a graph."""

import numpy as np
import onnx

from earmark.features.nodes import END, Nodes
from earmark.training.extension import GIVEN, extend, output_shape
from earmark.training.scalings import Calibration, Isotonic, Platt, Temperature
from earmark.training.scorenodes import add_hold, add_log_scores, add_logits, add_silent_rows


def add_calibration(model: onnx.ModelProto, calibration: Calibration) -> onnx.ModelProto:
    """Return a graph whose ``clip`` and ``frames`` are calibrated.

    Parameters
    ----------
    model : onnx.ModelProto
        A whole model or a tail; left as it is. One that is calibrated already is calibrated on top of that.
    calibration : Temperature, Platt or Isotonic
        From `earmark.training.calibration.fit_calibration`.
    """
    shapes = {name: output_shape(model, name) for name in ("clip", "frames")}
    nodes = Nodes()
    clip = nodes("Unsqueeze", GIVEN + "clip", nodes.integers(1))
    rows = nodes("Concat", clip, GIVEN + "frames", axis=1)  # the scores of a clip pass the same nodes as its frames'
    calibrated = add_silent_rows(nodes, _calibrated(nodes, rows, calibration), rows)
    nodes("Gather", calibrated, nodes.constant(0, np.int64), axis=1, output="clip")
    nodes.slice(calibrated, 1, END, axis=1, output="frames")
    return extend(model, nodes.model({GIVEN + name: shape for name, shape in shapes.items()}, shapes), "calibration")


def _calibrated(nodes: Nodes, scores: str, calibration: Calibration) -> str:
    """Add what `calibration.apply` does to the sounding rows of a tensor whose last axis is the classes."""
    if isinstance(calibration, Temperature):
        return _cooled(nodes, scores, calibration)
    if isinstance(calibration, Platt):
        return _lined(nodes, scores, calibration)
    return _bent(nodes, scores, calibration)


def _cooled(nodes: Nodes, scores: str, calibration: Temperature) -> str:
    rows = add_log_scores(nodes, scores, background=calibration.background)
    shares = nodes("Softmax", nodes("Div", rows, nodes.constant(calibration.temperature, np.float32)), axis=-1)
    return nodes.slice(shares, 0, -1, axis=-1) if calibration.background else shares


def _lined(nodes: Nodes, scores: str, calibration: Platt) -> str:
    scaled = nodes("Mul", add_logits(nodes, scores), nodes.constant(calibration.slopes))
    return nodes("Sigmoid", nodes("Add", scaled, nodes.constant(calibration.intercepts)))


def _bent(nodes: Nodes, scores: str, calibration: Isotonic) -> str:
    starts, widths, rises = (nodes.constant(values, np.float32) for values in calibration.pieces())
    beyond = nodes("Sub", nodes("Unsqueeze", scores, nodes.integers(-1)), starts)
    along = add_hold(nodes, nodes("Div", beyond, widths), 0, 1)
    risen = nodes("ReduceSum", nodes("Mul", along, rises), nodes.integers(-1), keepdims=0)
    return nodes("Add", risen, nodes.constant(calibration.values[:, 0]))
