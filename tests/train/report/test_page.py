"""The page, read as a browser and a screen reader would: whole, safe, self-contained, and true to its record.

Long, because one reader of pages, and one record, serve all its parts.
"""

import ast
import errno
import html.parser
import re
import sys
from dataclasses import dataclass, field, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from striate.errors import StriateError
from striate.train.report import EpochRow, LayerLine, Mistake, RunRecord, Scored, render, write_report
from striate.train.report.sections import MOST_EXAMPLES, MOST_MISTAKES, MOST_NOTES

VOID = {"meta", "img", "link", "br", "hr", "input", "col"}  # elements without an end tag (HTML, 13.1.2)
HOSTILE = "</title></style><script>alert('1')</script><img src=x onerror=alert(1)>\"'&"
THIN = "\u202f"


@dataclass
class Node:
    tag: str
    attributes: dict[str, str | None]
    children: list["Node | str"] = field(default_factory=list)

    def all(self, tag: str, kind: str | None = None) -> list["Node"]:
        """Every element below with this tag (and class), in document order."""
        found = []
        for child in self.children:
            if isinstance(child, Node):
                classes = (child.attributes.get("class") or "").split()
                if tag in ("*", child.tag) and (kind is None or kind in classes):
                    found.append(child)
                found += child.all(tag, kind)
        return found

    @property
    def text(self) -> str:
        text = "".join(child if isinstance(child, str) else child.text for child in self.children)
        return re.sub(r"\s+", " ", text).strip()


class Reader(html.parser.HTMLParser):
    """A tree of the page; fails on tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Node("document", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert [node.tag for node in self.open] == ["document"], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(record: RunRecord) -> Node:
    """The page of a record as a tree, having checked what must hold for every page."""
    page = render(record)
    page.encode("utf-8")
    root = Reader(page).root
    ids = [node.attributes["id"] for node in root.all("*") if "id" in node.attributes]
    assert len(ids) == len(set(ids)), "ids are unique"
    for node in root.all("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on"), "no event handlers"
            if name in ("aria-labelledby", "aria-describedby"):
                assert set((value or "").split()) <= set(ids)
            if name == "href":
                assert (value or "").startswith("#")
                assert (value or "")[1:] in ids
            if name in ("src", "srcset", "action", "poster", "data"):
                assert (value or "").startswith("data:image/png;base64,")
    assert not root.all("script") + root.all("link") + root.all("iframe") + root.all("object") + root.all("base")
    (sheet,) = root.all("style")
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text
    assert all("url(" not in (node.attributes.get("style") or "") for node in root.all("*"))
    policy = [node.attributes["content"] for node in root.all("meta") if "http-equiv" in node.attributes]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    levels = [int(node.tag[1]) for node in root.all("*") if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no heading level is skipped"
    for image in root.all("img"):
        assert {"alt", "width", "height"} <= image.attributes.keys()
    for table in root.all("table"):
        assert table.all("caption")
        assert all(cell.attributes.get("scope") in ("row", "col") for cell in table.all("th"))
        columns = len(table.all("thead")[0].all("th"))
        assert all(len(row.all("th") + row.all("td")) == columns for row in table.all("tr"))
    for region in root.all("div", "scroll"):
        assert region.attributes["tabindex"] == "0"
        assert region.attributes["aria-label"]
    for svg in re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL):
        ElementTree.fromstring(svg)
    return root


def section(root: Node, name: str) -> Node:
    return next(node for node in root.all("section") if node.attributes["id"] == name)


def table(root: Node, caption: str) -> list[list[str]]:
    """The body of the table with this caption, cell by cell."""
    (found,) = (node for node in root.all("table") if node.all("caption")[0].text == caption)
    (body,) = found.all("tbody")
    return [[cell.text for cell in row.children if isinstance(cell, Node)] for row in body.all("tr")]


def facts(root: Node) -> dict[str, str]:
    return {name.text: value.text for name, value in zip(root.all("dt"), root.all("dd"), strict=True)}


def test_the_headline_answers(record: RunRecord) -> None:
    root = read(record)
    (headline,) = root.all("h1")
    assert headline.text == "lenet5 on insects: 88.0 % of 25 test images right"
    assert root.all("title")[0].text == headline.text
    lede = root.all("p", "lede")[0].text
    assert "70.0 % to 95.8 %" in lede  # SciPy: binomtest(22, 25).proportion_ci(method="wilson")
    assert "Always answering “ant” would be right for 40.0 %." in lede
    assert root.all("p", "outcome")[0].text == "Finished: all 4 epochs done."


def test_the_key_figures_are_the_records(record: RunRecord) -> None:
    figures = facts(read(record).all("header")[0])
    assert figures["Test accuracy"] == "88.0 %22 of 25"
    assert figures["Test loss"] == "0.312nats per image"
    assert figures["Best epoch"] == "3of 4, validation 75.0 %"
    assert figures["Parameters"] == "14.3 k132 k multiply-adds an image"
    assert figures["Time"] == "2 min 05 s"
    assert figures["Peak memory"] == "412 MiB"
    assert "Top-5 accuracy" not in figures


def test_the_top_5_accuracy_is_shown_where_there_is_one(record: RunRecord) -> None:
    assert record.final is not None
    root = read(replace(record, final=replace(record.final, top5=24 / 25)))
    assert facts(root.all("header")[0])["Top-5 accuracy"] == "96.0 %"


def test_a_score_on_the_validation_part_says_that_it_flatters(record: RunRecord) -> None:
    assert record.final is not None
    text = read(replace(record, final=replace(record.final, part="val"))).text
    assert "of 25 validation images right" in text
    assert "which flatters it a little" in text
    assert "flatters" not in read(record).text


def test_the_data_are_counted(record: RunRecord) -> None:
    shown = section(read(record), "shown")
    assert "100 images" not in shown.text
    assert "110 images in 3 classes, 73 for training, 12 for validation and 25 for test." in shown.text
    assert table(shown, "Images of each class and part") == [
        ["ant", "30", "5", "10"],
        ["bee", "31", "5", "10"],
        ["cat", "12", "2", "5"],
    ]
    assert [item.text for item in shown.all("ul", "notes")[0].all("li")] == ["train/ant/7.jpg: truncated"]
    assert [item.text for item in shown.all("ul", "examples")[0].all("li")] == ["ant", "bee", "cat"]
    assert len(shown.all("img")) == 6


def test_every_epoch_is_in_the_table(record: RunRecord) -> None:
    learned = section(read(record), "learned")
    rows = table(learned, "Every epoch in numbers")
    assert len(rows) == 4
    for cells, row in zip(rows, record.epochs, strict=True):
        assert cells[0] == f"{row.epoch}" + (" best" if row.epoch == 3 else "")
        numbers = [float(cell.removesuffix("%").removesuffix("s").replace(",", "")) for cell in cells[1:]]
        expected = [row.step, row.train_loss, 100 * row.train_accuracy, row.val_loss, 100 * (row.val_accuracy or 0)]
        expected += [row.learning_rate, row.seconds, row.images_per_second, 25]
        np.testing.assert_allclose(numbers, np.array(expected, dtype=float), rtol=5e-3)
    assert "epoch 3 was best, with 75.0 % right" in learned.text


def test_a_training_loss_that_holds_label_smoothing_says_so(record: RunRecord) -> None:
    smooth = read(replace(record, settings={"label_smoothing": 0.1}))
    assert "Loss: training with label smoothing 0.1, validation without" in section(smooth, "learned").text
    assert "smoothing" not in read(record).text


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_training_on_mixed_images_says_so_beside_both_curves(name: str, record: RunRecord) -> None:
    told = section(read(replace(record, settings={name: 0.2})), "learned").text
    assert "Loss: training with mixed images, validation without" in told
    assert "Accuracy: training by the likelier label of each mixed image" in told
    both = section(read(replace(record, settings={name: 0.2, "label_smoothing": 0.1})), "learned").text
    assert "Loss: training with label smoothing 0.1 and mixed images, validation without" in both
    assert "mixed" not in section(read(replace(record, settings={"mixup": 0.0, "cutmix": 0.0})), "learned").text


def test_a_thousand_epochs_are_thinned_but_the_best_and_the_last_stay(record: RunRecord) -> None:
    epochs = tuple(replace(record.epochs[0], epoch=e, step=e) for e in range(1, 1001))
    rows = table(
        section(read(replace(record, epochs=epochs, best_epoch=803)), "learned"),
        "Some of the epochs; log.jsonl has all of them",
    )
    assert len(rows) <= 62
    assert {"1", "803 best", "1000"} <= {row[0] for row in rows}


def test_the_scores_of_each_class_are_the_confusion_matrix_s(record: RunRecord) -> None:
    wrong = section(read(record), "wrong")
    assert table(wrong, "Precision and recall of each class") == [  # by hand from [[8, 2, 0], [1, 9, 0], [0, 0, 5]]
        ["ant", "88.9 %", "80.0 %", "84.2 %", "10"],
        ["bee", "81.8 %", "90.0 %", "85.7 %", "10"],
        ["cat", "100 %", "100 %", "100 %", "5"],
    ]
    assert wrong.all("tfoot")[0].text.endswith("90.2 %90.0 %90.0 %25")
    assert table(wrong, "All of them") == [["ant", "bee", "2", "20.0 %"], ["bee", "ant", "1", "10.0 %"]]
    assert "A dash" not in wrong.text


def test_the_surest_mistake_comes_first(record: RunRecord) -> None:
    items = section(read(record), "wrong").all("ul", "mistakes")[0].all("li")
    assert [item.text for item in items] == [
        "bee taken for ant 87.5 % sure b/2.png",
        "ant taken for bee 75.0 % sure a/1.png",
    ]
    assert items[0].all("img")[0].attributes["alt"] == "image of bee taken for ant"


def test_the_layers_filters_cost_and_command_are_the_records(record: RunRecord) -> None:
    root = read(record)
    inside = section(root, "inside")
    assert table(inside, "Layers, for one image") == [
        ["conv1", "Conv2d 5×5", "6 × 28 × 28", "156", "1.1 %", "117,600", "89.3 %"],
        ["fc", "Linear", "3", "14,115", "98.9 %", "14,112", "10.7 %"],
    ]
    assert len(inside.all("img")) == 6
    assert "6 filters of 5 × 5 on 1 channel" in inside.text
    cost = facts(section(root, "cost"))
    assert cost["Training of one epoch, median"] == "2.5 s"
    assert cost["Images per second, median"] == "1,002"
    assert cost["Training time spent waiting for images"] == "25.0 %"
    assert (cost["CPU"], cost["Threads"]) == ("a fast one", "2")
    repeat = section(root, "repeat")
    assert repeat.all("code")[0].text == record.command
    assert facts(repeat) == {
        "epochs": "4",
        "optimiser.name": "sgd",
        "optimiser.nesterov": "true",
        "ema": "–",
        "mean": "0.5, 0.25",
        "striate": "0.1.0",
    }
    assert root.all("time")[0].text == "9 March 2026, 14:05 UTC"


def test_a_perfect_score_is_said_to_be_one(record: RunRecord) -> None:
    perfect = Scored(part="test", samples=9, accuracy=1.0, loss=0.0, confusion=3 * np.eye(3, dtype=np.int64))
    root = read(replace(record, final=perfect))
    assert root.all("h1")[0].text == "lenet5 on insects: 100 % of 9 test images right"
    assert "Nowhere: all 9 images are right." in section(root, "wrong").text


def test_almost_perfect_is_not_rounded_to_perfect(record: RunRecord) -> None:
    confusion = np.diag([300_000, 300_000, 299_999])
    confusion[2, 0] = 1
    final = Scored(part="test", samples=900_000, accuracy=1 - 1 / 900_000, loss=0.0, confusion=confusion)
    headline = read(replace(record, final=final)).all("h1")[0].text
    assert headline == "lenet5 on insects: 99.9999 % of 900,000 test images right"


def test_a_run_without_validation_test_filters_or_memory_is_told(record: RunRecord) -> None:
    bare = replace(
        record,
        epochs=tuple(replace(row, val_loss=None, val_accuracy=None) for row in record.epochs),
        best_epoch=None,
        final=None,
        filters=None,
        layers=(),
        peak_memory_nbytes=None,
        machine={},
        versions={},
        settings={},
        steps=(),
    )
    root = read(bare)
    assert root.all("h1")[0].text == "lenet5 on insects: finished after 4 epochs"
    assert "There were no validation images to choose an epoch by." in root.text
    assert "No images were scored, so nothing is known about mistakes." in root.text
    assert {row[4] for row in table(root, "Every epoch in numbers")} == {"–"}


def test_a_run_that_diverged_before_its_first_epoch_shows_its_steps(record: RunRecord) -> None:
    steps = ((1, 2.3), (2, 9.1), (3, float("nan")))
    root = read(
        replace(
            record, epochs=(), steps=steps, best_epoch=None, final=None, outcome="diverged", outcome_note="at step 3."
        )
    )
    assert root.all("h1")[0].text == "lenet5 on insects: diverged after 0 epochs"
    assert root.all("p", "outcome")[0].attributes["class"] == "outcome alarm"
    assert "no number at step 3" in root.text


def test_a_part_without_images_is_no_score(record: RunRecord) -> None:
    nothing = Scored(part="test", samples=0, accuracy=float("nan"), loss=float("nan"), confusion=np.zeros((3, 3), int))
    assert "No images were scored" in read(replace(record, final=nothing)).text


def test_a_class_that_was_never_scored_has_dashes(record: RunRecord) -> None:
    final = Scored(part="test", samples=3, accuracy=1.0, loss=0.0, confusion=np.diag([2, 1, 0]))
    wrong = section(read(replace(record, final=final)), "wrong")
    assert ["cat", "–", "–", "–", "0"] in table(wrong, "Precision and recall of each class")
    assert "A dash stands for 0 of 0 images" in wrong.text


@pytest.mark.parametrize("classes", [2, 41, 1000])
def test_few_and_very_many_classes_fit(record: RunRecord, classes: int) -> None:
    names = tuple(f"class number {i}" for i in range(classes))
    generator = np.random.default_rng(0)
    confusion = np.diag(generator.integers(5, 9, classes)) + generator.poisson(1 / classes, (classes, classes))
    total = int(confusion.sum())
    final = Scored(part="test", samples=total, accuracy=np.trace(confusion) / total, loss=1.0, confusion=confusion)
    examples = tuple(replace(record.data.examples[0], label=name) for name in names for _ in range(20))
    data = replace(record.data, classes=names, counts={"train": tuple(range(classes))}, examples=examples)
    root = read(replace(record, data=data, final=final))
    assert len(table(root, "Precision and recall of each class")) == classes
    assert len(section(root, "shown").all("img")) <= MOST_EXAMPLES
    assert len(render(replace(record, data=data, final=final))) < 1_000_000


def test_the_page_stays_small_however_much_there_is(record: RunRecord) -> None:
    assert record.final is not None
    photo = np.random.default_rng(0).integers(0, 256, (500, 400, 3), dtype=np.uint8)  # noise: the worst case for PNG
    mistake = Mistake(image=photo, name="a", truth="ant", predicted="bee", probability=0.9)
    layer = LayerLine(name="conv", kind="Conv2d", output_shape=(1, 2, 3), params=1, macs=2)
    large = replace(
        record,
        data=replace(record.data, notes=tuple(f"{i}.jpg: empty" for i in range(1000))),
        final=replace(record.final, mistakes=(mistake,) * 500),
        steps=tuple((i, 1.0) for i in range(100_000)),
        layers=(layer,) * 600,
    )
    root = read(large)
    assert len(section(root, "wrong").all("img")) == MOST_MISTAKES
    assert len(section(root, "shown").all("ul", "notes")[0].all("li")) == MOST_NOTES + 1
    assert "… and 980 more" in root.text
    assert len(render(large)) < 1_000_000


def test_hostile_names_are_only_text(record: RunRecord) -> None:
    assert record.final is not None
    hostile = replace(
        record,
        name=HOSTILE,
        net=HOSTILE,
        command=f"striate train {HOSTILE}",
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        data=replace(
            record.data,
            name=HOSTILE,
            spec=HOSTILE + "/",
            classes=(HOSTILE, "b", "c"),
            notes=(HOSTILE,),
            examples=(replace(record.data.examples[0], label=HOSTILE),),
        ),
        outcome_note=HOSTILE,
        final=replace(
            record.final,
            mistakes=(replace(record.final.mistakes[0], name=HOSTILE, truth=HOSTILE, predicted=HOSTILE),),
        ),
        layers=(replace(record.layers[0], name=HOSTILE, kind=HOSTILE),),
        machine={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        started=HOSTILE,
    )
    root = read(hostile)
    assert len(root.all("img")) == len(read(record).all("img")) - 6  # five examples and one mistake fewer, none more
    assert root.text.count("<script>alert('1')</script>") > 20


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(), min_size=1, max_size=30), losses=st.lists(st.floats(), min_size=1, max_size=5))
def test_no_name_and_no_number_breaks_the_page(record: RunRecord, name: str, losses: list[float]) -> None:
    epochs: tuple[EpochRow, ...] = tuple(
        replace(record.epochs[0], epoch=e, train_loss=loss, val_loss=loss, learning_rate=loss)
        for e, loss in enumerate(losses)
    )
    data = replace(record.data, name=name, classes=(name, "b", name), notes=(name,))
    read(replace(record, data=data, epochs=epochs, best_epoch=0, steps=tuple(enumerate(losses)), command=name))


def test_names_written_from_right_to_left_cannot_drag_numbers_along(record: RunRecord) -> None:
    arabic = replace(record, data=replace(record.data, name="قطط", classes=("قطة", "b", "c")))
    root = read(arabic)
    assert root.all("h1")[0].text == "lenet5 on \u2068قطط\u2069: 88.0 % of 25 test images right"
    assert "“\u2068قطة\u2069”" in root.all("p", "lede")[0].text
    assert table(root, "Images of each class and part")[0][0] == "قطة"


def test_names_that_are_no_unicode_are_replaced(record: RunRecord, tmp_path: Path) -> None:
    write_report(
        tmp_path / "report.html", replace(record, data=replace(record.data, classes=("\udcff\x00\x1b", "b", "c")))
    )
    assert "<bdi>\ufffd\ufffd\ufffd</bdi>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_is_written_whole_or_not_at_all(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_report(path, record)
    assert path.read_text(encoding="utf-8") == render(record)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StriateError, match=r"report\.html: the disk is full"):
        write_report(path, replace(record, name="second"))
    assert path.read_text(encoding="utf-8") == render(record)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_the_report_is_made_without_torch() -> None:
    ours = {"striate.atomic", "striate.errors", "striate.pages", "striate.train.report"}
    allowed = {"jinja2", "markupsafe", "numpy", "PIL"} | ours
    files = [file for room in ("striate.pages", "striate.train.report") for file in resources.files(room).iterdir()]
    for file in files:
        if not file.name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                known = module.split(".")[0] in sys.stdlib_module_names
                assert known or any(module == a or module.startswith(a + ".") for a in allowed), (file.name, module)
