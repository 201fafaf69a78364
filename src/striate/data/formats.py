"""Which image format a file's first bytes announce, and what else it is when it is none.

Signatures: ITU-T T.81 B.2.1 (JPEG), PNG 3rd edition §5.2, RFC 9649 (WebP), TIFF 6.0 p. 13 and BigTIFF, GIF89a §17,
Netpbm's format pages; ISO/IEC 14496-12 (`ftyp`) for the foreign ones.
"""

import re

__all__ = ["EXTENSIONS", "FORMATS", "format_of", "what_else"]

FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF or PNM"

_COMMON = [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"]
EXTENSIONS = frozenset([*_COMMON, ".pbm", ".pgm", ".ppm", ".pnm"])

_READ_HERE = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "BMP": re.compile(rb"BM"),
    "TIFF": re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "PNM": re.compile(rb"P[1-6][\s#]"),
}
# What else is found among images: the most exact first.
_FOREIGN = {
    "a HEIC picture": re.compile(rb"....ftyp(heic|heix|hevc|mif1|msf1)", re.DOTALL),
    "an AVIF picture": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "a video": re.compile(rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL),
    "a web page": re.compile(rb"\s*<(!doctype html|html|head|body)", re.IGNORECASE),
    "an SVG drawing": re.compile(rb"\s*(<\?xml.{0,400})?<svg", re.IGNORECASE | re.DOTALL),
    "a PDF": re.compile(rb"%PDF"),
    "a zip": re.compile(rb"PK\x03\x04"),
    "a Photoshop document": re.compile(rb"8BPS"),
    "a JPEG 2000 picture": re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
}


def format_of(head: bytes) -> str | None:
    """The format that a file's first bytes (16 are enough) announce, or None.

    >>> format_of(b"GIF89a"), format_of(b"hello")
    ('GIF', None)
    """
    return next((kind for kind, signature in _READ_HERE.items() if signature.match(head)), None)


def what_else(data: bytes) -> str:
    """Why `data`, which is none of the formats read here, is not: a reason in plain words.

    >>> what_else(b"%PDF-1.7")
    'is a PDF, not an image that is read here (JPEG, PNG, WebP, BMP, TIFF, GIF or PNM)'
    """
    if not data:
        return "is empty"
    if not data.strip(b"\0"):
        return "is not an image (nothing but zero bytes)"
    foreign = next((kind for kind, signature in _FOREIGN.items() if signature.match(data)), None)
    if foreign is not None:
        return f"is {foreign}, not an image that is read here ({FORMATS})"
    return f"is not an image ({FORMATS})"
