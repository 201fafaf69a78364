"""Training: one step after another, saved, watched and told."""

from striate.train.folder import RunFolder
from striate.train.progress import Reporter, reporter_for
from striate.train.recipes import Recipe, list_recipes, load_recipe
from striate.train.run import Ended, resume, start
from striate.train.settings import Settings, read_toml, settings_from

__all__ = [
    "Ended",
    "Recipe",
    "Reporter",
    "RunFolder",
    "Settings",
    "list_recipes",
    "load_recipe",
    "read_toml",
    "reporter_for",
    "resume",
    "settings_from",
    "start",
]
