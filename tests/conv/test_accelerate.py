"""`accelerate` on whole models: same answers, same state, and back."""

import copy
import dataclasses
import pickle
import random

import numpy as np
import pytest
import torch
from torch import nn

from striate.conv import Plan, WrongShape, accelerate, acceleration
from striate.conv.accelerated import AcceleratedConv2d
from striate.conv.measure import Measurement


def test_every_pass_is_looked_at_twice_before_anything_is_chosen(net, images, monkeypatch):
    seen = []

    def measured(shape, pass_, *, looks, **settings):
        seen.append((shape.out_channels, pass_, looks))
        return {"torch": Measurement(1.0, 1.0, 1e-7, 0)}

    monkeypatch.setattr(acceleration, "measured", measured)
    accelerate(net, images, verbose=False)
    kinds = [(8, "forward"), (8, "backward_weights")]  # of the images nobody asks for a gradient
    kinds += [(16, "forward"), (16, "backward_weights"), (16, "backward_data")]
    assert seen[:10] == [(*kind, looks) for looks in (1, 2) for kind in kinds]


def test_long_measuring_says_how_far_it_is(net, images, monkeypatch, ours_is_fastest, capsys):
    accelerate(net, images)
    assert "look:" not in capsys.readouterr().err  # done before anybody wonders
    monkeypatch.setattr(acceleration, "SILENCE", 0.0)
    accelerate(net, images)
    assert capsys.readouterr().err.splitlines() == [
        "measuring 2 convolutions; once for each shape, then it is remembered",
        "first look: 1 of 2 convolutions, 0 s",
        "first look: 2 of 2 convolutions, 0 s",
        "second look: 1 of 2 convolutions, 0 s",
        "second look: 2 of 2 convolutions, 0 s",
    ]


def test_long_models_are_compared_less_often(net, images, monkeypatch, ours_is_fastest):
    steps = []
    monkeypatch.setattr(acceleration.Example, "step", lambda _: steps.append(1))
    accelerate(net, images, verbose=False)
    usual = len(steps)
    steps.clear()
    monkeypatch.setattr(acceleration, "SECONDS", -1.0)
    accelerate(net, images, verbose=False)
    rounds_left_out = acceleration.ROUNDS - acceleration.SURE
    assert usual - len(steps) == 2 * rounds_left_out  # torch's step and ours


def test_weights_packed_ahead_are_those_of_the_answer(net, images, ours_is_fastest):
    accelerate(net.eval(), images, verbose=False)
    for layer in (net.first, net.second):
        assert layer._packed is None  # as a choice is installed
        layer.pack()
    packed = [layer._packed.weights for layer in (net.first, net.second)]
    with torch.no_grad():
        net(images)
    assert all(layer._packed.weights is one for layer, one in zip((net.first, net.second), packed, strict=True))


@pytest.mark.parametrize("clear_is_faster", [True, False])
def test_a_pass_that_gains_little_alone_has_to_prove_itself_in_the_model(net, images, monkeypatch, clear_is_faster):
    def measured(shape, pass_, **settings):
        ours = 0.9 if pass_ == "backward_weights" else 0.5
        return {"torch": Measurement(1.0, 1.0, 1e-7, 0), "winograd4": Measurement(ours, ours, 1e-6, 1000)}

    monkeypatch.setattr(acceleration, "measured", measured)
    offers = []
    monkeypatch.setattr(
        acceleration,
        "_compare",
        lambda _, given: offers.extend(given) or (1.0, 0.8, 0.7 if clear_is_faster else 0.9),
    )
    result = accelerate(net, images, verbose=False)
    assert [[layer.passes.names for layer in offer] for offer in offers] == [
        [("winograd4", "torch", "winograd4"), ("winograd4", "winograd4", "winograd4")],
        [("winograd4", "torch", "torch"), ("winograd4", "winograd4", "torch")],
    ]
    assert list(result.layers) == offers[1 if clear_is_faster else 0]
    assert net.second._known.passes == result.layers[1].passes
    assert result.layers[1].seconds == pytest.approx(2.0 if clear_is_faster else 1.9)
    assert result.seconds_after == (0.7 if clear_is_faster else 0.8)


def step(net, x):
    net.zero_grad()
    y = net(x)
    y.square().sum().backward()
    return y.detach(), [p.grad.clone() for p in net.parameters()]


def test_answers_gradients_and_state_stay_what_they_are(net, images, ours_is_fastest):
    state = {k: v.clone() for k, v in net.state_dict().items()}
    y, gradients = step(copy.deepcopy(net), images)
    random = torch.get_rng_state()
    result = accelerate(net, images, verbose=False)
    assert [type(m) for m in (net.first, net.second)] == [AcceleratedConv2d] * 2
    assert torch.equal(torch.get_rng_state(), random)
    assert net.first.weight.grad is None
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())  # batch norm's statistics too
    assert list(net.state_dict()) == list(state)
    assert [layer.passes.names for layer in result.layers] == [
        ("winograd4", "torch", "winograd4"),  # nobody wants the gradient of the images
        ("winograd4", "winograd4", "winograd4"),
    ]
    mine, mine_gradients = step(net, images)
    torch.testing.assert_close(mine, y, rtol=1e-4, atol=1e-4)
    for a, b in zip(mine_gradients, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    result.restore()
    assert type(net.first) is nn.Conv2d
    assert torch.equal(step(net, images)[0], step(net, images)[0])
    result.restore()  # once more does nothing


def test_weights_that_change_are_packed_anew(net, images, ours_is_fastest):
    net.eval()
    accelerate(net, images, verbose=False)
    with torch.no_grad():
        before = net(images)
        net.second.weight.mul_(2)
        doubled = net(images)
    plain = copy.deepcopy(net)
    for module in (plain.first, plain.second):
        module.__class__ = nn.Conv2d
    torch.testing.assert_close(doubled, plain(images), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before, doubled)


def test_other_shapes_and_dtypes_go_torchs_way(net, images, ours_is_fastest):
    net.eval()
    plain = copy.deepcopy(net)
    accelerate(net, images, verbose=False)
    small = images[:1, :, :7, :9]
    assert torch.equal(net(small), plain(small))
    assert torch.equal(net.double()(images.double()), plain.double()(images.double()))


def test_copies_and_pickles_work_on_their_own(net, images, ours_is_fastest):
    net.eval()
    accelerate(net, images, verbose=False)
    y = net(images)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        with torch.no_grad():
            assert torch.equal(other(images), y)
            other.second.weight.zero_()
            assert torch.equal(net(images), y)


def test_channels_last(net, images, ours_is_fastest):
    net = net.eval().to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    y = net(images)
    accelerate(net, images, verbose=False)
    torch.testing.assert_close(net(images), y, rtol=1e-4, atol=1e-4)
    assert net.second(net.first(images)).is_contiguous(memory_format=torch.channels_last)


def test_the_second_derivative(net, images, ours_is_fastest):
    def penalty(net):
        x = images.clone().requires_grad_()
        (dx,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(dx.square().sum(), net.second.weight)[0]

    wanted = penalty(net)
    accelerate(net, images.clone().requires_grad_(), verbose=False)
    torch.testing.assert_close(penalty(net), wanted, rtol=1e-3, atol=1e-3)


def test_it_compiles_without_breaks(net, images, ours_is_fastest):
    net.eval()
    accelerate(net, images, verbose=False)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), net(images), rtol=1e-4, atol=1e-4)


def test_a_result_that_is_wrong_anywhere_keeps_torch(net, images, ours_is_fastest):
    """In the last pixel of the last filter of the last image, where no sample looks."""
    right = Plan.run

    def wrong(self, *arguments, **settings):
        y = right(self, *arguments, **settings)
        y[-1, -1, -1, -1] += y.abs().max()
        return y

    ours_is_fastest.setattr(Plan, "run", wrong)
    result = accelerate(net.eval(), images, verbose=False)
    assert not any(layer.changed for layer in result.layers)


def test_an_error_over_the_limit_keeps_torch(net, images, ours_is_fastest):
    result = accelerate(net, images, max_rel_error=1e-7, verbose=False)
    assert not any(layer.changed for layer in result.layers)
    assert result.gain == 1.0  # torch was not timed against itself
    assert type(net.first) is nn.Conv2d


def test_a_workspace_over_the_limit_keeps_torch_and_says_so(net, images, ours_is_fastest, capsys):
    result = accelerate(net, images, workspace_limit=999)
    assert not any(layer.changed for layer in result.layers)
    assert "first: winograd4 needs 1,000 bytes of workspace, over the limit of 999" in capsys.readouterr().out


def test_a_model_that_gets_slower_is_left_as_it_was(net, images, ours_is_fastest):
    ours_is_fastest.setattr(acceleration, "LEAST_GAIN", 1e9)
    result = accelerate(net, images, verbose=False)
    assert type(net.first) is nn.Conv2d
    assert result.gain == 1.0


def test_it_prints_what_it_chose(net, images, ours_is_fastest, capsys):
    result = accelerate(net.eval(), images)
    printed = capsys.readouterr().out
    assert printed == f"{result}\n"
    assert "first " in printed
    assert "winograd4" in printed
    assert "2 of 2 convolutions changed; the example takes" in printed


def test_columns_stay_in_line_however_long_a_name_is(images, ours_is_fastest):
    model = nn.Sequential()
    model.add_module("short", nn.Conv2d(3, 16, 3, padding=1))
    model.add_module("a_layer_of_a_name_that_is_longer_than_most", nn.Conv2d(16, 24, 3, padding=1))
    first, second, _ = str(accelerate(model.eval(), images, verbose=False)).splitlines()
    assert first.index("3→16") == second.index("16→24")
    assert first.rindex(" → ") == second.rindex(" → ")


def test_an_example_that_does_not_fit_is_one_line(net):
    with pytest.raises(WrongShape, match="accelerate: the model does not take the example: "):
        accelerate(net, torch.zeros(1, 5, 8, 8))


def test_the_measured_choice_of_a_real_model(net, images):
    """Nothing made up: whatever this machine measures, the answers hold."""
    net.eval()
    y = net(images)
    accelerate(net, images, verbose=False)
    torch.testing.assert_close(net(images), y, rtol=1e-4, atol=1e-4)


def test_gradients_that_were_there_are_there_untouched(net, images, ours_is_fastest):
    net(images).square().sum().backward()
    before = [(p.grad, p.grad.clone()) for p in net.parameters()]
    accelerate(net, images, verbose=False)
    for parameter, (gradient, value) in zip(net.parameters(), before, strict=True):
        assert parameter.grad is gradient
        assert torch.equal(gradient, value)


def test_buffers_that_a_call_replaces_and_draws_that_it_makes(net, images, ours_is_fastest):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls = self.calls + 1
            return self.net(x + random.random() + float(np.random.random()) + torch.rand(()))  # noqa: NPY002

    model = Noisy()
    before, calls = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()), model.calls  # noqa: NPY002
    accelerate(model, images, verbose=False)
    assert model.calls is calls
    assert calls == 0
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_example_is_not_written_to(images, ours_is_fastest):
    example = images.clone()
    accelerate(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 8, 3)).eval(), example, verbose=False)
    assert torch.equal(example, images)
    example.requires_grad_()
    accelerate(nn.Sequential(nn.Conv2d(3, 8, 3)), example, verbose=False)
    assert example.grad is None


def test_optimisers_in_the_backward_pass_come_after(net, images, ours_is_fastest):
    hook = net.first.weight.register_post_accumulate_grad_hook(lambda p: p.data.zero_())
    before = net.first.weight.clone()
    with pytest.raises(
        WrongShape, match=r"hooks that run within the backward pass, .*; accelerate first, then register"
    ):
        accelerate(net, images, verbose=False)
    assert torch.equal(net.first.weight, before)
    hook.remove()
    accelerate(net, images, verbose=False)


def test_lazy_layers_are_called_first(images, ours_is_fastest):
    model = nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d())
    with pytest.raises(WrongShape, match="lazy layers that no call has made yet; call it once first"):
        accelerate(model, images, verbose=False)
    model(images)
    assert accelerate(model, images, verbose=False).layers[0].changed


def test_interrupted_it_leaves_the_model_as_it_was_found(net, images, ours_is_fastest):
    calls = []

    def interrupted(call):
        def hook(*_):
            calls.append(1)
            if len(calls) == call:
                raise KeyboardInterrupt

        calls.clear()
        with net.register_forward_pre_hook(hook), pytest.raises(KeyboardInterrupt):
            accelerate(net, images[:2], verbose=False)
        assert len(calls) == call

    interrupted(3)  # while torch and ours take turns
    assert type(net.first) is nn.Conv2d
    accelerate(net, images, verbose=False)
    passes = net.first._known.passes
    for call in (1, 2, 3):
        interrupted(call)
        assert net.first._known.passes == passes


def test_gradients_that_are_switched_off_around_it(net, images, ours_is_fastest):
    with torch.no_grad():
        result = accelerate(net, images, verbose=False)
    assert [layer.passes.backward_weights for layer in result.layers] == ["winograd4", "winograd4"]


def test_examples_by_name_and_results_in_structures(net, images, ours_is_fastest):
    @dataclasses.dataclass
    class Result:
        scores: torch.Tensor

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, *, pixel_values):
            x = self.net.first(input=pixel_values)
            return Result(self.net.second(x))

    model = Named()
    result = accelerate(model, {"pixel_values": images}, verbose=False)
    assert [layer.name for layer in result.layers] == ["net.first", "net.second"]
    steps = []
    model.net.second.register_full_backward_hook(lambda *_: steps.append(1))
    accelerate(model, {"pixel_values": images}, verbose=False)
    assert steps  # a step has a backward pass


def test_a_model_that_fails_without_a_word(net, images):
    net.forward = lambda x: (_ for _ in ()).throw(NotImplementedError)
    with pytest.raises(WrongShape, match="the model does not take the example: NotImplementedError"):
        accelerate(net, images, verbose=False)


def test_a_result_near_the_limit_is_held_against_float64_whole(net, images, ours_is_fastest):
    """The largest error is in the last filter of the last image, where no sample looks."""
    right, limit = Plan.run, 1e-4

    def wrong(self, *arguments, **settings):
        y = right(self, *arguments, **settings)
        y[-1, -1, -1, -1] += 1.2 * limit * y.abs().max()
        return y

    ours_is_fastest.setattr(Plan, "run", wrong)
    result = accelerate(net.eval(), images, max_rel_error=limit, verbose=False)
    assert not any(layer.changed for layer in result.layers)
    assert "first: winograd4 errs by 1e-04, over the limit of 0.0001" in str(result)
