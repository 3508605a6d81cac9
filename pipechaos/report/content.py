"""What a report says, worked out once for every way of showing it: plain records of texts and numbers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipechaos.campaign.explanation import Explanation
from pipechaos.report.escape import clean, listed
from pipechaos.report.numbers import over_batches, over_blocks, plural
from pipechaos.report.rates import FamilyRow, ValidatorRow, family_rows, rates_note, shown_name, validator_row
from pipechaos.report.suites import Checks, Controls, checks_of, controls_of, incident_lines
from pipechaos.report.survivors import Entry, entries, ordinary
from pipechaos.score.baseline import FAILING, BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import GateResult, GateVerdict, Metric
from pipechaos.score.scorecard import About, Scorecard, ValidatorScore

__all__ = ["Content", "GateLine", "Note", "Tone", "build_content"]

NOT_SAID = (
    "Given this catalogue of faults, not the risk in production: faults are chosen, not sampled, so a low rate does "
    "not say that data is safe, and a survivor matters only if the fault can happen to you."
)

_FAILING = 8  # entries of a baseline that are named one by one
_METRICS = {
    Metric.FNR: "FNR",
    Metric.STRICT_FNR: "strict FNR",
    Metric.ESCAPE: "escape rate",
    Metric.ERROR: "error rate",
    Metric.FPR: "FPR",
    Metric.BENIGN: "benign alarm rate",
}


class Tone(StrEnum):
    """How a line is meant; the words say it too."""

    BAD = "bad"
    WARN = "warn"
    GOOD = "good"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line with its tone."""

    tone: Tone
    text: str


@dataclass(frozen=True, kw_only=True)
class GateLine:
    """A gate in words."""

    verdict: GateVerdict
    text: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything a report says. Every text is free of control characters; no text is markup.

    Attributes
    ----------
    title
        What was run, in one line.
    first
        What comes before any rate: blind, paranoid and flaky validators, failed injections, a run cut short.
    validators
        Rates, the stack last.
    rates_note
        How to read the rates.
    families
        FNR by family.
    survivors
        All of them, worst first.
    no_survivors
        What to say where there is none: that all was caught, or that nothing was judged.
    ordinary
        Missed where the batch still looked like an ordinary day.
    checks, controls
        For each validator.
    incidents, gates
        Lines; what the baseline says stands first among the gates.
    sample, reproducible
        Lines about the design and about what was used.
    left_out
        Faults on columns that were not tried, by name.
    in_short
        One line for each validator: what was missed and falsely rejected.
    not_said
        What a scorecard does not say.
    """

    title: str
    first: tuple[Note, ...]
    validators: tuple[ValidatorRow, ...]
    rates_note: tuple[str, ...]
    families: tuple[FamilyRow, ...]
    survivors: tuple[Entry, ...]
    no_survivors: str
    ordinary: tuple[str, ...]
    checks: tuple[Checks, ...]
    controls: tuple[Controls, ...]
    incidents: tuple[str, ...]
    gates: tuple[GateLine, ...]
    sample: tuple[str, ...]
    left_out: tuple[str, ...]
    reproducible: tuple[str, ...]
    in_short: tuple[str, ...]
    not_said: str = NOT_SAID


def build_content(
    card: Scorecard,
    explanations: Mapping[str, Explanation] | None = None,
    *,
    experiment: str = "",
    replay: str = "pipechaos replay",
) -> Content:
    """Put a scorecard into words.

    Parameters
    ----------
    card
        Of a run.
    explanations
        By the id of a missed trial (``survivors.wanted_examples`` says which are shown first).
    experiment
        Its file: shown, and given to the command that replays.
    replay
        Command to which the id of a trial and the experiment are added.

    Returns
    -------
    Content
        The same for every renderer.
    """
    scores = [*card.validators, *([card.stack] if card.stack else [])]
    rows = tuple(validator_row(s) for s in scores)
    content = Content(
        title=_title(card, experiment),
        first=_first(card),
        validators=rows,
        rates_note=rates_note(rows),
        families=family_rows(scores),
        survivors=entries(card, explanations or {}, lambda trial: _replay(replay, trial, experiment)),
        no_survivors=_no_survivors(card),
        ordinary=ordinary(card),
        checks=tuple(checks_of(v) for v in card.validators),
        controls=tuple(controls_of(v) for v in card.validators),
        incidents=incident_lines(card.about.incidents),
        gates=(*baseline_lines(card.baseline), *(_gate(g) for g in card.gates)),
        sample=_sample(card.about),
        left_out=tuple(str(name) for name in card.about.sample.get("left_out", ())),
        reproducible=_reproducible(card),
        in_short=(*(_in_short(s) for s in scores), *_enough(card)),
    )
    return clean(content)


def _replay(command: str, trial: str, experiment: str) -> str:
    return f"{command} {trial}" + (f" --experiment {shlex.quote(experiment)}" if experiment else "")


def _title(card: Scorecard, experiment: str) -> str:
    planned, tried = card.about.sample.get("weaknesses", 0), card.tried
    file = f" ({experiment})" if experiment else ""
    parts = [plural(len(card.validators), "validator")]
    if planned or tried.weaknesses:
        of = f"{tried.weaknesses:,} of " if tried.weaknesses < planned else ""
        weaknesses = plural(max(planned, tried.weaknesses), "weakness", "weaknesses")
        parts.append(f"{of}{weaknesses} tried on {plural(tried.batches, 'batch', 'batches')}")
    judged = sum(n for v in card.validators for found in v.outcomes.values() for n in found.values())
    parts.append(plural(judged, "trial"))
    return f"{card.about.name}{file}: {', '.join(parts)}"


def _first(card: Scorecard) -> tuple[Note, ...]:
    notes = [
        Note(tone=Tone.BAD, text=f"BLIND: {v.name} rejected no canary; nothing else it says means anything")
        for v in card.validators
        if v.blind
    ]
    notes += [
        Note(tone=Tone.BAD, text=f"PARANOID: {v.name} rejects most untouched batches; what it catches proves little")
        for v in card.validators
        if v.paranoid
    ]
    notes += [
        Note(
            tone=Tone.WARN,
            text=f"FLAKY: {v.name} contradicts itself on {listed(v.flaky_batches, 5)}; their trials leave every rate",
        )
        for v in card.validators
        if v.flaky_batches
    ]
    if card.injection_errors:
        text = f"FAILED: {plural(card.injection_errors, 'injection')} could not be applied; the run exits 3"
        notes.append(Note(tone=Tone.BAD, text=text))
    if card.about.stopped:
        text = f"CUT SHORT: {card.about.stopped}; the rates are those of the first trials of the plan, no sample of it"
        notes.append(Note(tone=Tone.WARN, text=text))
    untried = [v.name for v in card.validators if v.blind is None]
    if untried:
        text = f"NO CANARY was tried on {', '.join(untried)}: whether it is blind is not known"
        notes.append(Note(tone=Tone.WARN, text=text))
    if not notes:
        notes.append(Note(tone=Tone.GOOD, text="No validator is blind, paranoid or flaky; every injection worked."))
    return tuple(notes)


def _no_survivors(card: Scorecard) -> str:
    silent = [v.name for v in card.validators if not v.faults.fnr.trials]
    if len(silent) == len(card.validators):
        return "Nothing was judged: no faulty trial that counts has a verdict, so what would get through is not known."
    if silent:
        return f"None in what was judged, but {listed(silent, 5)} judged nothing."
    until = " before the run was cut short" if card.about.stopped else ""
    return f"None: every weakness that counts was caught every time{until}."


def baseline_lines(result: BaselineResult | None) -> tuple[GateLine, ...]:
    """A baseline as lines among the gates: one that sums it up, then what fails, the first few by name."""
    if result is None:
        return ()
    counts = ", ".join(f"{len(result.of(standing))} {standing.value}" for standing in Standing)
    text = f"survivors against the baseline {result.file or '(unnamed)'}: {counts}"
    text += f"; {result.reason}" if result.verdict is GateVerdict.INCONCLUSIVE else ""
    lines = [GateLine(verdict=result.verdict, text=text)]
    failing = [e for e in result.entries if e.standing in FAILING]
    lines += [GateLine(verdict=GateVerdict.FAIL, text=_stands(e)) for e in failing[:_FAILING]]
    if len(failing) > _FAILING:
        text = f"and {len(failing) - _FAILING} more: `pipechaos baseline explain` names them all"
        lines.append(GateLine(verdict=GateVerdict.FAIL, text=text))
    return tuple(lines)


def _stands(entry: BaselineEntry) -> str:
    counts = f"missed {entry.missed} of {plural(entry.tried, 'trial')}"
    return f"{entry.standing.value} {entry.weakness_id} {entry.label} ({counts}): {entry.text}"


def _gate(result: GateResult) -> GateLine:
    gate = result.gate
    only = [f"{name} {value}" for name, value in gate.filters.items()]
    text = f"{_METRICS[gate.metric]} of {result.validator}{' over ' + ', '.join(only) if only else ''}: {result.reason}"
    rate = over_blocks(result.rate) if gate.metric is Metric.FPR else over_batches(result.rate)
    text += f" ({rate.counts})"
    if result.more_batches:
        text += f"; about {plural(result.more_batches, 'more batch', 'more batches')} would settle it"
    return GateLine(verdict=result.verdict, text=text)


def _sample(about: About) -> tuple[str, ...]:
    s: Mapping[str, Any] = about.sample
    lines = []
    if s.get("trials") and s.get("full_cross"):
        done = "planned" if about.stopped else "tried"
        text = f"{s['trials']:,} of {plural(s['full_cross'], 'trial')} of the full cross were {done}"
        if s.get("bases_each") and s.get("bases"):
            each = f"{s['bases_each']} of {plural(s['bases'], 'base')}"
            text += f": every weakness on {each}, each standing for {s['weight']:.1f}"
        lines.append(text)
    left = [str(name) for name in s.get("left_out", ())]
    if left:
        named = listed(left, 4)
        lines.append(f"{plural(len(left), 'fault-column pair')} had no room and were left out: {named}")
    lines += [str(note) for note in s.get("notes", ())]
    history = about.history
    if history.get("batches"):
        ends = f", {history['first']} to {history['last']}" if history.get("first") else ""
        lines.append(f"History: {plural(history['batches'], 'batch', 'batches')}{ends}")
    return tuple(lines)


def _reproducible(card: Scorecard) -> tuple[str, ...]:
    about = card.about
    lines = [f"Experiment {about.digest}, seed {about.seed}"]
    if about.versions:
        lines.append(", ".join(f"{name} {version}" for name, version in about.versions.items()))
    lines.append(
        f"Intervals: two-sided 95 %, at least {about.rho:g} correlation assumed within a batch, "
        f"blocks of {about.block} batches for the FPR"
    )
    if card.voids:
        lines.append("NOT the same to the byte when run again: " + "; ".join(card.voids))
    else:
        lines.append("The same experiment, seed and versions give the same scorecard to the byte")
    lines += _cost(card.runtime)
    return tuple(lines)


def _cost(runtime: Mapping[str, Any]) -> list[str]:
    """Time of a run, where it was measured."""
    total = runtime.get("seconds", {}).get("total")
    if total is None:
        return []
    each = [f"{name} {v['median_seconds']:.2g} s" for name, v in runtime.get("validators", {}).items()]
    return [f"Took {total:,.0f} s; median of one validation: {', '.join(each)}"]


def _in_short(score: ValidatorScore) -> str:
    fnr, fpr = score.faults.fnr, score.controls.fpr
    missed = f"missed {fnr.hits:,} of {plural(fnr.trials, 'corrupted copy', 'corrupted copies')}"
    rejected = f"rejected {fpr.hits:,} of {plural(fpr.trials, 'untouched batch', 'untouched batches')}"
    errors = score.faults.counts.errors + score.controls.error.hits
    return f"{shown_name(score)} {missed}, {rejected}" + (f", gave no verdict on {errors:,}" if errors else "")


def _enough(card: Scorecard) -> tuple[str, ...]:
    """Validators beside which the others catch nothing."""
    if card.stack is None:
        return ()
    caught = card.stack.faults.counts.detected
    enough = [v.name for v in card.validators if caught and v.faults.counts.detected == caught]
    return tuple(f"{name} alone caught everything that was caught" for name in enough)
