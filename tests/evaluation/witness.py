"""sed_eval and sed_scores_eval, the outside witnesses of the event measures, imported in spite of their age."""

import sys
import warnings
from types import ModuleType
from typing import Any

_GONE = (
    "pkg_resources"  # dcase_util imports it, of which setuptools 81 and later have none, and needs it for examples only
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    _stand_in = _GONE not in sys.modules
    if _stand_in:
        sys.modules[_GONE] = ModuleType(_GONE)
    try:
        import dcase_util
        import pandas as pd
        import sed_eval
        from sed_scores_eval import collar_based, intersection_based
        from sed_scores_eval.base_modules import statistics
    finally:
        if _stand_in:
            del sys.modules[_GONE]

_curves = statistics.onset_offset_curves


def _curves_of_a_copy(scores: Any, *rest: Any) -> Any:
    """Let it write where pandas 3 gives what may only be read."""
    return _curves(scores.copy(), *rest)


statistics.onset_offset_curves = _curves_of_a_copy

__all__ = ["collar_based", "dcase_util", "intersection_based", "pd", "sed_eval"]
