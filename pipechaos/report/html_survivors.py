"""Survivors of the HTML report: what got through, and why as far as anybody looked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Dose, Explanation, NearMiss, Sketch
from pipechaos.report.escape import clip, listed, visible
from pipechaos.report.explained import dose_lines, near_line
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import percent, short_number
from pipechaos.report.survivors import Entry, Rows, looked_text, wanted_examples
from pipechaos.report.svg import Svg, sketch
from pipechaos.score.records import Trial

__all__ = ["Cell", "Found", "SurvivorView", "Table", "survivors_of"]

_MOST_FULL = 25  # with everything known
_MOST_BRIEF = 125  # further ones, as a line
_MOST_SKETCHES, _MOST_NEAR, _MOST_COLUMNS = 2, 6, 8
_CELL, _NAME, _CODE = 48, 110, 1200
_NONE = "-"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a row; ``after`` is None where nothing changed."""

    before: str
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows before and after; ``left`` columns had no room."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    note: str
    left: int

    @property
    def marked(self) -> bool:
        """Whether a row was removed or added."""
        return any(mark for mark, _ in self.rows)


@dataclass(frozen=True, kw_only=True)
class NearView:
    """A check that looked and did not fail, in texts; ``used`` such as ``"62.0 %"``, ``width`` its tenths."""

    validator: str
    check: str
    statistic: str
    untouched: str
    observed: str
    limit: str
    used: str
    width: int


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A check by rule; ``code`` in lines."""

    validator: str
    text: str
    code: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Why it got through."""

    sketches: tuple[tuple[str, str, Svg], ...]
    near: tuple[NearView, ...]
    near_note: str
    doses: tuple[tuple[str, str], ...]
    advice: tuple[Advice, ...]


@dataclass(frozen=True, kw_only=True)
class SurvivorView:
    """One entry with everything known about it; ``why`` is None for those shown as a line."""

    number: int
    entry: Entry
    where: str
    table: Table | None
    looked: tuple[tuple[str, str], ...]
    why: Found | None


def survivors_of(report: Report) -> tuple[tuple[SurvivorView, ...], tuple[SurvivorView, ...], int]:
    """Entries in full, further ones as lines, and how many more there are."""
    entries = report.content.survivors
    kept = entries[: _MOST_FULL + _MOST_BRIEF]
    leads = wanted_examples(report.card, len(entries))
    trials = {t.trial_id: t for t in report.trials}
    missed = _missed(report)
    views = []
    for at, (entry, lead) in enumerate(zip(kept, leads, strict=False)):
        known = _explained(report.explanations, lead, trials, missed) if at < _MOST_FULL else ()
        views.append(_view(at, entry, known, full=at < _MOST_FULL, values=report.values))
    return tuple(views[:_MOST_FULL]), tuple(views[_MOST_FULL:]), len(entries) - len(kept)


def _missed(report: Report) -> dict[str, list[str]]:
    """Ids of missed trials by what was injected, whichever validator missed it: the explained ones alone."""
    found: dict[str, list[str]] = {}
    for trial in sorted(report.trials, key=lambda t: (t.validator, t.trial_id)):
        if trial.trial_id in report.explanations:
            found.setdefault(_what(trial), []).append(trial.trial_id)
    return found


def _what(t: Trial) -> str:
    return repr((t.fault, t.columns, sorted(t.placement.items()), sorted(t.params.items()), t.fraction, t.severity))


def _explained(
    known: Mapping[str, Explanation], lead: str, trials: Mapping[str, Trial], missed: Mapping[str, list[str]]
) -> tuple[tuple[Trial | None, Explanation], ...]:
    """Explanations of the same injection with the trial they are about, one a validator; the lead's own first."""
    trial = trials.get(lead)
    ids = [lead, *(missed.get(_what(trial), ()) if trial is not None else ())]
    found: dict[str, tuple[Trial | None, Explanation]] = {}
    for name in ids:
        if name in known:
            one = trials.get(name)
            found.setdefault(one.validator if one else "", (one, known[name]))
    return tuple(found.values())


def _view(
    at: int, entry: Entry, known: Sequence[tuple[Trial | None, Explanation]], *, full: bool, values: bool
) -> SurvivorView:
    table = None
    if full and values:
        rows = next((e.example for _, e in known if e.example is not None), None)
        table = _table(rows) if rows is not None else _old_table(entry.rows) if entry.rows is not None else None
    return SurvivorView(
        number=at + 1,
        entry=entry,
        where=listed([clip(c, 40) for c in entry.columns], 4) or entry.where,
        table=table,
        looked=tuple((k.validator, looked_text(k, entry.columns, 4, 72)) for k in entry.looked) if full else (),
        why=_found(at, known) if known else None,
    )


def _table(example: Example) -> Table:
    keep = _room(example.columns, [_changed(example, i) for i in range(len(example.columns))])
    rows = []
    for before, after in zip(example.before, example.after, strict=True):
        if before is None or after is None:
            mark = "removed" if after is None else "added"
            cells = tuple(Cell(before=_short((before or after or ())[i])) for i in keep)
        else:
            mark, cells = "", tuple(_cell(before[i], after[i]) for i in keep)
        rows.append((mark, cells))
    return Table(
        columns=tuple(clip(example.columns[i], 40) for i in keep),
        rows=tuple(rows),
        note=clip(example.note, 300),
        left=len(example.columns) - len(keep),
    )


def _changed(example: Example, at: int) -> bool:
    pairs = zip(example.before, example.after, strict=True)
    return any(b is not None and a is not None and b[at] != a[at] for b, a in pairs)


def _room(columns: Sequence[str], changed: Sequence[bool]) -> list[int]:
    """Columns shown: the changed ones come first where not all have room, and stand in their own order."""
    return sorted(sorted(range(len(columns)), key=lambda i: not changed[i])[:_MOST_COLUMNS])


def _cell(old: str, new: str) -> Cell:
    if old == new:
        return Cell(before=_short(old))
    short = _short(old), _short(new)
    return Cell(before=short[0], after=short[1]) if short[0] != short[1] else Cell(before=old, after=new)


def _short(text: str) -> str:
    return clip(short_number(text), _CELL)


def _old_table(rows: Rows) -> Table:
    """Rows that were laid out for the other reports already."""
    keep = _room(rows.columns, rows.changed)
    laid = []
    for mark, cells in zip(rows.marks, rows.cells, strict=True):
        laid.append(
            (mark, tuple(_split(cells[i]) if rows.changed[i] and not mark else Cell(before=cells[i]) for i in keep))
        )
    columns = tuple(clip(rows.columns[i], 40) for i in keep)
    return Table(columns=columns, rows=tuple(laid), note=clip(rows.note, 300), left=len(rows.columns) - len(keep))


def _split(text: str) -> Cell:
    before, arrow, after = text.partition(" -> ")
    return Cell(before=clip(before, _CELL), after=clip(after, _CELL)) if arrow else Cell(before=clip(text, _CELL))


def _found(at: int, known: Sequence[tuple[Trial | None, Explanation]]) -> Found:
    sketches = next((e.sketches for _, e in known if e.sketches), ())
    near = list(dict.fromkeys(n for _, e in known for n in e.near))
    close = sorted((n for n in near if n.used > 0), key=lambda n: -n.used)
    doses = {t.validator if t else "": _doses(t, e.doses) for t, e in known}
    return Found(
        sketches=tuple(_sketch(f"s{at}-{i}", s) for i, s in enumerate(sketches[:_MOST_SKETCHES])),
        near=tuple(_near(n) for n in close[:_MOST_NEAR]),
        near_note="" if close else near_line(near),
        doses=tuple((name, text) for name, text in doses.items() if text),
        advice=_advice(known),
    )


def _sketch(key: str, found: Sketch) -> tuple[str, str, Svg]:
    bins = list(zip(found.labels, found.before, found.after, strict=True))
    if found.null_before or found.null_after:
        bins.append(("null", found.null_before, found.null_after))
    name = clip(found.column, 60)
    picture = sketch(key, f"{name} before and after", found.summary or name, bins) if bins else Svg("")
    return name, clip(found.summary, 300), picture


def _near(found: NearMiss) -> NearView:
    return NearView(
        validator=found.validator,
        check=clip(found.check, _NAME),
        statistic=found.statistic,
        untouched=_number(found.untouched),
        observed=_number(found.observed),
        limit=_number(found.limit),
        used=percent(found.used),
        width=max(0, min(round(10 * found.used), 10)),
    )


def _number(value: float) -> str:
    return _NONE if math.isnan(value) else f"{value:.6g}"


def _doses(trial: Trial | None, doses: Sequence[Dose]) -> str:
    if trial is None:
        return ""
    return "; ".join(dose_lines(doses, trial.columns, trial.severity, trial.rungs))


def _advice(known: Sequence[tuple[Trial | None, Explanation]]) -> tuple[Advice, ...]:
    found: dict[tuple[str, str], str] = {}
    for trial, explanation in known:
        if explanation.suggestion is not None:
            validator = trial.validator if trial else ""
            found.setdefault((explanation.suggestion.text, explanation.suggestion.code), validator)
    return tuple(
        Advice(
            validator=validator,
            text=clip(text, 600),
            code=tuple(visible(x) for x in clip(code, _CODE).rstrip("\n").split("\n")),
        )
        for (text, code), validator in found.items()
    )
