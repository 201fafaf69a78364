"""The habits of the house that no other tool holds: what a module looks like, what is pinned, what stays unloaded."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "striate"
MODULES = sorted(PACKAGE.rglob("*.py"))
names = [str(path.relative_to(PACKAGE)) for path in MODULES]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_module_says_what_it_is_and_what_it_offers(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree), "a module begins with what it is"
    if path.name == "__main__.py":
        return
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and any(
            isinstance(target, ast.Name) and target.id == "__all__"
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
    ]
    assert len(lists) == 1, "__all__ is written by hand, once"
    offered = ast.literal_eval(lists[0])
    assert list(offered) == sorted(set(offered)) or set(offered) == set(map(str, offered))
    assert all(isinstance(name, str) for name in offered)


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_module_is_one_idea(path: Path) -> None:
    assert path.stem not in {"utils", "util", "misc", "helpers", "common", "old"}
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400, "400 lines is the limit"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError$", text, re.MULTILINE)


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_silenced_checks_say_why(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        silenced = re.search(r"#\s*(noqa|type:\s*ignore)\b(.*)$", line)
        if silenced:
            reason = re.sub(r"^(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[a-z, -]+\])", "", silenced[2])
            assert re.search(r"[a-z]", reason), f"line {number}: {line.strip()}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(PACKAGE / "arithmetic")], ids=lambda p: p.name)
def test_arithmetic_needs_the_standard_library_only(path: Path) -> None:
    assert imported(parsed(path)) <= set(sys.stdlib_module_names) | {"striate"}


def test_torchvision_and_timm_are_never_imported() -> None:
    for path in MODULES:
        assert not imported(parsed(path)) & {"torchvision", "timm"}, path


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--version"], *([name, "--help"] for name in ("train", "evaluate", "predict", "models", "recipes")),
     ["search", "--help"],
     ["data", "--help"], ["data", "info", "--help"], ["data", "check", "--help"], ["doctor", "--help"],
     ["doctor", "data", "--help"], ["pack", "--help"],
     ["transfer", "--help"], ["convert", "--help"], *(["bench", name, "--help"] for name in ("conv", "nets", "fft"))],
    ids=" ".join,
)  # fmt: skip
def test_help_does_not_wait_for_torch(args: list[str]) -> None:
    code = (
        "import sys; from striate.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'PIL', 'sklearn', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_striate_does_not_load_torch() -> None:
    code = "import sys, striate; dir(striate); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("package", ["striate", "striate.data"])
def test_names_loaded_when_first_used_are_not_hidden_by_modules(package: str) -> None:
    """A name that a module of the package bears too is that module from the moment something imports it."""
    code = f"import {package} as p, types; print([n for n in p.__all__ if isinstance(getattr(p, n), types.ModuleType)])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == str(["conv", "data"] if package == "striate" else [])
    taken = {module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)}
    assert taken & set(importlib.import_module(package).__all__) <= {"conv", "data"}


def lock() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines if not line.startswith("#")]
    assert all(pins), "one name==version a line: no ranges, addresses, hashes or local builds"
    return {pin[1]: pin[2] for pin in pins if pin}


def test_lock_pins_what_the_project_needs() -> None:
    pinned = lock()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needs = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    extras = project["project"]["optional-dependencies"]
    needs += [need for extra, needed in extras.items() if extra != "peers" for need in needed]
    for need in map(Requirement, needs):
        name = canonicalize_name(need.name)
        assert name in pinned, f"{name} is not in the lock: run `make lock`"
        assert pinned[name] in need.specifier, f"{name} {pinned[name]} is not {need.specifier}"


def test_no_script_of_a_test_runs_when_it_is_imported() -> None:
    """Doctests are looked for in every file: a script that began there would run in the tests' own process."""
    scripts = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith(("test_", "conftest"))]
    for path in scripts:
        calls = [line for line in parsed(path).body if isinstance(line, ast.Expr) and isinstance(line.value, ast.Call)]
        assert not calls, f"{path}, line {calls[0].lineno}: put it behind `if __name__ == '__main__'`"


def test_lock_holds_torch_still() -> None:
    assert lock()["torch"] == "2.13.0"


def test_an_archive_of_the_sources_lacks_nothing_that_git_keeps() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}
    assert set(project["tool"]["scikit-build"]["sdist"]["exclude"]) <= ignored  # a packager runs these tests there


def test_ci_runs_every_check_and_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    made = re.findall(r"^make (\w+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert made == ["check", "test", "slow", "sanitize"]
