"""Pictures of rates along an axis: dose-response of a fault, and rates over past runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipechaos.report.svg import Series, Svg, draw, figure, marker
from pipechaos.score.records import Rate

__all__ = ["dose_chart", "fitting_scale", "trend_chart"]

_SCALES = (0.05, 0.1, 0.2, 0.5, 1.0)


def fitting_scale(highest: float) -> float:
    """End of an axis that starts at 0 and holds a share.

    Examples
    --------
    >>> fitting_scale(0.042), fitting_scale(0.31)
    (0.05, 0.5)
    """
    return next((s for s in _SCALES if highest <= s), 1.0)


def dose_chart(key: str, title: str, series: Sequence[Series], positions: Sequence[int]) -> Svg:
    """P(detect) at each severity with its interval, one mark for each validator, floors as flags on the axis.

    Parameters
    ----------
    key, title
        As of ``svg.figure``.
    series
        Validators.
    positions
        Severities tried by any of them, sorted.
    """
    left, right, top, bottom = 42, 254, 8, 98
    step = (right - left) / len(positions)

    def across(at: int, slot: int) -> float:
        return left + step * (positions.index(at) + 0.5) + (slot - (len(series) - 1) / 2) * min(9.0, step / 4)

    def down(share: float) -> float:
        return bottom - (bottom - top) * share

    parts = [_grid(left, right, [(down(s), f"{100 * s:.0f} %") for s in (0.0, 0.5, 1.0)])]
    parts += [draw("text", str(p), x=left + step * (i + 0.5), y=bottom + 13) for i, p in enumerate(positions)]
    for index, one in enumerate(series):
        places = {p: (across(p, index), down(r.estimate), r) for p, r in sorted(one.points.items()) if _known(r)}
        lines = _bars([(x, down(r.low), down(r.high)) for x, _, r in places.values() if not math.isnan(r.low)])
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places.values()) if len(places) > 1 else ""
        marks = "".join(marker(one.slot, x, y) for x, y, _ in places.values())
        drawn = [draw("path", class_="bars", d=lines)] if lines else []
        drawn += [draw("path", class_="line", d=path)] if path else []
        drawn += [draw("path", class_="fill", d=marks)] if marks else []
        if one.floor is not None:
            x = across(one.floor, index)
            drawn.append(draw("path", class_="floor", d=f"M{x:.1f} {top - 6}V{bottom}M{x:.1f} {top - 6}h7l-2 3l2 3h-7"))
        row = bottom + 29 + 14 * index
        drawn.append(draw("path", class_="fill", d=marker(one.slot, 8, row - 4)))
        drawn += [
            draw("text", _counts(one.points.get(p)), x=left + step * (i + 0.5), y=row) for i, p in enumerate(positions)
        ]
        parts.append(draw("g", *drawn, class_=f"s{one.slot}"))
    return figure(key, title, _says(series), (260, bottom + 35 + 14 * len(series) - 6), *parts, class_="dose")


def _known(rate: Rate) -> bool:
    return not math.isnan(rate.estimate)


def _counts(rate: Rate | None) -> str:
    return f"{rate.hits}/{rate.trials}" if rate is not None and rate.trials else "-"


def _grid(left: float, right: float, rules: Sequence[tuple[float, str]]) -> Svg:
    lines = draw("path", class_="grid", d="".join(f"M{left:.0f} {y:.1f}H{right:.0f}" for y, _ in rules))
    words = [draw("text", word, class_="e", x=left - 5, y=y + 3.5) for y, word in rules]
    return draw("g", lines, *words)


def _bars(places: Sequence[tuple[float, float, float]]) -> str:
    return "".join(f"M{x:.1f} {low:.1f}V{high:.1f}" for x, low, high in places)


def _says(series: Sequence[Series]) -> str:
    parts = []
    for one in series:
        doses = ", ".join(f"{_counts(r)} at {p}" for p, r in sorted(one.points.items()))
        floor = f"; detection floor at {one.floor}" if one.floor is not None else ""
        parts.append(f"{one.name} caught {doses}{floor}")
    return ". ".join(parts)


def trend_chart(key: str, title: str, series: Sequence[Series], labels: Sequence[str], says: str) -> Svg:
    """A rate over runs, a point for each, with its interval as a band.

    Parameters
    ----------
    key, title, says
        As of ``svg.figure``.
    series
        Validators; positions count runs from 0.
    labels
        Of the runs: the first and the last are written below.
    """
    left, right, top, bottom = 44, 470, 10, 170
    highs = [r.high if not math.isnan(r.high) else r.estimate for s in series for r in s.points.values() if _known(r)]
    scale = fitting_scale(max(highs, default=1.0))
    step = (right - left - 20) / max(len(labels) - 1, 1)

    def across(at: int) -> float:
        return left + 10 + step * at if len(labels) > 1 else (left + right) / 2

    def down(share: float) -> float:
        return bottom - (bottom - top) * min(share / scale, 1.0)

    rules = [(down(scale * s), f"{100 * scale * s:g} %") for s in (0.0, 0.5, 1.0)]
    parts = [_grid(left, right, rules)]
    for one in series:
        found = [(across(p), r) for p, r in sorted(one.points.items()) if _known(r)]
        banded = [(x, down(r.low), down(r.high)) for x, r in found if not math.isnan(r.low)]
        line = "M" + "L".join(f"{x:.1f} {down(r.estimate):.1f}" for x, r in found)
        drawn = [draw("path", class_="band", d=_band(banded))] if len(banded) > 1 else []
        drawn += [draw("path", class_="bars", d=_bars(banded))] if len(banded) == 1 else []
        drawn += [draw("path", class_="line", d=line)] if len(found) > 1 else []
        drawn += [draw("path", class_="fill", d="".join(marker(one.slot, x, down(r.estimate), 3.6) for x, r in found))]
        parts.append(draw("g", *drawn, class_=f"s{one.slot}"))
    ends = [(across(0), labels[0], "b" if len(labels) > 1 else None)]
    if len(labels) > 1:
        ends.append((across(len(labels) - 1), labels[-1], "e"))
    parts += [draw("text", word, class_=side, x=x, y=bottom + 16) for x, word, side in ends]
    return figure(key, title, says, (480, bottom + 22), *parts, class_="trend")


def _band(places: Sequence[tuple[float, float, float]]) -> str:
    there = "L".join(f"{x:.1f} {high:.1f}" for x, _, high in places)
    back = "L".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(places))
    return f"M{there}L{back}z"
