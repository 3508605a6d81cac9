"""Every fault of the catalogue keeps the promises of the engine's agreement, on one synthetic reference batch."""

import datetime as dt
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.faults.registry import CATALOGUE
from pipechaos.faults.spec import Kind
from pipechaos.inject.engine import inject
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve
from pipechaos.testing.fault_laws import LAWS, Subject, complete, examples_hold, refuses_other_types

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


CASES = [(code, columns) for code in CODES for columns in columns_of(code)]


def name(value):
    return value if isinstance(value, str) else "+".join(value) or "table"


# --- contract: the laws that check_fault holds a team's own faults to ---


@cache
def subject(code, columns):
    return Subject(
        fault=CATALOGUE[code],
        batch=batch(),
        columns=columns,
        placement=placement(CATALOGUE[code]),
        history=history(),
        earlier=(donor(),),
    )


@pytest.mark.parametrize("code", CODES)
def test_examples_hold(code):
    examples_hold(CATALOGUE[code])


@pytest.mark.parametrize("code", CODES)
def test_every_entry_is_complete(code):
    complete(CATALOGUE[code])


@pytest.mark.parametrize(("code", "columns"), CASES, ids=name)
@pytest.mark.parametrize("law", [law for law in LAWS if law is not refuses_other_types], ids=lambda law: law.__name__)
def test_every_fault_keeps_every_law(law, code, columns):
    law(subject(code, columns))


@pytest.mark.parametrize(
    "code", [c for c in CODES if len(columns_of(c)) < len(batch().columns) and CATALOGUE[c].column_count]
)
def test_other_types_are_refused_with_a_message(code):
    refuses_other_types(subject(code, columns_of(code)[0]))


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
    encoded = run("benign.reencode", (), 1).batch
    assert ordered_digest(encoded.table) == ordered_digest(batch().table)
    assert encoded.table.schema.field("label").type == pa.string()
    assert encoded.table.schema.field("code").type == pa.dictionary(pa.int32(), pa.string())
    ordered = run("benign.row_order", (), 1).batch
    assert sorted(ordered.table["id"].to_pylist()) == batch().table["id"].to_pylist()
