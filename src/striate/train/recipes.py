"""Recipes: whole runs as small TOML files that say what they reached.

A recipe is a table of settings (`striate.train.Settings`) with two extras: `description`, one line, and `reached`, a
table of measured claims (what, over how many seeds, on what machine, by which command).
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from striate.errors import StriateError, UnknownName, unknown
from striate.home import at_home
from striate.train.settings import read_toml, settings_from

__all__ = ["Recipe", "list_recipes", "load_recipe", "recipes_folder"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named set of settings and what came of it."""

    name: str
    description: str
    settings: dict[str, Any]
    reached: dict[str, Any]
    path: Path


def list_recipes() -> list[Recipe]:
    """Every recipe that comes with striate, by name."""
    return [_read(path) for path in sorted(recipes_folder().glob("*.toml"))]


def load_recipe(name: str | os.PathLike[str]) -> Recipe:
    """The recipe of that name, or in that file (a path that ends in .toml).

    Raises StriateError for an unknown name ("did you mean") and for a file that is not a recipe.
    """
    if not isinstance(name, str | os.PathLike):
        raise StriateError(f"a recipe is given by its name or its file, such as 'quick', got {name!r}")
    name = os.fspath(name)
    if name.endswith(".toml"):
        return _read(at_home(name))
    path = recipes_folder() / f"{name}.toml"
    if not path.is_file():
        raise UnknownName(unknown("recipe", name, [recipe.stem for recipe in sorted(recipes_folder().glob("*.toml"))]))
    return _read(path)


def _read(path: Path) -> Recipe:
    table = read_toml(path)
    description = table.pop("description", "")
    reached = table.pop("reached", {})
    try:
        settings_from(table)
    except StriateError as error:
        raise StriateError(f"recipe {path}: {error}") from error
    return Recipe(name=path.stem, description=description, settings=table, reached=reached, path=path)


def recipes_folder() -> Path:
    """Where the recipes lie: at the root of a source checkout, or inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    return package / "recipes"
