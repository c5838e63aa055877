"""Every recipe on ten instruments: 300 clips of FSDKaggle2018, five folds, each recipe with its defaults.

The clips have no official folds and name no sources, so that folds divide files, each class evenly.
"""

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.manifests import instruments
from benchmarks.outoffold import accuracy_row, out_of_fold
from benchmarks.row import Quantity, Row

RECIPES = ("head", "finetune", "cnn", "wave", "attention")
QUICK = {"finetune", "cnn", "wave", "attention"}
"""Recipes that have epochs."""


def measure(bench: Bench) -> Iterator[Row]:
    """Yield MAP@3 and accuracy of every recipe."""
    manifest = instruments(bench)
    for recipe in RECIPES:
        short = {"epochs": 1, "batch_size": 8} if bench.quick and recipe in QUICK else {}
        folds = out_of_fold(bench, "instruments", manifest, recipe, **short)
        metrics = folds.outcome().metrics
        yield Row(
            what=f"{recipe}: instruments, MAP@3",
            ours=Quantity(metrics.map_at_3, ""),
            note=f"calibration error {metrics.expected_calibration_error:.3f}",
        )
        yield accuracy_row("instruments", folds)
