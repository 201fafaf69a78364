"""Downloads that survive a dropped line and cannot put a wrong file in a right place.

A file grows as `name.part` beside where it belongs, with a note of which version it is a part of (its ETag or date),
and is resumed from there by an HTTP range request that the server answers only for that same version (RFC 9110,
§13.1.5 If-Range, §14 Range Requests). When all is there it is compared with what its publisher states (size, MD5 or
SHA-256); where a publisher states nothing, with what was seen first, which is recorded beside it. Only then is it
renamed to its name, which is atomic: a file under its name is always whole and right.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from striate import __version__
from striate.atomic import sync_folder, why_not_written, write_bytes
from striate.download.remote import Remote, differs
from striate.errors import StriateError, one_line
from striate.lock import is_at, lock

__all__ = ["Patience", "fetch"]

CHUNK_NBYTES = 1 << 18
LONGEST_TOLD = 200  # characters of what a server says
Progress = Callable[[str, int, int], None]  # (file name, bytes so far, bytes in all or 0 where unknown)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to insist: `attempts` in a row that bring no byte, `wait` seconds after the first and twice that after
    each next (at most a minute), `timeout` seconds without an answer."""

    attempts: int = 5
    wait: float = 1.0
    timeout: float = 30.0


def fetch(
    remote: Remote,
    path: Path,
    *,
    moved_by: str,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Path:
    """Make sure that `path` is there, and return it; what is there already is not looked at again.

    `moved_by` is the option or variable that names another folder, for whom this one cannot be written by.
    Raises StriateError, one line, when no address answers, the disk is full, or what arrives is not what was stated.
    """
    if path.exists():
        return path
    transfer = _Transfer(path, progress, patience or Patience())
    failures: dict[str, list[str]] = {}
    with _writing(path, moved_by):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _part(path) as part:
            if path.exists():  # another process was downloading it, and has finished
                return path
            for url in remote.urls:
                try:
                    transfer.complete(url, part, remote)
                except _FailedError as error:
                    failures.setdefault(str(error), []).append(urllib.parse.urlsplit(url).netloc)
                    continue
                os.fsync(part.fileno())
                os.replace(part.name, path)
                _note_path(path).unlink(missing_ok=True)
                sync_folder(path.parent)
                return path
    reasons = "; ".join(f"{', '.join(hosts)}: {reason}" for reason, hosts in failures.items())
    raise StriateError(
        f"cannot download {path.name} ({reasons}); run the command again later, it goes on where it stopped, or put "
        f"the file into {path.parent} yourself"
    )


class _FailedError(Exception):
    """This address will not do; the message says why in a few words."""


class _DroppedError(Exception):
    """The line broke or the server is busy; worth another attempt."""


class _OfflineError(_DroppedError):
    """The address cannot be looked up: hopeless at the start, worth waiting for in the middle."""


@dataclass(frozen=True)
class _Transfer:
    """The way of one file from an address into the part beside its place."""

    path: Path
    progress: Progress | None
    patience: Patience

    def complete(self, url: str, part: BinaryIO, remote: Remote) -> None:
        """Bring `part` to its end, and check it; a resumed one that turns out wrong is begun once more."""
        while True:
            resumed = self._resumes(url, part)
            self._insist(url, part)
            wrong = differs(Path(part.name), remote, self.path, url)
            if wrong is None:
                return
            self._restart(part)  # nothing of a wrong file is worth keeping
            if not resumed:
                raise _FailedError(wrong)

    def _resumes(self, url: str, part: BinaryIO) -> bool:
        """Whether `part` begins a version of `url` that can be asked for by its name; else it is emptied."""
        note = _read_note(self.path)
        if _length(part) and note.get("url") == url and note.get("version"):
            return True
        self._restart(part)
        return False

    def _insist(self, url: str, part: BinaryIO) -> None:
        fruitless, begun = 0, False
        furthest = _length(part)  # ever: a server that has us begin anew each time brings no byte
        while True:
            try:
                return self._continue(url, part)
            except _DroppedError as error:
                moved = _length(part) > furthest
                begun, fruitless = begun or moved, 0 if moved else fruitless + 1
                furthest = max(furthest, _length(part))
                if fruitless >= self.patience.attempts or (isinstance(error, _OfflineError) and not begun):
                    raise _FailedError(str(error)) from error
                time.sleep(min(60.0, self.patience.wait * 2 ** max(0, fruitless - 1)))

    def _continue(self, url: str, part: BinaryIO) -> None:
        """One request, for what `part` lacks."""
        have, note = _length(part), _read_note(self.path)
        version = note.get("version")
        if have and note.get("total") == str(have):  # all was there, and the process died before it said so
            return
        headers = {"User-Agent": f"striate/{__version__}", "Accept-Encoding": "identity"}
        if have and version:
            headers |= {"Range": f"bytes={have}-", "If-Range": version}
        request = urllib.request.Request(url, headers=headers)
        with self._sorted_failures(part), urllib.request.urlopen(request, timeout=self.patience.timeout) as answer:
            if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                self._restart(part)
                raise _DroppedError("the server sent another piece than it was asked for")
            if answer.status != 206:  # all of it: nothing else was asked for, or it has changed, or ranges are unknown
                self._restart(part)
                have = 0
            length = answer.headers.get("Content-Length", "")
            total = have + int(length) if length.isdecimal() else 0
            whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if answer.status == 206 and whole.isdecimal():  # a server may send less than it was asked for (§14.2)
                total = int(whole)
            if have == 0:
                _write_note(self.path, url, answer.headers, total)
            while chunk := answer.read(CHUNK_NBYTES):
                part.write(chunk)
                have += len(chunk)
                if self.progress is not None:
                    self.progress(self.path.name, have, total)
        part.flush()
        if have < total:
            raise _DroppedError(f"the connection broke after {have} of {total} bytes")

    @contextlib.contextmanager
    def _sorted_failures(self, part: BinaryIO) -> Iterator[None]:
        """Sort what can go wrong with a request into what is worth another attempt and what is not."""
        try:
            yield
        except urllib.error.HTTPError as error:
            with error:
                said = f"HTTP {error.code} {_told(error.reason)}"
            if error.code == 416:  # the part is longer than the file now is
                self._restart(part)
                raise _DroppedError(said) from error
            if error.code in (408, 425, 429) or error.code >= 500:
                raise _DroppedError(said) from error
            raise _FailedError(said) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, socket.gaierror):
                raise _OfflineError("its address cannot be looked up; is this machine offline?") from error
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise _FailedError(f"its certificate is not trusted ({error.reason.verify_message})") from error
            raise _DroppedError(f"no connection ({_told(error.reason)})") from error
        except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            raise _DroppedError(f"the connection broke ({_told(error)})") from error
        except ValueError as error:  # urllib's, of an address that it was sent on to
            raise _FailedError(f"it answers with what is no address ({_told(error)})") from error

    def _restart(self, part: BinaryIO) -> None:
        part.seek(0)
        part.truncate()
        _note_path(self.path).unlink(missing_ok=True)


def _told(said: object) -> str:
    """What a server, or Python about it, has to say."""
    return one_line(str(said), LONGEST_TOLD) or type(said).__name__


# ------------------------------------------------------------------------------------------------- notes beside a file


def _part_path(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + ".part.json")


def _read_note(path: Path) -> dict[str, str]:
    try:
        note = json.loads(_note_path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: str(value) for key, value in note.items()} if isinstance(note, dict) else {}


def _write_note(path: Path, url: str, headers: http.client.HTTPMessage, total: int) -> None:
    """Which version the part belongs to: its strong ETag, else its date (RFC 9110 §13.1.5 allows no weak one)."""
    etag = headers.get("ETag", "")
    version = etag if etag.startswith('"') else headers.get("Last-Modified", "")
    write_bytes(_note_path(path), json.dumps({"url": url, "version": version, "total": total}).encode())


def _length(part: BinaryIO) -> int:
    return part.seek(0, os.SEEK_END)


# ------------------------------------------------------------------------------------------------------------ the disk


@contextlib.contextmanager
def _part(path: Path) -> Iterator[BinaryIO]:
    """The growing file, held by this process alone: another that wants the same one waits here. Never left empty."""
    while True:
        with _part_path(path).open("a+b") as part:
            lock(part, wait=True)
            if not is_at(part, _part_path(path)):
                continue  # who held it has finished meanwhile, and the name is free
            try:
                yield part
            finally:
                if is_at(part, _part_path(path)) and not _length(part):
                    _part_path(path).unlink()
                    _note_path(path).unlink(missing_ok=True)
            return


@contextlib.contextmanager
def _writing(path: Path, moved_by: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = why_not_written(error, again="run the command again, it goes on where it stopped", elsewhere=moved_by)
        raise StriateError(f"cannot write {path}: {why}") from error
