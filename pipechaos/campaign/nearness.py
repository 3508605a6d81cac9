"""How near each check was to failing: the share of its room that a fault used up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from pipechaos.campaign.explanation import NearMiss
from pipechaos.campaign.statistics import statistic
from pipechaos.validate.limits import Limit

__all__ = ["near_misses", "used_room"]


def near_misses(
    limits: Mapping[str, Sequence[Limit]],
    columns: Iterable[str],
    before: pa.Table,
    after: pa.Table,
    *,
    values: bool = True,
) -> tuple[NearMiss, ...]:
    """Declared limits that the changed columns came near to, the nearest first.

    Parameters
    ----------
    limits
        By validator.
    columns
        Columns of the fault; without any, limits of the whole table.
    before, after
        The untouched and the corrupted table.
    values
        Whether minimum, mean and whatever else is in the unit of the data may be told; NaN stands in their place.

    Returns
    -------
    tuple of NearMiss
        One for each check and column: the limit that was nearest. A check that used no room, or had none, comes last.

    Examples
    --------
    >>> from pipechaos.validate.limits import Statistic
    >>> budget = Limit(check="x:nulls", column="x", statistic=Statistic.NULL_SHARE, high=0.8)
    >>> found = near_misses({"s": [budget]}, ["x"], pa.table({"x": [1, 2, 3, 4]}), pa.table({"x": [None, 2, 3, 4]}))
    >>> found[0].observed, round(found[0].used, 4)
    (0.25, 0.3125)
    """
    wanted = frozenset(columns)
    nearest: dict[tuple[str, str, str], NearMiss] = {}
    for validator, declared in limits.items():
        for limit in declared:
            if not _looks(limit, wanted):
                continue
            for miss in _misses(validator, limit, before, after, values):
                at = (validator, miss.check, miss.column)
                if at not in nearest or _order(miss) < _order(nearest[at]):
                    nearest[at] = miss
    return tuple(sorted(nearest.values(), key=lambda m: (_order(m), m.validator, m.check, m.column)))


def _looks(limit: Limit, columns: frozenset[str]) -> bool:
    return bool(limit.looks_at & columns) if columns else not limit.column


def _order(miss: NearMiss) -> float:
    return 1.0 if math.isnan(miss.used) else -miss.used


def _misses(validator: str, limit: Limit, before: pa.Table, after: pa.Table, values: bool) -> list[NearMiss]:
    old, new = statistic(limit, before), statistic(limit, after)
    shown = values or not limit.statistic.in_unit
    return [
        NearMiss(
            validator=validator,
            check=limit.check,
            column=limit.column,
            statistic=limit.statistic.value,
            limit=end,
            observed=new if shown else math.nan,
            untouched=old if shown else math.nan,
            used=used_room(untouched=old, observed=new, limit=end, upper=upper),
        )
        for end, upper in ((limit.low, False), (limit.high, True))
        if end is not None
    ]


def used_room(*, untouched: float, observed: float, limit: float, upper: bool) -> float:
    """Share of the way from the untouched value to a limit that was gone.

    Parameters
    ----------
    untouched, observed
        The statistic before and after.
    limit
        Where the check fails.
    upper
        Whether larger values fail.

    Returns
    -------
    float
        0 when it moved away from the limit, over 1 beyond it, NaN where there was no room or a number is missing.

    Examples
    --------
    >>> used_room(untouched=30, observed=15, limit=0, upper=False)
    0.5
    >>> used_room(untouched=0, observed=0, limit=0, upper=True)
    nan
    """
    sign = 1 if upper else -1
    room = sign * (limit - untouched)
    gone = sign * (observed - untouched)
    if math.isnan(gone) or not room > 0 or not math.isfinite(room):
        return math.nan
    return max(0.0, gone / room)
