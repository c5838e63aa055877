"""How well novelty tells sounds that the student never heard: ten classes are left out of a student, and asked about.

Nothing of these classes is in a view that this student is taught with, nor is a clip of the fold that it is asked
about.
"""

from pathlib import Path

import numpy as np

from earmark.evaluation.metrics import roc_auc
from everyday.exam import ask
from everyday.familiar import learn_novelty
from everyday.pool import Pool
from everyday.sound import Sound

NAME = "strangers"
"""Of the student without these classes, beside those of the folds."""

UNHEARD = 1
"""The fold that it is asked about."""

CLASSES = tuple(range(0, 50, 5))
"""Every fifth of the classes of ESC-50."""


def tell_strangers(folder: Path, pool: Pool, clips: list[Sound], rng: np.random.Generator) -> float:
    """Return the ROC-AUC of novelty between clips of these classes and clips of the others.

    Parameters
    ----------
    folder : Path
        Where the student is.
    pool : Pool
        Views to learn from what is familiar.
    clips : list of Sound
        Of fold `UNHEARD`.
    rng : numpy.random.Generator
        Draws the views.
    """
    weights = folder / f"{NAME}.pt"
    novelty = learn_novelty(weights, weights, pool, pool.rows(without=CLASSES), fold=UNHEARD, rng=rng)
    answers = ask(folder / f"{NAME}-float.onnx", clips)
    asked = np.array([float(novelty.apply(rows).mean()) for rows in answers.embeddings])
    unknown = np.isin(answers.columns, CLASSES)
    return float(roc_auc(asked[:, None], unknown[:, None].astype(np.float32))[0])
