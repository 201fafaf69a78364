"""The model file: what goes in comes out, and nothing broken comes out."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

import striate
from striate.errors import StriateError
from striate.nets import create_model
from striate.nets.weights import ModelCard, load_model, read_card, save_model
from striate.nets.weights.tensors import read

TINY = ModelCard(net="two_layer", classes=("cat", "dög"), in_chans=1, input_size=(2, 3), settings={"hidden": 2})


def saved(path: Path, card: ModelCard = TINY) -> torch.nn.Module:
    net = card.build().eval()
    save_model(path, net, card)
    return net


def test_everything_comes_back(tmp_path: Path) -> None:
    card = ModelCard(
        net="mlp",
        classes=("a", "b", "c"),
        in_chans=1,
        input_size=(4, 6),
        settings={"hidden": (5, 3), "batch_norm": True, "dropout": 0.25},
        preprocess={"mean": [0.5], "resize": "crop", "size": [4, 6]},
        data="photos/",
        metrics={"accuracy": 0.75, "test": {"images": 12}},
    )
    torch.manual_seed(0)
    net = card.build()
    for _ in range(3):
        net(torch.randn(8, 1, 4, 6))  # the running averages move
    save_model(tmp_path / "m.safetensors", net, card)
    loaded, read = load_model(tmp_path / "m.safetensors")
    assert read == card == read_card(tmp_path / "m.safetensors")
    assert read.striate == striate.__version__
    assert not loaded.training
    assert net.training  # the saved one is left as it was
    assert {k: v.dtype for k, v in loaded.state_dict().items()} == {k: v.dtype for k, v in net.state_dict().items()}
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in loaded.state_dict().items())
    assert all(p.requires_grad for p in loaded.parameters())
    x = torch.randn(3, 1, 4, 6)
    assert torch.equal(loaded(x), net.eval()(x))


def test_others_can_read_it(tmp_path: Path) -> None:
    net = saved(tmp_path / "m.safetensors")
    tensors = safetensors.torch.load_file(tmp_path / "m.safetensors")
    assert {name: tuple(t.shape) for name, t in tensors.items()} == {
        name: tuple(t.shape) for name, t in net.state_dict().items()
    }
    with safetensors.safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["striate"])["classes"] == ["cat", "dög"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_keep_their_width(tmp_path: Path, dtype: torch.dtype) -> None:
    net = TINY.build().to(dtype)
    save_model(tmp_path / "m.safetensors", net, TINY)
    loaded, _ = load_model(tmp_path / "m.safetensors")
    assert {p.dtype for p in loaded.parameters()} == {dtype}


def test_shared_tensors_and_other_layouts(tmp_path: Path) -> None:
    card = ModelCard(net="mlp", classes=("a", "b"), in_chans=1, input_size=(2, 2), settings={"hidden": (4, 4, 4)})
    net = card.build().eval()
    net.features.affine3.weight = net.features.affine2.weight
    save_model(tmp_path / "tied.safetensors", net, card)
    x = torch.randn(2, 1, 2, 2)
    assert torch.equal(load_model(tmp_path / "tied.safetensors")[0](x), net(x))

    card = ModelCard(net="lenet5", classes=("a", "b"), in_chans=3, input_size=(32, 32))
    lenet = card.build().eval().to(memory_format=torch.channels_last)
    save_model(tmp_path / "last.safetensors", lenet, card)
    loaded, _ = load_model(tmp_path / "last.safetensors")
    assert all(torch.equal(v, lenet.state_dict()[k]) for k, v in loaded.state_dict().items())


@pytest.mark.parametrize("length", [128, 0x4B50])
def test_a_header_whose_length_reads_like_a_pickle_or_a_zip(tmp_path: Path, length: int) -> None:
    """The first bytes of the file are that length: 0x80 opens a pickle as well, 0x50 0x4B a zip."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, path, {"note": ""})
    shortest = int.from_bytes(path.read_bytes()[:8], "little")
    safetensors.torch.save_file({"a": torch.ones(1)}, path, {"note": "x" * (length - shortest)})
    assert path.read_bytes()[:8] == length.to_bytes(8, "little")
    assert read(path).tensors["a"].item() == 1


def says(path: Path) -> str:
    with pytest.raises(StriateError) as refused:
        load_model(path)
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(str(path), "PATH")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    assert says(tmp_path / "absent") == "cannot read PATH: No such file or directory"
    assert says(tmp_path) == "cannot read PATH: Is a directory"
    path = tmp_path / "file"
    for data in (b"", b"short", b"\xff\xd8\xff\xe0 a JPEG, or so it seems", b"\x10\0\0\0\0\0\0\0[1, 2, 3]       "):
        path.write_bytes(data)
        assert says(path) == "PATH is not a safetensors file"
    torch.save({"weight": torch.zeros(2)}, path)
    assert says(path) == "PATH was written by torch.save, which can hide code; convert it to safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
    assert says(path) == (
        "PATH holds tensors but no striate card; load it into a net you name: create_model(name, pretrained='PATH')"
    )


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    saved(tmp_path / "m.safetensors")
    data, path = (tmp_path / "m.safetensors").read_bytes(), tmp_path / "cut"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        message = says(path)
        if length > 8:
            assert message.startswith(f"PATH is cut short: {length} bytes of ")
    path.write_bytes(data + b"\0")
    assert says(path).startswith("PATH is damaged: ")


def test_any_byte_changed_anywhere(tmp_path: Path) -> None:
    saved(tmp_path / "m.safetensors")
    data, path = (tmp_path / "m.safetensors").read_bytes(), tmp_path / "changed"
    for position in range(len(data)):
        for flip in (0x01, 0x80):
            changed = bytearray(data)
            changed[position] ^= flip
            path.write_bytes(changed)
            says(path)


def test_equal_nets_make_equal_files(tmp_path: Path) -> None:
    net = saved(tmp_path / "a")
    for name in "bcd":
        save_model(tmp_path / name, net, TINY)
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1


def with_card(path: Path, **changes: object) -> None:
    """A file whose digest is right and whose card is not."""
    from striate.nets.weights.model_file import _sealed

    saved(path)
    tensors = safetensors.torch.load_file(path)
    fields = json.loads(_metadata(path)["striate"])
    del fields["sha256"]
    safetensors.torch.save_file(tensors, path, {"striate": _sealed({**fields, **changes}, tensors)})


def _metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
    return metadata


def test_cards_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with_card(path, format=99, striate="9.1", novelty=1)
    assert says(path) == (
        f"PATH was written by striate 9.1 (format 99); this is {striate.__version__}, which reads up to format 1: "
        "upgrade striate"
    )
    with_card(path, net="resnet19")
    assert says(path) == (
        f"cannot build the net of PATH (written by striate {striate.__version__}): "
        "unknown net 'resnet19'; did you mean 'resnet18'?"
    )
    with_card(path, settings={"hidden": 3})
    assert says(path) == (
        "PATH does not hold the weights of its net two_layer: features.affine1.weight is 2×6 in the file and 3×6 in "
        "the net, features.affine1.bias is 2 in the file and 3 in the net, classifier.weight is 2×2 in the file and "
        "2×3 in the net"
    )
    with_card(path, classes=None)
    assert says(path).startswith("PATH is damaged: its striate card cannot be read (")


def test_a_card_that_describes_another_net_is_not_saved(tmp_path: Path) -> None:
    net = create_model("two_layer", num_classes=3, in_chans=1, input_size=(2, 3), hidden=2)
    with pytest.raises(StriateError) as refused:
        save_model(tmp_path / "m.safetensors", net, TINY)
    assert str(refused.value) == (
        f"the card describes another net than the one to save in {tmp_path / 'm.safetensors'}: "
        "classifier.weight is 3×2 in the file and 2×2 in the net, classifier.bias is 3 in the file and 2 in the net"
    )
    assert not list(tmp_path.iterdir())


def test_saving_is_all_or_nothing(tmp_path: Path) -> None:
    with pytest.raises(StriateError, match="cannot write"):
        saved(tmp_path / "no" / "such" / "folder.safetensors")
    first = saved(tmp_path / "m.safetensors")
    saved(tmp_path / "m.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    loaded, _ = load_model(tmp_path / "m.safetensors")
    assert not torch.equal(loaded.classifier.weight, first.classifier.weight)


class TestPretrained:
    def test_a_file_with_the_nets_names_and_shapes(self, tmp_path: Path) -> None:
        source = create_model("lenet5", num_classes=4)
        safetensors.torch.save_file(source.state_dict(), tmp_path / "w.safetensors")
        for given in (tmp_path / "w.safetensors", str(tmp_path / "w.safetensors")):
            net = create_model("lenet5", num_classes=4, pretrained=given)
            assert all(torch.equal(v, source.state_dict()[k]) for k, v in net.state_dict().items())

    def test_batch_norms_that_did_not_count(self, tmp_path: Path) -> None:
        """Weights published before torch 0.4.1 have no num_batches_tracked."""
        source = create_model("resnet20", num_classes=4)
        old = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
        safetensors.torch.save_file(old, tmp_path / "w.safetensors")
        net = create_model("resnet20", num_classes=4, pretrained=tmp_path / "w.safetensors")
        assert torch.equal(net.conv1.weight, source.conv1.weight)
        assert int(net.bn1.num_batches_tracked) == 0

    def test_what_does_not_fit_is_listed(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        state = create_model("lenet5", num_classes=4).state_dict()
        state["extra"] = torch.zeros(1)
        del state["features.c1.bias"]
        safetensors.torch.save_file(state, path)
        with pytest.raises(StriateError) as refused:
            create_model("lenet5", num_classes=5, pretrained=path)
        assert str(refused.value) == (  # and the classifier, of another number of classes, is as expected
            f"{path} does not fit lenet5 with 5 classes and 3 channels: features.c1.bias is missing, extra is not in "
            "the net"
        )
        with pytest.raises(StriateError, match=r"and \d+ more$"):
            create_model("resnet20", num_classes=5, pretrained=path)
