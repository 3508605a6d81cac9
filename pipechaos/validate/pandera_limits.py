"""Numbers that a pandera schema declares: ranges, sets, lengths, nulls and uniqueness; no other check has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pipechaos.validate.limits import Limit, Statistic, as_number
from pipechaos.validate.pandera_checks import Aspect, Slot
from pipechaos.validate.verdict import Check

__all__ = ["declared_limits"]


def declared_limits(schema: Any, slots: Mapping[Slot, Check]) -> tuple[Limit, ...]:
    """Limits of a schema's checks, in their order.

    Parameters
    ----------
    schema
        A ``DataFrameSchema``.
    slots
        Its checks, from ``declared_checks``.

    Examples
    --------
    >>> import pandera.pandas as pa
    >>> from pipechaos.validate.pandera_checks import declared_checks
    >>> schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.in_range(0, 1), nullable=True)})
    >>> [(limit.statistic.value, limit.low, limit.high) for limit in declared_limits(schema, declared_checks(schema))]
    [('minimum', 0.0, None), ('maximum', None, 1.0)]
    """
    return tuple(limit for slot, check in slots.items() for limit in _of_slot(schema, slot, check))


def _of_slot(schema: Any, slot: Slot, check: Check) -> Iterator[Limit]:
    if slot.aspect is Aspect.UNIQUE and slot.component is None:
        yield Limit(check=check.id, column="", statistic=Statistic.REPEATED_SHARE, high=0.0, columns=check.columns)
        return
    part = schema.columns.get(slot.component) if isinstance(slot.component, str) else None
    if part is None or part.regex or not check.columns:
        return  # an index, a pattern of names, or the whole table
    column = check.columns[0]
    if slot.aspect is Aspect.NOT_NULL:
        yield Limit(check=check.id, column=column, statistic=Statistic.NULL_SHARE, high=0.0)
    elif slot.aspect is Aspect.UNIQUE:
        yield Limit(check=check.id, column=column, statistic=Statistic.REPEATED_SHARE, high=0.0, columns=(column,))
    elif slot.aspect is Aspect.CHECK:
        yield from _of_check(part.checks[slot.number], check.id, column)


def _of_check(declared: Any, name: str, column: str) -> Iterator[Limit]:
    """Of a built-in check; one with a like name that somebody else registered may mean anything."""
    if declared.raise_warning or declared.groupby is not None:
        return
    function = declared._check_fn
    if type(function).__module__ != "pandera.api.function_dispatch":
        return
    reader = _READERS.get(str(getattr(function, "__name__", "")))
    if reader is None:
        return
    found = reader(declared.statistics or {})
    yield from (Limit(check=name, column=column, **limit) for limit in found)


def _range(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    low, high = as_number(given.get("min_value")), as_number(given.get("max_value"))
    if low is not None:
        yield {"statistic": Statistic.MINIMUM, "low": low}
    if high is not None:
        yield {"statistic": Statistic.MAXIMUM, "high": high}


def _equal(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return _range({"min_value": given.get("value"), "max_value": given.get("value")})


def _length(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    exact = given.get("exact_value")
    low = as_number(given.get("min_value") if exact is None else exact)
    high = as_number(given.get("max_value") if exact is None else exact)
    if low is not None:
        yield {"statistic": Statistic.SHORTEST, "low": low}
    if high is not None:
        yield {"statistic": Statistic.LONGEST, "high": high}


def _members(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    allowed = given.get("allowed_values") or ()
    members = [v.item() if isinstance(v, np.generic) else v for v in allowed]
    if members and all(isinstance(m, str | int | float | bool) for m in members):
        ordered = tuple(sorted(members, key=repr))
        yield {"statistic": Statistic.OUTSIDE_SET, "high": 0.0, "members": ordered}


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]]] = {
    "in_range": _range,
    "greater_than": _range,
    "greater_than_or_equal_to": _range,
    "less_than": _range,
    "less_than_or_equal_to": _range,
    "equal_to": _equal,
    "str_length": _length,
    "isin": _members,
}
