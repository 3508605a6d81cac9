"""Numbers that a dataframely schema declares: ranges, sets, lengths, nulls and uniqueness; no other rule has any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipechaos.validate.limits import Limit, Statistic, as_number
from pipechaos.validate.verdict import Check

__all__ = ["declared_limits"]

_BOUNDS = {
    "min": (Statistic.MINIMUM, "low"),
    "min_exclusive": (Statistic.MINIMUM, "low"),
    "max": (Statistic.MAXIMUM, "high"),
    "max_exclusive": (Statistic.MAXIMUM, "high"),
}
_LENGTHS = {"min_length": (Statistic.SHORTEST, "low"), "max_length": (Statistic.LONGEST, "high")}


def declared_limits(schema: Any, declared: Mapping[str, Check]) -> tuple[Limit, ...]:
    """Limits of a schema's rules, in their order.

    Parameters
    ----------
    schema
        A subclass of ``dataframely.Schema``.
    declared
        Its checks, from ``declared_checks``.

    Examples
    --------
    >>> import dataframely as dy
    >>> from pipechaos.validate.dataframely_checks import declared_checks
    >>> schema = type("Rides", (dy.Schema,), {"fare": dy.Float64(nullable=True, min=0, max_exclusive=100)})
    >>> [(limit.check, limit.low, limit.high) for limit in declared_limits(schema, declared_checks(schema))]
    [('fare:min(0)', 0.0, None), ('fare:max_exclusive(100)', None, 100.0)]
    """
    columns = schema.columns()
    found: list[Limit] = []
    for rule, check in declared.items():
        if rule == "primary_key":
            found.append(
                Limit(check=check.id, column="", statistic=Statistic.REPEATED_SHARE, high=0.0, columns=check.columns)
            )
            continue
        name = check.columns[0] if check.columns else ""
        if name in columns and rule.startswith(f"{name}|"):
            of = rule.removeprefix(f"{name}|")
            found += [Limit(check=check.id, column=name, **limit) for limit in _of_rule(columns[name], name, of)]
    return tuple(found)


def _of_rule(column: Any, name: str, rule: str) -> Iterator[dict[str, Any]]:
    if rule == "nullability":
        yield {"statistic": Statistic.NULL_SHARE, "high": 0.0}
    elif rule == "unique":
        yield {"statistic": Statistic.REPEATED_SHARE, "high": 0.0, "columns": (name,)}
    elif rule == "is_in":
        members = tuple(getattr(column, rule, None) or ())
        if members and all(isinstance(m, str | int | float | bool) for m in members):
            ordered = tuple(sorted(members, key=repr))
            yield {"statistic": Statistic.OUTSIDE_SET, "high": 0.0, "members": ordered}
    bounds = _BOUNDS | (_LENGTHS if type(column).__name__ == "String" else {})  # lists have lengths of their own
    number = as_number(getattr(column, rule, None)) if rule in bounds else None
    if number is not None:
        statistic, side = bounds[rule]
        yield {"statistic": statistic, side: number}
