"""What got through: survivors of all validators, one entry for each ladder, worst first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Explanation
from pipechaos.counter import canonical_json
from pipechaos.plan.placement import Placement
from pipechaos.report.dose import dose_text, moved_by
from pipechaos.report.escape import clip, listed
from pipechaos.report.explained import near_line, sketch_lines
from pipechaos.report.numbers import plural, short_number
from pipechaos.score.scorecard import Scorecard, ValidatorScore
from pipechaos.score.survivors import Survivor
from pipechaos.validate.verdict import Subject

__all__ = [
    "Entry",
    "Looked",
    "Rows",
    "entries",
    "looked_text",
    "ordinary",
    "rows_of",
    "wanted_examples",
]

_WHOLE_BATCH = "the whole batch"
_NOBODY = "no check looked at it"
_SHAPE = (Subject.DTYPE, Subject.SCHEMA)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows before and after: a changed cell reads ``12.5 -> 125.0``, so that it is seen without colour.

    Attributes
    ----------
    columns
        Names.
    changed
        Which columns hold a changed cell.
    cells
        One tuple for each row.
    marks
        One for each row: ``""``, ``"removed"`` or ``"added"``.
    note
        What happened to rows and columns as a whole.
    """

    columns: tuple[str, ...]
    changed: tuple[bool, ...]
    cells: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Checks of one validator that look at the columns of a fault, those about values first; and at the whole table."""

    validator: str
    checks: tuple[str, ...]
    table_wide: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One fault on its columns that got past a validator.

    Attributes
    ----------
    fault, columns, placement
        What was done; ``placement`` is empty when cells were hit at random.
    dose
        Such as ``"severity 3 of 5 (fraction 0.2)"``.
    missed
        Such as ``"pandera and gx each missed 11 of 11"``.
    caught
        The other validators: ``"gx caught 11 of 11"``.
    stack
        Whether every validator missed one and the same trial.
    other_doses
        Further rungs of the ladder that survived.
    rows
        Three rows before and after; None when none were made.
    looked
        For each validator that missed it.
    sketches
        Each changed column before and after, a line each.
    near
        Which checks came nearest to failing, in a line; empty where none declares a number.
    suggestion, code
        A check that would have caught it, in words and in the validator's own form; empty where none is obvious.
    replay
        Command that shows it again.
    """

    fault: str
    columns: tuple[str, ...]
    placement: str
    dose: str
    missed: tuple[str, ...]
    caught: tuple[str, ...]
    stack: bool
    other_doses: tuple[str, ...]
    rows: Rows | None
    looked: tuple[Looked, ...]
    replay: str
    sketches: tuple[str, ...] = ()
    near: str = ""
    suggestion: str = ""
    code: str = ""

    @property
    def where(self) -> str:
        """Columns in words."""
        return ", ".join(self.columns) or _WHOLE_BATCH


def entries(
    card: Scorecard, explanations: Mapping[str, Explanation], replay: Callable[[str], str], most: int | None = None
) -> tuple[Entry, ...]:
    """Survivors of all validators, worst first, the rungs of one ladder together.

    Worst: what gets past every validator together, then the largest missed share, then the strongest dose.

    Parameters
    ----------
    card
        Of a run.
    explanations
        By the id of a missed trial; entries without one show no rows and no reasons.
    replay
        Command that shows a trial again, from its id.
    most
        Only the first ones.
    """
    return tuple(_entry(card, rungs, explanations, replay) for rungs in _ladders(card)[:most])


def wanted_examples(card: Scorecard, most: int) -> tuple[str, ...]:
    """Ids of the trials that the first entries of a report explain."""
    return tuple(_lead(rungs).missed_trials[0] for rungs in _ladders(card)[:most])


def ordinary(card: Scorecard) -> tuple[str, ...]:
    """What was missed while the batch still looked like an ordinary day: a line for each fault and dose."""
    groups: dict[str, list[Survivor]] = {}
    for validator in card.validators:
        for s in validator.subnatural:
            groups.setdefault(_rung_key(s), []).append(s)
    return tuple(
        f"{g[0].fault} on {', '.join(g[0].columns) or _WHOLE_BATCH}{_placed(g[0])}, {dose_text(g[0])}: "
        + ", ".join(_said(g))
        for g in groups.values()
    )


Rung = list[Survivor]


def _ladders(card: Scorecard) -> list[list[Rung]]:
    """Survivors grouped by ladder and rung; within a rung one for each validator; all of it worst first."""
    through = {_rung_key(s): s.share for s in (card.stack.survivors if card.stack else ())}
    rungs: dict[str, Rung] = {}
    for validator in card.validators:
        for survivor in validator.survivors:
            rungs.setdefault(_rung_key(survivor), []).append(survivor)

    def badness(rung: Rung) -> tuple[Any, ...]:
        worst = rung[0]
        return (
            -through.get(_rung_key(worst), 0.0),
            -max(s.share for s in rung),
            -worst.severity / worst.rungs,
            -sum(s.missed for s in rung),
            worst.fault,
            worst.columns,
            _rung_key(worst),
        )

    ladders: dict[str, list[Rung]] = {}
    for rung in sorted(rungs.values(), key=badness):
        ladders.setdefault(_ladder_key(rung[0]), []).append(rung)
    return list(ladders.values())


def _lead(rungs: Sequence[Rung]) -> Survivor:
    return max(rungs[0], key=lambda s: s.share)


def _rung_key(s: Survivor) -> str:
    return canonical_json([s.fault, list(s.columns), s.placement, s.params, s.fraction, s.severity]).decode()


def _ladder_key(s: Survivor) -> str:
    fixed = {k: v for k, v in s.params.items() if k != moved_by(s.fault)} if s.severity else s.params
    rest = [] if s.severity else [s.fraction]
    return canonical_json([s.fault, list(s.columns), s.placement, fixed, rest]).decode()


def _entry(
    card: Scorecard, rungs: list[Rung], explanations: Mapping[str, Explanation], replay: Callable[[str], str]
) -> Entry:
    worst, lead = rungs[0], _lead(rungs)
    names = [s.validator for s in worst]
    through = {_rung_key(s) for s in (card.stack.survivors if card.stack else ())}
    ids = [t for s in [lead, *worst] for t in s.missed_trials]
    shown = next((t for t in ids if t in explanations), None)
    known = explanations[shown] if shown is not None else Explanation(trial_id="")
    return Entry(
        fault=lead.fault,
        columns=lead.columns,
        placement=_placed(lead),
        dose=dose_text(lead),
        missed=_said(worst),
        caught=tuple(c for v in card.validators if v.name not in names and (c := _caught(v, lead))),
        stack=card.stack is not None and _rung_key(lead) in through,
        other_doses=tuple(
            f"{dose_text(r[0]).replace(f' of {r[0].rungs}', '', 1)}: "
            + ", ".join(f"{' and '.join(names)} {count}" for count, names in _alike(r).items())
            for r in rungs[1:]
        ),
        rows=rows_of(known.example) if known.example is not None else None,
        looked=tuple(_looked(v, lead.columns) for v in card.validators if v.name in names),
        replay=replay(shown or lead.missed_trials[0]),
        sketches=sketch_lines(known.sketches),
        near=near_line(known.near),
        suggestion=known.suggestion.text if known.suggestion else "",
        code=known.suggestion.code if known.suggestion else "",
    )


def _tried(s: Survivor) -> int:
    return s.missed + s.detected + s.errors


def _said(rung: Sequence[Survivor]) -> tuple[str, ...]:
    """Who missed how many; validators that missed alike are named together."""
    return tuple(
        f"{' and '.join(names)} {'each ' if len(names) > 1 else ''}missed {count}"
        for count, names in _alike(rung).items()
    )


def _alike(rung: Sequence[Survivor]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for s in rung:
        found.setdefault(f"{s.missed} of {_tried(s)}", []).append(s.validator)
    return found


def _placed(s: Survivor) -> str:
    return f" ({Placement.of(s.placement)})" if s.placement else ""


def _caught(validator: ValidatorScore, s: Survivor) -> str:
    """What another validator came to at the same dose, read from its ladder."""
    key = _ladder_key(s)
    for floor in validator.floors:
        same = canonical_json([floor.fault, list(floor.columns), floor.placement, floor.params, []]).decode()
        if same == key and s.severity in floor.detect:
            rate = floor.detect[s.severity]
            return f"{validator.name} caught {rate.hits} of {rate.trials}"
    return ""


def _looked(validator: ValidatorScore, columns: Sequence[str]) -> Looked:
    checks = sorted(validator.info.checks if validator.info else (), key=lambda c: c.subject in _SHAPE)
    return Looked(
        validator=validator.name,
        checks=tuple(c.id for c in checks if set(c.columns) & set(columns)),
        table_wide=tuple(c.id for c in checks if not c.columns),
    )


def rows_of(example: Example) -> Rows:
    """Lay an example out, one line for each row."""
    width = len(example.columns)
    changed = [False] * width
    cells, marks = [], []
    for before, after in zip(example.before, example.after, strict=True):
        if before is None or after is None:
            marks.append("removed" if after is None else "added")
            cells.append(tuple(short_number(t) for t in before or after or ()))
            continue
        marks.append("")
        line = []
        for at, (old, new) in enumerate(zip(before, after, strict=True)):
            changed[at] |= old != new
            line.append(_cell(old, new))
        cells.append(tuple(line))
    return Rows(
        columns=example.columns,
        changed=tuple(changed),
        cells=tuple(cells),
        marks=tuple(marks),
        note=example.note,
    )


def _cell(old: str, new: str) -> str:
    if old == new:
        return short_number(old)
    short = short_number(old), short_number(new)
    return " -> ".join(short if short[0] != short[1] else (old, new))


def looked_text(looked: Looked, columns: Sequence[str], most: int, longest: int = 10**6) -> str:
    """What one validator's checks had to do with a fault, in a line.

    Parameters
    ----------
    looked
        Of one validator.
    columns
        Of the fault; without any, checks of the whole table are named instead.
    most, longest
        Names shown, and characters of each.
    """

    def named(checks: Sequence[str]) -> str:
        return listed([clip(c, longest) for c in checks], most)

    wide = len(looked.table_wide)
    if not columns:
        return f"{plural(wide, 'check')} of the whole table looked: {named(looked.table_wide)}" if wide else _NOBODY
    also = f"; {wide} of the whole table" if wide else ""
    if not looked.checks:
        return _NOBODY + also
    return f"{plural(len(looked.checks), 'check')} looked at it: {named(looked.checks)}{also}"
