"""The one storage that every process of a search works on: SQLite, a journal file, or any database Optuna knows.

    sqlite:///searches/mine/study.db     the default, in the search's folder; for processes of one machine
    journal:/shared/mine.journal         a file that only grows; for machines that share a disk, NFS included
    mysql://…, postgresql://…            a database server; for any number of machines

A queue needs a trial to be taken by one process only. Databases lock the row between reading and writing it; SQLite
knows no row locks, so here each of its transactions takes the lock for writing as it begins.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, final

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from striate.errors import StriateError

__all__ = ["absolute", "open_storage", "sqlite_url", "without_password"]

JOURNAL = "journal:"
ATTEMPTS = 10  # to find a new database's tables made, 2.25 s in all
CHUNK = 4096  # bytes read backwards at a time, for the end of the last line
BUSY_SECONDS = 120  # how long to wait for SQLite's lock: each transaction takes milliseconds


def open_storage(url: str) -> BaseStorage:
    """The storage of that address, made where it does not exist. Raises StriateError when it cannot be reached."""
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(Journal(path.absolute()))
        except OSError as error:
            raise StriateError(f"--storage {url}: cannot write {path}: {error.strerror}") from error
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:  # Optuna's, of its lines
            raise StriateError(f"--storage {url}: {path} is no journal of a search; name another file") from error
    if "://" not in url:
        raise StriateError(
            f"--storage {url}: expected an address such as sqlite:///search.db, journal:/shared/search.journal "
            "or mysql://user@host/database"
        )
    local = url.startswith("sqlite")
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if local else {"pool_pre_ping": True}
    try:
        if local and make_url(url).database in (None, "", ":memory:"):
            raise ValueError("a database in memory cannot be shared; name a file, sqlite:///search.db")
        storage = _with_tables(url, options)
    except (SQLAlchemyError, ImportError, ValueError, OSError) as error:
        reason = " ".join(str(error).split()).partition(" (Background on this error")[0]
        raise StriateError(f"--storage {without_password(url)}: {reason}") from error
    if local:
        _lock_as_a_transaction_begins(storage.engine)
    return storage


def _with_tables(url: str, options: Mapping[str, Any]) -> RDBStorage:
    """The database with its tables. Of processes that come to a new one at once all but one fail to make them, and
    find them made the next time.
    """
    for attempt in range(ATTEMPTS):
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except (OperationalError, IntegrityError) as error:
            made_twice = "already exists" in str(error) or isinstance(error, IntegrityError)
            if not made_twice or attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.05 * (attempt + 1))
    raise AssertionError("the last attempt returns or raises")


@final
class Journal(JournalFileBackend):
    """Optuna's file of lines, which a full disk or a crash in the middle of a line does not spoil.

    Its path is absolute: the lock is a link that bears the file's name, and a relative one leads nowhere from another
    folder, so that a lock whose owner was killed would never be found out.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path, self._guard = path, JournalFileSymlinkLock(str(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add whole lines. What is left of a line that nobody finished is cut off: all who write hold the lock."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self._guard.acquire()
        try:
            with self._path.open("r+b") as file:
                end = _end_of_lines(file)
                file.truncate(end)
                file.seek(end)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._guard.release()


def _end_of_lines(file: BinaryIO) -> int:
    """The place behind the last line that is whole."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - CHUNK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def absolute(url: str) -> str:
    """The address as it is from any folder.

    >>> absolute("mysql://ada@host/trials"), absolute("journal:/shared/a.journal"), absolute("sqlite:////all.db")
    ('mysql://ada@host/trials', 'journal:/shared/a.journal', 'sqlite:////all.db')
    """
    if url.startswith(JOURNAL):
        return f"{JOURNAL}{Path(url.removeprefix(JOURNAL)).absolute()}"
    if not url.startswith("sqlite"):
        return url
    parsed = make_url(url)
    if not parsed.database or parsed.database.startswith("file:"):  # SQLite's own addresses
        return url
    return parsed.set(database=str(Path(parsed.database).absolute())).render_as_string(hide_password=False)


def sqlite_url(path: Path) -> str:
    """The address of a database in a file, whatever the characters of its name.

    >>> sqlite_url(Path("/searches/why?/study.db"))
    'sqlite:////searches/why%3F/study.db'
    """
    return URL.create("sqlite", database=str(path)).render_as_string()


def without_password(url: str) -> str:
    """
    >>> without_password("mysql://ada:secret@host/trials"), without_password("sqlite:///a.db")
    ('mysql://ada:…@host/trials', 'sqlite:///a.db')
    """
    scheme, mark, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{scheme}{mark}{user}{':…' if colon else ''}{at}{place}"


def _lock_as_a_transaction_begins(engine: Engine) -> None:
    """BEGIN IMMEDIATE, which Python's driver would put off until the first write: SQLAlchemy's own recipe for it."""

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections from before do not know it
