"""Published weights: the table, and the way of a file from a server (here a local one) into a net."""

import dataclasses
import functools
import hashlib
import http.server
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import striate.nets.weights.published as table
from striate.data import Preprocess
from striate.errors import StriateError
from striate.evaluate import Predictor
from striate.nets import create_model
from striate.nets.accuracies import accuracy_of_weights
from striate.nets.trained import load_trained, read_classes
from striate.nets.weights.published import PUBLISHED, Published
from striate.nets.zoo import NETS


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder, without a word."""

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """A LeNet-5 whose weights a server publishes as torchvision does."""
    torch.manual_seed(5)
    net = create_model("lenet5", num_classes=10)
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    name = f"lenet5-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}"
    served = tmp_path / "served"
    served.mkdir()
    (served / f"{name}.pth").write_bytes(buffer.getvalue())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(table, "ADDRESS", f"http://127.0.0.1:{server.server_port}/{{}}.pth")
    monkeypatch.setenv("STRIATE_WEIGHTS_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("STRIATE_OFFLINE", raising=False)
    entry = Published(net="lenet5", name=name, crop=32, resize=36, classes=10)
    monkeypatch.setitem(PUBLISHED, "lenet5", (entry,))
    yield entry
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_table_is_whole() -> None:
    entries = [entry for some in PUBLISHED.values() for entry in some]
    assert len({entry.name for entry in entries}) == len(entries) >= 25
    for net, some in PUBLISHED.items():
        for entry in some:
            prefix = entry.name.rsplit("-", 1)[1]
            assert entry.net == net
            assert re.fullmatch("[0-9a-f]{8}", prefix)
            assert entry.remote.urls == (f"https://download.pytorch.org/models/{entry.name}.pth",)
            assert entry.remote.sha256_prefix == prefix
            accuracy = accuracy_of_weights(entry.name)
            assert accuracy is not None
            assert accuracy.top1 is not None
            assert 0.5 < accuracy.top1 < accuracy.top5 < 1
            assert "https://" in accuracy.source
            preprocess = Preprocess.from_dict(entry.preprocess)
            assert preprocess.size == (entry.crop, entry.crop)
            assert NETS[net].input_size == (entry.crop, entry.crop)


def test_every_published_file_is_of_a_net_with_torchvisions_names() -> None:
    """Which `test_torchvision_names` compares, net by net."""
    compared = {path.stem for path in (Path(__file__).parents[1] / "torchvision").glob("*.json")}
    assert set(PUBLISHED) == compared


def test_inception_is_prepared_as_torchvision_prepares_it() -> None:
    """There: the usual normalisation, and then channel by channel x · (d / 0.5) + (m − 0.5) / 0.5."""
    (entry,) = PUBLISHED["inception_v3"]
    mean, deviation = table.IMAGENET
    for x in (0.0, 0.3, 1.0):
        for m, d, own_mean, own_deviation in zip(mean, deviation, *entry.normalisation, strict=True):
            theirs = (x - m) / d * (d / 0.5) + (m - 0.5) / 0.5
            assert (x - own_mean) / own_deviation == pytest.approx(theirs)
    assert (entry.crop, entry.resize) == (299, 342)


def test_fetched_once_and_recorded(published: Published, tmp_path: Path) -> None:
    net = create_model("lenet5", num_classes=10, pretrained=True)
    torch.manual_seed(5)
    assert torch.equal(net.classifier.f6.weight, create_model("lenet5", num_classes=10).classifier.f6.weight)
    assert net.preprocess == published.preprocess
    assert net.notes == ()
    record = json.loads((tmp_path / "cache" / f"{published.name}.pth.seen.json").read_text())
    assert record["sha256"].startswith(published.name.rsplit("-", 1)[1])
    (tmp_path / "served" / f"{published.name}.pth").unlink()
    for again in (True, published.name, f"{published.name}.pth"):
        create_model("lenet5", num_classes=10, pretrained=again, offline=True)


def test_a_file_that_is_not_what_its_name_says(published: Published, tmp_path: Path) -> None:
    served = tmp_path / "served" / f"{published.name}.pth"
    served.write_bytes(served.read_bytes() + b"!")
    with pytest.raises(StriateError, match=r"its sha256 is [0-9a-f]{64} where its own name says [0-9a-f]{8}…; it was"):
        create_model("lenet5", num_classes=10, pretrained=True)
    assert not list((tmp_path / "cache").glob("*.pth"))
    by_hand = tmp_path / "cache" / f"{published.name}.pth"
    by_hand.write_bytes(b"something else")
    with pytest.raises(StriateError, match=r"lenet5-.*\.pth is not what its name says: its sha256 is .*; remove it"):
        create_model("lenet5", num_classes=10, pretrained=True)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_says_what_to_put_where(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "environment":
        monkeypatch.setenv("STRIATE_OFFLINE", "1")
    with pytest.raises(StriateError) as refused:
        create_model("lenet5", num_classes=10, pretrained=True, offline=how == "argument")
    address = published.remote.urls[0]
    folder = tmp_path / "cache"
    message = f"{published.name}.pth is not in {folder} and this is offline; fetch {address} elsewhere and put it there"
    assert str(refused.value) == message
    folder.mkdir()
    served = tmp_path / "served" / f"{published.name}.pth"
    (folder / served.name).write_bytes(served.read_bytes())
    create_model("lenet5", num_classes=10, pretrained=True, offline=True)
    assert (folder / f"{served.name}.seen.json").exists()


def test_a_net_by_name_answers_as_a_model_file_does(published: Published, tmp_path: Path) -> None:
    net, card = load_trained("lenet5")
    assert not net.training
    assert card.classes[:2] == ("class 0", "class 1")
    assert card.metrics == {}
    from PIL import Image

    Image.new("RGB", (50, 40), (200, 30, 60)).save(tmp_path / "red.png")
    names = tuple("abcdefghij")
    (prediction,) = Predictor("lenet5", classes=names).predict([tmp_path / "red.png"], top_k=10)
    assert {name for name, _ in prediction.top} == set(names)
    assert sum(share for _, share in prediction.top) == pytest.approx(1, abs=1e-5)
    with pytest.raises(StriateError, match="lenet5 tells 10 classes apart and 3 names were given"):
        load_trained("lenet5", classes="abc")


def test_no_published_weights() -> None:
    with pytest.raises(StriateError, match="no published weights are known for resnet20; give a file"):
        create_model("resnet20", pretrained=True)


def test_class_lists(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("n01440764 tench, Tinca tinca\n\nn02012849 crane\nn03126707 crane\n")
    assert read_classes(path) == ("tench, Tinca tinca", "crane (1)", "crane (2)")
    path.write_text("night owl\n  cat\n")
    assert read_classes(path) == ("night owl", "cat")
    path.write_text("\n")
    with pytest.raises(StriateError, match="names no classes"):
        read_classes(path)
    with pytest.raises(StriateError, match="cannot read"):
        read_classes(tmp_path / "none")


def test_a_table_entry_is_not_changed_by_its_user() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PUBLISHED["vgg16"][0].name = "other"  # type: ignore[misc]  # that is the test
