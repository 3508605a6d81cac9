"""What is said about a drill: short, without data values, safe to hand to a log, a mail or a chat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from pipechaos.drill.records import Coverage, DrillResult, DrillStatus, Newness, NewSurvivor
from pipechaos.report.escape import clip, listed, visible
from pipechaos.score.gates import ExitCode

__all__ = ["drill_message", "failure_message", "status_lines"]

_NAME = 60  # characters of a name or a reason
_SHOWN = 5

_NEWS = {
    Newness.REGRESSION: "caught until now",
    Newness.FIRST_SEEN: "not tried before",
    Newness.UNACCEPTED: "not in the baseline",
}


def drill_message(result: DrillResult) -> str:
    r"""What a drill found.

    Names come from other people's tables and suites: control characters are written out, and ``&``, ``<`` and ``>`` are
    entities, so that neither HTML nor a chat's own markup (mentions, links) comes of them.

    Parameters
    ----------
    result
        Of the drill.
    """
    return "\n".join(_found(result))


def _found(r: DrillResult) -> Iterator[str]:
    yield f"drill of {_name(r.experiment)}: {_headline(r)}"
    yield from (
        f"gate: {_name(g.metric)} of {_name(g.validator)}{f' ({_name(g.scope)})' if g.scope else ''}, limit "
        f"{g.limit:g}: {_name(g.reason, 2 * _NAME)}"
        for g in r.gates_failed[:_SHOWN]
    )
    yield from _more(len(r.gates_failed), "gates")
    groups = [list(found) for _, found in groupby(r.new_survivors, lambda s: (s.why, s.validator, s.fault, s.columns))]
    yield from (f"new: {_survivors(found)}" for found in groups[:_SHOWN])
    yield from _more(len(groups), "faults on columns")
    if r.blind:
        yield f"blind: {listed([_name(b) for b in r.blind], _SHOWN)}"
    if r.base_bad:
        names = listed([_name(b) for b in r.base_bad], _SHOWN)
        yield f"did not accept an untouched base, so that its broken copies say nothing: {names}"
    if r.stopped:
        yield f"stopped: {_name(r.stopped, 2 * _NAME)}"
    if r.late:
        yield _name(r.late, 2 * _NAME)
    yield _covered(r.coverage)
    yield f"run {_name(r.run_id, 2 * _NAME)}, exit code {r.exit_code}" + (
        f", {_name(r.report, 200)}" if r.report else ""
    )


def _headline(r: DrillResult) -> str:
    parts = [_count(len(r.gates_failed), "gate failed", "gates failed")] if r.gates_failed else []
    if r.new_survivors:
        parts.append(_count(len(r.new_survivors), "new survivor", "new survivors"))
    if r.blind:
        parts.append("a validator is blind")
    if r.injection_errors:
        parts.append(_count(r.injection_errors, "injection failed", "injections failed"))
    if not r.judged:
        parts.append(f"nothing was judged in {_count(r.trials, 'trial', 'trials')}")
    if not parts and r.exit_code == ExitCode.GATE_FAILED:
        parts.append("the baseline does not hold")
    return ", ".join(parts) or f"nothing new, {r.judged} of {_count(r.trials, 'trial', 'trials')} judged"


def _survivors(found: Sequence[NewSurvivor]) -> str:
    """Rungs of one ladder, in a line."""
    first = found[0]
    where = ", ".join(_name(c) for c in first.columns) or "the whole batch"
    rungs = ", ".join(str(s.severity) for s in found)
    dose = f"{'severity' if len(found) == 1 else 'severities'} {rungs}" if first.severity else "a dose of its own"
    news = f"{_NEWS[first.why]}, missed {sum(s.missed for s in found)} of {sum(s.tried for s in found)}"
    return f"{_name(first.validator)}: {_name(first.fault)} on {where}, {dose} ({news})"


def _covered(c: Coverage) -> str:
    oldest = f", the oldest try {c.oldest:%Y-%m-%d}" if c.oldest else ""
    never = f", {c.never} never tried" if c.never else ""
    return f"covered: {c.within} of {c.pairs} faults on columns within {c.period_days:g} days{never}{oldest}"


def _more(count: int, what: str) -> Iterator[str]:
    if count > _SHOWN:
        yield f"and {count - _SHOWN} more {what}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _name(text: str, most: int = _NAME) -> str:
    return escape(clip(visible(text), most), quote=False)


def failure_message(experiment: str, error: BaseException, failed: int, allowed: int) -> str:
    """That a drill could not run.

    Parameters
    ----------
    experiment
        Its name.
    error
        Why; only its kind is told, as its text may quote anything.
    failed, allowed
        How many in a row, this one included, and after how many drills are paused.
    """
    after = "the next one will be refused" if failed >= allowed else f"drills are paused after {allowed}"
    times = "once" if failed == 1 else f"{failed} times in a row"
    return f"drill of {_name(experiment)}: could not run ({type(error).__name__}), {times} now; {after}"


def status_lines(status: DrillStatus) -> list[str]:
    """How drills stand, in lines for a terminal."""
    last = "never" if status.last is None else f"{status.last:%Y-%m-%d %H:%M} UTC, exit code {status.last_exit_code}"
    lines = [f"drills of {visible(status.experiment)}: {status.drills}, the last one {last}"]
    lines += [visible(text) for text in (status.paused, status.overdue) if text]
    lines.append(_covered(status.coverage))
    when = "" if status.next_at is None else f" {status.next_at:%Y-%m-%d %H:%M} UTC"
    shown = listed([clip(visible(name), _NAME) for name in status.next_due], _SHOWN)
    lines.append(f"next{when}: {len(status.next_due)} faults on columns, at most {status.trials_each} trials: {shown}")
    return lines
