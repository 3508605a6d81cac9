"""The engine's laws: chunking, order, nesting, composition, placements, ledgers. Oracles use none of its code."""

import hashlib
import json
import math
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.errors import BatchError, PlanError
from pipechaos.faults.registry import CATALOGUE
from pipechaos.faults.spec import Kind, Phase, Scope
from pipechaos.inject.engine import inject
from pipechaos.inject.stream import inject_parts, merge_ledgers
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

relaxed = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
BIG = 2**53 + 1
COLUMNS = {
    "id": (pa.int64(), st.integers(BIG, BIG + 60)),
    "group": (pa.string(), st.sampled_from("abcde") | st.none()),
    "x": (pa.float64(), st.floats(-1e6, 1e6) | st.just(math.nan) | st.none()),
    "n": (pa.int64(), st.integers(BIG, 2**62) | st.none()),
    "s": (pa.string(), st.text("abcß東", max_size=5) | st.none()),
    "c": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["low", "mid", "high", ""]) | st.none()),
    "at": (pa.timestamp("us"), st.integers(-(2**40), 2**40)),
}
LOCAL = [f for f in CATALOGUE.values() if f.scope is not Scope.GLOBAL and not f.donor]


@st.composite
def tables(draw, min_rows=0, max_rows=40, unique=False):
    rows = draw(st.integers(min_rows, max_rows))
    out = {}
    for name, (kind, values) in COLUMNS.items():
        drawn = draw(st.lists(values, min_size=rows, max_size=rows))
        if name == "id" and unique:
            drawn = draw(st.permutations(range(BIG, BIG + rows)))
        out[name] = pa.array(drawn, kind)
    return pa.table(out)


@st.composite
def cuts(draw, table):
    """The table in parts: any number, empty ones among them."""
    at = sorted(draw(st.lists(st.integers(0, table.num_rows), max_size=5)))
    return [table.slice(a, b - a) for a, b in pairwise([0, *at, table.num_rows])]


@st.composite
def placements(draw, spec):
    kind = draw(st.sampled_from(spec.placements))
    side, q = draw(st.sampled_from(["high", "low"])), draw(st.sampled_from(["0.1", "0.5", "0.9", "1"]))
    return {
        Kind.RANDOM: {},
        Kind.OWN_VALUE: {"kind": "own_value", "side": side, "quantile": q},
        Kind.OTHER_COLUMN: {"kind": "other_column", "other": draw(st.sampled_from(["x", "n", "s", "at"])), "side": side}
        | {"quantile": q},
        Kind.BLOCK: {"kind": "block", "block": draw(st.integers(1, 9))},
        Kind.BURST: {"kind": "burst", "block": draw(st.sampled_from([1, 3_600_000_000, 2**38]))},
        Kind.ENTITY: {"kind": "entity", "entity": draw(st.sampled_from([["group"], ["group", "c"]]))},
    }[kind]


@st.composite
def injections(draw, faults=LOCAL, columns=("x", "n", "s", "c", "id", "group"), **fixed):
    spec = draw(st.sampled_from(faults))
    fitting = [c for c in columns if spec.applies(getattr(COLUMNS[c][0], "value_type", COLUMNS[c][0]))]
    column = (draw(st.sampled_from(fitting)),) if spec.column_count else ()
    dose = draw(st.one_of(st.none(), st.sampled_from([0.0, 0.05, 0.5, 1.0])))
    given = {"fraction": dose, "seed": draw(st.integers(0, 3)), "placement": draw(placements(spec)) or None}
    if spec.placements[0] is not Kind.RANDOM and given["placement"] is None:
        given["placement"] = spec.placements[0].value
    return Injection.of(spec.code, column, **(given | fixed))


def batch(table, key=(), name="2013-06-03"):
    return Batch.of(table, name=name, key=key, time="at" if "at" in table.column_names else None)


def run(source, *made, **more):
    return inject(resolve(Plan.of(*made), source), source, **more)


def numbers(array):
    return np.asarray(array).tolist()


def plain_ledger(ledger):
    """A ledger as plain values."""
    return {
        "injections": ledger.injections,
        "cells": [
            (c.column, numbers(c.asked), numbers(c.origin), numbers(c.position), c.injections, str(c.before))
            for c in ledger.cells
        ],
        "rows": (
            numbers(ledger.rows.removed),
            numbers(ledger.rows.added),
            numbers(ledger.rows.copied_from),
            ledger.rows.reordered,
        ),
        "schema": ledger.schema,
        "counts": (ledger.rows_before, ledger.rows_after),
        "status": ledger.status,
    }


def hits(result, column="x"):
    return set(numbers(result.ledger.by_column[column].asked)) if column in result.ledger.by_column else set()


def same(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


# --- chunking and order ---------------------------------------------------------------------------------------------


@relaxed
@given(st.data(), st.booleans())
def test_any_cutting_into_parts_gives_the_same_rows_and_the_same_ledger(data, keyed):
    table = data.draw(tables(unique=True))
    key = ("id",) if keyed else ()
    source = batch(table, key)
    plan = resolve(Plan.of(data.draw(injections())), source)
    whole = inject(plan, source, before_values=True)
    parts = list(inject_parts(plan, data.draw(cuts(table)), key=key, time="at", before_values=True))
    schema = whole.batch.table.schema
    assert {p.batch.table.schema.remove_metadata() for p in parts} == {schema.remove_metadata()}
    joined = pa.concat_tables([p.batch.table for p in parts])
    if schema.names:
        assert ordered_digest(joined) == ordered_digest(whole.batch.table)
    assert plain_ledger(merge_ledgers([p.ledger for p in parts])) == plain_ledger(whole.ledger)


CELL_FAULTS = [f for f in LOCAL if f.phase is Phase.CELLS]
ROW_FAULTS = [f for f in LOCAL if f.phase is Phase.ROWS]


@st.composite
def plans(draw):
    """Several injections, phases in order."""
    cells = draw(st.lists(injections(CELL_FAULTS), min_size=1, max_size=3))
    rows = draw(st.lists(injections(ROW_FAULTS), max_size=2))
    return Plan.of(*cells, *rows)


@relaxed
@given(st.data(), plans())
def test_plans_of_several_faults_do_not_mind_cutting_either(data, plan):
    table = data.draw(tables())
    source = batch(table)
    resolved = resolve(plan, source)
    whole = inject(resolved, source, before_values=True)
    parts = list(inject_parts(resolved, data.draw(cuts(table)), time="at", before_values=True))
    joined = pa.concat_tables([p.batch.table for p in parts])
    assert ordered_digest(joined) == ordered_digest(whole.batch.table)
    assert plain_ledger(merge_ledgers([p.ledger for p in parts])) == plain_ledger(whole.ledger)


@relaxed
@given(st.data())
def test_any_order_of_rows_gives_the_same_rows(data):
    made = data.draw(injections(CELL_FAULTS + ROW_FAULTS))
    if made.placement.kind is Kind.BLOCK:  # blocks are about row numbers
        return
    table = data.draw(tables(unique=True, min_rows=1))
    order = data.draw(st.permutations(range(table.num_rows)))
    plan = resolve(Plan.of(made), batch(table, ["id"]))
    one, other = (inject(plan, batch(t, ["id"])).batch.table for t in (table, table.take(pa.array(order))))
    rows = [sorted(map(repr, t.to_pylist())) for t in (one, other)]
    assert rows[0] == rows[1]


@relaxed
@given(st.data())
def test_how_the_source_is_laid_out_does_not_matter(data):
    table = data.draw(tables())
    made = data.draw(injections())
    padded = pa.concat_tables([table.slice(0, 1), table, table.slice(0, 2)]).combine_chunks()
    offset = padded.slice(min(1, table.num_rows), table.num_rows)
    chunked = pa.concat_tables(data.draw(cuts(table)))
    results = [run(batch(t), made) for t in (table, offset, chunked)]
    assert len({ordered_digest(r.batch.table) for r in results}) == 1
    assert plain_ledger(results[1].ledger) == plain_ledger(results[0].ledger) == plain_ledger(results[2].ledger)


# --- one fault against the source -----------------------------------------------------------------------------------


@relaxed
@given(st.data(), st.booleans())
def test_the_ledger_names_exactly_the_cells_that_differ(data, keyed):
    table = data.draw(tables(unique=keyed))
    source = batch(table, ["id"] if keyed else ())
    made = data.draw(injections(CELL_FAULTS))
    result = run(source, made, before_values=True)
    after = result.batch.table
    assert after.schema.types == table.schema.types
    (column,) = made.columns
    old, new = table[column].to_pylist(), after[column].to_pylist()
    differ = [i for i in range(len(old)) if not same(old[i], new[i])]
    entry = result.ledger.by_column.get(column)
    found = [] if entry is None else numbers(entry.origin)
    assert found == differ
    if entry is not None:
        assert set(found) <= set(numbers(entry.asked))
        assert numbers(entry.position) == found
        assert all(same(a, old[i]) for a, i in zip(entry.before.to_pylist(), differ, strict=True))
    assert result.ledger.changed_cells == len(differ) == result.ledger.injections[0].changed
    assert (result.ledger.status is Status.APPLIED) == bool(differ)
    for other in set(table.column_names) - {column}:
        assert after[other].equals(table[other]) or other == "x"  # NaN is not equal to itself there


def addresses(column):
    return [b.address for chunk in column.chunks for b in chunk.buffers() if b is not None]


@relaxed
@given(st.data())
def test_untouched_columns_share_their_buffers_and_the_source_is_never_changed(data):
    table = data.draw(tables(min_rows=1))
    source = batch(table)
    before = ordered_digest(table)
    made = data.draw(injections(CELL_FAULTS))
    after = run(source, made).batch.table
    for name in set(table.column_names) - set(made.columns):
        assert addresses(after[name]) == addresses(table[name])
    assert ordered_digest(table) == before
    assert source.table is table


@relaxed
@given(st.data())
def test_a_fault_that_changes_nothing_hands_over_the_source_itself(data):
    table = data.draw(tables())
    made = data.draw(injections(CELL_FAULTS, fraction=0.0))
    result = run(batch(table), made)
    assert result.batch.table.equals(table) or table["x"].null_count < len(table["x"])
    assert all(addresses(result.batch.table[n]) == addresses(table[n]) for n in table.column_names)
    assert result.ledger.status in (Status.NO_EFFECT, Status.NOT_APPLICABLE)
    assert result.ledger.changed_cells == 0


@relaxed
@given(st.data())
def test_fraction_one_hits_every_eligible_cell_and_no_null(data):
    table = data.draw(tables(min_rows=1))
    made = data.draw(injections([f for f in CELL_FAULTS if Kind.RANDOM in f.placements], fraction=1.0, placement=None))
    result = run(batch(table), made)
    (column,) = made.columns
    values = table[column].to_pylist()
    has = {i for i, v in enumerate(values) if v is not None and not same(v, math.nan)}
    if result.ledger.injections[0].status is not Status.NOT_APPLICABLE:
        assert hits(result, column) == has
        assert result.ledger.injections[0].eligible == len(has)


@pytest.mark.parametrize("code", [f.code for f in CELL_FAULTS])
@pytest.mark.parametrize("rows", [0, 5])
def test_no_value_is_not_applicable(code, rows):
    spec = CATALOGUE[code]
    kind = next(k for k in (pa.float64(), pa.string()) if spec.applies(k))
    source = batch(pa.table({"v": pa.nulls(rows, kind), "o": pa.array(range(rows), pa.int64())}))
    place = {"kind": "other_column", "other": "o"} if spec.placements[0] is Kind.OTHER_COLUMN else None
    result = run(source, Injection.of(code, "v", fraction=1, placement=place))
    record = result.ledger.injections[0]
    assert (record.status, record.eligible, record.asked, record.dose) == (Status.NOT_APPLICABLE, 0, 0, None)
    assert record.reason
    assert result.batch.table.equals(source.table)


def test_what_a_dictionary_hides_is_no_value():
    values = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", None, "b"]))
    result = run(batch(pa.table({"v": values})), Injection.of("text.typo", "v", fraction=1))
    assert result.ledger.injections[0].eligible == 2
    assert [v is None for v in result.batch.table["v"].to_pylist()] == [False, True, False, True]
    numbers = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array([1.5, math.nan]))
    result = run(batch(pa.table({"v": numbers})), Injection.of("value.sign", "v", fraction=1))
    assert result.ledger.injections[0].eligible == 2


def test_ids_above_two_to_the_53_survive():
    ids = [BIG, BIG + 2, 2**62 + 1, None]
    source = batch(pa.table({"id": pa.array(ids, pa.int64()), "x": [1.0] * 4}))
    half = run(source, Injection.of("null.mcar", "id", fraction=0.5, seed=1))
    left = [v for v in half.batch.table["id"].to_pylist() if v is not None]
    assert set(left) < set(ids)
    assert half.batch.table.schema.field("id").type == pa.int64()
    flipped = run(source, Injection.of("value.sign", "id", fraction=1))
    assert flipped.batch.table["id"].to_pylist() == [-BIG, -BIG - 2, -(2**62) - 1, None]


def test_a_column_that_may_hold_no_null_may_afterwards_in_every_part():
    schema = pa.schema([pa.field("x", pa.int64(), nullable=False), pa.field("y", pa.int64(), nullable=False)])
    table = pa.table({"x": [1, 2, 3, 4], "y": [1, 2, 3, 4]}, schema=schema)
    plan = resolve(Plan.of(Injection.of("null.mnar", "x", fraction=1)), batch(table))  # 4 alone is at risk
    parts = [p.batch.table for p in inject_parts(plan, [table.slice(0, 2), table.slice(2)])]
    for after in (*parts, inject(plan, batch(table)).batch.table):
        assert [f.nullable for f in after.schema] == [True, False]
        after.validate(full=True)


def test_a_kernel_that_raises_leaves_everything_as_it_was(monkeypatch):
    source = batch(pa.table({"x": [1.0, 2.0], "y": ["a", "b"]}))

    def broken(given):
        raise KeyError("a bug")

    monkeypatch.setattr(CATALOGUE["value.sign"].__class__, "change_cells", lambda self, given: broken(given))
    result = run(source, Injection.of("value.sign", "x", fraction=1))
    assert result.ledger.status is Status.FAILED
    assert result.ledger.injections[0].reason == "KeyError: 'a bug'"
    assert result.batch.table is source.table


@pytest.mark.parametrize(
    "wrong", [lambda v: v.slice(1), lambda v: v.cast(pa.string()), lambda v: pa.concat_arrays([v, v])]
)
def test_a_kernel_that_gives_something_else_is_found_out(monkeypatch, wrong):
    monkeypatch.setattr(CATALOGUE["value.sign"].__class__, "change_cells", lambda self, given: wrong(given.values))
    source = batch(pa.table({"x": [1.0, 2.0]}))
    result = run(source, Injection.of("value.sign", "x", fraction=1))
    assert result.ledger.status is Status.FAILED
    assert result.batch.table is source.table


def test_a_dictionary_without_room_fails_and_leaves_the_column():
    words = [f"w{i:03}" for i in range(100)]
    source = batch(pa.table({"c": pa.array(words).cast(pa.dictionary(pa.int8(), pa.string()))}))
    typo = [Injection.of("text.typo", "c", fraction=0.2, seed=seed, exact=True) for seed in (1, 2)]
    result = run(source, *typo)  # 100 + 20 fit into 127, 20 more do not
    assert [r.status for r in result.ledger.injections] == [Status.APPLIED, Status.FAILED]
    alone = run(source, typo[0])
    assert ordered_digest(result.batch.table) == ordered_digest(alone.batch.table)


def test_two_schema_faults_that_cannot_both_be():
    source = batch(pa.table({"x": [1], "y": [2]}))
    result = run(source, Injection.of("schema.drop_column", "x"), Injection.of("schema.drop_column", "x"))
    assert [r.status for r in result.ledger.injections] == [Status.APPLIED, Status.FAILED]
    assert result.batch.columns == ("y",)


# --- doses ----------------------------------------------------------------------------------------------------------

DOSES = st.lists(st.sampled_from([0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 0.999, 1]), min_size=2, max_size=4)


@relaxed
@given(st.data(), DOSES, st.booleans())
def test_ladders_nest(data, doses, exact):
    table = data.draw(tables(min_rows=1))
    spec = data.draw(st.sampled_from([f for f in CELL_FAULTS if f.applies(pa.float64())]))
    place = data.draw(placements(spec))
    if not place and Kind.RANDOM not in spec.placements:
        place = spec.placements[0].value
    sets = [
        hits(run(batch(table), Injection.of(spec.code, "x", fraction=d, placement=place or None, exact=exact)))
        for d in sorted(doses)
    ]
    assert all(a <= b for a, b in pairwise(sets))


def test_rows_dropped_at_a_smaller_fraction_are_dropped_at_a_larger_one():
    source = batch(pa.table({"x": list(range(500))}))
    gone = [set(run(source, Injection.of("rows.drop", severity=s)).ledger.rows.removed.tolist()) for s in range(1, 6)]
    assert all(a < b for a, b in pairwise(gone))


@relaxed
@given(st.integers(0, 60), st.integers(0, 1000))
def test_an_exact_count_is_half_up(rows, thousandths):
    values = [None if i % 3 == 0 else float(i) for i in range(rows)]
    source = batch(pa.table({"x": pa.array(values, pa.float64())}))
    eligible = sum(v is not None for v in values)
    result = run(source, Injection.of("null.mcar", "x", fraction=thousandths / 1000, exact=True))
    expected = math.floor(Fraction(thousandths, 1000) * eligible + Fraction(1, 2))
    assert len(hits(result)) == expected


def test_the_golden_rule_of_exact_counts():
    source = batch(pa.table({"x": [1.0] * 10}))
    counts = {f: len(hits(run(source, Injection.of("null.mcar", "x", fraction=f, exact=True)))) for f in _ROUNDED}
    assert counts == _ROUNDED


_ROUNDED = {0: 0, 0.04: 0, 0.05: 1, 0.149: 1, 0.15: 2, 0.25: 3, 0.5: 5, 0.95: 10, 1: 10}


# --- an oracle for hits ---------------------------------------------------------------------------------------------


def le8(n):
    return (n % 2**64).to_bytes(8, "little")


def oracle(rows, fraction, fault, column, placement, seed=0, name="2013-06-03"):
    """XX-lane8 by the book."""
    fields = ["pipechaos/1", seed, name, 0, fault, 1, column, placement]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    k = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    s1 = xxhash.xxh64_intdigest(le8(k), 42)
    s2 = xxhash.xxh64_intdigest(le8(k ^ 0xA5A5A5A5A5A5A5A5), 42)
    t = math.floor(Fraction(Decimal(str(fraction))) * 2**64)
    out = []
    for row in rows:
        lane = xxhash.xxh64_intdigest(le8(row >> 3), s1) >> (8 * (row & 7)) & 255
        tie = lane == t >> 56 and xxhash.xxh64_intdigest(le8(row), s2) < (t << 8) % 2**64
        out.append(lane < t >> 56 or tie)
    return out


def id_of(*values):
    h = 42
    for value in values:
        h = xxhash.xxh64_intdigest(le8(0 if value is None else 1), h)
        if value is not None:
            h = xxhash.xxh64_intdigest(value.encode() if isinstance(value, str) else le8(value), h)
    return h


@relaxed
@given(tables(), st.sampled_from([0.02, 0.3, 0.77]), st.booleans())
def test_at_random(table, fraction, keyed):
    result = run(batch(table, ["id", "group"] if keyed else ()), Injection.of("null.mcar", "s", fraction=fraction))
    rows = range(table.num_rows)
    if keyed:
        rows = [id_of(a, b) for a, b in zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True)]
    chosen = oracle(rows, fraction, "null.mcar", "s", {})
    values = table["s"].to_pylist()
    assert hits(result, "s") == {i for i, hit in enumerate(chosen) if hit and values[i] is not None}


QUANTILES = st.sampled_from(["0.01", "0.25", "0.5", "0.8", "0.99", "1"])


@relaxed
@given(tables(), QUANTILES, st.sampled_from(["high", "low"]), st.booleans(), st.sampled_from(["x", "n", "s", "at"]))
def test_by_value(table, q, side, own, by):
    column = by if own else "c"
    if own and by == "at":
        column = by = "x"
    place = {"kind": "own_value"} if own else {"kind": "other_column", "other": by}
    place |= {"side": side, "quantile": q}
    made = Injection.of("missing.sentinel", column, fraction=0.5, placement=place)
    result = run(batch(table), made)
    values = table[by].to_pylist()
    known = sorted(v for v in values if v is not None and not same(v, math.nan))
    at_risk = set()
    if known:
        cut = known[math.ceil(Fraction(q) * len(known)) - 1]
        beyond = (lambda v: v >= cut) if side == "high" else (lambda v: v <= cut)
        at_risk = {i for i, v in enumerate(values) if v is not None and not same(v, math.nan) and beyond(v)}
    own_values = table[column].to_pylist()
    eligible = {i for i in at_risk if own_values[i] is not None and not same(own_values[i], math.nan)}
    canonical = {"kind": place["kind"], **({} if own else {"other": by}), "quantile": q, "side": side}
    chosen = oracle(range(table.num_rows), 0.5, "missing.sentinel", column, canonical)
    assert hits(result, column) == {i for i in eligible if chosen[i]}
    assert result.ledger.injections[0].eligible == len(eligible)


@relaxed
@given(st.data(), st.integers(1, 9), st.sampled_from([0.2, 0.6]))
def test_blocks_of_rows_share_their_fate(data, length, fraction):
    table = data.draw(tables(max_rows=60))
    result = run(
        batch(table), Injection.of("rows.drop", fraction=fraction, placement={"kind": "block", "block": length})
    )
    chosen = oracle(
        [i // length for i in range(table.num_rows)], fraction, "rows.drop", None, {"block": length, "kind": "block"}
    )
    assert numbers(result.ledger.rows.removed) == [i for i, hit in enumerate(chosen) if hit]


@relaxed
@given(st.data(), st.sampled_from(["s", "ms", "us", "ns"]), st.sampled_from([0.2, 0.6]))
def test_bursts_in_time_share_their_fate(data, unit, fraction):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    stamps = data.draw(st.lists(st.none() | st.integers(-100 * per_second, 100 * per_second), max_size=50))
    table = pa.table({"at": pa.array(stamps, pa.timestamp(unit)), "x": [1.0] * len(stamps)})
    place = {"kind": "burst", "block": 7_000_000}
    result = run(batch(table), Injection.of("null.mcar", "x", fraction=fraction, placement=place))
    micros = [None if s is None else math.floor(Fraction(s * 10**6, per_second)) for s in stamps]
    known = [i for i, m in enumerate(micros) if m is not None]
    chosen = oracle(
        [micros[i] // 7_000_000 % 2**64 for i in known],
        fraction,
        "null.mcar",
        "x",
        {"block": 7_000_000, "kind": "burst"},
    )
    assert hits(result) == {i for i, hit in zip(known, chosen, strict=True) if hit}


def test_blocks_run_over_the_borders_of_parts():
    table = pa.table({"x": list(range(200))})
    made = Injection.of("null.mcar", "x", fraction=0.5, placement={"kind": "block", "block": 8})
    plan = resolve(Plan.of(made), batch(table))
    whole = hits(inject(plan, batch(table)))
    for size in (1, 5, 8, 13):
        parts = [p.ledger for p in inject_parts(plan, [table.slice(i, size) for i in range(0, 200, size)])]
        assert set(numbers(merge_ledgers(parts).by_column["x"].asked)) == whole
    assert all({8 * (i // 8) + j for j in range(8)} <= whole for i in whole)
    assert 0 < len(whole) < 200


def test_why_nothing_happened_is_told_of_the_whole_and_not_of_its_first_part():
    table = pa.table({"x": [-999] * 40})
    plan = resolve(Plan.of(Injection.of("missing.sentinel", "x", fraction=0.2)), batch(table))
    whole = inject(plan, batch(table)).ledger
    first = min(numbers(whole.by_column["x"].asked))
    assert first > 0
    parts = [p.ledger for p in inject_parts(plan, [table.slice(0, first), table.slice(first)])]
    assert parts[0].injections[0].reason != parts[1].injections[0].reason
    assert merge_ledgers(parts).injections == whole.injections


def test_days_burst_as_well():
    days = pa.array([0, 0, 1, 1, -1, None, 40], pa.date32())
    table = pa.table({"at": days, "x": [1.0] * 7})
    place = {"kind": "burst", "block": 86_400_000_000}
    made = [Injection.of("null.mcar", "x", fraction=0.5, placement=place, seed=seed) for seed in range(20)]
    found = [hits(run(batch(table), m)) for m in made]
    for one in found:
        assert (0 in one) == (1 in one)
        assert (2 in one) == (3 in one)
        assert 5 not in one
    assert len(set(map(frozenset, found))) > 5


@relaxed
@given(tables(), st.sampled_from([0.2, 0.6]), st.sampled_from([["group"], ["group", "c"], ["c"]]))
def test_rows_of_an_entity_share_their_fate(table, fraction, entity):
    place = {"kind": "entity", "entity": entity}
    result = run(batch(table), Injection.of("null.mcar", "id", fraction=fraction, placement=place))
    named = list(zip(*(table[c].to_pylist() for c in entity), strict=True))
    known = [i for i, values in enumerate(named) if any(v is not None for v in values)]
    chosen = oracle(
        [id_of(*named[i]) for i in known], fraction, "null.mcar", "id", {"entity": entity, "kind": "entity"}
    )
    assert hits(result, "id") == {i for i, hit in zip(known, chosen, strict=True) if hit}


# --- keys -----------------------------------------------------------------------------------------------------------


def test_duplicated_keys_share_their_fate_and_are_warned_about():
    ids = [i // 3 for i in range(300)]
    source = batch(pa.table({"id": ids, "x": [1.0 + i for i in range(300)]}), ["id"])
    result = run(source, Injection.of("value.noise", "x", fraction=0.5, params={"sigma": 1.0}))
    chosen = hits(result)
    assert 0 < len(chosen) < 300
    assert all({i, i - i % 3} <= chosen for i in chosen)
    moved = [b - a for a, b in zip(source.table["x"].to_pylist(), result.batch.table["x"].to_pylist(), strict=True)]
    assert all(moved[i] == pytest.approx(moved[i - i % 3], abs=1e-9) for i in range(300))  # the value drawn as well
    assert result.ledger.warnings == ("200 rows share their key with an earlier row and so share its fate",)
    assert run(batch(source.table), Injection.of("null.mcar", "x")).ledger.warnings == ()


def test_shared_keys_are_warned_about_once_for_all_parts():
    table = pa.table({"id": [i // 3 for i in range(300)], "x": [1.0] * 300})
    plan = resolve(Plan.of(Injection.of("null.mcar", "x", fraction=0.5)), batch(table, ["id"]))

    def told(size):
        parts = [p.ledger for p in inject_parts(plan, [table.slice(i, size) for i in range(0, 300, size)], key=["id"])]
        return merge_ledgers(parts).warnings

    says = "rows share their key with an earlier row and so share its fate"
    assert told(300) == inject(plan, batch(table, ["id"])).ledger.warnings == (f"200 {says}",)
    assert told(200) == (f"at least 199 {says}",)  # 133 and 66: the cut goes through one key's rows
    assert told(1) == ()  # no part knows the keys of another


def test_partly_null_keys():
    a, b = pa.array(["a", None, "a", None]), pa.array([None, "a", "a", "b"])
    source = batch(pa.table({"a": a, "b": b, "x": [1.0] * 4}), ["a", "b"])
    assert len(set(source.identity.choice.tolist())) == 4  # ('a', null) is not (null, 'a')
    made = [Injection.of("null.mcar", "x", fraction=0.5, seed=seed) for seed in range(40)]
    patterns = {frozenset(hits(run(source, m))) for m in made}
    assert len(patterns) > 8
    with pytest.raises(BatchError, match="row 1 has no key"):
        batch(pa.table({"a": pa.array(["a", None]), "b": pa.array([1, None], pa.int64())}), ["a", "b"])


def test_a_fault_on_a_key_column_is_an_ordinary_change_of_cells():
    table = pa.table({"id": list(range(50)), "x": list(range(50))})
    result = run(
        batch(table, ["id"]), Injection.of("null.mcar", "id", fraction=0.3), Injection.of("rows.drop", fraction=0.3)
    )
    assert result.batch.key == ("id",)
    entry = result.ledger.by_column["id"]
    assert numbers(result.ledger.rows.added) == []
    removed = set(numbers(result.ledger.rows.removed))
    assert removed == set(
        numbers(run(batch(table, ["id"]), Injection.of("rows.drop", fraction=0.3)).ledger.rows.removed)
    )
    after = result.batch.table.to_pylist()
    for origin, position in zip(numbers(entry.origin), numbers(entry.position), strict=True):
        assert (position == -1) == (origin in removed)
        if position >= 0:
            assert after[position] == {"id": None, "x": origin}


GLOBAL = [f for f in CATALOGUE.values() if f.scope is Scope.GLOBAL]


@pytest.mark.parametrize("code", [f.code for f in GLOBAL])
def test_global_faults_need_one_order_and_all_rows(code):
    columns = ("x",) if CATALOGUE[code].column_count else ()
    table = pa.table({"id": [1, 2, 2, 3], "x": [1, 2, 3, 4]})
    made = Injection.of(code, columns, fraction=1)
    result = run(batch(table, ["id"]), made)
    assert result.ledger.status is Status.NOT_APPLICABLE
    assert result.ledger.injections[0].reason.startswith("1 rows share a key")
    assert run(batch(table), made).ledger.status is Status.APPLIED
    plan = resolve(Plan.of(made), batch(table))
    with pytest.raises(PlanError, match=f"fault '{code}' needs all rows at once: it cannot be streamed"):
        next(inject_parts(plan, [table]))


def test_exact_counts_and_donors_cannot_be_streamed_either():
    table = pa.table({"at": pa.array([0, 1], pa.timestamp("us")), "x": [1, 2]})
    exact = resolve(Plan.of(Injection.of("null.mcar", "x", fraction=0.5, exact=True)), batch(table))
    with pytest.raises(PlanError, match="an exact count needs all rows at once"):
        next(inject_parts(exact, [table]))
    stale = resolve(Plan.of(Injection.of("time.stale")), batch(table), earlier=[batch(table, name="2013-06-02")])
    with pytest.raises(PlanError, match=r"fault 'time\.stale' needs all rows at once"):
        next(inject_parts(stale, [table]))


# --- composition ----------------------------------------------------------------------------------------------------


@relaxed
@given(st.data())
def test_a_second_fault_never_moves_the_first(data):
    table = data.draw(tables())
    source = batch(table)
    first = data.draw(injections(CELL_FAULTS, columns=("x", "s")))
    fitting = [f for f in CELL_FAULTS if f.applies(pa.int64()) or f.applies(pa.string())]
    second = data.draw(injections(fitting, columns=("n", "c", "id", "group")))
    alone, before, after = run(source, first), run(source, second, first), run(source, first, second)
    (column,) = first.columns
    for both in (before, after):
        assert hits(both, column) == hits(alone, column)
        assert repr(both.batch.table[column].to_pylist()) == repr(alone.batch.table[column].to_pylist())


def test_a_cell_hit_twice_has_one_net_entry_that_names_both():
    source = batch(pa.table({"x": [1.0, 2.0, 3.0]}))
    scale, sign = Injection.of("value.scale", "x", fraction=1), Injection.of("value.sign", "x", fraction=1)
    result = run(source, scale, sign, before_values=True)
    (entry,) = result.ledger.cells
    assert result.batch.table["x"].to_pylist() == [-10.0, -20.0, -30.0]
    assert entry.injections == (scale.injection_id(source.name), sign.injection_id(source.name))
    assert (numbers(entry.origin), entry.before.to_pylist()) == ([0, 1, 2], [1.0, 2.0, 3.0])


def test_a_net_zero_is_not_in_the_ledger():
    source = batch(pa.table({"x": [1.0, -2.0, 0.0]}))
    sign = Injection.of("value.sign", "x", fraction=1)
    result = run(source, sign, Injection.of("value.sign", "x", fraction=1, seed=1))
    assert result.batch.table is source.table
    assert result.ledger.changed_cells == 0
    assert result.ledger.status is Status.NO_EFFECT
    assert [r.status for r in result.ledger.injections] == [Status.APPLIED, Status.NO_EFFECT]
    assert numbers(result.ledger.by_column["x"].asked) == [0, 1, 2]


def test_the_last_fault_on_a_cell_wins():
    source = batch(pa.table({"x": [5, 6]}))
    first, second = (Injection.of("missing.sentinel", "x", fraction=1, params={"value": v}) for v in ("-1", "-2"))
    assert run(source, first, second).batch.table["x"].to_pylist() == [-2, -2]
    assert run(source, second, first).batch.table["x"].to_pylist() == [-1, -1]


def test_copied_rows_carry_their_cells_and_choice_reads_the_source():
    table = pa.table({"x": [float(i) for i in range(1, 101)]})
    sign, copy = Injection.of("value.sign", "x", fraction=0.4), Injection.of("rows.duplicate", fraction=0.3)
    result, signed = run(batch(table), sign, copy), run(batch(table), sign)
    values, positions = signed.batch.table["x"].to_pylist(), result.batch.table["x"].to_pylist()
    copied = run(batch(table), copy).ledger.rows
    assert numbers(result.ledger.rows.copied_from) == numbers(copied.copied_from)
    added = numbers(result.ledger.rows.added)
    assert [positions[p] for p in added] == [values[o] for o in numbers(copied.copied_from)]
    entry = result.ledger.by_column["x"]
    assert numbers(entry.origin) == numbers(signed.ledger.by_column["x"].origin)
    assert [positions[p] for p in numbers(entry.position)] == [values[o] for o in numbers(entry.origin)]
    assert not set(numbers(entry.position)) & set(added)


def test_cells_of_a_dropped_column_have_no_entry():
    source = batch(pa.table({"x": [1.0, 2.0], "y": [1.0, 2.0]}))
    signs = [Injection.of("value.sign", c, fraction=1) for c in "yx"]
    result = run(source, *signs, Injection.of("schema.drop_column", "x"))
    assert [c.column for c in result.ledger.cells] == ["y"]
    assert [s.column for s in result.ledger.schema] == ["x"]


def test_rows_counted_over_parts_of_any_size():
    table = pa.table({"x": list(range(100))})
    plan = resolve(
        Plan.of(Injection.of("rows.duplicate", fraction=0.3), Injection.of("rows.drop", fraction=0.2)), batch(table)
    )
    whole = inject(plan, batch(table))
    parts = [p.ledger for p in inject_parts(plan, [table.slice(i, 7) for i in range(0, 100, 7)])]
    merged = merge_ledgers(parts)
    assert plain_ledger(merged) == plain_ledger(whole.ledger)
    assert list(accumulate(p.rows_after for p in parts))[-1] == merged.rows_after == whole.batch.rows
    assert merged.rows_after != 100
