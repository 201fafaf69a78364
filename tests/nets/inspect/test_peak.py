"""Peak memory: closed forms where there are some, what must not change, and resident memory of a real process."""

import contextlib
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from striate.arithmetic import Standing
from striate.errors import StriateError
from striate.nets import DoesNotFit, Net, create_model
from striate.nets.inspect import cost, largest_batch, memory

WIDTH = 1000


def chain(depth: int) -> nn.Sequential:
    """`depth` squares without biases, and tanh after each, which keeps its result."""
    layers = [layer for _ in range(depth) for layer in (nn.Linear(WIDTH, WIDTH, bias=False), nn.Tanh())]
    return nn.Sequential(*layers)


def test_inference_holds_two_maps_at_a_time() -> None:
    """Each layer's input and output; in the first, the input is the caller's and counted apart."""
    found = memory(chain(5), (WIDTH,), batch_size=1)
    assert found.activations_nbytes == 2 * 4 * WIDTH
    assert found.parameters_nbytes == 5 * 4 * WIDTH**2
    assert found.gradients_nbytes == found.optimizer_nbytes == 0
    assert found.peak_nbytes == found.standing_nbytes + found.activations_nbytes


def test_training_keeps_every_result_until_its_gradient_is_known() -> None:
    """Many images: the five results are alive together, beside a few maps on their way."""
    one_map = 4 * 50_000 * WIDTH
    found = memory(chain(5), (50_000, WIDTH), optimizer="sgd")
    assert 5 * one_map < found.activations_nbytes <= 8 * one_map + found.gradients_nbytes


def test_gradients_come_as_results_go() -> None:
    """Few images: what is most is the end of the backward pass, when every gradient is there."""
    found = memory(chain(5), (64, WIDTH), optimizer="adamw")
    gradients = 5 * 4 * WIDTH**2
    assert found.gradients_nbytes == gradients
    assert found.optimizer_nbytes == 2 * gradients
    assert gradients < found.activations_nbytes < gradients + 5 * 4 * 64 * WIDTH
    assert found.step_nbytes == 2 * 4 * WIDTH**2  # AdamW's √v of one layer at a time


def test_the_parts_are_those_of_one_moment_and_add_up() -> None:
    """Gradients and activations are never both said where a gradient takes an activation's place."""
    standing = ["parameters", "buffers", "optimizer", "input"]
    few, many = (memory(chain(5), (n, WIDTH), optimizer="adamw") for n in (64, 50_000))
    assert list(few.at_peak) == [*standing, "gradients", "update"]
    assert few.peak_nbytes == 4 * (5 + 5 + 10 + 2) * WIDTH**2 + few.inputs_nbytes
    assert list(many.at_peak) == [*standing, "activations and gradients"]
    assert many.peak_nbytes == many.standing_nbytes + many.activations_nbytes
    assert list(memory(chain(5), (WIDTH,)).at_peak) == [*standing, "activations"]


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "alexnet"])
def test_a_larger_batch_needs_more_and_parameters_do_not_care(name: str, zoo: Callable[[str], Net]) -> None:
    net = zoo(name)
    small, large = (memory(net, (3, *net.spec.input_size), batch_size=n, optimizer="sgd") for n in (64, 128))
    assert large.activations_nbytes > small.activations_nbytes
    assert large.parameters_nbytes == small.parameters_nbytes == 4 * sum(p.numel() for p in net.parameters())
    assert large.inputs_nbytes == 2 * small.inputs_nbytes


def test_alexnet_at_batch_256_needs_about_3_gb(zoo: Callable[[str], Net]) -> None:
    """LECTURES.md C5, as Caffe held it: a map and its gradient for every layer that does not work in place."""
    rows = cost(zoo("alexnet2012"), (3, 227, 227)).layers
    maps = [torch.Size(row.output_shape).numel() for row in rows if row.kind.startswith(("conv", "max-pool", "linear"))]
    standing = Standing(params=sum(row.params for row in rows), optimizer="momentum").nbytes
    assert round((2 * 4 * 256 * (sum(maps) + 3 * 227 * 227) + standing) / 1e9) == 3


def test_checkpointing_trades_memory(zoo: Callable[[str], Net]) -> None:
    plain = memory(zoo("resnet50"), (3, 224, 224), batch_size=8, optimizer="momentum")
    saved = memory(zoo("resnet50"), (3, 224, 224), batch_size=8, optimizer="momentum", checkpointing=True)
    assert saved.activations_nbytes < 0.6 * plain.activations_nbytes
    some = memory(zoo("resnet50"), (3, 224, 224), batch_size=8, optimizer="momentum", checkpointing=["layer1"])
    assert saved.activations_nbytes < some.activations_nbytes < plain.activations_nbytes
    with pytest.raises(StriateError, match="unknown module 'layer11'; did you mean 'layer1"):
        memory(zoo("resnet50"), (3, 224, 224), optimizer="sgd", checkpointing=["layer11"])


def test_half_as_wide_numbers_need_half_for_inference() -> None:
    wide, narrow = (memory(chain(3), (8, WIDTH), precision=p) for p in ("fp32", "bf16"))
    assert narrow.peak_nbytes * 2 == wide.peak_nbytes
    mixed = memory(chain(3), (8, WIDTH), precision="bf16", optimizer="adamw")
    assert mixed.optimizer_nbytes == 2 * 4 * 3 * WIDTH**2
    assert mixed.gradients_nbytes == mixed.parameters_nbytes == 4 * 3 * WIDTH**2


class Born(TorchDispatchMode):
    """The most bytes alive at once of what is made under it, with real numbers in them."""

    def __init__(self, standing: list[Tensor]) -> None:
        super().__init__()
        self.known: dict[int, Any] = {x.untyped_storage()._cdata: None for x in standing}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for x in tree_leaves(output):
            if isinstance(x, Tensor):
                self.born(x.untyped_storage())
        return output

    def born(self, storage: torch.UntypedStorage) -> None:
        key, nbytes = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known[key] = weakref.ref(storage, lambda _: self.died(key, nbytes))
            self.now += nbytes
            self.peak = max(self.peak, self.now)

    def died(self, key: int, nbytes: int) -> None:
        del self.known[key]
        self.now -= nbytes


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "batch"), [("resnet20", 32), ("lenet5", 64), ("chain", 8)])
def test_a_real_step_makes_what_was_said(name: str, batch: int, precision: str) -> None:
    """Many images and few weights, and the other way round; under autocast inputs and buffers stay 32 bits wide."""
    net = chain(5) if name == "chain" else create_model(name)
    shape = (1, WIDTH) if name == "chain" else (3, *net.spec.input_size)
    said = memory(
        net, shape, batch_size=batch, optimizer="sgd", precision=precision, device="cuda"
    )  # no blocked copies
    x = torch.rand(batch, *shape[-3:]) if name != "chain" else torch.rand(batch, WIDTH)
    standing = [*net.train().parameters(), *net.buffers(), x]
    with Born(standing) as born:
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext():
            scores = net(x)  # kept, as a loop does that counts what is right
            loss = F.cross_entropy(scores, torch.zeros(batch, dtype=torch.int64))
        loss.backward()
    assert said.standing_nbytes == sum(one.numel() * one.itemsize for one in standing)
    assert said.activations_nbytes == pytest.approx(born.peak, rel=0.005)


@pytest.mark.parametrize("optimizer", [None, "adamw"])
@pytest.mark.parametrize("budget", [2 * 10**8, 10**9])
def test_the_largest_batch_fits_and_one_more_does_not(
    optimizer: str | None, budget: int, zoo: Callable[[str], Net]
) -> None:
    net = zoo("resnet20")
    found = largest_batch(net, (3, 32, 32), budget, optimizer=optimizer)
    assert found.peak_nbytes <= budget
    above = memory(net, (3, 32, 32), batch_size=found.batch_size + 1, optimizer=optimizer)
    assert above.peak_nbytes > budget


def test_the_search_ends() -> None:
    assert largest_batch(nn.Linear(1, 1), (1, 1), 10**15).batch_size == 2**20


def test_what_cannot_fit_is_said() -> None:
    with pytest.raises(StriateError, match=r"^not even one image fits 1,000 bytes: [\d,]+ are needed; use a smaller"):
        largest_batch(chain(1), (WIDTH,), 1000)
    for optimizer, way_out in ((None, "a smaller net or 16 bits"), ("sgd", "a leaner optimizer or checkpointing")):
        with pytest.raises(StriateError, match=f"use a smaller input, {way_out}$"):
            largest_batch(chain(1), (WIDTH,), 1000, optimizer=optimizer)


def test_frozen_parameters_have_no_gradients() -> None:
    net = chain(2)
    net[0].requires_grad_(False)
    assert memory(net, (4, WIDTH), optimizer="sgd").gradients_nbytes == 4 * WIDTH**2
    with pytest.raises(DoesNotFit, match="nothing that comes out depends on a parameter that is trained"):
        memory(net.requires_grad_(False), (4, WIDTH), optimizer="sgd")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adamx"}, "unknown optimizer 'adamx'; did you mean 'adam"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; choose from fp32, bf16, fp16"),
        ({"device": "gpu"}, "unknown device 'gpu'; "),
        ({"optimizer": torch.optim.SGD([torch.zeros(1)], 0.1)}, "unknown optimizer 'SGD"),
        ({"precision": torch.float16}, "unknown precision 'torch.float16'; "),
        ({"device": torch.device("meta")}, "unknown device 'meta'; "),
        ({"batch_size": 0}, "a batch has at least 1 image, got 0"),
        ({"batch_size": "4"}, "a batch has at least 1 image, got '4'"),
        ({"batch_size": 4.0}, r"a batch has at least 1 image, got 4\.0"),
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(StriateError, match=message):
        memory(chain(1), (2, WIDTH), **settings)


def test_torch_and_numpy_words_for_a_device_and_a_number() -> None:
    expected = memory(chain(1), (2, WIDTH), batch_size=4)
    assert memory(chain(1), (2, WIDTH), batch_size=np.int64(4), device=torch.device("cpu")) == expected
    assert "batch_size=4," in repr(memory(chain(1), (2, WIDTH), batch_size=np.int64(4)))


def test_tensors_that_die_early_are_not_counted_late() -> None:
    """Ten large temporaries, one after another, need one at a time."""

    class Fleeting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(10):
                x = x + torch.zeros(10_000, device=x.device).sum()
            return x

    found = memory(Fleeting(), torch.empty(1, 10))
    assert 40_000 <= found.activations_nbytes < 41_000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="resident peaks are Linux's")
@pytest.mark.parametrize(("name", "batch"), [("resnet20", 256), ("alexnet", 32)])
def test_a_real_process_grows_by_what_was_said(name: str, batch: int, zoo: Callable[[str], Net]) -> None:
    """Within 10 %; benchmarks/memory_estimate.py has seventeen nets."""
    script = Path(__file__).parents[3] / "benchmarks" / "memory_estimate.py"
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy; m = runpy.run_path({str(script)!r}); "
         f"print(m['measured']({name!r}, {batch}, 'training'))"],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    net = zoo(name)
    said = memory(net, (3, *net.spec.input_size), batch_size=batch, optimizer="momentum").peak_nbytes
    assert said == pytest.approx(json.loads(done.stdout), rel=0.1)
