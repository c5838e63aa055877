"""None of these: trained on 40 classes of ESC-50, asked about the other ten.

Five draws: in draw k the classes whose number leaves the remainder k when divided by five are unknown. A model is
trained with the recipe `head` on folds 2 to 5 of the other forty, and asked about every clip of fold 1 with `earmark
evaluate`'s code: the novelty of a clip, as `earmark classify` gives it, is to tell the clips of the ten classes from
those of the forty. Nothing of fold 1, and no clip of the ten classes, was there in training.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.bench import Bench
from benchmarks.manifests import esc50, of_folds, where
from benchmarks.row import Goal, Quantity, Row
from earmark.data.manifest import Manifest
from earmark.evaluation.evaluate import evaluate
from earmark.training.train import train

DRAWS = 5
TRAINED_ON, TESTED_ON = ("2", "3", "4", "5"), ("1",)
REACH = 0.90


def measure(bench: Bench) -> Iterator[Row]:
    """Yield how well novelty tells unknown classes from known ones."""
    manifest, draws = esc50(bench), bench.pick(DRAWS, 1)
    rounds = [refuse(bench, manifest, draw) for draw in range(draws)]
    areas = [figures["roc_auc"] for figures, _ in rounds]
    methods = ", ".join(sorted({method for _, method in rounds}))
    yield Row(
        what="ROC-AUC of clips",
        ours=Quantity(float(np.mean(areas)), ""),
        goal=Goal(REACH),
        note=f"draws {', '.join(f'{area:.3f}' for area in areas)}; chosen by training: {methods}",
    )
    for what, name in (("unknown clips", "unknown_refused"), ("known clips", "known_refused")):
        shares = [100 * figures[name] for figures, _ in rounds]
        yield Row(
            what=f"{what} answered with none of these",
            ours=Quantity(float(np.mean(shares)), "%"),
            note=f"at the card's threshold; draws {', '.join(f'{share:.0f}' for share in shares)}",
        )


def refuse(bench: Bench, manifest: Manifest, draw: int) -> tuple[dict[str, float], str]:
    """Train without a fifth of the classes; return how they are told from the others, and by which method."""
    known = [label for index, label in enumerate(manifest.labels) if index % DRAWS != draw]
    lesson = where(of_folds(manifest, TRAINED_ON), lambda clip: clip.labels[0] in known)
    result = train(lesson, bench.folder / f"novelty-{draw}.onnx", recipe="head")
    outcome = evaluate(result.path, of_folds(manifest, TESTED_ON), unknown="none")
    return outcome.rejection(), str(result.card.training["novelty"]["method"])
