"""What a file on the network must be: as its publisher states, or else as it was when first seen.

A checksum of our own making would prove only that a file is the one we once had. So either the publisher states one
and we say where, or the first download is recorded beside the file (`name.seen.json`: size and SHA-256) and every
later one is held to that.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from striate.atomic import write_bytes
from striate.errors import StriateError

__all__ = ["Remote", "differs"]


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file somewhere: the same bytes at each of `urls`, tried in turn.

    `size` in bytes, `md5` and `sha256` (or its beginning) are what the publisher states, where `stated_at` says.
    """

    urls: tuple[str, ...]
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None  # where a publisher states the beginning of it, in the file's name for instance
    stated_at: str = ""


def differs(arrived: Path, remote: Remote, path: Path, url: str) -> str | None:
    """How the file `arrived`, meant for `path`, differs from what `remote` states, or was at first sight; else None."""
    size = arrived.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"{size} bytes arrived where {remote.stated_at} states {remote.size}; they were thrown away"
    for algorithm, stated in (("md5", remote.md5), ("sha256", remote.sha256)):
        found = None if stated is None else _digest(arrived, algorithm)
        if found != stated:
            return f"its {algorithm} is {found} where {remote.stated_at} states {stated}; it was thrown away"
    if remote.md5 is None and remote.sha256 is None:
        found = _digest(arrived, "sha256")
        if not found.startswith(remote.sha256_prefix or ""):
            return f"its sha256 is {found} where {remote.stated_at} says {remote.sha256_prefix}…; it was thrown away"
        return _differs_from_first(path, size, found, url)
    return None


def _differs_from_first(path: Path, size: int, sha256: str, url: str) -> str | None:
    record = path.with_name(path.name + ".seen.json")
    if not record.exists():
        seen = {"size": size, "sha256": sha256, "url": url, "first_seen": time.strftime("%Y-%m-%d", time.gmtime())}
        write_bytes(record, (json.dumps(seen, indent=2) + "\n").encode())
        return None
    try:
        first = json.loads(record.read_bytes())
        first_size, first_sha256 = first["size"], first["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StriateError(f"{record} cannot be read ({error}); delete it to trust the next download") from error
    if (first_size, first_sha256) == (size, sha256):
        return None
    day = first.get("first_seen", "an unknown day")
    return (
        f"its {size} bytes are not the {first_size} bytes first seen on {day}; it was thrown away. If the publisher "
        f"has changed the file on purpose, delete {record}"
    )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
