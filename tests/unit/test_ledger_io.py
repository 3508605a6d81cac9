"""Ledgers on disk: exact round trip, size, and what happens to damaged ones."""

import datetime as dt
import json
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipechaos.errors import BatchError
from pipechaos.faults.spec import SchemaChange, SchemaChangeKind
from pipechaos.ledger.io import read_ledger, write_ledger
from pipechaos.ledger.records import CellEntry, InjectionRecord, Ledger, RowEntry, Status

NONE = np.zeros(0, np.int64)
NO_ROWS = RowEntry(removed=NONE, added=NONE, copied_from=NONE, reordered=False)


def ledger_of(*cells, rows=NO_ROWS, **more):
    known = {"batch": "b", "injections": (), "schema": (), "rows_before": 9, "rows_after": 9}
    return Ledger(cells=cells, rows=rows, **known | more)


def entry(asked, origin=None, position=None, column="x", before=None):
    origin = asked if origin is None else origin
    position = origin if position is None else position
    return CellEntry(column=column, asked=asked, origin=origin, position=position, injections=("i",), before=before)


def fields(ledger):
    """Everything in a ledger in a form that can be compared."""
    return {
        "plain": (
            ledger.batch,
            ledger.injections,
            ledger.schema,
            ledger.warnings,
            ledger.rows_before,
            ledger.rows_after,
        ),
        "rows": [ledger.rows.removed.tolist(), ledger.rows.added.tolist(), ledger.rows.copied_from.tolist()],
        "reordered": ledger.rows.reordered,
        "cells": [
            (c.column, c.injections, c.asked.tolist(), c.origin.tolist(), c.position.tolist()) for c in ledger.cells
        ],
        "before": [None if c.before is None else (str(c.before.type), str(c.before)) for c in ledger.cells],
        "kinds": {str(a.dtype) for c in ledger.cells for a in (c.asked, c.origin, c.position)},
    }


POSITIONS = st.lists(st.integers(0, 2**40), unique=True, max_size=8).map(lambda x: np.array(sorted(x), np.int64))
WORD = st.text(max_size=6)
BEFORE = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): WORD,
    pa.bool_(): st.booleans(),
    pa.timestamp("s", tz="UTC"): st.integers(-(2**33), 2**33),
    pa.timestamp("ns"): st.integers(-(2**60), 2**60),
    pa.time32("s"): st.integers(0, 86_399),
    pa.date32(): st.dates(),
    pa.decimal128(10, 2): st.integers(-(10**9), 10**9).map(lambda x: Decimal(x).scaleb(-2)),
    pa.list_(pa.int8()): st.lists(st.integers(-128, 127), max_size=3),
    pa.null(): st.none(),
}


@st.composite
def entries(draw, column):
    asked = draw(POSITIONS)
    keep = np.array(draw(st.lists(st.booleans(), min_size=len(asked), max_size=len(asked))), bool)
    origin = draw(st.sampled_from([asked, asked[keep]]))
    position = draw(st.sampled_from([origin, origin[::-1].copy(), np.where(origin % 2 == 0, -1, origin)]))
    before = None
    if draw(st.booleans()):
        kind = draw(st.sampled_from(list(BEFORE)))
        values = draw(st.lists(st.none() | BEFORE[kind], min_size=len(origin), max_size=len(origin)))
        before = pa.array(values, kind)
    return entry(asked, origin, position, column, before)


@st.composite
def ledgers(draw):
    added = draw(POSITIONS)
    rows = RowEntry(
        removed=draw(POSITIONS),
        added=added,
        copied_from=np.array(draw(st.lists(st.integers(-1, 50), min_size=len(added), max_size=len(added))), np.int64),
        reordered=draw(st.booleans()),
    )
    record = st.builds(
        InjectionRecord,
        injection_id=WORD,
        fault=WORD,
        columns=st.lists(WORD, max_size=2).map(tuple),
        status=st.sampled_from(Status),
        reason=WORD,
        eligible=st.integers(0, 2**40),
        asked=st.integers(0, 9),
        changed=st.integers(0, 9),
    )
    change = st.builds(
        SchemaChange,
        kind=st.sampled_from(SchemaChangeKind),
        column=WORD,
        to=st.none() | WORD,
        from_type=st.none() | WORD,
        to_type=st.none() | WORD,
    )
    columns = draw(st.lists(WORD, unique=True, max_size=3))
    return ledger_of(
        *[draw(entries(c)) for c in columns],
        rows=rows,
        injections=tuple(draw(st.lists(record, max_size=2))),
        schema=tuple(draw(st.lists(change, max_size=2))),
        warnings=tuple(draw(st.lists(WORD, max_size=2))),
        batch=draw(WORD),
    )


@pytest.fixture(scope="module")
def scratch():
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ledgers())
def test_round_trip_is_exact_over_whatever_was_there(scratch, ledger):
    write_ledger(ledger, scratch / "ledger")
    back = read_ledger(scratch / "ledger")
    assert fields(back) == fields(ledger)
    assert back.status is ledger.status
    wanted = {f"before.{i}.parquet" for i, c in enumerate(ledger.cells) if c.before is not None}
    assert {p.name for p in (scratch / "ledger").iterdir()} == {"ledger.json", "positions.parquet"} | wanted


def test_size_of_positions(tmp_path):
    hit = np.flatnonzero(np.random.default_rng(1).random(1_000_000) < 0.05)
    same = write_ledger(ledger_of(entry(hit)), tmp_path / "same")
    assert Path(same["positions"]).stat().st_size <= 0.95 * len(hit)
    back = read_ledger(tmp_path / "same")
    assert np.array_equal(back.cells[0].asked, hit)
    assert np.array_equal(back.cells[0].position, hit)
    four = write_ledger(ledger_of(*[entry(hit, column=c) for c in "abcd"]), tmp_path / "four")
    assert Path(four["positions"]).stat().st_size <= 0.95 * 4 * len(hit)


def test_paths_and_document(tmp_path):
    before = pa.array([dt.date(2013, 1, 1)])
    hit = np.array([4], np.int64)
    paths = write_ledger(ledger_of(entry(hit), entry(hit, column="when", before=before)), tmp_path / "new" / "ledger")
    folder = tmp_path / "new" / "ledger"
    assert paths == {
        "ledger": str(folder / "ledger.json"),
        "positions": str(folder / "positions.parquet"),
        "before.when": str(folder / "before.1.parquet"),
    }
    data = json.loads(Path(paths["ledger"]).read_text(encoding="utf-8"))
    assert (data["schema"], data["status"], data["cells"][0]["changed"]) == ("pipechaos.ledger/1", "applied", 1)
    assert "2013" not in Path(paths["ledger"]).read_text(encoding="utf-8")


def test_memory(tmp_path):
    ledger = ledger_of(entry(np.array([1, 5], np.int64)))
    write_ledger(ledger, "memory://ledgers/one")
    write_ledger(ledger, "memory://ledgers/one")
    assert fields(read_ledger("memory://ledgers/one")) == fields(ledger)
    fsspec.filesystem("memory").store.clear()


def test_a_writer_that_dies_leaves_no_ledger_that_looks_whole(tmp_path):
    good = ledger_of(entry(np.array([1], np.int64)))
    write_ledger(good, tmp_path)
    bad = ledger_of(entry(np.array([1], np.int64), before=pa.nulls(1, pa.month_day_nano_interval())))
    with pytest.raises(BatchError, match="values before of column 'x' cannot be kept"):
        write_ledger(bad, tmp_path)
    with pytest.raises(BatchError, match=r"holds no ledger\.json"):
        read_ledger(tmp_path)
    write_ledger(good, tmp_path)
    assert fields(read_ledger(tmp_path)) == fields(good)


def damage(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("positions.parquet", lambda b: b[:-1] + b"x", "positions.parquet has changed"),
        ("before.0.parquet", lambda b: b + b"x", "before.0.parquet has changed"),
        ("ledger.json", lambda b: b[:-5], "is damaged"),
        ("ledger.json", lambda b: b"[]", "has schema None"),
        ("ledger.json", lambda b: b.replace(b"ledger/1", b"ledger/2"), "has schema 'pipechaos.ledger/2'; .*ledger/1"),
        ("ledger.json", lambda b: b.replace(b'"asked": 2', b'"asked": 3', 1), "do not fit their counts"),
        ("ledger.json", lambda b: b.replace(b'"reordered"', b'"reorderd"'), "is damaged .KeyError"),
    ],
)
def test_damaged_ledgers_are_refused(tmp_path, name, change, message):
    write_ledger(ledger_of(entry(np.array([1, 5], np.int64), before=pa.array([1, 2]))), tmp_path)
    damage(tmp_path, name, change)
    with pytest.raises(BatchError, match=message):
        read_ledger(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    write_ledger(ledger_of(entry(np.array([1], np.int64))), tmp_path)
    (tmp_path / "positions.parquet").unlink()
    with pytest.raises(BatchError, match=r"positions\.parquet is missing"):
        read_ledger(tmp_path)
