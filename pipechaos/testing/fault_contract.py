"""``check_fault``: every law of the engine, on a fault of your own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from pipechaos.batch.model import Batch
from pipechaos.errors import ConfigError
from pipechaos.faults import registry
from pipechaos.faults.spec import Fault, Kind
from pipechaos.testing.fault_laws import LAWS, Subject, complete, examples_hold
from pipechaos.testing.subjects import Roles, as_batch, as_history

__all__ = ["check_fault", "registered"]


def check_fault(
    spec: Fault | str,
    batch: Any,
    *,
    columns: Sequence[str] = (),
    history: Any = (),
    key: Sequence[str] = (),
    time: str | None = None,
    seed: int = 7,
) -> None:
    """Fail, naming every breach, unless a fault keeps the laws that a score rests on.

    Its record is complete and its examples hold; its ledger is exactly what differs between the whole tables; a replay
    gives the same copy and the batch stays; untouched columns are shared; a higher rung does more, to a superset;
    neither cutting the batch into parts nor the order of its rows matters; columns of other types are refused.

    Parameters
    ----------
    spec
        A fault, which need not be in the catalogue; or the code of one that is.
    batch
        With a key that no two rows share, and several hundred rows, so that the mildest dose does something.
    columns
        Where to put it; each column that it applies to by default.
    history
        Earlier batches: scales come from them, and rows where the fault needs a donor.
    key, time
        Roles of columns, for a batch that comes without.
    seed
        Of the draws.

    Raises
    ------
    AssertionError
        With one line for each breach.
    ConfigError
        The batch has no usable key, or the fault applies to none of its columns.

    Examples
    --------
    >>> import pyarrow as pa
    >>> check_fault("null.mcar", pa.table({"id": range(900), "x": [0.5 * i for i in range(900)]}), key=["id"])
    """
    __tracebackhide__ = True
    fault = registry.get(spec) if isinstance(spec, str) else spec
    roles = Roles(key=tuple(key), time=time)
    source, earlier = as_batch(batch, roles), as_history(history, roles)
    if not source.key or source.identity.duplicated:
        raise ConfigError(f"batch {source.name!r} needs key=..., columns whose values no two rows share")
    with registered(fault):
        breaches = [f"{fault.code}: {b}" for law in (complete, examples_hold) for b in _breaches(law, fault)]
        for subject in _subjects(fault, source, earlier, tuple(columns), seed):
            breaches += [f"{subject}: {b}" for law in LAWS for b in _breaches(law, subject)]
    if breaches:
        lines = "\n".join(f"  {line}" for line in breaches)
        raise AssertionError(f"{fault.code} does not keep the laws of a fault:\n{lines}")


def _breaches(law: Any, of: Any) -> Iterator[str]:
    try:
        law(of)
    except AssertionError as error:
        yield str(error)
    except Exception as error:  # noqa: BLE001 - whatever a kernel raises is a breach
        yield f"{law.__name__}: {type(error).__name__}: {error}"


def _subjects(
    fault: Fault, batch: Batch, history: tuple[Batch, ...], columns: tuple[str, ...], seed: int
) -> Iterator[Subject]:
    fitting = [f.name for f in batch.table.schema if fault.applies(getattr(f.type, "value_type", f.type))]
    chosen = [(c,) for c in columns or fitting] if fault.column_count else [()]
    if not chosen:
        raise ConfigError(f"fault {fault.code!r} takes {fault.types}: batch {batch.name!r} has no such column")
    for group in chosen:
        yield Subject(
            fault=fault,
            batch=batch,
            columns=group,
            placement=_placement(fault, batch, group),
            history=() if fault.donor else history,
            earlier=history if fault.donor else (),
            seed=seed,
        )


def _placement(fault: Fault, batch: Batch, columns: tuple[str, ...]) -> dict[str, Any] | None:
    """The default one, its other column or entity being the first part of the key that is not the column itself."""
    others = [c for c in (*batch.key, *batch.columns) if c not in columns]
    match fault.placements[0]:
        case Kind.OTHER_COLUMN if others:
            return {"kind": "other_column", "other": others[0]}
        case Kind.ENTITY if others:
            return {"kind": "entity", "entity": others[0]}
        case _:
            return None


@contextmanager
def registered(fault: Fault) -> Iterator[None]:
    """The catalogue with one fault more, or with another in its place, for as long as the block lasts."""
    before = registry.CATALOGUE
    if before.get(fault.code) is fault:
        yield
        return
    registry.CATALOGUE = MappingProxyType({**before, fault.code: fault})
    try:
        yield
    finally:
        registry.CATALOGUE = before
