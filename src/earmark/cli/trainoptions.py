"""Options of the commands that train, under the names that they have in Python."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from earmark.errors import OptionError

RECIPES = "head, finetune, cnn, wave, attention or anomaly"

Data = Annotated[
    str,
    Argument(
        metavar="DATA",
        show_default=False,
        help="A folder with a folder of clips for each class, a CSV with their labels, or a data set that is known.",
    ),
]
Recipe = Annotated[str, Option("--recipe", metavar="RECIPE", help=f"{RECIPES}.")]
Layout = Annotated[
    str | None, Option("--layout", metavar="LAYOUT", help="How the data is laid out; by default as it looks.")
]
Audio = Annotated[
    str | None, Option("--audio", metavar="FOLDER", help="Where the clips of a CSV are; by default beside it.")
]
Columns = Annotated[
    list[str] | None,
    Option(
        "--columns",
        metavar="ROLE=HEADING",
        help="A column of a CSV that is not known by its name, such as label=birdsong. Repeatable.",
    ),
]
Backbone = Annotated[
    str | None,
    Option(
        "--backbone", metavar="MODEL", help="The model whose embeddings, or weights, to start from; by default yamnet."
    ),
]
Head = Annotated[
    str | None,
    Option(
        "--head",
        metavar="HEAD",
        help="head: logistic, svm-linear, svm-rbf, forest, knn, mlp. attention: attention, decision-max, "
        "decision-average, multi-level-attention, feature-attention.",
    ),
]
Network = Annotated[
    str | None, Option("--network", metavar="NETWORK", help="Of the recipes cnn and wave; a wrong name lists them.")
]
Augment = Annotated[
    str | None,
    Option("--augment", metavar="PRESET", help="none, light or strong; for recipes that train networks."),
]
Epochs = Annotated[int | None, Option("--epochs", min=1, metavar="N", help="Passes over the clips, of a network.")]
BatchSize = Annotated[int | None, Option("--batch-size", min=1, metavar="N", help="Clips in a step, of a network.")]
LearningRate = Annotated[float | None, Option("--learning-rate", metavar="RATE", help="The highest, of a network.")]
Set = Annotated[
    list[str] | None,
    Option("--set", metavar="NAME=VALUE", help="Any other setting of the recipe; a wrong name lists them. Repeatable."),
]
Seed = Annotated[int, Option("--seed", min=0, metavar="N", help="All randomness comes from it.")]
Folder = Annotated[
    str | None, Option("--folder", metavar="FOLDER", help="Keep checkpoints and logs (CSV, TensorBoard) here.")
]
Resume = Annotated[bool, Option("--resume", help="Go on from the last checkpoint in --folder.")]
MaxTime = Annotated[
    float | None, Option("--max-time", metavar="SECONDS", help="End a network's training with the best so far.")
]
Validation = Annotated[
    float, Option("--validation", metavar="SHARE", help="Of the clips, kept from a network to calibrate it with.")
]
Force = Annotated[bool, Option("--force", help="Go on with a split that leaks; the report then says so.")]
Accelerator = Annotated[str, Option("--accelerator", metavar="NAME", help="auto, cpu, gpu: where a network trains.")]
Devices = Annotated[str, Option("--devices", metavar="N", help="How many of them, or auto.")]
Nodes = Annotated[int, Option("--nodes", min=1, metavar="N", help="Machines that train together.")]
Precision = Annotated[str, Option("--precision", metavar="NAME", help="auto, 32-true, bf16-mixed or 16-mixed.")]
Json = Annotated[bool, Option("--json", help="Write the result as JSON on standard output.")]


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How labelled clips are read."""

    layout: Layout = None
    audio: Audio = None
    columns: Columns = None

    def chosen(self) -> dict[str, Any]:
        """Return them as `earmark.read_manifest` takes them.

        Raises
        ------
        OptionError
            If a pair has no role or no equals sign.
        """
        columns = _pairs(self.columns, "--columns", "ROLE=HEADING, such as label=birdsong")
        return {"layout": self.layout, "audio": self.audio, "columns": columns}


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """Which recipe, and with which settings."""

    recipe: Recipe = "head"
    backbone: Backbone = None
    head: Head = None
    network: Network = None
    augment: Augment = None
    epochs: Epochs = None
    batch_size: BatchSize = None
    learning_rate: LearningRate = None
    settings: Set = None

    def chosen(self) -> dict[str, Any]:
        """Return the settings that were given, those of ``--set NAME=VALUE`` too; its values are JSON or plain words.

        Raises
        ------
        OptionError
            If a pair has no name or no equals sign.
        """
        named = {
            "backbone": self.backbone,
            "head": self.head,
            "network": self.network,
            "augmentation": self.augment,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
        found = {name: value for name, value in named.items() if value is not None}
        others = _pairs(self.settings, "--set", "NAME=VALUE, such as --set patience=10")
        return found | {name.replace("-", "_"): _value(text) for name, text in others.items()}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a training runs, whatever its recipe."""

    seed: Seed = 0
    validation: Validation = 0.1
    folder: Folder = None
    resume: Resume = False
    max_time: MaxTime = None
    force: Force = False
    accelerator: Accelerator = "auto"
    devices: Devices = "auto"
    nodes: Nodes = 1
    precision: Precision = "auto"

    def chosen(self) -> dict[str, Any]:
        """Return them as `earmark.training.run.Run` has them.

        Raises
        ------
        OptionError
            If there is no folder to resume from.
        """
        if self.resume and not self.folder:
            raise OptionError("--resume needs --folder: that of the training to go on with")
        return {
            "seed": self.seed,
            "validation": self.validation,
            "folder": Path(self.folder) if self.folder else None,
            "resume": self.resume,
            "max_time_seconds": self.max_time,
            "force": self.force,
            "accelerator": self.accelerator,
            "devices": int(self.devices) if self.devices.isdecimal() else self.devices,
            "nodes": self.nodes,
            "precision": self.precision,
        }


def _pairs(given: Sequence[str] | None, option: str, form: str) -> dict[str, str]:
    """Return what a repeated option says in pairs, such as ``--set NAME=VALUE``, by name."""
    found = {}
    for pair in given or ():
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise OptionError(f"{option} {pair} is not allowed: write {form}")
        found[name.strip()] = text
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
