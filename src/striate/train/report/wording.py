"""How numbers are put into words: the same value reads the same everywhere on the page.

A dash stands for "there is none". Narrow no-break spaces keep a number and its unit on one line.
"""

import math

__all__ = ["DASH", "compact", "decimal", "duration", "elide", "memory", "percent", "plural", "shape", "whole"]

DASH = "–"
THIN = "\u202f"  # narrow no-break space, between a number and its unit (ISO 80000-1, 7.1.4)
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def percent(share: float | None, of: int | None = None) -> str:
    """A share of 1 as per cent, with as many digits as `of` images can carry; 100 % and 0 % only when it is so.

    >>> percent(356 / 360, of=360), percent(9999.9 / 10000, of=10000), percent(1.0)
    ('98.9\u202f%', '99.999\u202f%', '100\u202f%')
    """
    if share is None or math.isnan(share):
        return DASH
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", f"{THIN}%")
    digits = 2 if of is not None and of >= 2000 else 1  # one image in 2,000 is 0.05 %
    while digits < 9 and float(f"{100 * share:.{digits}f}") in (0.0, 100.0):
        digits += 1
    return f"{100 * share:.{digits}f}{THIN}%"


def whole(number: int) -> str:
    """
    >>> whole(61706)
    '61,706'
    """
    return f"{number:,}"


def plural(number: int, noun: str, many: str | None = None) -> str:
    """
    >>> plural(1, "image"), plural(2062, "image"), plural(10, "class", "classes")
    ('1 image', '2,062 images', '10 classes')
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def compact(number: float) -> str:
    """Three digits and a metric prefix: for parameters, multiply-adds, speeds.

    >>> compact(416520), compact(25557032), compact(15.47e9), compact(61), compact(8.25)
    ('417 k', '25.6 M', '15.5 G', '61', '8.25')
    """
    if not math.isfinite(number):
        return DASH
    for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999.5 would be rounded to "1000"; it belongs to the next prefix.
        if abs(number) >= 0.9995 * power:
            return f"{_significant(number / power)}{THIN}{prefix}".replace(THIN, " ")
    return _significant(number)


def decimal(number: float | None) -> str:
    """Three significant digits; powers of ten below 0.001. NaN and infinity are said, since a loss may be either.

    >>> decimal(0.05213), decimal(2.3026), decimal(0.0), decimal(3e-5), decimal(math.nan), decimal(None)
    ('0.0521', '2.30', '0', '3×10⁻⁵', 'not a number', '–')
    """
    if number is None:
        return DASH
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return "infinite" if number > 0 else "minus infinite"
    if number == 0:
        return "0"
    if not 1e-3 <= abs(number) < 1e6:
        mantissa, exponent = f"{number:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}×10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return _significant(number)


def duration(seconds: float) -> str:
    """
    >>> duration(0.42), duration(12.34), duration(245), duration(7512), duration(180000)
    ('0.42 s', '12.3 s', '4 min 05 s', '2 h 05 min', '2 d 2 h')
    """
    if not math.isfinite(seconds):
        return DASH
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def memory(nbytes: int | None) -> str:
    """
    >>> memory(432013312), memory(3 << 30), memory(512), memory(None)
    ('412 MiB', '3.00 GiB', '512 B', '–')
    """
    if nbytes is None:
        return DASH
    for power, prefix in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= power:
            return f"{_significant(nbytes / power)} {prefix}"
    return f"{nbytes} B"


def shape(sizes: tuple[int, ...]) -> str:
    """
    >>> shape((6, 28, 28)), shape((10,))
    ('6 × 28 × 28', '10')
    """
    return " × ".join(map(str, sizes))


def elide(text: str, columns: int) -> str:
    """`text` cut to `columns` columns, with an ellipsis; East Asian wide characters take two, combining marks none.

    >>> elide("golden retriever", 8), elide("ant", 8), elide("数字の七", 5)
    ('golden…', 'ant', '数字…')
    """
    import unicodedata

    def width(character: str) -> int:
        if unicodedata.combining(character):
            return 0
        return 2 if unicodedata.east_asian_width(character) in "WF" else 1

    if sum(map(width, text)) <= columns:
        return text
    kept, used = "", 1  # the ellipsis
    for character in text:
        used += width(character)
        if used > columns:
            break
        kept += character
    return kept.rstrip() + "…"


def _significant(number: float) -> str:
    """Three significant digits, never an exponent, for 0.001 <= |number| < 1000."""
    size = abs(number)
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 2 - math.floor(math.log10(size)) - 1 if size else 0
    text = f"{number:.{digits}f}"
    return text if size >= 0.9995 else text.rstrip("0").rstrip(".")
