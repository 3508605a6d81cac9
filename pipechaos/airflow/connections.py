"""Airflow connections: of databases their URL, of stores their file system, and the way the former lead to a copy."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pipechaos.errors import ConfigError

if TYPE_CHECKING:
    from pipechaos.batch.connections import Resolver

__all__ = ["POSTGRES", "connection_of", "filesystem_of", "led", "postgres_url", "resolver", "url_of"]

POSTGRES = ("postgres", "postgresql")
# what libpq takes; the rest of a connection's extra is for the hook
_EXTRAS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "connect_timeout", "application_name", "options",
    "target_session_attrs", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
)  # fmt: skip


def url_of(connection_id: str) -> str:
    """URL of the database of a connection, looked up when the task runs. It holds the password: keep it nowhere.

    Parameters
    ----------
    connection_id
        Of type ``postgres``, or ``duckdb`` with the file's path as its host.

    Raises
    ------
    ConfigError
        There is no such connection, it is of another type, or its password is made anew for each session.
    """
    connection = connection_of(connection_id)
    kind = connection.conn_type
    if kind == "duckdb":
        path = connection.host or (f"/{connection.schema}" if connection.schema else "")
        return f"duckdb:///{path}"
    if kind not in POSTGRES:
        raise ConfigError(
            f"connection {connection_id!r} is of type {kind!r}: tables are copied in databases of type postgres, or "
            "duckdb with the path of a file as its host"
        )
    return postgres_url(connection)


def filesystem_of(connection_id: str, uri: str) -> Any:
    """Connected fsspec file system of a connection, as Airflow's ``ObjectStoragePath`` has it.

    Parameters
    ----------
    connection_id
        Of any type whose provider knows the scheme; or what a DAG file attached under this id (``attach``).
    uri
        Where the batch is; its scheme says which provider.

    Raises
    ------
    ConfigError
        There is no such connection, or no provider that knows the scheme.
    """
    from airflow.sdk.io import attach

    from pipechaos.batch.connections import connected

    scheme, found, _ = uri.partition("://")
    return connected(attach(scheme if found else "file", connection_id), connection_id, uri)


def resolver() -> Resolver:
    """Connections of Airflow, looked up when the task runs."""
    from pipechaos.batch.connections import Resolver

    return Resolver(database=url_of, filesystem=filesystem_of)


def connection_of(connection_id: str) -> Any:
    """Airflow's connection of an id.

    Raises
    ------
    ConfigError
        It cannot be looked up.
    """
    from airflow.sdk import Connection

    try:
        return Connection.get(connection_id)
    except Exception as exc:  # noqa: BLE001 - whatever a secrets backend raises; its text may hold what it found
        raise ConfigError(f"connection {connection_id!r} cannot be looked up ({type(exc).__name__})") from None


def postgres_url(connection: Any) -> str:
    """URL of a connection of type ``postgres``, its password in it.

    Raises
    ------
    ConfigError
        Its password is made anew for each session.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> parts = {"login": "me", "password": "p@ss", "host": "db", "port": None, "schema": "shop", "extra_dejson": {}}
    >>> postgres_url(SimpleNamespace(**parts))
    'postgresql://me:p%40ss@db/shop'
    >>> postgres_url(SimpleNamespace(**{**parts, "login": None}))
    'postgresql://:p%40ss@db/shop'
    >>> postgres_url(SimpleNamespace(**{**parts, "host": "/run/postgresql", "port": 5433}))
    'postgresql://me:p%40ss@/shop?host=%2Frun%2Fpostgresql&port=5433'
    """
    if connection.extra_dejson.get("iam"):
        raise ConfigError(f"connection {connection.conn_id!r} logs in by IAM, which has no password that can be given")
    # quoted, no character of a password is syntax, ${...} included; one without a login must not become the login
    login = quote(connection.login or "", safe="")
    if connection.password:
        login += f":{quote(connection.password, safe='')}"
    place = f"{connection.host or 'localhost'}{f':{connection.port}' if connection.port else ''}"
    extras = {k: v for k, v in connection.extra_dejson.items() if k in _EXTRAS}
    if str(connection.host or "").startswith(("/", "@")):  # the folder of a socket, which no URL has room for
        place, at = "", {"host": connection.host, "port": connection.port}
        extras |= {k: v for k, v in at.items() if v}
    query = f"?{urlencode(extras, quote_via=quote)}" if extras else ""
    return f"postgresql://{f'{login}@' if login else ''}{place}/{quote(connection.schema or '', safe='')}{query}"


@contextmanager
def led(connection_id: str, options: str, asked: Callable[[], None]) -> Iterator[None]:
    """Whoever looks a connection up in this process gets it with these options for a while.

    The one place that hooks, operators, templates and code look up. An environment variable would not do: a secrets
    backend that the deployment configures is asked before the environment, and whether anybody asked would be unknown.

    Parameters
    ----------
    connection_id
        Of type ``postgres``.
    options
        PostgreSQL's connection options, after those that the connection has.
    asked
        Called when somebody looks it up.
    """
    from airflow.sdk import Connection

    kept = {name: vars(Connection)[name] for name in ("get", "async_get")}

    def mine(conn_id: str, found: Any) -> Any:
        if conn_id != connection_id:
            return found
        asked()
        return _with_options(found, options)

    def get(cls: Any, conn_id: str) -> Any:
        return mine(conn_id, kept["get"].__func__(cls, conn_id))

    async def async_get(cls: Any, conn_id: str) -> Any:
        return mine(conn_id, await kept["async_get"].__func__(cls, conn_id))

    try:
        for name, method in (("get", get), ("async_get", async_get)):
            setattr(Connection, name, classmethod(method))
        yield
    finally:
        for name, method in kept.items():
            setattr(Connection, name, method)


def _with_options(connection: Any, options: str) -> Any:
    """The connection with options for sessions by the driver and for those by SQLAlchemy."""
    made, extra = copy.copy(connection), dict(connection.extra_dejson)
    extra["options"] = _joined(extra.get("options"), options)
    by_sqlalchemy = extra.get("sqlalchemy_query", {})
    if isinstance(by_sqlalchemy, Mapping):
        extra["sqlalchemy_query"] = {**by_sqlalchemy, "options": _joined(by_sqlalchemy.get("options"), options)}
    made.extra = json.dumps(extra)
    return made


def _joined(given: Any, more: str) -> str:
    return f"{given} {more}" if given else more
