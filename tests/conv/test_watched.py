"""`conv2d` where others watch: transformations, tracers, modes and tensors with a say of their own."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from striate.conv import Conv2d, best_algorithm, conv1d, conv2d, conv3d, operators


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(2, 4, 9, 11, generator=generator), torch.randn(6, 4, 3, 3, generator=generator),
            torch.randn(6, generator=generator))  # fmt: skip


TRANSFORMATIONS = {
    "grad": lambda f, x, w: torch.func.grad(lambda w: f(x, w).square().sum())(w),
    "jvp": lambda f, x, w: torch.func.jvp(lambda x: f(x, w), (x,), (x,))[1],
    "jvp of both": lambda f, x, w: torch.func.jvp(f, (x, w), (x, w))[1],
    "jacrev": lambda f, x, w: torch.func.jacrev(lambda w: f(x[:1, :, :3, :3], w))(w),
    "hessian": lambda f, x, w: torch.func.hessian(lambda w: f(x[:1, :, :3, :3], w).square().sum())(w[:1]),
    "gradients of each image": lambda f, x, w: torch.func.vmap(
        torch.func.grad(lambda w, x: f(x[None], w).sum()), (None, 0)
    )(w, x),
    "many gradients at once": lambda f, x, w: torch.autograd.grad(
        f(x.requires_grad_(), w), x, torch.ones(3, 2, 6, 7, 9), is_grads_batched=True
    )[0],
    "jit.trace": lambda f, x, w: torch.jit.trace(f, (x, w))(x, w),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:There is a performance drop:UserWarning")
def test_torchs_transformations_see_a_convolution(tensors, name):
    x, weight, _ = tensors
    transformed = TRANSFORMATIONS[name]
    mine = transformed(lambda x, w: conv2d(x, w, algorithm="direct"), x.clone(), weight)
    theirs = transformed(functional.conv2d, x.clone(), weight)
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
    assert mine.abs().max() > 0


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_the_choice_may_be_measured_while_many_gradients_are_taken_at_once(tensors):
    x, weight, _ = tensors
    best_algorithm.cache_clear()
    operators.planned.cache_clear()
    at_once = TRANSFORMATIONS["many gradients at once"]
    mine, theirs = (at_once(f, x.clone(), weight) for f in (conv2d, functional.conv2d))
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


def test_fx_sees_one_call_of_each(tensors):
    x, weight, _ = tensors

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.filters = Conv2d(4, 6, 3, algorithm="direct"), nn.Parameter(weight)

        def forward(self, x):
            return self.flat(x), conv1d(x[:, :, 0], self.filters[:, :, 0]), conv3d(x[None], self.filters[:, :2, None])

    net = Net()
    traced = torch.fx.symbolic_trace(net)
    torch.testing.assert_close(traced(x), net(x))
    called = [node.target for node in traced.graph.nodes if node.target in (conv1d, conv2d, conv3d)]
    assert called == [conv2d, conv1d, conv3d]


def test_a_tensor_with_a_say_of_its_own_in_functions_is_asked(tensors):
    x, weight, _ = tensors
    asked = []

    class Told(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, arguments=(), keywords=None):
            asked.append(function)
            return super().__torch_function__(function, types, arguments, keywords)

    y = conv2d(x.as_subclass(Told), weight, algorithm="direct")
    assert type(y) is Told
    assert asked[0] is conv2d
    torch.testing.assert_close(y.as_subclass(torch.Tensor), functional.conv2d(x, weight), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_module_is_torchs(tensors):
    x, _, _ = tensors
    module = Conv2d(4, 6, 3, padding="same")
    torch.testing.assert_close(torch.jit.script(module)(x), module(x), rtol=1e-4, atol=1e-4)


def test_a_mode_counts_its_operations_in_all_passes(tensors):
    counted = []
    for convolve in (functional.conv2d, conv2d):
        x, weight, bias = (t.clone().requires_grad_() for t in tensors)
        with FlopCounterMode(display=False) as counter:
            convolve(x, weight, bias, stride=2, padding=1).sum().backward()
        counted.append(counter.get_total_flops())
    assert counted[0] == counted[1] > 0
