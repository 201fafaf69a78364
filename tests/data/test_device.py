"""Batches on a device: sets that live there, and copies made ahead. On a CPU, too, so that the arithmetic is held."""

import gc

import numpy as np
import pytest
import torch

from striate.augment import (
    Affine,
    ColorJitter,
    Cutout,
    GaussianBlur,
    HorizontalFlip,
    Lens,
    PadCrop,
    Perspective,
    Policy,
    RandomResizedCrop,
    RandomScaleCrop,
)
from striate.augment.auto import RandAugment
from striate.data import ArraySamples, FileSamples, Loader, Preprocess
from striate.data.resident import Resident
from striate.data.source import FolderSource

PREPROCESS = Preprocess(channels=3, size=(12, 10), mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
WINDOWS = Policy((PadCrop(5), HorizontalFlip()), fill=9)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def in_memory(count=23, size=(12, 10), channels=3):
    images = np.random.default_rng(0).integers(0, 256, (count, *size, channels), dtype=np.uint8)
    return ArraySamples(images, np.arange(count) % 5)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    for i in range(17):
        pixels = np.random.default_rng(i).integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return FileSamples(FolderSource(folder), [f"{i:02d}.png" for i in range(17)], np.arange(17) % 3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("policy", [None, WINDOWS, Policy((PadCrop(30),), fill="mean")])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_set_that_lives_there_gives_the_same_bits(device, policy, channels_last):
    given = {"batch_size": 5, "shuffle": True, "seed": 2, "policy": policy, "channels_last": channels_last}
    here = Loader(in_memory(size=(13, 17)), PREPROCESS, **given)
    there = Loader(in_memory(size=(13, 17)), PREPROCESS, device=device, **given)
    for epoch, start in ((0, 0), (1, 2)):
        for a, b in zip(here.epoch(epoch, start), there.epoch(epoch, start), strict=True):
            assert b.images.device.type == b.labels.device.type == b.indices.device.type == device
            assert torch.equal(a.images, b.images.cpu())
            assert torch.equal(a.labels, b.labels.cpu())
            assert torch.equal(a.indices, b.indices.cpu())
            assert a.images.is_contiguous() == b.images.is_contiguous()
    assert isinstance(there._origin, Resident)


MAPS = {
    "scales": Policy((RandomScaleCrop((12, 20)), HorizontalFlip()), fill="mean"),
    "all": Policy(
        (
            RandomResizedCrop(),
            Affine((-30, 30), shear=(-9, 9)),
            Perspective(0.3, 1.0),
            Lens((-0.2, 0.2)),
            ColorJitter(0.4),
        ),
        fill=200,
        filter="bicubic",
        border="reflect",
    ),
    "steps": Policy((PadCrop(3), HorizontalFlip(), GaussianBlur(), Cutout(4)), mean=(0.4, 0.5, 0.6)),
}
LEVEL = (1 / 255 / np.array(PREPROCESS.std)).astype(np.float32)[None, :, None, None]  # one grey level, normalised


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [(12, 10), (31, 22)])
@pytest.mark.parametrize("name", MAPS)
def test_maps_of_a_set_that_lives_there_are_the_native_ones(name, size, channels_last, device):
    given = {"batch_size": 5, "shuffle": True, "seed": 2, "policy": MAPS[name], "channels_last": channels_last}
    here, there = (
        Loader(in_memory(size=size), PREPROCESS, **given),
        Loader(in_memory(size=size), PREPROCESS, device=device, **given),
    )
    for epoch, start in ((0, 0), (3, 2)):
        for a, b in zip(here.epoch(epoch, start), there.epoch(epoch, start), strict=True):
            assert b.images.device.type == b.labels.device.type == b.indices.device.type == device
            assert ((a.images - b.images.cpu()).abs() <= torch.from_numpy(LEVEL)).all()
            assert torch.equal(a.labels, b.labels.cpu())
            assert torch.equal(a.indices, b.indices.cpu())
            assert a.images.is_contiguous() == b.images.is_contiguous()
    assert isinstance(there._origin, Resident)


@pytest.mark.parametrize("device", DEVICES)
def test_discrete_steps_there_are_nearly_everywhere_those_here(device):
    """A value that is a hair apart may be posterised to the other level; nothing else differs."""
    given = {"batch_size": 60, "policy": Policy((RandAugment(2, 9),), fill="mean", mean=(0.4, 0.5, 0.6))}
    (here,) = Loader(in_memory(60), PREPROCESS, **given).epoch(0)
    (there,) = Loader(in_memory(60), PREPROCESS, device=device, **given).epoch(0)
    differing = (here.images - there.images.cpu()).abs() > torch.from_numpy(LEVEL)
    assert differing.float().mean() < 0.01


@pytest.mark.parametrize("device", DEVICES)
def test_grey_images_for_three_channels_and_repeated_ones(device):
    """A set whose channels are not the net's, drawn balanced: a sample that comes again gets other noise there, too."""
    samples = in_memory(count=12, channels=1).relabelled([0] * 2 + [1] * 10)
    given = {"batch_size": 12, "shuffle": True, "sampling": "balanced", "policy": MAPS["scales"]}
    (here,) = Loader(samples, PREPROCESS, **given).epoch(0)
    (there,) = Loader(samples, PREPROCESS, device=device, **given).epoch(0)
    assert ((here.images - there.images.cpu()).abs() <= torch.from_numpy(LEVEL)).all()
    assert len(set(there.indices.tolist())) < 12
    assert len({image.cpu().numpy().tobytes() for image in there.images}) == 12


def test_where_batches_are_made_is_told(photographs, monkeypatch):
    def place(samples, **given):
        return Loader(samples, PREPROCESS, batch_size=4, **given).place

    assert place(in_memory(), device="cpu") == "the images, 0 MB, stay on cpu, and windows are cut there"
    assert place(in_memory(), device="cpu", policy=MAPS["all"]) == (
        "the images, 0 MB, stay on cpu, and noise is computed there"
    )
    assert place(photographs) == "batches are made by the processor"
    monkeypatch.setattr(Loader, "_made_origin", lambda self: None)
    elsewhere = {"device": "meta", "policy": MAPS["all"]}
    assert place(photographs, **elsewhere) == (
        "the images lie in files: batches are made here, and copied to meta one ahead"
    )
    assert place(in_memory(), **elsewhere) == (
        "the images take more than a quarter of what meta has free: batches are made here and copied"
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("policy", [None, WINDOWS, Policy((Affine(degrees=(-9.0, 9.0)),))])
def test_what_is_copied_is_what_was_made(device, policy, photographs):
    given = {"batch_size": 4, "shuffle": True, "policy": policy}
    here, there = Loader(photographs, PREPROCESS, **given), Loader(photographs, PREPROCESS, device=device, **given)
    for a, b in zip(here.epoch(1), there.epoch(1), strict=True):
        assert b.images.device.type == device
        assert torch.equal(a.images, b.images.cpu())
        assert torch.equal(a.labels, b.labels.cpu())


@pytest.mark.parametrize("policy", [WINDOWS, MAPS["all"]])
def test_what_does_not_fit_is_not_kept_there(policy):
    loader = Loader(in_memory(size=(13, 17)), PREPROCESS, batch_size=5, device="cpu", cache_nbytes=100, policy=policy)
    assert len(list(loader.epoch(0))) == 5
    assert not isinstance(loader._origin, Resident)


def test_an_epoch_that_is_left_early_leaves_no_thread(photographs):
    import threading

    batches = Loader(photographs, PREPROCESS, batch_size=2, device="cpu").epoch(0)
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("striate")]


@needs_gpu
def test_copies_run_beside_the_computation(photographs):
    """Batches are kept and read much later: nothing was overwritten, and the copies were timed."""
    loader = Loader(photographs, PREPROCESS, batch_size=2, device="cuda", policy=WINDOWS)
    here = Loader(photographs, PREPROCESS, batch_size=2, policy=WINDOWS)
    busy = torch.randn(2048, 2048, device="cuda")
    kept = []
    for epoch in range(5):
        for batch in loader.epoch(epoch):
            busy = busy @ busy / 2048  # keeps the computing stream behind the copies
            kept.append(batch.images * 1)
    expected = [batch.images for epoch in range(5) for batch in here.epoch(epoch)]
    assert all(torch.equal(a.cpu(), b) for a, b in zip(kept, expected, strict=True))
    assert loader.stages.drain()["transfer"] > 0


@needs_gpu
def test_memory_of_the_gpu_is_flat():
    loader = Loader(in_memory(400), PREPROCESS, batch_size=16, device="cuda", policy=WINDOWS)
    sizes = []
    for epoch in range(6):
        for _ in loader.epoch(epoch):
            pass
        gc.collect()
        sizes.append(torch.cuda.memory_allocated())
    assert sizes[-1] == sizes[1]
