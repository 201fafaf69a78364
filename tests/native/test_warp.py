"""Warping: every instruction set against the reference, and the reference against Pillow and closed forms.

Long, because it is one function whose every argument has a law of its own.
"""

import mmap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate import _native

ISAS = _native.available_isas()
FILTERS = ["nearest", "bilinear", "bicubic"]
BORDERS = ["constant", "edge", "reflect"]
MARGIN = 64  # values on both sides of `out` that must stay as they are
CANARY = {torch.float32: -12345.678, torch.bfloat16: -12345.678, torch.uint8: 201}
# Weights across are rounded to 2^-14 of the filter's peak: a relative 2^-14 of 255 levels for a filter without negative
# lobes, thrice that for the cubic in two dimensions; places of inner blocks are off by 2^-10 px at most, times 255.
LEVELS = 0.25


def warped(
    images,
    geometry,
    size,
    *,
    lens=None,
    colour=None,
    scale=1.0,
    shift=0.0,
    fill=0.0,
    dtype=torch.float32,
    channels_last=False,
    filter="bilinear",
    antialias=True,
    border="constant",
    threads=1,
    isa=None,
):
    """A tensor [B, C, h, w], written inside canaries that are looked at afterwards."""
    channels, count = images[0].shape[2], len(images)
    inner = (count, *size, channels) if channels_last else (count, channels, *size)
    buffer = torch.full((int(np.prod(inner)) + 2 * MARGIN,), CANARY[dtype], dtype=dtype)
    out = buffer[MARGIN : len(buffer) - MARGIN].view(inner)
    out.zero_()
    if channels_last:
        out = out.permute(0, 3, 1, 2)
    _native.warp(
        images,
        np.asarray(geometry, np.float64).reshape(count, 3, 3),
        None if lens is None else np.asarray(lens, np.float64).reshape(count, 2),
        colour,
        np.full(channels, scale, np.float32),
        np.full(channels, shift, np.float32),
        np.full(channels, fill, np.float32),
        out,
        threads,
        filter=filter,
        antialias=antialias,
        border=border,
        isa=isa,
    )
    canary = torch.tensor(CANARY[dtype], dtype=dtype)
    assert (buffer[:MARGIN] == canary).all()
    assert (buffer[-MARGIN:] == canary).all()
    return out


def bytes_of(tensor):
    """uint8[h, w, C] of the one image."""
    return tensor[0].permute(1, 2, 0).numpy()


def resize_to(image, size):
    height, width = image.shape[:2]
    return np.diag([width / size[1], height / size[0], 1.0])


def about_centre(linear, image, size, moved=(0.0, 0.0)):
    """The output's centre comes from the source's, moved; `linear` 2×2 takes output px to source px."""
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    centre = np.array([image.shape[1], image.shape[0]]) / 2 + moved
    matrix[:2, 2] = centre - np.asarray(linear) @ (np.array([size[1], size[0]]) / 2)
    return matrix


def rotation(degrees, scale=1.0):
    c, s = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    return np.array([[c, -s], [s, c]])


def noise(rng, height, width, channels):
    """Every value there is, or extremes side by side."""
    if rng.integers(2):
        return rng.choice(np.array([0, 255], np.uint8), (height, width, channels))
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def photograph(height, width, channels=3):
    """Soft, as photographs are: Pillow clips between its two passes, which shows only where the filter overshoots."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 196, (height // 8 + 2, width // 8 + 2, channels), dtype=np.uint8)
    return _native.resize(coarse, height, width, "bicubic")


# Against the reference

sides = st.one_of(st.integers(1, 12), st.integers(13, 130))


@st.composite
def calls(draw):
    """Images and maps of every kind, and the numbers that make one call."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.sampled_from([1, 3]))
    count = draw(st.integers(1, 3))
    images = [
        noise(rng, *draw(st.one_of(st.tuples(sides, sides), st.sampled_from([(1, 900), (900, 1), (3, 700)]))), channels)
        for _ in range(count)
    ]
    size = (draw(sides), draw(sides))
    kind = draw(st.sampled_from(["resize", "crop", "affine", "perspective", "lens"]))
    geometry = [matrix_of(rng, kind, image, size) for image in images]
    colour = None
    if draw(st.booleans()):
        colour = rng.normal(0, 0.5, (count, channels, channels + 1)).astype(np.float32)
        colour[..., channels] *= 100
    dtype = draw(st.sampled_from([torch.float32, torch.bfloat16, torch.uint8]))
    return images, geometry, size, {
        "lens": rng.uniform(-0.4, 0.4, (count, 2)) if kind == "lens" else None,
        "colour": colour,
        "scale": 1.0 if dtype == torch.uint8 else 1 / 32,
        "shift": 0.0 if dtype == torch.uint8 else -3.0,
        "fill": 99.0,
        "dtype": dtype,
        "channels_last": draw(st.booleans()),
        "filter": draw(st.sampled_from(FILTERS)),
        "antialias": draw(st.booleans()),
        "border": draw(st.sampled_from(BORDERS)),
    }  # fmt: skip


def matrix_of(rng, kind, image, size):
    scale = np.exp(rng.uniform(-2.5, 3.0, 2))
    moved = rng.uniform(-0.3, 0.3, 2) * (image.shape[1], image.shape[0])
    if kind == "resize":
        return resize_to(image, size)
    if kind == "crop":
        return about_centre(np.diag(scale * rng.choice([-1, 1], 2)), image, size, np.rint(moved))
    linear = rotation(rng.uniform(-180, 180)) @ np.diag(scale) @ np.array([[1, rng.uniform(-0.5, 0.5)], [0, 1]])
    matrix = about_centre(linear, image, size, moved)
    if kind == "perspective":  # at most 0.45 + 0.45 of the depth at the corners
        middle = np.array([[1, 0, -size[1] / 2], [0, 1, -size[0] / 2], [0, 0, 1]])
        tilt = np.eye(3)
        tilt[2, :2] = rng.uniform(-0.9, 0.9, 2) / (size[1], size[0])
        matrix = matrix @ np.linalg.inv(middle) @ tilt @ middle
    return matrix


def tolerance(kwargs, reference):
    """LEVELS, through the colour matrix and the scale, and half a unit of the output's last place on either side."""
    levels = LEVELS
    if kwargs["colour"] is not None:
        levels = levels * np.abs(kwargs["colour"][..., :-1]).sum(-1).max() + 0.001
    last = {torch.uint8: 1.0, torch.float32: 1e-5, torch.bfloat16: 2.0**-7 * float(reference.abs().max())}
    return levels * kwargs["scale"] + last[kwargs["dtype"]]


@settings(deadline=None, max_examples=250)
@given(call=calls(), threads=st.sampled_from([2, 3, 4]))
def test_every_instruction_set_agrees_with_the_reference(call, threads):
    images, geometry, size, kwargs = call
    wanted = warped(images, geometry, size, isa="reference", **kwargs).float()
    copies = [image.copy() for image in images]
    for isa in ISAS:
        out = warped(images, geometry, size, isa=isa, **kwargs)
        off = float((out.float() - wanted).abs().max())
        assert off <= tolerance(kwargs, wanted), (isa, off)
        assert torch.equal(warped(images, geometry, size, isa=isa, threads=threads, **kwargs), out)
    assert all((image == copy).all() for image, copy in zip(images, copies, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("size", "out"),
    [((1, 1), (70, 70)), ((10_000, 3), (5, 7)), ((3, 10_000), (7, 5)), ((2, 3000), (2, 3)), ((600, 700), (1, 1))],
)
def test_huge_scale_factors(size, out, channels, isa):
    image = noise(np.random.default_rng(2), *size, channels)
    for name in ("bilinear", "bicubic"):
        for matrix in (resize_to(image, out), resize_to(image, out) @ np.diag([50.0, 0.01, 1.0])):
            wanted = warped([image], matrix, out, filter=name, border="reflect", isa="reference")
            given_back = warped([image], matrix, out, filter=name, border="reflect", isa=isa)
            assert float((given_back - wanted).abs().max()) < LEVELS


@pytest.mark.parametrize("width", [*range(1, 35), 47, 48, 49])
def test_every_width_around_the_block(width):
    rng = np.random.default_rng(width)
    image = noise(rng, 40, 41, 3)
    for linear in (np.eye(2), rotation(20, 0.7)):
        matrix = about_centre(linear, image, (3, width))
        wanted = warped([image], matrix, (3, width), isa="reference")
        for isa in ISAS:
            for channels_last in (False, True):
                out = warped([image], matrix, (3, width), channels_last=channels_last, isa=isa)
                assert float((out - wanted).abs().max()) < LEVELS


# Closed forms


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_identity_and_the_mirrors_are_exact(isa, name, channels):
    image = noise(np.random.default_rng(0), 37, 53, channels)
    across, down = np.array([[-1.0, 0, 53], [0, 1, 0], [0, 0, 1]]), np.array([[1.0, 0, 0], [0, -1, 37], [0, 0, 1]])
    wanted = {
        "identity": (np.eye(3), image),
        "mirrored": (across, image[:, ::-1]),
        "upside down": (down, image[::-1]),
        "half a turn": (across @ down, image[::-1, ::-1]),
        "thrice, homogeneous": (3 * np.eye(3), image),
    }
    for dtype in (torch.uint8, torch.float32, torch.bfloat16):
        for matrix, pixels in wanted.values():
            out = warped([image], matrix, (37, 53), filter=name, dtype=dtype, isa=isa)
            np.testing.assert_array_equal(bytes_of(out.float()), pixels)
    turned = warped([image], [[0.0, 1, 0], [-1, 0, 37], [0, 0, 1]], (53, 37), filter=name, isa=isa)  # a quarter turn
    np.testing.assert_array_equal(bytes_of(turned), np.rot90(image, -1))


def test_a_crop_by_whole_pixels_is_exact(isa):
    image = noise(np.random.default_rng(1), 40, 60, 3)
    matrix = np.array([[1.0, 0, 7], [0, 1, 5], [0, 0, 1]])
    out = warped([image], matrix, (30, 50), dtype=torch.uint8, isa=isa)
    np.testing.assert_array_equal(bytes_of(out), image[5:35, 7:57])


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("out", [(256, 341), (224, 224), (100, 37), (375, 224), (500, 700), (1, 1), (3, 400)])
def test_a_plain_resize_is_pillows(isa, name, channels, out):
    image = photograph(375, 500, channels)
    pillow = Image.fromarray(image if channels == 3 else image[:, :, 0])
    wanted = np.asarray(pillow.resize(out[::-1], Image.Resampling[name.upper()])).reshape(*out, channels)
    given_back = bytes_of(warped([image], resize_to(image, out), out, filter=name, dtype=torch.uint8, isa=isa))
    assert np.abs(given_back.astype(int) - wanted).max() <= 1


def test_bilinear_is_pillows_on_noise_too(isa):
    image = noise(np.random.default_rng(3), 90, 70, 3)
    wanted = np.asarray(Image.fromarray(image).resize((33, 41), Image.Resampling.BILINEAR))
    given_back = bytes_of(warped([image], resize_to(image, (41, 33)), (41, 33), dtype=torch.uint8, isa=isa))
    assert np.abs(given_back.astype(int) - wanted).max() <= 1


def homogeneous(linear, moved=(0.0, 0.0), tilt=(0.0, 0.0)):
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2], matrix[2, :2] = linear, moved, tilt
    return matrix


POINTS = {
    "shift": homogeneous(np.eye(2), (3.3, -2.7)),
    "scale": homogeneous(np.diag([0.8, 1.25]), (10, -5)),
    "rotation": homogeneous(rotation(30), (20, -12)),
    "shear": homogeneous([[1, 0.3], [0, 1]], (-10, 0)),
    "stretch and turn": homogeneous(rotation(-50) @ np.diag([0.7, 1.2]), (-8, 60)),
    "perspective": homogeneous(np.eye(2), (4, 6), (8e-4, -6e-4)),
}


@pytest.mark.parametrize("kind", [kind for kind in POINTS if kind != "perspective"])
def test_a_bright_spot_lands_where_the_matrix_says(isa, kind):
    """Its centroid, to 1/100 px. (Under a perspective the centroid of a spot is not its centre's picture.)"""
    spot, side = np.array([47.3, 52.6]), 100
    y, x = np.mgrid[:side, :side] + 0.5
    blob = np.rint(255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 60)).astype(np.uint8)
    spot = np.array([(blob * x).sum(), (blob * y).sum()]) / blob.sum()  # as the bytes have it
    expected = np.linalg.inv(POINTS[kind]) @ [*spot, 1]
    out = warped([np.repeat(blob[:, :, None], 3, 2)], POINTS[kind], (side, side), isa=isa)[0, 0].numpy()
    found = np.array([(out * x).sum(dtype=float), (out * y).sum(dtype=float)]) / out.sum(dtype=float)
    assert np.abs(found - expected[:2]).max() < 0.01


@pytest.mark.parametrize("lens", [None, (-0.15, 0.05), (0.1, 0.1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", POINTS)
def test_every_pixel_comes_from_where_the_matrix_and_the_lens_say(isa, kind, channels, lens):
    """Levels that rise with x, or with y, are what bilinear weights reproduce: they tell the place, to 1/100 px."""
    height, width = 90, 120
    i, j = np.mgrid[:height, :width]
    x, y = j + 0.5 - width / 2, i + 0.5 - height / 2
    square = (x**2 + y**2) / (width**2 + height**2) * 4
    factor = 1 if lens is None else 1 + square * (lens[0] + square * lens[1])
    place = POINTS[kind] @ np.stack([width / 2 + x * factor, height / 2 + y * factor, np.ones(x.shape)]).reshape(3, -1)
    place = (place[:2] / place[2]).reshape(2, height, width)
    for axis, levels in enumerate((2 * j, 2 * i)):
        image = np.repeat(levels[:, :, None], channels, 2).astype(np.uint8)
        out = warped(
            [image], POINTS[kind], (height, width), lens=None if lens is None else [lens], antialias=False, isa=isa
        )
        inside = ((place > 0.5) & (place < np.array([width, height])[:, None, None] - 0.5)).all(0)
        assert inside.sum() > 2000
        assert np.abs(out[0, -1].numpy() / 2 + 0.5 - place[axis])[inside].max() < 0.01


def test_a_rotation_does_not_blur(isa):
    """Half a turn and a bit, with and without antialiasing: the scale is 1 in every direction."""
    image = noise(np.random.default_rng(4), 60, 60, 3)
    matrix = about_centre(rotation(33), image, (50, 50))
    sharp = warped([image], matrix, (50, 50), antialias=False, isa=isa)
    np.testing.assert_allclose(warped([image], matrix, (50, 50), isa=isa), sharp, atol=0.02)


@pytest.mark.parametrize("scale", [1.0, 1 + 1e-12, 1 + 1e-9, 1 + 3e-8, 1 + 1e-6, 1 + 1e-4, 1.01])
@pytest.mark.parametrize("degrees", [0, 7, 123])
def test_scales_that_are_nearly_one(isa, scale, degrees):
    image = noise(np.random.default_rng(10), 90, 97, 3)
    matrix = about_centre(rotation(degrees, scale), image, (64, 80), (0.3, -0.2))
    wanted = warped([image], matrix, (64, 80), isa="reference")
    assert float((warped([image], matrix, (64, 80), isa=isa) - wanted).abs().max()) < LEVELS


@pytest.mark.parametrize("border", BORDERS)
def test_what_lies_outside(isa, border):
    image = np.arange(24, dtype=np.uint8).reshape(4, 6, 1) * 10
    matrix = homogeneous(np.eye(2), (-8, -5))
    out = bytes_of(warped([image], matrix, (14, 22), border=border, fill=7, dtype=torch.uint8, isa=isa))
    pad = ((5, 5), (8, 8), (0, 0))
    wanted = {
        "constant": lambda: np.pad(image, pad, constant_values=7),
        "edge": lambda: np.pad(image, pad, mode="edge"),
        "reflect": lambda: np.pad(image, pad, mode="symmetric"),
    }[border]()
    np.testing.assert_array_equal(out, wanted)


def test_both_ends_of_the_border_are_inside(isa):
    """Centres at 0 and at the width exactly: half a pixel off, so that the outermost pixels stand there."""
    image = np.full((20, 40, 3), 200, np.uint8)
    matrix = homogeneous(np.eye(2), (-0.5, -0.5))
    out = warped([image], matrix, (22, 42), isa=isa)
    assert (out[0, :, :21, :41] == 200).all()
    assert (out[0, :, 21] == 0).all()
    assert (out[0, :, :, 41] == 0).all()


def test_colour_is_a_matrix_then_a_clip_then_the_scale(isa):
    image = noise(np.random.default_rng(5), 20, 33, 3)
    colour = np.array([[[0.5, 0.9, -0.7, 20], [0, 2, 0, -60], [0.3, 0.3, 0.3, 0]]], np.float32)
    out = bytes_of(warped([image], np.eye(3), (20, 33), colour=colour, scale=0.25, shift=-4, isa=isa))
    wanted = np.clip(image @ colour[0, :, :3].T + colour[0, :, 3], 0, 255) * 0.25 - 4
    np.testing.assert_allclose(out, wanted, atol=1e-4)


def test_the_fill_passes_through_the_colour(isa):
    image = np.zeros((8, 8, 3), np.uint8)
    colour = np.tile(np.array([0.5, 0, 0, 10], np.float32), (1, 3, 1))
    far = homogeneous(np.eye(2), (100, 100))
    assert (warped([image], far, (20, 20), colour=colour, fill=80, isa=isa) == 50).all()


def test_bfloat16_is_rounded_to_the_nearest(isa):
    image = noise(np.random.default_rng(6), 20, 40, 3)
    matrix = about_centre(rotation(10), image, (20, 40))
    exact = warped([image], matrix, (20, 40), scale=1 / 58, shift=-2, isa=isa)
    out = warped([image], matrix, (20, 40), scale=1 / 58, shift=-2, dtype=torch.bfloat16, isa=isa)
    assert torch.equal(out, exact.bfloat16())


# How it may be called


def test_the_number_of_threads_changes_nothing(isa):
    rng = np.random.default_rng(7)
    images = [noise(rng, 150, 170, 3) for _ in range(3)]
    matrices = [about_centre(linear, images[0], (130, 160)) for linear in (rotation(12), np.eye(2), np.diag([1.5, 2]))]
    one = warped(images, matrices, (130, 160), isa=isa)
    for threads in (2, 4, 7):
        assert torch.equal(warped(images, matrices, (130, 160), threads=threads, isa=isa), one)


def test_images_may_be_read_only_and_begin_anywhere(isa):
    rng = np.random.default_rng(8)
    matrix = rotation(15)
    for offset in (1, 2, 3, 5):
        block = rng.integers(0, 256, 31 * 29 * 3 + offset, dtype=np.uint8)
        image = block[offset:].reshape(31, 29, 3)
        image.flags.writeable = False
        place = about_centre(matrix, image, (30, 30))
        assert torch.equal(warped([image], place, (30, 30), isa=isa), warped([image.copy()], place, (30, 30), isa=isa))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_read_beyond_the_image(isa, channels):
    """The image's last byte is the last of its page; what follows must not be touched."""
    height, width = 23, 31
    nbytes, page = height * width * channels, mmap.PAGESIZE
    pages = mmap.mmap(-1, 3 * page)
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    whole = np.frombuffer(pages, np.uint8)
    assert libc.mprotect(__import__("ctypes").c_void_p(whole.ctypes.data + page * 2), page, 0) == 0
    image = whole[2 * page - nbytes : 2 * page].reshape(height, width, channels)
    image[:] = noise(np.random.default_rng(9), height, width, channels)
    for name in FILTERS:
        for linear in (np.eye(2), rotation(7), rotation(180), np.diag([1.4, 1.4]), rotation(3, 2.6), rotation(95, 0.4)):
            for border in BORDERS:
                matrix = about_centre(linear, image, (40, 60))
                warped([image], matrix, (40, 60), filter=name, border=border, isa=isa)
