"""The training loop: a network, what it is taught with, and Lightning between them, quiet and interruptible."""

import logging
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor

from earmark.errors import OptionError, OutputError, TrainingError
from earmark.training.averaging import Averaging
from earmark.training.checkpoints import CHECKPOINT, Checkpoints, Record, read_record
from earmark.training.fitsettings import FitSettings
from earmark.training.module import Material, NetworkModule
from earmark.training.precision import chosen_precision
from earmark.training.run import Run

if TYPE_CHECKING:
    from earmark.training.networks.heads import EmbeddingNetwork
    from earmark.training.networks.network import Network

__all__ = ["FitSettings", "Fitted", "Stopped", "fit_network"]

Stopped = Literal["finished", "patience", "time", "interrupted"]

_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning", "lightning_utilities")


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What came of a training.

    Parameters
    ----------
    weights : Mapping of str to Tensor
        Of the epoch that is kept, on the processor.
    epochs : int
        How many were done.
    stopped : {"finished", "patience", "time", "interrupted"}
        Why it ended.
    best : Mapping of str to float
        The row of `history` that is kept.
    history : tuple of Mapping
        Of each epoch: ``epoch`` (from 1), ``loss``, ``validation_loss``, ``validation_score``, ``seconds``.
    """

    weights: Mapping[str, Tensor]
    epochs: int
    stopped: Stopped
    best: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]

    def facts(self) -> dict[str, Any]:
        """Return for the card how the training went."""
        return {"epochs_done": self.epochs, "stopped": self.stopped, "kept_epoch": round(self.best["epoch"])}


def fit_network(
    network: "Network | EmbeddingNetwork",
    material: Material,
    settings: FitSettings,
    run: Run,
    *,
    facts: Mapping[str, Any] | None = None,
) -> Fitted:
    """Teach a network, and leave the best weights in it.

    Ctrl-C ends the training with the best epoch so far, and says so.

    Parameters
    ----------
    network : Network or EmbeddingNetwork
        What learns; afterwards in evaluation mode, on the processor.
    material : Material
        What it learns from.
    settings : FitSettings
        How.
    run : Run
        Seed, folder, hardware, time.
    facts : Mapping, optional
        Whatever else must be the same for a checkpoint to be gone on from: clips, augmentation.

    Raises
    ------
    TrainingError
        If no epoch was done before Ctrl-C, the loss is no longer finite, or the checkpoint is damaged.
    OptionError
        If `run.resume` finds a checkpoint of other settings.
    OutputError
        If the folder cannot be written.
    """
    precision = chosen_precision(run.precision, run.accelerator)
    identity = {**asdict(settings), **(facts or {}), "seed": run.seed, "precision": precision}
    record = _begin(run, identity)
    ended = None
    if not record.is_finished(settings):
        ended = _train(NetworkModule(network, material, settings, run.seed), run, record, identity)
    stopped = _conclude(network, settings, run, record, ended)
    assert record.best is not None
    return Fitted(
        weights=record.weights,
        epochs=record.epochs,
        stopped=stopped,
        best=record.best,
        history=tuple(record.history),
    )


class Interruption(BaseException):
    """Ctrl-C while a network learns. No `Exception`, so that nothing on the way takes it for an error."""


def _begin(run: Run, identity: Mapping[str, Any]) -> Record:
    """Make the folder, and take up the record in it where the run is to be resumed."""
    if run.folder is None:
        return Record()
    with _writing(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True)
    if not run.resume:
        (run.folder / CHECKPOINT).unlink(missing_ok=True)
        return Record()
    record = read_record(run.folder, identity)
    if record is None:
        run.report(f"no checkpoint in {run.folder} yet: training begins with the first epoch")
    return record or Record()


def _train(module: NetworkModule, run: Run, record: Record, identity: Mapping[str, Any]) -> Stopped | None:
    """Run Lightning; return why it ended before patience or epochs did."""
    settings = module.settings
    averaging = Averaging(module.network, settings.average) if settings.average else None
    report = _EpochReport(settings, run)
    keeper = Checkpoints(module, record, identity, folder=run.folder, averaging=averaging, report=report)
    callbacks: list[Callback] = [averaging] if averaging is not None else []
    callbacks.append(keeper)
    if run.max_time_seconds is not None:
        callbacks.append(Timer(timedelta(seconds=run.max_time_seconds), verbose=False))
    checkpoint = run.folder / CHECKPOINT if run.folder is not None and record.history else None
    module.train()
    with _quiet(), _own_randomness(), _writing(run.folder), _interruptible():
        trainer = _trainer(settings, run, callbacks, str(identity["precision"]))
        try:
            trainer.fit(module, ckpt_path=checkpoint)
        except Interruption:
            return "interrupted"
    return None if record.is_finished(settings) else "time"


def _conclude(
    network: "Network | EmbeddingNetwork", settings: FitSettings, run: Run, record: Record, ended: Stopped | None
) -> Stopped:
    """Put the best weights into the network, and say why the training ended where it ended early."""
    if record.best is None:
        raise TrainingError("training ended before one epoch was done, so there is nothing to keep: give it more time")
    network.cpu().load_state_dict(dict(record.weights))
    network.eval()
    stopped = ended or ("finished" if record.epochs >= settings.epochs else "patience")
    if stopped != "finished":
        causes = {"interrupted": "Ctrl-C", "time": "the time limit", "patience": "patience"}
        run.report(
            f"stopped by {causes[stopped]} after {record.epochs} of {settings.epochs} epochs; kept is epoch "
            f"{record.best['epoch']:.0f}, validation {100 * record.best['validation_score']:.1f} %"
        )
    return stopped


def _trainer(settings: FitSettings, run: Run, callbacks: list[Callback], precision: str) -> pl.Trainer:
    try:
        return pl.Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.nodes,
            precision=precision,  # type: ignore[arg-type]
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_norm or None,
            callbacks=callbacks,
            logger=_loggers(run.folder) or False,
            default_root_dir=run.folder,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"accelerator={run.accelerator!r}, devices={run.devices!r}, nodes={run.nodes} is not possible here "
            f"({reason}); leave them out to take what there is"
        ) from error


def _loggers(folder: Path | None) -> list[Logger]:
    """Return CSV, and TensorBoard where it is installed; a resumed training writes a version of its own."""
    if folder is None:
        return []
    loggers: list[Logger] = [CSVLogger(folder, name="csv")]
    if find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(folder, name="tensorboard"))
    return loggers


class _EpochReport:
    """Tells of each epoch in one line, and of how long the rest will take."""

    def __init__(self, settings: FitSettings, run: Run) -> None:
        self._epochs, self._run = settings.epochs, run
        self._began, self._done = time.monotonic(), 0

    def __call__(self, row: Mapping[str, float]) -> None:
        self._done += 1
        each_seconds = (time.monotonic() - self._began) / self._done
        left_seconds = each_seconds * (self._epochs - row["epoch"])
        self._run.report(
            f"epoch {row['epoch']:.0f}/{self._epochs}: loss {row['loss']:.2f}, "
            f"validation {100 * row['validation_score']:.1f} %, {row['seconds']:.1f} s an epoch, "
            f"about {_spoken(left_seconds)} left"
        )


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Ctrl-C into an `Interruption`, which Lightning passes on: a KeyboardInterrupt makes it end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)  # the second Ctrl-C does what it always does
        raise Interruption

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Give torch's global random state back as it was: dropout has no other source of randomness."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's notes on itself from the user: what matters comes as an error, or through `Run.report`."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning|torch|tensorboard")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _writing(folder: Path | None) -> Iterator[None]:
    """Turn a failure to write into one clear OutputError."""
    try:
        yield
    except OSError as error:
        if folder is None:
            raise
        raise OutputError(
            f"cannot write to the training's folder {folder}: {error.strerror or error}; give another"
        ) from error
