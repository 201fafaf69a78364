"""The page of a search, and the lines of its view: complete, sound, and never in the way of what users name things."""

import io
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import optuna
import pytest

from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger, Record
from striate.search.plan import Plan, plan_from
from striate.search.ranking import all_records, ranked
from striate.search.report import write_search_report
from striate.search.report.contour import contour_chart
from striate.search.report.importance import importances
from striate.search.report.layouts import layout_chart
from striate.search.report.scale import scale_for
from striate.search.space import Range
from striate.search.storage import open_storage
from striate.search.view import LiveTable, view_for

TABLE = {
    "data": "photos<b>",
    "space": {"lr": "1e-4:1.0:log", "weight_decay": "1e-6:1e-2:log", "optimizer": ["sgd", "adamw"]},
    "stage": [{"trials": 20, "epochs": 2}, {"trials": 2, "epochs": 4, "space": {"lr": "1e-2:10.0:log"}}],
}
PRUNER = optuna.pruners.NopPruner()


def sampler(number: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=number)


def accuracy(values: dict[str, Any]) -> float:
    """Rate decides, the optimiser hardly."""
    lr = Range(low=1e-4, high=1.0, log=True).place(values["lr"])
    return 0.9 - (lr - 0.6) ** 2 + (0.001 if values["optimizer"] == "sgd" else 0.0)


@pytest.fixture
def searched(tmp_path: Path) -> tuple[SearchFolder, Ledger, Plan]:
    """A search whose trials were told, not trained."""
    from striate.search.conduct import open_next

    plan = plan_from([TABLE], {}, {})
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    ledger = Ledger(open_storage(folder.storage), "mine")
    for stage in range(2):
        open_next(ledger, plan, stage)
        while (taken := ledger.take(stage, "me", sampler, PRUNER)) is not None:
            if taken.number == 3:
                ledger.finish(taken, "exploded", cause="the loss is <nan>")
            elif taken.number == 4:
                ledger.finish(taken, "failed", cause="no such net")
            else:
                ledger.finish(taken, "finished", accuracy(taken.values), loss=1.0, seconds=2.0)
    return folder, ledger, plan


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_says_everything_and_is_sound(searched: tuple[SearchFolder, Ledger, Plan]) -> None:
    folder, ledger, plan = searched
    write_search_report(folder, ledger, plan)
    page = folder.report.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert "script" not in tags.seen
    assert "photos&lt;b&gt;" in page
    assert "<b>:" not in page
    assert "the loss is &lt;nan&gt;" in page
    for said in ("Random against grid", "Trial after trial", "Importance", "Two at once", "All at once", "no such net"):
        assert said in page, said
    assert "lr 0.01:10.0:log, as the plan says" in page
    assert "nan" not in page.replace("&lt;nan&gt;", "").replace("finance", "")


def test_a_search_without_a_value_has_a_page_too(tmp_path: Path) -> None:
    plan = plan_from([TABLE], {}, {})
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    ledger = Ledger(open_storage(folder.storage), "mine")
    write_search_report(folder, ledger, plan)
    assert "no trial has reached a value" in folder.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("1e-3:1:log", "0.0001,0.1"),
        ("0.1,0.01", "1e-3:1:log"),
        ("0.1,0.01", "0.1,0.02"),
        ("1e-3:1.0:log", "0.0:0.5"),
    ],
)
def test_a_plan_gives_its_stages_ranges_and_options_as_it_likes(tmp_path: Path, first: str, then: str) -> None:
    """Of decays, which may be 0. A stage of its own may come first, too."""
    from striate.search.conduct import open_next

    stages = [
        {"trials": 12, "epochs": 1, "space": {"weight_decay": first}},
        {"trials": 12, "epochs": 1, "space": {"weight_decay": then}},
    ]
    plan = plan_from([{"space": {"lr": "0.1:1.0", "weight_decay": "1e-6:1e-5:log"}, "stage": stages}], {}, {})
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    ledger = Ledger(open_storage(folder.storage), "mine")
    for stage in range(2):
        open_next(ledger, plan, stage)
        while (taken := ledger.take(stage, "me", sampler, PRUNER)) is not None:
            ledger.finish(taken, "finished", taken.values["lr"] / 2, loss=1.0, seconds=2.0)
    scale = scale_for("weight_decay", [ledger.space(0)["weight_decay"], ledger.space(1)["weight_decay"]], 0.0, 1.0)
    places = [scale.at(one.values["weight_decay"]) for stage in range(2) for one in ledger.records(stage)]
    assert all(0.0 <= place <= 1.0 for place in places)
    write_search_report(folder, ledger, plan)
    page = folder.report.read_text(encoding="utf-8")
    for said in ("Importance", "All at once", f"weight_decay {ledger.space(1)['weight_decay']}, as the plan says"):
        assert said in page, said


def test_importance_finds_what_decides(searched: tuple[SearchFolder, Ledger, Plan]) -> None:
    _, ledger, plan = searched
    known = [one for one in ledger.records(0) if one.value is not None]
    spaces = {name: [one] for name, one in plan.space.items()}
    found = importances(spaces, known)
    assert next(iter(found)) == "lr"
    assert 0.4 < found["lr"] <= 1  # of 18 trials a forest knows no more
    assert importances(spaces, known[:5]) == {}


def test_a_grid_of_nine_tries_three_values_and_nine_random_trials_nine() -> None:
    space = {"lr": Range(low=0, high=1), "momentum": Range(low=0, high=1)}
    grid = [{"lr": i / 2, "momentum": j / 2} for i in range(3) for j in range(3)]
    random = [{"lr": i / 9, "momentum": (i * 4 % 9) / 9} for i in range(9)]
    chart = layout_chart(("lr", "momentum"), space, {"a grid": grid, "at random": random})
    assert "a grid: 9 trials, 3 values of lr. at random: 9 trials, 9 values of lr." in chart
    assert chart.count("<circle") == 18


def test_plain_lines_tell_each_trial_once(searched: tuple[SearchFolder, Ledger, Plan]) -> None:
    _, ledger, plan = searched
    stream = io.StringIO()
    view = view_for(plan, stream)
    view.stage(0, ledger)
    for _ in range(2):
        view.look(0, ledger.records(0))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "stage 1 of 2: 20 trials of 2 epochs, random, pruner median"
    assert "  lr 0.0001:1.0:log" in lines
    trials = [line for line in lines if "  trial 1." in line]
    assert len(trials) == 20
    assert trials[3].endswith("exploded: the loss is <nan>")
    assert sum(" *" in line for line in trials) >= 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_live_table_draws_best_and_running(
    searched: tuple[SearchFolder, Ledger, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    _, ledger, plan = searched
    stream = Terminal()
    view = view_for(plan, stream)
    assert isinstance(view, LiveTable)
    view.stage(0, ledger)
    running = Record(stage=0, number=20, values={"lr": 0.5}, outcome="running", curve=((1, 0.25),))
    view.look(0, [*ledger.records(0), running])
    view.close()
    told = stream.getvalue()
    assert "20/21 trials" in told
    assert "1/2" in told
    assert "25.00%" in told


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_search_goes_on_when_nobody_reads_it(
    searched: tuple[SearchFolder, Ledger, Plan], kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `striate search … 2>&1 | head -1` has it: the trials' workers would have been stopped with it."""
    monkeypatch.setenv("TERM", "xterm")
    _, ledger, plan = searched
    stream = kind()
    view = view_for(plan, stream)
    view.note("one\nline")
    assert stream.getvalue().strip() == "one\\nline"

    def closed(*_: object) -> int:
        raise BrokenPipeError

    stream.write = closed  # type: ignore[method-assign]
    view.stage(0, ledger)
    view.look(0, ledger.records(0))
    view.note("another")
    view.close()


def test_a_contour_can_be_read_off_its_axes(searched: tuple[SearchFolder, Ledger, Plan]) -> None:
    """Within part of a decade there are marks, too, and an axis of logarithms says that it is one."""
    _, ledger, plan = searched
    records = all_records(ledger, plan)
    rate, decay = Range(low=1e-4, high=10.0, log=True), Range(low=1e-6, high=1e-2, log=True)
    root = ElementTree.fromstring(contour_chart(("lr", "weight_decay"), ([rate], [decay]), records, ranked(records)[0]))
    written = {"".join(one.itertext()): one for one in root.iter("text")}
    assert {"lr, log scale", "weight_decay, log scale"} <= set(written)
    marks = {float(name): float(one.get("x", "")) for name, one in written.items() if one.get("y") == "238"}
    slope, offset = np.polyfit(np.log([*marks]), [*marks.values()], 1)
    drawn = sorted(float(one.get("cx", "")) for one in root.iter("circle"))
    expected = sorted(slope * math.log(one.values["lr"]) + offset for one in records if one.value is not None)
    np.testing.assert_allclose(drawn, expected, atol=0.2)
    narrow = scale_for("lr", [Range(low=0.003, high=0.0045, log=True)], 0, 100)
    assert [name for _, name in narrow.ticks] == ["0.003", "0.0035", "0.004", "0.0045"]
