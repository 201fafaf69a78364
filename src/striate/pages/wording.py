"""How numbers are put into words: the same value reads the same everywhere on the page.

A dash stands for "there is none". A narrow no-break space keeps a number and its unit on one line (ISO 80000-1, 7.1.4).
"""

import calendar
import datetime
import math
import unicodedata

__all__ = [
    "DASH",
    "columns_of",
    "compact",
    "decimal",
    "duration",
    "elide",
    "isolate",
    "memory",
    "moment",
    "part_word",
    "percent",
    "plain_percent",
    "plural",
    "shape",
    "whole",
]

DASH = "–"
GAP = "\u202f"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def percent(share: float | None, of: int | None = None) -> str:
    """A share of 1 as per cent, with as many digits as `of` images can carry; 100 % and 0 % only when it is so.

    >>> print(" | ".join(map(percent, (356 / 360, 0.9987), (360, 10000))).replace(GAP, " "))
    98.9 % | 99.87 %
    >>> print(" | ".join(map(percent, (0.999999, 1, None))).replace(GAP, " "))
    99.9999 % | 100 % | –
    """
    if share is None or math.isnan(share):
        return DASH
    if share in (0, 1):
        return f"{100 * share:.0f}{GAP}%"
    return f"{_hundredths(share, 2 if of is not None and of >= 2000 else 1)}{GAP}%"  # one image in 2,000 is 0.05 %


def plain_percent(share: float, digits: int) -> str:
    """The same for a terminal, with `digits` places or as many as it takes to say that not all were right.

    >>> print(*(plain_percent(share, 2) for share in (0.98888, 0.99996, 1, 0, 2e-6)))
    98.89% 99.996% 100.00% 0.00% 0.0002%
    """
    return f"{_hundredths(share, digits)}%"


def whole(number: int) -> str:
    """Digits in groups of three.

    >>> print(whole(61706))
    61,706
    """
    return f"{number:,}"


def plural(number: int, noun: str, many: str | None = None) -> str:
    """A number of things.

    >>> print(plural(1, "image"), "|", plural(2062, "image"), "|", plural(10, "class", "classes"))
    1 image | 2,062 images | 10 classes
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def part_word(part: str) -> str:
    """A part of a data set, as a person reads of it.

    >>> print(part_word("train"), part_word("val"), part_word("test"))
    training validation test
    """
    return {"train": "training", "val": "validation"}.get(part, part)


def compact(number: float) -> str:
    """Three digits and a metric prefix: for parameters, multiply-adds, images per second.

    >>> print(" | ".join(map(compact, (416520, 25557032, 15.47e9, 61, 8.25, 999.96))).replace(GAP, " "))
    417 k | 25.6 M | 15.5 G | 61 | 8.25 | 1.00 k
    """
    if not math.isfinite(number):
        return DASH
    for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 0.9995 * power:  # 999.5 would be rounded to "1000": it belongs to the next prefix
            return f"{_three_digits(number / power)}{GAP}{prefix}"
    return str(int(number)) if number == int(number) else _three_digits(number)


def decimal(number: float | None, digits: int = 3) -> str:
    """Three significant digits; powers of ten below 0.0001, of `digits` at most. NaN and infinity are said, since a
    loss may be either.

    >>> print(*map(decimal, (0.05213, 2.3, 0.1, 0.0, 2.5e-5, 12345.6, math.nan, None)), sep=" | ")
    0.0521 | 2.30 | 0.1 | 0 | 2.5×10⁻⁵ | 12,346 | not a number | –
    """
    if number is None:
        return DASH
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return "infinite" if number > 0 else "minus infinite"
    if number == 0:
        return "0"
    if not 1e-4 <= abs(number) < 1e6:
        mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}×10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return _three_digits(number)


def duration(seconds: float) -> str:
    """The two largest units.

    >>> print(" | ".join(map(duration, (0.42, 12.34, 59.96, 245, 7512, 180000))).replace(GAP, " "))
    0.42 s | 12.3 s | 1 min 00 s | 4 min 05 s | 2 h 05 min | 2 d 2 h
    """
    if not math.isfinite(seconds):
        return DASH
    if seconds < 0.995:
        return f"{seconds:.2f}{GAP}s"
    if seconds < 59.95:
        return f"{seconds:.1f}{GAP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{GAP}min {rest:02d}{GAP}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours}{GAP}h {minutes:02d}{GAP}min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days}{GAP}d {hours}{GAP}h"


def memory(nbytes: int | None) -> str:
    """Binary prefixes, as memory is sold.

    >>> print(" | ".join(map(memory, (432013312, 3 << 30, 512, None))).replace(GAP, " "))
    412 MiB | 3.00 GiB | 512 B | –
    """
    if nbytes is None:
        return DASH
    for power, prefix in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= power:
            return f"{_three_digits(nbytes / power)}{GAP}{prefix}"
    return f"{nbytes}{GAP}B"


def moment(iso: str) -> str:
    """A point in time for people; a text that is no ISO 8601 is shown as it is.

    >>> print(moment("2026-03-09T14:05:33+00:00"), moment("2026-03-09T14:05:33"), moment("yesterday"), sep=" | ")
    9 March 2026, 14:05 UTC | 9 March 2026, 14:05 | yesterday
    """
    try:
        then = datetime.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{then.day} {calendar.month_name[then.month]} {then.year}, {then:%H:%M} {then.tzname() or ''}".rstrip()


def shape(sizes: tuple[int, ...]) -> str:
    """The sizes of an array.

    >>> print(shape((6, 28, 28)), "|", shape((10,)))
    6 × 28 × 28 | 10
    """
    return " × ".join(map(str, sizes))


def elide(text: str, columns: int) -> str:
    """`text` cut to `columns` columns, with an ellipsis; East Asian wide characters take two, combining marks none.

    >>> print(elide("golden retriever", 8), elide("ant", 8), elide("数字の七", 5))
    golden… ant 数字…
    """
    if sum(map(columns_of, text)) <= columns:
        return text
    kept, used = "", 1  # the ellipsis takes one
    for character in text:
        used += columns_of(character)
        if used > columns:
            break
        kept += character
    return kept.rstrip() + "…"


def isolate(name: str) -> str:
    """`name` as part of a sentence: where it is written from right to left, between isolates (Unicode Annex 9), so that
    it cannot drag the numbers beside it along.

    >>> isolate("ants"), isolate("חתול") == "\u2068חתול\u2069"
    ('ants', True)
    """
    rightward = {"R", "AL", "RLE", "RLO", "RLI", "AN"}
    return f"\u2068{name}\u2069" if rightward & set(map(unicodedata.bidirectional, name)) else name


def columns_of(character: str) -> int:
    """How many columns of a fixed-width terminal one character takes (Unicode Annex 11): a fair guess at its width."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _hundredths(share: float, digits: int) -> str:
    """100 · share, with more digits where these would round it to 0 or 100 and it is neither."""
    while 0 < share < 1 and digits < 9 and float(f"{100 * share:.{digits}f}") in (0.0, 100.0):
        digits += 1
    return f"{100 * share:.{digits}f}"


def _three_digits(number: float) -> str:
    """Three significant digits, no exponent; below 1 without trailing zeros (a rate of 0.1 is no measurement)."""
    text = f"{number:#.3g}"
    if "e" in text and abs(number) >= 1:
        return f"{number:,.0f}"
    if "e" in text:
        text = f"{number:.6f}"
    return text.rstrip("0").rstrip(".") if abs(number) < 0.9995 else text.rstrip(".")
