"""Check ledger of the HTML report: which checks earn their keep."""

from __future__ import annotations

from dataclasses import dataclass

from pipechaos.report.escape import clip
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import plural
from pipechaos.report.suites import Checks, Worth
from pipechaos.report.svg import Segment, Svg, ledger_bar
from pipechaos.score.checks import CheckScore
from pipechaos.score.scorecard import ValidatorScore

__all__ = ["LedgerView", "ledgers_of"]

_MOST_ROWS = 240
_FEWEST_ROWS = 25
_MOST_NAMES = 40
_NAME = 110


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """One check; ``alarms`` such as ``"4 of 4"``."""

    check: str
    columns: str
    kills: int
    unique: int
    direct: int
    alarms: int
    alarms_of: int
    state: str


@dataclass(frozen=True, kw_only=True)
class WorthView:
    """One thing that the checks came to together; ``left`` names had no room."""

    text: str
    names: tuple[str, ...]
    left: int


@dataclass(frozen=True, kw_only=True)
class LedgerView:
    """One suite."""

    validator: str
    summary: str
    never: int
    declared: int
    alarm_head: str
    alarm_note: str
    picture: Svg
    segments: tuple[Segment, ...]
    rows: tuple[CheckRow, ...]
    left: int
    worth: tuple[WorthView, ...]


def ledgers_of(report: Report) -> tuple[LedgerView, ...]:
    """One for each validator; rows are shared out so that a page stays small."""
    scores = report.card.validators
    most = max(_FEWEST_ROWS, _MOST_ROWS // max(len(scores), 1))
    pairs = zip(scores, report.content.checks, strict=True)
    return tuple(_ledger(i, score, words, most) for i, (score, words) in enumerate(pairs))


def _ledger(at: int, score: ValidatorScore, words: Checks, most: int) -> LedgerView:
    declared = [c for c in score.checks if c.declared]
    segments = _segments(declared)
    ordered = sorted(score.checks, key=lambda c: (-c.false_alarms, -c.unique_kills, -c.kills, c.check))
    head, note = _alarms(score)
    return LedgerView(
        validator=score.name,
        summary=words.summary,
        never=sum(not c.kills for c in declared),
        declared=len(declared),
        alarm_head=head,
        alarm_note=note,
        picture=ledger_bar(f"ledger{at}", f"Checks of {score.name} by what they earned", segments),
        segments=segments,
        rows=tuple(_row(c) for c in ordered[:most]),
        left=max(len(ordered) - most, 0),
        worth=tuple(_worth(w) for w in words.worth),
    )


def _segments(declared: list[CheckScore]) -> tuple[Segment, ...]:
    alone = [c for c in declared if c.unique_kills]
    shared = [c for c in declared if c.kills and not c.unique_kills]
    idle = [c for c in declared if c.fired and not c.kills]
    silent = [c for c in declared if not c.fired and not c.kills]
    return (
        Segment(name="catch something that no other check catches", count=len(alone), class_="alone"),
        Segment(name="catch only what others catch too", count=len(shared), class_="shared"),
        Segment(name="spoke, but caught nothing", count=len(idle), class_="idle"),
        Segment(name="never spoke", count=len(silent), class_="silent"),
    )


def _alarms(score: ValidatorScore) -> tuple[str, str]:
    loud = [c for c in score.checks if c.false_alarms]
    total = max((round(c.false_alarms / c.false_alarm_share) for c in loud), default=0)
    if not loud:
        return "0 checks", "took part in a false alarm"
    every = [c for c in loud if c.false_alarms == total]
    if len(every) == len(loud):
        causes = "causes" if len(loud) == 1 else "together cause"
        return plural(len(loud), "check"), f"{causes} every false alarm ({total} of {total})"
    also = f"; {len(every)} of them in every one" if every else ""
    return plural(len(loud), "check"), f"took part in {plural(total, 'false alarm')}{also}"


def _row(c: CheckScore) -> CheckRow:
    of = round(c.false_alarms / c.false_alarm_share) if c.false_alarms else 0
    state = "catches alone" if c.unique_kills else "shares its catches" if c.kills else "caught nothing"
    state = "never spoke" if not c.fired and not c.kills else state
    return CheckRow(
        check=clip(c.check, _NAME),
        columns=clip(", ".join(c.columns), 60) or "the whole table",
        kills=c.kills,
        unique=c.unique_kills,
        direct=c.direct_kills,
        alarms=c.false_alarms,
        alarms_of=of,
        state=state if c.declared else f"{state}; in no suite file",
    )


def _worth(said: Worth) -> WorthView:
    shown = tuple(clip(n, _NAME) for n in said.names[:_MOST_NAMES])
    return WorthView(text=said.text, names=shown, left=max(len(said.names) - _MOST_NAMES, 0))
