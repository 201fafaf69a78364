"""The one storage that every process of a search works on: SQLite, a journal file, or any database Optuna knows.

    sqlite:///searches/mine/study.db     the default, in the search's folder; for processes of one machine
    journal:/shared/mine.journal         a file that only grows; for machines that share a disk, NFS included
    mysql://…, postgresql://…            a database server; for any number of machines

A queue needs a trial to be taken by one process only. Databases lock the row between reading and writing it; SQLite
knows no row locks, so here each of its transactions takes the lock for writing as it begins.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from striate.errors import StriateError

__all__ = ["open_storage", "sqlite_url", "without_password"]

JOURNAL = "journal:"
ATTEMPTS = 10  # to find a new database's tables made, 2.25 s in all
BUSY_SECONDS = 120  # how long to wait for SQLite's lock: each transaction takes milliseconds


def open_storage(url: str) -> BaseStorage:
    """The storage of that address, made where it does not exist. Raises StriateError when it cannot be reached."""
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(path)))
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
