"""What `accelerate` takes for a model and an example, and what running them must not do."""

import pytest
import torch
from torch import nn

from striate.conv import WrongShape, accelerate, acceleration
from striate.conv.accelerated import AcceleratedConv2d
from striate.conv.measure import Measurement


def test_whoever_steps_with_other_processes_is_accelerated_within(net, images, ours_is_fastest, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/met", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(net)
        with pytest.raises(WrongShape, match="a step of DistributedDataParallel waits for other processes"):
            accelerate(wrapped, images, verbose=False)
        assert type(net.second) is nn.Conv2d
        accelerate(net, images, verbose=False)
        wrapped(images).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    assert type(net.second) is AcceleratedConv2d
    assert net.second.weight.grad is not None


def test_models_and_calls_of_inference_mode(images, ours_is_fastest):
    with torch.inference_mode():
        made_there = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
        assert accelerate(made_there, images, verbose=False).layers[0].changed
    trained = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    with torch.inference_mode():
        result = accelerate(trained, images.clone(), verbose=False)
    assert set(result.layers[0].times) == {"forward", "backward_weights"}
    accelerate(made_there, images, verbose=False)
    trained(images).sum().backward()


def test_results_that_are_complex(images, ours_is_fastest):
    class Spectrum(nn.Conv2d):
        def forward(self, x):
            return torch.fft.fft2(super().forward(x))

    model = nn.Sequential(nn.Conv2d(3, 8, 3), Spectrum(8, 8, 1))
    assert accelerate(model, images, verbose=False).layers[0].changed


def test_numbers_of_the_example_that_are_none(images, ours_is_fastest):
    images[0, 0, 6, 6] = torch.inf
    ours_is_fastest.setattr(
        acceleration,
        "measured",
        lambda *_, **__: {
            "torch": Measurement(1.0, 1.0, 1e-7, 0),
            "direct": Measurement(0.5, 0.5, 1e-7, 0),
            "winograd4": Measurement(0.4, 0.4, 1e-6, 0),
        },
    )
    (layer,) = accelerate(nn.Conv2d(3, 8, 3).eval(), images, verbose=False).layers
    assert layer.passes.forward == "direct"  # which has them where torch has them
    assert layer.notes == (": winograd4 errs by inf, over the limit of 0.0001",)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (lambda x: x, {}, "the model must be a torch.nn.Module, not <function"),
        (nn.Conv2d(3, 8, 3), {"max_rel_error": "1e-4"}, "max_rel_error must be a number from 0 on, not '1e-4'"),
        (nn.Conv2d(3, 8, 3), {"max_rel_error_bf16": float("nan")}, "max_rel_error_bf16 must be a number from 0 on"),
        (nn.Conv2d(3, 8, 3), {"workspace_limit": -1}, "workspace_limit must be a number from 0 on, not -1"),
        (nn.Conv2d(3, 8, 3), {"example": {"y": 1}}, "does not take the example: .*argument 'y'"),
        (nn.Conv2d(3, 8, 3), {"example": [1]}, r"does not take the example: conv2d\(\) received an invalid"),
    ],
)
def test_what_cannot_be_accelerated_is_one_line(images, model, settings, message):
    with pytest.raises(WrongShape, match=message):
        accelerate(model, **{"example": images, "verbose": False, **settings})


def test_a_forward_of_somebodys_own_is_left_to_him(net, images, ours_is_fastest):
    kept = net.first.forward
    net.first.forward = lambda x: 2 * kept(x)
    before = net.eval()(images)
    result = accelerate(net, images, verbose=False)
    assert [layer.name for layer in result.layers] == ["second"]
    assert torch.allclose(net(images), before, atol=1e-4)
    kept_since = net.second.forward
    net.second.forward = lambda x: 2 * kept_since(x)
    twice = net(images)
    result.restore()
    assert torch.allclose(net(images), twice, atol=1e-4)
