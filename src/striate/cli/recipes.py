"""`striate recipes`: the whole runs that come with striate, and what each has reached."""

from typing import Annotated, Any

import typer

from striate.cli.table import print_json, print_table
from striate.data.shown import shown

__all__ = ["recipes"]

HOW = ("command", "machine")  # of a claim: too long for a column, and told below the table


def recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the recipes, and what each has reached."""
    from striate.train.recipes import list_recipes

    found = list_recipes()
    if as_json:
        print_json(
            [
                {
                    "name": recipe.name,
                    "description": recipe.description,
                    "settings": recipe.settings,
                    "reached": recipe.reached,
                    "path": str(recipe.path),
                }
                for recipe in found
            ]
        )
        return
    print_table(
        ["recipe", "what it is", "reached"],
        [[recipe.name, recipe.description, _claim(recipe.reached)] for recipe in found],
    )
    told = [f"{recipe.name}: {how}" for recipe in found if (how := _how(recipe.reached))]
    if told:
        print("\nreached by\n")
    for line in told:
        print(shown(line))


def _claim(reached: dict[str, Any]) -> str | None:
    """The measured claims as one phrase, in the recipe's own words and order."""
    claims = [f"{name.replace('_', ' ')} {value}" for name, value in reached.items() if name not in HOW]
    return "; ".join(claims) or None


def _how(reached: dict[str, Any]) -> str:
    """By which command, and where."""
    return "; ".join(str(reached[name]) for name in HOW if name in reached)
