"""Backbones of timm with random weights. They need the extra ``timm``; `make test-timm` brings it and runs them.

torchvision, which timm imports, has no build for every build of torch, so these run in a process of their own.
"""

import sys
import warnings

import pytest
import torch

from earmark.errors import MissingExtraError, NetworkError, OptionError
from earmark.training.networks import build_network
from tests.training.test_networks import noise


@pytest.fixture(scope="module")
def timm():
    """Import timm; where torchvision was built for another torch, tell torch of the operators it misses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            timm = pytest.importorskip("timm", reason="timm is not installed: make test-timm brings it")
        except RuntimeError:
            operators = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
                del sys.modules[name]
            timm = pytest.importorskip("timm")
            timm.earmark_keeps = operators
    return timm


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet"])
def test_timm(timm, model, rng):
    network = build_network(f"timm:{model}", classes=4, task="single-label", seed=1, pretrained=False)
    assert network.geometry.frame_hop_seconds == pytest.approx(1.024)
    prediction = network(noise(rng, 2, 50_000))
    assert prediction.frames.shape == (2, 3, 4)
    prediction.clip.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.training


def test_timm_refusals(timm, monkeypatch):
    arguments = {"classes": 4, "task": "single-label", "seed": 1}
    with pytest.raises(OptionError, match=r"timm has no model 'resnet999'; near it: .*resne"):
        build_network("timm:resnet999", **arguments)

    def offline(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        NetworkError, match=r"weights of timm:test_resnet cannot be fetched \(no route\).*pretrained=Fal"
    ):
        build_network("timm:test_resnet", **arguments)


def test_no_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"network timm:resnet18 needs timm.*pip install 'earmark\[timm\]'"):
        build_network("timm:resnet18", classes=4, task="single-label", seed=1)
