"""Batch conversion against NumPy, bit for bit: every instruction set, layout, window, number of threads."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate import _native

ISAS = ["reference", *_native.available_isas()]
MARGIN = 64  # values on both sides of `out` that must stay as they are
CANARY = np.float32(-12345.678)


def window_of(image, window, fill, size):
    """uint8[h, w, C]: the window, pixel by pixel through index arithmetic on whole axes."""
    top, left, flip = (int(v) for v in window)
    rows = top + np.arange(size[0])
    columns = left + (np.arange(size[1])[::-1] if flip else np.arange(size[1]))
    pixels = np.broadcast_to(fill, (*size, len(fill))).copy()
    row_in, column_in = (rows >= 0) & (rows < image.shape[0]), (columns >= 0) & (columns < image.shape[1])
    pixels[np.ix_(row_in, column_in)] = image[np.ix_(rows[row_in], columns[column_in])]
    return pixels


def expected(images, windows, fill, scale, shift, size):
    """float32[B, C, h, w]; NumPy rounds after the product and after the sum."""
    pixels = [window_of(image, window, fill, size) for image, window in zip(images, windows, strict=True)]
    if not pixels:
        return np.empty((0, len(fill), *size), np.float32)
    return (np.stack(pixels).astype(np.float32) * scale + shift).transpose(0, 3, 1, 2)


def guarded_out(shape, channels_last):
    """A poisoned float32[B, C, h, w] of the layout asked for, inside a buffer of canaries."""
    batch, channels, height, width = shape
    buffer = np.full(batch * channels * height * width + 2 * MARGIN, CANARY, np.float32)
    inner = buffer[MARGIN : len(buffer) - MARGIN]
    inner[:] = np.nan
    if channels_last:
        return buffer, inner.reshape(batch, height, width, channels).transpose(0, 3, 1, 2)
    return buffer, inner.reshape(shape)


def assert_same_bits(given, wanted):
    np.testing.assert_array_equal(
        np.ascontiguousarray(given).view(np.uint32), wanted.astype(np.float32).view(np.uint32)
    )


@st.composite
def batches(draw):
    channels = draw(st.sampled_from([1, 3, 3, 2, 4, 5]))
    side = st.one_of(st.integers(1, 20), st.integers(21, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = [(draw(side), draw(side)) for _ in range(draw(st.integers(0, 4)))]
    size = (draw(side), draw(side))
    if sizes and draw(st.booleans()):
        size = (size[0], sizes[0][1])  # as wide as an image: whole rows are one run
    images = [rng.integers(0, 256, (*s, channels), dtype=np.uint8) for s in sizes]
    near = st.sampled_from([0, 0, 1, -1, 3])
    far = st.sampled_from([-80, 80, -(2**31), 2**31 - 1])
    window = st.tuples(st.one_of(near, st.integers(-40, 60), far), st.one_of(near, st.integers(-40, 60), far))
    windows = np.array([(*draw(window), draw(st.sampled_from([0, 1, -7]))) for _ in images], np.int32).reshape(-1, 3)
    fill = rng.integers(0, 256, channels, dtype=np.uint8)
    scale = rng.normal(0, 0.02, channels).astype(np.float32)
    shift = rng.normal(0, 2, channels).astype(np.float32)
    return images, windows, fill, scale, shift, size


@settings(deadline=None, max_examples=150)
@given(batch=batches(), channels_last=st.booleans(), threads=st.integers(1, 3))
def test_a_list_of_images_gives_numpys_bits(batch, channels_last, threads):
    images, windows, fill, scale, shift, size = batch
    wanted = expected(images, windows, fill, scale, shift, size)
    copies = [image.copy() for image in images]
    for isa in ISAS:
        buffer, out = guarded_out((len(images), len(fill), *size), channels_last)
        _native.batch_from_list(images, windows, fill, scale, shift, out, threads, isa=isa)
        assert_same_bits(out, wanted)
        assert (buffer[:MARGIN] == CANARY).all()
        assert (buffer[-MARGIN:] == CANARY).all()
    assert all((image == copy).all() for image, copy in zip(images, copies, strict=True))


@settings(deadline=None, max_examples=100)
@given(batch=batches(), channels_last=st.booleans(), data=st.data())
def test_an_array_of_images_gathered_gives_numpys_bits(batch, channels_last, data):
    images, windows, fill, scale, shift, size = batch
    if not images:
        images = [np.zeros((2, 3, len(fill)), np.uint8)]
    stack = np.stack([np.resize(image, images[0].shape) for image in images])
    indices = np.array(data.draw(st.lists(st.integers(0, len(stack) - 1), max_size=6)), np.int64)
    windows = np.resize(windows, (len(indices), 3)) if len(windows) else np.zeros((len(indices), 3), np.int32)
    wanted = expected(stack[indices], windows, fill, scale, shift, size)
    for isa in ISAS:
        buffer, out = guarded_out((len(indices), len(fill), *size), channels_last)
        _native.batch_from_array(stack, indices, windows, fill, scale, shift, out, 2, isa=isa)
        assert_same_bits(out, wanted)
        assert (buffer[:MARGIN] == CANARY).all()
        assert (buffer[-MARGIN:] == CANARY).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [*range(1, 18), 31, 32, 33, 47, 48, 49, 64])
def test_every_width_around_the_block_of_sixteen(isa, channels, width):
    rng = np.random.default_rng(width)
    images = rng.integers(0, 256, (3, 2, width, channels), dtype=np.uint8)
    windows = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 1]], np.int32)
    fill = np.arange(channels, dtype=np.uint8)
    scale, shift = np.full(channels, 1 / 255, np.float32), np.linspace(-1, 1, channels, dtype=np.float32)
    wanted = expected(images, windows, fill, scale, shift, (2, width))
    for channels_last in (False, True):
        _, out = guarded_out((3, channels, 2, width), channels_last)
        _native.batch_from_array(images, np.arange(3), windows, fill, scale, shift, out, 1, isa=isa)
        assert_same_bits(out, wanted)


def large_batch(batch=80, side=128):
    """15 MiB of output: enough that four threads are worth waking."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (30, side, side, 3), dtype=np.uint8)
    windows = np.stack([rng.integers(-9, 9, batch), rng.integers(-9, 9, batch), rng.integers(0, 2, batch)], 1)
    indices = rng.integers(0, len(images), batch)
    fill = np.array([3, 1, 4], np.uint8)
    scale, shift = np.array([0.1, 0.2, 0.3], np.float32), np.array([-1, 0, 1], np.float32)
    return images, indices, windows.astype(np.int32), fill, scale, shift


def converted(arguments, threads, isa=None):
    images, indices, *_ = arguments
    out = np.full((len(indices), 3, *images.shape[1:3]), np.nan, np.float32)
    _native.batch_from_array(*arguments, out, threads, isa=isa)
    return out


def test_the_number_of_threads_changes_nothing(isa):
    arguments = large_batch()
    images, indices, windows, fill, scale, shift = arguments
    wanted = expected(images[indices], windows, fill, scale, shift, images.shape[1:3])
    for threads in (1, 2, 3, 7):
        assert_same_bits(converted(arguments, threads, isa), wanted)


def test_several_python_threads_may_convert_at_once():
    arguments = large_batch()
    wanted = converted(arguments, 1)
    with ThreadPoolExecutor(6) as callers:
        for out in callers.map(lambda threads: converted(arguments, threads), [1, 2, 3, 4] * 6):
            assert_same_bits(out, wanted)


def test_a_channels_last_torch_tensor_is_written_in_place():
    arguments = large_batch(batch=4)
    wanted = converted(arguments, 1)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        out = torch.empty(4, 3, 128, 128).to(memory_format=memory_format)
        _native.batch_from_array(*arguments, out, 2)
        assert out.is_contiguous(memory_format=memory_format)
        assert_same_bits(out.numpy(), wanted)


def test_part_of_a_larger_tensor_is_a_fine_output():
    arguments = large_batch(batch=4)
    whole = np.full((6, 3, 128, 128), np.nan, np.float32)
    _native.batch_from_array(*arguments, whole[1:5], 1)
    assert_same_bits(whole[1:5], converted(arguments, 1))
    assert np.isnan(whole[[0, 5]]).all()


def test_read_only_inputs_are_welcome():
    arguments = large_batch(batch=2)
    wanted = converted(arguments, 1)
    for array in arguments:
        array.flags.writeable = False
    assert_same_bits(converted(arguments, 1), wanted)


def test_images_stay_alive_while_they_are_read():
    rng = np.random.default_rng(0)
    count, side = 48, 300
    images = [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]
    windows, fill = np.zeros((count, 3), np.int32), np.zeros(3, np.uint8)
    scale, shift = np.ones(3, np.float32), np.zeros(3, np.float32)
    wanted = expected(images, windows, fill, scale, shift, (side, side))
    out = np.full((count, 3, side, side), np.nan, np.float32)
    call = threading.Thread(
        target=_native.batch_from_list,
        args=(images, windows, fill, scale, shift, out, 1),
        kwargs={"isa": "reference"},  # slow, so that most images are still to be read when they are dropped
    )
    call.start()
    while np.isnan(out[0, 0, 0, 0]):
        time.sleep(0)
    images.clear()
    call.join()
    assert_same_bits(out, wanted)


def test_no_reference_is_kept_whether_it_worked_or_not():
    image = np.zeros((2, 2, 1), np.uint8)
    one = np.ones(1, np.float32)
    fill, windows, out = np.zeros(1, np.uint8), np.zeros((2, 3), np.int32), np.empty((2, 1, 2, 2), np.float32)
    before = [sys.getrefcount(x) for x in (image, one, fill, windows, out)]
    for _ in range(50):
        _native.batch_from_list([image, image], windows, fill, one, one, out, 1)
        with pytest.raises(ValueError, match="2 channels"):
            _native.batch_from_list([image, np.zeros((2, 2, 2), np.uint8)], windows, fill, one, one, out, 1)
    assert [sys.getrefcount(x) for x in (image, one, fill, windows, out)] == before
