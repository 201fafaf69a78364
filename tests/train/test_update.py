"""One update: what decays, what is averaged, what is accumulated; against torch's plain forms."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from striate.nets import create_model
from striate.nets.layers import LocallyConnected2d
from striate.train import fastest
from striate.train.ema import WeightAverage
from striate.train.health import Health, likely_cause
from striate.train.optim import build_optimizer, parameter_groups
from striate.train.settings import Settings
from striate.train.state import seed_step
from striate.train.watch.weights import UpdateLook


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return create_model("resnet20", num_classes=4, in_chans=1, input_size=(8, 8))


def steps(net: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    torch.manual_seed(1)
    images, labels = torch.randn(8, 1, 8, 8), torch.randint(0, 4, (8,))
    for _ in range(count):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()


def test_only_weights_decay(net: nn.Module) -> None:
    decayed, spared = parameter_groups(net, 0.1)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert all("bn" not in names[id(p)] and not names[id(p)].endswith("bias") for p in decayed["params"])
    assert len(decayed["params"]) + len(spared["params"]) == len(names)
    (everything,) = parameter_groups(net, 0.1, decay_all=True)
    assert len(everything["params"]) == len(names)


def test_the_biases_of_every_place_do_not_decay() -> None:
    """A locally connected layer has a bias for each unit and place: of three dimensions, and a bias all the same."""
    net = nn.Sequential(LocallyConnected2d(3, 4, 3, input_size=(8, 8)), nn.Flatten(), nn.Linear(144, 2))
    decayed, spared = parameter_groups(net, 0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(36, 4, 27), (2, 144)]  # type: ignore[attr-defined]  # a list
    assert [tuple(p.shape) for p in spared["params"]] == [(4, 6, 6), (2,)]  # type: ignore[attr-defined]  # a list
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    net(torch.ones(1, 3, 8, 8)).sum().backward()
    assert [layer.name for layer in UpdateLook(net).layers()] == ["0", "2"]  # what the watch calls a layer's weights


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_is_torchs_plain_sgd(net: nn.Module, nesterov: bool) -> None:
    peer = copy.deepcopy(net)
    settings = Settings(lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=1e-2, decay_all=True)
    steps(net, build_optimizer(net, settings), 4)
    plain = torch.optim.SGD(
        peer.parameters(), lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=1e-2, foreach=False, fused=False
    )
    steps(peer, plain, 4)
    for (name, ours), theirs in zip(net.named_parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)


def test_the_average_is_the_recurrence(net: nn.Module) -> None:
    average = WeightAverage(net, decay=0.9)
    expected = [parameter.detach().double() for parameter in average.net.parameters()]
    for update in range(20):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
            net.get_buffer("bn1.running_mean").add_(1)
        average.update(net)
        decay = min(0.9, (1 + update) / (10 + update))
        values = [parameter.detach().double() for parameter in net.parameters()]
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, values, strict=True)]
    for parameter, value in zip(average.net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.double(), value, rtol=1e-5, atol=1e-5)
    assert torch.equal(average.net.get_buffer("bn1.running_mean"), net.get_buffer("bn1.running_mean"))
    assert not any(parameter.requires_grad for parameter in average.net.parameters())


def test_sick_losses_are_named() -> None:
    health = Health(chance_loss=math.log(10), explosion=3.0)
    assert health.sick(2.5) is None
    assert health.sick(7.4) is None
    assert health.sick(7.6) == "the loss, 7.6, is over 3× its first value, 2.5"
    assert health.sick(float("nan")) == "the loss is nan"
    assert health.sick(float("inf")) == "the loss is inf"


def test_a_net_that_starts_well_may_meet_a_hard_batch() -> None:
    health = Health(chance_loss=math.log(10), explosion=3.0)
    assert health.sick(0.01) is None
    assert health.sick(1.0) is None
    assert health.sick(6.95) == "the loss, 6.95, is over 3× its first value, 2.3"


def test_the_explosion_rule_can_be_turned_off() -> None:
    health = Health(chance_loss=1.0, explosion=0.0)
    assert health.sick(1.0) is None
    assert health.sick(1e6) is None
    assert health.sick(math.nan) is not None


def test_the_likely_cause_points_at_what_broke(net: nn.Module) -> None:
    healthy = likely_cause(net, lr=10.0, step=3, precision="fp32", clip_grad=None)
    assert healthy == (
        "the learning rate, 10, is too high for this net; try --lr 1, a warm-up (--warmup-epochs 1) or --clip-grad 1"
    )
    assert likely_cause(net, lr=10.0, step=3, precision="fp16", clip_grad=None).startswith("fp16 overflowed")
    with torch.no_grad():
        net.get_parameter("conv1.weight")[0] = math.nan
    assert "(conv1.weight is no longer finite)" in likely_cause(net, lr=1.0, step=3, precision="fp32", clip_grad=1.0)
    assert "check --pretrained" in likely_cause(net, lr=1.0, step=0, precision="fp32", clip_grad=1.0)


def test_the_choice_leaves_the_net_and_the_generator_alone(net: nn.Module) -> None:
    example = (torch.randn(4, 1, 8, 8), torch.randint(0, 4, (4,)))
    before, random = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    choice = fastest.choose(net, nn.functional.cross_entropy, example, Settings())
    assert choice.precision in ("fp32", "bf16")
    assert choice.threads == 1
    (reason,) = choice.reasons
    assert all(name in reason for name in ("fp32 NCHW", "bf16", "a step of 4 images takes"))
    assert torch.equal(random, torch.get_rng_state())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize(
    ("slower", "open_to", "said"),
    [
        (4.9, {}, "bf16 NCHW 2450.0 ms"),
        (
            21.0,
            {},
            "fp32 NCHW: a step of 6 images takes fp32 NCHW 500.0 ms, fp32 channels-last 500.0 ms; bf16 takes 21 times ",
        ),
        (21.0, {"channels_last": True}, "fp32: bf16 takes 21 times as long for 4 images"),
    ],
    ids=["near", "hopeless", "hopeless, and nothing else open"],
)
def test_hopeless_bf16_is_tried_on_few_images_only(
    net: nn.Module, monkeypatch: pytest.MonkeyPatch, slower: float, open_to: dict[str, bool], said: str
) -> None:
    tried: list[tuple[str, int]] = []

    def stepper(net: nn.Module, loss: Any, example: Any, precision: str, channels_last: bool) -> tuple[str, int]:
        tried.append((precision, len(example[0])))
        return tried[-1]

    def times(steps: list[tuple[str, int]], rounds: int = 8) -> list[list[float]]:
        return [[slower / 2 if precision == "bf16" else 0.5] for precision, _ in steps]

    monkeypatch.setattr(fastest, "_stepper", stepper)
    monkeypatch.setattr(fastest, "_times", times)
    example = (torch.randn(6, 1, 8, 8), torch.randint(0, 4, (6,)))
    choice = fastest.choose(net, nn.functional.cross_entropy, example, Settings(threads=1, **open_to))  # type: ignore[arg-type]
    assert choice.precision == "fp32"
    assert said in choice.reasons[0]
    assert (("bf16", 6) in tried) == (slower < 5)
    assert ("bf16", 4) in tried


def test_what_is_set_is_not_measured(net: nn.Module) -> None:
    example = (torch.randn(4, 1, 8, 8), torch.randint(0, 4, (4,)))
    choice = fastest.choose(net, nn.functional.cross_entropy, example, Settings(precision="fp32", channels_last=False))
    assert (choice.precision, choice.channels_last, choice.threads, choice.reasons) == ("fp32", False, 1, ())


@pytest.mark.parametrize(("one", "many", "expected"), [(1.0, 0.6, 3), (1.0, 1.02, 3), (1.0, 9.0, 1)])
def test_one_thread_is_taken_where_several_lose(
    net: nn.Module, monkeypatch: pytest.MonkeyPatch, one: float, many: float, expected: int
) -> None:
    """On a busy machine all threads wait for the one that was put aside."""
    compared = [[one, one], [many, many]]
    monkeypatch.setattr(fastest, "_times", lambda steps, rounds=8: compared if len(steps) == 2 else [[0.0]])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    example = (torch.randn(4, 1, 8, 8), torch.randint(0, 4, (4,)))
    settings = Settings(precision="fp32", channels_last=False)
    choice = fastest.choose(net, nn.functional.cross_entropy, example, settings)
    assert choice.threads == expected
    assert choice.reasons == (
        ()
        if expected == 3
        else ("1 thread: 1000.0 ms for 4 images, against 9000.0 ms with 3; set --threads to insist",)
    )


@pytest.mark.parametrize(("probe", "taken"), [(0.01, 50), (5.0, 32)])
def test_threads_are_compared_on_the_whole_batch_where_that_is_quick(
    net: nn.Module, monkeypatch: pytest.MonkeyPatch, probe: float, taken: int
) -> None:
    seen: list[int] = []
    counted = fastest._stepper

    def stepper(net: nn.Module, loss: Any, example: Any, *variant: Any) -> Any:
        seen.append(len(example[0]))
        return counted(net, loss, example, *variant)

    monkeypatch.setattr(fastest, "_stepper", stepper)
    monkeypatch.setattr(fastest, "_times", lambda steps, rounds=8: [[probe]] * len(steps))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    example = (torch.randn(50, 1, 8, 8), torch.randint(0, 4, (50,)))
    fastest.choose(net, nn.functional.cross_entropy, example, Settings(precision="fp32", channels_last=False))
    assert seen == [32, taken]


def test_seeds_of_steps_differ_and_repeat() -> None:
    drawn = []
    for seed, step in [(0, 0), (0, 1), (1, 0), (0, 0)]:
        seed_step(seed, step)
        drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[3])
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
