"""Why a fault got through, in words: sketches as block characters, near misses, doses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipechaos.campaign.explanation import Dose, NearMiss, Sketch
from pipechaos.report.escape import clip, listed
from pipechaos.report.numbers import plural

__all__ = ["bars", "dose_lines", "near_line", "near_text", "sketch_lines"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
_NAME, _CHECK = 40, 60
_SKETCHES, _NEAR, _COLUMNS = 2, 3, 6


def bars(sketch: Sketch) -> str:
    """Bins before and after as block characters on one scale; a dot where there is nothing.

    Examples
    --------
    >>> bars(
    ...     Sketch(
    ...         column="x",
    ...         labels=("a", "b"),
    ...         before=(0.8, 0.2),
    ...         after=(0.4, 0.0),
    ...         null_before=0.0,
    ...         null_after=0.6,
    ...         summary="",
    ...     )
    ... )
    '█▂ -> ▄·'
    """
    top = max((*sketch.before, *sketch.after), default=0.0)
    return f"{_row(sketch.before, top)} -> {_row(sketch.after, top)}" if top else ""


def _row(shares: Sequence[float], top: float) -> str:
    last = len(_BLOCKS)
    return "".join(_BLOCKS[max(math.ceil(s / top * last - 1e-9), 1) - 1] if s else _NOTHING for s in shares)


def sketch_lines(sketches: Sequence[Sketch], most: int = _SKETCHES) -> tuple[str, ...]:
    """One line for each column, the first ones."""
    lines = [f"{clip(s.column, _NAME)}: {f'{bars(s)}, ' if bars(s) else ''}{s.summary}" for s in sketches[:most]]
    if len(sketches) > most:
        lines.append(f"and {plural(len(sketches) - most, 'column')} more")
    return tuple(lines)


def near_text(miss: NearMiss) -> str:
    """One check, and how much of its room was used.

    Examples
    --------
    >>> near_text(
    ...     NearMiss(
    ...         validator="gx",
    ...         check="values_to_not_be_null(x, mostly=0.8)",
    ...         column="x",
    ...         statistic="null share",
    ...         limit=0.2,
    ...         observed=0.1,
    ...         untouched=0.05,
    ...         used=1 / 3,
    ...     )
    ... )
    'gx values_to_not_be_null(x, mostly=0.8) used 33 % of its room (null share 0.05 -> 0.1, limit 0.2)'
    """
    seen = f" {miss.untouched:.4g} -> {miss.observed:.4g}," if not math.isnan(miss.untouched + miss.observed) else ""
    numbers = f"({miss.statistic}{seen} limit {miss.limit:.4g})"
    return f"{miss.validator} {clip(miss.check, _CHECK)} used {_used(miss.used)} of its room {numbers}"


def _used(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "under 1 %"


def near_line(near: Sequence[NearMiss], most: int = _NEAR) -> str:
    """The checks that came nearest to failing; empty where none declares a number."""
    close = [near_text(m) for m in near if m.used > 0]
    if close:
        return f"nearest to failing: {'; '.join(close[:most])}"
    return f"none of {plural(len(near), 'declared limit')} came any nearer to failing" if near else ""


def dose_lines(doses: Sequence[Dose], columns: Sequence[str], severity: int, rungs: int) -> tuple[str, ...]:
    """Which rungs survive, and the smallest set of columns that still does.

    Parameters
    ----------
    doses
        Everything tried.
    columns, severity, rungs
        Of the trial itself, and of its fault's ladder.

    Examples
    --------
    >>> tried = [Dose(severity=s, columns=("x",), missed=s < 4) for s in range(1, 6)]
    >>> dose_lines(tried, ("x",), 3, 5)
    ('survives from severity 1 to 3 of 5; caught at 4, 5',)
    """
    ladder = {d.severity: d.missed for d in doses if d.columns == tuple(columns) and d.severity}
    lines = [_ladder(ladder, severity, rungs)] if ladder else []
    sets = [d for d in doses if d.columns != tuple(columns) and d.severity == severity]
    survived = [d.columns for d in sets if d.missed]
    if survived:
        least = min(survived, key=lambda some: (len(some), some))
        names = listed([clip(c, _NAME) for c in least], _COLUMNS)
        lines.append(f"smallest set of columns that still survives: {names} ({plural(len(sets), 'set')} tried)")
    return tuple(lines)


def _ladder(missed: dict[int, bool], severity: int, rungs: int) -> str:
    caught = sorted(s for s, m in missed.items() if not m)
    also = f"; caught at {', '.join(map(str, caught))}" if caught else ""
    if not missed.get(severity):
        return f"caught at severity {', '.join(map(str, caught))} of {rungs}" if caught else ""
    low = high = severity
    while missed.get(low - 1):
        low -= 1
    while missed.get(high + 1):
        high += 1
    run = f"from severity {low} to {high}" if low < high else f"at severity {low}"
    apart = sorted(s for s, m in missed.items() if m and not low <= s <= high)
    further = f" and at {', '.join(map(str, apart))}" if apart else ""
    return f"survives {run}{further} of {rungs}{also}"
