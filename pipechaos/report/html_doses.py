"""Dose-response of the HTML report: how strong a fault must be before a validator sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pipechaos.plan.placement import Placement
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import amount, plural
from pipechaos.report.svg import MARKERS, Series, Svg
from pipechaos.report.svg_lines import dose_chart
from pipechaos.score.floor import Floor, FloorStatus, floors
from pipechaos.score.records import Trial, TrialKind

__all__ = ["Doses", "doses_of", "left_text"]

_MOST_CHARTS = 30
_MOST_LADDERS = 100
_MOST_SERIES = MARKERS


@dataclass(frozen=True, kw_only=True)
class Chart:
    """P(detect) of one fault over all columns it was tried on."""

    fault: str
    note: str
    picture: Svg
    floors: str


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """One fault on its columns, as one validator saw it: counts by severity, and the floor.

    ``span`` counts the rows of the same fault and columns; 0 in all of them but the first.
    """

    span: int
    fault: str
    where: str
    validator: str
    counts: tuple[str, ...]
    floor: str


@dataclass(frozen=True, kw_only=True)
class Doses:
    """All of it; ``off``, ``ladders_off`` and ``validators_off`` count what had no room."""

    legend: tuple[tuple[int, str], ...]
    severities: tuple[int, ...]
    charts: tuple[Chart, ...]
    off: int
    ladders: tuple[Ladder, ...]
    ladders_off: int
    validators_off: int


def doses_of(report: Report) -> Doses:
    """Charts by fault, what is seen least first; and every ladder as numbers."""
    names = [v.name for v in report.card.validators]
    shown = names[:_MOST_SERIES]
    tried = [t for t in report.trials if t.kind is TrialKind.FAULT and t.severity > 0]
    by_fault: dict[str, dict[str, Floor]] = {}
    for floor in floors((_pooled(t) for t in tried if t.validator in shown), report.card.about.rho):
        by_fault.setdefault(floor.fault, {})[floor.validator] = floor
    faults = sorted(by_fault, key=lambda f: (_seen(by_fault[f]), f))
    doses = _moved(tried)
    charts = tuple(
        _chart(i, fault, by_fault[fault], shown, doses.get(fault, {})) for i, fault in enumerate(faults[:_MOST_CHARTS])
    )
    ladders = [f for v in report.card.validators for f in v.floors]
    severities = sorted({s for f in ladders for s in f.detect})
    ladders.sort(key=lambda f: (f.fault, f.columns, str(Placement.of(f.placement)), names.index(f.validator)))
    return Doses(
        legend=tuple(enumerate(shown)),
        severities=tuple(severities),
        charts=charts,
        off=len(faults) - len(charts),
        ladders=_rows(ladders[:_MOST_LADDERS], severities),
        ladders_off=max(len(ladders) - _MOST_LADDERS, 0),
        validators_off=len(names) - len(shown),
    )


def _pooled(trial: Trial) -> Trial:
    """As if a fault had one ladder, whatever columns it is tried on."""
    return replace(trial, columns=(), placement={}, params={})


def _seen(found: Mapping[str, Floor]) -> float:
    rates = [r for f in found.values() for r in f.detect.values()]
    return sum(r.hits for r in rates) / max(sum(r.trials for r in rates), 1)


def _moved(trials: Sequence[Trial]) -> Mapping[str, Mapping[int, tuple[str, set[str]]]]:
    """For each fault and severity, the parameter that its ladder moves and the values it took."""
    found: dict[str, dict[int, tuple[str, set[str]]]] = {}
    for t in trials:
        value = t.fraction if t.moves == "fraction" else t.params.get(t.moves)
        found.setdefault(t.fault, {}).setdefault(t.severity, (t.moves, set()))[1].add(amount(value))
    return found


def _chart(
    at: int, fault: str, found: Mapping[str, Floor], names: Sequence[str], doses: Mapping[int, tuple[str, set[str]]]
) -> Chart:
    series = [
        Series(name=n, slot=names.index(n), points=found[n].detect, floor=found[n].severity)
        for n in names
        if n in found
    ]
    positions = sorted({p for s in series for p in s.points})
    title = f"Share of trials of {fault} that was detected, by severity"
    return Chart(
        fault=fault,
        note=_note(doses),
        picture=dose_chart(f"dose{at}", title, series, positions),
        floors=_floors_text([(s.name, _floor_text(found[s.name])) for s in series]),
    )


def _note(doses: Mapping[int, tuple[str, set[str]]]) -> str:
    """What the severities mean, where that is the same on all columns."""
    if any(len(values) != 1 for _, values in doses.values()):
        return ""
    texts = [next(iter(doses[s][1])) for s in sorted(doses)]
    name = next((name for name, _ in doses.values()), "")
    return f"{name} {', '.join(texts)}" if name else ""


def _floor_text(floor: Floor) -> str:
    if floor.status is FloorStatus.ESTABLISHED:
        return f"from severity {floor.severity}"
    return "never" if floor.status is FloorStatus.NEVER else "not established"


def _floors_text(said: Sequence[tuple[str, str]]) -> str:
    """Each validator's floor; said once where all are alike."""
    if len({text for _, text in said}) == 1:
        return said[0][1]
    return "; ".join(f"{name} {text}" for name, text in said)


def _rows(ladders: Sequence[Floor], severities: Sequence[int]) -> tuple[Ladder, ...]:
    rows: list[Ladder] = []
    for (fault, where), group in groupby(ladders, key=lambda f: (f.fault, _where(f))):
        alike = list(group)
        for at, floor in enumerate(alike):
            rates = [floor.detect.get(s) for s in severities]
            rows.append(
                Ladder(
                    span=0 if at else len(alike),
                    fault=fault,
                    where=where,
                    validator=floor.validator,
                    counts=tuple(f"{r.hits} of {r.trials}" if r is not None and r.trials else "" for r in rates),
                    floor=_floor_text(floor),
                )
            )
    return tuple(rows)


def _where(floor: Floor) -> str:
    placed = f" ({Placement.of(floor.placement)})" if floor.placement else ""
    return (", ".join(floor.columns) or "the whole batch") + placed


def left_text(count: int, noun: str, many: str = "") -> str:
    """A line that says what was cut."""
    return f"and {plural(count, f'more {noun}', f'more {many}' if many else '')}: scorecard.json holds all of them"
