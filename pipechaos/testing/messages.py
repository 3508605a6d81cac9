"""What a failing test says: what was done, rows before and after, which checks looked, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipechaos.batch.model import Batch
from pipechaos.campaign.explain import Example
from pipechaos.campaign.replay import looked_at
from pipechaos.plan.injection import Injection
from pipechaos.report.dose import dose_words
from pipechaos.report.escape import clip, listed, visible
from pipechaos.report.explained import near_text
from pipechaos.report.numbers import percent, plural
from pipechaos.report.survivors import rows_of
from pipechaos.score.records import FindingRef, Outcome
from pipechaos.testing.outcomes import AcceptResult, Draw, Result
from pipechaos.validate.verdict import Check, Finding, FindingKind, Verdict

__all__ = ["base_bad", "not_accepted", "not_rejected", "nothing_changed"]

_SHOWN = 5
_CELL = 44
_NEAR = 3


def not_rejected(result: Result, checks: Sequence[Check], *, values: bool) -> str:
    """A broken batch got through, or nobody judged it."""
    worst = next(d for d in result.draws if d.outcome is result.outcome)
    times = sum(d.outcome is result.outcome for d in result.draws)
    of = f" in {times} of {plural(result.effective, 'draw')}" if len(result.draws) > 1 else ""
    missed = result.outcome is Outcome.FN
    said = "accepted the broken batch" if missed else f"gave no verdict on the broken batch ({_cause(worst)})"
    columns = result.injection.columns
    looked = [c.id for c in looked_at(tuple(checks), columns)]
    place = f"at {_names(columns)}" if columns else "at the table as a whole"
    lines = [
        f"{result.validator} {said}{of}",
        *_did(result),
        f"  changed   {_changed(worst)}",
        *(_rows(worst.example, values) if worst.example else ()),
        f"  looked    {listed(looked, _SHOWN) if looked else 'no check looks'} {'' if looked else place}".rstrip(),
        *(
            f"  near      {near_text(m).removeprefix(f'{m.validator} ')}"
            for m in [m for m in worst.near if m.used > 0][:_NEAR]
        ),
        *_findings(worst.judgement.new_findings, "  said      "),
        *([_ORDINARY] if worst.subnatural else ()),
        f"  to do     {_todo_missed(columns, looked) if missed else _TODO_ERROR}",
    ]
    return _text(lines)


def base_bad(result: Result, *, values: bool) -> str:
    """The untouched batch is not accepted: nothing can be said about a broken one."""
    status = result.base.status.value.replace("_", " ")
    lines = [
        f"the untouched batch is {status}: {result.validator} on {result.batch}, before {result.fault} was tried",
        *_findings(_failed(result.base), "  said      ", values=values),
        "  to do     hand over a batch that it accepts, or correct the validator: a suite that alarms all the time "
        "would look vigilant",
    ]
    return _text(lines)


def nothing_changed(result: Result) -> str:
    """No draw changed anything."""
    draw = result.draws[0]
    why = draw.reason or "the frame that the validator gets is the same before and after"
    return _text(
        [
            f"nothing was tested: {result.fault} changed nothing for {result.validator} on {result.batch}: {why}",
            *_did(result),
            "  to do     raise severity= or fraction=, name another column, or hand over more rows (or history=)",
        ]
    )


def not_accepted(result: AcceptResult, batches: Sequence[Batch], *, values: bool) -> str:
    """An untouched batch is rejected."""
    bad = [(b, v) for b, (_, v) in zip(batches, result.verdicts, strict=True) if _failed(v) or v.status != "accepted"]
    lines = [
        f"{result.validator} accepted {result.accepted} of "
        f"{plural(len(batches), 'untouched batch', 'untouched batches')}"
    ]
    for batch, verdict in bad[:_SHOWN]:
        status = verdict.status.value.replace("_", " ")
        lines.append(f"  {batch.name}: {status}, {verdict.checks_ran} of {verdict.checks_declared} checks ran")
        lines += _findings(_failed(verdict), "    said    ", values=values)
        lines += _named_rows(batch, verdict, values)
    if len(bad) > _SHOWN:
        lines.append(f"  and {plural(len(bad) - _SHOWN, 'more batch', 'more batches')}")
    lines.append("  to do     widen the limit of that check if these batches are good; leave them out if they are not")
    return _text(lines)


_ORDINARY = "  note      at this dose the batch looks like an ordinary one of the history: no check could tell it"
_TODO_ERROR = "a crash is no rejection: make the validator say no instead of raising, or see what its library raised"


def _todo_missed(columns: Sequence[str], looked: Sequence[str]) -> str:
    where = _names(columns) if columns else "the table as a whole (row count, uniqueness, freshness, columns)"
    change = f"tighten a check on {where}" if looked else f"add a check on {where}"
    return f"{change}; if so small a dose is harmless to you, say so with a higher severity="


def _did(result: Result) -> list[str]:
    injection = result.injection
    where = f" on {_names(injection.columns)}" if injection.columns else ""
    place = "" if not injection.placement.canonical() else f", {injection.placement}"
    return [
        f"  did       {injection.fault}{where}, {_dose(injection)}{place}",
        f"  on        {result.batch}, seed {injection.seed}",
    ]


def _dose(injection: Injection) -> str:
    rungs = len(injection.spec.ladder.rungs)
    i = injection
    return dose_words(i.fault, severity=i.severity, rungs=rungs, fraction=i.fraction, params=i.params)


def _changed(draw: Draw) -> str:
    note = draw.example.note if draw.example else ""
    share = f"{draw.changed:,} of {draw.eligible:,} that could be ({percent(draw.dose)})" if draw.dose else ""
    again = f"draw {draw.repeat}" if draw.repeat else ""
    return "; ".join(p for p in (note, share, again) if p) or "nothing"


def _rows(example: Example, values: bool) -> list[str]:
    rows = rows_of(example)
    if not values or not rows.cells:
        return []
    grid = [("", *rows.columns), *((m, *c) for m, c in zip(rows.marks, rows.cells, strict=True))]
    shown = [[clip(visible(cell), _CELL) for cell in line] for line in grid]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lead = "  rows      "
    return [
        (lead if not at else " " * len(lead))
        + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True) if w).rstrip()
        for at, line in enumerate(shown)
    ]


def _failed(verdict: Verdict) -> tuple[Finding, ...]:
    return tuple(f for f in verdict.findings if f.kind is not FindingKind.TOLERATED)


def _findings(found: Iterable[Finding | FindingRef], lead: str, *, values: bool = False) -> list[str]:
    items = list(found)
    lines = [f"{lead}{_finding(f, values)}" for f in items[:_SHOWN]]
    return lines + ([f"{lead}and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else [])


def _finding(finding: Finding | FindingRef, values: bool) -> str:
    if isinstance(finding, FindingRef):
        count, message = finding.n_rows, ""
    else:
        count = None if finding.rows is None else len(finding.rows)
        message = finding.message if values else ""
    named = "" if count is None else f", {plural(count, 'row')}"
    return f"{finding.check} ({finding.kind.value}{named})" + (f": {message}" if message else "")


def _named_rows(batch: Batch, verdict: Verdict, values: bool) -> list[str]:
    """First rows that a finding names, its columns and the key."""
    for finding in _failed(verdict):
        if values and finding.rows is not None and len(finding.rows):
            columns = tuple(dict.fromkeys(c for c in (*batch.key, *finding.columns) if c in batch.columns))
            at = [int(r) for r in finding.rows[:3] if r < batch.rows]
            cells = tuple(tuple(_value(batch, c, r) for c in columns) for r in at)
            return [f"  {line}" for line in _rows(Example(columns=columns, before=cells, after=cells), True)]
    return []


def _value(batch: Batch, column: str, row: int) -> str:
    value = batch.column(column)[row].as_py()
    return "null" if value is None else str(value)


def _cause(draw: Draw) -> str:
    cause = draw.judgement.error_cause
    return "it raised" if cause is None else cause.value.replace("_", " ")


def _names(columns: Sequence[str]) -> str:
    return ", ".join(columns)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(visible(line) for line in lines)
