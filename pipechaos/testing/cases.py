"""Faults as the cases of a parametrised test: the same list in every process that asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipechaos.errors import PlanError
from pipechaos.report.escape import visible

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["FaultCase", "fault_cases"]

_MIDDLE = (3,)


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
        Nothing fits.

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
    wanted = {registry.get(code).code for code in faults}
    found = [
        pair
        for pair in pairs(preset or ("standard" if faults else "quick"), source, ignore=left)
        if not wanted or pair.fault in wanted
    ]
    if not found:
        raise PlanError(f"none of the faults {', '.join(sorted(wanted))} fits a column of batch {source.name!r}")
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
