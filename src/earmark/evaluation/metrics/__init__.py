"""How good scores are, in numbers: ranking, decisions and reliability, over clips and classes.

Everywhere `scores` are float, shape (clips, classes), and `targets` of the same shape are 1 where a clip has a label
and 0 where it has not. A row of zeros is a negative: a clip that has none of the labels. What cannot be said, such as
the recall of a class without positives, is NaN, and means leave it out. NumPy is all that is needed.
"""

from earmark.evaluation.metrics.decision import confusion, decide, precision_recall_f1, top_k_accuracy
from earmark.evaluation.metrics.probability import (
    ReliabilityBin,
    brier,
    expected_calibration_error,
    log_loss,
    reliability,
)
from earmark.evaluation.metrics.ranking import (
    average_precision,
    d_prime,
    lwlrap,
    map_at_k,
    precision_recall_curve,
    roc_auc,
)
from earmark.evaluation.metrics.summary import ClassMetrics, Metrics, Spread, Thresholds, measure, spread_over_folds

__all__ = [
    "ClassMetrics",
    "Metrics",
    "ReliabilityBin",
    "Spread",
    "Thresholds",
    "average_precision",
    "brier",
    "confusion",
    "d_prime",
    "decide",
    "expected_calibration_error",
    "log_loss",
    "lwlrap",
    "map_at_k",
    "measure",
    "precision_recall_curve",
    "precision_recall_f1",
    "reliability",
    "roc_auc",
    "spread_over_folds",
    "top_k_accuracy",
]
