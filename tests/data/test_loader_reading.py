"""The loader's reading: which samples, when, by which thread, and what happens when one cannot be read.

Subprocesses are there where a signal or the end of the interpreter is what is tested.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.data import ArraySamples, FileSamples, Loader, Preprocess, Samples
from striate.data.order import epoch_order
from striate.data.source import FolderSource
from striate.errors import StriateError

SIZE = (12, 10)
PREPROCESS = Preprocess(channels=3, size=SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


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


def in_memory(count=23, size=SIZE) -> ArraySamples:
    images = np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return ArraySamples(images, np.arange(count) % 5)


def indices(loader, epoch=0, start=0) -> list[list[int]]:
    return [batch.indices.tolist() for batch in loader.epoch(epoch, start)]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("striate")]


# ----------------------------------------------------------------------------------------------- which samples, when


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
    assert indices(loader, epoch) == expected
    assert len(loader) == len(expected)


def test_starting_late_reads_nothing_of_what_was_before():
    samples = Recorded(40)
    loader = Loader(samples, PREPROCESS, batch_size=4, shuffle=True, workers=2)
    indices(loader, epoch=0, start=8)
    assert set(samples.asked) == set(epoch_order(40, 0, 0)[32:].tolist())


def test_at_most_prefetch_batches_are_made_ahead():
    samples = Recorded(60)
    epoch = Loader(samples, PREPROCESS, batch_size=4, workers=2, prefetch=3).epoch(0)
    next(epoch)
    time.sleep(0.2)
    assert len(samples.asked) == 4 * (1 + 3)
    epoch.close()


def test_files_are_read_once_as_far_as_the_budget_goes():
    nbytes = SIZE[0] * SIZE[1] * 3
    for kept in (0, 7, 40):
        samples = Recorded(40)
        loader = Loader(samples, PREPROCESS, batch_size=6, workers=2, shuffle=True, cache_nbytes=kept * nbytes)
        indices(loader, 0)
        assert sorted(samples.asked) == list(range(40))
        samples.asked.clear()
        indices(loader, 1)
        assert len(samples.asked) == 40 - kept


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
def test_the_sizes_of_the_indices(count, batch_size, drop_last, sizes, workers):
    for samples in (Recorded(count), in_memory(count), in_memory(count, size=(20, 20))):
        loader = Loader(samples, PREPROCESS, batch_size=batch_size, drop_last=drop_last, workers=workers, shuffle=True)
        assert [len(b.labels) for b in loader.epoch(0)] == sizes
        assert len(loader) == len(sizes)


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
    indices(loader, 0)
    (tmp_path / "3.png").unlink()
    with pytest.raises(StriateError, match=r"3\.png does not exist"):
        indices(loader, 1)
    (tmp_path / "3.png").write_bytes(b"not an image")
    with pytest.raises(StriateError, match=r"3\.png "):
        indices(loader, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_of_ours_keeps_its_kind_and_says_where(workers):
    samples = Recorded(8, errors={5: ZeroDivisionError("division by zero")})
    with pytest.raises(ZeroDivisionError) as caught:
        indices(Loader(samples, PREPROCESS, batch_size=2, workers=workers))
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
    indices(Loader(samples, PREPROCESS, batch_size=5, workers=0))
    assert samples.threads == {threading.current_thread().name}


def test_leaving_an_epoch_ends_its_threads_promptly():
    loader = Loader(Recorded(30_000, seconds=0.01), PREPROCESS, batch_size=5, workers=3)  # to the end: 100 seconds
    for _ in loader.epoch(0):
        assert len(_loader_threads()) == 3
        break
    assert not _loader_threads()  # the iterator was dropped

    with contextlib.closing(loader.epoch(0)) as epoch:
        next(epoch)
        begun = time.perf_counter()
    assert time.perf_counter() - begun < 20
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
    loader = Loader(Recorded(20, seconds=0.01), PREPROCESS, batch_size=5, workers=1, cache_nbytes=0)
    assert loader.waited_seconds == 0
    begun = time.perf_counter()
    indices(loader)
    alone = loader.waited_seconds
    assert 0.2 <= alone <= time.perf_counter() - begun  # 20 readings one after another, and nothing else to do

    begun = time.perf_counter()
    for _ in loader.epoch(1):
        time.sleep(0.15)  # three times what a batch takes
    assert loader.waited_seconds - alone < (time.perf_counter() - begun) / 2  # about the first batch's 0.05 of 0.65


HANGS = 300  # seconds after which a program that takes two is taken to hang, on the busiest machine

INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from striate.data import Loader, Preprocess, Samples

class Slow(Samples):
    labels = np.zeros(100, np.int64)
    def pixels(self, i, channels):
        if i >= 4:
            os.write(1, b"waiting\\n")  # in one piece: both loader threads come here
            time.sleep(1)
        return np.zeros((4, 4, channels), np.uint8)
    def name(self, i): return str(i)
    key = name
    def subset(self, indices): return self

signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell ignore it
loader = Loader(Slow(), Preprocess(channels=1, size=(4, 4), mean=(0.5,), std=(0.5,)), batch_size=4, workers=2)
try:
    for batch in loader.epoch(0):
        pass
    raise SystemExit("nobody interrupted")
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
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=HANGS)
        assert said.endswith("stopped\n")
        assert process.returncode == 0


def test_a_program_may_end_in_the_middle_of_an_epoch():
    done = subprocess.run(
        [sys.executable, "-c", NEVER_CLOSED], capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")
