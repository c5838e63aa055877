"""Resampling inside a graph, to a lower rate, as one strided convolution: a polyphase filter bank.

Of the ratio ``up / down`` in lowest terms, each block of `down` samples becomes `up`, one for each phase of the filter.
So a sample depends on a fixed stretch of the input, and a signal may be cut at any multiple of `down`.
"""

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.features.nodes import Nodes

MOST_PHASES = 512
"""More would make a filter bank larger than many a model: 44,100 Hz to 16,000 Hz needs 160, to 22,050 Hz one."""

_ZERO_CROSSINGS = 24  # of the sinc to each side
_PASSED = 0.94  # the edge of the pass band, as a share of the lower rate's half
_KAISER_BETA = 9.0  # about 90 dB


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two sample rates in lowest terms.

    Parameters
    ----------
    from_rate_hz, to_rate_hz : int
        ``from_rate_hz >= to_rate_hz``.

    Raises
    ------
    OptionError
        If the filter would need more than `MOST_PHASES` phases.
    """

    from_rate_hz: int
    to_rate_hz: int

    def __post_init__(self) -> None:
        if self.up > MOST_PHASES:
            raise OptionError(
                f"{self.from_rate_hz} Hz and {self.to_rate_hz} Hz stand {self.down} to {self.up}, and an ensemble "
                f"resamples by at most {MOST_PHASES} phases; train the models at rates that divide more evenly"
            )

    @property
    def up(self) -> int:
        """Samples that come of each `down`."""
        return self.to_rate_hz // gcd(self.from_rate_hz, self.to_rate_hz)

    @property
    def down(self) -> int:
        """Samples that become `up`."""
        return self.from_rate_hz // gcd(self.from_rate_hz, self.to_rate_hz)

    @property
    def margin(self) -> int:
        """Samples, at the higher rate, that the filter reaches to each side; 0 for equal rates."""
        return 0 if self.down == 1 else -(-_ZERO_CROSSINGS * self.down // self.up)

    def filters(self) -> NDArray[np.float64]:
        """Return the filter of each phase, shape (up, taps): a windowed sinc, each with a sum of 1."""
        phases = np.arange(self.up)[:, None] * self.down / self.up  # where each output lies, in input samples
        taps = np.arange(int(phases.max()) + 2 * self.margin + 1)[None, :] - self.margin
        distance = taps - phases
        cutoff = _PASSED * self.up / self.down
        inside = np.clip(1 - (distance / max(self.margin, 1)) ** 2, 0, None)
        filters = np.sinc(cutoff * distance) * np.i0(_KAISER_BETA * np.sqrt(inside)) * (inside > 0)
        return np.asarray(filters / filters.sum(axis=1, keepdims=True))


def add_resampling(nodes: Nodes, waveform: str, ratio: Ratio) -> str:
    """Add nodes that bring a waveform to a lower rate.

    The first output sample lies `ratio.margin` samples into the input, so that it needs nothing from before; at the end
    zeros follow.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    waveform : str
        Tensor of shape [batch, samples].
    ratio : Ratio

    Returns
    -------
    str
        Tensor of shape [batch, ceil(max(1, samples - 2 * margin) * up / down)].
    """
    if ratio.down == 1:
        return waveform
    bank = ratio.filters()
    samples = nodes.size(waveform, 1)
    within = nodes("Max", nodes("Sub", samples, nodes.integers(2 * ratio.margin)), nodes.integers(1))
    scaled = nodes("Mul", within, nodes.integers(ratio.up))
    wanted = nodes("Div", nodes("Add", scaled, nodes.integers(ratio.down - 1)), nodes.integers(ratio.down))
    padded = nodes("Pad", waveform, nodes.integers(0, 0, 0, bank.shape[1] + ratio.down))
    channels = nodes("Unsqueeze", padded, nodes.integers(1))
    blocks = nodes("Conv", channels, nodes.constant(bank[:, None], np.float32), strides=[ratio.down])
    in_order = nodes("Transpose", blocks, perm=[0, 2, 1])
    flat = nodes("Reshape", in_order, nodes.integers(0, -1))
    return nodes("Slice", flat, nodes.integers(0), wanted, nodes.integers(1))
