"""The smallest form of a fault that still survives: other rungs of its ladder, fewer of its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from pipechaos.batch.model import Batch
from pipechaos.campaign.explanation import Dose
from pipechaos.campaign.output import injection_of
from pipechaos.campaign.run import inject_one
from pipechaos.campaign.source import Batches
from pipechaos.inject.engine import Injected
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection
from pipechaos.score.records import Outcome, Trial

__all__ = ["at_severity", "columns_changed", "known_doses", "only_columns", "shrink", "smallest"]

MOST = 60  # validations a search of columns may take

Missed = Callable[[pa.Table], bool]


def shrink(trial: Trial, base: Batch, batches: Batches, missed: Missed) -> tuple[Dose, ...]:
    """Try a missed trial at every rung of its ladder, and with fewer of the columns it changed.

    Batch, seed, repeat and placement stay, so that a milder rung hits a part of the same cells.

    Parameters
    ----------
    trial
        A faulty trial.
    base
        Its untouched batch.
    batches
        Where history and earlier batches come from.
    missed
        Whether a corrupted table gets past the validator.

    Returns
    -------
    tuple of Dose
        Everything that was tried and changed something, the smallest first.
    """
    own = inject_one(injection_of(trial), base, batches)
    survived = missed(own.batch.table)
    doses = [Dose(severity=trial.severity, columns=trial.columns, missed=survived)]
    for severity in range(1, trial.rungs + 1) if trial.severity else ():
        if severity == trial.severity:
            continue
        injected = inject_one(at_severity(trial, severity), base, batches)
        if injected.ledger.status is Status.APPLIED:
            found = missed(injected.batch.table)
            doses.append(Dose(severity=severity, columns=trial.columns, missed=found))
    changed = columns_changed(own)
    if survived and len(changed) > 1:
        tried: dict[tuple[str, ...], bool] = {changed: True}
        smallest(changed, lambda some: missed(only_columns(base, own, some)), tried)
        doses += [
            Dose(severity=trial.severity, columns=some, missed=found)
            for some, found in tried.items()
            if some != trial.columns
        ]
    return tuple(sorted(doses, key=lambda d: (d.severity, len(d.columns), d.columns)))


def at_severity(trial: Trial, severity: int) -> Injection:
    """The same injection on another rung of its ladder."""
    kept = {k: v for k, v in trial.params.items() if k not in (trial.moves, "exact")}
    return Injection.of(
        trial.fault,
        trial.columns,
        severity=severity,
        placement=trial.placement or None,
        params=kept,
        seed=trial.seed,
        repeat=trial.repeat,
        exact=bool(trial.params.get("exact", False)),
    )


def columns_changed(injected: Injected) -> tuple[str, ...]:
    """Columns with changed cells; none where rows or the schema changed, which no set of columns can undo."""
    ledger = injected.ledger
    if not ledger.rows.empty or ledger.schema:
        return ()
    return tuple(c.column for c in ledger.cells if len(c.origin))


def only_columns(base: Batch, injected: Injected, columns: Sequence[str]) -> pa.Table:
    """The untouched table with these columns of the corrupted one."""
    table = base.table
    for column in columns:
        at = table.column_names.index(column)
        changed = injected.batch.table
        table = table.set_column(at, changed.field(column), changed.column(column))
    return base.with_table(table).table


def smallest(
    columns: tuple[str, ...],
    survives: Callable[[tuple[str, ...]], bool],
    tried: dict[tuple[str, ...], bool] | None = None,
    most: int = MOST,
) -> tuple[str, ...]:
    """A smallest set of columns that survives: no single column can be left out of it.

    Halves, then quarters and so on, are tried by themselves and left out, until leaving out any one column gets the
    fault caught (delta debugging, Zeller and Hildebrandt 2002).

    Parameters
    ----------
    columns
        A set that survives.
    survives
        Whether a smaller one does.
    tried
        Takes every answer.
    most
        Questions that may be asked; the smallest set so far is the answer when they are used up.

    Examples
    --------
    >>> smallest(("a", "b", "c", "d"), lambda some: {"b", "d"} <= set(some))
    ('b', 'd')
    """
    known = {} if tried is None else tried
    asked = len(known)

    def holds(some: tuple[str, ...]) -> bool:
        if some not in known:
            if len(known) - asked >= most:
                return False
            known[some] = survives(some)
        return known[some]

    parts = 2
    while len(columns) > 1:
        size = -(-len(columns) // parts)
        chunks = [columns[i : i + size] for i in range(0, len(columns), size)]
        rests = [tuple(c for c in columns if c not in chunk) for chunk in chunks] if len(chunks) > 2 else []
        found = next((some for some in [*chunks, *rests] if holds(some)), None)
        if found is not None:
            parts = 2 if found in chunks else max(parts - 1, 2)
            columns = found
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(columns))
    return columns


def known_doses(trial: Trial, trials: Sequence[Trial]) -> tuple[Dose, ...]:
    """Rungs that a run itself tried on the same batch with the same draw, the mildest first."""
    if not trial.severity:
        return ()
    mine = _ladder(trial)
    same = [t for t in trials if t.outcome in (Outcome.FN, Outcome.TP) and t.fault and _ladder(t) == mine]
    ordered = sorted(same, key=lambda t: t.severity)
    return tuple(Dose(severity=t.severity, columns=t.columns, missed=t.outcome is Outcome.FN) for t in ordered)


def _ladder(trial: Trial) -> tuple[object, ...]:
    """What the rungs of one ladder on one batch have in common."""
    fixed = sorted((k, repr(v)) for k, v in trial.params.items() if k != trial.moves)
    placement = sorted((k, repr(v)) for k, v in trial.placement.items())
    which = (trial.kind, trial.validator, trial.batch, trial.fault, trial.columns, bool(trial.severity))
    return (*which, fixed, placement, trial.seed, trial.repeat)
