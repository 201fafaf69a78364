"""The reference in docs/commands.md says of every command and option what the code does."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from striate.cli.app import app
from striate.train import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (striate \w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
EVERYWHERE = {"--help", "-h"}


def leaves(command: Any, path: str = "striate") -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, f"{path} {name}") if hasattr(child, "commands") else [(f"{path} {name}", child)]


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_described_and_no_other(path: str) -> None:
    section = SECTIONS[" ".join(path.split()[:2])]
    params = [p for p in COMMANDS[path].params if p.param_type_name == "option" and not p.hidden]
    taken = {option for p in params for option in [*p.opts, *p.secondary_opts]}
    told = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", section))
    assert taken - EVERYWHERE <= told
    if path.split()[1] not in ("data", "bench"):
        assert told - {"--config", "--recipe", "--json", "--output"} <= taken, "an option that does not exist"


def test_defaults_of_train_are_those_of_the_settings() -> None:
    rows = re.findall(r"^\| `--([a-z-]+)[^|]*\| ([^|]+) \|", SECTIONS["striate train"], re.MULTILINE)
    told = {name.replace("-", "_"): default.strip("` ") for name, default in rows}
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    checked = 0
    for name, text in told.items():
        field = fields.get({"steps": "max_steps", "patience": "early_stop"}.get(name, name))
        if field is None or not text or field.default in (None, dataclasses.MISSING):
            continue
        expected = {True: "on", False: "off"}.get(field.default) if isinstance(field.default, bool) else field.default
        if name == "val_fraction":
            assert text == f"{Settings().val_fraction}, {Settings().test_fraction}"
        elif isinstance(expected, float):
            assert float(text) == expected, name
        else:
            assert text == str(expected), name
        checked += 1
    assert checked > 20
