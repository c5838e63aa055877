"""What one machine knows of one model: whether it is here, and what its card says of it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from earmark.errors import ModelError
from earmark.model.modelfile import read_card

__all__ = ["ModelStatus", "installed_status"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What this machine knows of a model.

    Parameters
    ----------
    name : str
        What `--model` takes.
    installed : bool
        Whether it is on this machine.
    path : Path
        Where it is, or would go.
    size_bytes : int or None
        Of the installed file.
    version : str or None
        From the card; None where not installed.
    label_count : int or None
        Classes it hears; None where not installed.
    licence, description : str
        For people.
    problem : str
        Why it cannot be used although it should be here; empty where it can.
    inside : bool
        Whether it comes inside earmark, rather than into the cache.
    """

    name: str
    installed: bool
    path: Path
    size_bytes: int | None = None
    version: str | None = None
    label_count: int | None = None
    licence: str = "unknown"
    description: str = ""
    problem: str = ""
    inside: bool = False


def installed_status(name: str, path: Path, *, inside: bool = False) -> ModelStatus:
    """Return what the file of a model that is here says of it."""
    found = partial(ModelStatus, name, True, path, path.stat().st_size, inside=inside)
    try:
        card = read_card(path)
    except ModelError as error:
        return found(problem=str(error))
    return found(card.version, len(card.labels), card.licence, card.description)
