"""Every fault by its code, in the order in which reports list them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pipechaos.errors import UnknownNameError
from pipechaos.faults import (
    benign,
    canary,
    category,
    drift,
    dtype,
    missing,
    relation,
    rows,
    schema,
    staleness,
    text,
    value,
)
from pipechaos.faults.spec import Family, Fault

__all__ = ["CATALOGUE", "faults", "get"]

CATALOGUE: Mapping[str, Fault] = MappingProxyType(
    {
        fault.code: fault
        for fault in (
            *missing.FAULTS,
            *value.FAULTS,
            *text.FAULTS,
            *category.FAULTS,
            *dtype.FAULTS,
            *schema.FAULTS,
            *rows.FAULTS,
            *relation.FAULTS,
            *staleness.FAULTS,
            *drift.FAULTS,
            *benign.FAULTS,
            *canary.FAULTS,
        )
    }
)


def get(code: str) -> Fault:
    """One fault.

    Raises
    ------
    UnknownNameError
        There is no such code; the message suggests a near one.

    Examples
    --------
    >>> get("null.mcar").title
    'values go missing at random'
    """
    if code not in CATALOGUE:
        raise UnknownNameError("fault", code, CATALOGUE)
    return CATALOGUE[code]


def faults(family: Family | None = None) -> tuple[Fault, ...]:
    """All faults, or those of a family, in the catalogue's order.

    Examples
    --------
    >>> [f.code for f in faults(Family.RELATION)]
    ['relation.shuffle']
    """
    return tuple(f for f in CATALOGUE.values() if family in (None, f.family))
