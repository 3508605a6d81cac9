"""Faults as the cases of a parametrised test: the same list in every process that asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipechaos.errors import PlanError
from pipechaos.report.escape import listed, visible

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch
    from pipechaos.faults.spec import Fault

__all__ = ["FaultCase", "fault_cases"]

_MIDDLE = (3,)
_SHOWN = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class FaultCase:
    """One fault on columns at a severity, and the batch it is meant for.

    Attributes
    ----------
    fault
        Code in the catalogue.
    columns
        Empty for row faults.
    severity
        Rung of its ladder; 0 for a dose of its own.
    placement, params
        As for an injection.
    batch, history
        The untouched batch, and those before it.
    """

    fault: str
    columns: tuple[str, ...] = ()
    severity: int = 0
    placement: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    batch: Batch
    history: tuple[Batch, ...] = ()

    def __str__(self) -> str:
        where = f"[{','.join(self.columns)}]" if self.columns else ""
        dose = f"@{self.severity}" if self.severity else ""
        return visible(f"{self.fault}{where}{dose}")

    __repr__ = __str__


def fault_cases(
    batch: Any,
    *,
    preset: str | None = None,
    faults: Sequence[str] = (),
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    severities: Sequence[int] = _MIDDLE,
    history: Any = (),
    key: Sequence[str] = (),
    time: str | None = None,
) -> tuple[FaultCase, ...]:
    """Every (fault, columns, severity) of a preset that fits a batch.

    Parameters
    ----------
    batch
        Whatever ``must_reject`` takes; a function without arguments is called.
    preset
        A name in ``pipechaos.plan.presets.PRESETS``; ``"quick"`` where neither preset nor faults are named.
    faults
        Codes; with a preset only those of it.
    columns, ignore
        Columns to break, or to leave alone; all by default. Faults of rows or the whole table are kept either way.
    severities
        Rungs; a fault with a single rung is tried on that.
    history
        Batches before this one.
    key, time
        Roles of columns, for a batch that comes without.

    Returns
    -------
    tuple of FaultCase
        In the order of the catalogue; depends on names and types of columns alone.

    Raises
    ------
    UnknownNameError
        A preset, fault or column that is not there.
    PlanError
        A named fault gives no case, or nothing of a preset fits.

    Examples
    --------
    >>> import pyarrow as pa
    >>> cases = fault_cases(pa.table({"x": [1.5, 2.5]}), faults=["null.mcar", "rows.drop"], severities=[2, 4])
    >>> [str(c) for c in cases]
    ['null.mcar[x]@2', 'null.mcar[x]@4', 'rows.drop@2', 'rows.drop@4']
    """
    from pipechaos.campaign.sample import severities_of
    from pipechaos.faults import registry
    from pipechaos.plan.presets import pairs
    from pipechaos.testing.subjects import Roles, as_batch, as_history

    roles = Roles(key=tuple(key), time=time)
    source = as_batch(batch() if callable(batch) else batch, roles)
    for name in (*columns, *ignore):
        source.column(name)
    left = [c for c in source.columns if c in ignore or (columns and c not in columns)]
    wanted = {fault.code: fault for fault in map(registry.get, faults)}
    chosen = preset or ("standard" if faults else "quick")
    found = [pair for pair in pairs(chosen, source, ignore=left) if not wanted or pair.fault in wanted]
    fitting = {pair.fault for pair in found}
    unfit = [_unfit(fault, source, left, chosen) for code, fault in wanted.items() if code not in fitting]
    if unfit:
        raise PlanError(f"a named fault gives no case for batch {source.name!r}: {'; '.join(map(visible, unfit))}")
    like = FaultCase(fault="", batch=source, history=as_history(history() if callable(history) else history, roles))
    return tuple(
        replace(
            like,
            fault=pair.fault,
            columns=pair.columns,
            severity=severity,
            placement=pair.placement,
            params=pair.params,
        )
        for pair in found
        for severity in severities_of(pair, severities)
    )


def _unfit(fault: Fault, batch: Batch, left: Sequence[str], preset: str) -> str:
    """Why a fault gives no case, and what it takes."""
    from pipechaos.faults.spec import Family
    from pipechaos.plan.presets import PRESETS, on_columns, pairs

    columns = [c for c in batch.columns if c not in left]
    if fault.family is Family.BENIGN:
        return f"{fault.code} is a change that a contract may allow: nobody has to reject it"
    if fault.family is Family.CANARY:
        return f"{fault.code} is a canary: a campaign tries it by itself"
    if fault.family not in PRESETS[preset]:
        return f"{fault.code} is not in preset {preset!r}"
    if fault.needs_time and batch.time is None:
        return f"{fault.code} needs a time column: name it with time="
    if fault.column_count and not on_columns(fault, batch, columns):
        kind = "any type" if fault.types == "any" else fault.types
        rest = f"none of those to break ({listed(columns, _SHOWN)}) is one" if columns else "none is left to break"
        return f"{fault.code} takes a column of {kind}, and {rest}"
    if preset == "quick" and fault.code in {p.fault for p in pairs("standard", batch, ignore=left)}:
        return f"{fault.code} is not among the few that preset 'quick' picks"
    return f"{fault.code} needs another column of numbers or times, by which it strikes"
