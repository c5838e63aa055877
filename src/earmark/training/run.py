"""How a training runs, whatever its recipe: seed, folders, hardware, time."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from earmark.errors import OptionError
from earmark.model.cache import cache_folder

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """Tell whether this process is the one that writes the model and speaks.

    Where several devices or nodes train together, each has a process that runs the whole command; Lightning, torchrun
    and Slurm number them in the environment.
    """
    return all(os.environ.get(name, "0") in ("", "0") for name in _RANKS)


def _silent(_: str) -> None:
    """Drop a line of progress."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every recipe takes beside its own settings.

    Parameters
    ----------
    seed : int
        All randomness comes from it.
    folder : Path, optional
        Where checkpoints and logs go, and where `resume` finds them; without one none are kept.
    cache : Path
        Where embeddings are kept between runs, by content.
    validation : float
        Share of the clips that a network is not trained on, to stop it early and to calibrate it; in (0, 0.5].
    force : bool
        Go on with a split that leaks; the outcome then says so.
    accelerator, devices, nodes, precision
        As Lightning's Trainer takes them. ``precision="auto"`` is bfloat16 where the processor multiplies it.
    max_time_seconds : float, optional
        A network's training ends after so many seconds with the best so far.
    resume : bool
        Go on from the last checkpoint in `folder`.
    report : callable
        Takes one line of progress at a time.

    Raises
    ------
    OptionError
        If a number is out of range, or `resume` has no folder.
    """

    seed: int = 0
    folder: Path | None = None
    cache: Path = field(default_factory=cache_folder)
    validation: float = 0.1
    force: bool = False
    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    precision: Precision = "auto"
    max_time_seconds: float | None = None
    resume: bool = False
    report: Callable[[str], None] = _silent

    def __post_init__(self) -> None:
        if not 0.0 < self.validation <= 0.5:
            raise OptionError(f"validation={self.validation:g} is not allowed: give a share above 0, 0.5 at most")
        if self.seed < 0:
            raise OptionError(f"seed={self.seed} is not allowed: give 0 or more")
        if self.max_time_seconds is not None and self.max_time_seconds <= 0:
            raise OptionError(f"max_time_seconds={self.max_time_seconds:g} is not allowed: give more than 0")
        if self.resume and self.folder is None:
            raise OptionError("resume needs the folder of the training to go on with: give folder")
