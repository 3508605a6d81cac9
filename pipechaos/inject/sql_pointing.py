"""How a validator reads a shadow schema in place of the source, by the same SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from pipechaos.batch.connection_url import without_password
from pipechaos.batch.connections import Connections
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import Dialect, place_of
from pipechaos.batch.sql_read import sql_source
from pipechaos.errors import ShadowError
from pipechaos.inject.sql_schema import PREFIX

__all__ = ["PointedAt", "pointed_at"]


@dataclass(frozen=True, kw_only=True)
class PointedAt:
    """What a validator needs to read the copy in place of the source.

    Attributes
    ----------
    dialect
        Kind of the database.
    schema, table
        Where the copy is, for operators that take a schema's name.
    url
        Of the database; on PostgreSQL with the copy's schema as its only search path. May hold a password: never store
        or log it.
    shown
        The same for people.
    options
        PostgreSQL's connection options alone, for a connection that is made otherwise; empty elsewhere.
    statement
        SQL that does the same in an open session.
    """

    dialect: Dialect
    schema: str
    table: str
    url: str = field(repr=False)
    shown: str
    options: str
    statement: str


def pointed_at(ref: BatchRef, *, connections: Connections | None = None, also: Sequence[str] = ()) -> PointedAt:
    """Say how a validator reads a copy in place of the source, by the same SQL.

    Parameters
    ----------
    ref
        Reference of a copy, as :func:`pipechaos.inject.sql_shadow.corrupt_table` gave it.
    connections
        URLs of databases by connection id.
    also
        Schemas that the validator's joins need, searched after the copy's. Empty is safest: with the source's schema
        among them, a copy that is gone lets the validator read the *source* without a word.

    Raises
    ------
    ShadowError
        The reference is to no shadow schema.
    """
    source, place = sql_source(ref), place_of(ref.uri, connections)
    if source.schema is None or not source.schema.startswith(PREFIX):
        raise ShadowError(f"{source.shown} is in no shadow schema: point a validator at what corrupt_table gave")
    names = ['"' + n.replace('"', '""') + '"' for n in (source.schema, *also)]
    path = ",".join(names)
    if place.dialect is Dialect.DUCKDB:
        literal = path.replace("'", "''")
        url, options, statement = place.shown, "", f"SET search_path = '{literal}'"
    else:
        escaped = path.replace("\\", "\\\\").replace(" ", "\\ ")
        options, statement = f"-csearch_path={escaped}", f"SET search_path = {path}"
        url = _with_options(place.address, options)
    return PointedAt(
        dialect=place.dialect,
        schema=source.schema,
        table=source.table,
        url=url,
        shown=without_password(url),
        options=options,
        statement=statement,
    )


def _with_options(url: str, options: str) -> str:
    """The URL with these options after those that it has."""
    base, _, query = url.partition("?")
    kept: list[str] = []
    given: list[str] = []
    for part in query.split("&") if query else []:
        (given if part.startswith("options=") else kept).append(part)
    value = "%20".join([*(g.removeprefix("options=") for g in given), quote(options, safe="")])
    return f"{base}?{'&'.join([*kept, f'options={value}'])}"
