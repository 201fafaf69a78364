"""The loader: what a batch holds, in which order, and that threads change neither, nor stay behind.

The oracle is `slow_batch`: Pillow's resize, NumPy's slicing, mirroring and arithmetic, one image after another.
"""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.augment import HorizontalFlip, PadCrop, Policy
from striate.data import ArraySamples, FileSamples, Loader, Preprocess, Samples
from striate.data.order import epoch_order
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


class Recorded(Samples):
    """Images of any size that note who asks for them, may take their time, and may fail."""

    def __init__(self, count, *, seconds=0.0, errors=None):
        self.labels = np.zeros(count, np.int64)
        self.asked: list[int] = []
        self.threads: set[str] = set()
        self._seconds = seconds
        self._errors = errors or {}

    def pixels(self, i, channels):
        self.asked.append(i)
        self.threads.add(threading.current_thread().name)
        time.sleep(self._seconds)
        if i in self._errors:
            raise self._errors[i]
        return np.full((*SIZE, channels), i % 256, np.uint8)

    def name(self, i):
        return f"album/{i}.jpg"

    key = name

    def subset(self, indices):
        raise AssertionError("a loader asks for no subset")


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


# ------------------------------------------------------------------------------------------------- order and noise


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
    drop_last=st.booleans(),
    workers=st.integers(0, 3),
)
def test_an_epoch_is_cut_from_its_order_and_from_nothing_else(count, batch_size, seed, epoch, drop_last, workers):
    loader = Loader(
        Recorded(count),
        PREPROCESS,
        batch_size=batch_size,
        shuffle=True,
        seed=seed,
        workers=workers,
        drop_last=drop_last,
    )
    order = epoch_order(count, seed, epoch).tolist()
    expected = [order[i : i + batch_size] for i in range(0, count, batch_size)]
    if drop_last and len(expected[-1]) < batch_size:
        expected.pop()
    assert [indices.tolist() for _, _, indices in batches(loader, epoch)] == expected
    assert len(loader) == len(expected)


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


def test_starting_late_reads_nothing_of_what_was_before():
    samples = Recorded(40)
    loader = Loader(samples, PREPROCESS, batch_size=4, shuffle=True, workers=2)
    batches(loader, epoch=0, start=8)
    assert set(samples.asked) == set(epoch_order(40, 0, 0)[32:].tolist())


def test_at_most_prefetch_batches_are_made_ahead():
    samples = Recorded(60)
    epoch = Loader(samples, PREPROCESS, batch_size=4, workers=2, prefetch=3).epoch(0)
    next(epoch)
    time.sleep(0.2)
    assert len(samples.asked) == 4 * (1 + 3)
    epoch.close()


# ------------------------------------------------------------------------------------------------------- odd sizes


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize(
    ("count", "batch_size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, True, [4, 4]),
        (3, 8, False, [3]),
        (3, 8, True, []),
        (1, 1, False, [1]),
        (0, 4, False, []),
        (0, 4, True, []),
    ],
)
def test_the_sizes_of_the_batches(count, batch_size, drop_last, sizes, workers):
    for samples in (Recorded(count), in_memory(count), in_memory(count, size=(20, 20))):
        loader = Loader(samples, PREPROCESS, batch_size=batch_size, drop_last=drop_last, workers=workers, shuffle=True)
        assert [len(b.labels) for b in loader.epoch(0)] == sizes
        assert len(loader) == len(sizes)


# ----------------------------------------------------------------------------------------------------------- cache


def test_files_are_read_once_as_far_as_the_budget_goes():
    nbytes = SIZE[0] * SIZE[1] * 3
    for kept in (0, 7, 40):
        samples = Recorded(40)
        loader = Loader(samples, PREPROCESS, batch_size=6, workers=2, shuffle=True, cache_nbytes=kept * nbytes)
        batches(loader, 0)
        assert sorted(samples.asked) == list(range(40))
        samples.asked.clear()
        batches(loader, 1)
        assert len(samples.asked) == 40 - kept


def test_an_array_too_large_to_be_kept_resized_is_resized_as_needed():
    samples = in_memory(size=(40, 40))
    kept, anew = (Loader(samples, PREPROCESS, batch_size=5, policy=NOISE, cache_nbytes=n) for n in (None, 0))
    assert same(batches(kept), batches(anew))


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory"), r"^cannot read album/13\.jpg: No such file or directory$"),
        (StriateError("album/13.jpg is truncated"), r"^album/13\.jpg is truncated$"),
        (StriateError("is truncated"), r"^album/13\.jpg: is truncated$"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_when_its_batch_is_due(workers, error, message):
    samples = Recorded(30, errors={13: error, 14: StriateError("a later one"), 22: StriateError("later still")})
    epoch = Loader(samples, PREPROCESS, batch_size=5, workers=workers).epoch(0)
    assert [next(epoch).indices.tolist() for _ in range(2)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    with pytest.raises(StriateError, match=message):
        next(epoch)
    assert not [t for t in threading.enumerate() if t.name.startswith("striate")]
    assert next(epoch, None) is None


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_vanishes_during_training(workers, tmp_path):
    for i in range(6):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{i}.png")
    samples = FileSamples(FolderSource(tmp_path), [f"{i}.png" for i in range(6)], np.zeros(6))
    loader = Loader(samples, PREPROCESS, batch_size=2, workers=workers, cache_nbytes=0)
    batches(loader, 0)
    (tmp_path / "3.png").unlink()
    with pytest.raises(StriateError, match=r"3\.png does not exist"):
        batches(loader, 1)
    (tmp_path / "3.png").write_bytes(b"not an image")
    with pytest.raises(StriateError, match=r"3\.png "):
        batches(loader, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_of_ours_keeps_its_kind_and_says_where(workers):
    samples = Recorded(8, errors={5: ZeroDivisionError("division by zero")})
    with pytest.raises(ZeroDivisionError) as caught:
        batches(Loader(samples, PREPROCESS, batch_size=2, workers=workers))
    assert caught.value.__notes__ == ["while reading album/5.jpg"]
    assert "pixels" in [entry.name for entry in caught.traceback]  # the thread's own traceback came along


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; give a whole number, 1 or more"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5; give a whole number, 1 or more"),
        ({"workers": -1}, "workers is -1; give a whole number, 0 or more"),
        ({"prefetch": 0}, "prefetch is 0; give a whole number, 1 or more"),
        ({"seed": -1}, "seed is -1; give a whole number, 0 to 18446744073709551615"),
        ({"seed": 2**64}, "give a whole number, 0 to 18446744073709551615"),
        ({"cache_nbytes": -1}, "cache_nbytes is -1; give a whole number, 0 or more"),
    ],
)
def test_settings_out_of_range_are_one_clear_line(settings, message):
    with pytest.raises(StriateError, match=r"^loader: .*" + message):
        Loader(in_memory(), PREPROCESS, **{"batch_size": 4, **settings})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine can pin memory")
def test_pinned_memory_needs_a_gpu():
    with pytest.raises(StriateError, match="pin_memory needs a CUDA device, and there is none; leave it out"):
        Loader(in_memory(), PREPROCESS, batch_size=4, pin_memory=True)


@pytest.mark.parametrize(("epoch", "start"), [(0, 4), (0, -1)])
def test_a_start_beyond_the_end(epoch, start):
    with pytest.raises(StriateError, match=f"cannot start at batch {start} of an epoch of 3 batches"):
        Loader(in_memory(9), PREPROCESS, batch_size=3).epoch(epoch, start)


def test_an_epoch_out_of_range():
    with pytest.raises(StriateError, match="epoch is -1; give a whole number, 0 to 4294967295"):
        Loader(in_memory(9), PREPROCESS, batch_size=3).epoch(-1)


# --------------------------------------------------------------------------------------------------- threads, memory


def _loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("striate-loader")]


def test_the_threads_do_the_reading_and_end_with_the_epoch():
    samples = Recorded(30, seconds=0.002)
    loader = Loader(samples, PREPROCESS, batch_size=5, workers=3)
    for epoch in range(5):
        for _ in loader.epoch(epoch):
            assert len(_loader_threads()) in (0, 3)  # 0 from the last batch on
        assert not _loader_threads()
    assert samples.threads == {f"striate-loader-{i}" for i in range(3)}


def test_without_workers_the_caller_reads():
    samples = Recorded(10)
    batches(Loader(samples, PREPROCESS, batch_size=5, workers=0))
    assert samples.threads == {threading.current_thread().name}


def test_leaving_an_epoch_ends_its_threads_promptly():
    loader = Loader(Recorded(1000, seconds=0.01), PREPROCESS, batch_size=5, workers=3)
    for _ in loader.epoch(0):
        assert len(_loader_threads()) == 3
        break
    assert not _loader_threads()  # the iterator was dropped

    with contextlib.closing(loader.epoch(0)) as epoch:
        next(epoch)
        begun = time.perf_counter()
    assert time.perf_counter() - begun < 1
    assert not _loader_threads()

    def step():
        for _ in loader.epoch(0):
            raise RuntimeError("the training step failed")

    with contextlib.suppress(RuntimeError):
        step()
    assert not _loader_threads()


def test_an_epoch_that_was_never_begun_has_no_threads():
    Loader(Recorded(10), PREPROCESS, batch_size=5).epoch(0)
    assert not _loader_threads()


def test_how_long_the_caller_waited():
    slow = Loader(Recorded(20, seconds=0.01), PREPROCESS, batch_size=5, workers=1, cache_nbytes=0)
    assert slow.waited_seconds == 0
    batches(slow)
    assert 0.15 < slow.waited_seconds < 2
    for _ in slow.epoch(1):
        time.sleep(0.1)  # longer than a batch takes
    before = slow.waited_seconds
    for _ in slow.epoch(2):
        time.sleep(0.1)
    assert slow.waited_seconds - before < 0.2  # the first batch, and hardly anything after it


INTERRUPTED = """
import sys, threading, time
import numpy as np
from striate.data import Loader, Preprocess, Samples

class Slow(Samples):
    labels = np.zeros(100, np.int64)
    def pixels(self, i, channels):
        if i >= 4:
            print("waiting", flush=True)
            time.sleep(0.5)
        return np.zeros((4, 4, channels), np.uint8)
    def name(self, i): return str(i)
    key = name
    def subset(self, indices): return self

loader = Loader(Slow(), Preprocess(channels=1, size=(4, 4), mean=(0.5,), std=(0.5,)), batch_size=4, workers=2)
try:
    for batch in loader.epoch(0):
        pass
except KeyboardInterrupt:
    pass
assert len(threading.enumerate()) == 1, threading.enumerate()
print("stopped", flush=True)
"""

NEVER_CLOSED = """
import numpy as np
from striate.data import ArraySamples, Loader, Preprocess
import striate.data.loader
striate.data.loader.INLINE_VALUES = 0
samples = ArraySamples(np.zeros((1000, 4, 4, 1), np.uint8), np.zeros(1000))
loader = Loader(samples, Preprocess(channels=1, size=(4, 4), mean=(0.5,), std=(0.5,)), batch_size=4)
epoch = loader.epoch(0)
next(epoch)
held = [epoch]
print("leaving", flush=True)
"""


def test_ctrl_c_while_waiting_for_data():
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        begun = time.perf_counter()
        assert process.stdout.read().endswith("stopped\n")
        assert process.wait() == 0
        assert time.perf_counter() - begun < 5


def test_a_program_may_end_in_the_middle_of_an_epoch():
    done = subprocess.run([sys.executable, "-c", NEVER_CLOSED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")


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
