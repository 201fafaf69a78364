"""Tables on a terminal and in a pipe, and JSON."""

import io
import json
import sys

import pytest

from striate.cli.table import print_json, print_table


def test_a_pipe_gets_every_letter_and_no_trailing_blank(capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 300
    print_table(["class", "images"], [[name, 12_345], ["b", None]], right=["images"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{name}  12,345"
    assert lines[2] == "b" + " " * 299 + "       –"
    assert all(line == line.rstrip() for line in lines)


def test_no_rows_is_only_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [])
    assert capsys.readouterr().out == "a  b\n"


def test_a_name_with_line_ends_and_escapes_is_one_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["class", "images"], [["two\nlines\x1b[31m", 7]], right=["images"])
    assert capsys.readouterr().out == "class               images\ntwo\\nlines\\x1b[31m       7\n"


def test_wide_letters_take_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Unicode Annex 11: 数字 stands over four letters."""
    print_table(["class", "images"], [["数字", 7], ["four", 8]], right=["images"])
    assert capsys.readouterr().out.splitlines()[1:] == ["数字        7", "four        8"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_names_with_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "60")
    print_table(["class", "images"], [["[red]ants[/red]", 7]], right=["images"])
    assert "[red]ants[/red]" in screen.getvalue()


@pytest.mark.parametrize("columns", [12, 20, 40])
def test_a_terminal_never_folds_a_number(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(["a long name of a class", "error"], [["ants and other insects", "2e-06"]], right=["error"])
    assert "2e-06" in screen.getvalue()


def test_json_keeps_letters_of_every_language(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"class": "개미", "share": 0.1})
    out = capsys.readouterr().out
    assert "개미" in out
    assert json.loads(out) == {"class": "개미", "share": 0.1}


@pytest.mark.parametrize("name", ["lat\udce9.png", "개미.png"])
def test_json_gives_back_names_that_stdout_has_no_letters_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As on a terminal of ASCII: a name is escaped, not lost to question marks."""
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="ascii", errors="replace"))
    print_json({"image": name}, indent=None)
    assert json.loads(pipe.getvalue()) == {"image": name}
    assert pipe.getvalue().count(b"\n") == 1
