"""What the book says exists: commands and their options, files, names, nets, links; and what it prints is printed."""

import ast
import doctest
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from striate.cli.app import app
from striate.conv import algorithms
from striate.nets import list_models

ROOT = Path(__file__).resolve().parents[1]
BOOK = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
pages = pytest.mark.parametrize("page", BOOK, ids=lambda page: str(page.relative_to(ROOT)))
FOLDERS = ("benchmarks", "docs", "native", "recipes", "src", "tests")
FILES = [f"/{path.relative_to(ROOT)}" for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
FILES += [f"/{path.name}" for path in ROOT.iterdir() if path.is_file()]
# Made by a command, or by the reader.
MADE = {"config.toml", "ranking.json", "mine.toml", "weights.csv", "nets.svg", "FILE.svg"}
EVERYWHERE = {"--debug", "--help"}
ROOT_COMMAND: Any = typer.main.get_command(app)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands_in(text: str) -> Iterator[str]:
    """What stands behind `striate` in blocks and between backticks, up to a comment, a pipe or what it prints."""
    text = re.sub(r"\\\n\s*", " ", text)
    blocks = re.findall(r"^ {4,}(?:\$ |\S*/|.*\| |(?:[A-Z_]+=\S+ )+)?striate ([a-z].*)$", text, re.MULTILINE)
    quoted = re.findall(r"`(?:\S*/)?striate ([a-z][^`]*)`", text)
    for command in (*blocks, *quoted):
        if ": error: " not in command:
            yield re.split(r"\s#| {4,}| · ", command)[0]


@pytest.mark.parametrize("page", [*BOOK, *RESULTS], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_and_take_their_options(page: Path) -> None:
    for line in commands_in(text_of(page)):
        command = ROOT_COMMAND
        words = shlex.split(line)
        while words and hasattr(command, "commands") and "|" not in words[0]:
            assert words[0] in command.commands, f"striate {line}: no such command"
            command = command.commands[words.pop(0)]
        if hasattr(command, "commands"):
            continue  # the name of a group alone, or `bench conv|nets`: tests/cli/test_reference.py has its options
        takes = [command] + [ROOT_COMMAND.commands["train"]] * (command.name == "search")  # any setting of a run
        known = {o for c in takes for p in c.params for o in (*p.opts, *p.secondary_opts)}
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert given <= known | EVERYWHERE, f"striate {line}"


def test_commands_are_found_in_the_book() -> None:
    text = "    $ striate train x\n    A=1 striate bench conv\n`striate check NET`\n    find . | striate predict m -\n"
    assert [c.split()[0] for c in commands_in(text)] == ["train", "bench", "predict", "check"]


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    for quoted in re.findall(r"`([^`\n]+)`", text_of(page)):
        for name in re.findall(r"(?<![\w*…-])[\w./-]*\w\.(?:cpp|h|py|md|toml|json|csv|svg)\b", quoted):
            if name not in MADE and "step-" not in name:
                assert any(file.endswith(f"/{name}") for file in FILES), name


@pages
def test_python_that_is_shown_reads_and_imports_what_exists(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL):
        source = block
        if ">>>" in block:
            source = "".join(example.source for example in doctest.DocTestParser().get_examples(block))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "striate":
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
            if isinstance(node, ast.Attribute):
                reach(ast.unparse(node))
    for dotted in re.findall(r"`(striate(?:\.\w+)+)", text_of(page)):
        reach(dotted)


def reach(dotted: str) -> None:
    """Fails where `striate.a.b` is nothing; other names are the reader's."""
    first, *rest = dotted.split(".")
    if first != "striate" or not all(part.isidentifier() for part in rest):
        return
    here: Any = importlib.import_module(first)
    path = first
    for part in rest:
        path += f".{part}"
        # a room that nobody has opened yet, or an error that names what does not exist
        here = getattr(here, part) if hasattr(here, part) else importlib.import_module(path)
        if not hasattr(here, "__path__") and not isinstance(here, type) and not hasattr(here, "__all__"):
            return


@pytest.mark.parametrize("page", [*BOOK[:2], *RESULTS], ids=lambda page: page.name)
def test_links_outside_the_book_lead_somewhere(page: Path) -> None:  # `mkdocs --strict` holds those inside
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_page_of_nets_names_every_net_and_no_other() -> None:
    table = text_of(ROOT / "docs" / "nets.md").split("## One contract")[0]
    named = set(re.findall(r"^\|.*\|([^|]*)\|$", table, re.MULTILINE))
    names = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert names == set(list_models())


def test_the_page_of_convolutions_names_every_algorithm() -> None:
    table = text_of(ROOT / "docs" / "conv.md").split("## The algorithms")[1].split("## The parts")[0]
    named: set[str] = set()
    for cell in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE):  # `winograd2`, `4` are winograd2 and winograd4
        first, *others = re.findall(r"`(\w+)`", cell)
        named.add(first)
        named |= {name if name[0].isalpha() else re.sub(r"\d(?=_|$)", name, first, count=1) for name in others}
    assert named == set(algorithms())


@pytest.mark.parametrize("command", ["inspect resnet50", "inspect alexnet vgg16 resnet50"])
def test_what_inspect_is_said_to_print_it_prints(command: str) -> None:
    printed = CliRunner().invoke(app, command.split()).stdout.splitlines()
    page = [line.strip() for line in text_of(ROOT / "docs" / "inspect.md").splitlines()]
    rows = [line for line in printed if re.match(r"(name|net|stem|layer\d|head|total|alexnet|vgg16|resnet50) ", line)]
    assert len(rows) >= 4
    for row in rows:
        assert row.strip() in page


def test_links_can_be_told_from_text_in_light_and_in_the_dark() -> None:
    style = text_of(ROOT / "docs" / "book.css")
    link = dict(re.findall(r'scheme="(\w+)"\] \{\s*--md-typeset-a-color: #(\w{6})', style))
    assert contrast(link["default"], "ffffff") > 4.5
    assert contrast(link["slate"], "1e2129") > 4.5  # the theme's own dark page
    assert contrast(link["default"], "212121") > 2  # from the text around
    assert contrast(link["slate"], "ffffff") > 2


def contrast(one: str, other: str) -> float:
    """WCAG 2.1, "contrast ratio"."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_make_bench_runs_scripts_that_ask_for_nothing() -> None:
    left_out = re.search(r"patsubst %,benchmarks/%\.py,([\w ]+)\)", text_of(ROOT / "Makefile"))
    assert left_out
    for script in sorted((ROOT / "benchmarks").glob("*.py")):
        asks = False
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".add_argument"):
                keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                positional = not ast.unparse(node.args[0]).strip("'\"").startswith("-")
                asks |= keywords.get("required") == "True" or (positional and "nargs" not in keywords)
            asks |= isinstance(node, ast.Subscript) and bool(re.match(r"sys\.argv\[\d", ast.unparse(node)))
        if script.stem not in left_out[1].split():
            assert not asks, script.name
