"""Rates of each validator in words, and by family of faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipechaos.report.numbers import RateText, over_batches, over_blocks, percent, plural
from pipechaos.score.scorecard import ValidatorScore
from pipechaos.score.stack import STACK

__all__ = ["FamilyRow", "ValidatorRow", "family_rows", "rates_note", "shown_name", "validator_row"]

_HOW_TO_READ = (
    "Two-sided 95 % intervals, counts (of trials; for the FPR of untouched batches) and clusters. FNR to error are "
    "means over weaknesses: a fault on its columns at one dose. strict: caught only if a finding points at the fault."
)
_FEW = "few: fewer than 10 batches or blocks, so no gate decides on it."


@dataclass(frozen=True, kw_only=True)
class ValidatorRow:
    """Rates of one validator, or of all of them as one.

    Attributes
    ----------
    name
        In the experiment.
    stack
        Whether this is all of them as one.
    fnr, strict_fnr, escape, error, fpr, benign
        Rates; the last one None where no allowed change was tried.
    notes
        Errors on controls, the FPR without alarms that wait for a review, trials that stand in no rate.
    rows
        How well findings name rows; empty when none carry rows.
    suite
        Where it came from, its checks and digest; empty for the stack.
    """

    name: str
    stack: bool
    fnr: RateText
    strict_fnr: RateText
    escape: RateText
    error: RateText
    fpr: RateText
    benign: RateText | None
    notes: tuple[str, ...]
    rows: str
    suite: str


@dataclass(frozen=True, kw_only=True)
class FamilyRow:
    """FNR of one family, a cell for each validator row; None where it has no trial of that family."""

    family: str
    cells: tuple[RateText | None, ...]


def shown_name(score: ValidatorScore) -> str:
    """Name in a report: the stack has one of its own."""
    return "all together" if score.name == STACK else score.name


def validator_row(score: ValidatorScore) -> ValidatorRow:
    """Rates of one validator, or of the stack."""
    faults, controls = score.faults, score.controls
    tried = bool(controls.benign.trials or controls.benign_error.trials)
    return ValidatorRow(
        name=shown_name(score),
        stack=score.name == STACK,
        fnr=over_batches(faults.fnr),
        strict_fnr=over_batches(faults.strict_fnr),
        escape=over_batches(faults.escape),
        error=over_batches(faults.error),
        fpr=over_blocks(controls.fpr),
        benign=over_batches(controls.benign) if tried else None,
        notes=_row_notes(score),
        rows=_rows(score),
        suite=_suite(score),
    )


def _row_notes(score: ValidatorScore) -> tuple[str, ...]:
    name, controls, apart = shown_name(score), score.controls, _set_apart(score)
    notes = []
    if controls.error.hits:
        notes.append(f"{name} gave no verdict on untouched batches: {over_blocks(controls.error).line}")
    if controls.benign_error.hits:
        notes.append(f"{name} gave no verdict on allowed changes: {over_batches(controls.benign_error).line}")
    if controls.unreviewed:
        notes.append(f"{name}, FPR over alarms reviewed as false alone: {over_blocks(controls.fpr_reviewed).line}")
    if apart:
        notes.append(f"{name}, in no rate: {apart}")
    return tuple(notes)


def rates_note(rows: Sequence[ValidatorRow]) -> tuple[str, ...]:
    """How to read the rates, and what is to be said about single ones."""
    few = any(rate.few for r in rows for rate in (r.fnr, r.error, r.fpr, r.benign) if rate is not None)
    return (_HOW_TO_READ, *([_FEW] if few else []), *(note for r in rows for note in r.notes))


def _set_apart(score: ValidatorScore) -> str:
    c = score.faults.counts
    found = (
        (c.subnatural, f"looked like an ordinary day ({c.subnatural_missed} missed)"),
        (c.noop, "changed nothing"),
        (c.base_bad, "had a base it does not accept"),
        (c.duplicates, "gave the same data as another"),
        (c.flaky, "stood on a flaky base"),
        (c.injection_errors, "could not be injected"),
        (score.controls.benign_base_bad, "allowed changes had a base it does not accept"),
        (score.controls.benign_injection_errors, "allowed changes could not be made"),
    )
    return ", ".join(f"{n:,} {why}" for n, why in found if n)


def _rows(score: ValidatorScore) -> str:
    r = score.rows
    if not r.with_rows:
        return ""
    return (
        f"rows named rightly: {percent(r.precision)} ({r.right:,} of {r.named:,}), changed rows found: "
        f"{percent(r.recall)} ({r.found:,} of {r.truth:,}), findings with rows: {percent(r.coverage)} "
        f"({r.with_rows:,} of {r.findings:,})"
    )


def _suite(score: ValidatorScore) -> str:
    info = score.info
    if info is None:
        return ""
    return f"{info.name}: {info.spec}, {plural(len(info.checks), 'check')}, digest {info.suite_digest}"


def family_rows(scores: Sequence[ValidatorScore]) -> tuple[FamilyRow, ...]:
    """FNR by family, the worst first."""
    found = [s.by.get("family", {}) for s in scores]
    names = sorted({name for families in found for name in families})

    def worst(name: str) -> tuple[float, str]:
        shares = [f[name].fnr.estimate for f in found if name in f and f[name].fnr.trials]
        return (-max(shares, default=0.0), name)

    return tuple(
        FamilyRow(
            family=name,
            cells=tuple(over_batches(f[name].fnr) if name in f and f[name].fnr.trials else None for f in found),
        )
        for name in sorted(names, key=worst)
    )
