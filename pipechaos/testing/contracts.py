"""The contract of a validator: what pipechaos counts on when it believes a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipechaos.batch.frame import frame_digests
from pipechaos.batch.model import Batch
from pipechaos.errors import PipechaosError
from pipechaos.faults import registry
from pipechaos.faults.spec import Family
from pipechaos.inject.engine import inject
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve
from pipechaos.score.outcome import judge_canary
from pipechaos.score.records import Outcome
from pipechaos.score.truth import Truth
from pipechaos.testing.subjects import InProcess, Judges, Roles, as_batches, judges_of
from pipechaos.validate.polars_frame import is_polars, polars_digests
from pipechaos.validate.verdict import Verdict, VerdictStatus, decide, same_verdict

__all__ = ["check_validator"]


def check_validator(
    validator: Any,
    clean_batches: Any,
    *,
    key: Sequence[str] = (),
    time: str | None = None,
    roots: Sequence[str | Path] = (),
    imports: Sequence[str] = (),
    loader: str | None = None,
) -> None:
    """Fail, naming every breach, unless a validator keeps the contract that its verdicts are believed by.

    It declares its checks under unique names, and names no other; accepts clean batches; leaves the frame as it was;
    says the same when asked again; gives rows as sorted positions; counts its checks; never raises, whatever the frame;
    and rejects at least one canary (a column of nulls, a table of texts, no columns at all).

    Parameters
    ----------
    validator
        As for :func:`pipechaos.testing.assertions.must_reject`; above all an adapter of your own.
    clean_batches
        Batches that it accepts.
    key, time
        Roles of columns, for batches that come without.
    roots, imports, loader
        For a spec.

    Raises
    ------
    AssertionError
        With one line for each breach.

    Examples
    --------
    >>> import pyarrow as pa
    >>> def positive(frame):
    ...     return frame["amount"] > 0
    >>> check_validator(positive, pa.table({"amount": [12.0, 30.5]}))
    """
    __tracebackhide__ = True
    judges = judges_of(validator, roots=roots, imports=imports, loader=loader)
    batches = as_batches(clean_batches, Roles(key=tuple(key), time=time))
    breaches = [*_of_declaration(judges)]
    for batch in batches:
        breaches += [f"{batch.name}: {breach}" for breach in _of_clean(judges, batch)]
    breaches += _of_ruin(judges, batches[0])
    if breaches:
        lines = "\n".join(f"  {line}" for line in breaches)
        raise AssertionError(f"{judges.name} does not keep the contract of a validator:\n{lines}")


def _of_declaration(judges: Judges) -> Iterator[str]:
    if not judges.name or not isinstance(judges.name, str):
        yield f"its name is {judges.name!r}: a name is a text, part of every id"
    ids = [c.id for c in judges.checks]
    if not ids:
        yield "it declares no check: fewer checks than declared is how a suite that was not loaded is noticed"
    for twice in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"check {twice!r} is declared more than once: findings are told apart by it"
    if isinstance(judges, InProcess) and not isinstance(judges.validator.suite_digest, str):
        yield f"its suite digest is {judges.validator.suite_digest!r}: a text, empty where there is no file"


def _of_clean(judges: Judges, batch: Batch) -> Iterator[str]:
    try:
        first, again = judges.verdict(batch), judges.verdict(batch)
    except Exception as error:  # noqa: BLE001 - whatever it raises is the breach
        yield f"it raised {type(error).__name__}: {error}"
        return
    if first.status is not VerdictStatus.ACCEPTED:
        yield f"a clean batch is {first.status.value} ({', '.join(f.check for f in first.findings) or 'no finding'})"
    if not same_verdict(first, again):
        yield "a second look at the same frame gave another verdict"
    yield from _of_verdict(judges, first, batch.rows)
    if isinstance(judges, InProcess):
        yield from _of_frame(judges, batch, first)


def _of_frame(judges: InProcess, batch: Batch, verdict: Verdict) -> Iterator[str]:
    frame = judges.frame(batch)
    digests_of = polars_digests if is_polars(frame) else frame_digests
    before = digests_of(frame)
    judges.validator.run(frame)
    if digests_of(frame) != before:
        yield "it changed the frame that it was given"
    if (verdict.ordered_digest, verdict.multiset_digest) != before:
        yield "its verdict carries other digests than those of the frame it got: no-ops could not be told"


def _of_verdict(judges: Judges, verdict: Verdict, rows: int) -> Iterator[str]:
    declared = {c.id: c for c in judges.checks}
    if verdict.validator != judges.name:
        yield f"its verdict names {verdict.validator!r}"
    if verdict.checks_declared != len(declared):
        yield f"its verdict says {verdict.checks_declared} checks are declared, not {len(declared)}"
    if verdict.checks_ran > verdict.checks_declared:
        yield f"{verdict.checks_ran} checks ran of {verdict.checks_declared}"
    expected = decide(verdict.findings, declared=verdict.checks_declared, ran=verdict.checks_ran)
    if verdict.status is not expected and verdict.status is not VerdictStatus.ERRORED:
        yield f"its verdict is {verdict.status.value} where its findings say {expected.value}"
    for finding in verdict.findings:
        if finding.check not in declared and not finding.check.startswith("<"):
            yield f"finding of {finding.check!r}, which is no declared check"
        if finding.rows is not None and not _are_positions(finding.rows, rows):
            yield f"rows of {finding.check!r} are not sorted positions, each once, from 0 to {rows - 1} as int64"


def _are_positions(found: Any, rows: int) -> bool:
    at = np.asarray(found)
    if at.dtype != np.int64 or at.ndim != 1:
        return False
    return not len(at) or bool(at[0] >= 0 and at[-1] < rows and (np.diff(at) > 0).all())


def _of_ruin(judges: Judges, clean: Batch) -> Iterator[str]:
    """Canaries, and a batch without rows: at least one canary is rejected, and nothing makes it raise."""
    outcomes = []
    for name, batch, truth in _ruined(clean):
        try:
            verdict = judges.verdict(batch)
        except Exception as error:  # noqa: BLE001 - whatever it raises is the breach
            yield f"{name}: it raised {type(error).__name__}: {error}"
            continue
        yield from (f"{name}: {breach}" for breach in _of_verdict(judges, verdict, batch.rows))
        if truth is not None:
            outcomes.append(judge_canary(verdict, truth).outcome)
    if Outcome.ALARM not in outcomes:
        yield "blind: it rejects no canary, neither a column of nulls nor a table of texts nor no columns at all"


def _ruined(clean: Batch) -> Iterator[tuple[str, Batch, Truth | None]]:
    yield "a batch without rows", clean.take(np.zeros(0, np.int64)), None
    for fault in registry.faults(Family.CANARY):
        for column in clean.columns if fault.column_count else ("",):
            injection = Injection.of(fault.code, [column] if column else [])
            try:
                made = inject(resolve(Plan.of(injection), clean), clean)
            except PipechaosError:  # a column that cannot be ruined like this
                continue
            name = f"{fault.code} on {column}" if column else fault.code
            yield name, made.batch, Truth.of(made.ledger, fault.phase, clean.key)
