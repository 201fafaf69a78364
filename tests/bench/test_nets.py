"""Whole nets by several ways: equal gradients, and times only for those."""

import torch
from torch import nn

from striate.bench import nets
from striate.bench.nets import NETS, Published, measure
from striate.nets import list_models

SMALL = Published(title="LeNet-5", net="lenet5", batch=2)


def test_the_list_is_convnet_benchmarks() -> None:
    assert [(one.title, one.batch) for one in NETS] == [
        ("OxfordNet-A", 64),
        ("AlexNet-OWT", 128),
        ("GoogLeNet-v1", 128),
    ]
    assert {one.net for one in NETS} <= set(list_models())


def test_all_ways_have_the_same_gradients() -> None:
    (row,) = measure([SMALL], batch=3, threads=1, rounds=3, ways=("eager", "channels-last", "striate"))
    assert row.batch == 3
    for entry in row.entries.values():
        assert entry.difference < 1e-4
        assert entry.forward is not None
        assert entry.step is not None
        assert entry.backward_seconds == entry.step.median - entry.forward.median
    assert row.entries["eager"].difference == 0
    assert "convolutions changed" in row.accelerated


def test_a_difference_is_relative_to_the_length() -> None:
    wanted = [torch.ones(3)]
    assert nets._difference([torch.tensor([1.0, 1.0, 4.0])], wanted) == 3**0.5
    assert nets._difference([], wanted) == float("inf")


def test_several_heads_are_one_row_of_scores() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, 2 * x

    assert torch.equal(nets._scores(Two(), torch.ones(1, 2)), torch.tensor([[1.0, 1.0, 2.0, 2.0]]))
