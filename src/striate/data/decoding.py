"""Any supported file to upright 8-bit RGB or grey: the only place that knows image formats.

The rules, the same for training, evaluation and prediction:

- the kind of a file is told by its first bytes, never by its name;
- orientation (EXIF 2.32, tag 0x0112) is applied, once; colour profiles are not;
- transparency is laid over white, 16 bits are scaled to 8 (`striate.data.colour`), CMYK goes through Pillow;
- floats count as 0 … 1 and wide integers as 16 bits, and where the values say otherwise the file is refused: a guess
  would train on one brightness and predict on another;
- animations and multi-page files give their first picture;
- a file is decoded whole or refused: never a half-grey picture, never a warning that nobody reads.

JPEG takes a fast path, libjpeg-turbo through simplejpeg (five times as fast on a 32×32 image); whatever that will not
vouch for is decoded by Pillow, and their results are the same.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # it ships no stubs
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from striate.data.badimage import BadImage
from striate.data.colour import over_white, scaled_to_8_bit, with_channels
from striate.data.formats import format_of, what_else
from striate.data.jpeg import Frame, read_frame
from striate.data.silence import silence

__all__ = ["MAX_PIXELS", "JpegHead", "decode", "decode_at", "jpeg_head"]

MAX_PIXELS = 178_956_970  # half a GiB of RGB, where Pillow too refuses; a 108-megapixel telephone stays well below
MAX_SIDE = 1 << 24  # px: from 2^31 bits a row on, Pillow's decoders say that memory is short where it is not

ORIENTATION = 0x0112  # EXIF 2.32, table 4

# Opening a format's own class, and not Image.open, leaves the size to be checked here, without Pillow's warning.
_OPENERS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "PNM": PpmImageFile,
}


def decode(data: bytes, channels: int, where: str) -> NDArray[np.uint8]:
    """The picture in `data` as uint8[H, W, channels], channels 1 or 3, upright and contiguous.

    Raises BadImage, which names `where` and says why in plain words.
    """
    kind = format_of(data)
    if kind is None:
        raise BadImage(where, what_else(data))
    if kind == "JPEG":
        frame = read_frame(data)
        if frame is not None:
            _check_size(frame.width, frame.height, where)
            pixels = _turbo(data, frame, where)
            if pixels is not None:
                return with_channels(pixels, channels)
    if kind == "PNG":
        _check_png(data, where)
    return with_channels(_pillow(data, kind, where), channels)


# ---------------------------------------------------------------------------------------------- JPEG, the fast path


@dataclass(frozen=True, kw_only=True)
class JpegHead:
    """What can be known of a JPEG before it is decoded. height, width: of the upright picture."""

    frame: Frame
    orientation: int
    height: int
    width: int

    def factor(self, most: int) -> int:
        """The largest of 8, 4, 2 and 1 that is at most `most` and leaves no doubt where a pixel lies.

        A side that the file's orientation turns round is counted from its far end, which a fraction only keeps in place
        where it divides the side.
        """
        sides = (self.frame.height, self.frame.width) if self.orientation != 1 else ()
        return next((k for k in (8, 4, 2) if k <= most and all(side % k == 0 for side in sides)), 1)


def jpeg_head(data: bytes, where: str) -> JpegHead | None:
    """The head of a JPEG that the fast path reads; None for all other files. Raises BadImage for impossible sizes."""
    frame = read_frame(data) if format_of(data) == "JPEG" else None
    if frame is None or frame.precision != 8 or frame.components not in (1, 3):
        return None
    _check_size(frame.width, frame.height, where)
    orientation = _jpeg_orientation(data, frame)
    sides = (frame.height, frame.width) if orientation < 5 else (frame.width, frame.height)
    return JpegHead(frame=frame, orientation=orientation, height=sides[0], width=sides[1])


def decode_at(data: bytes, head: JpegHead, factor: int, channels: int, where: str) -> NDArray[np.uint8] | None:
    """The picture at 1/`factor` of its size (2, 4 or 8), each side rounded up: pixel i covers i·factor … (i+1)·factor.

    libjpeg computes so many fewer frequencies of each block. None where only decoding in full will do.
    """
    pixels = _turbo(data, head.frame, where, head.orientation, factor)
    return None if pixels is None else with_channels(pixels, channels)


def _jpeg_orientation(data: bytes, frame: Frame) -> int:
    if not frame.may_be_turned:
        return 1
    with silence():
        return _orientation(JpegImageFile(BytesIO(data)))


def _turbo(
    data: bytes, frame: Frame, where: str, orientation: int | None = None, factor: int = 1
) -> NDArray[np.uint8] | None:
    """The picture as uint8[H, W, 1 or 3], or None where Pillow is to decide. Raises BadImage for damaged data."""
    if frame.precision != 8:
        raise BadImage(where, f"is a {frame.precision}-bit JPEG, which is not read here; convert it to 8 bits")
    if frame.components not in (1, 3):
        return None
    try:
        grey = frame.components == 1
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY" if grey else "RGB",
            strict=True,
            min_height=-(-frame.height // factor) if factor > 1 else 0,
            min_width=-(-frame.width // factor) if factor > 1 else 0,
            min_factor=factor,
        )
    except ValueError as error:
        damage = _damage(str(error))
        if damage is not None:
            raise BadImage(where, damage) from error
        return None
    return _upright(pixels, _jpeg_orientation(data, frame) if orientation is None else orientation)


def _damage(warning: str) -> str | None:
    """What one of libjpeg's warnings (jerror.h) says of the pixels, or None where they are all there.

    A few stray bytes before a marker are how many cameras pad; many mean that the decoder has lost its place.
    """
    if "Premature end of JPEG file" in warning:
        return "is truncated"
    stray = re.search(r"(\d+) extraneous bytes", warning)
    if stray is not None and int(stray[1]) <= 16:
        return None
    if "Corrupt JPEG data" in warning:
        return f"is damaged ({warning.split(': ', 1)[-1]})"
    return None


# ------------------------------------------------------------------------------------------------ all else, by Pillow


def _pillow(data: bytes, kind: str, where: str) -> NDArray[np.uint8]:
    """The picture as uint8[H, W, 1 or 3], upright."""
    try:
        with silence():
            image = _OPENERS[kind](BytesIO(data))
            _check_size(image.width, image.height, where)
            image.load()
            pixels = _upright(_pixels(image, data), _orientation(image))
        return np.array(pixels, order="C")  # Pillow lends its memory read-only
    except (BadImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(where, f"is larger than the limit of {_mega(MAX_PIXELS)}") from error
    except Exception as error:  # Pillow's readers raise anything at all on a hostile file; it is the file's fault
        raise BadImage(where, _reason(error, kind)) from error


def _pixels(image: Image.Image, data: bytes) -> NDArray[np.uint8]:
    """A loaded image's pixels as uint8[H, W, 1 or 3], whatever its mode."""
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        return _wide(image)
    key = image.info.get("transparency")
    if mode == "1":
        image, mode = image.convert("L"), "L"
    if mode in ("L", "RGB"):
        colour = np.atleast_3d(np.asarray(image))
        return colour if key is None else over_white(colour, _unless(colour, _in_8_bits(key, data)))
    if mode in ("LA", "La"):
        grey_alpha = np.asarray(image.convert("LA"))
        return over_white(grey_alpha[:, :, :1], grey_alpha[:, :, 1])
    if mode in ("RGBA", "RGBa", "PA", "P"):
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[:, :, :3] if rgba[:, :, 3].min() == 255 else over_white(rgba[:, :, :3], rgba[:, :, 3])
    if mode in ("CMYK", "YCbCr", "RGBX", "HSV"):
        return np.asarray(image.convert("RGB"))
    raise _Refused(f"holds {mode} colours, which are not read here; save it as RGB")


def _wide(image: Image.Image) -> NDArray[np.uint8]:
    """Grey of more than 8 bits (modes I;16…, I and F) as uint8[H, W, 1]."""
    values = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise _Refused("holds floats outside 0 … 1, whose brightness is not known; save it with 8 or 16 bits")
        return (values * 255 + 0.5).astype(np.uint8)[:, :, None]
    if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
        raise _Refused("holds integers outside 0 … 65535, whose brightness is not known; save it with 8 or 16 bits")
    tags = getattr(image, "tag_v2", {})  # TIFF 6.0: 258 BitsPerSample, 262 PhotometricInterpretation
    maximum = (1 << min(16, tags.get(258, (16,))[0])) - 1
    grey = scaled_to_8_bit(values, maximum)[:, :, None]
    if tags.get(262) == 0:  # white is zero: Pillow turns 8-bit files over but not 16-bit ones
        grey = 255 - grey
    key = image.info.get("transparency")
    return grey if key is None else over_white(grey, np.where(values == key, 0, 255).astype(np.uint8))


def _in_8_bits(key: int | tuple[int, ...], data: bytes) -> tuple[int, ...]:
    """A PNG's transparent colour (tRNS, PNG 3rd edition §11.3.1.1) on the scale Pillow gave the pixels.

    The chunk counts in the file's own bit depth; Pillow has spread 1, 2 and 4 bits over 0 … 255 and kept the high
    byte of 16.
    """
    values = (key,) if isinstance(key, int) else tuple(key)
    if format_of(data) != "PNG":
        return values
    depth = data[24]  # in IHDR, the first chunk: 8 signature + 8 length and name + 8 width and height
    return tuple(value >> 8 if depth == 16 else value * (255 // ((1 << depth) - 1)) for value in values)


def _unless(colour: NDArray[np.uint8], key: tuple[int, ...]) -> NDArray[np.uint8]:
    """Alpha, uint8[H, W]: 0 where the pixel is the transparent colour `key`, else 255."""
    return np.where((colour == np.array(key)).all(axis=2), 0, 255).astype(np.uint8)


def _orientation(image: ImageFile) -> int:
    """EXIF orientation 1 … 8; 1 where there is none, it is out of range or the EXIF block is broken."""
    try:  # after load(): a TIFF has been turned by then and says so by having lost the tag
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a broken EXIF block does not spoil the pixels
        return 1
    return value if value in range(1, 9) else 1


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo `orientation`, which says where the stored first row and column lie in the scene (EXIF 2.32, 4.6.4 A)."""
    if orientation == 1:
        return image
    if orientation >= 5:  # 5 … 8: rows and columns are exchanged
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):  # left and right are exchanged
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):  # top and bottom are exchanged
        image = image[::-1]
    return np.ascontiguousarray(image)


def _check_png(data: bytes, where: str) -> None:
    """The CRC of every critical chunk (PNG 3rd edition §5.3), which Pillow skips for pixel data."""
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise BadImage(where, "is truncated")
        if name[:1].isupper() and zlib.crc32(memoryview(data)[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise BadImage(where, f"is damaged (the checksum of its {name.decode('latin-1')} chunk is wrong)")
        if name == b"IEND":
            return
        at = end + 4
    raise BadImage(where, "is truncated")


# ------------------------------------------------------------------------------------------------------------ reasons


class _Refused(Exception):
    """The file is sound, but what it holds has no agreed brightness."""


def _check_size(width: int, height: int, where: str) -> None:
    if width < 1 or height < 1:
        raise BadImage(where, f"is {width}×{height}: it holds no pixel")
    if width * height > MAX_PIXELS:
        raise BadImage(where, f"is {width}×{height} = {_mega(width * height)}, over the limit of {_mega(MAX_PIXELS)}")
    if max(width, height) > MAX_SIDE:
        raise BadImage(where, f"is {width}×{height}, over the limit of {MAX_SIDE} px a side")


def _mega(pixels: int) -> str:
    return f"{pixels / 1e9:.1f} gigapixels" if pixels >= 1e9 else f"{pixels / 1e6:.0f} megapixels"


def _reason(error: Exception, kind: str) -> str:
    said = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, _Refused):
        return said
    lowered = said.lower()
    if isinstance(error, EOFError) or any(word in lowered for word in ("truncat", "not enough", "unexpected end")):
        return "is truncated"
    if "not identified" in lowered or not said:
        return f"is a damaged {kind}: its header cannot be read"
    return f"is a damaged {kind} ({said})"
