"""Whether a file may be kept: what it says, held against what the model says."""

import math

from earmark.errors import ExportError
from earmark.export.parity import Parity

FLOAT_TOLERANCE = 1e-4
"""Largest difference between scores in float: the same arithmetic in another order."""

ROUNDED_TOLERANCE = 2e-2
"""Of scores where numbers are rounded: another processor rounds some of them the other way."""

_LEAST_AGREEMENT = 0.75  # of best classes, where numbers were rounded


def judge(parity: Parity, heard: Parity | None, *, exact: bool) -> None:
    """Refuse a file that disagrees with the model.

    Parameters
    ----------
    parity : Parity
        On the test signals.
    heard : Parity or None
        On recordings, which say more than signals where numbers were rounded.
    exact : bool
        Whether the arithmetic is the model's own.

    Raises
    ------
    ExportError
        If scores of an exact file differ by more than `FLOAT_TOLERANCE`, or a file of rounded numbers has another best
        class for more than a quarter of the sounds.
    """
    if not math.isfinite(parity.largest) or (exact and parity.largest > FLOAT_TOLERANCE):
        raise ExportError(
            f"the new file disagrees with the model: scores of the test signals differ by up to {parity.largest:.2g}, "
            f"allowed {FLOAT_TOLERANCE:.0e}; nothing is written. Please report it with the model"
        )
    agreement, sounds = (parity.agreement, "test signals") if heard is None else (heard.agreement, "recordings")
    if not exact and agreement < _LEAST_AGREEMENT:
        raise ExportError(
            f"the new file disagrees with the model: the best class is the same for {agreement:.0%} of the {sounds}, "
            f"needed {_LEAST_AGREEMENT:.0%}; nothing is written. Take another precision, or for int8 more varied sound"
        )
