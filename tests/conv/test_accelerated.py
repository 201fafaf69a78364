"""An accelerated layer in the hands of somebody who does not know that it is one.

However it is called, and whatever has become of its weights and settings since, the answers are torch's.
"""

import copy
import os

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional
from torch.nn.utils import prune
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.flop_counter import FlopCounterMode

from striate.conv import accelerate
from striate.conv.accelerated import AcceleratedConv2d


@pytest.fixture
def layer(images, ours_is_fastest):
    """A model of one convolution, accelerated as it answers."""
    torch.manual_seed(0)
    return accelerated(nn.Conv2d(3, 8, 3, padding=1), images)


def accelerated(convolution, images, *, train=False):
    model = nn.Sequential(convolution).train(train)
    result = accelerate(model, images, verbose=False)
    assert all(choice.changed for choice in result.layers)
    return model


def wanted(model, images):
    """In float64, by what the layer says of itself now."""
    (layer,) = model
    bias = None if layer.bias is None else layer.bias.double()
    return functional.conv2d(images.double(), layer.weight.double(), bias, padding=1)


def assert_answers(model, images):
    with torch.no_grad():
        y = model(images)
    torch.testing.assert_close(y.double(), wanted(model, images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
@pytest.mark.parametrize("mode", ["train and eval", "eval", "compiled"])
def test_fused_optimisers_raise_no_version(layer, images, name, mode):
    optimiser = getattr(torch.optim, name)(layer.parameters(), lr=0.1, fused=True)
    step = torch.compile(layer, backend="aot_eager", fullgraph=True) if mode == "compiled" else layer
    for _ in range(3):
        assert_answers(layer, images)
        layer.train(mode == "train and eval")
        optimiser.zero_grad()
        step(images).square().mean().backward()
        optimiser.step()
        layer.eval()
    assert_answers(layer, images)


def test_weights_given_for_one_call(layer, images):
    weight = layer[0].weight.detach().clone()
    with torch.no_grad():
        answers = [torch.func.functional_call(layer, {"0.weight": weight * s}, (images,)) for s in (1.0, 2.0, 3.0, 4.0)]
    bias = layer[0].bias[:, None, None]
    for scale, y in enumerate(answers, 1):
        torch.testing.assert_close(y - bias, scale * (answers[0] - bias), rtol=1e-4, atol=1e-4)


def test_weights_put_in_their_place(layer, images):
    with torch.no_grad():
        for _ in range(4):
            layer[0].weight.data = layer[0].weight.data * 2
            assert_answers(layer, images)
        layer[0].weight = nn.Parameter(layer[0].weight / 3)
    assert_answers(layer, images)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.utils.weight_norm,
        torch.nn.utils.spectral_norm,
        lambda conv: prune.l1_unstructured(conv, "weight", 0.3),
    ],
    ids=["weight norm", "spectral norm", "pruned"],
)
def test_weights_that_a_hook_makes_anew(images, ours_is_fastest, wrap):
    model = accelerated(wrap(nn.Conv2d(3, 8, 3, padding=1)), images)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(6):
        with torch.no_grad():
            y = model.eval()(images)
        torch.testing.assert_close(y.double(), wanted(model, images), rtol=1e-4, atol=1e-4)
        model.train()
        for _ in range(5):
            optimiser.zero_grad()
            model(images).square().mean().backward()
            optimiser.step()


def test_a_parametrization_since(layer, images):
    convolution = layer[0]
    torch.nn.utils.parametrizations.weight_norm(convolution)
    for _ in range(4):
        with torch.no_grad():
            convolution.parametrizations.weight.original0.mul_(2)
        assert_answers(layer, images)
    accelerate(layer, images, verbose=False).restore()
    assert_answers(layer, images)
    torch.nn.utils.parametrize.remove_parametrizations(convolution, "weight")
    assert_answers(layer, images)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_weights_that_another_process_writes(layer, images):
    layer.share_memory()
    assert_answers(layer, images)
    child = os.fork()
    if child == 0:
        layer[0].weight.detach().numpy()[:] *= 3
        os._exit(0)
    os.waitpid(child, 0)
    assert_answers(layer, images)


def test_weights_made_in_inference_mode(images, ours_is_fastest):
    with torch.inference_mode():
        model = accelerated(nn.Conv2d(3, 8, 3, padding=1), images)
        for _ in range(2):
            torch.testing.assert_close(model(images).double(), wanted(model, images), rtol=1e-4, atol=1e-4)
            model[0].weight.mul_(2)


def test_packed_weights_are_kept_while_nothing_learns(layer, images):
    layer.requires_grad_(False)
    layer(images)  # with gradients enabled, as by default
    packed = layer[0]._packed
    layer(images)
    assert packed is not None
    assert layer[0]._packed is packed


@pytest.mark.parametrize("learning", ["weight", "bias", "images"])
def test_whatever_learns_gets_its_gradient(images, ours_is_fastest, learning):
    model = accelerated(nn.Conv2d(3, 8, 3, padding=1), images, train=True)
    (layer,) = model
    given = images.clone()
    learner = given if learning == "images" else getattr(layer, learning)
    model.requires_grad_(False)
    learner.requires_grad_()
    (gradient,) = torch.autograd.grad(model(given).square().sum(), learner)
    (theirs,) = torch.autograd.grad(nn.Conv2d.forward(layer, given).square().sum(), learner)
    torch.testing.assert_close(gradient, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("setting", [{"stride": (2, 2)}, {"padding": (0, 0)}, {"padding_mode": "circular"}], ids=str)
def test_settings_changed_since(layer, images, setting):
    for name, value in setting.items():
        setattr(layer[0], name, value)
    layer[0]._reversed_padding_repeated_twice = [1, 1, 1, 1]
    assert torch.equal(layer(images), nn.Conv2d.forward(layer[0], images))


def test_fewer_filters_since(layer, images):
    layer[0].weight = nn.Parameter(layer[0].weight[:4].detach().clone())
    layer[0].bias = nn.Parameter(layer[0].bias[:4].detach().clone())
    assert_answers(layer, images)


def test_the_name_of_the_argument(layer, images):
    assert torch.equal(layer[0](input=images), layer[0](images))


def test_another_number_of_threads(layer, images):
    before = torch.get_num_threads()
    assert_answers(layer, images)
    try:
        torch.set_num_threads(before + 1)
        assert_answers(layer, images)
        assert layer[0]._packed.passes.threads == before + 1
    finally:
        torch.set_num_threads(before)


WATCHERS = {
    "make_fx": lambda model, x: make_fx(model)(x)(x),
    "symbolic_trace": lambda model, x: torch.fx.symbolic_trace(model)(x),
    "jit.script": lambda model, x: torch.jit.script(model)(x),
    "jit.trace": lambda model, x: torch.jit.trace(model, x)(x),
    "vmap": lambda model, x: torch.func.vmap(model)(x[None])[0],
    "export": lambda model, x: torch.export.export(model, (x,)).module()(x),
    "export, any batch": lambda model, x: of_any_batch(model, x, strict=False),
    "strict export, any batch": lambda model, x: of_any_batch(model, x, strict=True),
}


def of_any_batch(model, x, *, strict):
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=strict)
    return torch.cat([exported.module()(x[:1]), exported.module()(x[1:])])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", WATCHERS)
def test_whoever_watches_sees_the_convolution(layer, images, name):
    with torch.no_grad():
        y = WATCHERS[name](layer, images)
    torch.testing.assert_close(y.double(), wanted(layer, images), rtol=1e-4, atol=1e-4)


def test_tensors_that_are_no_memory(layer, images):
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake:
        assert layer(fake.from_tensor(images)).shape == (4, 8, 12, 12)
    two = TwoTensor(images, images)
    with torch.no_grad():
        torch.testing.assert_close(layer(two).a.double(), wanted(layer, images), rtol=1e-4, atol=1e-4)


def test_a_mode_counts_its_operations(layer, images):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(images)
    assert counter.get_total_flops() == 2 * 4 * 8 * 3 * 9 * 12 * 12


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_forward_mode_derivatives(layer, images):
    with torch.no_grad(), forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(layer(forward_ad.make_dual(images, images))).tangent
    bias = layer[0].bias[:, None, None]
    torch.testing.assert_close(tangent.double(), wanted(layer, images) - bias, rtol=1e-4, atol=1e-4)


def test_gradients_of_a_function_of_the_parameters(layer, images):
    parameters = dict(layer.named_parameters())

    def loss(given):
        return torch.func.functional_call(layer, given, (images,)).square().sum()

    gradients = torch.func.grad(loss)(parameters)
    plain = copy.deepcopy(layer)
    plain[0].__class__ = nn.Conv2d
    plain(images).square().sum().backward()
    torch.testing.assert_close(gradients["0.weight"], plain[0].weight.grad, rtol=1e-3, atol=1e-3)


def test_restored_it_is_torchs(layer, images):
    assert type(layer[0]) is AcceleratedConv2d
    accelerate(layer, images, verbose=False).restore()
    assert type(layer[0]) is nn.Conv2d
    assert not {"_known", "_packed"} & set(vars(layer[0]))
