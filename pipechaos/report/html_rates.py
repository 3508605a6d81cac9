"""Rates of the HTML report: per validator, per family, and untouched batches over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipechaos.report.content import Content
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import RateText, plural
from pipechaos.report.suites import Controls
from pipechaos.report.svg import Svg, strip, whisker
from pipechaos.report.svg_lines import fitting_scale
from pipechaos.score.records import Outcome, Rate, Review, Trial, TrialKind
from pipechaos.score.scorecard import Scorecard, ValidatorScore

__all__ = ["Heat", "Metrics", "Strips", "heat_of", "metrics_of", "strips_of", "suites_of"]

_COLUMNS = (
    ("FNR", "missed, of faults judged"),
    ("strict FNR", "not pointed at"),
    ("escape", "missed, of all tried"),
    ("error", "no verdict"),
    ("FPR", "untouched, rejected"),
    ("benign alarm", "allowed change, rejected"),
)
_STEPS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8)  # lower ends of the shades, 0 apart


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A rate and its picture; None where nothing was tried."""

    rate: RateText | None
    picture: Svg


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Rates of all validators: heads with their axis, and a row for each validator."""

    heads: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[str, bool, tuple[Measure, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class HeatCell:
    """A shade from 0 to 6 with its rate; None where nothing was tried."""

    shade: int
    rate: RateText | None


@dataclass(frozen=True, kw_only=True)
class Heat:
    """FNR of validators by family."""

    families: tuple[str, ...]
    rows: tuple[tuple[str, bool, tuple[HeatCell, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class StripRow:
    """Untouched batches of one validator, and what is to be said about them."""

    validator: str
    rate: RateText
    picture: Svg
    controls: Controls


@dataclass(frozen=True, kw_only=True)
class Strips:
    """Untouched batches over time, the same axis for all validators."""

    first: str
    last: str
    count: int
    rows: tuple[StripRow, ...]


def metrics_of(report: Report) -> Metrics:
    """Six rates of each validator, those of a column on one axis."""
    card = report.card
    scores = [*card.validators, *([card.stack] if card.stack else [])]
    rates = [_six(s) for s in scores]
    ends = [fitting_scale(max((_top(r[i]) for r in rates), default=1.0)) for i in range(len(_COLUMNS))]
    ends[:3] = [1.0] * 3  # what is missed stands on the whole axis, so that its columns compare
    rows = []
    for row, found in zip(report.content.validators, rates, strict=True):
        texts = (row.fnr, row.strict_fnr, row.escape, row.error, row.fpr, row.benign)
        cells = tuple(
            Measure(rate=text, picture=whisker(rate, end) if text is not None else Svg(""))
            for text, rate, end in zip(texts, found, ends, strict=True)
        )
        rows.append((row.name, row.stack, cells))
    heads = tuple((name, says, f"0-{100 * end:g} %") for (name, says), end in zip(_COLUMNS, ends, strict=True))
    return Metrics(heads=heads, rows=tuple(rows))


def _six(score: ValidatorScore) -> tuple[Rate, ...]:
    f, c = score.faults, score.controls
    return (f.fnr, f.strict_fnr, f.escape, f.error, c.fpr, c.benign)


def _top(rate: Rate) -> float:
    return max((x for x in (rate.high, rate.estimate) if not math.isnan(x)), default=0.0)


def heat_of(content: Content) -> Heat:
    """Turn the families into columns."""
    names = [(r.name, r.stack) for r in content.validators]
    return Heat(
        families=tuple(f.family for f in content.families),
        rows=tuple(
            (name, stack, tuple(_cell(f.cells[i]) for f in content.families)) for i, (name, stack) in enumerate(names)
        ),
    )


def _cell(rate: RateText | None) -> HeatCell:
    share = None if rate is None else rate.share
    return HeatCell(shade=0 if not share else sum(share >= low for low in _STEPS), rate=rate)


def strips_of(report: Report) -> Strips:
    """Which untouched batches raised an alarm, and when."""
    card, content = report.card, report.content
    natural = [t for t in report.trials if t.kind is TrialKind.NATURAL]
    order = sorted({(t.block, t.batch) for t in natural})
    at = {batch: i for i, (_, batch) in enumerate(order)}
    rows = tuple(
        StripRow(
            validator=score.name,
            rate=row.fpr,
            picture=_strip(index, score, [t for t in natural if t.validator == score.name], at),
            controls=controls,
        )
        for index, (score, row, controls) in enumerate(
            zip(card.validators, content.validators, content.controls, strict=False)
        )
    )
    first, last = (order[0][1], order[-1][1]) if order else ("", "")
    return Strips(first=first, last=last, count=len(order), rows=rows)


def _strip(index: int, score: ValidatorScore, trials: Sequence[Trial], at: dict[str, int]) -> Svg:
    if not trials:
        return Svg("")
    marks = [""] * len(at)
    for trial in trials:
        marks[at[trial.batch]] = _mark(trial) or marks[at[trial.batch]]
    loud = sorted((b for b, i in at.items() if marks[i]), key=at.__getitem__)
    what = ", ".join(loud[:20]) + (f" and {len(loud) - 20} more" if len(loud) > 20 else "")
    says = f"{plural(len(at), 'batch', 'batches')}; not accepted: {what or 'none'}"
    return strip(f"strip{index}", f"Untouched batches as {score.name} judged them", says, marks)


def _mark(trial: Trial) -> str:
    if trial.flaky:
        return "flaky"
    if trial.outcome is Outcome.ERROR:
        return "error"
    if trial.outcome is Outcome.FP:
        return "true" if trial.review is Review.TRUE else "alarm"
    return ""


def suites_of(card: Scorecard) -> tuple[tuple[str, str, int, str], ...]:
    """Name, where it was loaded from, how many checks, digest of its files."""
    return tuple(
        (v.name, v.info.spec, len(v.info.checks), v.info.suite_digest) for v in card.validators if v.info is not None
    )
