"""Every fault of the catalogue keeps the promises of the engine's agreement, on one synthetic reference batch."""

import datetime as dt
import math
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.errors import FaultError
from pipechaos.faults.registry import CATALOGUE
from pipechaos.faults.spec import Family, Kind, Phase, SchemaChangeKind
from pipechaos.inject.engine import inject
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

ROWS = 900
CODES = tuple(CATALOGUE)


def with_gaps(values, rng, share):
    return [None if gap else v for v, gap in zip(values, rng.random(len(values)) < share, strict=True)]


@cache
def batch(name="2013-06-03", seed=1, rows=ROWS):
    rng = np.random.default_rng(seed)
    start = dt.datetime.fromisoformat(name).replace(tzinfo=dt.UTC)
    when = [start + dt.timedelta(minutes=int(m), microseconds=7) for m in np.sort(rng.integers(0, 1439, rows))]
    amount = np.where(rng.random(rows) < 0.05, np.nan, rng.normal(50, 20, rows).round(2)).tolist()
    codes = np.array(["AA", "Ab", "B6", "", "Zürich", "東京駅", "a longer text"])[rng.integers(0, 7, rows)].tolist()
    labels = with_gaps(np.array(["low", "mid", "high", "top"])[rng.integers(0, 4, rows)].tolist(), rng, 0.1)
    table = pa.table(
        {
            "id": pa.array([2**53 + 1 + 7 * i for i in range(rows)], pa.int64()),
            "store": pa.array([f"store {s}" for s in rng.integers(0, 250, rows)]),
            "amount": pa.array(with_gaps(amount, rng, 0.1), pa.float64()),
            "quantity": pa.array(with_gaps(rng.integers(-200, 500, rows).tolist(), rng, 0.1), pa.int64()),
            "account": pa.array(with_gaps((2**60 + rng.integers(0, 10**7, rows)).tolist(), rng, 0.1), pa.int64()),
            "weight": pa.array(rng.normal(3, 1, rows).astype(np.float32)),
            "seats": pa.array(rng.integers(100, 900, rows), pa.uint16()),
            "code": pa.array(with_gaps(codes, rng, 0.1)),
            "label": pa.array(labels).dictionary_encode(),
            "flag": pa.array(with_gaps((rng.random(rows) < 0.3).tolist(), rng, 0.1), pa.bool_()),
            "when": pa.array(when, pa.timestamp("us", tz="UTC")),
            "day": pa.array([start.date() - dt.timedelta(days=int(d)) for d in rng.integers(0, 30, rows)]),
        }
    )
    return Batch.of(table, name=name, key=["id"], time="when")


@cache
def donor():
    return batch("2013-06-02", seed=2, rows=870)


def history():
    return (batch("2013-06-01", seed=3),)


def placement(spec):
    return {
        Kind.OTHER_COLUMN: {"kind": "other_column", "other": "seats"},
        Kind.ENTITY: {"kind": "entity", "entity": "store"},
    }.get(spec.placements[0])


def columns_of(code):
    """Columns of the reference batch that a fault takes; one empty tuple for faults of rows or whole tables."""
    spec = CATALOGUE[code]
    if not spec.column_count:
        return [()]
    kinds = {f.name: getattr(f.type, "value_type", f.type) for f in batch().table.schema}
    return [(name,) for name, kind in kinds.items() if spec.applies(kind)]


def injection(code, columns, severity):
    return Injection.of(code, columns, severity=severity, placement=placement(CATALOGUE[code]), seed=7)


def run(code, columns, severity, source=None):
    source = source or batch()
    plan = resolve(Plan.of(injection(code, columns, severity)), source, history(), earlier=[donor()])
    return inject(plan, source, {donor().name: donor()})


@cache
def top(code, columns):
    return run(code, columns, len(CATALOGUE[code].ladder.rungs))


CASES = [(code, columns) for code in CODES for columns in columns_of(code)]
LADDERS = [(code, columns) for code, columns in CASES if len(CATALOGUE[code].ladder.rungs) > 1]


def name(value):
    return value if isinstance(value, str) else "+".join(value) or "table"


# --- the naive comparison: Python values only, nothing of the package ---


def same(a, b):
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return a == b and (a is None) == (b is None) and type(a) is type(b)


def differing(before, after):
    """Positions of every cell that differs, by column, over the whole tables."""
    found = {}
    for column in before:
        rows = [i for i, (a, b) in enumerate(zip(before[column], after[column], strict=True)) if not same(a, b)]
        if rows:
            found[column] = rows
    return found


def records(table):
    columns = table.to_pydict()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def same_record(a, b):
    return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)


# --- contract ---


@pytest.mark.parametrize("code", CODES)
def test_examples_hold(code):
    spec = CATALOGUE[code]
    assert spec.examples, "a fault without an example explains nothing"
    for example in spec.examples:
        types = {k: pa.type_for_alias(v) for k, v in example.types.items()}
        table = pa.table({k: pa.array(v, types.get(k)) for k, v in example.before.items()})
        source = Batch.of(table, name="example", time=example.time)
        old = [Batch.of(pa.table(dict(example.donor)), name="a", time=example.time)] if example.donor else []
        made = Injection.of(
            code,
            example.columns,
            fraction=example.fraction,
            placement=example.placement or None,
            params=example.params,
        )
        frozen = resolve(Plan.of(made), source, (), earlier=old)
        result = inject(frozen, source, {b.name: b for b in old})
        assert result.batch.table.to_pydict() == {k: list(v) for k, v in example.after.items()}


@pytest.mark.parametrize(("code", "columns"), CASES, ids=name)
def test_the_ledger_is_exactly_what_differs(code, columns):
    result = top(code, columns)
    ledger, after = result.ledger, result.batch.table
    assert ledger.status is Status.APPLIED, ledger.injections
    before = batch().table
    if CATALOGUE[code].phase is Phase.CELLS:
        found = differing(before.to_pydict(), after.to_pydict())
        assert found == {c.column: c.origin.tolist() for c in ledger.cells}
        assert found.keys() == set(columns)
        assert all(set(c.origin) <= set(c.asked.tolist()) for c in ledger.cells)
        assert ledger.rows.empty
        assert ledger.schema == ()
    elif CATALOGUE[code].donor:
        assert ledger.rows.removed.tolist() == list(range(ROWS))
        assert ledger.rows.added.tolist() == list(range(donor().rows))
    elif CATALOGUE[code].phase is Phase.ROWS:
        assert_rows_as_told(records(before), records(after), ledger)
    else:
        assert_schema_as_told(before, after, ledger)


def assert_rows_as_told(before, after, ledger):
    place = {r["id"]: i for i, r in enumerate(before)}
    origins = [place[r["id"]] for r in after]  # no row fault writes a cell, and ids are unique
    assert all(same_record(r, before[o]) for r, o in zip(after, origins, strict=True))
    first_seen = [o not in origins[:i] for i, o in enumerate(origins)]
    assert sorted(set(range(ROWS)) - set(origins)) == ledger.rows.removed.tolist()
    assert [i for i, new in enumerate(first_seen) if not new] == ledger.rows.added.tolist()
    assert [o for o, new in zip(origins, first_seen, strict=True) if not new] == ledger.rows.copied_from.tolist()
    kept = [o for o, new in zip(origins, first_seen, strict=True) if new]
    assert ledger.rows.reordered == (kept != sorted(kept))
    assert ledger.cells == ()
    assert ledger.schema == ()


def assert_schema_as_told(before, after, ledger):
    old, new = before.to_pydict(), after.to_pydict()
    types = {f.name: str(f.type) for f in after.schema}
    expected = {f.name: str(f.type) for f in before.schema}
    for change in ledger.schema:
        match change.kind:
            case SchemaChangeKind.DROPPED:
                del expected[change.column], old[change.column]
            case SchemaChangeKind.ADDED:
                expected[change.column] = change.to_type
                del new[change.column]
            case SchemaChangeKind.RENAMED:
                expected = {change.to if k == change.column else k: v for k, v in expected.items()}
                old = {change.to if k == change.column else k: v for k, v in old.items()}
            case SchemaChangeKind.RETYPED:
                assert expected[change.column] == change.from_type != change.to_type
                expected[change.column] = change.to_type
                gone, came = old.pop(change.column), new.pop(change.column)
                assert [v is None for v in gone] == [v is None for v in came]
    assert list(types.items()) == list(expected.items())
    assert list(old) == list(new)
    assert differing(old, new) == {}
    assert ledger.cells == ()
    assert ledger.rows.empty


@pytest.mark.parametrize(("code", "columns"), CASES, ids=name)
def test_replay_is_identical_and_the_original_stays(code, columns):
    fresh = Batch.of(batch.__wrapped__().table, name=batch().name, key=["id"], time="when")
    first, again = top(code, columns), run(code, columns, len(CATALOGUE[code].ladder.rungs), fresh)
    assert (
        again.batch.table.equals(first.batch.table)
        or differing(first.batch.table.to_pydict(), again.batch.table.to_pydict()) == {}
    )  # Arrow says that NaN differs from NaN
    assert again.batch.table.schema == first.batch.table.schema
    assert ordered_digest(fresh.table) == ordered_digest(batch.__wrapped__().table)


@pytest.mark.parametrize(("code", "columns"), [c for c in CASES if CATALOGUE[c[0]].phase is not Phase.ROWS], ids=name)
def test_untouched_columns_share_their_buffers(code, columns):
    result = top(code, columns)
    touched = {c.column for c in result.ledger.cells} | {
        c.column for c in result.ledger.schema if c.kind is not SchemaChangeKind.RENAMED
    }
    left = [c for c in result.batch.columns if c in batch().columns and c not in touched]
    for column in left:
        assert addresses(result.batch.table[column]) == addresses(batch().table[column])
    if code == "schema.rename_column":
        assert addresses(result.batch.table[f"{columns[0]}_new"]) == addresses(batch().table[columns[0]])
    if CATALOGUE[code].phase is Phase.CELLS:
        assert len(left) == len(batch().columns) - 1
        assert result.batch.table.schema == batch().table.schema


def addresses(column):
    return [b and b.address for chunk in column.chunks for b in chunk.buffers()]


@pytest.mark.parametrize(
    "code", [c for c in CODES if len(columns_of(c)) < len(batch().columns) and CATALOGUE[c].column_count]
)
def test_other_types_are_refused_with_a_message(code):
    spec = CATALOGUE[code]
    others = set(batch().columns) - {c for (c,) in columns_of(code)}
    for column in others:
        with pytest.raises(FaultError, match=rf"{code}.*does not apply to column '{column}'.*{spec.types}"):
            run(code, (column,), 1)


@pytest.mark.parametrize(("code", "columns"), LADDERS, ids=name)
def test_distance_grows_along_the_ladder_and_hits_nest(code, columns):
    results = [run(code, columns, s) for s in range(1, 1 + len(CATALOGUE[code].ladder.rungs))]
    distances = [distance(code, r) for r in results]
    assert distances[0] > 0
    assert all(a < b for a, b in pairwise(distances)), distances
    for mild, strong in pairwise(results):
        assert touched(mild.ledger) <= touched(strong.ledger)
        if CATALOGUE[code].ladder.moves != "fraction":
            assert mild.ledger.cells[0].asked.tolist() == strong.ledger.cells[0].asked.tolist()


def touched(ledger):
    cells = {(c.column, int(i)) for c in ledger.cells for i in c.asked}
    return cells | {(None, int(i)) for i in (*ledger.rows.removed, *ledger.rows.copied_from)}


def distance(code, result):
    """Cells or rows that differ; how far numbers moved where the ladder moves how far."""
    ledger = result.ledger
    if CATALOGUE[code].ladder.moves == "fraction":
        return ledger.changed_cells + len(ledger.rows.removed) + len(ledger.rows.added)
    (entry,) = ledger.cells
    before, after = batch().table[entry.column].to_pylist(), result.batch.table[entry.column].to_pylist()
    return sum(abs(after[i] - before[i]) for i in entry.origin.tolist())


@pytest.mark.parametrize("column", ["id", "amount", "quantity", "code", "label", "flag", "when"])
def test_no_two_codes_do_the_same(column):
    seen = {ordered_digest(batch().table): "untouched"}
    for code in CODES:
        columns = (column,) if CATALOGUE[code].column_count else ()
        if columns not in columns_of(code) or code == "benign.reencode":  # digests do not see encodings
            continue
        mine = set()
        for severity in range(1, 1 + len(CATALOGUE[code].ladder.rungs)):
            digest = ordered_digest(run(code, columns, severity).batch.table)
            assert digest not in seen, f"{code} at {severity} does what {seen[digest]} does"
            mine.add(digest)
        assert len(mine) == len(CATALOGUE[code].ladder.rungs)
        seen |= dict.fromkeys(mine, code)


def test_benign_changes_keep_every_value():
    encoded = top("benign.reencode", ()).batch
    assert ordered_digest(encoded.table) == ordered_digest(batch().table)
    assert encoded.table.schema.field("label").type == pa.string()
    assert encoded.table.schema.field("code").type == pa.dictionary(pa.int32(), pa.string())
    ordered = top("benign.row_order", ()).batch
    assert sorted(ordered.table["id"].to_pylist()) == batch().table["id"].to_pylist()


@pytest.mark.parametrize("code", CODES)
def test_every_entry_is_complete(code):
    spec = CATALOGUE[code]
    rungs = spec.ladder.rungs
    single = {Family.SCHEMA, Family.TYPE, Family.TIME, Family.BENIGN, Family.CANARY}
    assert len(rungs) == (1 if spec.family in single else 5)
    assert all(a < b for a, b in pairwise(rungs))
    assert spec.title
    assert spec.doc.endswith(".")
    assert spec.ladder.moves == "fraction" or spec.ladder.moves in {p.name for p in spec.params}
    assert all(p.doc for p in spec.params)
    assert (spec.clause is not None) == (spec.family is Family.BENIGN)
    assert (spec.kernel is None) == spec.donor
    for severity in range(1, 1 + len(rungs)):
        _, moved = spec.ladder.at(severity)
        spec.check_params(moved)
