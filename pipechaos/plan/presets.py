"""Presets: which faults meet which columns when nobody says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa

from pipechaos import counter
from pipechaos.batch.model import Batch
from pipechaos.errors import PlanError, UnknownNameError
from pipechaos.faults import registry
from pipechaos.faults.spec import Family, Fault, Kind

__all__ = ["PRESETS", "Pair", "pairs", "thin"]

_ALL = tuple(f for f in Family if f not in (Family.BENIGN, Family.CANARY))
PRESETS: Mapping[str, tuple[Family, ...]] = {
    "standard": _ALL,
    "quick": _ALL,
    "missing": (Family.MISSING,),
    "value": (Family.VALUE, Family.TEXT, Family.CATEGORY),
    "schema": (Family.SCHEMA, Family.TYPE),
    "rows": (Family.ROWS, Family.RELATION, Family.TIME),
    "drift": (Family.DRIFT,),
}
_QUICK_PAIRS = 20  # one column for each fault


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A fault on columns under one placement: everything of a weakness but its severity and validator."""

    fault: str
    columns: tuple[str, ...] = ()
    placement: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    severities: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.fault} on {', '.join(self.columns)}" if self.columns else self.fault


def pairs(preset: str, batch: Batch, *, ignore: Sequence[str] = ()) -> tuple[Pair, ...]:
    """Every fault of a preset on every column that it applies to.

    Parameters
    ----------
    preset
        A name in :data:`PRESETS`.
    batch
        Reference batch: its columns, types and time column decide.
    ignore
        Columns to leave alone.

    Raises
    ------
    UnknownNameError
        No such preset, or an ignored column that is not there.
    """
    if preset not in PRESETS:
        raise UnknownNameError("preset", preset, PRESETS)
    for name in ignore:
        batch.column(name)
    columns = [c for c in batch.columns if c not in set(ignore)]
    found: list[Pair] = []
    for fault in registry.CATALOGUE.values():
        if fault.family in PRESETS[preset] and not (fault.needs_time and batch.time is None):
            found.extend(_of_fault(fault, batch, columns))
    if not found:
        raise PlanError(f"preset {preset!r} has no fault that fits a column of batch {batch.name!r}")
    return thin(found, _QUICK_PAIRS)[0] if preset == "quick" else tuple(found)


def on_columns(fault: Fault, batch: Batch, columns: Sequence[str]) -> list[str]:
    """Columns among these that a fault applies to by type."""
    return [c for c in columns if fault.applies(_value_type(batch.column(c).type))]


def _of_fault(fault: Fault, batch: Batch, columns: Sequence[str]) -> list[Pair]:
    if fault.column_count == 0:
        return [Pair(fault=fault.code)]
    out = []
    for column in on_columns(fault, batch, columns):
        placement: dict[str, Any] = {}
        if fault.placements[0] is Kind.OTHER_COLUMN:
            other = _other(fault.code, column, batch)
            if other is None:
                continue
            placement = {"kind": Kind.OTHER_COLUMN.value, "other": other}
        out.append(Pair(fault=fault.code, columns=(column,), placement=placement))
    return out


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _other(fault: str, column: str, batch: Batch) -> str | None:
    """Column that decides where a fault by another column strikes: an ordered one, fixed by name alone."""
    t = pa.types
    ordered = [
        c
        for c in batch.columns
        if c != column and any(f(batch.column(c).type) for f in (t.is_integer, t.is_floating, t.is_temporal))
    ]
    return min(ordered, key=lambda c: _rank(fault, column, c), default=None)


@cache
def _rank(*names: str) -> str:
    return counter.digest_id("rank", *names)


def thin(found: Sequence[Pair], most: int) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """At most so many pairs, spread evenly over faults and then over columns.

    Parameters
    ----------
    found
        All pairs.
    most
        How many to keep.

    Returns
    -------
    tuple
        Pairs kept, in their order, and pairs left out. The choice depends on names alone.
    """
    waiting: dict[str, list[Pair]] = {}
    for pair in found:
        waiting.setdefault(pair.fault, []).append(pair)
    used: Counter[tuple[str, ...]] = Counter()
    kept: list[Pair] = []
    while len(kept) < most and any(waiting.values()):
        for fault, left in waiting.items():
            if left and len(kept) < most:
                pick = min(left, key=lambda p: (used[p.columns], _rank(fault, *p.columns)))
                left.remove(pick)
                used[pick.columns] += 1
                kept.append(pick)
    chosen = set(map(id, kept))
    return tuple(p for p in found if id(p) in chosen), tuple(p for p in found if id(p) not in chosen)
