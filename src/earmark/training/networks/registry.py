"""The networks by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from earmark.errors import OptionError
from earmark.model.card import Task
from earmark.training.networks.compact import compact
from earmark.training.networks.cvxtz import cvxtz_1d, cvxtz_2d
from earmark.training.networks.heads import build_head
from earmark.training.networks.imagenet import PREFIX, imagenet
from earmark.training.networks.network import Network, parameter_count
from earmark.training.networks.sbcnn import sb_cnn
from earmark.training.networks.scratch import conv, wave
from earmark.training.networks.seeded import seeded
from earmark.training.networks.simpleaudio import simple_audio
from earmark.training.networks.yamnet import yamnet

Kind = Literal["cnn", "wave"]

OURS = "earmark"
"""The source of networks that are nobody else's."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network by name.

    Parameters
    ----------
    name : str
        What `build_network` takes.
    kind : {"cnn", "wave"}
        Whether it takes a spectrogram or the waveform.
    description, source : str
        One sentence, and whose network it is.
    make : callable
        Makes the network for a maker of heads; its keyword arguments are the network's options.
    """

    name: str
    kind: Kind
    description: str
    source: str
    make: Callable[..., Network]

    @property
    def is_ours(self) -> bool:
        """Whether earmark's authors designed it."""
        return self.source == OURS

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the network's own options."""
        parameters = inspect.signature(self.make).parameters.values()
        return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


_SPECS = (
    NetworkSpec("conv", "cnn", "Residual network on the log-mel spectrogram; ours, from scratch.", OURS, conv),
    NetworkSpec("compact", "cnn", "Small residual network on a coarse log-mel spectrogram; ours.", OURS, compact),
    NetworkSpec("wave", "wave", "Residual network on filters learned from the waveform; ours.", OURS, wave),
    NetworkSpec("yamnet", "cnn", "YAMNet with its AudioSet weights as a warm start.", "tensorflow/models", yamnet),
    NetworkSpec(
        "cvxtz-1d", "wave", "Cascade of 1-D convolutions on 2 s of waveform.", "CVxTz/audio_classification", cvxtz_1d
    ),
    NetworkSpec("cvxtz-2d", "cnn", "2-D convolutions on 320 mel bands.", "CVxTz/audio_classification", cvxtz_2d),
    NetworkSpec("sb-cnn", "cnn", "Three convolutions on small log-mel windows.", "jonnor/machinehearing", sb_cnn),
    NetworkSpec(
        "simple-audio",
        "cnn",
        "Two convolutions on a small spectrogram.",
        "tensorflow.org/tutorials/audio",
        simple_audio,
    ),
)

NETWORKS: Mapping[str, NetworkSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""The networks by name. ``timm:NAME`` is a network too, for every NAME of a convolutional model that timm knows."""


def list_networks(kind: Kind | None = None) -> tuple[NetworkSpec, ...]:
    """Return the named networks, of one kind if given."""
    return tuple(spec for spec in _SPECS if kind in (None, spec.kind))


def find_network(name: str) -> NetworkSpec:
    """Return the network of a name.

    Raises
    ------
    OptionError
        If the name is not known.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if name.startswith(PREFIX) and name != PREFIX:
        model = name.removeprefix(PREFIX)
        return NetworkSpec(name, "cnn", f"timm's {model} on log-mel pictures.", "timm", partial(imagenet, model))
    raise OptionError(f"network {name!r} is not known; allowed: {', '.join(NETWORKS)}, or {PREFIX}NAME of a timm model")


def build_network(
    name: str,
    *,
    classes: int,
    task: Task,
    seed: int,
    head: str = "mean",
    head_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Network:
    """Make a network, in training mode.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`, or ``timm:NAME``.
    classes : int
        Number of logits; a background class counts.
    task : {"multi-label", "single-label"}
        Whether classes may sound together or exclude each other.
    seed : int
        Of the initial weights. Torch's own random state stays as it was.
    head : str
        How frames become a clip, as `earmark.training.networks.heads.build_head` has it.
    head_options : Mapping, optional
        ``dropout`` and ``width`` of the head.
    options
        The network's own, see `NetworkSpec.options`.

    Raises
    ------
    OptionError
        If network, head or option are not known.
    NetworkError
        If a value is not allowed, or the network cannot be made.
    """
    spec = find_network(name)
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        allowed = ", ".join(spec.options) or "none"
        raise OptionError(f"network {name!r} has no option {unknown[0]!r}; allowed: {allowed}")

    def make_head(embedding_size: int) -> Any:
        return build_head(head, embedding_size, classes, task, **(head_options or {}))

    with seeded(seed):
        return spec.make(make_head, **options)


def parameters_of(name: str, classes: int, **options: Any) -> int:
    """Return how many numbers a network with the plain head learns."""
    return parameter_count(build_network(name, classes=classes, task="single-label", seed=0, **options))
