"""What a connection's id stands for: a caller hands over URLs of databases and connected file systems by id."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipechaos.errors import BatchError, ConfigError, UnknownNameError

__all__ = ["Connections", "Resolver", "carried_by", "connected", "connection_in", "database_of", "filesystem_of"]

# elsewhere what stands before the @ is a user or a container; no name of a bucket has an @
_IN_TEXT = re.compile(r"(?:s3[an]?|gc?s)://([^/@:]+)@")


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Looks connections up when they are needed.

    Attributes
    ----------
    database
        Called with a connection id: URL of its database.
    filesystem
        Called with a connection id and the URI of a batch: the connected file system, of fsspec or pyarrow.
    """

    database: Callable[[str], str]
    filesystem: Callable[[str, str], Any]


Connections = Mapping[str, Any] | Callable[[str], str] | Resolver
"""By connection id: a mapping to URLs of databases and connected file systems; a function to URLs; both looked up."""


def database_of(connections: Connections | None, connection_id: str) -> str:
    """URL of the database of a connection. It may hold a password: keep it nowhere.

    Raises
    ------
    BatchError
        Nobody resolved the connection, or to something else.
    UnknownNameError
        The mapping does not have it.
    """
    if connections is None:
        raise BatchError(
            f"the batch needs the connection {connection_id!r}: whoever calls (the Airflow task, or a script with the "
            "credentials) hands over `connections=`, URLs by connection id."
        )
    if isinstance(connections, Resolver):
        found: Any = connections.database(connection_id)
    elif isinstance(connections, Mapping):
        found = _named(connections, connection_id)
    else:
        found = connections(connection_id)
    if not isinstance(found, str):
        raise BatchError(f"connection {connection_id!r} gave a {type(found).__name__}: give the URL of its database")
    return found


def filesystem_of(connections: Connections | None, connection_id: str, uri: str) -> Any:
    """Connected file system of a connection; None where nobody resolves connections of files.

    Parameters
    ----------
    connections
        As the caller handed them over.
    connection_id
        Which one.
    uri
        Where the batch is.

    Raises
    ------
    UnknownNameError
        The mapping does not have it.

    Examples
    --------
    >>> found = Resolver(database=str, filesystem=lambda connection_id, uri: (connection_id, uri))
    >>> filesystem_of(found, "lake", "s3://bucket/a.parquet")
    ('lake', 's3://bucket/a.parquet')
    """
    if isinstance(connections, Resolver):
        return connections.filesystem(connection_id, uri)
    return _named(connections, connection_id) if isinstance(connections, Mapping) else None


def _named(connections: Mapping[str, Any], connection_id: str) -> Any:
    if connection_id not in connections:
        raise UnknownNameError("connection", connection_id, connections)
    return connections[connection_id]


def carried_by(path: Any) -> str | None:
    """Connection id of an Airflow ``ObjectStoragePath``; before Airflow 3.2 one of its storage options."""
    options = getattr(path, "storage_options", None) or {}
    found: str | None = getattr(path, "conn_id", None) or options.get("conn_id")
    return found


def connected(holder: Any, connection_id: str, uri: str) -> Any:
    """File system that an Airflow path or store connects to when it is asked for it; None where it has none.

    Raises
    ------
    ConfigError
        It cannot connect.
    """
    try:
        return getattr(holder, "fs", None)
    except Exception as exc:  # noqa: BLE001 - whatever a secrets backend raises; its text may hold what it found
        raise ConfigError(
            f"connection {connection_id!r} gives no file system for {uri} ({type(exc).__name__}): is there such a "
            "connection, and a provider that knows this kind of address?"
        ) from None


def connection_in(uri: str) -> str | None:
    """Connection id that the text of an Airflow ``ObjectStoragePath`` carries, where it can be nothing else.

    Examples
    --------
    >>> connection_in("s3://aws_default@bucket/a.parquet")
    'aws_default'
    >>> connection_in("abfs://container@account/a.parquet")
    """
    found = _IN_TEXT.match(uri)
    return found[1] if found else None
