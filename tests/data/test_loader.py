"""The loader: what a batch holds, in which order, and that threads change neither, nor stay behind.

The oracle is `slow_batch`: Pillow's resize, NumPy's slicing, mirroring and arithmetic, one image after another.
"""

import copy
import gc
import pickle
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from striate.augment import HorizontalFlip, PadCrop, Policy
from striate.data import ArraySamples, FileSamples, Loader, Preprocess
from striate.data.prefetch import Ahead, Job
from striate.data.source import FolderSource
from striate.errors import StriateError

SIZE = (12, 10)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
PREPROCESS = Preprocess(channels=3, size=SIZE, mean=MEAN, std=STD)
NOISE = Policy((PadCrop(3), HorizontalFlip()), fill=7)


def in_memory(count=23, size=SIZE, channels=3) -> ArraySamples:
    images = np.random.default_rng(0).integers(0, 256, (count, *size, channels), dtype=np.uint8)
    return ArraySamples(images, np.arange(count) % 5)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> FileSamples:
    """Files of several sizes and kinds."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(1)
    names = []
    for i in range(17):
        height, width = rng.integers(5, 40, 2)
        names.append(f"{i:02d}.{'png' if i % 3 else 'jpg'}")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / names[-1])
    return FileSamples(FolderSource(folder), names, np.arange(17) % 3)


def batches(loader, epoch=0, start=0):
    return [(b.images.clone(), b.labels.clone(), b.indices.clone()) for b in loader.epoch(epoch, start)]


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) for a, b in zip(one, other, strict=True)
    )


def slow_batch(samples, indices, windows, fill) -> np.ndarray:
    """float64 [B, C, h, w], by Pillow and NumPy alone."""
    h, w = SIZE
    rows = []
    for i, (top, left, flip) in zip(indices, windows, strict=True):
        image = Image.fromarray(samples.pixels(int(i), 3))
        if image.height * w <= image.width * h:
            base = (max(w, int(image.width * h / image.height + 0.5)), h)
        else:
            base = (w, max(h, int(image.height * w / image.width + 0.5)))
        pixels = np.asarray(image.resize(base, Image.Resampling.BILINEAR))
        padded = np.pad(pixels, ((h, h), (w, w), (0, 0)), constant_values=fill)
        window = padded[h + top : h + top + h, w + left : w + left + w]
        rows.append((window[:, ::-1] if flip else window) / 255)
    return ((np.stack(rows) - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)


def base_sizes(samples, indices):
    return np.array([PREPROCESS.base_size(*samples.pixels(int(i), 3).shape[:2]) for i in indices], np.int32)


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("striate")]


# ---------------------------------------------------------------------------------------------------- what is in it


@pytest.mark.parametrize("policy", [None, NOISE])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["files", "array", "array to be resized"])
def test_every_value_against_pillow_and_numpy(kind, workers, policy, photographs):
    samples = {
        "files": photographs,
        "array": in_memory(),
        "array to be resized": in_memory(size=(9, 17)),
    }[kind]
    loader = Loader(samples, PREPROCESS, batch_size=5, shuffle=True, seed=3, workers=workers, policy=policy)
    seen = 0
    for images, labels, indices in batches(loader, epoch=4):
        i = indices.numpy()
        windows = (policy or Policy()).windows(3, 4, i, base_sizes(samples, i), SIZE)
        expected = slow_batch(samples, i, windows, fill=7)
        # four roundings to float32, of numbers below 8
        assert np.abs(images.numpy() - expected).max() <= 4 * np.finfo(np.float32).eps * 8
        assert images.dtype == torch.float32
        assert labels.dtype == indices.dtype == torch.int64
        assert labels.tolist() == samples.labels[i].tolist()
        seen += len(i)
    assert seen == len(samples)


@pytest.mark.parametrize("kind", ["files", "array"])
def test_without_a_policy_a_batch_is_what_prediction_makes_of_each_image(kind, photographs):
    samples = photographs if kind == "files" else in_memory(size=(30, 19))
    for images, _, indices in batches(Loader(samples, PREPROCESS, batch_size=4)):
        for image, i in zip(images, indices.tolist(), strict=True):
            assert torch.equal(image, PREPROCESS.tensor(samples.pixels(i, 3)))


@pytest.mark.parametrize("workers", [0, 2])
def test_grey_images_for_a_colour_net_and_back(workers):
    for have, want in ((1, 3), (3, 1)):
        preprocess = Preprocess(channels=want, size=SIZE, mean=MEAN[:want], std=STD[:want])
        samples = in_memory(channels=have)
        for images, _, indices in batches(Loader(samples, preprocess, batch_size=9, workers=workers)):
            expected = torch.stack([preprocess.tensor(samples.pixels(i, want)) for i in indices.tolist()])
            assert torch.equal(images, expected)


def test_the_padding_is_the_policys_grey_or_the_mean_colour():
    outside = Policy((PadCrop(12),))
    for fill, expected in ((9, [9 / 255] * 3), ("mean", [102 / 255, 128 / 255, 153 / 255])):
        policy = Policy(outside.noises, fill=fill)
        loader = Loader(in_memory(200), PREPROCESS, batch_size=200, policy=policy)
        (batch,) = loader.epoch(0)
        corner = next(
            image
            for image, i in zip(batch.images, batch.indices.tolist(), strict=True)
            if _top_left_is_padding(policy, i)
        )[:, 0, 0]
        assert corner.tolist() == pytest.approx(
            [(e - m) / s for e, m, s in zip(expected, MEAN, STD, strict=True)], abs=1e-5
        )


def _top_left_is_padding(policy, i):
    top, _, flip = policy.windows(0, 0, np.array([i]), np.array([SIZE], np.int32), SIZE)[0]
    return top < 0 and not flip


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["files", "array"])
def test_channels_last_holds_the_same_values(kind, workers, photographs):
    samples = photographs if kind == "files" else in_memory()
    plain, last = (
        list(Loader(samples, PREPROCESS, batch_size=4, policy=NOISE, workers=workers, channels_last=flag).epoch(1))
        for flag in (False, True)
    )
    for a, b in zip(plain, last, strict=True):
        assert torch.equal(a.images, b.images)
        assert a.images.is_contiguous()
        assert b.images.is_contiguous(memory_format=torch.channels_last)


def test_batches_have_memory_of_their_own():
    loader = Loader(in_memory(), PREPROCESS, batch_size=4, shuffle=True)
    untouched = batches(loader)
    held = []
    for batch in loader.epoch(0):
        held.append(tuple(t.clone() for t in batch))
        for tensor in batch:
            tensor.zero_()
    assert same(held, untouched)
    assert same(batches(loader), untouched)
    kept = [tuple(batch) for batch in loader.epoch(0)]  # all alive at once
    assert same(kept, untouched)


@pytest.mark.parametrize("inline", [True, False])
def test_memory_is_used_again_only_when_nobody_can_see_it(inline, monkeypatch):
    monkeypatch.setattr("striate.data.loader.INLINE_VALUES", 2**40 if inline else 0)
    loader = Loader(in_memory(400), PREPROCESS, batch_size=4, shuffle=True, workers=2)
    expected = [images for images, _, _ in batches(loader)]

    blocks = set()
    for batch in loader.epoch(0):
        blocks.add(batch.images.data_ptr())
        del batch
    assert len(blocks) <= (2 if inline else 8)  # of 100: what was in the making, ready, and in use

    ways_to_see = [
        lambda images: images,
        lambda images: images[1:, 0, 2:],
        lambda images: images.numpy()[::2],
        lambda images: memoryview(images.numpy()),
        lambda images: images.detach(),
        lambda images: images.untyped_storage(),
        lambda images: np.from_dlpack(images),
    ]
    held = []
    for k, batch in enumerate(loader.epoch(0)):
        held.append(ways_to_see[k % len(ways_to_see)](batch.images))
        del batch
    for k, (seen, images) in enumerate(zip(held, expected, strict=True)):
        same_values = ways_to_see[k % len(ways_to_see)](images)
        assert bytes(np.asarray(seen)) == bytes(np.asarray(same_values))


# ------------------------------------------------------------------------------------------------- order and noise


@pytest.mark.parametrize("kind", ["files", "array", "array to be resized"])
@pytest.mark.parametrize("inline", [True, False])
def test_threads_and_resuming_change_no_bit(kind, inline, photographs, monkeypatch):
    monkeypatch.setattr("striate.data.loader.INLINE_VALUES", 2**40 if inline else 0)
    samples = {"files": photographs, "array": in_memory(), "array to be resized": in_memory(size=(9, 17))}[kind]

    def loader(**settings):
        return Loader(samples, PREPROCESS, batch_size=3, shuffle=True, policy=NOISE, **settings)

    for epoch in (0, 1):
        expected = batches(loader(workers=0), epoch)
        for workers, prefetch, cache_nbytes in ((1, 1, 0), (1, 4, None), (2, 4, 1500), (2, 1, None), (4, 20, None)):
            other = loader(workers=workers, prefetch=prefetch, cache_nbytes=cache_nbytes)
            assert same(batches(other, epoch), expected)
            assert same(batches(other, epoch), expected)  # now from what was kept
            for start in range(len(other) + 1):
                assert same(batches(other, epoch, start), expected[start:])
    assert not same(batches(loader(), 0), batches(loader(), 1))
    assert not same(batches(loader(), 0), batches(loader(seed=1), 0))


# ------------------------------------------------------------------------------------------------ cache, memory


def test_an_array_too_large_to_be_kept_resized_is_resized_as_needed():
    samples = in_memory(size=(40, 40))
    kept, anew = (Loader(samples, PREPROCESS, batch_size=5, policy=NOISE, cache_nbytes=n) for n in (None, 0))
    assert same(batches(kept), batches(anew))


@pytest.mark.parametrize("kind", ["files", "array"])
def test_memory_is_flat_over_epochs(kind, photographs):
    samples = photographs if kind == "files" else in_memory(2000, size=(32, 32))
    loader = Loader(samples, PREPROCESS, batch_size=16, shuffle=True, policy=NOISE, cache_nbytes=5000)
    process = psutil.Process()

    def after(epochs):
        for epoch in epochs:
            for _ in loader.epoch(epoch):
                pass
        gc.collect()
        return process.memory_info().rss

    first = after(range(3))
    assert after(range(3, 40)) < first * 1.02


@pytest.mark.shared
def test_real_photographs_against_pillow(shared_data):
    folder = shared_data / "ants-bees"
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.jpg"))[:24]
    samples = FileSamples(FolderSource(Path(folder)), names, np.zeros(len(names)))
    (images, _, indices), *_ = batches(Loader(samples, PREPROCESS, batch_size=24, shuffle=True, policy=NOISE))
    i = indices.numpy()
    expected = slow_batch(samples, i, NOISE.windows(0, 0, i, base_sizes(samples, i), SIZE), fill=7)
    assert np.abs(images.numpy() - expected).max() <= 4 * np.finfo(np.float32).eps * 8


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_where_the_system_allows_fewer_threads_those_there_are_do_the_work(monkeypatch, allowed):
    """A container's limit, or ulimit -u: it was an error, "this is a bug", with another as its threads were joined."""
    begin, begun = threading.Thread.start, []

    def start(thread):
        if len(begun) == allowed:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    class Square(Job):
        parts = 3

        def __init__(self, k):
            self.k, self.done = k, []

        def part(self, j):
            self.done.append(j)

        def finish(self):
            assert sorted(self.done) == [0, 1, 2]
            return self.k**2

    monkeypatch.setattr(threading.Thread, "start", start)
    made = Ahead(Square, 5, workers=3, prefetch=2)
    assert list(made) == [0, 1, 4, 9, 16]
    assert len(begun) == allowed
    made.close()
    assert not any(thread.is_alive() for thread in begun)


@pytest.mark.parametrize(("workers", "prefetch"), [(0, 1), (-1, 4), (2, 0)])
def test_nobody_waits_for_what_nobody_makes(workers, prefetch):
    with pytest.raises(ValueError, match="nobody would make what is waited for"):
        Ahead(lambda k: None, 3, workers, prefetch)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"policy": "light"}, "loader: policy is 'light'; give a striate.augment.Policy, or none"),
        ({"policy": []}, r"loader: policy is \[\]; give a striate.augment.Policy, or none"),
        ({"device": "tpu"}, "loader: device is 'tpu', which torch does not know; give cpu, cuda or cuda:1"),
        ({"batch_size": True}, "loader: batch_size is True; give a whole number, 1 or more"),
    ],
)
def test_what_is_no_policy_device_or_number(asked, message):
    samples = ArraySamples(np.zeros((5, 4, 4, 1), np.uint8), [0, 1, 0, 1, 0])
    preprocess = Preprocess(channels=1, size=(4, 4), mean=(0.5,), std=(0.5,))
    with pytest.raises(StriateError, match=message):
        Loader(samples, preprocess, **{"batch_size": 2, **asked})
    with pytest.raises(StriateError, match=r"cannot start at batch 1\.5 of an epoch of 3 batches"):
        Loader(samples, preprocess, batch_size=2).epoch(0, 1.5)
    with pytest.raises(StriateError, match=r"preprocess: size is 4; give \(height, width\) in whole pixels"):
        Preprocess(channels=1, size=4, mean=(0.5,), std=(0.5,))


def test_a_loader_and_samples_say_what_they_are():
    samples = ArraySamples(np.zeros((5, 4, 4, 1), np.uint8), [0, 1, 0, 1, 0])
    loader = Loader(samples, Preprocess(channels=1, size=(4, 4), mean=(0.5,), std=(0.5,)), batch_size=2)
    assert repr(samples) == "<ArraySamples: 5 images of 2 classes>"
    assert repr(loader) == "<Loader: 3 batches of 2 from <ArraySamples: 5 images of 2 classes>, no noise>"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
def test_another_process_gets_a_loader_of_its_own(copied, photographs):
    policy = Policy((PadCrop(2), HorizontalFlip()))
    loader = Loader(photographs, PREPROCESS, batch_size=3, policy=policy, shuffle=True, seed=5)
    first = next(loader.epoch(1)).images
    other = copied(loader)
    assert (other.kept_nbytes, other.waited_seconds) == (0, 0.0)
    assert torch.equal(next(other.epoch(1)).images, first)
    assert loader.kept_nbytes > 0
