"""Connections to a store: SQLite in WAL mode, PostgreSQL by psycopg; what goes wrong is told without a password."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from pipechaos.errors import ConfigError, MissingExtraError
from pipechaos.store.address import Address
from pipechaos.store.records import StoreError

__all__ = ["connect", "telling", "writing"]

_WAIT_SECONDS = 30  # for another process that writes
_WRITE = "pipechaos_write"


def connect(address: Address) -> sa.Engine:
    """Engine of a store; nothing is opened yet.

    Raises
    ------
    ConfigError
        The URL cannot be read.
    MissingExtraError
        The driver is not installed.
    """
    if address.file is not None:
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(address.file)), hide_parameters=True)
        sa.event.listen(engine, "connect", _sqlite_session)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine
    try:
        url = sa.make_url(address.url)
    except (ArgumentError, ValueError):  # its text may repeat a part of the password
        raise _unreadable(address) from None
    if "@" in (url.host or ""):
        raise _unreadable(address)
    try:
        engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except ModuleNotFoundError as exc:
        raise MissingExtraError(str(exc.name), "postgres") from None
    sa.event.listen(engine, "connect", _postgres_session)
    return engine


def _unreadable(address: Address) -> ConfigError:
    return ConfigError(
        f"the store's URL {address.shown} cannot be read: write postgresql://USER:${{PASSWORD}}@HOST:PORT/DATABASE, "
        "and %40 for an @ in a password that stands in it"
    )


def writing(engine: sa.Engine) -> sa.Engine:
    """The same engine, whose transactions take SQLite's write lock when they begin: none fails half way."""
    return engine.execution_options(**{_WRITE: True})


def _sqlite_session(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # BEGIN is ours: the driver's own comes too late for DDL and for the lock
    connection.execute(f"PRAGMA busy_timeout = {1000 * _WAIT_SECONDS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    _wal(connection)


def _wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; two that switch a new file at once do not wait for each other by themselves."""
    for left in range(100, -1, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or not left:
                raise
            time.sleep(0.05)


def _sqlite_begin(connection: sa.Connection) -> None:
    wanted = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if wanted else "BEGIN")


def _postgres_session(connection: Any, _: object) -> None:
    from psycopg.types.string import TextLoader

    connection.adapters.register_loader("json", TextLoader)  # it is parsed once, by who wants it


@contextmanager
def telling(address: Address) -> Iterator[None]:
    """Turn what a database says into one clear error."""
    try:
        yield
    except IntegrityError as exc:
        raise StoreError(f"the store {address.shown} refused a row: {_first_line(exc)}") from None
    except DBAPIError as exc:
        raise StoreError(
            f"the store {address.shown} cannot be used: {_first_line(exc)}. See that it is there, that it may be "
            "written to, and that no other process keeps it locked."
        ) from None
    except StatementError as exc:  # it did not come as far as the database
        raise StoreError(f"the store {address.shown} cannot take that: {_first_line(exc)}") from None
    except SQLAlchemyError as exc:
        raise StoreError(f"the store {address.shown} cannot be used: {type(exc).__name__}") from None


def _first_line(exc: StatementError) -> str:
    return str(exc.orig).strip().partition("\n")[0]
