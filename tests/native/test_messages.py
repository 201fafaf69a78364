"""What the arrays must be, and the one line that says so when they are not."""

import ctypes

import numpy as np
import pytest

from striate import _native


def arguments(**changed):
    """A call that works, for a batch of two grey 4×4 images cut from five, with some arguments changed."""
    given = {
        "images": np.zeros((5, 4, 4, 1), np.uint8),
        "indices": np.array([0, 4]),
        "windows": np.zeros((2, 3), np.int32),
        "fill": np.zeros(1, np.uint8),
        "scale": np.ones(1, np.float32),
        "shift": np.zeros(1, np.float32),
        "out": np.empty((2, 1, 4, 4), np.float32),
        "threads": 1,
    }
    return given | changed


def test_the_call_that_the_others_change_works():
    _native.batch_from_array(**arguments())


def read_only():
    out = np.empty((2, 1, 4, 4), np.float32)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"indices": np.array([0, 5])}, IndexError, r"indices\[1\] is 5, but there are 5 images"),
        ({"indices": np.array([-1, 0])}, IndexError, r"indices\[0\] is -1, but there are 5 images"),
        ({"indices": np.array([0])}, ValueError, "indices must have one entry for each of the 2 images of out, not 1"),
        ({"indices": np.array([0, 1], np.int32)}, TypeError, r"indices must be int64\[B\], not int32\[2\]"),
        (
            {"images": np.zeros((5, 4, 4), np.uint8)},
            TypeError,
            r"images must be uint8\[N, H, W, C\], not uint8\[5, 4, 4\]",
        ),
        ({"images": np.zeros((5, 4, 4, 1))}, TypeError, r"images must be .*, not float64\[5, 4, 4, 1\]"),
        ({"images": [1, 2]}, TypeError, r"images must be an array uint8\[N, H, W, C\] in main memory, not list"),
        ({"images": None}, TypeError, r"images must be an array .* in main memory, not NoneType"),
        (
            {"images": np.zeros((5, 4, 8, 1), np.uint8)[:, :, ::2]},
            ValueError,
            r"images must be contiguous, not uint8\[5, 4, 4, 1\] with strides \(32, 8, 2, 1\) \(in values\); "
            r"copy it with numpy.ascontiguousarray",
        ),
        ({"images": np.zeros((5, 4, 4, 3), np.uint8)}, ValueError, "images have 3 channels and out has 1"),
        (
            {"windows": np.zeros((3, 3), np.int32)},
            ValueError,
            r"windows must be int32\[2, 3\] for out float32\[2, 1, 4, 4\], not int32\[3, 3\]",
        ),
        (
            {"windows": np.zeros((2, 3))},
            TypeError,
            r"windows must be int32\[B, 3\] \(top, left, flip\), not float64\[2, 3\]",
        ),
        (
            {"fill": np.zeros(3, np.uint8)},
            ValueError,
            "fill must have one value for each of the 1 channels of out, not 3",
        ),
        ({"scale": np.zeros(2, np.float32)}, ValueError, "scale must have one value for each of the 1 channels"),
        ({"shift": np.zeros(0, np.float32)}, ValueError, "shift must have one value .*, not 0"),
        ({"scale": np.ones(1)}, TypeError, r"scale must be float32\[C\], not float64\[1\]"),
        ({"out": np.empty((2, 1, 4, 4))}, TypeError, r"out must be float32\[B, C, h, w\], not float64\[2, 1, 4, 4\]"),
        (
            {"out": np.empty((2, 4, 4), np.float32)},
            TypeError,
            r"out must be float32\[B, C, h, w\], not float32\[2, 4, 4\]",
        ),
        ({"out": "x"}, TypeError, r"out must be an array float32\[B, C, h, w\] in main memory, not str"),
        ({"out": read_only()}, ValueError, "out is read-only"),
        (
            {"out": np.empty((2, 1, 4, 8), np.float32)[..., ::2]},
            ValueError,
            r"out must be contiguous or channels-last, strides \(16, 16, 4, 1\) or \(16, 1, 4, 1\) in values, "
            r"not \(32, 32, 8, 2\)",
        ),
        ({"threads": 0}, ValueError, "threads must be from 1 to 256, not 0"),
        ({"threads": 1.0}, TypeError, "threads must be a whole number, not float"),
        ({"isa": "sse9"}, ValueError, "isa='sse9' is not an instruction set known here; choose from portable"),
        ({"isa": 3}, TypeError, "isa must be a name or None, not int"),
    ],
)
def test_batch_from_array_says_what_does_not_fit(changed, error, message):
    with pytest.raises(error, match=f"^batch_from_array: {message}"):
        _native.batch_from_array(**arguments(**changed))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 4, 4, 1), np.uint8), TypeError, r"images must be a list of arrays uint8\[H, W, C\], not ndarray"),
        (
            [np.zeros((4, 4, 1), np.uint8)],
            ValueError,
            "images must have one entry for each of the 2 images of out, not 1",
        ),
        (
            [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4, 3), np.uint8)],
            ValueError,
            r"images\[1\] has 3 channels and out has 1",
        ),
        (
            [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4), np.uint8)],
            TypeError,
            r"images\[1\] must be uint8\[H, W, C\], not uint8\[4, 4\]",
        ),
        ([np.zeros((4, 4, 1), np.uint8), None], TypeError, r"images\[1\] must be an array .*, not NoneType"),
        (
            [np.zeros((8, 4, 1), np.uint8)[::2], np.zeros((4, 4, 1), np.uint8)],
            ValueError,
            r"images\[0\] must be contiguous, not uint8\[4, 4, 1\] with strides \(8, 1, 1\)",
        ),
    ],
)
def test_batch_from_list_says_which_image_does_not_fit(images, error, message):
    given = arguments()
    del given["indices"]
    with pytest.raises(error, match=f"^batch_from_list: {message}"):
        _native.batch_from_list(**(given | {"images": images}))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"filter": "nearest"}, ValueError, "unknown filter 'nearest'; choose from box, bilinear, bicubic, lanczos"),
        ({"height": 0}, ValueError, "height must be from 1 to 16777216, not 0"),
        ({"width": -3}, ValueError, "width must be from 1 to 16777216, not -3"),
        ({"width": 2.5}, TypeError, "width must be a whole number, not float"),
        ({"height": 2**24, "width": 2**24}, ValueError, r"16777216 × 16777216 × 1 values are more than memory"),
        ({"image": np.zeros((0, 4, 1), np.uint8)}, ValueError, r"image is empty: uint8\[0, 4, 1\]"),
        (
            {"image": np.zeros((2**24 + 1, 1, 1), np.uint8)},
            ValueError,
            r"image is larger than 16777216 px: uint8\[16777217, 1, 1\]",
        ),
        ({"image": np.zeros((1, 2**24 + 1, 1), np.uint8)}, ValueError, "image is larger than 16777216 px"),
        ({"image": np.zeros((4, 4), np.uint8)}, TypeError, r"image must be uint8\[H, W, C\], not uint8\[4, 4\]"),
        (
            {"image": np.zeros((4, 4, 1), np.float32)},
            TypeError,
            r"image must be uint8\[H, W, C\], not float32\[4, 4, 1\]",
        ),
        ({"image": np.zeros((4, 8, 1), np.uint8)[:, ::2]}, ValueError, "image must be contiguous"),
        ({"isa": "mmx"}, ValueError, "isa='mmx' is not an instruction set known here"),
    ],
)
def test_resize_says_what_does_not_fit(changed, error, message):
    with pytest.raises(error, match=f"^resize: {message}"):
        _native.resize(**({"image": np.zeros((4, 4, 1), np.uint8), "height": 2, "width": 2} | changed))


class OnGpu:
    """An array of main memory that says it lies on a GPU: a DLPack tensor whose device (DLDevice, behind the pointer to
    the numbers) is kDLCUDA."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **_):
        capsule = self.array.__dlpack__()
        pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
        pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        ctypes.c_int32.from_address(pointer_of(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)).value = 2
        return capsule


def warped(**changed):
    _native.warp(
        **{
            "images": [np.zeros((4, 4, 3), np.uint8)],
            "geometry": np.eye(3)[None],
            "lens": None,
            "colour": None,
            "scale": np.ones(3, np.float32),
            "shift": np.zeros(3, np.float32),
            "fill": np.zeros(3, np.float32),
            "out": np.empty((1, 3, 4, 4), np.float32),
            "threads": 1,
            "filter": "bilinear",
            "antialias": True,
            "border": "constant",
        }
        | changed
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda on: _native.resize(on(np.zeros((4, 4, 1), np.uint8)), 2, 2),
        lambda on: _native.philox(1, 0, on(np.arange(2)), 0),
        lambda on: _native.matmul(on(np.zeros((2, 2), np.float32)), np.zeros((2, 2), np.float32), 1),
        lambda on: _native.batch_from_array(**arguments(images=on(np.zeros((5, 4, 4, 1), np.uint8)))),
        lambda on: _native.batch_from_array(**arguments(out=on(np.empty((2, 1, 4, 4), np.float32)))),
        lambda on: warped(images=[on(np.zeros((4, 4, 3), np.uint8))]),
        lambda on: warped(out=on(np.empty((1, 3, 4, 4), np.float32))),
    ],
)
def test_an_array_on_a_gpu_is_refused(call):
    call(np.asarray)
    with pytest.raises(TypeError, match=r"must be an? (array|matrix) .*in main memory, not OnGpu"):
        call(OnGpu)
