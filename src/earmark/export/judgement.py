"""Whether a file may be kept: what it says, held against what the model says."""

from collections.abc import Iterable
from dataclasses import dataclass

from earmark.errors import ExportError
from earmark.export.parity import Parity

FLOAT_TOLERANCE = 1e-4
"""Largest difference between scores in float: the same arithmetic in another order. A calibration may widen it."""

ROUNDED_TOLERANCE = 2e-2
"""Of scores where numbers are rounded: another processor rounds some of them the other way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a file may be from the model.

    Parameters
    ----------
    largest : float
        Most that any score may differ.
    mean : float
        Most that the largest differences of the sounds may be in the mean.
    agreement : float
        Least share of the sounds with the same best class, and with the same answer to whether it is refused.
    """

    largest: float
    mean: float
    agreement: float


EXACT = Limits(10 * FLOAT_TOLERANCE, FLOAT_TOLERANCE, 0.0)  # of equal scores any may be the best
STEPS = Limits(500 * FLOAT_TOLERANCE, 10 * FLOAT_TOLERANCE, 0.0)
"""For decision trees in float: a number that lies on a threshold, to its last digit, may go to either side of it, and
one tree of 200 then moves a score by some thousandths."""

HALF = Limits(0.2, 0.02, 0.75)
EIGHT_BITS = Limits(1.0, 0.15, 0.75)
UNHEARD = Limits(1.0, 0.3, 0.5)
"""For eight bits on test signals, which are unlike all that activations were measured on."""


def judge(measured: Iterable[tuple[str, Parity | None, Limits]]) -> None:
    """Refuse a file that disagrees with the model.

    Parameters
    ----------
    measured : iterable of (str, Parity or None, Limits)
        What was heard, how both compare on it, and what is allowed; None where it was not heard.

    Raises
    ------
    ExportError
        If a limit is passed, or a score is no number.
    """
    for sounds, parity, limits in measured:
        problem = None if parity is None else _problem(parity, limits)
        if problem:
            raise ExportError(
                f"the new file disagrees with the model: on the {sounds} {problem}; nothing is written. "
                "Take another precision, or for int8 more and more varied sound"
            )


def _problem(parity: Parity, limits: Limits) -> str | None:
    if not parity.is_finite:
        return "scores are no numbers"
    if parity.largest > limits.largest:
        return f"scores differ by up to {parity.largest:.2g}, allowed {limits.largest:.2g}"
    if parity.mean > limits.mean:
        return f"scores differ by {parity.mean:.2g} in the mean, allowed {limits.mean:.2g}"
    if parity.agreement < limits.agreement:
        return f"the best class is the same for {parity.agreement:.0%}, needed {limits.agreement:.0%}"
    if parity.refusals is not None and parity.refusals < limits.agreement:
        return f"the same is refused for {parity.refusals:.0%}, needed {limits.agreement:.0%}"
    return None
