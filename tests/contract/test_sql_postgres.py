"""What only PostgreSQL has: its types, rights, roles, locks and processes that die."""

# ruff: noqa: S608 - tables that the tests themselves made

import datetime as dt
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from pipechaos.batch.io import read_table
from pipechaos.batch.sql import sql_ref
from pipechaos.batch.sql_connect import place_of, reading
from pipechaos.errors import BatchError, ConfigError, ShadowError
from pipechaos.inject.sql_pointing import pointed_at
from pipechaos.inject.sql_shadow import corrupt_table
from pipechaos.inject.sql_upkeep import sweep_schemas
from pipechaos.plan.injection import Injection

NOW = dt.datetime(2026, 11, 25, 9, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
UTC = dt.UTC
COLUMNS = [
    # name, declared, a value in SQL, Arrow type, the value in Arrow
    ("b", "boolean", "true", pa.bool_(), True),
    ("i2", "smallint", "-32768", pa.int16(), -32768),
    ("i4", "integer", "2147483647", pa.int32(), 2147483647),
    ("i8", "bigint", "-9223372036854775808", pa.int64(), -(2**63)),
    ("r", "real", "'0.1'", pa.float32(), 0.10000000149011612),
    ("d", "double precision", "'0.1'", pa.float64(), 0.1),
    ("inf", "double precision", "'-Infinity'", pa.float64(), float("-inf")),
    ("n", "numeric", "1.50", pa.decimal128(38, 18), Decimal("1.5")),
    ("n2", "numeric(5,2)", "-123.45", pa.decimal128(5, 2), Decimal("-123.45")),
    ("n3", "numeric(2,4)", "0.0012", pa.decimal128(4, 4), Decimal("0.0012")),
    ("n4", "numeric(4,-2)", "12345", pa.decimal128(6, 0), Decimal("12300")),
    ("n5", "numeric(50,10)", "1e39", pa.decimal256(50, 10), Decimal(10) ** 39),
    ("dom", "positive", "3.5", pa.decimal128(7, 2), Decimal("3.50")),
    ("t", "text", "E'a\"b,c\\nd\\\\.\\'é'", pa.string(), "a\"b,c\nd\\.'é"),
    ("nothing", "text", "''", pa.string(), ""),
    ("eof", "text", r"'\.'", pa.string(), r"\."),
    ("nul", "text", r"'\N'", pa.string(), r"\N"),
    ("v", "character varying(5)", "'abc'", pa.string(), "abc"),
    ("c", "character(4)", "'ab'", pa.string(), "ab  "),
    ("da", "date", "'0001-01-01'", pa.date32(), dt.date(1, 1, 1)),
    ("ti", "time without time zone", "'23:59:59.999999'", pa.time64("us"), dt.time(23, 59, 59, 999999)),
    (
        "ts",
        "timestamp without time zone",
        "'1969-12-31 23:59:59.000001'",
        pa.timestamp("us"),
        dt.datetime(1969, 12, 31, 23, 59, 59, 1),
    ),
    ("ts0", "timestamp(0) without time zone", "'2024-01-01'", pa.timestamp("us"), dt.datetime(2024, 1, 1)),
    (
        "tz",
        "timestamp with time zone",
        "'2024-01-01 00:00:00+02'",
        pa.timestamp("us", tz="UTC"),
        dt.datetime(2023, 12, 31, 22, tzinfo=UTC),
    ),
    ("by", "bytea", r"'\x00ff5c27'", pa.binary(), b"\x00\xff\\'"),
    ("js", "json", "'{\"a\":  1}'", pa.string(), '{"a":  1}'),
    ("jb", "jsonb", "'{\"a\":  1}'", pa.string(), '{"a": 1}'),
    (
        "u",
        "uuid",
        "'00000000-0000-0000-0000-000000000001'",
        pa.string(),
        "00000000-0000-0000-0000-000000000001",
    ),
    ("m", 'public."Mo od"', "'sad'", pa.string(), "sad"),
]
DECLARED = (
    "SELECT attname, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute "
    "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
)


@pytest.fixture
def url(new_database):
    return new_database()


@pytest.fixture
def run(url):
    def go(statement, *values):
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(statement, values or None)
            return found.fetchall() if found.description else []

    return go


@pytest.fixture
def every(run):
    """A table of every type: a row of values, a row of nulls."""
    run("CREATE TYPE \"Mo od\" AS ENUM ('sad', 'ok')")
    run("CREATE DOMAIN positive AS numeric(7,2) CHECK (VALUE > 0)")
    run(f"CREATE TABLE every (id integer, {', '.join(f'{n} {t}' for n, t, *_ in COLUMNS)})")
    run(f"INSERT INTO every VALUES (1, {', '.join(v for _, _, v, *_ in COLUMNS)})")
    run("INSERT INTO every (id) VALUES (2)")
    return sql_ref("every", connection_id="w", key=["id"])


def corrupt(url, ref, *injections, tmp_path, **options):
    given = {"ledgers": tmp_path / "ledgers", "now": NOW, "ttl": HOUR, "connections": {"w": url}, **options}
    return corrupt_table(ref, injections, **given)


def test_every_type_is_read_as_documented(url, every):
    table = read_table(every, connections={"w": url})
    assert table.schema == pa.schema([("id", pa.int32()), *((n, t) for n, _, _, t, _ in COLUMNS)])
    first, second = table.to_pylist()
    assert first == {"id": 1, **{n: v for n, _, _, _, v in COLUMNS}}
    assert second == {"id": 2, **{n: None for n, *_ in COLUMNS}}


def test_every_type_is_the_same_in_the_copy(url, run, every, tmp_path):
    copy = corrupt(url, every, Injection.of("null.mcar", "b", fraction=1.0), tmp_path=tmp_path)
    assert copy.widened == ()
    declared = run(DECLARED, f"{copy.schema}.every")
    expected = [(n, t) for n, t, *_ in COLUMNS]
    expected = [(n, "numeric(7,2)" if t == "positive" else t.removeprefix("public.")) for n, t in expected]
    assert declared == [("id", "integer"), *expected]
    texts = ", ".join(f"{n}::text" for n, *_ in COLUMNS if n != "b")
    # as text, so that not even the way a value is written differs; a numeric without a scale drops zeros at its end
    source = [list(r) for r in run(f"SELECT {texts} FROM every ORDER BY id")]
    source[0][source[0].index("1.50")] = "1.5"
    assert [list(r) for r in run(f"SELECT {texts} FROM {copy.schema}.every ORDER BY id")] == source


def test_a_type_that_would_refuse_or_alter_a_fault_is_wider_in_the_copy(url, run, tmp_path):
    run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    run("CREATE TABLE t (id integer, v varchar(9), c char(4), m mood, u uuid, untouched uuid)")
    run(
        "INSERT INTO t SELECT i, 'text no ' || i, 'c' || i, 'ok', md5('x')::uuid, md5('y')::uuid "
        "FROM generate_series(1, 9) AS i"
    )
    ref = sql_ref("t", connection_id="w", key=["id"])
    faults = [Injection.of("missing.sentinel", n, params={"value": "longer than 9"}, fraction=0.5) for n in "vcmu"]
    copy = corrupt(url, ref, *faults, tmp_path=tmp_path)
    assert copy.widened == ("v", "c", "m", "u")
    assert dict(run(DECLARED, f"{copy.schema}.t")) == {
        "id": "integer", "v": "text", "c": "text", "m": "text", "u": "text", "untouched": "uuid",
    }  # fmt: skip
    nulls = [Injection.of("null.mcar", n, fraction=0.5) for n in ("v", "c", "m", "u")]
    copy = corrupt(url, ref, *nulls, tmp_path=tmp_path)
    assert copy.widened == ()
    assert dict(run(DECLARED, f"{copy.schema}.t")) == dict(run(DECLARED, "public.t"))


@pytest.mark.parametrize(
    ("declared", "value", "says"),
    [
        ("integer[]", "'{1,2}'", "column 'x' of public.t has type integer\\[\\]"),
        ("int4range", "'[1,2)'", "has no cells that can be broken"),
        ("interval", "'1 day'", "type interval"),
        ("date", "'infinity'", "refused: date too large"),
        ("timestamp", "'infinity'", "refused: timestamp too large"),
        ("date", "'0044-03-15 BC'", "refused: date too small"),
        ("numeric", "'NaN'", "column 'x' has a value that decimal128\\(38, 18\\) cannot hold"),
        ("numeric", "1e21", "column 'x' has a value that decimal128\\(38, 18\\) cannot hold"),
    ],
)
def test_what_arrow_cannot_hold_is_refused_by_name(url, run, declared, value, says):
    run(f"CREATE TABLE t (x {declared})")
    run(f"INSERT INTO t VALUES ({value})")
    with pytest.raises(BatchError, match=says):
        read_table(sql_ref("t", connection_id="w"), connections={"w": url})


def test_views_and_partitioned_tables_are_read(url, run):
    run("CREATE TABLE p (id integer, day date) PARTITION BY RANGE (day)")
    run("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')")
    run("INSERT INTO p VALUES (2, '2024-02-01'), (1, '2024-03-01')")
    run("CREATE VIEW seen AS SELECT id, day::text AS day FROM p")
    rows = {"id": [1, 2], "day": ["2024-03-01", "2024-02-01"]}
    assert read_table(sql_ref("seen", connection_id="w"), connections={"w": url}).to_pydict() == rows
    assert read_table(sql_ref("p", connection_id="w"), connections={"w": url})["id"].to_pylist() == [1, 2]


def test_order_does_not_follow_a_collation(url, run):
    run("CREATE TABLE t (id integer, k text)")  # the test server has no collation that would order otherwise
    with reading(place_of("sql://w", {"w": url})) as session:
        table = session.describe(sql_ref("t", connection_id="w").sql)
        assert [session.order(c) for c in table.columns] == ['"id"', '"k"::text COLLATE "C"']


def test_a_function_in_a_view_cannot_write_either(url, run):
    run("CREATE TABLE log (i integer)")
    run("CREATE FUNCTION noisy() RETURNS integer LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING 1'")
    run("CREATE VIEW trap AS SELECT noisy() AS x")
    with pytest.raises(BatchError, match="read-only transaction"):
        read_table(sql_ref("trap", connection_id="w"), connections={"w": url})
    assert run("SELECT * FROM log") == []


def test_the_copy_is_private_even_where_default_privileges_are_generous(url, run, tmp_path):
    roles = [f"{n}_{url.rpartition('/')[2]}" for n in ("nosy", "suite")]
    run("CREATE TABLE t (id integer)")
    run("INSERT INTO t VALUES (1)")
    for role in roles:
        run(f"CREATE ROLE {role}")
    for grantee in ("PUBLIC", roles[0]):
        run(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO {grantee}")
        run(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {grantee}")
    ref = sql_ref("t", connection_id="w")
    copy = corrupt(url, ref, Injection.of("rows.drop"), tmp_path=tmp_path, readers=[roles[1]])

    def rights(role):
        tables = [f"{copy.schema}.t", f"{copy.schema}._pipechaos_shadow"]
        found = run("SELECT has_schema_privilege(%s, %s, 'USAGE'), has_schema_privilege(%s, %s, 'CREATE')",
                    role, copy.schema, role, copy.schema)  # fmt: skip
        reads = [run("SELECT has_table_privilege(%s, %s, 'SELECT')", role, t)[0][0] for t in tables]
        writes = [run("SELECT has_table_privilege(%s, %s, 'UPDATE')", role, t)[0][0] for t in tables]
        return [*found[0], *reads, *writes]

    assert rights(roles[0]) == [False] * 6
    assert rights(roles[1]) == [True, False, True, True, False, False]
    assert rights("public") == [False] * 6


def test_nothing_is_found_beyond_the_copy_when_it_is_gone(url, run, tmp_path):
    """A search path that led on to the source would make a swept copy look like a clean verdict."""
    run("CREATE TABLE t (id integer)")
    run("INSERT INTO t VALUES (1)")
    copy = corrupt(url, sql_ref("t", connection_id="w"), Injection.of("rows.drop"), tmp_path=tmp_path)
    pointed = pointed_at(copy.ref, connections={"w": f"{url}?options=-cstatement_timeout%3D5000&connect_timeout=9"})
    with psycopg.connect(pointed.url) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("5s",)
        assert connection.execute("SELECT count(*) FROM t").fetchone()[0] in (0, 1)
    sweep_schemas("sql://w", now=NOW + HOUR, connections={"w": url})
    with psycopg.connect(pointed.url) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT count(*) FROM t")


def test_a_suite_on_sqlalchemy_and_pandas_reads_the_copy(url, run, tmp_path):
    import pandas as pd
    import sqlalchemy as sa

    run("CREATE TABLE t (id integer, x double precision)")
    run("INSERT INTO t SELECT i, i FROM generate_series(1, 50) i")
    copy = corrupt(
        url, sql_ref("t", connection_id="w"), Injection.of("null.mcar", "x", fraction=1.0), tmp_path=tmp_path
    )
    pointed = pointed_at(copy.ref, connections={"w": url})
    engine = sa.create_engine(pointed.url.replace("postgresql://", "postgresql+psycopg://", 1))
    options = sa.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1), connect_args={"options": pointed.options}
    )
    for way in (engine, options):
        with way.connect() as connection:
            assert pd.read_sql("SELECT * FROM t", connection)["x"].isna().all()
            assert sorted(sa.inspect(connection).get_table_names()) == ["_pipechaos_shadow", "t"]
        way.dispose()
    assert run("SELECT count(x) FROM t") == [(50,)]


CHILD = """
    import os, signal, sys
    from datetime import UTC, datetime, timedelta
    from pipechaos.batch import sql_postgres
    from pipechaos.batch.sql import sql_ref
    from pipechaos.inject import sql_shadow
    from pipechaos.plan.injection import Injection

    url, ledgers, where = sys.argv[1:]

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    if where == "loading":
        sql_postgres._LOAD_ROWS = 100
        real, seen = sql_postgres.pacsv.write_csv, []
        class Writer:
            WriteOptions = sql_postgres.pacsv.WriteOptions
            def write_csv(self, *given):
                seen.append(1)
                die() if len(seen) == 5 else real(*given)
        sql_postgres.pacsv = Writer()
    elif where == "before the commit":
        sql_shadow.write_ledger = die
    else:  # committed, and nobody is told
        sql_shadow.SqlCopy = die
    sql_shadow.corrupt_table(
        sql_ref("t", connection_id="w", key=["id"]), [Injection.of("null.mcar", "x", fraction=0.5)], ledgers=ledgers,
        now=datetime(2026, 11, 25, 9, 0, tzinfo=UTC), ttl=timedelta(hours=1), connections={"w": url},
    )
"""


@pytest.mark.parametrize(("where", "left"), [("loading", 0), ("before the commit", 0), ("after the commit", 1)])
def test_a_killed_process_leaves_all_or_nothing(url, run, tmp_path, where, left):
    run("CREATE TABLE t (id integer, x double precision)")
    run("INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i")
    command = [sys.executable, "-c", textwrap.dedent(CHILD), url, str(tmp_path / "ledgers"), where]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -9, died.stderr
    orphans = [n for (n,) in run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pipechaos%'")]
    assert len(orphans) == left
    ref, fault = sql_ref("t", connection_id="w", key=["id"]), Injection.of("null.mcar", "x", fraction=0.5)
    copy = corrupt(url, ref, fault, tmp_path=tmp_path)  # the retry
    assert copy.replaced is not bool(left)
    nulls = run(f"SELECT count(*), count(*) - count(x) FROM {copy.schema}.t")
    assert nulls == [(1000, copy.ledger.changed_cells)]
    assert sweep_schemas("sql://w", now=NOW + HOUR, connections={"w": url}).dropped == (copy.schema,)
    assert run("SELECT count(x) FROM t") == [(1000,)]


def test_two_that_make_the_same_copy_at_once_wait_for_each_other(url, run, tmp_path):
    run("CREATE TABLE t (id integer, x double precision)")
    run("INSERT INTO t SELECT i, i FROM generate_series(1, 2000) i")
    ref, fault = sql_ref("t", connection_id="w", key=["id"]), Injection.of("null.mcar", "x", fraction=0.5)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(corrupt, url, ref, fault, tmp_path=tmp_path / str(i)) for i in range(4)]
        copies = [j.result() for j in jobs]
    assert sorted(c.replaced for c in copies) == [False, False, False, True]
    assert len({c.ref.digest for c in copies}) == 1


@pytest.mark.parametrize(
    "broken",
    ["{}?wrong=1", "{}_gone", "postgresql://chaos:hunter2@127.0.0.1:1/x", "postgresql://u:hun%zzter2@h/d"],
)
def test_no_error_repeats_a_password(url, broken):
    with pytest.raises(BatchError) as caught:
        read_table(sql_ref("t", connection_id="w"), connections={"w": broken.format(url)})
    assert not any(s in str(caught.value) for s in ("secret", "hunter2", "hun%zzter2"))
    assert "***" in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_comes_from_the_environment(url, run, monkeypatch):
    run("CREATE TABLE t (id integer)")
    ref = sql_ref("t", url=url.replace(":secret@", ":${SHADOW_TEST_PW}@"))
    with pytest.raises(ConfigError, match="SHADOW_TEST_PW, which is not set"):
        read_table(ref)
    monkeypatch.setenv("SHADOW_TEST_PW", "secret")
    assert read_table(ref).num_rows == 0


def test_a_large_table_is_read_by_a_cursor(url, run):
    run("CREATE TABLE big AS SELECT i AS id, i * 1.5::float8 AS x FROM generate_series(100000, 1, -1) i")
    table = read_table(sql_ref("big", connection_id="w", key=["id"]), connections={"w": url})
    assert table["id"].to_pylist() == list(range(1, 100001))
    with reading(place_of("sql://w", {"w": url})) as session:
        parts = session.stream("SELECT id FROM big ORDER BY id", [], pa.schema([("id", pa.int32())]), 10)
        assert next(parts)["id"].to_pylist() == list(range(1, 11))
        assert session.execute("SELECT count(*) FROM pg_cursors WHERE name = 'pipechaos_rows'") == [(1,)]
        parts.close()


def test_no_column_left(url, run, tmp_path):
    run("CREATE TABLE t (x integer)")
    with pytest.raises(ShadowError, match="no column of t is left"):
        corrupt(url, sql_ref("t", connection_id="w"), Injection.of("schema.drop_column", "x"), tmp_path=tmp_path)
