"""Weights of every kind of file, and what transfer may change of them."""

import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from striate.errors import StriateError
from striate.nets import create_model
from striate.nets.imported import import_weights
from striate.nets.weights import load_model, save_model
from striate.nets.weights.state import read_state
from striate.nets.weights.transfer import adapted


def saved(tmp_path: Path, held: Any, **how: Any) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(held, path, **how)
    return path


def one(tensors: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(tensors) == list(other) and all(torch.equal(tensors[name], other[name]) for name in tensors)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 7, "optimizer": {"lr": [0.1]}},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "best": 91.7},
    ],
)
def test_torch_files(tmp_path: Path, wrap: Any, old: bool) -> None:
    net = create_model("lenet5", num_classes=10, in_chans=1)
    path = saved(tmp_path, wrap(net.state_dict()), _use_new_zipfile_serialization=not old)
    assert one(read_state(path), net.state_dict())
    other = create_model("lenet5", num_classes=10, in_chans=1, pretrained=path)
    assert one(other.state_dict(), net.state_dict())


def test_safetensors(tmp_path: Path) -> None:
    net = create_model("lenet5", num_classes=10)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    held, wanted = (sorted(state.items()) for state in (read_state(tmp_path / "weights.safetensors"), net.state_dict()))
    assert one(dict(held), dict(wanted))


class Code:
    """A pickle that would run a command."""

    def __reduce__(self) -> Any:
        return (os.system, ("touch SEEN",))


@pytest.mark.parametrize("old", [False, True])
def test_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, {"weight": torch.zeros(2), "code": Code()}, _use_new_zipfile_serialization=not old)
    with pytest.raises(StriateError) as refused:
        read_state(path)
    assert str(refused.value) == (
        f"{path} holds more than tensors, which could run code, and is not opened; "
        "save its state_dict alone, or convert it to safetensors where you trust it"
    )
    assert not (tmp_path / "SEEN").exists()


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (torch.zeros(3), "holds a Tensor, not tensors by name"),
        ([1, 2], "holds a list, not tensors by name"),
        ({}, "holds a dict, not tensors by name"),
        ({"a": torch.zeros(1), "b": "text"}, "holds 'b' of type str among its tensors"),
    ],
)
def test_what_is_no_state(tmp_path: Path, held: Any, message: str) -> None:
    with pytest.raises(StriateError, match=message):
        read_state(saved(tmp_path, held))


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), end=st.floats(0.2, 1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spoilt_files_of_torch(tmp_path: Path, place: float, value: int, end: float) -> None:
    path = saved(tmp_path, {"weight": torch.arange(6.0), "bias": torch.zeros(2)})
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] = value
    path.write_bytes(data[: int(end * len(data))])
    try:
        read_state(path)
    except StriateError as error:
        assert "\n" not in str(error)  # noqa: PT017  # whether it is refused is not the question


def test_a_flipped_bit_among_the_numbers_is_noticed(tmp_path: Path) -> None:
    """torch itself does not look at the sums it writes: the flip would be another weight, without a word."""
    path = saved(tmp_path, {"weight": torch.arange(1.0, 4096.0)})
    data = bytearray(path.read_bytes())
    data[data.index(torch.tensor([1000.0, 1001.0]).numpy().tobytes())] ^= 1
    path.write_bytes(data)
    assert not torch.equal(torch.load(path, weights_only=True)["weight"], torch.arange(1.0, 4096.0))
    with pytest.raises(StriateError) as refused:
        read_state(path)
    assert str(refused.value) == f"{path} is damaged: weights/data/0 is not what was saved in it; use another copy"


def test_files_saved_without_sums_are_taken(tmp_path: Path) -> None:
    wrote = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path, {"weight": torch.arange(6.0)})
    finally:
        torch.serialization.set_crc32_options(wrote)
    assert torch.equal(read_state(path)["weight"], torch.arange(6.0))


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (torch.eye(3).to_sparse(), "weight is kept sparse or nested; save it whole, as tensor.to_dense()"),
        (
            torch.empty(3, 3, device="meta"),
            "weight has a shape and no numbers (it is on the meta device); save a real net",
        ),
    ],
)
def test_tensors_without_plain_numbers_are_refused(tmp_path: Path, held: torch.Tensor, message: str) -> None:
    path = saved(tmp_path, {"weight": held})
    with pytest.raises(StriateError) as refused:
        read_state(path)
    assert str(refused.value) == f"{path}: {message}"


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool])
def test_numbers_of_another_kind_are_no_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    state = dict(create_model("resnet20", num_classes=10).state_dict())
    state["conv1.weight"] = state["conv1.weight"].to(dtype)
    with pytest.raises(StriateError) as refused:
        create_model("resnet20", num_classes=10, pretrained=saved(tmp_path, state))
    kind = str(dtype).removeprefix("torch.")
    assert f": conv1.weight holds {kind} in the file and float32 in the net" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    state = create_model("resnet20", num_classes=10).state_dict()
    held = {name: tensor.to(dtype) for name, tensor in state.items()}  # the counts of batches, too, as averaging leaves
    net = create_model("resnet20", num_classes=10, pretrained=saved(tmp_path, held))
    assert torch.equal(net.conv1.weight, state["conv1.weight"].to(dtype).float())
    assert net.bn1.num_batches_tracked.dtype == torch.int64


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    state = dict(create_model("resnet20", num_classes=10).state_dict())
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"].clone()
    state["layer1.0.conv1.weight"][3, 0, 1, 1] = value
    path = saved(tmp_path, state)
    with pytest.raises(StriateError) as refused:
        create_model("resnet20", num_classes=10, pretrained=path)
    assert str(refused.value) == (
        f"{path} holds values that are not finite (NaN or infinity) in layer1.0.conv1.weight; use other weights"
    )
    state["layer1.0.conv1.weight"][3, 0, 1, 1] = 0.0
    state["linear.weight"] = state["linear.weight"] * value
    net = create_model("resnet20", num_classes=3, pretrained=saved(tmp_path, state))  # it begins anew
    assert net.linear.weight.isfinite().all()


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_a_hostile_header_is_one_line(tmp_path: Path, opening: str) -> None:
    text = (opening if opening[0] == "{" else '{"a":' + opening) * 20_000
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode())
    with pytest.raises(StriateError, match=r"is damaged: its header cannot be read; use another copy$"):
        read_state(path)


def test_a_hostile_card_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(1)}, path, {"striate": '{"a":' * 20_000})
    with pytest.raises(StriateError, match=r"is damaged: its striate card cannot be read") as refused:
        load_model(path)
    assert "\n" not in str(refused.value)


def test_another_number_of_classes_is_made_up_for_and_said(tmp_path: Path) -> None:
    old = create_model("resnet20", num_classes=10)
    path = saved(tmp_path, old.state_dict())
    torch.manual_seed(0)
    fresh = create_model("resnet20", num_classes=3).state_dict()
    torch.manual_seed(0)
    net = create_model("resnet20", num_classes=3, pretrained=path)
    assert net.notes == ("linear begins anew: the weights know 10 classes and the net has 3",)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, (fresh if name.startswith("linear") else old.state_dict())[name])


def test_grey_images_see_the_sum_of_the_filters(tmp_path: Path) -> None:
    colour = create_model("resnet20", num_classes=10).eval()
    grey = create_model("resnet20", num_classes=10, in_chans=1, pretrained=saved(tmp_path, colour.state_dict())).eval()
    x = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
    assert grey.notes == ("conv1.weight is summed over its 3 channels: the net takes grey images",)


def test_auxiliary_heads_may_be_left_out(tmp_path: Path) -> None:
    with torch.device("meta"):
        whole, headless = create_model("googlenet"), create_model("googlenet", auxiliary=False)
    found, notes = adapted(headless, whole.state_dict())
    assert set(found) == set(headless.state_dict())
    assert notes == ("the auxiliary heads of the weights are left out: the net has none",)
    kept, notes = adapted(whole, whole.state_dict())
    assert set(kept) == set(whole.state_dict())
    assert notes == ()


def test_densenets_published_names(tmp_path: Path) -> None:
    """As torchvision's own loader renames them: `norm.1` and `conv.2` within a dense layer, nothing else."""
    with torch.device("meta"):
        names = list(create_model("densenet121").state_dict())
    dotted = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): torch.zeros(1) for name in names}
    assert "features.denseblock1.denselayer1.norm.1.weight" in dotted
    assert "features.norm0.weight" in dotted
    assert list(read_state(saved(tmp_path, dotted))) == names


def test_any_other_difference_is_listed(tmp_path: Path) -> None:
    state = dict(create_model("resnet20", num_classes=10).state_dict())
    state["layer1.0.conv1.weight"] = torch.zeros(8, 16, 3, 3)
    state["extra"] = torch.zeros(1)
    del state["bn1.bias"]
    with pytest.raises(StriateError) as refused:
        create_model("resnet20", num_classes=5, pretrained=saved(tmp_path, state))
    message = str(refused.value)
    assert (
        "does not fit resnet20 with 5 classes and 3 channels: bn1.bias is missing, extra is not in the net" in message
    )
    assert "layer1.0.conv1.weight is 8×16×3×3 in the file and 16×16×3×3 in the net" in message
    assert "linear" not in message


def test_weights_become_a_model_file(tmp_path: Path) -> None:
    net = create_model("resnet20", num_classes=10)
    found = import_weights(saved(tmp_path, net.state_dict()), "resnet20", classes="abcdefghij")
    save_model(tmp_path / "model.safetensors", found.net, found.card)
    again, card = load_model(tmp_path / "model.safetensors")
    assert card.classes == tuple("abcdefghij")
    assert one(again.state_dict(), net.state_dict())
    (note,) = found.notes
    assert note == "weights.pth does not say how its images were prepared; ImageNet's mean and deviation are assumed"
    with pytest.raises(StriateError, match="tells 10 classes apart and 2 names were given"):
        import_weights(tmp_path / "weights.pth", "resnet20", classes=("a", "b"))


class LocalEntryNotFoundError(FileNotFoundError):
    """As the hub's library calls it."""


def test_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = create_model("lenet5", num_classes=10)
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    asked: list[Any] = []

    def hf_hub_download(repository: str, file: str, *, local_files_only: bool) -> str:
        asked.append((repository, file, local_files_only))
        if repository != "owner/lenet" and local_files_only:
            raise LocalEntryNotFoundError("Cannot find it; to enable downloads set 'local_files_only' to False.")
        if repository != "owner/lenet":
            raise FileNotFoundError("404: no such repository\nmore lines")
        return str(tmp_path / file)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=hf_hub_download))
    monkeypatch.delenv("STRIATE_OFFLINE", raising=False)
    loaded = create_model("lenet5", num_classes=10, pretrained="hf:owner/lenet")
    assert torch.equal(loaded.classifier.f6.weight, net.classifier.f6.weight)
    create_model("lenet5", num_classes=10, pretrained="hf:owner/lenet:model.safetensors", offline=True)
    assert asked == [("owner/lenet", "model.safetensors", False), ("owner/lenet", "model.safetensors", True)]
    with pytest.raises(StriateError, match=r"cannot get a\.bin of owner/other from the hub: 404: no such repository$"):
        create_model("lenet5", pretrained="hf:owner/other:a.bin")
    with pytest.raises(StriateError, match=r"from the hub: this is offline, and the hub's cache does not have it$"):
        create_model("lenet5", pretrained="hf:owner/other", offline=True)
    with pytest.raises(StriateError, match="'hf:lenet' is no address on the hub; write hf:owner/name"):
        create_model("lenet5", pretrained="hf:lenet")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(StriateError, match=r"needs huggingface_hub, .*: pip install 'striate\[hub\]'"):
        create_model("lenet5", pretrained="hf:owner/lenet")


def test_an_empty_name_is_no_net_without_weights() -> None:
    with pytest.raises(StriateError, match="pretrained is True, a name, or the path of a file of weights, got ''"):
        create_model("lenet5", pretrained="")
