"""Recipes by name, and settings from options."""

from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from earmark.errors import MissingExtraError, OptionError
from earmark.training import recipebook
from earmark.training.recipebook import RECIPES, make_recipe, recipe_and_run, recipe_class


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_made(name: str) -> None:
    recipe = make_recipe(name, {})
    assert all(getattr(recipe, field.name) is not ... for field in fields(recipe_class(name)))


def test_options_are_divided() -> None:
    recipe, run = recipe_and_run("cnn", {"seed": 3, "epochs": 2, "folder": "here", "options": {"widths": [8]}})
    assert (recipe.epochs, recipe.options, run.seed, run.folder) == (2, {"widths": [8]}, 3, Path("here"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tail", {}, "recipe 'tail' is not known; allowed: head, finetune, cnn, wave, attention, anomaly"),
        (
            "head",
            {"epochs": 3},
            "recipe 'head' has no setting 'epochs': it is one of finetune, cnn, wave, attention; choose such a recipe",
        ),
        ("cnn", {"pooling": "max"}, "recipe 'cnn' has no setting 'pooling': it is one of head; "),
        (
            "head",
            {"colour": 3},
            "recipe 'head' has no setting 'colour'; it has: backbone, class_weights, head, pooling",
        ),
        ("cnn", {"epochs": "many"}, "epochs='many' is not allowed for recipe 'cnn': give a whole number"),
        ("cnn", {"epochs": 2.5}, "epochs=2.5 is not allowed for recipe 'cnn': give a whole number"),
        ("cnn", {"epochs": True}, "epochs=True is not allowed for recipe 'cnn': give a whole number"),
        ("cnn", {"learning_rate": "fast"}, "learning_rate='fast' is not allowed for recipe 'cnn': give a number"),
        ("cnn", {"class_weights": 1}, "class_weights=1 is not allowed for recipe 'cnn': give true or false"),
        ("cnn", {"loss": "l2"}, "loss='l2' is not allowed for recipe 'cnn': give cross-entropy, focal"),
        ("cnn", {"options": 5}, "options=5 is not allowed for recipe 'cnn': give names and values such as"),
        ("cnn", {"crop_seconds": "x"}, "crop_seconds='x' is not allowed for recipe 'cnn': give a number or null"),
        ("head", {"head": 3}, "head=3 is not allowed for recipe 'head': give text"),
        ("head", {"precision": "8-bit"}, "precision='8-bit' is not allowed for a training: give auto, 32-true"),
        ("head", {"validation": 0.7}, "validation=0.7 is not allowed"),
        ("head", {"resume": True}, "resume needs the folder"),
    ],
)
def test_what_is_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        recipe_and_run(name, options)


def test_numbers_are_taken_where_they_fit() -> None:
    assert make_recipe("cnn", {"learning_rate": 1}).learning_rate == 1  # type: ignore[attr-defined]


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> object:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn.svm")

    monkeypatch.setattr(recipebook, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"the recipe head needs scikit-learn.*pip install 'earmark\[train\]'"):
        recipe_class("head")


def test_a_setting_of_another_recipe_is_told_as_far_as_packages_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_torch(module: str) -> object:
        if module.endswith(".head"):
            return import_module(module)
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(recipebook, "import_module", without_torch)
    with pytest.raises(OptionError, match="recipe 'head' has no setting 'epochs'; it has: backbone"):
        make_recipe("head", {"epochs": 3})
