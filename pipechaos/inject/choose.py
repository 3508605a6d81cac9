"""Which cells of a batch an injection asks for: eligibility, placement, hits (ENGINE.md sections 2 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos import counter
from pipechaos.batch.identity import choice_ids
from pipechaos.batch.model import Batch
from pipechaos.batch.values import plain
from pipechaos.faults.spec import Kind, Phase
from pipechaos.plan.placement import Side
from pipechaos.plan.resolve import ResolvedInjection

__all__ = ["Choice", "choose"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """Cells (rows for row faults) that could be hit and were, as masks over the source batch's rows."""

    eligible: Mask
    hit: Mask


def choose(resolved: ResolvedInjection, source: Batch) -> Choice:
    """Choose cells; reads the source batch only, so no fault ever moves another's hits."""
    injection = resolved.injection
    eligible = np.ones(source.rows, np.bool_)
    spec = injection.spec
    if spec.phase is Phase.CELLS and spec.needs_value:
        eligible &= has_value(plain(source.column(injection.columns[0])))  # a dictionary may hold a null of its own
    rows, placed = _placed(resolved, source)
    eligible &= placed
    key = injection.key(source.name)
    hit = np.zeros(source.rows, np.bool_)
    at = np.flatnonzero(eligible)
    pick = counter.exact_hits if injection.exact else counter.hits
    hit[at] = pick(rows[at], key, injection.fraction) if len(at) < source.rows else pick(rows, key, injection.fraction)
    return Choice(eligible=eligible, hit=hit)


def has_value(column: pa.Array) -> Mask:
    """Where a plain column has a value: neither null nor NaN."""
    out = np.asarray(pc.is_valid(column))
    if pa.types.is_floating(column.type):
        out = out & ~np.asarray(pc.fill_null(pc.is_nan(column), True))
    return np.asarray(out, np.bool_)


def _placed(resolved: ResolvedInjection, source: Batch) -> tuple[counter.U64, Mask]:
    """Ids that the hash sees under this placement, and which rows it lets in."""
    place = resolved.injection.placement
    length = place.block or 1
    everywhere = np.ones(source.rows, np.bool_)
    match place.kind:
        case Kind.RANDOM:
            return source.identity.choice, everywhere
        case Kind.OWN_VALUE | Kind.OTHER_COLUMN:
            name = place.other if place.kind is Kind.OTHER_COLUMN else resolved.injection.columns[0]
            return source.identity.choice, _beyond(source.column(str(name)), resolved.threshold, place.side)
        case Kind.BLOCK:
            return (source.identity.origin // length).astype(np.uint64), everywhere
        case Kind.BURST:
            micro, known = _microseconds(source.column(str(source.time)))
            return (micro // length).view(np.uint64), known
        case Kind.ENTITY:
            columns = [plain(source.column(c)) for c in place.entity or ()]
            known = ~np.logical_and.reduce([np.asarray(pc.is_null(c)) for c in columns])
            return choice_ids(columns, names=place.entity or ()), known
    raise AssertionError(place.kind)


def _beyond(column: pa.ChunkedArray, threshold: pa.Scalar | None, side: Side | None) -> Mask:
    values = plain(column)
    compare = pc.greater_equal if side == Side.HIGH else pc.less_equal
    return np.asarray(pc.fill_null(compare(values, threshold), False), np.bool_)


def _microseconds(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], Mask]:
    known = np.asarray(pc.is_valid(column))
    kind = column.type
    if pa.types.is_date(kind):
        days = np.asarray(pc.fill_null(column.cast(pa.date32()).cast(pa.int32()), 0)).astype(np.int64)
        return days * 86_400_000_000, known
    raw = np.asarray(pc.fill_null(column.cast(pa.int64()), 0)).astype(np.int64)
    return raw // 1000 if kind.unit == "ns" else raw * {"s": 1_000_000, "ms": 1_000, "us": 1}[kind.unit], known
