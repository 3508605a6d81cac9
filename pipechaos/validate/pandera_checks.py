"""The checks a pandera schema declares: one id for each, found again from pandera's errors."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pipechaos.validate.base import number_ids
from pipechaos.validate.check_labels import cut, show
from pipechaos.validate.column_reads import columns_read, counts_rows
from pipechaos.validate.verdict import Check, Subject

__all__ = ["Aspect", "Slot", "component_key", "declared_checks"]


class Aspect(Enum):
    """What of a component is checked."""

    PRESENT = "present"
    DTYPE = "dtype"
    NOT_NULL = "not_null"
    UNIQUE = "unique"
    CHECK = "check"
    STRICT = "strict"
    ORDERED = "ordered"
    UNIQUE_NAMES = "unique_column_names"


@dataclass(frozen=True)
class Slot:
    """Where a check is declared.

    Attributes
    ----------
    component
        Key of the column in the schema, ``("index", i)`` of an index level, None of the table.
    aspect
        What of it is checked.
    number
        Position in the component's list of checks, or in the table's list of unique column sets.
    """

    component: Any
    aspect: Aspect
    number: int = 0


def declared_checks(schema: Any) -> dict[Slot, Check]:
    """Every check of a ``DataFrameSchema``, in the order of the schema, with unique ids.

    Examples
    --------
    >>> import pandera.pandas as pa
    >>> schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.in_range(0, 1))}, strict=True)
    >>> [c.id for c in declared_checks(schema).values()]
    ['x:present', 'x:dtype', 'x:not_null', 'x:in_range(0, 1)', 'table:strict']
    """
    found = list(_declared(schema))
    ids = number_ids([check.id for _, check in found])
    return {
        slot: Check(id=unique, columns=check.columns, subject=check.subject)
        for (slot, check), unique in zip(found, ids, strict=True)
    }


def component_key(schema: Any, component: Any, column: Any) -> Any:
    """Key of the component an error names; errors carry a copy that shares its list of checks."""
    checks = getattr(component, "checks", None)
    if column in schema.columns and schema.columns[column].checks is checks:
        return column  # first by name: two columns may share one list
    parts = [*schema.columns.items(), *((("index", i), part) for i, part in enumerate(_index_parts(schema)))]
    for key, part in parts:
        if part.checks is checks:
            return key
    if column in schema.columns:
        return column
    name = str(getattr(component, "name", column))
    for key, part in schema.columns.items():
        if part.regex and (name == str(key) or re.match(str(key), str(column))):
            return key
    return None


def _declared(schema: Any) -> Iterator[tuple[Slot, Check]]:
    for key, column in schema.columns.items():
        yield from _of_component(schema, key, column, str(key), () if column.regex else (str(key),))
    for i, part in enumerate(_index_parts(schema)):
        yield from _of_component(schema, ("index", i), part, f"index[{part.name or i}]", ())
    if not schema.columns and schema.dtype is not None:
        yield Slot(None, Aspect.DTYPE), Check(id="table:dtype", columns=(), subject=Subject.DTYPE)
    for i, names in enumerate(_unique_sets(schema)):
        check = Check(id=f"table:unique({','.join(names)})", columns=names, subject=Subject.UNIQUENESS)
        yield Slot(None, Aspect.UNIQUE, i), check
    for i, check in enumerate(schema.checks):
        columns, subject = _of_table_check(schema, check)
        yield (
            Slot(None, Aspect.CHECK, i),
            Check(id=f"table:{_label(check)}", columns=columns, subject=subject),
        )
    flags = (
        (schema.strict is True, Aspect.STRICT),
        (schema.ordered, Aspect.ORDERED),
        (schema.unique_column_names, Aspect.UNIQUE_NAMES),
    )
    for on, aspect in flags:
        if on:
            yield Slot(None, aspect), Check(id=f"table:{aspect.value}", columns=(), subject=Subject.SCHEMA)


def _of_component(
    schema: Any, key: Any, part: Any, name: str, columns: tuple[str, ...]
) -> Iterator[tuple[Slot, Check]]:
    facts = (
        (getattr(part, "required", False), Aspect.PRESENT, Subject.SCHEMA),
        (part.dtype is not None or schema.dtype is not None, Aspect.DTYPE, Subject.DTYPE),
        (not part.nullable, Aspect.NOT_NULL, Subject.VALUE),
        (part.unique, Aspect.UNIQUE, Subject.UNIQUENESS),
    )
    for on, aspect, subject in facts:
        if on:
            yield Slot(key, aspect), Check(id=f"{name}:{aspect.value}", columns=columns, subject=subject)
    for i, check in enumerate(part.checks):
        groups = tuple(g for g in check.groupby if g in schema.columns) if isinstance(check.groupby, list) else ()
        yield (
            Slot(key, Aspect.CHECK, i),
            Check(
                id=f"{name}:{_label(check)}",
                columns=columns + tuple(str(g) for g in groups if str(g) not in columns),
                subject=_subject_of(check, part),
            ),
        )


def _index_parts(schema: Any) -> list[Any]:
    if schema.index is None:
        return []
    return list(getattr(schema.index, "indexes", None) or [schema.index])


def _unique_sets(schema: Any) -> list[tuple[str, ...]]:
    if not schema.unique:
        return []
    if all(isinstance(x, str) for x in schema.unique):
        return [tuple(schema.unique)]
    return [tuple(map(str, names)) for names in schema.unique]


def _subject_of(check: Any, part: Any) -> Subject:
    """Value or aggregate: what the check gives for a column without rows tells, a truth value or one per row."""
    if check.element_wise:
        return Subject.VALUE
    if check.groupby is not None:
        return Subject.AGGREGATE
    return Subject.AGGREGATE if _of_no_rows(check, part) is False else Subject.VALUE


def _of_table_check(schema: Any, check: Any) -> tuple[tuple[str, ...], Subject]:
    names = [str(c) for c in schema.columns]
    columns = columns_read(check._check_fn, names, check._check_kwargs)
    if check.element_wise:
        return columns, Subject.VALUE
    per_row = _of_no_rows(check, schema)
    if per_row is None:
        return columns, Subject.VALUE if columns else Subject.TABLE
    if per_row:
        return columns, Subject.VALUE
    if not columns:
        return (), Subject.ROW_COUNT if counts_rows(check._check_fn) else Subject.TABLE
    return columns, Subject.AGGREGATE


def _of_no_rows(check: Any, part: Any) -> bool | None:
    """Whether a check answers for each row: what it gives for a column or table without rows. None: it cannot say."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if type(part).__module__.startswith("pandera.api.polars"):
                return _of_no_polars_rows(check, part)
            if hasattr(part, "columns"):
                columns = {c: pd.Series([], dtype=_dtype_of(column)) for c, column in part.columns.items()}
                output = check(pd.DataFrame(columns)).check_output
            else:
                output = check(pd.Series([], dtype=_dtype_of(part), name=part.name)).check_output
            return None if output is None else hasattr(output, "index")
        except Exception:  # noqa: BLE001 - a check need not stand an empty frame; the run will tell
            return None


def _of_no_polars_rows(check: Any, part: Any) -> bool:
    import polars as pl

    columns = part.columns if hasattr(part, "columns") else {part.name: part}
    schema = {c: column.dtype.type if column.dtype is not None else pl.Null for c, column in columns.items()}
    output = check(pl.LazyFrame(schema=schema), None if hasattr(part, "columns") else part.name).check_output
    return bool(output.collect().height == 0)


def _dtype_of(part: Any) -> Any:
    import pandas as pd

    try:
        return pd.Series([], dtype=part.dtype.type).dtype
    except (TypeError, ValueError, AttributeError):
        return object


def _label(check: Any) -> str:
    """Name of a check with its arguments, short, the same in every process."""
    statistics = (check.statistics or {}).items()
    flags = {"include_min", "include_max"}
    parts = [f"{k}={v}" if k in flags else show(v) for k, v in statistics if k not in flags or v is not True]
    text = cut(", ".join(parts))
    return f"{check.name}({text})" if text else str(check.name)
