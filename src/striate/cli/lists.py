"""Several values in one argument: names and numbers with commas between, sides with an x.

A name or number that is there twice counts once: measured twice, it would count twice in every mean.
"""

from striate.cli.failure import UsageError

__all__ = ["sides", "whole_numbers", "words"]


def words(text: str) -> list[str]:
    """Names with commas between, and perhaps spaces.

    >>> words("svm, nearest mean,svm,")
    ['svm', 'nearest mean']
    """
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def whole_numbers(option: str, text: str, example: str, *, least: int = 1) -> list[int]:
    """Numbers with commas between, in their order. Raises UsageError, with the example, for all else."""
    found = words(text)
    if not found or not all(word.isdecimal() and int(word) >= least for word in found):
        from_ = "" if least < 1 else f" from {least} on"
        raise UsageError(f"{option} {text}: expected whole numbers{from_} with commas between, e.g. {example}")
    return list(dict.fromkeys(int(word) for word in found))


def sides(option: str, text: str, example: str) -> list[int]:
    """Numbers from 1 on with x between, as many as in the example. Raises UsageError for all else."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != example.count("x") + 1 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"{option} {text}: expected whole numbers such as {example}")
    return [int(part) for part in parts]
