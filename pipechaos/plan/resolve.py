"""Resolve: freeze what a plan needs to know about a batch and its history (ENGINE.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.identity import choice_ids
from pipechaos.batch.model import Batch
from pipechaos.batch.values import plain
from pipechaos.errors import FaultError, PlanError
from pipechaos.faults.kinds import is_ordered, is_stamp
from pipechaos.faults.spec import Fault, Kind
from pipechaos.plan.injection import Injection, Plan

__all__ = ["DonorRef", "ResolvedInjection", "ResolvedPlan", "quantile_value", "resolve"]


@dataclass(frozen=True, kw_only=True)
class DonorRef:
    """The earlier batch a fault takes rows from, frozen by name and ordered digest."""

    name: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class ResolvedInjection:
    """An injection with everything frozen that needed statistics.

    Attributes
    ----------
    injection
        What was planned.
    params
        Its parameters and the resolved ones.
    threshold
        Placement threshold as an Arrow scalar, where the placement has a quantile.
    donor
        Where rows come from, for faults that need one.
    reason
        Why it cannot be applied; empty when it can.
    """

    injection: Injection
    params: Mapping[str, Any]
    threshold: pa.Scalar | None = None
    donor: DonorRef | None = None
    reason: str = ""

    @property
    def applicable(self) -> bool:
        """Whether it can be applied."""
        return not self.reason


@dataclass(frozen=True, kw_only=True)
class ResolvedPlan:
    """A plan frozen for one batch: from here on injecting needs no statistics."""

    batch: str
    injections: tuple[ResolvedInjection, ...] = field(default=())


def resolve(plan: Plan, source: Batch, history: Sequence[Batch] = (), *, earlier: Sequence[Batch] = ()) -> ResolvedPlan:
    """Freeze a plan for a batch.

    Parameters
    ----------
    plan
        What to inject.
    source
        The untouched batch.
    history
        Clean batches that scales come from; without them the source is its own scale.
    earlier
        Batches before this one, in order, that may give rows (a stale batch takes the last one).

    Raises
    ------
    UnknownNameError
        A column that the batch does not have.
    FaultError
        A column of a type that the fault or its placement does not take.
    """
    done = tuple(_resolve_one(i, source, history, earlier or history) for i in plan.injections)
    return ResolvedPlan(batch=source.name, injections=done)


def _resolve_one(
    injection: Injection, source: Batch, history: Sequence[Batch], earlier: Sequence[Batch]
) -> ResolvedInjection:
    spec = injection.spec
    for name in (*injection.columns, *injection.placement.columns):
        source.column(name)  # refuses unknown names with a suggestion
    for name in injection.columns:
        _check_type(spec, source, name)
    if (spec.needs_time or injection.placement.kind is Kind.BURST) and source.time is None:
        raise PlanError(f"{spec.code} on batch {source.name!r} needs a time column: declare `time:`")
    _check_placement(injection, source)
    donor = _donor(spec, source, earlier)
    if spec.donor and donor is None:
        return _not_applicable(injection, "there is no earlier batch to take rows from")
    threshold, reason = _threshold(injection, source)
    if reason:
        return _not_applicable(injection, reason)
    params = dict(injection.params)
    if spec.resolve is not None:
        column = injection.columns[0] if injection.columns else None
        pool = [donor] if spec.donor and donor is not None else list(history)
        found = spec.resolve(source, pool, column, params)
        if found is None:
            return _not_applicable(
                injection,
                "nothing to resolve it from: no spread in the values, no second category, or no usable time stamp",
            )
        params |= found
    ref = DonorRef(name=donor.name, digest=ordered_digest(donor.table)) if spec.donor and donor is not None else None
    return ResolvedInjection(injection=injection, params=params, threshold=threshold, donor=ref)


def _not_applicable(injection: Injection, reason: str) -> ResolvedInjection:
    return ResolvedInjection(injection=injection, params=dict(injection.params), reason=reason)


def _check_type(spec: Fault, source: Batch, name: str) -> None:
    kind = source.column(name).type
    if not spec.applies(_value_type(kind)):
        raise FaultError(f"fault {spec.code!r} does not apply to column {name!r} of type {kind}: it takes {spec.types}")


def _check_placement(injection: Injection, source: Batch) -> None:
    """Refuse columns that a placement cannot look at before anything is written."""
    place = injection.placement
    if place.quantile is not None:
        name = _quantile_column(injection)
        kind = _value_type(source.column(name).type)
        if not is_ordered(kind):
            raise FaultError(
                f"placement {place.kind.value!r} cannot sort column {name!r} of type {kind}: it takes "
                "numbers, decimals, booleans, text, dates and times"
            )
    elif place.kind is Kind.BURST:
        kind = source.column(str(source.time)).type
        if not is_stamp(kind):
            raise FaultError(
                f"placement 'burst' takes a time column of timestamps or dates, not {source.time!r}: {kind}"
            )
    elif place.entity is not None:
        choice_ids([source.column(c).slice(0, 0) for c in place.entity], names=place.entity)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _quantile_column(injection: Injection) -> str:
    place = injection.placement
    return str(place.other) if place.kind is Kind.OTHER_COLUMN else injection.columns[0]


def _donor(spec: Fault, source: Batch, earlier: Sequence[Batch]) -> Batch | None:
    if not spec.donor:
        return None
    before = [b for b in earlier if b.name < source.name]
    return max(before, key=lambda b: b.name, default=None)


def _threshold(injection: Injection, source: Batch) -> tuple[pa.Scalar | None, str]:
    place = injection.placement
    if place.quantile is None:
        return None, ""
    name = _quantile_column(injection)
    found = quantile_value(source.column(name), place.quantile)
    return found, "" if found is not None else f"column {name!r} has no value to take a quantile of"


def quantile_value(column: pa.ChunkedArray, q: str) -> pa.Scalar | None:
    """Value at ``ceil(q n)`` of the n sorted values, counted from 1; None when there is none.

    Nulls and NaN are no values.

    Examples
    --------
    >>> quantile_value(pa.chunked_array([[5, 1, 3, None]]), "0.5").as_py()
    3
    """
    array = pc.drop_null(plain(column))
    if pa.types.is_floating(array.type):
        array = array.filter(pc.invert(pc.is_nan(array)))
    if len(array) == 0:
        return None
    at = int((Decimal(q) * len(array)).to_integral_value(ROUND_CEILING))
    found = array.take(pc.array_sort_indices(array).slice(at - 1, 1))
    return found[0]
