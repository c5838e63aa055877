"""Networks by name: from a waveform to logits of clip and frames."""

from earmark.training.networks.heads import EmbeddingNetwork, build_head, list_heads
from earmark.training.networks.network import Geometry, Network, Prediction, parameter_count
from earmark.training.networks.registry import (
    NETWORKS,
    NetworkSpec,
    build_network,
    find_network,
    list_networks,
    parameters_of,
)

__all__ = [
    "NETWORKS",
    "EmbeddingNetwork",
    "Geometry",
    "Network",
    "NetworkSpec",
    "Prediction",
    "build_head",
    "build_network",
    "find_network",
    "list_heads",
    "list_networks",
    "parameter_count",
    "parameters_of",
]
