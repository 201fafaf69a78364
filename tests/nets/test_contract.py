"""What every net of the zoo promises: shapes, stages, true activations, gradients."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from striate.nets import Net, create_model, list_models, model_info

DEEPER = {"resnet101", "resnet152", "wide_resnet101_2", "resnet110_sd", "ror110", "weighted_resnet110"}
DEEPER |= {f"{kind}{n}" for kind in ("resnet", "plain") for n in (44, 56, 110)}
DEEPER |= {f"preact_resnet{n}" for n in (101, 152, 110, 164, 1001)} | {"wrn40_1", "wrn40_2", "wrn40_4", "wrn16_8"}
DEEPER |= {"densenet161", "densenet169", "densenet201", "deeply_fused56_20", "fractalnet40", "ror56"}
SHAPED = [name for name in list_models() if name not in DEEPER]  # a deeper net has more of the same blocks
WITHOUT_HEADS = {
    "auxiliary": False
}  # auxiliary heads are no part of `forward`; test_auxiliary.py holds them to their contract
SMALL = ["two_layer", "mlp", "lenet5", "resnet20", "resnet32", "plain20", "plain32"]


def meta(name: str, **settings: object) -> Net:
    with torch.device("meta"):
        return create_model(name, **settings)


def outputs(net: Net, names: list[str], x: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        return lambda module, inputs, output: seen.__setitem__(name, output)

    hooks = [net.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    net.features(x)
    for hook in hooks:
        hook.remove()
    return seen


def sizes(name: str) -> list[tuple[int, tuple[int, int]]]:
    """Channels and sizes to try: larger and odd in grey, half as high in colour."""
    height, width = model_info(name).input_size
    return [(1, (height + 17, width + 40)), (3, (max(48, height // 2), width))]


@pytest.mark.parametrize("name", SHAPED)
def test_scores_at_several_sizes(name: str) -> None:
    for in_chans, size in sizes(name):
        net = meta(name, num_classes=7, in_chans=in_chans, input_size=size)
        x = torch.empty(2, in_chans, *size, device="meta")
        assert net(x).shape == (2, 7)
        assert net.spec.input_size == size
        assert net.training


@pytest.mark.parametrize("name", SHAPED)
def test_features_then_head_at_the_published_size(name: str, zoo: Callable[[str], Net]) -> None:
    net = zoo(name)
    x = torch.empty(2, 3, *model_info(name).input_size, device="meta")
    assert net.head(net.features(x)).shape == net(x).shape == (2, 1000)


@pytest.mark.parametrize("name", SHAPED)
def test_a_stage_gives_its_channels_once_every_stride_px(name: str, zoo: Callable[[str], Net]) -> None:
    """A stride is what the input has to grow by for the maps to grow by one, whatever the borders do."""
    net, (height, width) = zoo(name), model_info(name).input_size
    names = [stage.name for stage in net.stages]
    at_native = outputs(net, names, torch.empty(2, 3, height, width, device="meta")) if names else {}
    for stage in net.stages:
        grown = torch.empty(2, 3, height + stage.stride, width + 2 * stage.stride, device="meta")
        before, after = at_native[stage.name], outputs(net, [stage.name], grown)[stage.name]
        assert before.shape[1] == stage.channels
        assert (after.shape[2] - before.shape[2], after.shape[3] - before.shape[3]) == (1, 2)
    if name.startswith(("resnet", "plain", "vgg")):  # padded throughout
        for stage in net.stages:
            assert at_native[stage.name].shape[2:] == (height // stage.stride, width // stage.stride)
    strides = [stage.stride for stage in net.stages]
    assert strides == sorted(set(strides))
    assert bool(strides) == (name not in {"mlp", "two_layer"})


@pytest.mark.parametrize("name", list_models())
def test_nothing_works_in_place(name: str, zoo: Callable[[str], Net]) -> None:
    assert not [path for path, module in zoo(name).named_modules() if getattr(module, "inplace", False)]


@pytest.mark.parametrize("name", ["lenet5", "mlp", "resnet20", "plain20", "resnet18"])
def test_a_hook_sees_what_the_layer_gave(name: str) -> None:
    """Every output seen by a hook is still the same when the forward is over."""
    net = create_model(name, num_classes=4, input_size=(32, 32)).eval()
    seen: list[tuple[str, Tensor, Tensor]] = []
    for path, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, output, path=path: seen.append((path, output, output.clone())))
    with torch.no_grad():
        net(torch.randn(2, 3, 32, 32))
    assert len({path for path, _, _ in seen}) == len(seen)  # and each layer has a name of its own
    for path, output, as_given in seen:
        assert torch.equal(output, as_given), path


@pytest.mark.parametrize("name", SHAPED)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    size = model_info(name).input_size
    real = name in SMALL
    with torch.device("cpu" if real else "meta"):
        net = create_model(name, num_classes=3, **(WITHOUT_HEADS if "auxiliary" in model_info(name).settings else {}))
        x = torch.randn(2, 3, *size)
    net(x).square().sum().backward()
    missing = [path for path, p in net.named_parameters() if p.grad is None]
    assert not missing
    if real:
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mlp"])
def test_a_net_can_be_copied(name: str) -> None:
    net = create_model(name, num_classes=3)
    twin = copy.deepcopy(net)
    assert twin.spec == net.spec
    x = torch.randn(2, 3, 32, 32)
    net.eval()
    twin.eval()
    assert torch.equal(net(x), twin(x))
    assert not {p.data_ptr() for p in net.parameters()} & {p.data_ptr() for p in twin.parameters()}


@pytest.mark.parametrize("name", list_models())
def test_there_is_no_softmax(name: str, zoo: Callable[[str], Net]) -> None:
    assert not any(isinstance(module, nn.Softmax | nn.LogSoftmax) for module in zoo(name).modules())
