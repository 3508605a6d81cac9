"""Which store a task keeps its runs in: an address, or an Airflow connection that is looked up when the task runs."""

from __future__ import annotations

from typing import Any

from pipechaos.airflow.connections import POSTGRES, connection_of, postgres_url
from pipechaos.errors import ConfigError

__all__ = ["check_store", "needed_store", "store_of"]

_NONE = "no store is named: give store, its address, or store_conn_id, an Airflow connection"


def check_store(store: str | None, conn_id: str | None, *, needed: bool = False) -> None:
    """Refuse a store that is named twice, or not at all where it is needed; for DAG files.

    Raises
    ------
    ConfigError
        It is.

    Examples
    --------
    >>> check_store("runs.db", None, needed=True)
    """
    if store is not None and conn_id is not None:
        raise ConfigError("store and store_conn_id are both given: give the address, or the connection that holds it")
    if needed and store is None and conn_id is None:
        raise ConfigError(_NONE)


def store_of(store: str | None, conn_id: str | None) -> str | None:
    """Address of the store; that of a connection holds its password, so keep it out of attributes, XCom and logs.

    Parameters
    ----------
    store
        Address, as :func:`pipechaos.store.opening.open_store` takes it.
    conn_id
        Airflow connection of type ``postgres``, or ``sqlite`` with the file's path as its host.

    Raises
    ------
    ConfigError
        Both are given, or the connection cannot be looked up, is of another type or has no lasting password.
    """
    check_store(store, conn_id)
    return store if conn_id is None else _address(connection_of(conn_id), conn_id)


def needed_store(store: str | None, conn_id: str | None) -> str:
    """Address of the store of a task that cannot do without; see :func:`store_of`.

    Raises
    ------
    ConfigError
        None is named, or both.
    """
    found = store_of(store, conn_id)
    if not found:
        raise ConfigError(f"{_NONE}; a template may have given nothing")
    return found


def _address(connection: Any, conn_id: str) -> str:
    kind = connection.conn_type
    if kind == "sqlite" and connection.host:
        return str(connection.host)
    if kind not in POSTGRES:
        raise ConfigError(
            f"connection {conn_id!r} is of type {kind!r}: a store needs one of type postgres, or sqlite with the path "
            "of a file as its host"
        )
    return postgres_url(connection)
