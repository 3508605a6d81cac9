"""What only DuckDB has: its types, one writer for each file, a search path that always leads on to main."""

# ruff: noqa: S608 - tables that the tests themselves made

import datetime as dt
import subprocess
import sys
import textwrap
from decimal import Decimal

import pyarrow as pa
import pytest

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.io import read_table
from pipechaos.batch.sql import sql_ref
from pipechaos.batch.sql_connect import place_of, reading
from pipechaos.errors import BatchError, ShadowError
from pipechaos.inject.shadow import corrupt
from pipechaos.inject.sql_pointing import pointed_at
from pipechaos.inject.sql_shadow import corrupt_table
from pipechaos.inject.sql_upkeep import check_copy, sweep_schemas
from pipechaos.plan.injection import Injection

duckdb = pytest.importorskip("duckdb")

NOW = dt.datetime(2026, 11, 25, 9, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
COLUMNS = [
    ("b", "BOOLEAN", "true", pa.bool_(), True),
    ("i1", "TINYINT", "-128", pa.int8(), -128),
    ("u8", "UBIGINT", "18446744073709551615", pa.uint64(), 2**64 - 1),
    ("h", "HUGEINT", "12345678901234567890123", pa.decimal128(38, 0), Decimal("12345678901234567890123")),
    ("r", "FLOAT", "0.1", pa.float32(), 0.10000000149011612),
    ("d", "DOUBLE", "'inf'", pa.float64(), float("inf")),
    ("n", "DECIMAL(5,2)", "-123.45", pa.decimal128(5, 2), Decimal("-123.45")),
    ("v", "VARCHAR", "'a\"b,c''\n'", pa.string(), "a\"b,c'\n"),
    ("da", "DATE", "'0001-01-01'", pa.date32(), dt.date(1, 1, 1)),
    ("ti", "TIME", "'23:59:59.999999'", pa.time64("us"), dt.time(23, 59, 59, 999999)),
    ("ts", "TIMESTAMP", "'1969-12-31 23:59:59.000001'", pa.timestamp("us"), dt.datetime(1969, 12, 31, 23, 59, 59, 1)),
    ("ts0", "TIMESTAMP_S", "'2024-01-01 10:00:00'", pa.timestamp("s"), dt.datetime(2024, 1, 1, 10)),
    (
        "tz",
        "TIMESTAMP WITH TIME ZONE",
        "'2024-01-01 00:00:00+02'",
        pa.timestamp("us", tz="UTC"),
        dt.datetime(2023, 12, 31, 22, tzinfo=dt.UTC),
    ),
    ("raw", "BLOB", r"'\x00\xFFa'", pa.binary(), b"\x00\xffa"),
    ("u", "UUID", "'00000000-0000-0000-0000-000000000001'", pa.string(), "00000000-0000-0000-0000-000000000001"),
    ("js", "JSON", "'{\"a\":  1}'", pa.string(), '{"a":  1}'),
    ("m", "ENUM('sad', 'o''k')", "'o''k'", pa.string(), "o'k"),
]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lake.duckdb")


@pytest.fixture
def run(path):
    def go(*statements):
        with duckdb.connect(path) as connection:
            for statement in statements:
                found = connection.execute(statement).fetchall()
        return found

    return go


@pytest.fixture
def every(path, run):
    run(
        f"CREATE TABLE every (id INTEGER, {', '.join(f'{n} {t}' for n, t, *_ in COLUMNS)})",
        f"INSERT INTO every VALUES (1, {', '.join(v for _, _, v, *_ in COLUMNS)})",
        "INSERT INTO every (id) VALUES (2)",
    )
    return sql_ref("every", url=f"duckdb:///{path}", key=["id"])


def test_every_type_is_read_as_documented_and_is_the_same_in_the_copy(run, every, tmp_path):
    table = read_table(every)
    assert table.schema == pa.schema([("id", pa.int32()), *((n, t) for n, _, _, t, _ in COLUMNS)])
    assert table.to_pylist()[0] == {"id": 1, **{n: v for n, _, _, _, v in COLUMNS}}
    assert table.to_pylist()[1] == {"id": 2, **{n: None for n, *_ in COLUMNS}}
    copy = corrupt_table(every, [Injection.of("null.mcar", "b", fraction=1.0)], ledgers=tmp_path, now=NOW, ttl=HOUR)
    types = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'every' AND schema_name = '{}'"
    assert run(types.format(copy.schema)) == run(types.format("main"))
    assert copy.widened == ()
    rest = [n for n, *_ in COLUMNS if n != "b"]
    assert read_table(copy.ref, columns=rest).equals(table.select(rest))
    assert read_table(copy.ref)["b"].null_count == 2


def test_an_enumeration_that_would_refuse_a_fault_is_text_in_the_copy(run, every, tmp_path):
    fault = Injection.of("missing.sentinel", "m", params={"value": "odd"}, fraction=1.0)
    copy = corrupt_table(every, [fault], ledgers=tmp_path, now=NOW, ttl=HOUR)
    assert copy.widened == ("m",)
    assert run(f"SELECT m FROM {copy.schema}.every WHERE id = 1") == [("odd",)]


@pytest.mark.parametrize("declared", ["INTEGER[]", "INTEGER[2]", "STRUCT(a INTEGER)", "INTERVAL", "ENUM('a')[]"])
def test_nested_types_are_refused_by_name(path, run, declared):
    run(f"CREATE TABLE t (x {declared})")
    with pytest.raises(BatchError, match=r"column 'x' of main\.t has type"):
        read_table(sql_ref("t", url=f"duckdb:///{path}"))


def test_a_file_that_is_open_here_already_is_read_all_the_same(path, run, every, tmp_path):
    with duckdb.connect(path) as connection:
        connection.execute("INSERT INTO every (id) VALUES (3)")
        assert read_table(every).num_rows == 3
        copy = corrupt_table(every, [Injection.of("rows.drop")], ledgers=tmp_path, now=NOW, ttl=HOUR)
        assert connection.execute(f"SELECT count(*) FROM {copy.schema}.every").fetchone() == (copy.ref.rows,)


def test_what_reads_cannot_write_where_the_file_is_open_here_already(path, run, every):
    with duckdb.connect(path) as connection, pytest.raises(BatchError, match="read-only mode"):
        connection.execute("SELECT 1")
        with reading(place_of(every.uri)) as session:
            session.execute("DELETE FROM every")
    assert run("SELECT count(*) FROM every") == [(2,)]


def test_another_process_may_read_at_the_same_time(path, every):
    code = f"import duckdb; c = duckdb.connect({path!r}, read_only=True); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        try:
            assert read_table(every).num_rows == 2
        finally:
            other.communicate("\n")


def test_an_enumeration_is_ordered_by_its_texts(path, run):
    run("CREATE TABLE t (m ENUM('z', 'a'))", "INSERT INTO t VALUES ('z'), ('a')")
    assert read_table(sql_ref("t", url=f"duckdb:///{path}", key=["m"]))["m"].to_pylist() == ["a", "z"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("duckdb:///gone/lake.duckdb", "there is no DuckDB file"),
        ("duckdb:///:memory:", "another one for each connection"),
        ("duckdb://", "another one for each connection"),
    ],
)
def test_what_is_no_file(url, says):
    with pytest.raises(BatchError, match=says):
        read_table(sql_ref("t", url=url))


def test_duckdb_has_no_roles(every, tmp_path):
    with pytest.raises(ShadowError, match="no roles"):
        corrupt_table(every, [Injection.of("rows.drop")], ledgers=tmp_path / "l", now=NOW, ttl=HOUR, readers=["suite"])
    assert list((tmp_path / "l").iterdir()) == []


def test_the_search_path_leads_on_to_main_so_that_the_copy_is_checked_after_reading(path, run, every, tmp_path):
    copy = corrupt_table(every, [Injection.of("rows.drop", fraction=1.0)], ledgers=tmp_path, now=NOW, ttl=HOUR)
    pointed = pointed_at(copy.ref)

    assert (pointed.url, pointed.options) == (f"duckdb:///{path}", "")
    with duckdb.connect(path) as connection:
        connection.execute(pointed.statement)
        assert connection.execute("SELECT count(*) FROM every").fetchone() == (0,)
        check_copy(copy.ref, now=NOW)
        sweep_schemas(every, now=NOW + HOUR)
        # DuckDB's own behaviour: in an open session it is now the source, without a word
        assert connection.execute("SELECT count(*) FROM every").fetchone() == (2,)
    with pytest.raises(ShadowError, match="is gone"):
        check_copy(copy.ref, now=NOW)
    with pytest.raises(duckdb.CatalogException, match="No catalog"):
        run(pointed.statement)  # a session that begins now is refused


def test_a_table_is_corrupted_into_files_as_well(every, tmp_path):
    copy = corrupt(every, [Injection.of("null.mcar", "v", fraction=1.0)], tmp_path / "shadow", key=["id"])
    assert read_table(copy.ref)["v"].null_count == 2
    rest = [n for n, *_ in COLUMNS if n not in ("v", "ts0")]  # Parquet has no seconds
    assert ordered_digest(read_table(copy.ref, columns=rest)) == ordered_digest(read_table(every, columns=rest))


CHILD = """
    import os, signal, sys
    from datetime import UTC, datetime, timedelta
    from pipechaos.batch.sql import sql_ref
    from pipechaos.inject import sql_shadow
    from pipechaos.plan.injection import Injection

    sql_shadow.write_ledger = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    sql_shadow.corrupt_table(
        sql_ref("t", url=sys.argv[1]), [Injection.of("null.mcar", "x", fraction=0.5)], ledgers=sys.argv[2],
        now=datetime(2026, 11, 25, 9, 0, tzinfo=UTC), ttl=timedelta(hours=1),
    )
"""


def test_a_killed_process_leaves_nothing(path, run, tmp_path):
    run("CREATE TABLE t AS SELECT i AS x FROM range(1000) AS r(i)")
    command = [sys.executable, "-c", textwrap.dedent(CHILD), f"duckdb:///{path}", str(tmp_path / "ledgers")]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -9, died.stderr
    assert run("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'pipechaos%'") == []
    assert run("SELECT count(x) FROM t") == [(1000,)]
