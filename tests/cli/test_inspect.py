"""`striate inspect`: what it prints, writes and refuses."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from striate.cli import main
from striate.nets.weights import ModelCard, save_model


def told(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["inspect", *args]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["inspect", *args]) in (1, 2)
    return capsys.readouterr().err.strip()


def test_one_net_by_stage(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "resnet50").splitlines()
    assert lines[0] == "resnet50, input 3×224×224"
    assert [line.split()[0] for line in lines[3:10]] == [
        "stem", "layer1", "layer2", "layer3", "layer4", "head", "total",
    ]  # fmt: skip
    assert "25,557,032" in lines[9]
    assert lines[7].split()[-2:] == ["427", "32"]  # Araujo 2019, with torchvision's strides
    assert lines[-1].startswith("inference on 1 image in fp32 needs 111")


def test_several_nets_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "vgg16", "lenet5").splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["vgg16", "3×224×224"], ["lenet5", "3×32×32"]]
    assert "15,470,264,320" in lines[1]


def test_json_holds_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    (net,) = json.loads(told(capsys, "lenet5", "--json", "--by", "layer", "--input", "1x32x32", "--classes", "10"))
    assert net["total"]["params"] == 61_706
    assert net["total"]["flops"] == 2 * net["total"]["macs"] == 833_040
    assert net["rows"][0]["output_shape"] == [6, 28, 28]
    assert net["rows"][0]["field"] == [{"size": 5.0, "jump": 1.0, "start": 0.0}] * 2
    assert net["memory"]["peak_nbytes"] > net["memory"]["parameters_nbytes"] == 4 * 61_706
    assert net["unknown"] == net["unused"] == []


def test_csv_has_a_line_for_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(told(capsys, "lenet5", "resnet20", "--csv", "--by", "layer"))))
    assert {row["net"] for row in rows} == {"lenet5", "resnet20"}
    linear = 64 * 990 + 990  # 1,000 classes instead of the ten that He 2015 counts 0.27M with
    counted = sum(int(row["params"]) for row in rows if row["net"] == "resnet20")
    assert round((counted - linear) / 1e6, 2) == 0.27
    assert all(row["jump_px"] == row["field_px"] == "" or "×" in row["field_px"] for row in rows)


def test_fits_says_the_largest_batch(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "resnet20", "--fits", "1GB", "--optimizer", "momentum").splitlines()[-1]
    assert line.endswith("one image more does not fit 1GB")
    (net,) = json.loads(told(capsys, "resnet20", "--fits", "1GB", "--optimizer", "momentum", "--json"))
    assert net["memory"]["peak_nbytes"] <= 10**9
    assert f"training on {net['memory']['batch_size']} images" in line
    (said,) = re.findall(r"needs ([\d,.]+) MiB at its peak \((.*)\);", line)
    parts = [float(part.rsplit(" ", 1)[1].replace(",", "")) for part in said[1].split(", ")]
    assert sum(parts) == pytest.approx(float(said[0].replace(",", "")), abs=0.1)


def test_a_budget_without_end_is_not_said_to_be_full(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "two_layer", "--fits", "900TB").splitlines()[-1]
    assert line.startswith("inference on 1,048,576 images in fp32 needs")
    assert line.endswith("; more may fit 900TB, the search ends there")


def test_a_model_file_is_inspected_by_its_card(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "digits.safetensors"
    card = ModelCard(net="lenet5", classes=tuple("0123456789"), in_chans=1, input_size=(32, 32))
    save_model(path, card.build(), card)
    lines = told(capsys, str(path)).splitlines()
    assert lines[0] == "lenet5, input 1×32×32"
    assert "61,706" in lines[6]


class Page(HTMLParser):
    """Text of a page, and whether its elements are closed as they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "rect"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "cost.html"
    told(capsys, "resnet20", "vgg11", "--html", str(path))
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.links == []
    for words in ("Side by side", "resnet20", "132,863,336", "Every layer", "multiply-adds"):
        assert words in page.words
    assert path.read_text(encoding="utf-8").count('<svg role="img"') == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lenet55"], "striate inspect: error: unknown net 'lenet55'; did you mean 'lenet5'?"),
        (["lenet5", "--input", "32x32"], "--input 32x32: expected whole numbers such as 3x224x224"),
        (["lenet5", "--by", "layers"], "unknown view 'layers'; did you mean 'layer'?"),
        (["lenet5", "--json", "--csv"], "--json and --csv exclude each other; give one of them"),
        (
            ["lenet5", "--suggest", "--csv"],
            "--csv holds the rows of the table alone, not what --suggest finds; leave out",
        ),
        (
            ["lenet5", "--fits", "1GB", "--csv"],
            "--csv holds the rows of the table alone, not what --fits finds; leave out",
        ),
        (["lenet5", "--fits", "much"], "'much' is no amount of memory; write it as 16GB, 24GiB or 800MB"),
        (["vgg16", "--input", "3x16x16"], "vgg16 cannot take 16×16 images: features.30 (max-pool 2×2, stride 2)"),
        (["no/such.safetensors"], "no/such.safetensors"),
        (["lenet5", "--optimizer", "adan"], "unknown optimizer 'adan'; did you mean 'adam'?"),
    ],
)
def test_refusals_are_one_line(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, *args)
    assert message in said
    assert len(said.splitlines()) == 1


def test_unknown_costs_are_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from striate.nets.inspect import count

    monkeypatch.setattr(count, "FREE", count.FREE - {"relu"})
    assert "the cost of relu is unknown and not counted: 4 calls, in features.act1" in told(capsys, "lenet5")
