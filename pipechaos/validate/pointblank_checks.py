"""The steps a pointblank plan declares, before any data is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipechaos.validate.base import number_ids
from pipechaos.validate.check_labels import cut, show
from pipechaos.validate.column_reads import columns_read
from pipechaos.validate.verdict import Check, Subject

__all__ = ["columns_of", "declared_checks", "runs_never"]

_SUBJECTS = {
    "rows_distinct": Subject.UNIQUENESS,
    "rows_complete": Subject.VALUE,
    "conjointly": Subject.VALUE,
    "col_exists": Subject.SCHEMA,
    "col_schema_match": Subject.SCHEMA,
    "col_count_match": Subject.SCHEMA,
    "row_count_match": Subject.ROW_COUNT,
    "col_missing_coded": Subject.VALUE,
    "col_missing_only_coded": Subject.VALUE,
    "col_missing_consistent": Subject.VALUE,
    "data_freshness": Subject.AGGREGATE,
}
_HIDDEN = {  # of a step's values: what pointblank works out, and what is nearly always as it comes
    "abs_tol_bounds",
    "bound_finder",
    "tol",
    "inverse",
    "max_age_str",
    "allow_tz_mismatch",
    "complete",
    "in_order",
    "case_sensitive_colnames",
    "case_sensitive_dtypes",
    "full_match_dtypes",
}
_AGGREGATES = ("col_sum_", "col_avg_", "col_sd_", "col_pct_")


def declared_checks(steps: Sequence[Any]) -> tuple[Check, ...]:
    """One check per step of a plan that has not run, in its order, with unique ids.

    Parameters
    ----------
    steps
        ``Validate.validation_info``.

    Examples
    --------
    >>> import pandas as pd, pointblank as pb
    >>> plan = pb.Validate(pd.DataFrame()).col_vals_ge("x", 0).rows_distinct()
    >>> [c.id for c in declared_checks(plan.validation_info)]
    ['x:col_vals_ge(0)', 'table:rows_distinct']
    """
    known = list(dict.fromkeys(c for step in steps for c in _named(step)))
    checks = [
        Check(id=_label(step), columns=columns_of(step, known), subject=_subject_of(step.assertion_type or ""))
        for step in steps
    ]
    ids = number_ids([c.id for c in checks])
    return tuple(Check(id=unique, columns=c.columns, subject=c.subject) for unique, c in zip(ids, checks, strict=True))


def runs_never(step: Any) -> bool:
    """Whether the team switched a step off for good: it counts as no check."""
    return step.active is False


def columns_of(step: Any, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns that a step looks at.

    Parameters
    ----------
    step
        Before or after it ran.
    known
        Names to look for in functions that say nothing else about their columns.
    """
    named = list(_named(step))
    for part in _parts(step.values):
        if callable(part) and not isinstance(part, type):
            named += _of_function(part, known)
        elif hasattr(part, "meta"):  # an expression of polars
            named += part.meta.root_names()
    return tuple(dict.fromkeys(named))


def _of_function(function: Any, known: Sequence[str]) -> tuple[str, ...]:
    try:
        return columns_read(function, known)
    except (AttributeError, TypeError, ValueError):
        return ()


def _named(step: Any) -> Iterator[str]:
    """Names in a step's own arguments: its columns, those it compares them with, those of a schema."""
    column = step.column
    if isinstance(column, str):
        yield column
    elif isinstance(column, list | tuple):
        yield from (str(c) for c in column)
    elif _is_literal(column):
        yield column.exprs
    for value in _parts(step.values):
        if _is_literal(value):
            yield value.exprs
        elif type(value).__name__ == "Schema":
            yield from (str(c[0]) for c in value.columns or ())


def _is_literal(column: Any) -> bool:
    """Whether it is ``pb.col("x")``; a selector such as ``pb.starts_with("x")`` names no column yet."""
    return type(column).__name__ == "ColumnLiteral" and isinstance(column.exprs, str)


def _parts(values: Any) -> Iterator[Any]:
    """A step's values one by one, whatever they come in."""
    if isinstance(values, dict):
        for value in values.values():
            yield from value if isinstance(value, list | tuple) else [value]
    elif isinstance(values, list | tuple):
        yield from values
    else:
        yield values


def _subject_of(kind: str) -> Subject:
    if kind in _SUBJECTS:
        return _SUBJECTS[kind]
    if kind.startswith(_AGGREGATES):
        return Subject.AGGREGATE
    return Subject.VALUE if kind.startswith("col_vals_") else Subject.TABLE


def _label(step: Any) -> str:
    column = step.column
    named = ",".join(map(str, column)) if isinstance(column, list | tuple) else column
    text = cut(" ".join(", ".join(_arguments(step)).split()))
    where = "table" if column is None else str(named)
    within = "" if step.segments is None else f" by {step.segments if isinstance(step.segments, str) else 'segment'}"
    return f"{where}:{step.assertion_type}" + (f"({text})" if text else "") + within


def _argument(value: Any) -> str:
    """A value as its id has it: a table it is compared with is not written out."""
    return type(value).__name__ if hasattr(value, "shape") and hasattr(value, "columns") else show(value)


def _arguments(step: Any) -> Iterator[str]:
    values = step.values
    if isinstance(values, dict):
        yield from (_argument(v) for k, v in values.items() if k not in _HIDDEN and v is not None)
    elif values is not None:
        yield from (_argument(v) for v in (values if isinstance(values, tuple) else [values]))
    if step.inclusive not in (None, (True, True)):
        yield f"inclusive={step.inclusive}"
