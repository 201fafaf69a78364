"""What every command has in common: exit codes, one-line errors, signals, help, completion."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer

import striate as package
from striate.cli import main
from striate.cli.app import app
from striate.errors import StriateError

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_version(striate: Run) -> None:
    done = striate("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"striate {package.__version__}\n", "")


def test_help_names_every_command(striate: Run) -> None:
    done = striate("--help")
    assert done.returncode == 0
    for command in ("models", "recipes", "data", "doctor"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("group", [[], ["bench"], ["data"], ["doctor"]], ids=["striate", "bench", "data", "doctor"])
def test_what_a_command_does_is_said_to_the_end(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*group, "--help"]) == 0
    out = capsys.readouterr().out
    said = " ".join(out[out.index("\nCommands:") :].split())
    assert "..." not in said
    if not group:
        assert "Search settings: give any setting of `striate train` as LOW:HIGH, LOW:HIGH:log, or a,b,c;" in said


def test_no_command_is_a_usage_error_that_shows_the_help(striate: Run) -> None:
    done = striate()
    assert done.returncode == 2
    assert done.stdout.startswith("Usage: striate ")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["modles"], "striate: error: unknown command 'modles'; did you mean 'models'?"),
        (["data", "chek"], "striate data: error: unknown command 'chek'; did you mean 'check'?"),
        (["models", "--jsn"], "striate models: error: unknown option '--jsn'; did you mean '--json'?"),
        (["models", "--zzz"], "striate models: error: unknown option '--zzz'; --help lists those there are"),
        (["models", "a", "b"], "striate models: error: got unexpected extra argument(s) (b)"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(args: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    assert capsys.readouterr() == ("", line + "\n")


def test_a_striate_error_is_one_line_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "zzz*"]) == 1
    expected = "striate models: error: no net matches 'zzz*'; `striate models` lists them all\n"
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize("args", [["--debug", "models", "zzz*"], ["models", "zzz*", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("striate models: error: no net matches 'zzz*'; `striate models` lists them all\n")


def test_debug_after_two_dashes_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--", "--debug"]) == 1
    assert "no net matches '--debug'" in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Run a command, `striate recipes`, that raises the given error."""

    def run(error: BaseException) -> int:
        def fail() -> None:
            raise error

        commands = [c for c in app.registered_commands if c.callback is None or c.callback.__name__ != "recipes"]
        monkeypatch.setattr(app, "registered_commands", commands)
        app.command("recipes")(fail)
        return main(["recipes"])

    return run


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StriateError("photos: no such folder"), "photos: no such folder"),
        (RuntimeError("two\nlines"), "RuntimeError: two lines (striate/cli/app.py:"),
        (PermissionError(13, "Permission denied", "photos/a.jpg"), "photos/a.jpg: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "out of memory; smaller batches, images or matrices need less"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate"),
            "out of memory; smaller batches, images or matrices need less",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory; smaller batches, images or matrices"),
        (RuntimeError("could not create a primitive"), "out of memory; smaller batches, images or matrices need less"),
        (
            RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
            "RuntimeError: could not create a primitive descriptor for a convolution forward propagation primitive (",
        ),
        (OSError(24, "Too many open files", "photos/a.jpg"), "no more files can be opened (ulimit -n, or the system"),
        (
            RuntimeError("can't start new thread"),
            "no more threads can be started (ulimit -u, or the container's",
        ),
        (
            ModuleNotFoundError("No module named 'optuna'", name="optuna"),
            "the module 'optuna' is missing, so striate is not wholly installed; `make` in a checkout, or pip install",
        ),
        (
            ImportError("cannot import name '_native' from 'striate' (unknown location)", name="striate"),
            "the native module is not built, so striate is not wholly installed; `make` in a checkout, or pip install",
        ),
        (
            ModuleNotFoundError("No module named 'striate.nowhere'", name="striate.nowhere"),
            "ModuleNotFoundError: No module named 'striate.nowhere' (striate/cli/app.py:",
        ),
        (ValueError("odd"), "ValueError: odd (striate/cli/app.py:"),
    ],
)
def test_any_error_is_one_line(
    error: Exception, line: str, failing: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"striate recipes: error: {line}")
    assert err.endswith("this is a bug in striate, --debug shows all of it\n") == ("Error: " in line)


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (typer.Abort(), 130), (typer.Exit(0), 0), (typer.Exit(143), 143)],
)
def test_exit_codes(error: BaseException, code: int, failing: Callable[[BaseException], int]) -> None:
    assert failing(error) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_command_with_its_code_and_no_traceback(number: signal.Signals, code: int) -> None:
    program = (
        "import signal, sys, time, striate.cli.app as a\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # as nohup's
        "def recipes():\n    print('started', flush=True); time.sleep(60)\n"
        "a.app.registered_commands[:] = []; a.app.command()(recipes)\n"
        "sys.exit(a.main(['recipes']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=600)
    assert process.returncode == code
    assert err == ""


def test_ctrl_c_while_the_command_line_is_loaded_is_no_traceback() -> None:
    """Half a second, and more on a cold disk, in which it was one."""
    program = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'striate.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from striate.cli import main\n"
        "sys.exit(main(['--version']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_second_ctrl_c_as_the_process_ends_is_no_traceback() -> None:
    """The interpreter takes seconds to end after training, and printed where it was when it was asked again."""
    program = (
        "import atexit, os, signal, sys, striate.cli.app as a\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def recipes():\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "a.app.registered_commands[:] = []; a.app.command()(recipes)\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv[1:] = ['recipes']\n"
        "from striate.cli import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_main_leaves_the_signal_handlers_as_they_were() -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    main(["--version"])
    assert [signal.getsignal(number) for number in numbers] == before


def test_nohup_is_respected_by_every_command() -> None:
    program = (
        "import os, signal, striate.cli.app as a\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "def recipes():\n    os.kill(os.getpid(), signal.SIGHUP); print('went on')\n"
        "a.app.registered_commands[:] = []; a.app.command()(recipes)\n"
        "a.main(['recipes'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "went on\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(shell: str, striate: Run) -> None:
    words = {"COMP_WORDS": "striate mod", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "striate mod"}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = striate(_STRIATE_COMPLETE=f"complete_{shell}", **words, **action)
    assert "models" in done.stdout
    assert "doctor" not in done.stdout


def test_a_terminal_without_arrows_gets_the_table_all_the_same(striate: Run) -> None:
    done = striate("inspect", "lenet5", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lenet5, input 3?32?32\n")


def test_the_c_locale_without_utf8_gets_the_table_all_the_same(striate: Run) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # then Python's stdout is "surrogateescape"
    done = striate("inspect", "lenet5", PYTHONIOENCODING="", **plain)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lenet5, input 3?32?32\n")


@pytest.mark.parametrize(("closed", "out", "err"), [("<&-", True, True), (">&-", False, True), ("2>&-", True, False)])
def test_closed_streams_are_nowhere_to_print_to(closed: str, out: bool, err: bool) -> None:
    def ask(pattern: str) -> subprocess.CompletedProcess[str]:
        call = ["bash", "-c", f'"$0" -m striate.cli models "$1" {closed}', sys.executable, pattern]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    found = ask("lenet5")
    assert (found.returncode, found.stdout.startswith("net "), found.stderr) == (0, out, "")
    lacking = ask("zzz*")
    assert (lacking.returncode, "no net matches 'zzz*'" in lacking.stderr) == (1, err)


@pytest.mark.parametrize("command", ["doctor", "models"])
def test_a_wrong_instruction_set_is_a_usage_error(striate: Run, command: str) -> None:
    done = striate(command, STRIATE_ISA="AVX2")
    assert done.returncode == 2
    said = f"striate {command}: error: STRIATE_ISA='AVX2' is not an instruction set known here; choose from portable"
    assert done.stderr.startswith(said)


@pytest.mark.parametrize(
    "args",
    [
        ["train", "digits", "-m", "lenet55"],
        ["train", "digits", "--policy", "strnog"],
        ["train", "digits", "--recipe", "quikc"],
        ["inspect", "lenet5", "--precision", "fp8"],
        ["inspect", "lenet5", "--by", "layre"],
        ["evaluate", "nowhere", "--views", "51"],
        ["check", "lenet5", "--only", "los"],
    ],
)
def test_a_name_that_no_list_has_is_a_usage_error(
    args: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(args) == 2
    told = capsys.readouterr()
    assert f"striate {args[0]}: error: unknown " in told.err
    assert told.err.count("\n") == 1  # nothing was read before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "args",
    [
        ["models", "--plot", "a.png"],
        ["check", "lenet5", "digits", "--plot", "a.png"],
        ["evaluate", "runs/a", "--plot", "a.png"],
    ],
)
def test_pictures_are_svg(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    assert "a.png is no SVG file; pictures are drawn as SVG: give a name that ends in .svg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "old"), [(["models", "resnet18"], "--chart"), (["check", "mlp", "--only", "activations"], "--svg")]
)
def test_names_that_plot_had_before_still_draw_but_are_told_to_nobody(
    args: list[str], old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--plot", old):
        assert main([*args, option, str(tmp_path / f"{option}.svg")]) == 0
    assert (tmp_path / "--plot.svg").read_bytes() == (tmp_path / f"{old}.svg").read_bytes()
    capsys.readouterr()
    assert main([args[0], "--help"]) == 0
    told = capsys.readouterr().out
    assert "--plot" in told
    assert old not in told


def test_a_closed_pipe_is_no_traceback(striate: Run) -> None:
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -m striate.cli doctor --json | head -n 1', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert "Traceback" not in done.stderr
