"""Decoding: every format and mode to the same 8-bit pixels, against arithmetic done here and Pillow's conversion.

Long, because it is a list of the forms that a file of an image can have, whole and damaged.
"""

import contextlib
import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.data.badimage import BadImage
from striate.data.decoding import MAX_PIXELS, decode

HEIGHT, WIDTH = 13, 22  # odd and unequal, so that a transposition or a lost row shows


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(channels, seed=0, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height=HEIGHT, width=WIDTH):
    """A picture that JPEG hardly changes, with a bright top-left corner: every turn of it is another picture."""
    y, x = np.mgrid[0:height, 0:width]
    ramp = 230 - 150 * (y / height) - 60 * (x / width)
    return np.stack([ramp, ramp * 0.8, 255 - ramp], axis=2).astype(np.uint8)


def luma(rgb):
    """ITU-R BT.601 in Pillow's fixed point: 0.299, 0.587 and 0.114 in 65,536ths, rounded."""
    wide = rgb.astype(np.uint32)
    return ((wide[..., 0] * 19595 + wide[..., 1] * 38470 + wide[..., 2] * 7471 + 0x8000) >> 16).astype(np.uint8)[
        ..., None
    ]


LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}, "PPM": {}}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_rgb_of_lossless_formats_is_the_array_that_went_in(kind):
    rgb = noise(3)
    data = encoded(Image.fromarray(rgb), kind, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode(data, 3, "x"), rgb)
    np.testing.assert_array_equal(decode(data, 1, "x"), luma(rgb))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_grey_is_kept_and_becomes_rgb_by_repetition(kind):
    grey = noise(1)
    data = encoded(Image.fromarray(grey[..., 0]), kind)
    np.testing.assert_array_equal(decode(data, 1, "x"), grey)
    np.testing.assert_array_equal(decode(data, 3, "x"), np.repeat(grey, 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_one_bit_is_black_and_white(kind):
    bits = noise(1)[..., 0] > 127
    data = encoded(Image.fromarray(bits), kind)
    np.testing.assert_array_equal(decode(data, 1, "x")[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_palette_gives_its_colours(kind):
    palette = noise(3, seed=1, height=1, width=256)[0]
    indices = noise(1)[..., 0]
    image = Image.fromarray(indices, "L").convert("P")
    image.putpalette(palette.tobytes())
    np.testing.assert_array_equal(decode(encoded(image, kind), 3, "x"), palette[indices])


def over_white(rgb, alpha):
    share = alpha[..., None] / 255
    return rgb * share + 255 * (1 - share)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_over_white(kind):
    rgba = noise(4)
    rgba[0, :3, 3] = 0, 255, 128
    data = encoded(Image.fromarray(rgba), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    pixels = decode(data, 3, "x")
    np.testing.assert_allclose(pixels, over_white(rgba[..., :3], rgba[..., 3]), atol=0.5 + 1e-9)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == rgba[0, 1, :3].tolist()


def test_grey_with_alpha_is_laid_over_white():
    grey_alpha = noise(2)
    data = encoded(Image.fromarray(grey_alpha), "PNG")
    expected = over_white(grey_alpha[..., :1], grey_alpha[..., 1])
    np.testing.assert_allclose(decode(data, 1, "x"), expected, atol=0.5 + 1e-9)
    np.testing.assert_array_equal(decode(data, 3, "x"), np.repeat(decode(data, 1, "x"), 3, axis=2))


def test_palette_with_alpha_per_entry():
    palette, indices = noise(3, seed=1, height=1, width=256)[0], noise(1)[..., 0]
    alpha = np.arange(256, dtype=np.uint8)
    image = Image.fromarray(indices, "L").convert("P")
    image.putpalette(palette.tobytes())
    pixels = decode(encoded(image, "PNG", transparency=alpha.tobytes()), 3, "x")
    np.testing.assert_allclose(pixels, over_white(palette[indices], alpha[indices]), atol=0.5 + 1e-9)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_one_transparent_palette_entry_is_white(kind):
    palette, indices = noise(3, seed=1, height=1, width=256)[0], noise(1)[..., 0]
    image = Image.fromarray(indices, "L").convert("P")
    image.putpalette(palette.tobytes())
    pixels = decode(encoded(image, kind, transparency=int(indices[3, 4])), 3, "x")
    expected = np.where((indices == indices[3, 4])[..., None], 255, palette[indices])
    np.testing.assert_array_equal(pixels, expected)


def test_one_transparent_colour_is_white():
    rgb = noise(3) // 2
    key = tuple(int(value) for value in rgb[2, 3])
    pixels = decode(encoded(Image.fromarray(rgb), "PNG", transparency=key), 3, "x")
    expected = np.where((rgb == key).all(axis=2)[..., None], 255, rgb)
    np.testing.assert_array_equal(pixels, expected)


def png(width, height, depth, colour, rows, **more):
    """A PNG written by hand (PNG 3rd edition): `rows` are the filtered and packed lines, `more` are further chunks."""
    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *((name.encode(), body) for name, body in more.items())]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("depth", "colour", "line", "key", "expected"),
    [
        (1, 0, [0b01000000], [1], [0, 255]),  # grey of 1 bit: black, then white, which is transparent
        (2, 0, [0b01100000], [1], [255, 170]),  # 2 bits: 1 and 2 of 3
        (4, 0, [0x7B], [7], [255, 187]),  # 4 bits: 7 and 11 of 15
        (16, 0, [0x12, 0x34, 0x12, 0x35], [0x1234], [255, 18]),  # 16 bits: alike but for the low byte
        (16, 2, [0x12, 0x34] * 3 + [0x56, 0x78] * 3, [0x1234] * 3, [255, 86]),  # 16-bit colour: the high byte
    ],
)
def test_the_transparent_colour_counts_in_the_files_own_depth(depth, colour, line, key, expected):
    """tRNS, PNG 3rd edition §11.3.1.1."""
    data = png(2, 1, depth, colour, bytes([0, *line]), tRNS=struct.pack(f">{len(key)}H", *key))
    assert decode(data, 1, "x")[0, :, 0].tolist() == expected


SIXTEEN = np.array([[0, 1, 128, 129, 256, 257], [385, 386, 32767, 32768, 65534, 65535]], dtype=np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind):
    data = encoded(Image.fromarray(SIXTEEN), kind)
    np.testing.assert_array_equal(decode(data, 1, "x")[..., 0], np.rint(SIXTEEN / 257).astype(np.uint8))
    assert decode(data, 1, "x")[0, 0] == 0
    assert decode(data, 1, "x")[1, -1] == 255


def test_big_endian_sixteen_bits():
    image = Image.frombytes("I;16B", (6, 2), SIXTEEN.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode(encoded(image, "TIFF"), 1, "x")[..., 0], np.rint(SIXTEEN / 257))


def tiff(values, *, bits, photometric=1, packed=None, more=()):
    """A TIFF written by hand (TIFF 6.0, section 3), for what Pillow does not write."""
    height, width = values.shape
    strip = packed if packed is not None else values.astype("<u2").tobytes()
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height)]
    tags.append((279, len(strip)))
    fields = [struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags]
    body = b"".join([*fields, *(struct.pack("<HHII", *field) for field in more)])
    offset = struct.pack("<I", 8 + len(strip))
    return b"II*\0" + offset + strip + struct.pack("<H", len(tags) + len(more)) + body + b"\0\0\0\0"


def test_white_is_zero_in_sixteen_bits():
    np.testing.assert_array_equal(
        decode(tiff(SIXTEEN, bits=16, photometric=0), 1, "x")[..., 0], 255 - np.rint(SIXTEEN / 257)
    )


def test_twelve_bit_tiff_uses_its_whole_range():
    values = np.array([[0, 4095, 2048, 16]])
    packed = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x10])  # 000 fff 800 010, most significant bits first
    pixels = decode(tiff(values, bits=12, packed=packed), 1, "x")
    np.testing.assert_array_equal(pixels[..., 0], np.rint(values / 4095 * 255))


def test_integers_of_32_bits_count_as_16_or_are_refused():
    values = SIXTEEN.astype(np.int32)
    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(values), "TIFF"), 1, "x")[..., 0], np.rint(values / 257)
    )
    for wrong in (70000, -1):
        values[0, 0] = wrong
        with pytest.raises(BadImage, match=r"x holds integers outside 0 … 65535, whose brightness is not known"):
            decode(encoded(Image.fromarray(values), "TIFF"), 1, "x")


def test_floats_count_from_0_to_1_or_are_refused():
    values = np.linspace(0, 1, 286, dtype=np.float32).reshape(13, 22)
    pixels = decode(encoded(Image.fromarray(values), "TIFF"), 1, "x")
    np.testing.assert_array_equal(pixels[..., 0], np.floor(values * 255 + 0.5))
    for wrong in (1.5, -0.1, np.nan):
        values[0, 0] = wrong
        with pytest.raises(BadImage, match=r"x holds floats outside 0 … 1, whose brightness is not known"):
            decode(encoded(Image.fromarray(values), "TIFF"), 1, "x")


def test_cmyk_and_ycbcr():
    cmyk = Image.fromarray(noise(4), "CMYK")
    np.testing.assert_array_equal(decode(encoded(cmyk, "TIFF"), 3, "x"), np.asarray(cmyk.convert("RGB")))
    ycbcr = Image.fromarray(noise(3), "YCbCr")
    np.testing.assert_array_equal(decode(encoded(ycbcr, "TIFF"), 3, "x"), np.asarray(ycbcr.convert("RGB")))


def test_cmyk_jpeg_as_adobe_writes_it_inverted():
    """Pillow writes CMYK with Adobe's marker and inverted: ink 0 must come back as paper, full ink as its colour."""
    inks = np.zeros((16, 64, 4), np.uint8)
    for column, ink in enumerate([(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 0, 255)]):
        inks[:, 16 * column : 16 * column + 16] = ink
    data = encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=100)
    assert b"Adobe" in data
    pixels = decode(data, 3, "x")[8, 8::16].astype(int)
    np.testing.assert_allclose(pixels, [(255, 255, 255), (0, 255, 255), (255, 0, 255), (0, 0, 0)], atol=4)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (16, 16), (33, 50)])
def test_jpeg_fast_path_equals_pillow(size, subsampling, progressive):
    rgb = noise(3, height=size[0], width=size[1])
    data = encoded(Image.fromarray(rgb), "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data, 3, "x"), expected)
    np.testing.assert_array_equal(decode(data, 1, "x"), luma(expected))


def test_jpeg_takes_the_fast_path(monkeypatch):
    calls = []
    monkeypatch.setattr("striate.data.decoding._pillow", lambda *given: calls.append(given))
    for image in (Image.fromarray(noise(3)), Image.fromarray(noise(1)[..., 0])):
        decode(encoded(image, "JPEG"), 3, "x")
    assert not calls


def test_grey_jpeg():
    data = encoded(Image.fromarray(noise(1)[..., 0]), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data, 1, "x")[..., 0], expected)
    np.testing.assert_array_equal(decode(data, 3, "x"), np.repeat(expected[..., None], 3, axis=2))


def test_first_frame_of_an_animation_and_first_page_of_a_tiff():
    pages = [Image.fromarray(noise(1, seed=seed)[..., 0]) for seed in (1, 2)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        more = {"save_all": True, "append_images": pages[1:]} | ({"lossless": True} if kind == "WEBP" else {})
        np.testing.assert_array_equal(decode(encoded(pages[0], kind, **more), 1, "x")[..., 0], np.asarray(pages[0]))


# What a viewer does to show the stored picture upright, by EXIF orientation (EXIF 2.32, 4.6.4 A, tag 274).
TO_UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind, orientation):
    stored = smooth()
    exif = Image.Exif()
    exif[274] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    pixels = decode(encoded(Image.fromarray(stored), kind, exif=exif, **options), 3, "x")
    plain = decode(encoded(Image.fromarray(stored), kind, **options), 3, "x")
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, TO_UPRIGHT[orientation](plain))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_out_of_range_is_upright(value):
    exif = Image.Exif()
    exif[274] = value
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(smooth()), "PNG", exif=exif), 3, "x"), smooth())


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_broken_exif_block_does_not_spoil_the_pixels_and_warns_nobody(kind):
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\x7f"
    data = encoded(Image.fromarray(smooth()), kind, exif=exif)
    plain = decode(encoded(Image.fromarray(smooth()), kind), 3, "x")
    np.testing.assert_array_equal(decode(data, 3, "x"), plain)


def test_what_pillow_warns_of_is_not_printed(recwarn):
    """A tag whose text lies beyond the end of the file: Pillow warns and reads the picture, which is all we want."""
    data = tiff(SIXTEEN, bits=16, more=[(305, 2, 1000, 10**6)])
    with pytest.warns(UserWarning, match="tag 305"):
        Image.open(io.BytesIO(data)).load()
    recwarn.clear()
    np.testing.assert_array_equal(decode(data, 1, "x")[..., 0], np.rint(SIXTEEN / 257))
    assert not recwarn.list


def test_colours_that_are_not_read_are_said():
    with pytest.raises(BadImage, match="x holds LAB colours, which are not read here; save it as RGB"):
        decode(encoded(Image.fromarray(noise(3), "LAB"), "TIFF"), 3, "x")


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_belong_to_the_caller(channels):
    for data in (KINDS[kind]() for kind in KINDS):
        pixels = decode(data, channels, "x")
        assert pixels.flags.writeable
        assert pixels.flags.c_contiguous


def test_the_name_does_not_matter():
    png = encoded(Image.fromarray(noise(3)), "PNG")
    np.testing.assert_array_equal(decode(png, 3, "really-a-png.jpg"), noise(3))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\0" * 999, "is not an image (nothing but zero bytes)"),
        (b"hello, world", "is not an image (JPEG, PNG, WebP, BMP, TIFF, GIF or PNM)"),
        (b"<!DOCTYPE html><html>404", "is a web page, not an image that is read here"),
        (b"<?xml version='1.0'?>\n<svg width='3'>", "is an SVG drawing, not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "is a HEIC picture, not an image"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "is a video, not an image"),
        (b"%PDF-1.7\n", "is a PDF, not an image"),
        (b"\xff\xd8\xff", "is a damaged JPEG: its header cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "is truncated"),
        (b"II*\0", "is a damaged TIFF"),
        (b"BM", "is a damaged BMP"),
        (b"GIF89a", "is a damaged GIF"),
        (b"P6\n", "is a damaged PNM"),
    ],
)
def test_what_is_no_image_is_named(data, reason):
    with pytest.raises(BadImage) as caught:
        decode(data, 3, "photos/a.jpg")
    assert str(caught.value).startswith(f"photos/a.jpg {reason}")
    assert caught.value.where == "photos/a.jpg"
    assert str(caught.value) == f"photos/a.jpg {caught.value.reason}"
    assert "\n" not in str(caught.value)


def png_header(width, height):
    return png(width, height, 8, 2, b"\0" * 1000)


def jpeg_header(width, height):
    data = bytearray(encoded(Image.fromarray(noise(3)), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">2H", height, width)
    return bytes(data)


def gif_header(width, height):
    data = bytearray(encoded(Image.fromarray(noise(1)[..., 0]), "GIF"))
    data[6:10] = struct.pack("<2H", width, height)
    return bytes(data)


def tiff_header(width, height):
    return tiff(np.broadcast_to(np.uint16(0), (height, width)), bits=16, packed=b"\0" * 64)


@pytest.mark.parametrize("header", [png_header, jpeg_header, gif_header, tiff_header])
def test_a_decompression_bomb_is_refused_by_its_header(header, recwarn):
    with pytest.raises(BadImage, match=r"x is 40000×40000 = 1\.6 gigapixels, over the limit of 179 megapixels"):
        decode(header(40000, 40000), 3, "x")
    assert not recwarn.list


def test_a_row_longer_than_decoders_count(recwarn):
    """Its pixels are few enough, but Pillow's decoder would say that memory is short."""
    assert MAX_PIXELS > 100_000_000
    with pytest.raises(BadImage, match="x is 100000000×1, over the limit of 16777216 px a side"):
        decode(png_header(100_000_000, 1), 3, "x")


def test_large_but_allowed_sizes_are_not_warned_about(recwarn):
    """Between Pillow's warning (89 megapixels) and the limit: refused here only because the pixels are missing."""
    assert MAX_PIXELS > 12000 * 9000 > Image.MAX_IMAGE_PIXELS
    with pytest.raises(BadImage, match="x is truncated"):
        decode(png_header(12000, 9000), 3, "x")
    assert not recwarn.list


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0)])
def test_no_pixels(width, height):
    with pytest.raises(BadImage, match=rf"x is {width}×{height}: it holds no pixel"):
        decode(jpeg_header(width, height), 3, "x")


def test_a_twelve_bit_jpeg_says_what_it_is():
    data = bytearray(jpeg_header(WIDTH, HEIGHT))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(BadImage, match="x is a 12-bit JPEG, which is not read here; convert it to 8 bits"):
        decode(bytes(data), 3, "x")


KINDS = {
    "JPEG": lambda: encoded(Image.fromarray(smooth(40, 50)), "JPEG", quality=90),
    "progressive JPEG": lambda: encoded(Image.fromarray(noise(3, height=40, width=50)), "JPEG", progressive=True),
    "grey JPEG": lambda: encoded(Image.fromarray(noise(1)[..., 0]), "JPEG"),
    "CMYK JPEG": lambda: encoded(Image.fromarray(noise(4), "CMYK"), "JPEG"),
    "PNG": lambda: encoded(Image.fromarray(noise(3)), "PNG"),
    "BMP": lambda: encoded(Image.fromarray(noise(3)), "BMP"),
    "GIF": lambda: encoded(Image.fromarray(noise(1)[..., 0]), "GIF"),
    "TIFF": lambda: encoded(Image.fromarray(noise(3)), "TIFF"),
    "deflated TIFF": lambda: encoded(Image.fromarray(noise(3)), "TIFF", compression="tiff_adobe_deflate"),
    "WebP": lambda: encoded(Image.fromarray(noise(3)), "WEBP"),
    "PNM": lambda: encoded(Image.fromarray(noise(3)), "PPM"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_refused_or_whole_but_never_half_grey(kind):
    data = KINDS[kind]()
    whole = decode(data, 3, "x")
    lengths = sorted({int(share * len(data)) for share in np.linspace(0, 1, 97, endpoint=False)} | {len(data) - 1})
    refused = 0
    for length in lengths:
        try:
            pixels = decode(data[:length], 3, "x")
        except BadImage:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, whole, err_msg=f"{kind} cut to {length} of {len(data)} bytes")
    assert refused >= 0.9 * len(lengths)


@pytest.mark.parametrize("kind", ["JPEG", "grey JPEG", "PNG", "BMP", "WebP", "PNM"])
def test_a_file_cut_in_the_middle_says_so(kind):
    data = KINDS[kind]()
    with pytest.raises(BadImage, match=r"^x is (truncated|a damaged)"):
        decode(data[: len(data) // 2], 3, "x")


def test_a_png_with_a_flipped_bit_is_refused():
    data = bytearray(KINDS["PNG"]())
    at = data.index(b"IDAT") + 20
    data[at] ^= 1
    with pytest.raises(BadImage, match="x is damaged \\(the checksum of its IDAT chunk is wrong\\)"):
        decode(bytes(data), 3, "x")


def test_a_few_stray_bytes_before_the_end_of_a_jpeg_do_no_harm_but_many_are_damage():
    data = KINDS["JPEG"]()
    whole = decode(data, 3, "x")
    np.testing.assert_array_equal(decode(data[:-2] + b"abc" + data[-2:], 3, "x"), whole)
    with pytest.raises(BadImage, match=r"x is damaged \(39\d extraneous bytes before marker 0xd9\)"):
        decode(data[:-2] + b"a" * 400 + data[-2:], 3, "x")
    np.testing.assert_array_equal(decode(data + b"trailing", 3, "x"), whole)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 2**32 - 1), flips=st.integers(1, 20))
def test_random_damage_raises_nothing_but_badimage_and_warns_nobody(kind, seed, flips):
    data = bytearray(KINDS[kind]())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(data), flips):
        data[at] = rng.integers(0, 256)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pixels = decode(bytes(data), 3, "x")
        except BadImage:
            return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"GIF89a"])
)
def test_any_bytes_raise_nothing_but_badimage(tail, head):
    with contextlib.suppress(BadImage):
        decode(head + tail, 1, "x")


def test_channels_are_one_or_three():
    with pytest.raises(ValueError, match="cannot be given 4; both must be 1 or 3"):
        decode(KINDS["PNG"](), 4, "x")


def test_threads_agree():
    files = [KINDS[kind]() for kind in KINDS]
    expected = [decode(data, 3, "x") for data in files]
    wrong = []

    def work():
        for _ in range(5):
            for data, pixels in zip(files, expected, strict=True):
                if not np.array_equal(decode(data, 3, "x"), pixels):
                    wrong.append(data)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_simplejpeg_is_asked_to_be_strict():
    """What the fast path relies on: strict decoding raises on a cut file, where the default of libjpeg paints grey."""
    with pytest.raises(ValueError, match="Premature end"):
        simplejpeg.decode_jpeg(KINDS["JPEG"]()[:-40], strict=True)
