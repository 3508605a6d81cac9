"""What a reference to rows of a database says: the table, the conditions of a partition, the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from pipechaos.errors import BatchError, UnknownNameError

__all__ = ["Compare", "Condition", "SqlSource", "conditions"]

Plain = str | int | float | bool


class Compare(StrEnum):
    """How a condition compares a column with its value."""

    EQ = "="
    GE = ">="
    GT = ">"
    LE = "<="
    LT = "<"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of a partition: data, never SQL text.

    Attributes
    ----------
    column
        Name as the database has it.
    compare
        How.
    value
        Text, number or truth value; dates and times as ISO texts, which the database reads as the column's type.
    """

    column: str
    compare: Compare
    value: Plain

    def __post_init__(self) -> None:
        if not self.column or not isinstance(self.column, str):
            raise BatchError("a condition of a partition needs the name of a column")
        if not isinstance(self.value, (str, int, float)) or self.value != self.value:
            raise BatchError(
                f"the condition on {self.column!r} has a {type(self.value).__name__} as its value: give text, a number "
                "or a truth value; dates and times as ISO texts such as '2024-05-01'"
            )


@dataclass(frozen=True, kw_only=True)
class SqlSource:
    """A table, or the part of it that is one batch.

    Attributes
    ----------
    table, schema
        Names as the database has them; without a schema the database's own default (``public``, ``main``).
    where
        Conditions that all rows of the batch meet.
    key
        Columns that rows are ordered by, and the key of the batch where none is declared when it is read.

    Examples
    --------
    >>> day = Condition(column="day", compare=Compare.EQ, value="2024-05-01")
    >>> source = SqlSource(table="orders", schema="sales", where=(day,), key=("id",))
    >>> SqlSource.from_json(source.to_json()) == source
    True
    """

    table: str
    schema: str | None = None
    where: tuple[Condition, ...] = ()
    key: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = (self.table, *self.key, *([] if self.schema is None else [self.schema]))
        if not all(isinstance(n, str) and n and "\0" not in n for n in names):
            raise BatchError("a table, its schema and its key columns are names: texts that are not empty")

    @property
    def shown(self) -> str:
        """For people: schema and table."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        where = [[c.column, str(c.compare), c.value] for c in self.where]
        return {"table": self.table, "schema": self.schema, "where": where, "key": list(self.key)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SqlSource:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        UnknownNameError
            There is a key that a table does not have.
        BatchError
            A value is of the wrong kind.
        """
        known = [f.name for f in fields(cls)]
        for key in data:
            if key not in known:
                raise UnknownNameError("key", key, known, "the table of a batch reference")
        keys, where, schema = data.get("key", []), data.get("where", []), data.get("schema")
        good = isinstance(data.get("table"), str) and isinstance(schema, str | None)
        if not (good and isinstance(keys, (list, tuple)) and isinstance(where, (list, tuple))):
            raise BatchError("the table of a batch reference has a value of the wrong kind: see SqlSource.to_json")
        return cls(table=data["table"], schema=schema, where=conditions(where), key=tuple(keys))


def conditions(given: Sequence[Any]) -> tuple[Condition, ...]:
    """Conditions from triples (column, comparison, value)."""
    out = []
    for item in given:
        if isinstance(item, Condition):
            out.append(item)
            continue
        if not isinstance(item, (list, tuple)) or len(item) != 3:
            raise BatchError("a condition is a column, a comparison and a value: ('day', '=', '2024-05-01')")
        column, compare, value = item
        allowed = [c.value for c in Compare]
        if compare not in allowed:
            raise UnknownNameError("comparison", str(compare), allowed, f"the condition on {column!r}")
        out.append(Condition(column=column, compare=Compare(compare), value=value))
    return tuple(out)
