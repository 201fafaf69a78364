"""The loader where noise is more than windows: one resampling from the decoded image, in parts, on any threads.

The oracle draws with the policy itself, decodes every image in full, and resamples by `_native.warp`'s reference, one
image at a time.
"""

import gc
import io
import threading

import numpy as np
import psutil
import pytest
import simplejpeg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate import _native
from striate.augment import (
    Affine,
    ColorJitter,
    Cutout,
    HorizontalFlip,
    PadCrop,
    Policy,
    RandAugment,
    RandomErasing,
    RandomGamma,
    RandomResizedCrop,
    RandomSolarize,
    TrivialAugment,
)
from striate.augment.reduction import reductions
from striate.data import ArraySamples, FileSamples, Loader, Preprocess, warped
from striate.data.decoding import decode, decode_at, jpeg_head
from striate.data.source import FolderSource
from striate.data.warped import reduced_map

SIZE = (12, 10)
PREPROCESS = Preprocess(channels=3, size=SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
CROP = Policy((RandomResizedCrop(), HorizontalFlip()), mean=(0.4, 0.5, 0.6))
RICH = Policy(
    (RandomResizedCrop(), HorizontalFlip(), Affine(degrees=(-20.0, 20.0)), ColorJitter(0.3, 0.3, 0.3)),
    mean=(0.4, 0.5, 0.6),
)
STEPS = Policy((*RICH.noises, RandomErasing(p=0.7)), mean=(0.4, 0.5, 0.6))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> FileSamples:
    """JPEG and PNG files from 1×1 to large ones that a crop shrinks by more than eight."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(1)
    names = []
    for i in range(21):
        height, width = (1, 1) if i == 0 else (3, 200) if i == 1 else rng.integers(5, 400, 2)
        names.append(f"{i:02d}.{'png' if i % 3 == 1 else 'jpg'}")
        small = Image.fromarray(rng.integers(0, 256, (1 + height // 8, 1 + width // 8, 3), dtype=np.uint8))
        exif = Image.Exif()
        if i % 4 == 0:
            exif[0x0112] = 1 + i // 4  # each of 1 … 6
        small.resize((int(width), int(height))).save(folder / names[-1], quality=95, exif=exif)
    return FileSamples(FolderSource(folder), names, np.arange(21) % 3)


def in_memory(count=23, size=(30, 41), channels=3) -> ArraySamples:
    images = np.random.default_rng(0).integers(0, 256, (count, *size, channels), dtype=np.uint8)
    return ArraySamples(images, np.arange(count) % 5)


def batches(loader, epoch=0, start=0):
    return [(b.images.clone(), b.labels.clone(), b.indices.clone()) for b in loader.epoch(epoch, start)]


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) for a, b in zip(one, other, strict=True)
    )


def slow_image(samples, i, policy, seed, epoch, preprocess=PREPROCESS):
    """float32 [C, h, w], alone, from pixels decoded in full, by the reference loops."""
    pixels = samples.pixels(i, preprocess.channels)
    sizes = np.array([pixels.shape[:2]], np.int32)
    drawn = policy.draws(seed, epoch, np.array([i]), sizes, preprocess.size, preprocess.frames(sizes), channels=3)
    out = torch.empty(1, preprocess.channels, *preprocess.size)
    one = np.ones(preprocess.channels, np.float32)
    fill = np.float32(preprocess.mean_colour if policy.fill == "mean" else one * policy.fill)
    _native.warp(
        [pixels], drawn.geometry, drawn.lens, drawn.colour, one, 0 * one, fill, out.numpy(), 1,
        filter=policy.filter, antialias=policy.antialias, border=policy.border, isa="reference",
    )  # fmt: skip
    policy.apply_steps(out, drawn)
    scale, shift = (torch.from_numpy(v)[:, None, None] for v in (preprocess.scale, preprocess.shift))
    return out[0] * scale + shift, int(reductions(drawn.geometry, drawn.lens, preprocess.size)[0])


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("striate")]


SOMETIMES = {  # noises that take a step for some samples only
    "erase": Policy((RandomResizedCrop(), HorizontalFlip(), RandomErasing(p=0.5)), mean=(0.4, 0.5, 0.6)),
    "windows": Policy((PadCrop(2), HorizontalFlip(), RandomErasing(p=0.3)), mean=(0.4, 0.5, 0.6)),
    "solarize": Policy((RandomResizedCrop(), RandomSolarize(p=0.3)), border="reflect", filter="bicubic"),
    "gamma": Policy((RandomResizedCrop(), RandomGamma(), RandomErasing(p=0.2))),
    "randaugment": Policy((RandomResizedCrop(), ColorJitter(0.2), RandAugment()), mean=(0.4, 0.5, 0.6)),
    "trivial": Policy((TrivialAugment(),), filter="bicubic"),
}


@pytest.mark.parametrize("policy", SOMETIMES.values(), ids=SOMETIMES)
@pytest.mark.parametrize("kind", ["files", "array"])
def test_an_image_is_the_same_whatever_company_it_is_made_in(kind, policy, photographs):
    """To the last bit: neither the batch's size nor the threads' parts decide how a row is normalised."""
    samples = photographs if kind == "files" else in_memory(channels=3)
    made = {
        (batch_size, workers): torch.cat(
            [
                images
                for images, _, _ in batches(
                    Loader(samples, PREPROCESS, batch_size=batch_size, seed=3, workers=workers, policy=policy)
                )
            ]
        )
        for batch_size in (1, 4, 21)
        for workers in (0, 1, 3)
    }
    alone = made.pop((1, 0))
    for how, images in made.items():
        differ = (images != alone).flatten(1).any(1).nonzero().ravel().tolist()
        assert not differ, f"batch_size and workers {how}: images {differ}"


@pytest.mark.parametrize("policy", [CROP, RICH, STEPS], ids=["crop", "rich", "steps"])
@pytest.mark.parametrize("kind", ["files", "array"])
def test_every_value_against_the_reference(kind, policy, photographs):
    samples = photographs if kind == "files" else in_memory()
    loader = Loader(samples, PREPROCESS, batch_size=5, shuffle=True, seed=3, workers=2, policy=policy)
    grey_level = float(PREPROCESS.scale.max())
    reduced = 0
    for images, labels, indices in batches(loader, epoch=4):
        for image, i in zip(images, indices.tolist(), strict=True):
            expected, factor = slow_image(samples, i, policy, 3, 4)
            error = (image - expected).abs().max()
            if factor == 1 or kind == "array":
                assert error <= 1.05 * grey_level
            else:  # a box of k pixels in the frequencies' domain, then the filter: close, as Pillow's thumbnails are
                assert (image - expected).abs().mean() <= 6 * grey_level
                reduced += 1
        assert labels.tolist() == samples.labels[indices.numpy()].tolist()
    assert (reduced > 0) == (kind == "files")


@pytest.mark.parametrize("policy", [CROP, STEPS], ids=["crop", "steps"])
@pytest.mark.parametrize("kind", ["files", "array"])
def test_threads_resume_and_cache_change_no_bit(kind, policy, photographs):
    samples = photographs if kind == "files" else in_memory()
    settings = {"batch_size": 4, "shuffle": True, "seed": 9, "policy": policy}
    plain = Loader(samples, PREPROCESS, workers=0, cache_nbytes=0, **settings)
    expected = [batches(plain, epoch) for epoch in (0, 1)]
    for workers in (1, 2, 4):
        kept = Loader(samples, PREPROCESS, workers=workers, prefetch=2, **settings)
        for epoch in (0, 1, 0):  # the third time, from the cache
            assert same(batches(kept, epoch), expected[epoch])
        assert same(batches(kept, 1, start=3), expected[1][3:])
    assert not same(expected[0], expected[1])


def test_a_policy_of_nothing_but_the_frame_is_what_evaluation_sees():
    """Within Pillow's own rounding: two passes to bytes there, one pass to floats here."""
    samples = in_memory(size=(60, 45))
    nothing = Policy((Affine(),))
    assert not nothing.only_windows
    (seen,) = batches(Loader(samples, PREPROCESS, batch_size=23, policy=nothing))
    (expected,) = batches(Loader(samples, PREPROCESS, batch_size=23))
    assert (seen[0] - expected[0]).abs().max() <= 1.5 * float(PREPROCESS.scale.max())


@given(
    height=st.integers(1, 70), width=st.integers(1, 70), channels=st.sampled_from([1, 3]), seed=st.integers(0, 2**20)
)
@settings(max_examples=40, deadline=None)
def test_odd_sizes(height, width, channels, seed):
    images = np.random.default_rng(seed).integers(0, 256, (3, height, width, channels), dtype=np.uint8)
    loader = Loader(
        ArraySamples(images, [0, 1, 0]), PREPROCESS, batch_size=3, policy=RICH, workers=0, seed=seed, shuffle=True
    )
    ((images_out, _, indices),) = batches(loader)
    for image, i in zip(images_out, indices.tolist(), strict=True):
        expected, _ = slow_image(loader.samples, i, RICH, seed, 0)
        assert (image - expected).abs().max() <= 1.05 * float(PREPROCESS.scale.max())


@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (10_000, 3)])
def test_strips_and_specks(size):
    samples = in_memory(count=2, size=size)
    for images, _, _ in batches(Loader(samples, PREPROCESS, batch_size=2, policy=CROP)):
        assert torch.isfinite(images).all()


def test_frames_are_the_centre_window_of_the_base():
    for resize in ("crop", "squash"):
        preprocess = Preprocess(channels=3, size=SIZE, resize=resize, resize_size=(16, 16), mean=(0,) * 3, std=(1,) * 3)
        for height, width in ((50, 31), (7, 9), (2000, 3), (3, 2000), (16, 16)):
            frame = preprocess.frames(np.array([[height, width]], np.int32))[0]
            ramp = np.zeros((height, width, 3), np.uint8)
            base = preprocess.base(ramp)
            middle = frame @ [SIZE[1] / 2, SIZE[0] / 2, 1]
            scale = np.diag(frame)[:2]
            assert abs(middle[0] - width / 2) <= scale[0] / 2 + 0.51
            assert abs(middle[1] - height / 2) <= scale[1] / 2 + 0.51
            assert scale[0] * base.shape[1] == pytest.approx(
                width if width < 2000 or resize == "squash" else 8 * 3, rel=0.1
            )


# ------------------------------------------------------------------------------------------------- JPEGs at a fraction


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 48), (61, 47)])
def test_a_fraction_shows_every_pixel_where_it_was(factor, orientation, size):
    """A picture with one bright square: its centre of mass is where it is in the picture decoded in full."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[8:24, 16:40] = 255
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    data = file.getvalue()
    head = jpeg_head(data, "x")
    whole = decode(data, 3, "x")
    assert (head.height, head.width) == whole.shape[:2]
    used = head.factor(factor)
    assert used == (factor if orientation == 1 or size == (64, 48) else 1)
    if used == 1:
        return
    small = decode_at(data, head, used, 3, "x")
    assert small.shape[:2] == (-(-whole.shape[0] // used), -(-whole.shape[1] // used))
    assert centre(small) * used == pytest.approx(centre(whole), abs=0.15)


def centre(image):
    weight = image[..., 0].astype(float)
    rows, columns = np.indices(weight.shape) + 0.5
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()


def test_the_fraction_is_a_function_of_the_map_alone():
    angle = 0.7
    turned = np.array([[np.cos(angle), -np.sin(angle), 5], [np.sin(angle), np.cos(angle), 6], [0, 0, 1]])
    for scale, expected in ((1, 1), (3.99, 1), (4, 2), (7.9, 2), (8, 4), (15.9, 4), (16, 8), (200, 8)):
        maps = np.stack([np.diag([scale, scale, 1.0]), turned @ np.diag([scale, scale, 1.0])])
        assert reductions(maps, None, SIZE).tolist() == [expected, expected]
        assert reductions(maps, np.zeros((2, 2)), SIZE).tolist() == [expected, expected]
    stretched = np.diag([16.0, 4.1, 1])[None]  # one axis shrinks less: it decides
    assert reductions(stretched, None, SIZE).tolist() == [2]
    assert reductions(np.full((1, 3, 3), np.nan), None, SIZE).tolist() == [1]
    point = np.array([3.0, 4, 1])
    assert np.allclose((reduced_map(maps[1], 4) @ point)[:2] * 4, (maps[1] @ point)[:2])


def test_large_photographs_cost_a_fraction(tmp_path, monkeypatch):
    """What the path is for: not one of them is decoded in full."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).resize((900, 600))
    for i in range(4):
        image.save(tmp_path / f"{i}.jpg")
    asked = []
    decode_jpeg = simplejpeg.decode_jpeg

    def counted(data, **settings):
        asked.append(settings["min_factor"])
        return decode_jpeg(data, **settings)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", counted)
    samples = FileSamples(FolderSource(tmp_path), [f"{i}.jpg" for i in range(4)], [0] * 4)
    policy = Policy((RandomResizedCrop(scale=(0.9, 1.0)),))
    list(Loader(samples, PREPROCESS, batch_size=4, policy=policy).epoch(0))
    assert asked == [8] * 4


# --------------------------------------------------------------------------------------------------- what it leaves


def test_memory_and_handles_are_flat(photographs):
    """Ten epochs after the fifth: nothing grows."""
    loader = Loader(photographs, PREPROCESS, batch_size=5, shuffle=True, policy=RICH, workers=2, cache_nbytes=100_000)
    process = psutil.Process()
    sizes = []
    for epoch in range(15):
        for _ in loader.epoch(epoch):
            pass
        gc.collect()
        sizes.append((process.memory_info().rss, process.num_fds()))
    assert loader.kept_nbytes <= 100_000
    assert sizes[-1][1] == sizes[4][1]
    assert sizes[-1][0] - sizes[4][0] < 8 << 20


def test_where_the_time_went(photographs):
    loader = Loader(photographs, PREPROCESS, batch_size=5, policy=RICH, workers=2, cache_nbytes=0)
    list(loader.epoch(0))
    seconds = loader.stages.drain()
    assert seconds["read"] > 0
    assert seconds["decode"] > 0
    assert seconds["augment"] > 0
    assert seconds["transfer"] == 0
    assert sum(loader.stages.drain().values()) == 0


def test_windows_before_steps_are_cut_and_change_no_bit(monkeypatch):
    """Pad, crop, mirror, cut out: the bytes come from the cheaper routine, the result is the resampling's."""
    samples = in_memory(count=40, size=SIZE)
    policy = Policy((PadCrop(4), HorizontalFlip(), Cutout(5)), fill="mean", mean=(0.4, 0.5, 0.6))
    cut = batches(Loader(samples, PREPROCESS, batch_size=16, shuffle=True, policy=policy))
    monkeypatch.setattr(warped, "whole_windows", lambda *_: None)
    assert same(cut, batches(Loader(samples, PREPROCESS, batch_size=16, shuffle=True, policy=policy, workers=0)))
    nothing = Policy(policy.noises[:2], fill="mean")
    plain = batches(Loader(samples, PREPROCESS, batch_size=16, shuffle=True, policy=nothing))
    differing = torch.cat([(a[0] - b[0]).abs() > 1e-5 for a, b in zip(cut, plain, strict=True)]).any(1)  # [40, h, w]
    assert (differing.sum((1, 2)) <= 25).all()
    assert differing.any((1, 2)).float().mean() > 0.9
