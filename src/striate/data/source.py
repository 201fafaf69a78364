"""Where encoded files lie: in a folder or in a zip opened as it is.

Both list their files by relative names with forward slashes and read them whole, from any number of threads at once.
A zip is read by position (`pread`), so threads share one open file without a lock and without moving each other's
place; its members are checked against their CRC-32 as they are unpacked (PKWARE APPNOTE 6.3, §4.3.7, §4.4).
"""

import errno
import os
import stat
import struct
import threading
import weakref
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import final

from striate.data.badimage import BadImage
from striate.errors import StriateError, exhausted

__all__ = ["FolderSource", "Source", "ZipSource", "read_file"]

MAX_NBYTES = 1 << 30  # of one encoded file: a 178-megapixel image, uncompressed, takes 0.5 GiB in RGB
HEAD_NBYTES = 4096  # signatures lie in the first few bytes, but an SVG may open with a long declaration


class Source(ABC):
    """A set of files. Their names are relative, with forward slashes."""

    @abstractmethod
    def listing(self) -> tuple[list[str], list[str]]:
        """All files and all folders (an empty one cannot be told from the files), each sorted."""

    @abstractmethod
    def read(self, entry: str) -> bytes:
        """The whole file. Raises BadImage, naming it, when it cannot be read or is larger than any image may be."""

    @abstractmethod
    def head(self, entry: str) -> bytes:
        """The file's first bytes, enough to tell what it is. Raises BadImage as `read` does."""

    @abstractmethod
    def where(self, entry: str) -> str:
        """The file's path as a person would write it."""


@final
class FolderSource(Source):
    """Files under a folder `root`. Links are followed, but not back to a folder above."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def listing(self) -> tuple[list[str], list[str]]:
        files: list[str] = []
        folders: list[str] = []
        above: dict[str, list[tuple[int, int]]] = {}  # folder → the identities of it and of all above it
        for folder, below, names in os.walk(self.root, onerror=_unreadable, followlinks=True):
            status = Path(folder).stat()
            line = above.get(str(Path(folder).parent), [])
            if (status.st_dev, status.st_ino) in line:  # a link back to a folder above: it would never end
                below.clear()
                continue
            above[folder] = [*line, (status.st_dev, status.st_ino)]
            relative = Path(folder).relative_to(self.root)
            files += [(relative / name).as_posix() for name in names]
            if relative.parts:
                folders.append(relative.as_posix())
        return sorted(files), sorted(folders)

    def read(self, entry: str) -> bytes:
        return read_file(self.root / entry)

    def head(self, entry: str) -> bytes:
        return read_file(self.root / entry, HEAD_NBYTES)

    def where(self, entry: str) -> str:
        return str(self.root / entry)


@final
class ZipSource(Source):
    """Files inside a zip. Raises StriateError when `path` is no zip or is damaged at its end, where its list is."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
            self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except zipfile.BadZipFile as error:
            raise StriateError(f"{path} is not a whole zip file ({error}); copy or download it again") from error
        except OSError as error:
            raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
        weakref.finalize(self, os.close, self._descriptor)
        self._members = {member.filename: member for member in members if not member.is_dir()}
        self._folders = [member.filename.rstrip("/") for member in members if member.is_dir()]
        self._seek = threading.Lock()

    def __reduce__(self) -> tuple[type["ZipSource"], tuple[Path]]:
        """A process that this is sent to opens the zip itself."""
        return ZipSource, (self.path,)

    def listing(self) -> tuple[list[str], list[str]]:
        above = {str(folder) for name in self._members for folder in PurePosixPath(name).parents}
        return sorted(self._members), sorted(above.union(self._folders) - {"."})

    def where(self, entry: str) -> str:
        return f"{self.path}/{entry}"

    def head(self, entry: str) -> bytes:
        return self.read(entry)[:HEAD_NBYTES]

    def read(self, entry: str) -> bytes:
        where = self.where(entry)
        member = self._members.get(entry)
        if member is None:
            raise BadImage(where, "is not in the zip")
        if member.file_size > MAX_NBYTES:
            raise BadImage(where, _too_large())
        if member.flag_bits & 0x1:
            raise BadImage(where, "is encrypted; unpack the zip with its password and open the folder")
        try:
            data = _unpack(member, self._packed(member))
        except (OSError, zlib.error, struct.error) as error:
            raise BadImage(where, f"is damaged inside the zip ({error})") from error
        except NotImplementedError as error:
            raise BadImage(
                where, f"is packed by {error}, which is not read here; unpack the zip and open the folder"
            ) from error
        if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
            raise BadImage(where, "is damaged inside the zip (its checksum is wrong)")
        return data

    def _packed(self, member: zipfile.ZipInfo) -> bytes:
        header = self._pread(30, member.header_offset)  # the local header: its own name and extra field vary in length
        signature, name_length, extra_length = struct.unpack("<4s22x2H", header)
        if signature != b"PK\x03\x04":
            raise OSError("no file begins where the zip's list says")
        return self._pread(member.compress_size, member.header_offset + 30 + name_length + extra_length)

    def _pread(self, count: int, offset: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, count, offset)
        with self._seek:  # Windows has no pread
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, count)


def _unpack(member: zipfile.ZipInfo, packed: bytes) -> bytes:
    if member.compress_type == zipfile.ZIP_STORED:
        return packed
    if member.compress_type == zipfile.ZIP_DEFLATED:  # never more than the size the zip states, whatever is inside
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, max(1, member.file_size))
    raise NotImplementedError(f"method {member.compress_type}")


# Opening a pipe waits for somebody who writes to it, unless told not to wait; Windows has no such flag.
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_file(path: Path, count: int | None = None) -> bytes:
    """All of the file, or its first `count` bytes.

    Raises BadImage, naming it, when it cannot be read, is larger than any image may be, or is no file: a pipe would be
    waited for without an end, a device may give bytes without an end.
    """
    try:
        descriptor = os.open(path, _OPEN)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadImage(str(path), f"is {_kind(status.st_mode)}, not an image")
            if count is not None:
                return _up_to(descriptor, count)
            if status.st_size <= MAX_NBYTES:
                data = _up_to(descriptor, status.st_size + 1)
                if len(data) > status.st_size:  # it grows, or the system makes it up, as /proc's files
                    data += _up_to(descriptor, MAX_NBYTES + 1 - len(data))
                if len(data) <= MAX_NBYTES:
                    return data
            raise BadImage(str(path), _too_large())
        finally:
            os.close(descriptor)
    except ValueError as error:
        raise BadImage(str(path), f"has a name that no file can have ({error})") from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # what opening a socket answers
            raise BadImage(str(path), "is a socket, not an image") from error
        if exhausted(error) is not None:  # no fault of the file's: left out, it would be missed without a word
            raise
        raise BadImage(str(path), _reason(error)) from error


def _up_to(descriptor: int, count: int) -> bytes:
    data = os.read(descriptor, count)
    while 0 < len(data) < count and (more := os.read(descriptor, count - len(data))):
        data += more
    return data


def _kind(mode: int) -> str:
    """What is no file."""
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _unreadable(error: OSError) -> None:
    raise StriateError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def _too_large() -> str:
    return f"is larger than {MAX_NBYTES >> 30} GiB, more than an image within the pixel limit needs"


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not an image"
    if isinstance(error, PermissionError):
        return "may not be read (its permissions)"
    return f"cannot be read ({error.strerror or error})"
