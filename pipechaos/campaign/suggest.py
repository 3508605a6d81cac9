"""A check that would have caught a survivor, by rule and from the history's own numbers; never applied by itself.

A rule proposes a limit for each family of faults. It becomes a suggestion only if it was worked out to reject the
corrupted batch and to accept every batch of the history and every control of the run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pyarrow as pa

from pipechaos.batch.identity import is_text
from pipechaos.batch.model import Batch
from pipechaos.campaign.explanation import Suggestion
from pipechaos.campaign.statistics import fits, present, statistic
from pipechaos.faults.spec import Family
from pipechaos.validate.limits import Limit, Statistic

__all__ = ["Form", "History", "accepts", "proposals", "suggestion"]

FEWEST = 5  # batches of history that a rule needs
MOST_VALUES = 50  # different values that still make a closed set
_NULL_FACTOR, _NULL_MARGIN = 1.5, 0.01
_ROW_MARGIN = 0.1
_MEAN_MARGIN = 0.25  # of the distance between the lowest and the highest mean
_RANGE_MARGIN = 0.1  # of the distance between the lowest and the highest value

_RULES: Mapping[Family, tuple[Statistic, ...]] = {
    Family.MISSING: (
        Statistic.NULL_SHARE,
        Statistic.OUTSIDE_SET,
        Statistic.MINIMUM,
        Statistic.MAXIMUM,
        Statistic.MEAN,
    ),
    Family.VALUE: (Statistic.MINIMUM, Statistic.MAXIMUM, Statistic.MEAN, Statistic.OUTSIDE_SET),
    Family.TEXT: (Statistic.OUTSIDE_SET,),
    Family.CATEGORY: (Statistic.OUTSIDE_SET,),
    Family.DRIFT: (Statistic.MEAN, Statistic.MINIMUM, Statistic.MAXIMUM),
    Family.ROWS: (Statistic.REPEATED_SHARE, Statistic.ROW_COUNT),
}


class Form(StrEnum):
    """How a validator writes its checks."""

    PANDERA = "pandera"
    GX = "gx"
    OTHER = "other"

    @classmethod
    def of(cls, spec: str) -> Form:
        """Form of a validator's spec.

        Examples
        --------
        >>> Form.of("gx:suites/orders.json"), Form.of("callable:checks:usual")
        (<Form.GX: 'gx'>, <Form.OTHER: 'other'>)
        """
        kind = spec.partition(":")[0]
        return cls(kind) if kind in (cls.PANDERA, cls.GX) else cls.OTHER


@dataclass(frozen=True, kw_only=True)
class History:
    """Statistics of the clean history, worked out when first asked for.

    Parameters
    ----------
    batches
        All of it, in order.
    """

    batches: tuple[Batch, ...]
    _known: dict[Limit, list[float]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, limit: Limit) -> list[float]:
        """A statistic of every batch."""
        bare = replace(limit, low=None, high=None)
        if bare not in self._known:
            self._known[bare] = [statistic(bare, b.table) for b in self.batches]
        return self._known[bare]

    def members(self, column: str) -> tuple[str, ...]:
        """Different texts of a column over the history; none where it holds anything else, or too many of them."""
        found: set[str] = set()
        for batch in self.batches:
            if column not in batch.columns:
                return ()
            values = present(batch.column(column))
            if not is_text(values.type):
                return ()
            found.update(values.unique().to_pylist())
            if len(found) > MOST_VALUES:
                return ()
        return tuple(sorted(found))


def proposals(family: Family, columns: Sequence[str], history: History, broken: Batch) -> tuple[Limit, ...]:
    """Limits that a rule makes of the history, that the whole history keeps and that a corrupted batch does not.

    Parameters
    ----------
    family
        Of the fault.
    columns
        Of the fault.
    history
        Clean batches; fewer than five make no rule.
    broken
        The corrupted batch.

    Returns
    -------
    tuple of Limit
        The rule that fits the family best first; often none.
    """
    if len(history.batches) < FEWEST:
        return ()
    wanted = _RULES.get(family, ())
    made = [m for s in wanted for m in _limits(s, columns[0] if columns else "", history, broken)]
    return tuple(
        limit
        for limit in made
        if all(fits(limit, v) for v in history.of(limit)) and not _keeps(limit, statistic(limit, broken.table))
    )


def accepts(limits: Iterable[Limit], controls: Iterable[Batch]) -> frozenset[Limit]:
    """Those of the limits that every control keeps; each control is read once."""
    left = list(dict.fromkeys(limits))
    for batch in controls if left else ():
        left = [limit for limit in left if fits(limit, statistic(limit, batch.table))]
        if not left:
            break
    return frozenset(left)


def _keeps(limit: Limit, value: float) -> bool:
    """Whether a corrupted batch passes; an undefined statistic is nothing that a check would reject for sure."""
    return math.isnan(value) or fits(limit, value)


def _limits(wanted: Statistic, column: str, history: History, broken: Batch) -> Iterator[Limit]:
    bare = Limit(check="", column=column, statistic=wanted)
    match wanted:
        case Statistic.ROW_COUNT:
            counts = history.of(replace(bare, column=""))
            low, high = min(counts) * (1 - _ROW_MARGIN), max(counts) * (1 + _ROW_MARGIN)
            yield replace(bare, column="", low=float(math.floor(low)), high=float(math.ceil(high)))
        case Statistic.REPEATED_SHARE:
            if broken.key:
                yield replace(bare, column="", columns=broken.key, high=0.0)
        case _ if not column:
            return
        case Statistic.OUTSIDE_SET:
            members = history.members(column)
            if members:
                yield replace(bare, members=members, high=0.0)
        case Statistic.NULL_SHARE:
            worst = max(history.of(bare))
            budget = math.ceil(round(max(worst * _NULL_FACTOR, worst + _NULL_MARGIN) * 1000, 6)) / 1000
            if budget < 1:
                yield replace(bare, high=budget)
        case _:
            yield from _range(bare, history)


def _range(bare: Limit, history: History) -> Iterator[Limit]:
    """Numbers only: of a time, tomorrow's are always new."""
    if not _is_number(history, bare.column):
        return
    pair = [Statistic.MEAN] * 2 if bare.statistic is Statistic.MEAN else [Statistic.MINIMUM, Statistic.MAXIMUM]
    lows, highs = (history.of(replace(bare, statistic=s)) for s in pair)
    if not all(map(math.isfinite, [*lows, *highs])):
        return
    low, high = min(lows), max(highs)
    wider = (high - low) * (_MEAN_MARGIN if bare.statistic is Statistic.MEAN else _RANGE_MARGIN)
    ends = _outward(low - wider, high - low, up=False), _outward(high + wider, high - low, up=True)
    low, high = max(ends[0], 0.0) if low >= 0 else ends[0], min(ends[1], 0.0) if high <= 0 else ends[1]
    if bare.statistic is Statistic.MINIMUM:
        yield replace(bare, low=low)
    elif bare.statistic is Statistic.MAXIMUM:
        yield replace(bare, high=high)
    else:
        yield replace(bare, low=low, high=high)


def _is_number(history: History, column: str) -> bool:
    kinds = {b.column(column).type for b in history.batches if column in b.columns}
    return bool(kinds) and all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds)


def _outward(value: float, scale: float, *, up: bool) -> float:
    """A limit without digits that say nothing: a multiple of a hundredth of the scale's power of ten, rounded away."""
    if not scale > 0:
        return value
    places = 2 - math.floor(math.log10(scale))
    if not -300 < places < 300:
        return value
    step = 10.0**places
    scaled = round(value * step, 6) if math.isfinite(value * step) else math.nan
    return value if math.isnan(scaled) else (math.ceil(scaled) if up else math.floor(scaled)) / step


def suggestion(limit: Limit, history: History, controls: int, form: Form, *, values: bool = True) -> Suggestion:
    """A limit in words and in the validator's own form.

    Parameters
    ----------
    limit
        One of :func:`proposals` that :func:`accepts` kept.
    history
        What it was made of.
    controls
        How many untouched batches of the run it was tried on.
    form
        How the validator writes its checks.
    values
        Whether numbers in the unit of the data, and members of a set, may be told.
    """
    told = values or not (limit.statistic.in_unit or limit.members)
    text = f"{_words(limit, history, told)}. Tried: it rejects this batch and accepts all "
    text += f"{len(history.batches)} of the history and all {controls} controls of the run"
    writer = {Form.PANDERA: _pandera, Form.GX: _gx}.get(form)
    return Suggestion(text=text, code=writer(limit) if told and writer is not None else "")


def _words(limit: Limit, history: History, told: bool) -> str:
    seen = [v for v in history.of(limit) if not math.isnan(v)]
    where = limit.column
    match limit.statistic:
        case Statistic.NULL_SHARE:
            return (
                f"a budget of nulls in {where}, at most {_share(limit.high)} (the history's worst batch has "
                f"{_share(max(seen))}; rule: half as much again, at least one point more)"
            )
        case Statistic.ROW_COUNT:
            return (
                f"a row count from {_plain(limit.low)} to {_plain(limit.high)} (the history has {min(seen):g} to "
                f"{max(seen):g}; rule: a tenth of room on each side)"
            )
        case Statistic.REPEATED_SHARE:
            return f"uniqueness of the key {', '.join(limit.columns)} (rule: no batch of the history repeats it)"
        case Statistic.OUTSIDE_SET:
            return (
                f"a closed set of values for {where} (rule: the {len(limit.members)} that the history has, "
                f"if they are at most {MOST_VALUES})"
            )
    room = "a quarter" if limit.statistic is Statistic.MEAN else "a tenth"
    numbers = ""
    if told:
        ends = [f"at least {_plain(limit.low)}"] if limit.low is not None else []
        ends += [f"at most {_plain(limit.high)}"] if limit.high is not None else []
        numbers = f", {' and '.join(ends)} (the history has {min(seen):.6g} to {max(seen):.6g}"
    rule = f"rule: the history's range and {room} of it on each side, never past zero"
    return f"a limit on the {limit.statistic.value} of {where}" + (f"{numbers}; {rule})" if told else f" ({rule})")


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.3g} %"


def _plain(value: float | None) -> int | float | None:
    return int(value) if value is not None and value.is_integer() and abs(value) < 2**53 else value


def _pandera(limit: Limit) -> str:
    """Source of a check; names come from tables, so they stand in it as literals only."""
    low, high = _plain(limit.low), _plain(limit.high)
    name = f"name={limit.column + '_' + limit.statistic.value.replace(' ', '_')!a}"
    ends = f"{'' if low is None else f'{low!r} <= '}{{}}{'' if high is None else f' <= {high!r}'}"
    match limit.statistic:
        case Statistic.NULL_SHARE:
            return f"pa.Check(lambda s: bool({ends.format('s.isna().mean()')}), {name}, ignore_na=False)"
        case Statistic.ROW_COUNT:
            return f"pa.DataFrameSchema(checks=pa.Check(lambda df: {ends.format('len(df)')}, name='row_count'))"
        case Statistic.REPEATED_SHARE:
            return f"pa.DataFrameSchema(unique={list(limit.columns)!a})"
        case Statistic.OUTSIDE_SET:
            return f"pa.Check.isin({list(limit.members)!a})"
        case Statistic.MINIMUM:
            return f"pa.Check.ge({low!r})"
        case Statistic.MAXIMUM:
            return f"pa.Check.le({high!r})"
        case _:
            return f"pa.Check(lambda s: bool({ends.format('s.mean()')}), {name}, ignore_na=False)"


def _gx(limit: Limit) -> str:
    """An expectation as a suite file holds it."""
    low, high = _plain(limit.low), _plain(limit.high)
    column = {"column": limit.column}
    ends = {k: v for k, v in (("min_value", low), ("max_value", high)) if v is not None}
    kind, kwargs = {
        Statistic.NULL_SHARE: (
            "expect_column_values_to_not_be_null",
            {**column, "mostly": round(1 - (limit.high or 0.0), 6)},
        ),
        Statistic.ROW_COUNT: ("expect_table_row_count_to_be_between", ends),
        Statistic.REPEATED_SHARE: (
            ("expect_compound_columns_to_be_unique", {"column_list": list(limit.columns)})
            if len(limit.columns) > 1
            else ("expect_column_values_to_be_unique", {"column": "".join(limit.columns)})
        ),
        Statistic.OUTSIDE_SET: ("expect_column_values_to_be_in_set", {**column, "value_set": list(limit.members)}),
        Statistic.MEAN: ("expect_column_mean_to_be_between", {**column, **ends}),
    }.get(limit.statistic, ("expect_column_values_to_be_between", {**column, **ends}))
    return json.dumps({"type": kind, "kwargs": kwargs})
