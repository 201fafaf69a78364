"""The resampling of a whole batch on a GPU: images a second, beside the native pass on the processor and kornia.

    python benchmarks/augment_gpu.py [--batch 256] [--rounds 20]

Sources are decoded photographs of 500×375 px that lie on the GPU as bytes. "simple" is RandomResizedCrop, mirror,
normalise; "full" adds rotation, shear and ColorJitter. Ours draws on the processor (in the timed part) and resamples
once, antialiased; kornia, where it is installed, resamples for each geometric noise, not antialiased. In turns, median
and quartiles of the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from striate import _native
from striate.augment import Affine, ColorJitter, HorizontalFlip, Policy, RandomResizedCrop
from striate.augment.torch_warp import warp

OUT = (224, 224)
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
POLICIES = {
    "simple": Policy((RandomResizedCrop(), HorizontalFlip())),
    "full": Policy(
        (
            RandomResizedCrop(),
            HorizontalFlip(),
            Affine(degrees=(-10, 10), shear=(-5, 5)),
            ColorJitter(0.4, 0.4, 0.4, 0.1),
        )
    ),
}


def kornia_way(kind: str, images: torch.Tensor) -> Callable[[], torch.Tensor] | None:
    """The same noises by kornia, on float images that lie on the GPU already (ours are bytes)."""
    try:
        import kornia.augmentation as K
    except ImportError:
        return None
    steps = [K.RandomResizedCrop(OUT), K.RandomHorizontalFlip()]
    if kind == "full":
        steps += [K.RandomAffine(10.0, shear=5.0, p=1.0), K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0)]
    steps.append(K.Normalize(torch.from_numpy(MEAN), torch.from_numpy(STD)))
    pipeline = K.AugmentationSequential(*steps).to(images.device)
    floats = images.permute(0, 3, 1, 2).float() / 255
    return lambda: pipeline(floats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (given.batch, 375, 500, 3), dtype=np.uint8)
    device = torch.device(given.device)
    images = torch.from_numpy(pixels).to(device)
    sizes = np.tile(np.int32([[375, 500]]), (given.batch, 1))
    frames = np.tile(np.eye(3), (given.batch, 1, 1))
    scale, shift, fill = 1 / (255 * STD), -MEAN / STD, np.zeros(3, np.float32)
    on_device = [torch.from_numpy(values).to(device) for values in (scale, shift, fill)]
    print(torch.cuda.get_device_name() if device.type == "cuda" else "processor", f"batch {given.batch}")
    for kind, policy in POLICIES.items():
        epoch = iter(range(10**6))

        def draw(policy: Policy = policy, epoch=epoch):
            return policy.draws(0, next(epoch), np.arange(given.batch), sizes, OUT, frames)

        def ours(draw=draw) -> torch.Tensor:
            return warp(list(images), draw(), *on_device, OUT)

        def native(draw=draw) -> torch.Tensor:
            drawn, out = draw(), torch.empty((given.batch, 3, *OUT))
            _native.warp(
                list(pixels), drawn.geometry, drawn.lens, drawn.colour, scale, shift, fill, out.numpy(),
                torch.get_num_threads(), filter="bilinear", antialias=True, border="constant",
            )  # fmt: skip
            return out

        drawn = draw()
        found = warp(list(images), drawn, *on_device, OUT).cpu()
        held = torch.empty((given.batch, 3, *OUT))
        _native.warp(
            list(pixels), drawn.geometry, drawn.lens, drawn.colour, scale, shift, fill, held.numpy(),
            torch.get_num_threads(), filter="bilinear", antialias=True, border="constant",
        )  # fmt: skip
        level = float((scale).max())
        print(f"{kind}: largest difference from the native pass {float((found - held).abs().max()) / level:.3f} levels")
        ways = {"striate on the GPU": ours, f"striate native, {torch.get_num_threads()} threads": native}
        if (other := kornia_way(kind, images)) is not None:
            ways["kornia on the GPU"] = other
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(given.rounds + 2):
            for name, way in ways.items():
                if device.type == "cuda":
                    torch.cuda.synchronize()
                begun = time.perf_counter()
                way()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                if turn >= 2:  # the first two warm up
                    seconds[name].append(time.perf_counter() - begun)
        for name, times in seconds.items():
            low, middle, high = statistics.quantiles(times, n=4)
            rates = [f"{given.batch / t:,.0f}" for t in (middle, high, low)]
            print(f"  {name:32} {rates[0]:>9} images/s ({rates[1]} to {rates[2]})")


if __name__ == "__main__":
    main()
