"""Recipes by name, and their settings from options: what ``--recipe`` and ``earmark.train(recipe=...)`` choose from."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from earmark.data.manifest import Manifest
from earmark.errors import MissingExtraError, OptionError, needs_extra
from earmark.training.candidate import Candidate
from earmark.training.run import Run
from earmark.training.settings import require_settings

if TYPE_CHECKING:
    from earmark.training.finishing import Finished, Naming

RECIPES: Mapping[str, tuple[str, str]] = {
    "head": ("head", "HeadRecipe"),
    "finetune": ("finetune", "FinetuneRecipe"),
    "cnn": ("cnn", "CnnRecipe"),
    "wave": ("wave", "WaveRecipe"),
    "attention": ("attention", "AttentionRecipe"),
    "anomaly": ("anomaly", "AnomalyRecipe"),
}
"""Name to module below `earmark.training.recipes` and class; a module is imported when its recipe is made."""

DEFAULT_RECIPE = "head"


class Recipe(Protocol):
    """A frozen dataclass of settings that can turn labelled clips into a candidate model."""

    def fit(self, manifest: Manifest, run: Run) -> Candidate:
        """Train on every clip of the manifest."""
        ...  # pragma: no cover - a protocol


@runtime_checkable
class WholeRecipe(Protocol):
    """A recipe that makes the whole model itself, card and all, for its scores are no probabilities of classes."""

    def finish(self, manifest: Manifest, run: Run, naming: "Naming | None" = None) -> "Finished":
        """Make the model from the clips of the manifest."""
        ...  # pragma: no cover - a protocol


def make_recipe(name: str, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of this name with settings in place of its defaults.

    Raises
    ------
    OptionError
        If the recipe is not known, does not have a setting, or a setting does not take such a value.
    MissingExtraError
        If what the recipe needs is not installed.
    """
    kind = recipe_class(name)
    _refuse_strangers(name, kind, settings)
    require_settings(kind, settings, f"recipe {name!r}")
    recipe: Recipe = kind(**settings)
    return recipe


def recipe_class(name: str) -> Any:
    """Return the dataclass of a recipe; raises as `make_recipe` does."""
    if name not in RECIPES:
        raise OptionError(f"recipe {name!r} is not known; allowed: {', '.join(RECIPES)}")
    module, kind = RECIPES[name]
    with needs_extra("train", f"the recipe {name}"):
        return getattr(import_module(f"earmark.training.recipes.{module}"), kind)


def _refuse_strangers(name: str, kind: Any, settings: Mapping[str, Any]) -> None:
    """Refuse a setting that only other recipes have, and say which."""
    for setting in sorted(settings.keys() - _settings(kind)):
        owners = [other for other in RECIPES if other != name and setting in _settings_of(other)]
        if owners:
            raise OptionError(
                f"recipe {name!r} has no setting {setting!r}: it is one of {', '.join(owners)}; choose such a recipe, "
                f"or of its own: {', '.join(sorted(_settings(kind)))}"
            )


def _settings(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


def _settings_of(name: str) -> set[str]:
    """Return the settings of a recipe; none where what it needs is not installed."""
    with suppress(MissingExtraError):
        return _settings(recipe_class(name))
    return set()


def recipe_and_run(name: str, options: Mapping[str, Any]) -> tuple[Recipe, Run]:
    """Divide options between the run (seed, folder, hardware, time) and the recipe (all others)."""
    of_run = {field.name for field in fields(Run)}
    settings = {key: value for key, value in options.items() if key not in of_run}
    recipe = make_recipe(name, settings)
    run = {key: value for key, value in options.items() if key in of_run}
    run |= {key: Path(run[key]) for key in ("folder", "cache") if isinstance(run.get(key), str)}
    require_settings(Run, run, "a training")
    return recipe, Run(**run)
