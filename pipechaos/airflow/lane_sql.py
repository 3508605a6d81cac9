"""A clone that judges a table: its connection leads to the copy, and what it said counts only if it read the copy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from pipechaos.airflow.connections import led, url_of
from pipechaos.airflow.lane_handover import BASE, CopyHandover
from pipechaos.airflow.outside_verdicts import LATE, OutsideVerdict, Told, not_exercised
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql_connect import Dialect, place_of
from pipechaos.batch.sql_read import sql_source
from pipechaos.errors import CannotRunError, PipechaosError
from pipechaos.inject.sql_pointing import pointed_at
from pipechaos.inject.sql_upkeep import check_copy, drop_copy
from pipechaos.inject.sql_watch import watched

__all__ = ["TableJudging", "drop_tables", "led_to_copy", "renamed"]


@contextmanager
def led_to_copy(ti: CopyHandover) -> Iterator[None]:
    """Let the connection of the copies lead to those of this clone; of files nothing changes.

    Parameters
    ----------
    ti
        Of the clone; that somebody asked for the connection is noted there.
    """
    refs = _refs(ti)
    with ExitStack() as stack:
        if refs and refs[0].connection_id:
            with suppress(PipechaosError):  # said when it is judged
                pointed = pointed_at(refs[0], connections=url_of, also=[_schema(r) for r in refs[1:]])
                if pointed.options:
                    stack.enter_context(led(refs[0].connection_id, pointed.options, lambda: _took(ti)))
        yield


class TableJudging:
    """The time while a clone runs; of files it sees nothing and says nothing.

    Parameters
    ----------
    ti
        Of the clone.

    Attributes
    ----------
    why
        Why the clone cannot judge; empty where it can.
    """

    def __init__(self, ti: CopyHandover) -> None:
        self._ti, self._refs = ti, _refs(ti)
        self._stack = ExitStack()
        self._read: Callable[[], bool] | None = None
        self._urls: dict[str, str] = {}
        self.why = ""

    def __enter__(self) -> TableJudging:
        if not self._refs:
            return self
        try:
            # looked up before the connection is led: what we read ourselves is nobody's asking
            self._urls = {r.connection_id: url_of(r.connection_id) for r in self._refs[:1] if r.connection_id}
            if place_of(self._refs[0].uri, self._urls).dialect is Dialect.POSTGRESQL:
                waiting = watched(self._refs, connections=self._urls, wait=self._wait)
                self._read = self._stack.enter_context(waiting)
            self._stack.enter_context(led_to_copy(self._ti))
        except PipechaosError as exc:
            self._stack.close()
            self.why = str(exc)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def confirmed(self, found: OutsideVerdict, operator: Any, *, raised: bool) -> OutsideVerdict:
        """The verdict, or why it is none: the copy was not read, or is not what it was.

        Parameters
        ----------
        found
            What was told from how the clone ended.
        operator
            The clone.
        raised
            Whether it ended by an exception.
        """
        if not self._refs:
            return found
        if not self._ti.handed_over:
            return not_exercised("it took no reference from the stage and asked for no connection of the table")
        why = self._not_read(found, operator, raised) or self._not_whole()
        return not_exercised(why) if why else found

    def _wait(self) -> None:
        time.sleep(0.2)
        if time.time() > float(self._ti.until or 0):
            raise CannotRunError(LATE)

    def _not_read(self, found: OutsideVerdict, operator: Any, raised: bool) -> str:
        named = next((n for n in self._ti.tables["sources"] if _names(operator, n)), None)
        if named:
            return (
                f"its arguments name {named['schema']}.{named['table']}, which is the source: write {named['table']} "
                "alone, so that the search path decides"
            )
        # a crash counts for nothing; and what raises on a copy that it let pass untouched has looked at the copy: a
        # column that is gone is an error before anything is read
        if raised and (self._ti.label != BASE or found.told is Told.ERRORED):
            return ""
        if self._read is None or self._read():
            return ""
        return "it did not read the copy: it has another connection, or SQL that names the source's schema"

    def _not_whole(self) -> str:
        """Whether the copies stood until the clone was through: with one gone, what was read is unknown."""
        try:
            for ref in self._refs:
                check_copy(ref, now=datetime.now(UTC), connections=self._urls)
        except PipechaosError as exc:
            return str(exc)
        return ""


def renamed(value: Any, tables: Mapping[str, Any], label: str) -> Any:
    """Output of a stage whose table was declared: where it names the table, the copy's name.

    Parameters
    ----------
    value
        ``"schema.table"``, or a mapping with ``schema`` and ``table``; anything else stays as it is. A bare name stays
        on PostgreSQL, where the connection leads to the copy, and gets the copy's schema on DuckDB.
    tables
        Of what :func:`pipechaos.airflow.lane_copies.make_copies` returned.
    label
        Of the copy.

    Examples
    --------
    >>> copy = {"uri": "sql://shop", "format": "sql", "name": "o", "sql": {"table": "o", "schema": "copied"}}
    >>> tables = {"refs": {"base": [copy]}, "sources": [{"schema": "sales", "table": "o"}], "bare": True}
    >>> renamed("sales.o", tables, "base"), renamed("o", tables, "base"), renamed([["o"]], tables, "base")
    ('copied.o', 'o', [['o']])
    """
    (source,) = tables["sources"]
    schema, table = tables["refs"][label][0]["sql"]["schema"], source["table"]
    if isinstance(value, str):
        mine = [f"{source['schema']}.{table}", *([] if tables["bare"] else [table])]
        return f"{schema}.{table}" if value in mine else value
    if isinstance(value, Mapping) and (value.get("schema"), value.get("table")) == (source["schema"], table):
        return {**value, "schema": schema}
    return value


def drop_tables(made: Mapping[str, Any] | None, records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Drop the copies of a lane that is over.

    Only when every clone has left its record: one that was killed may still read, and its copy stays until its time is
    over and a sweep finds it.

    Parameters
    ----------
    made
        What :func:`pipechaos.airflow.lane_copies.make_copies` returned.
    records
        By validator and label.

    Returns
    -------
    dict
        Schemas that stay, and why.
    """
    refs = [BatchRef.from_json(r) for of in ((made or {}).get("tables") or {"refs": {}})["refs"].values() for r in of]
    if any(r is None for of in records.values() for r in of.values()):
        return {_schema(r): "a clone left no record: it may still run" for r in refs}
    kept = {}
    for ref in refs:
        try:
            drop_copy(ref, connections=url_of)
        except PipechaosError as exc:
            kept[_schema(ref)] = str(exc)
    return kept


def _refs(ti: CopyHandover) -> list[BatchRef]:
    found = ti.tables["refs"].get(ti.label, ()) if ti.tables else ()
    return [BatchRef.from_json(r) for r in found]


def _schema(ref: BatchRef) -> str:
    return sql_source(ref).schema or ""


def _took(ti: CopyHandover) -> None:
    ti.handed_over = True


def _names(operator: Any, source: Mapping[str, str]) -> bool:
    """Whether any argument or the SQL made of them holds the source's name with its schema."""
    schema, table = (f'"?{re.escape(source[k])}"?' for k in ("schema", "table"))
    name = re.compile(rf"(?<![\w$.]){schema}\s*\.\s*{table}(?![\w$])", re.IGNORECASE)
    given = (getattr(operator, f, None) for f in dict.fromkeys((*operator.template_fields, "sql")))
    return any(name.search(text) for value in given for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            yield from _texts(part)
