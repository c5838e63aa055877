"""What a training has come to: its epochs, the best weights so far, and the file to go on from after a kill."""

import json
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from earmark.errors import OptionError, TrainingError
from earmark.training.averaging import Averaging
from earmark.training.fitsettings import FitSettings
from earmark.training.module import NetworkModule

CHECKPOINT = "last.ckpt"
"""In the folder of a run; written anew after each epoch, in one step."""

_KEY = "earmark"


@dataclass(kw_only=True)
class Record:
    """The course of a training.

    Parameters
    ----------
    history : list of dict
        Of each epoch: ``epoch`` (from 1), ``loss``, ``validation_loss``, ``validation_score``, ``seconds``.
    best : dict, optional
        The row of the epoch whose weights are kept.
    weights : Mapping of str to Tensor
        Of that epoch.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] | None = None
    weights: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """How many epochs were done."""
        return len(self.history)

    @property
    def epochs_since_best(self) -> int:
        """How many epochs came after the best one."""
        return 0 if self.best is None else self.epochs - round(self.best["epoch"])

    def is_better(self, row: Mapping[str, float], settings: FitSettings) -> bool:
        """Tell whether an epoch is to be kept in place of the best so far; of equals the one with the lower loss."""
        if self.best is None or settings.keep == "last":
            return True
        if settings.monitor == "loss":
            return row["validation_loss"] < self.best["validation_loss"]
        new, old = ((r["validation_score"], -r["validation_loss"]) for r in (row, self.best))
        return new > old

    def is_finished(self, settings: FitSettings) -> bool:
        """Tell whether nothing is left to do: all epochs are done, or patience has run out."""
        has_patience = settings.patience == 0 or self.epochs_since_best < settings.patience
        return self.epochs >= settings.epochs or not has_patience


class Checkpoints(pl.Callback):
    """Keeps the record of a training, ends it when patience runs out, and writes checkpoints.

    Parameters
    ----------
    module : NetworkModule
        What is trained.
    record : Record
        Filled as the training goes on.
    facts : Mapping
        All that must be the same for a checkpoint to go on from.
    folder : Path, optional
        Of `CHECKPOINT`; without one none is written.
    averaging : Averaging, optional
        Whose weights are kept in place of the network's own.
    report : callable
        Told the row of each epoch.
    """

    def __init__(
        self,
        module: NetworkModule,
        record: Record,
        facts: Mapping[str, Any],
        *,
        folder: Path | None,
        averaging: Averaging | None,
        report: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._module, self._record, self._facts = module, record, plain(facts)
        self._folder, self._averaging, self._report = folder, averaging, report
        self._began = time.monotonic()

    def on_train_epoch_start(self, *_: Any, **__: Any) -> None:
        """Start the epoch's clock."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Take the epoch into the record."""
        row, record, settings = self._row(trainer), self._record, self._module.settings
        record.history.append(row)
        if record.is_better(row, settings):
            record.best, record.weights = row, self._weights()
        if record.is_finished(settings):
            trainer.should_stop = True
        for logger in trainer.loggers:
            logger.log_metrics(
                {name: value for name, value in row.items() if name != "epoch"}, trainer.current_epoch + 1
            )
            logger.save()
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:  # else time ran out amid the epoch
            self._write(trainer)
        if trainer.is_global_zero:
            self._report(row)

    def on_save_checkpoint(self, _: Any, __: Any, checkpoint: dict[str, Any]) -> None:
        """Put the record into the checkpoint."""
        record = {"history": self._record.history, "best": self._record.best, "weights": dict(self._record.weights)}
        checkpoint[_KEY] = {"facts": self._facts, **record}

    def _weights(self) -> Mapping[str, Tensor]:
        """Return a copy of what was validated, on the processor."""
        state = self._module.network.state_dict() if self._averaging is None else self._averaging.mean
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def _row(self, trainer: pl.Trainer) -> dict[str, float]:
        module = self._module
        if not module.training_loss < float("inf"):
            raise TrainingError(
                f"the loss is {module.training_loss} after epoch {trainer.current_epoch + 1}: the network has "
                f"diverged; lower learning_rate, which is {module.settings.learning_rate:g}"
            )
        return {
            "epoch": float(trainer.current_epoch + 1),
            "loss": module.training_loss,
            "validation_loss": module.validation_loss,
            "validation_score": module.validation_score,
            "seconds": time.monotonic() - self._began,
        }

    def _write(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint under another name, then give it its own in one step: a kill leaves the one before."""
        if self._folder is None:
            return
        partial = self._folder / f"{CHECKPOINT}.partial"
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(self._folder / CHECKPOINT)
        trainer.strategy.barrier()


def read_record(folder: Path, facts: Mapping[str, Any]) -> Record | None:
    """Return the record in a folder's checkpoint, or None where there is no checkpoint yet.

    Raises
    ------
    OptionError
        If the checkpoint is of a training with other settings or clips; it names the first that differs.
    TrainingError
        If the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)[_KEY]
        record = Record(history=kept["history"], best=kept["best"], weights=kept["weights"])
        then = kept["facts"]
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is no checkpoint that can be read; delete it to train anew") from error
    _require_same(then, plain(facts), folder)
    return record


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            raise OptionError(
                f"{name}={now.get(name)} cannot resume the training in {folder}, which has {name}={then.get(name)}: "
                "give the same, or train anew without resume"
            )


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as JSON would give them back: tuples as lists, paths and others as text."""
    told: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return told
