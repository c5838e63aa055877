"""The recipe of the model inside, step by step: ``python -m everyday --help``.

python -m everyday.make      makes the sounds and lists them with those of ../shared
python -m everyday pool      draws views of them, as student and teacher see them
python -m everyday fold 1    teaches a student without fold 1 of ESC-50 and tests it there; so for each fold
python -m everyday strangers teaches a student without fold 1 and without ten classes, and tests its novelty on them
python -m everyday all       teaches the student that is shipped, with everything
python -m everyday ship      calibrates it by what the students of the folds said, and writes the model file
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch

from everyday.exam import PLAIN, ask
from everyday.familiar import learn_novelty
from everyday.fill import Heaps, fill, fold_of
from everyday.labels import LABELS
from everyday.pool import COMMON_FOLD, HELD_OUT_FOLD, Pool
from everyday.ship import WEIGHTS, Scenes, Unseen, hear_scenes, ship
from everyday.sound import Sound, read_sounds
from everyday.sources import SHARED, esc50
from everyday.strangers import CLASSES, UNHEARD, tell_strangers
from everyday.strangers import NAME as STRANGERS
from everyday.student import Lesson, frame_centres, level_classes, new_student, teach
from everyday.teacher import Teacher
from everyday.writing import write_students

SEED = 2026
FOLDS = (1, 2, 3, 4, 5)
SCENES = 150
"""Soundscapes that thresholds are fitted to, of each fold."""

BUILD = Path("build", "everyday")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step of the recipe."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.step == "pool":
        rng = np.random.default_rng(SEED)
        fill(Heaps.read(_sounds(options), rng), options.build / "pool", options.views, rng, _report)
    elif options.step == "fold":
        path = options.build / f"fold-{options.fold}"
        _teach(options, {*FOLDS, COMMON_FOLD} - {options.fold}, path)
        _test(options, path)
    elif options.step == "strangers":
        _teach(options, {*FOLDS, COMMON_FOLD} - {UNHEARD}, options.build / STRANGERS, without=CLASSES)
        _report(f"ROC-AUC of novelty: {_novelty_of_strangers(options):.3f}")
    elif options.step == "all":
        _teach(options, {*FOLDS, COMMON_FOLD, HELD_OUT_FOLD}, options.build / "all")
    else:
        _report(f"written: {_ship(options)}")
    return 0


def _teach(options: argparse.Namespace, folds: set[int], path: Path, without: Sequence[int] = ()) -> None:
    """Teach a student with the views of some folds, those aside with anything of some classes, and write it."""
    pool = Pool.open(options.build / "pool")
    rows = pool.rows(folds, without)
    teacher = Teacher(pool, rows, frame_centres(new_student(SEED)), SEED)
    student = teach(pool, rows, teacher, Lesson(views=options.views, seed=SEED), _report)
    level_classes(student, pool, rows)
    torch.save(student.state_dict(), path.with_suffix(".pt"))
    strange = [LABELS[column] for column in without]
    heard = [sound for sound in _sounds(options) if fold_of(sound) in folds and sound.label not in strange]
    write_students(student, heard, path, np.random.default_rng(SEED))


def _test(options: argparse.Namespace, path: Path) -> None:
    """Report the accuracy on the clips of a fold."""
    clips = _clips_of(options, options.fold)
    for model in (path.with_name(f"{path.name}-float.onnx"), path.with_suffix(".onnx")):
        _report(f"{model.name}, fold {options.fold}: accuracy {100 * ask(model, clips, PLAIN).accuracy:.2f} %")


def _novelty_of_strangers(options: argparse.Namespace) -> float:
    pool = Pool.open(options.build / "pool")
    return tell_strangers(options.build, pool, _clips_of(options, UNHEARD), np.random.default_rng(SEED))


def _clips_of(options: argparse.Namespace, fold: int) -> list[Sound]:
    """Return the clips of ESC-50 in a fold, those that may not be taught with among them."""
    return [sound for sound in esc50(options.shared, clean=False) if sound.fold == str(fold)]


def _ship(options: argparse.Namespace) -> Path:
    """Put together what the students of the folds said about what they had not heard, and write the model file."""
    done = [fold for fold in FOLDS if (options.build / f"fold-{fold}.onnx").exists()]
    rng, sounds = np.random.default_rng(SEED), _sounds(options)
    held_out = [sound for sound in sounds if sound.held_out]
    parts, scenes = [], []
    for fold in done:
        model = options.build / f"fold-{fold}.onnx"
        of_fold = [sound for sound in sounds if sound.fold == str(fold)]
        unheard = of_fold + held_out if fold == done[0] else of_fold
        parts.append(Unseen(unheard, ask(model, unheard), (str(fold),) * len(unheard)))
        scenes.append(hear_scenes(model, of_fold + held_out, SCENES, rng))
    pool = Pool.open(options.build / "pool")
    own, asked = (options.build / name for name in ("all.pt", f"fold-{done[0]}.pt"))
    novelty = learn_novelty(own, asked, pool, pool.rows(), fold=done[0], rng=rng)
    lesson = Lesson(views=options.views, seed=SEED)
    model = onnx.load(options.build / "all.onnx")
    return ship(model, Unseen.joined(parts), Scenes.joined(scenes), novelty, path=WEIGHTS, lesson=lesson)


def _sounds(options: argparse.Namespace) -> list[Sound]:
    return read_sounds(options.build / "sounds" / "sounds.csv")


def _report(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m everyday", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("pool", "fold", "strangers", "all", "ship"))
    parser.add_argument("fold", nargs="?", type=int, choices=FOLDS)
    parser.add_argument("--build", type=Path, default=BUILD, help="where everything is kept")
    parser.add_argument("--shared", type=Path, default=SHARED, help="the folder of data that others made")
    parser.add_argument("--views", type=int, default=40_000, help="to draw, or to see")
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
