"""`accelerate` on whole models: same answers, same state, and back."""

import copy
import pickle

import pytest
import torch
from torch import nn

from striate.conv import Plan, WrongShape, accelerate, acceleration, refusal
from striate.conv.acceleration import AcceleratedConv2d
from striate.conv.measure import Measurement


@pytest.fixture
def ours_is_fastest(monkeypatch):
    """Measurements as if our Winograd were always faster than torch, so that tests do not depend on the machine."""

    def measured(shape, pass_, **settings):
        known = {"torch": Measurement(1.0, 1.0, 1e-7, 0), "winograd4": Measurement(0.5, 0.5, 1e-6, 1000)}
        return {name: m for name, m in known.items() if name == "torch" or not refusal(name, pass_, shape)}

    monkeypatch.setattr(acceleration, "measured", measured)
    monkeypatch.setattr(acceleration, "LEAST_GAIN", 0.0)
    return monkeypatch


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
    monkeypatch.setattr(acceleration, "step_of", lambda *_: lambda: steps.append(1))
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
    packed = [layer._packed[1] for layer in (net.first, net.second)]
    with torch.no_grad():
        net(images)
    assert all(layer._packed[1] is one for layer, one in zip((net.first, net.second), packed, strict=True))


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
        lambda _, __, given: offers.extend(given) or (1.0, 0.8, 0.7 if clear_is_faster else 0.9),
    )
    result = accelerate(net, images, verbose=False)
    assert [[layer.passes.names for layer in offer] for offer in offers] == [
        [("winograd4", "torch", "winograd4"), ("winograd4", "winograd4", "winograd4")],
        [("winograd4", "torch", "torch"), ("winograd4", "winograd4", "torch")],
    ]
    assert list(result.layers) == offers[1 if clear_is_faster else 0]
    assert net.second._passes.popitem()[1] == result.layers[1].passes
    assert result.layers[1].seconds == pytest.approx(2.0 if clear_is_faster else 1.9)
    assert result.seconds_after == (0.7 if clear_is_faster else 0.8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.second(self.norm(self.first(x)).relu()).mean((2, 3)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def images():
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))


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


def test_the_measured_choice_of_a_real_model(images):
    """Nothing made up: whatever this machine measures, the answers hold."""
    torch.manual_seed(0)
    net = Net().eval()
    y = net(images)
    accelerate(net, images, verbose=False)
    torch.testing.assert_close(net(images), y, rtol=1e-4, atol=1e-4)
