"""The laws that every fault keeps (ENGINE.md), one function each; a law that does not speak of a fault lets it pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.ipc import ipc_bytes
from pipechaos.batch.model import Batch
from pipechaos.errors import FaultError
from pipechaos.faults.spec import Family, Fault, Phase, SchemaChangeKind, Scope
from pipechaos.inject.engine import Injected, inject
from pipechaos.inject.stream import inject_parts, merge_ledgers
from pipechaos.ledger.records import Ledger, Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import ResolvedPlan, resolve
from pipechaos.testing.naive import differing, records, same_record

__all__ = ["LAWS", "Subject", "broken_copy", "complete", "examples_hold", "refuses_other_types"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A fault on columns of a batch.

    Attributes
    ----------
    fault, columns, placement, seed
        The injection, on any rung of its ladder.
    batch
        Keys unique; no value twice in a whole row is needed beyond that.
    history, earlier
        Where scales come from, and batches that may give rows.
    """

    fault: Fault
    batch: Batch
    columns: tuple[str, ...] = ()
    placement: Mapping[str, Any] | None = None
    history: tuple[Batch, ...] = ()
    earlier: tuple[Batch, ...] = ()
    seed: int = 7

    def __str__(self) -> str:
        return f"{self.fault.code} on {', '.join(self.columns) or 'the whole batch'}"

    @property
    def rungs(self) -> int:
        """Of its ladder."""
        return len(self.fault.ladder.rungs)

    def plan(self, severity: int, batch: Batch | None = None) -> ResolvedPlan:
        """Resolved for a batch."""
        made = Injection.of(self.fault.code, self.columns, severity=severity, placement=self.placement, seed=self.seed)
        return resolve(Plan.of(made), batch or self.batch, self.history, earlier=self.earlier)

    def at(self, severity: int, batch: Batch | None = None) -> Injected:
        """The broken copy at a severity."""
        source = batch or self.batch
        return inject(self.plan(severity, source), source, {b.name: b for b in self.earlier})

    @cached_property
    def top(self) -> Injected:
        """The broken copy at the strongest dose."""
        return self.at(self.rungs)

    @cached_property
    def copies(self) -> Mapping[int, Injected]:
        """By severity: the strongest dose, and the middle one, which leaves some rows alone."""
        middle = (self.rungs + 1) // 2
        return {self.rungs: self.top} | ({middle: self.at(middle)} if middle < self.rungs else {})


Law = Callable[[Subject], None]


def _hold(holds: object, breach: object) -> None:
    if not holds:
        raise AssertionError(str(breach))


# --- of the record alone ---


def complete(fault: Fault) -> None:
    """Titles, a ladder that climbs, documented parameters; a clause for benign changes, a kernel unless a donor."""
    rungs: Sequence[Any] = fault.ladder.rungs
    single = {Family.SCHEMA, Family.TYPE, Family.TIME, Family.BENIGN, Family.CANARY}
    wanted = 1 if fault.family in single else 5
    _hold(len(rungs) == wanted, f"a ladder of family {fault.family.value} has {wanted} rungs, not {len(rungs)}")
    _hold(all(a < b for a, b in pairwise(rungs)), f"its rungs do not climb: {rungs}")
    _hold(fault.title, "it has no title")
    _hold(fault.doc.endswith("."), "its doc is no sentence: say what goes wrong in production when this happens")
    names = {p.name for p in fault.params}
    _hold(fault.ladder.moves in {"fraction", *names}, f"its ladder moves {fault.ladder.moves!r}, which is no parameter")
    _hold(all(p.doc for p in fault.params), "a parameter has no doc")
    _hold(
        (fault.clause is not None) == (fault.family is Family.BENIGN), "a clause belongs to benign faults, all of them"
    )
    _hold((fault.kernel is None) == fault.donor, "it needs a kernel, or a donor")
    for severity in range(1, 1 + len(rungs)):
        _, moved = fault.ladder.at(severity)
        fault.check_params(moved)


def examples_hold(fault: Fault) -> None:
    """Its examples are what it does."""
    _hold(fault.examples, "a fault without an example explains nothing")
    for example in fault.examples:
        types = {k: pa.type_for_alias(v) for k, v in example.types.items()}
        table = pa.table({k: pa.array(v, types.get(k)) for k, v in example.before.items()})
        source = Batch.of(table, name="example", time=example.time)
        old = [Batch.of(pa.table(dict(example.donor)), name="a", time=example.time)] if example.donor else []
        made = Injection.of(
            fault.code,
            example.columns,
            fraction=example.fraction,
            placement=example.placement or None,
            params=example.params,
        )
        result = inject(resolve(Plan.of(made), source, (), earlier=old), source, {b.name: b for b in old})
        found, wanted = result.batch.table.to_pydict(), {k: list(v) for k, v in example.after.items()}
        _hold(found == wanted, f"its example gives {found}, not {wanted}")


# --- of the fault on a batch ---


def ledger_is_what_differs(subject: Subject) -> None:
    """The ledger names exactly the cells, rows and columns that a plain comparison of the whole tables finds."""
    for result in subject.copies.values():
        _ledger_holds(subject, result)


def _ledger_holds(subject: Subject, result: Injected) -> None:
    fault, before = subject.fault, subject.batch
    ledger, after = result.ledger, result.batch.table
    _hold(ledger.status is Status.APPLIED, f"it is {ledger.status.value}: {ledger.injections[0].reason}")
    if fault.phase is Phase.CELLS:
        found = differing(before.table.to_pydict(), after.to_pydict())
        told = {c.column: c.origin.tolist() for c in ledger.cells}
        _hold(found == told, f"cells differ in {found}, and the ledger says {told}")
        _hold(found.keys() == set(subject.columns), f"it writes {sorted(found)}, not the columns it was put on")
        _hold(all(set(c.origin) <= set(c.asked.tolist()) for c in ledger.cells), "it changed cells it was not asked to")
        _hold(ledger.rows.empty and ledger.schema == (), "a fault of cells moves no row and changes no column")
    elif fault.donor:
        _hold(ledger.rows.removed.tolist() == list(range(before.rows)), "every row is another, so all are removed")
        _hold(ledger.rows.added.tolist() == list(range(result.batch.rows)), "every row comes from the donor")
    elif fault.phase is Phase.ROWS:
        _rows_are_as_told(before, after, ledger)
    else:
        _schema_is_as_told(before.table, after, ledger)


def _rows_are_as_told(source: Batch, table: pa.Table, ledger: Ledger) -> None:
    before, after = records(source.table.to_pydict()), records(table.to_pydict())

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[k] for k in source.key)

    place = {key(r): i for i, r in enumerate(before)}
    origins = [place[key(r)] for r in after]  # keys are unique, and no row fault writes a cell
    _hold(all(same_record(r, before[o]) for r, o in zip(after, origins, strict=True)), "a fault of rows wrote a cell")
    seen: set[int] = set()
    first_seen = []
    for o in origins:
        first_seen.append(o not in seen)
        seen.add(o)
    copies = [(i, o) for i, (o, new) in enumerate(zip(origins, first_seen, strict=True)) if not new]
    kept = [o for o, new in zip(origins, first_seen, strict=True) if new]
    rows = ledger.rows
    _hold(sorted(set(range(len(before))) - seen) == rows.removed.tolist(), "the ledger names other removed rows")
    _hold([i for i, _ in copies] == rows.added.tolist(), "the ledger names other added rows")
    _hold([o for _, o in copies] == rows.copied_from.tolist(), "the ledger names other originals of copied rows")
    _hold(rows.reordered == (kept != sorted(kept)), "the ledger is wrong about the order of rows")
    _hold(ledger.cells == () and ledger.schema == (), "a fault of rows writes no cell and changes no column")


def _schema_is_as_told(before: pa.Table, after: pa.Table, ledger: Ledger) -> None:
    old, new = before.to_pydict(), after.to_pydict()
    types = {f.name: str(f.type) for f in after.schema}
    expected = {f.name: str(f.type) for f in before.schema}
    for change in ledger.schema:
        match change.kind:
            case SchemaChangeKind.DROPPED:
                del expected[change.column], old[change.column]
            case SchemaChangeKind.ADDED:
                expected[change.column] = str(change.to_type)
                del new[change.column]
            case SchemaChangeKind.RENAMED:
                to = str(change.to)
                expected = {to if k == change.column else k: v for k, v in expected.items()}
                old = {to if k == change.column else k: v for k, v in old.items()}
            case SchemaChangeKind.RETYPED:
                known = expected[change.column] == change.from_type != change.to_type
                _hold(known, f"{change.column} was {expected[change.column]}, not {change.from_type}")
                expected[change.column] = str(change.to_type)
                gone, came = old.pop(change.column), new.pop(change.column)
                _hold([v is None for v in gone] == [v is None for v in came], "a retyped column has other nulls")
    _hold(list(types.items()) == list(expected.items()), f"the columns are {types}, and the ledger says {expected}")
    _hold(list(old) == list(new), "the order of columns is another than the ledger says")
    found = differing(old, new)
    _hold(not found, f"a fault of the schema wrote cells: {found}")
    _hold(ledger.cells == () and ledger.rows.empty, "a fault of the schema writes no cell and moves no row")


def replays(subject: Subject) -> None:
    """The same seed on the same data gives the same copy, and the batch itself stays what it was."""
    batch = subject.batch
    table = pa.ipc.open_stream(ipc_bytes(batch.table)).read_all()  # buffers of its own: writing into them is seen
    fresh = Batch.of(table, name=batch.name, key=batch.key, time=batch.time)
    before = ordered_digest(table)
    first, again = subject.top.batch.table, subject.at(subject.rungs, fresh).batch.table
    _hold(ordered_digest(table) == before, "it wrote into the batch itself")
    _hold(again.schema == first.schema, "a replay gave another schema")
    found = differing(first.to_pydict(), again.to_pydict()) if again.num_rows == first.num_rows else "rows"
    _hold(not found, f"a replay differs: {found}")


def shares_buffers(subject: Subject) -> None:
    """Columns that it does not touch are those of the batch, not copies."""
    fault, batch, result = subject.fault, subject.batch, subject.top
    if fault.phase is Phase.ROWS:
        return
    touched = {c.column for c in result.ledger.cells} | {
        c.column for c in result.ledger.schema if c.kind is not SchemaChangeKind.RENAMED
    }
    renamed = {c.column: str(c.to) for c in result.ledger.schema if c.kind is SchemaChangeKind.RENAMED}
    left = [c for c in batch.columns if c not in touched and renamed.get(c, c) in result.batch.columns]
    for name in left:
        mine = _addresses(result.batch.table[renamed.get(name, name)])
        _hold(mine == _addresses(batch.table[name]), f"it copied column {name!r}, which it does not touch")
    if fault.phase is Phase.CELLS:
        _hold(len(left) == len(batch.columns) - len(subject.columns), "it touches columns that it was not put on")
        _hold(result.batch.table.schema == batch.table.schema, "a fault of cells changed the schema")


def _addresses(column: pa.ChunkedArray) -> list[int | None]:
    return [b and b.address for chunk in column.chunks for b in chunk.buffers()]


def refuses_other_types(subject: Subject) -> None:
    """A column of a type that it does not take is refused with a message that says what it takes."""
    fault = subject.fault
    if fault.column_count != 1:
        return
    for field in subject.batch.table.schema:
        if fault.applies(getattr(field.type, "value_type", field.type)):
            continue
        try:
            broken_copy(subject, (field.name,))
        except FaultError as error:
            told = fault.code in str(error) and field.name in str(error) and fault.types in str(error)
            _hold(told, f"its refusal of {field.name!r} does not say what it takes: {error}")
        else:
            raise AssertionError(f"it takes column {field.name!r} of type {field.type}, though it says {fault.types}")


def broken_copy(subject: Subject, columns: tuple[str, ...], severity: int = 1) -> Injected:
    """A copy with the same fault on other columns."""
    other = Subject(
        fault=subject.fault,
        batch=subject.batch,
        columns=columns,
        placement=subject.placement,
        history=subject.history,
        earlier=subject.earlier,
        seed=subject.seed,
    )
    return other.at(severity)


def ladder_nests(subject: Subject) -> None:
    """A higher rung does more, and hits whatever a lower one hits."""
    if subject.rungs == 1:
        return
    results = [subject.at(s) for s in range(1, 1 + subject.rungs)]
    moved = [_distance(subject, r) for r in results]
    _hold(moved[0] > 0, "its mildest rung changes nothing on this batch: hand over one of several hundred rows")
    _hold(all(a < b for a, b in pairwise(moved)), f"its rungs do not do more and more: {moved}")
    for mild, strong in pairwise(results):
        _hold(_touched(mild.ledger) <= _touched(strong.ledger), "a lower rung hits what a higher one does not")
        if subject.fault.ladder.moves != "fraction":
            same = mild.ledger.cells[0].asked.tolist() == strong.ledger.cells[0].asked.tolist()
            _hold(same, "rungs that move a parameter must hit the same cells")


def _touched(ledger: Ledger) -> set[tuple[str | None, int]]:
    cells: set[tuple[str | None, int]] = {(c.column, int(i)) for c in ledger.cells for i in c.asked}
    return cells | {(None, int(i)) for i in (*ledger.rows.removed, *ledger.rows.copied_from)}


def _distance(subject: Subject, result: Injected) -> float:
    """Cells or rows that differ; how far numbers moved where the ladder moves how far."""
    ledger = result.ledger
    if subject.fault.ladder.moves == "fraction":
        return ledger.changed_cells + len(ledger.rows.removed) + len(ledger.rows.added)
    entry = ledger.cells[0]
    before = subject.batch.table[entry.column].to_pylist()
    after = result.batch.table[entry.column].to_pylist()
    return float(sum(abs(after[i] - before[i]) for i in entry.origin.tolist()))


def cutting_does_not_matter(subject: Subject) -> None:
    """Local and resolved faults give the same copy and the same ledger however the batch is cut into parts."""
    fault, batch = subject.fault, subject.batch
    if fault.scope is Scope.GLOBAL or fault.donor:
        return
    ends = [0, 1, batch.rows // 3, batch.rows // 3 + 7, batch.rows]
    tables = [batch.table.slice(a, b - a) for a, b in pairwise(sorted(min(e, batch.rows) for e in ends))]
    for severity, whole in subject.copies.items():
        parts = list(inject_parts(subject.plan(severity), tables, key=batch.key, time=batch.time))
        rows = sum(p.batch.rows for p in parts)
        _hold(rows == whole.batch.rows, f"cut into parts it gives {rows} rows, whole {whole.batch.rows}")
        joined = pa.concat_tables([p.batch.table for p in parts]) if parts[0].batch.columns else whole.batch.table
        _hold(ordered_digest(joined) == ordered_digest(whole.batch.table), "cut into parts it gives another copy")
        found, wanted = _told(merge_ledgers([p.ledger for p in parts])), _told(whole.ledger)
        _hold(found == wanted, "cut into parts it leaves another ledger")


def _told(ledger: Ledger) -> tuple[Any, ...]:
    cells = [(c.column, c.asked.tolist(), c.origin.tolist(), c.position.tolist()) for c in ledger.cells]
    rows = ledger.rows
    return cells, rows.removed.tolist(), rows.added.tolist(), rows.copied_from.tolist(), ledger.schema, ledger.status


def order_does_not_matter(subject: Subject) -> None:
    """With a key, rows meet the same fate in whatever order the source has them."""
    fault, batch = subject.fault, subject.batch
    if fault.phase is Phase.SCHEMA or fault.donor or fault.scope is Scope.GLOBAL or not batch.key:
        return
    turned = Batch.of(
        batch.table.take(pa.array(np.arange(batch.rows)[::-1])), name=batch.name, key=batch.key, time=batch.time
    )
    last = batch.rows - 1
    for severity, copy in subject.copies.items():
        one, other = copy.ledger, subject.at(severity, turned).ledger
        for mine, theirs in zip(one.cells, other.cells, strict=True):
            same = mine.origin.tolist() == sorted(last - theirs.origin)
            _hold(same, f"in another order of rows it hits other cells of {mine.column!r}")
        removed = one.rows.removed.tolist() == sorted(last - other.rows.removed)
        _hold(removed, "in another order of rows it removes other rows")
        copied = sorted(one.rows.copied_from.tolist()) == sorted((last - other.rows.copied_from).tolist())
        _hold(copied, "in another order of rows it copies other rows")


LAWS: tuple[Law, ...] = (
    ledger_is_what_differs,
    replays,
    shares_buffers,
    ladder_nests,
    cutting_does_not_matter,
    order_does_not_matter,
    refuses_other_types,
)
