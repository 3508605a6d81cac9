"""The checks a dataframely schema declares, by the name that dataframely gives each rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipechaos.validate.base import number_ids
from pipechaos.validate.check_labels import shown
from pipechaos.validate.verdict import Check, Subject

__all__ = ["declared_checks"]


def declared_checks(schema: Any) -> dict[str, Check]:
    """Every check of a schema by its rule: ``column|rule``, ``primary_key``, or the name of a rule function.

    Examples
    --------
    >>> import dataframely as dy
    >>> schema = type("Rides", (dy.Schema,), {"id": dy.Int64(primary_key=True), "fare": dy.Float64(min=0)})
    >>> [c.id for c in declared_checks(schema).values()][:4]
    ['id:present', 'id:dtype', 'id:nullability', 'fare:present']
    """
    found = list(_declared(schema))
    ids = number_ids([check.id for _, check in found])
    return {
        rule: Check(id=unique, columns=check.columns, subject=check.subject)
        for (rule, check), unique in zip(found, ids, strict=True)
    }


def _declared(schema: Any) -> Iterator[tuple[str, Check]]:
    import polars as pl

    columns = schema.columns()
    for name, column in columns.items():
        yield f"{name}|present", Check(id=f"{name}:present", columns=(name,), subject=Subject.SCHEMA)
        yield f"{name}|dtype", Check(id=f"{name}:dtype", columns=(name,), subject=Subject.DTYPE)
        for rule, expression in column.validation_rules(pl.col(name)).items():
            subject = Subject.UNIQUENESS if rule == "unique" else _subject(expression, columns)
            yield f"{name}|{rule}", Check(id=f"{name}:{_label(column, rule)}", columns=(name,), subject=subject)
    key = tuple(schema.primary_key())
    if key:
        check = Check(id=f"table:primary_key({','.join(key)})", columns=key, subject=Subject.UNIQUENESS)
        yield "primary_key", check
    for rule, made in schema._schema_validation_rules().items():  # dataframely shows them in no other way
        named = set(made.expr.meta.root_names())
        read = tuple(c for c in columns if c in named)
        yield rule, Check(id=f"table:{rule}", columns=read, subject=_subject(made.expr, columns))


def _label(column: Any, rule: str) -> str:
    value = getattr(column, rule, None)
    if rule in {"nullability", "unique", "nan", "inf"} or value is None or callable(value):
        return rule
    return f"{rule}({shown([value])})"


def _subject(expression: Any, columns: Any) -> Subject:
    """Value or aggregate: what an expression gives for a frame without rows tells, one value or none."""
    import polars as pl

    empty = pl.DataFrame(schema={name: column.dtype for name, column in columns.items()})
    try:
        return Subject.AGGREGATE if empty.select(expression).height else Subject.VALUE
    except Exception:  # noqa: BLE001 - a rule need not stand an empty frame
        return Subject.VALUE
