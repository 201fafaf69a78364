"""What layers see: against the net's own forward, views against their mean, and a cache that notices damage."""

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from striate.augment.view import View
from striate.data import ArraySamples, Dataset, Loader, Preprocess
from striate.errors import StriateError
from striate.nets import Net
from striate.nets.cut import INPUT
from striate.train.transfer.cache import FeatureCache, digest_of_images, digest_of_net
from striate.train.transfer.features import Way, extract, unit

PREPROCESS = Preprocess(channels=3, size=(16, 16), mean=(0.5,) * 3, std=(0.25,) * 3)
WAY = Way(preprocess=PREPROCESS)
FLIPS = (View(weight=0.5), View(flip=True, weight=0.5))


@torch.no_grad()
def test_features_are_what_the_net_computes(net: Net, data: Dataset) -> None:
    found = extract(net, ["layer2", "layer3", "linear" + INPUT], data.train, WAY, batch_size=5, workers=2)
    images = next(iter(Loader(data.train, PREPROCESS, batch_size=len(data.train), workers=0).epoch(0))).images
    maps = net.features(images)
    torch.testing.assert_close(torch.from_numpy(found["layer3"]), maps.mean((2, 3)), atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(found["layer3"], found["linear" + INPUT], atol=1e-5, rtol=1e-4)
    scores = found["linear" + INPUT] @ net.linear.weight.numpy().T + net.linear.bias.numpy()
    np.testing.assert_allclose(scores, net(images).numpy(), atol=1e-4, rtol=1e-3)
    assert found["layer2"].shape == (len(data.train), 32)


@pytest.mark.parametrize(("pool", "width"), [("mean", 64), ("max", 64), ("flatten", 64 * 16)])
def test_pooling(pool: str, width: int, net: Net, data: Dataset) -> None:
    way = dataclasses.replace(WAY, pool=pool)
    assert extract(net, ["layer3"], data.train, way, workers=0)["layer3"].shape == (len(data.train), width)


def test_averaged_views_are_the_mean_of_the_views(net: Net, data: Dataset) -> None:
    both = extract(net, ["layer3"], data.train, dataclasses.replace(WAY, views=FLIPS), batch_size=7, workers=0)
    mirrored = ArraySamples(np.ascontiguousarray(data.train.images[:, :, ::-1]), data.train.labels)
    one, other = (extract(net, ["layer3"], part, WAY, workers=0)["layer3"] for part in (data.train, mirrored))
    np.testing.assert_allclose(both["layer3"], (one + other) / 2, atol=1e-5, rtol=1e-4)


def test_rows_of_length_one() -> None:
    rows = unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]])


def test_a_layer_that_is_none_and_weights_that_are_broken(net: Net, data: Dataset) -> None:
    with pytest.raises(StriateError, match="unknown layer of resnet20 'layer9'; did you mean 'layer"):
        extract(net, ["layer9"], data.train, WAY)
    net.conv1.weight.data.fill_(float("nan"))
    with pytest.raises(StriateError, match="layer layer1 answers 0 with NaN: the weights are damaged"):
        extract(net, ["layer1"], data.train, WAY, workers=0)


def test_the_cache_computes_once_and_for_each_layer_alone(
    net: Net, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def watched(net: Net, places: list[str], *args: object, **machine: object) -> object:
        asked.append(list(places))
        return extract(net, places, *args, **machine)

    monkeypatch.setattr("striate.train.transfer.cache.extract", watched)
    cache = FeatureCache(tmp_path, net)
    first = cache.features(["layer2", "layer3"], data.train, WAY, workers=0)
    again = FeatureCache(tmp_path, net).features(["layer1", "layer3"], data.train, WAY, workers=0)
    assert asked == [["layer2", "layer3"], ["layer1"]]
    assert (first["layer3"] == again["layer3"]).all()


@pytest.mark.parametrize("place", ["in a file's place", "a full disk"])
def test_what_cannot_be_written_is_said_once_and_computed_once(
    place: str, net: Net, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def watched(net: Net, places: list[str], *args: object, **machine: object) -> object:
        asked.append(list(places))
        return extract(net, places, *args, **machine)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("striate.train.transfer.cache.extract", watched)
    if place == "a full disk":
        monkeypatch.setattr("os.fsync", full)
        why = "the disk is full; free some space and they are kept"
    else:
        (tmp_path / "features").touch()
        why = "File exists; choose another folder with --cache"
    told: list[str] = []
    cache = FeatureCache(tmp_path / "features", net, note=told.append)
    first = cache.features(["layer2", "layer3"], data.train, WAY, workers=0)
    again = cache.features(["layer3"], data.train, WAY, workers=0)
    assert asked == [["layer2", "layer3"]]
    assert (first["layer3"] == again["layer3"]).all()
    assert told == [f"features are not kept in {tmp_path / 'features'}, and will be computed again: {why}"]
    assert not list(tmp_path.glob("features/*"))


def test_whatever_changes_the_numbers_changes_the_name(net: Net, data: Dataset, tmp_path: Path) -> None:
    def files() -> int:
        return len(list(tmp_path.glob("*.arrow")))

    FeatureCache(tmp_path, net).features(["layer3"], data.train, WAY, workers=0)
    changes = [
        (net, data.val, WAY),
        (net, data.train, dataclasses.replace(WAY, views=FLIPS)),
        (net, data.train, dataclasses.replace(WAY, pool="max")),
        (net, data.train, Way(preprocess=dataclasses.replace(PREPROCESS, mean=(0.4,) * 3))),
    ]
    for count, (changed, images, way) in enumerate(changes, start=2):
        FeatureCache(tmp_path, changed).features(["layer3"], images, way, workers=0)
        assert files() == count
    with torch.no_grad():
        net.layer3[2].conv2.weight[0, 0, 0, 0] += 1e-3
    FeatureCache(tmp_path, net).features(["layer3"], data.train, WAY, workers=0)
    assert files() == 6
    relabelled = data.train.relabelled(data.train.labels[::-1])
    FeatureCache(tmp_path, net).features(["layer3"], relabelled, WAY, workers=0)
    assert files() == 6, "labels are no part of what a net sees"


def test_the_same_bytes_in_another_shape_are_other_images() -> None:
    wide = np.arange(2 * 8 * 32 * 3, dtype=np.uint8).reshape(2, 8, 32, 3)
    labels = np.zeros(2, np.int64)
    digests = [digest_of_images(ArraySamples(images, labels)) for images in (wide, wide.reshape(2, 32, 8, 3))]
    assert digests[0] != digests[1]


@pytest.mark.parametrize("harm", ["cut short", "a bit", "another's"])
def test_damage_is_named_and_mended(harm: str, net: Net, data: Dataset, tmp_path: Path) -> None:
    told: list[str] = []
    cache = FeatureCache(tmp_path, net, note=told.append)
    right = cache.features(["layer3"], data.train, WAY, workers=0)["layer3"]
    (path,) = tmp_path.glob("*.arrow")
    content = bytearray(path.read_bytes())
    if harm == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "a bit":
        at = content.find(right[3, :4].tobytes())
        content[at] ^= 1
        path.write_bytes(content)
    else:
        cache.features(["layer2"], data.train, WAY, workers=0)
        (other,) = set(tmp_path.glob("*.arrow")) - {path}
        path.write_bytes(other.read_bytes())
    again = cache.features(["layer3"], data.train, WAY, workers=0)["layer3"]
    assert (again == right).all()
    assert len(told) == 1
    assert path.name in told[0]
    assert told[0].endswith("; made anew")
    assert FeatureCache(tmp_path, net, note=told.append).features(["layer3"], data.train, WAY)["layer3"] is not None
    assert len(told) == 1, "what was made anew is whole"


def test_any_arrow_tool_reads_the_table(net: Net, data: Dataset, tmp_path: Path) -> None:
    rows = FeatureCache(tmp_path, net).features(["layer3"], data.train, WAY, workers=0)["layer3"]
    (path,) = tmp_path.glob("*.arrow")
    with pa.ipc.open_file(str(path)) as reader:
        table = reader.read_all()
    assert table.column("key").to_pylist()[:2] == ["0", "1"]
    assert np.allclose(table.column("features").to_pylist()[5], rows[5])


def test_names_that_are_no_utf8_are_kept_as_far_as_they_are_letters(net: Net, data: Dataset, tmp_path: Path) -> None:
    names = [f"{os.fsdecode(bytes([0xE9]))}-{i}.png" for i in range(len(data.train))]
    images = ArraySamples(data.train.images, data.train.labels, names)
    FeatureCache(tmp_path, net).features(["layer3"], images, WAY, workers=0)
    (path,) = tmp_path.glob("*.arrow")
    with pa.ipc.open_file(str(path)) as reader:
        assert reader.read_all().column("key").to_pylist()[:2] == ["\ufffd-0.png", "\ufffd-1.png"]


def test_the_weights_digest_sees_one_bit(net: Net) -> None:
    before = digest_of_net(net)
    net.bn1.running_mean[0] += 1e-6
    assert digest_of_net(net) != before
