"""Trend of the HTML report: rates of past runs, a point a run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipechaos.report.numbers import RateText, over_batches, over_blocks
from pipechaos.report.svg import MARKERS, Series, Svg
from pipechaos.report.svg_lines import trend_chart
from pipechaos.score.records import Rate
from pipechaos.score.stack import STACK
from pipechaos.store.records import RatePoint

__all__ = ["Trend", "trend_of"]

_MOST_RUNS = 40
_MOST_ROWS = 36


@dataclass(frozen=True, kw_only=True)
class TrendRow:
    """A validator in one run; ``suite`` starts its digest, ``changed`` says that it is another than before."""

    run: str
    started: str
    current: bool
    validator: str
    suite: str
    changed: bool
    fnr: RateText
    fpr: RateText


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Two charts and the numbers in them; ``left``, ``validators_off`` and ``rows_left`` count what had no room."""

    runs: int
    left: int
    validators_off: int
    rows_left: int
    legend: tuple[tuple[int, str], ...]
    fnr: Svg
    fpr: Svg
    rows: tuple[TrendRow, ...]


def trend_of(points: Sequence[RatePoint], run_id: str, order_of: Sequence[str] = ()) -> Trend | None:
    """The last runs; None when there is none. Validators have the colours they have elsewhere, by ``order_of``."""
    order = list(dict.fromkeys((p.started, p.run_id) for p in sorted(points, key=lambda p: (p.started, p.run_id))))
    if not order:
        return None
    kept = order[-_MOST_RUNS:]
    at = {key: i for i, key in enumerate(kept)}
    shown = [p for p in points if (p.started, p.run_id) in at]
    place = {name: i for i, name in enumerate(order_of)}
    ranked = sorted(shown, key=lambda p: (not p.suite_digest, place.get(p.validator, len(place))))
    names = list(dict.fromkeys(map(_name, ranked)))
    drawn = names[:MARKERS]
    rows = _rows(shown, at, run_id)
    labels = [started.strftime("%Y-%m-%d") for started, _ in kept]

    def chart(key: str, title: str, rate: Callable[[RatePoint], Rate]) -> Svg:
        series = [
            Series(
                name=name,
                slot=slot,
                points={at[(p.started, p.run_id)]: rate(p) for p in shown if _name(p) == name},
            )
            for slot, name in enumerate(drawn)
        ]
        return trend_chart(key, title, series, labels, _says(series))

    return Trend(
        runs=len(kept),
        left=len(order) - len(kept),
        validators_off=len(names) - len(drawn),
        rows_left=max(len(rows) - _MOST_ROWS, 0),
        legend=tuple(enumerate(drawn)),
        fnr=chart("trend-fnr", "FNR over past runs", _fnr),
        fpr=chart("trend-fpr", "FPR over past runs", _fpr),
        rows=rows[:_MOST_ROWS],
    )


def _rows(points: Sequence[RatePoint], at: Mapping[tuple[dt.datetime, str], int], run_id: str) -> tuple[TrendRow, ...]:
    before: dict[str, str] = {}
    rows = []
    for p in sorted(points, key=lambda p: at[(p.started, p.run_id)]):
        rows.append(
            TrendRow(
                run=p.run_id,
                started=p.started.strftime("%Y-%m-%d %H:%M"),
                current=bool(run_id) and p.run_id == run_id,
                validator=_name(p),
                suite=p.suite_digest[:8],
                changed=before.get(p.validator, p.suite_digest) != p.suite_digest,
                fnr=over_batches(_fnr(p)),
                fpr=over_blocks(_fpr(p)),
            )
        )
        before[p.validator] = p.suite_digest
    return tuple(reversed(rows))


def _name(point: RatePoint) -> str:
    return "all together" if point.validator == STACK else point.validator


def _fnr(p: RatePoint) -> Rate:
    return _rate(p.fnr, p.fnr_low, p.fnr_high, p.missed, p.faulty)


def _fpr(p: RatePoint) -> Rate:
    return _rate(p.fpr, p.fpr_low, p.fpr_high, p.alarms, p.natural)


def _rate(estimate: float | None, low: float | None, high: float | None, hits: int, trials: int) -> Rate:
    nan = math.nan
    return Rate(
        estimate=nan if estimate is None else estimate,
        low=nan if low is None else low,
        high=nan if high is None else high,
        hits=hits,
        trials=trials,
        few_batches=False,
    )


def _says(series: Sequence[Series]) -> str:
    parts = []
    for one in series:
        rates = [r for _, r in sorted(one.points.items())]
        if rates:
            first, last = over_batches(rates[0]), over_batches(rates[-1])
            parts.append(f"{one.name}: {first.estimate} in the first run shown, {last.estimate} in the last")
    return "; ".join(parts)
