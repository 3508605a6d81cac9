"""Top of the HTML report: what a hurried reader must know in one screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipechaos.report.content import GateLine, Tone
from pipechaos.report.escape import listed
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import plural
from pipechaos.report.rates import ValidatorRow
from pipechaos.report.svg import Svg, whisker
from pipechaos.report.svg_lines import fitting_scale
from pipechaos.report.weaknesses import baseline_of as held_against
from pipechaos.score.baseline import FAILING, BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import ExitCode, GateResult, GateVerdict
from pipechaos.score.records import Rate
from pipechaos.score.scorecard import Scorecard

__all__ = [
    "BaselineView",
    "GateView",
    "Tile",
    "Verdict",
    "baseline_of",
    "gates_in_short",
    "gates_of",
    "tiles_of",
    "verdict_of",
]

_MEANING = {
    ExitCode.OK: "nothing declared was broken",
    ExitCode.GATE_FAILED: "a gate or the baseline failed",
    ExitCode.USAGE: "usage or configuration was wrong",
    ExitCode.COULD_NOT_RUN: "the run could not judge",
    ExitCode.INCONCLUSIVE: "a gate or the baseline could not be settled",
}
_WORDS = {GateVerdict.PASS: "Pass", GateVerdict.FAIL: "Fail", GateVerdict.INCONCLUSIVE: "Not settled"}
_TONES = {GateVerdict.PASS: Tone.GOOD, GateVerdict.FAIL: Tone.BAD, GateVerdict.INCONCLUSIVE: Tone.WARN}
_STANDINGS = {
    Standing.NEW: ("new", "survives, and nobody accepted it: catch it, or accept it", Tone.BAD),
    Standing.EXPIRED: ("expired", "accepted until a day that is past", Tone.BAD),
    Standing.STALE: ("stale", "no longer survives: the entry has to go", Tone.BAD),
    Standing.ACCEPTED: ("accepted", "survives, as was said", Tone.PLAIN),
    Standing.UNTRIED: ("not judged", "this run says nothing about it", Tone.PLAIN),
}
_MOST_ENTRIES = 30


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of a run.

    Attributes
    ----------
    tone, headline
        How it ended.
    code, meaning
        Exit code of the run, and what it says.
    """

    tone: Tone
    headline: str
    code: int
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Headline rates of one validator with their pictures, and the ends of the pictures' axes."""

    row: ValidatorRow
    tone: Tone
    state: str
    fnr: Svg
    fpr: Svg
    fpr_end: str


@dataclass(frozen=True, kw_only=True)
class GateView:
    """A gate's answer; ``text`` holds bound, limit and counts."""

    tone: Tone
    word: str
    text: str
    picture: Svg


@dataclass(frozen=True, kw_only=True)
class StandingView:
    """Baseline entries that stand alike; ``explained`` where each has a text of its own."""

    word: str
    says: str
    tone: Tone
    count: int
    entries: tuple[BaselineEntry, ...]
    left: int
    explained: bool


@dataclass(frozen=True, kw_only=True)
class BaselineView:
    """A run held against a baseline; ``reason`` why it cannot pass though nothing fails."""

    file: str
    tone: Tone
    word: str
    reason: str
    groups: tuple[StandingView, ...]


def verdict_of(report: Report) -> Verdict:
    """How the run ended, the worst first."""
    card = replace(report.card, baseline=held_against(report))
    code, headline = card.exit_code, _headline(card)
    tone = {ExitCode.OK: Tone.GOOD, ExitCode.INCONCLUSIVE: Tone.WARN}.get(code, Tone.BAD)
    if code is ExitCode.OK and not card.gates and card.baseline is None:
        tone = Tone.PLAIN
    if card.about.stopped and code is not ExitCode.COULD_NOT_RUN:
        headline += "; the run was cut short"
        tone = Tone.WARN if code is ExitCode.OK else tone
    return Verdict(tone=tone, headline=headline, code=int(code), meaning=_MEANING[code])


def _headline(card: Scorecard) -> str:
    code, baseline = card.exit_code, card.baseline
    if code is ExitCode.COULD_NOT_RUN:
        if card.blind:
            return f"Nothing is proven: {listed(card.blind, 3)} {'is' if len(card.blind) == 1 else 'are'} blind"
        return f"Could not judge: {plural(card.injection_errors, 'injection')} failed"
    found = [g.verdict for g in card.gates]
    count = f"of {plural(len(found), 'gate')}"
    if code is ExitCode.GATE_FAILED:
        fails = found.count(GateVerdict.FAIL)
        parts = [f"{fails} {count} {'fails' if fails == 1 else 'fail'}"] if fails else []
        if baseline is not None and baseline.failed:
            parts.append(f"the baseline does not hold ({_broken(baseline)})")
        text = "; ".join(parts) or "A gate failed"
        return text[0].upper() + text[1:]
    if code is ExitCode.INCONCLUSIVE:
        unsettled = found.count(GateVerdict.INCONCLUSIVE)
        parts = [f"{unsettled} {count} inconclusive"] if unsettled else []
        if baseline is not None and baseline.verdict is GateVerdict.INCONCLUSIVE:
            parts.append("too little was judged for the baseline to hold")
        return f"Not settled: {'; '.join(parts)}"
    if found:
        return f"{plural(len(found), 'gate')}, {'it passes' if len(found) == 1 else 'all pass'}"
    return "The baseline holds; no gate was declared" if baseline else "No gate was declared: no rate decides"


def _broken(baseline: BaselineResult) -> str:
    return ", ".join(f"{len(baseline.of(s))} {_STANDINGS[s][0]}" for s in FAILING if baseline.of(s))


def tiles_of(report: Report) -> tuple[Tile, ...]:
    """One for each validator, the stack last."""
    card = report.card
    scores = [*card.validators, *([card.stack] if card.stack else [])]
    end = fitting_scale(max((_high(s.controls.fpr) for s in scores), default=1.0))
    tiles = []
    for row, score in zip(report.content.validators, scores, strict=True):
        state = "blind" if score.blind else "paranoid" if score.paranoid else "flaky" if score.flaky_batches else ""
        tiles.append(
            Tile(
                row=row,
                tone=Tone.WARN if state == "flaky" else Tone.BAD if state else Tone.PLAIN,
                state=state,
                fnr=whisker(score.faults.fnr),
                fpr=whisker(score.controls.fpr, end),
                fpr_end=f"{100 * end:g} %",
            )
        )
    return tuple(tiles)


def _high(rate: Rate) -> float:
    return max((x for x in (rate.high, rate.estimate) if not math.isnan(x)), default=0.0)


def gates_of(results: Sequence[GateResult], lines: Sequence[GateLine]) -> tuple[GateView, ...]:
    """Failed ones first, then those not settled; lines before those of the gates are about the baseline."""
    lines = lines[len(lines) - len(results) :]
    order = (GateVerdict.FAIL, GateVerdict.INCONCLUSIVE, GateVerdict.PASS)
    pairs = sorted(zip(results, lines, strict=True), key=lambda p: order.index(p[0].verdict))
    return tuple(
        GateView(
            tone=_TONES[result.verdict],
            word=_WORDS[result.verdict],
            text=line.text,
            picture=whisker(
                result.rate, fitting_scale(max(_high(result.rate), 1.2 * result.gate.limit)), result.gate.limit
            ),
        )
        for result, line in pairs
    )


def gates_in_short(gates: Sequence[GateView]) -> str:
    """How many gates gave which answer.

    Examples
    --------
    >>> gates_in_short([])
    ''
    """
    found = [g.word for g in gates]
    return ", ".join(f"{found.count(word)} {word.lower()}" for word in dict.fromkeys(found))


def baseline_of(report: Report) -> BaselineView | None:
    """What was accepted and what was not, groups without an entry left out."""
    baseline = held_against(report)
    if baseline is None:
        return None
    groups = []
    for standing, (word, says, tone) in _STANDINGS.items():
        found = baseline.of(standing)
        if found:
            shown = found[:_MOST_ENTRIES]
            left = len(found) - len(shown)
            groups.append(
                StandingView(
                    word=word,
                    says=says,
                    tone=tone,
                    count=len(found),
                    entries=shown,
                    left=left,
                    explained=standing is not Standing.NEW,
                )
            )
    verdict = baseline.verdict
    return BaselineView(
        file=baseline.file,
        tone=_TONES[verdict],
        word=_WORDS[verdict],
        reason=baseline.reason if verdict is GateVerdict.INCONCLUSIVE else "",
        groups=tuple(groups),
    )
