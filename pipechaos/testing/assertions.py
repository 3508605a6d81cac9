"""``must_reject`` and ``must_accept``: what a team's test says about its own validator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.campaign.explain import example
from pipechaos.campaign.explanation import NearMiss
from pipechaos.campaign.nearness import near_misses
from pipechaos.campaign.tasks import Task
from pipechaos.campaign.trials import subnatural
from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.faults.spec import Family
from pipechaos.inject.engine import Injected, inject
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve
from pipechaos.score.natural import NaturalRanges
from pipechaos.score.outcome import judge
from pipechaos.score.records import Outcome, TrialKind
from pipechaos.score.truth import Truth
from pipechaos.testing import messages
from pipechaos.testing.cases import FaultCase
from pipechaos.testing.outcomes import (
    AcceptResult,
    Draw,
    MissedFaultError,
    NothingChangedError,
    Result,
    UnexpectedVerdictError,
)
from pipechaos.testing.subjects import Judges, Roles, as_batch, as_batches, as_history, judges_of
from pipechaos.validate.verdict import Verdict, VerdictStatus

__all__ = ["Bench", "must_accept", "must_reject"]


def must_reject(
    validator: Any,
    batch: Any,
    fault: str | FaultCase,
    *,
    columns: str | Sequence[str] | None = None,
    severity: int | None = None,
    fraction: float | None = None,
    placement: Mapping[str, Any] | str | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    repeats: int = 1,
    history: Any = (),
    key: Sequence[str] = (),
    time: str | None = None,
    roots: Sequence[str | Path] = (),
    imports: Sequence[str] = (),
    loader: str | None = None,
    limit_seconds: float = 60.0,
    values: bool = True,
) -> Result:
    """Fail unless a validator accepts a batch and rejects it once it is broken.

    Parameters
    ----------
    validator
        A pandera schema or model, a Great Expectations suite or its file, a function of a frame, an adapter; or a spec
        such as ``"pandera:module:attr"``, which runs in a process of its own.
    batch
        The untouched batch: a pandas frame, an Arrow table, a Batch, a BatchRef or a path.
    fault
        Code in the catalogue, or a case that a test is parametrised with.
    columns, severity, fraction, placement, params
        As for :meth:`pipechaos.plan.injection.Injection.of`; what a case holds where they are not given.
    seed, repeats
        Draws 0 to ``repeats - 1`` of this seed; the validator has to reject each one that changed something.
    history
        Batches before this one: scales, stale rows and what an ordinary day looks like come from them.
    key, time
        Roles of columns, for a batch that comes without.
    roots, imports, loader, limit_seconds
        For a spec, see :func:`pipechaos.testing.subjects.judges_of`.
    values
        Whether messages may quote data.

    Raises
    ------
    UnexpectedVerdictError
        An ``AssertionError``: the untouched batch is not accepted, or there is no verdict on a broken one; where one is
        accepted, a ``MissedFaultError``.
    NothingChangedError
        No draw changed anything for this validator, so nothing was tested.
    ConfigError
        A fault, column or batch that does not fit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"amount": [12.0, 30.5, 7.25]})
    >>> result = must_reject(lambda frame: frame["amount"].notna(), table, "null.mcar", columns="amount", fraction=1)
    >>> result.rejected, result.effective
    (1, 1)
    """
    __tracebackhide__ = True
    bench = Bench(roots=tuple(roots), imports=tuple(imports), loader=loader, limit_seconds=limit_seconds, values=values)
    return bench.must_reject(
        validator,
        batch,
        fault,
        columns=columns,
        severity=severity,
        fraction=fraction,
        placement=placement,
        params=params,
        seed=seed,
        repeats=repeats,
        history=history,
        key=key,
        time=time,
    )


def must_accept(
    validator: Any,
    batches: Any,
    *,
    key: Sequence[str] = (),
    time: str | None = None,
    roots: Sequence[str | Path] = (),
    imports: Sequence[str] = (),
    loader: str | None = None,
    limit_seconds: float = 60.0,
    values: bool = True,
) -> AcceptResult:
    """Fail unless a validator accepts every batch; parameters as for :func:`must_reject`.

    Parameters
    ----------
    batches
        One batch, or several.

    Raises
    ------
    UnexpectedVerdictError
        An ``AssertionError``: a batch is rejected, or there is no verdict on it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> must_accept(lambda frame: len(frame) > 0, [pa.table({"x": [1]}), pa.table({"x": [2]})]).accepted
    2
    """
    __tracebackhide__ = True
    bench = Bench(roots=tuple(roots), imports=tuple(imports), loader=loader, limit_seconds=limit_seconds, values=values)
    return bench.must_accept(validator, batches, key=key, time=time)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where validators are tried: what they are loaded with, and what is known of untouched batches already.

    Attributes
    ----------
    roots, imports, loader, limit_seconds
        For specs.
    values
        Whether messages may quote data.
    """

    roots: tuple[str | Path, ...] = ()
    imports: tuple[str, ...] = ()
    loader: str | None = None
    limit_seconds: float = 60.0
    values: bool = True
    _judges: dict[int, tuple[Any, Judges]] = field(default_factory=dict)
    _bases: dict[tuple[int, str, str], Verdict] = field(default_factory=dict)

    def must_reject(
        self,
        validator: Any,
        batch: Any,
        fault: str | FaultCase,
        *,
        columns: str | Sequence[str] | None = None,
        severity: int | None = None,
        fraction: float | None = None,
        placement: Mapping[str, Any] | str | None = None,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
        repeats: int = 1,
        history: Any = (),
        key: Sequence[str] = (),
        time: str | None = None,
    ) -> Result:
        """See :func:`must_reject`."""
        __tracebackhide__ = True
        roles = Roles(key=tuple(key), time=time)
        base, earlier = as_batch(batch, roles), as_history(history, roles)
        given = {"columns": columns, "severity": severity, "placement": placement, "params": params}
        code = fault
        if isinstance(fault, FaultCase):
            code, earlier = fault.fault, earlier or fault.history
            given = {k: _of_case(fault, k, fraction) if v is None else v for k, v in given.items()}
        first = Injection.of(str(code), fraction=fraction, seed=seed, **_named(given))
        if first.spec.family is Family.BENIGN:
            raise ConfigError(f"{first.fault} is a change that a contract may allow: nobody has to reject it")
        if repeats < 1:
            raise ConfigError(f"repeats {repeats}: at least one draw is needed")
        judges = self._judges_of(validator)
        verdict = self._base(judges, base)
        draws: tuple[Draw, ...] = ()
        if verdict.status is VerdictStatus.ACCEPTED:
            trial = _Trial(judges=judges, base=base, verdict=verdict, history=earlier, values=self.values)
            draws = _distinct(trial.draw(replace(first, repeat=r)) for r in range(repeats))
        result = Result(validator=judges.name, batch=base.name, injection=first, base=verdict, draws=draws)
        return self._settled(result, judges)

    def must_accept(
        self, validator: Any, batches: Any, *, key: Sequence[str] = (), time: str | None = None
    ) -> AcceptResult:
        """See :func:`must_accept`."""
        __tracebackhide__ = True
        judges = self._judges_of(validator)
        found = as_batches(batches, Roles(key=tuple(key), time=time))
        result = AcceptResult(validator=judges.name, verdicts=tuple((b.name, self._base(judges, b)) for b in found))
        if result.accepted < len(found):
            raise UnexpectedVerdictError(messages.not_accepted(result, found, values=self.values), result)
        return result

    def _settled(self, result: Result, judges: Judges) -> Result:
        __tracebackhide__ = True
        broken = [d for d in result.draws if d.status is Status.FAILED]
        if broken:
            raise CannotRunError(
                f"{result.fault} failed while it was injected, which no validator can help: {broken[0].reason}"
            )
        match result.outcome:
            case Outcome.BASE_BAD:
                raise UnexpectedVerdictError(messages.base_bad(result, values=self.values), result)
            case Outcome.NOOP:
                raise NothingChangedError(messages.nothing_changed(result), result)
            case Outcome.FN:
                raise MissedFaultError(messages.not_rejected(result, judges.checks, values=self.values), result)
            case Outcome.ERROR:
                raise UnexpectedVerdictError(messages.not_rejected(result, judges.checks, values=self.values), result)
        return result

    def _judges_of(self, validator: Any) -> Judges:
        kept = self._judges.get(id(validator))
        if kept is None or kept[0] is not validator:
            judges = judges_of(
                validator,
                roots=self.roots,
                imports=self.imports,
                loader=self.loader,
                limit_seconds=self.limit_seconds,
            )
            kept = self._judges[id(validator)] = (validator, judges)  # kept alive, so that its id stays its own
        return kept[1]

    def _base(self, judges: Judges, batch: Batch) -> Verdict:
        """Verdict on an untouched batch; one that it accepted is not asked about again."""
        at = (id(judges), ordered_digest(batch.table), str(batch.table.schema.metadata))
        if at in self._bases:
            return self._bases[at]
        verdict = judges.verdict(batch)
        if verdict.status is VerdictStatus.ACCEPTED:
            self._bases[at] = verdict
        return verdict


def _of_case(case: FaultCase, name: str, fraction: float | None) -> Any:
    if name == "severity":
        return case.severity or None if fraction is None else None
    return getattr(case, name) or None


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in given.items() if v is not None}


def _distinct(draws: Any) -> tuple[Draw, ...]:
    """Copies that are the same, value for value, are one draw."""
    kept: dict[tuple[str, Status], Draw] = {}
    for draw in draws:
        kept.setdefault((draw.digest, draw.status), draw)
    return tuple(kept.values())


@dataclass(frozen=True, kw_only=True)
class _Trial:
    judges: Judges
    base: Batch
    verdict: Verdict
    history: tuple[Batch, ...]
    values: bool

    def draw(self, injection: Injection) -> Draw:
        injected = self._injected(injection)
        ledger, record = injected.ledger, injected.ledger.injections[0]
        applied = ledger.status is Status.APPLIED
        verdict = self.judges.verdict(injected.batch) if applied else None
        judgement = judge(
            ledger_status=ledger.status,
            base=self.verdict,
            verdict=verdict,
            truth=Truth.of(ledger, injection.spec.phase, self.base.key),
            same_frame=verdict is not None and verdict.ordered_digest == self.verdict.ordered_digest != "",
        )
        return Draw(
            repeat=injection.repeat,
            judgement=judgement,
            status=ledger.status,
            reason=record.reason,
            changed=record.changed,
            eligible=record.eligible,
            example=example(self.base, injected) if applied else None,
            digest=ordered_digest(injected.batch.table),
            subnatural=applied and self._ordinary(injection, injected.batch),
            near=self._near(injection, injected.batch) if judgement.outcome is Outcome.FN else (),
        )

    def _near(self, injection: Injection, after: Batch) -> tuple[NearMiss, ...]:
        limits = {self.judges.name: self.judges.limits}
        return near_misses(limits, injection.columns, self.base.table, after.table, values=self.values)

    def _injected(self, injection: Injection) -> Injected:
        """As a campaign does it: scales from history, stale rows from the batch before."""
        earlier = [b for b in self.history if b.name < self.base.name]
        donors = tuple(earlier[-1:]) if injection.spec.donor else ()
        pool = () if injection.spec.donor or injection.spec.resolve is None else self.history
        plan = resolve(Plan.of(injection), self.base, pool, earlier=donors)
        return inject(plan, self.base, {d.name: d for d in donors})

    def _ordinary(self, injection: Injection, after: Batch) -> bool:
        known = {b.name: b for b in self.history}
        ranges = NaturalRanges(names=tuple(known), load=known.__getitem__)
        return subnatural(ranges, Task(kind=TrialKind.FAULT, base=self.base.name, injection=injection), after)
