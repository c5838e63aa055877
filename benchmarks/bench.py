"""What every benchmark works with: recordings, models in a cache of their own, a folder, and how thorough to be."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.corpus import Clip, read_esc50
from earmark.model.hub import default_hub

MODELS = ("yamnet", "yamnet-int8")
KEPT_SCORES = Path(__file__).parents[1] / "build" / "benchmarks"


@dataclass(frozen=True)
class Bench:
    """The place where a benchmark is done.

    Parameters
    ----------
    shared : Path
        Folder of recordings and published weights; see `find_shared`.
    folder : Path
        For files made on the way.
    quick : bool
        Whether to take little data and few repeats: to see that it runs, not to measure.
    folds : tuple of str
        Which folds the long benchmarks do; none for all.
    """

    shared: Path
    folder: Path
    quick: bool = False
    folds: tuple[str, ...] = ()

    @cached_property
    def esc50(self) -> list[Clip]:
        """All clips of ESC-50; when quick, two of each class and fold of ESC-10 alone."""
        clips = read_esc50(self.shared)
        return _few_of_each(clips) if self.quick else clips

    @property
    def esc10(self) -> list[Clip]:
        """The clips of ESC-10."""
        return [clip for clip in self.esc50 if clip.esc10]

    @property
    def scores(self) -> Path:
        """Folder where out-of-fold scores stay after the run; those of a quick run do not."""
        return self.folder / "scores" if self.quick else KEPT_SCORES

    def pick(self, full: int, quick: int) -> int:
        """Return how many to take."""
        return quick if self.quick else full

    def published_weights(self, model: str) -> Path:
        """Return the `.tflite` file that a model is made from."""
        return self.shared / "models" / "yamnet" / default_hub().known[model].source.name


def _few_of_each(clips: list[Clip]) -> list[Clip]:
    """Return two clips of each class of ESC-10 and each fold."""
    chosen: dict[tuple[int, int], list[Clip]] = {}
    for clip in clips:
        if clip.esc10:
            chosen.setdefault((clip.target, clip.fold), []).append(clip)
    return [clip for alike in chosen.values() for clip in alike[:2]]


@contextmanager
def open_bench(*, quick: bool = False, folds: tuple[str, ...] = ()) -> Iterator[Bench]:
    """Open a bench in a temporary folder, with the models made from the published weights, and clean up afterwards.

    Raises
    ------
    FileNotFoundError
        If the recordings and weights are not there.
    """
    before = os.environ.get("EARMARK_CACHE")
    with TemporaryDirectory(prefix="earmark-bench-") as temporary:
        bench = Bench(find_shared(), Path(temporary), quick, folds)
        os.environ["EARMARK_CACHE"] = str(bench.folder / "cache")  # for the commands too
        try:
            install_models(bench)
            yield bench
        finally:
            os.environ.pop("EARMARK_CACHE")
            if before is not None:
                os.environ["EARMARK_CACHE"] = before


def install_models(bench: Bench) -> None:
    """Make the models in the cache that the environment names."""
    hub = default_hub()
    for model in MODELS:
        target = hub.cache.source_path(hub.known[model].source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bench.published_weights(model), target)
        hub.pull(model)


def find_shared() -> Path:
    """Return the folder of recordings and weights: EARMARK_SHARED, else ``../shared`` beside the project.

    Raises
    ------
    FileNotFoundError
        If ESC-50 or YAMNet is not there.
    """
    shared = Path(os.environ.get("EARMARK_SHARED", Path(__file__).parents[2] / "shared"))
    for needed in ("data/esc50/meta/esc50.csv", "models/yamnet"):
        if not (shared / needed).exists():
            raise FileNotFoundError(f"no {needed} in {shared}; set EARMARK_SHARED to the folder of data and models")
    return shared
