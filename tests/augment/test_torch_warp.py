"""The resampling as tensors, on the CPU and where there is a GPU, against the native definition."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from striate import _native
from striate.augment import (
    Affine,
    ColorJitter,
    Draws,
    HorizontalFlip,
    Lens,
    Perspective,
    Policy,
    RandomResizedCrop,
)
from striate.augment.torch_warp import warp
from striate.errors import StriateError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]

POLICIES = {
    "crop": (RandomResizedCrop(), HorizontalFlip()),
    "affine": (RandomResizedCrop(), Affine((-180, 180), scale=(0.3, 3), shear=(-30, 30)), ColorJitter(0.4, 0.4, 0.4)),
    "perspective": (Perspective(0.5, 1.0),),
    "all": (RandomResizedCrop(), Affine((-30, 30)), Perspective(0.3, 1.0), Lens((-0.2, 0.2)), ColorJitter(0.4)),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("border", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", POLICIES)
def test_it_is_the_native_resampling(name, filter, border, device):
    rng, out = np.random.default_rng(1), (19, 35)
    shapes = rng.integers(1, 50, (24, 2))
    images = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]
    frames = np.tile(np.eye(3), (24, 1, 1))
    frames[:, 0, 0], frames[:, 1, 1] = shapes[:, 1] / out[1], shapes[:, 0] / out[0]
    policy = Policy(POLICIES[name], filter=filter, border=border)
    draws = policy.draws(5, 1, np.arange(24), shapes.astype(np.int32), out, frames)
    scale, shift, fill = np.float32([1, 0.5, 2]), np.float32([0, 3, -1]), np.float32([10, 200, 30])
    expected = torch.empty((24, 3, *out))
    _native.warp(
        images, draws.geometry, draws.lens, draws.colour, scale, shift, fill, expected.numpy(), 1,
        filter=filter, antialias=True, border=border, isa="reference",
    )  # fmt: skip
    found = warp(
        [torch.from_numpy(image).to(device) for image in images],
        draws,
        *(torch.from_numpy(values) for values in (scale, shift, fill)),
        out,
        filter=filter,
        border=border,
    )
    assert found.shape == expected.shape
    assert (found.cpu() - expected).abs().max() < 0.01  # single precision; a grey level is 0.5 to 2 here


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton, for its interpreter")
@pytest.mark.slow
def test_the_kernel_is_the_native_resampling_in_tritons_interpreter():
    """Every case above by the GPU's kernel, run on the processor: Triton chooses when it is loaded, so elsewhere."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "native and not kernel"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stdout


def test_nearest_and_without_antialiasing():
    image = torch.arange(64, dtype=torch.uint8).reshape(8, 8, 1)
    draws = Draws(np.diag([2.0, 2.0, 1.0])[None], None, None, ())
    one, zero = torch.ones(1), torch.zeros(1)
    nearest = warp([image], draws, one, zero, zero, (4, 4), filter="nearest")
    assert torch.equal(nearest[0, 0], image[1::2, 1::2, 0].float())
    plain = warp([image], draws, one, zero, zero, (4, 4), antialias=False)
    assert torch.equal(plain[0, 0], image[..., 0].float().unfold(0, 2, 2).unfold(1, 2, 2).mean((2, 3)))


def test_infinity_is_one_clear_line():
    horizon = np.array([[[1.0, 0, 0], [0, 1, 0], [1, 0, -0.5]]])
    one, zero = torch.ones(1), torch.zeros(1)
    with pytest.raises(
        StriateError, match="warp: map 0 sends part of the output to infinity; draw milder perspectives"
    ):
        warp([torch.zeros((4, 4, 1), dtype=torch.uint8)], Draws(horizon, None, None, ()), one, zero, zero, (4, 4))
