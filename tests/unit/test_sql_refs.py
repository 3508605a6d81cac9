"""References to rows of a database: what they say, what they refuse, and that no password travels with them."""

import json
import subprocess
import sys

import pytest

from pipechaos.batch.io import read_table, write_tables
from pipechaos.batch.ref import BatchRef, Format
from pipechaos.batch.sql import Compare, Condition, SqlSource, sql_ref
from pipechaos.batch.sql_connect import Dialect, place_of
from pipechaos.errors import BatchError, ConfigError, UnknownNameError

DAY = Condition(column="day", compare=Compare.GE, value="2024-05-01")


def test_a_reference_travels_as_json():
    where = [DAY, ("city", "=", "Rome"), ("n", "<", 3), ("ok", "=", True), ("x", "<=", 0.5)]
    ref = sql_ref("orders", url="postgresql://u:${PW}@h/d", schema="s", where=where, key=["a", "b"])
    sent = json.dumps(ref.to_json())
    assert BatchRef.from_json(json.loads(sent)) == ref
    assert ref.sql == SqlSource(
        table="orders",
        schema="s",
        where=(
            DAY,
            Condition(column="city", compare=Compare.EQ, value="Rome"),
            Condition(column="n", compare=Compare.LT, value=3),
            Condition(column="ok", compare=Compare.EQ, value=True),
            Condition(column="x", compare=Compare.LE, value=0.5),
        ),
        key=("a", "b"),
    )
    assert (ref.format, ref.name, ref.uri) == (Format.SQL, "Rome/True", "postgresql://u:${PW}@h/d")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "orders"),
        ({"schema": "s"}, "s.orders"),
        ({"where": [DAY]}, "orders"),
        ({"where": [("day", "=", "2024-05-01")]}, "2024-05-01"),
        ({"name": "monday", "where": [("day", "=", "2024-05-01")]}, "monday"),
    ],
)
def test_its_name(options, name):
    assert sql_ref("orders", connection_id="w", **options).name == name


def test_the_json_of_files_is_what_it_was():
    data = BatchRef(uri="a.csv", format=Format.CSV, name="a").to_json()
    assert list(data) == ["uri", "format", "name", "partition", "files", "digest", "connection_id", "rows"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/d",
        "postgresql://u:hunter2${X}@h/d",
        "postgresql://u:hun@ter2@h/d",
        "postgresql://u@h/d?password=hunter2",
        "postgresql://u@h/d?sslpassword=hunter2&x=1",
    ],
)
def test_a_password_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match="carries a password") as caught:
        sql_ref("orders", url=url)
    assert not any(s in str(caught.value) for s in ("hunter2", "ter2"))


def test_a_password_is_refused_in_json_too():
    data = sql_ref("orders", url="postgresql://u:${PW}@h/d").to_json()
    with pytest.raises(ConfigError, match="carries a password"):
        BatchRef.from_json(data | {"uri": "postgresql://u:hunter2@h/d"})


@pytest.mark.parametrize(
    "url", ["${URL}", "postgresql://${USER}:${PW}@h/d", "postgresql://h/d?password=${PW}&sslkey=/k"]
)
def test_what_is_secret_is_named(url):
    assert sql_ref("orders", url=url).uri == url


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: sql_ref("t"), BatchError, "url or its connection_id"),
        (lambda: sql_ref("t", url="duckdb:///a", connection_id="w"), BatchError, "url or its connection_id"),
        (lambda: sql_ref("", connection_id="w"), BatchError, "are names"),
        (lambda: sql_ref("a\0b", connection_id="w"), BatchError, "are names"),
        (lambda: sql_ref("t", connection_id="w", key=[""]), BatchError, "are names"),
        (lambda: sql_ref("t", connection_id="w", where=["a = 1"]), BatchError, "a column, a comparison and a value"),
        (lambda: sql_ref("t", connection_id="w", where=[("a", "LIKE", "x")]), UnknownNameError, "comparison 'LIKE'"),
        (lambda: sql_ref("t", connection_id="w", where=[("a", "=", None)]), BatchError, "a NoneType as its value"),
        (lambda: sql_ref("t", connection_id="w", where=[("a", "=", float("nan"))]), BatchError, "a float as its value"),
        (lambda: BatchRef(uri="a", format=Format.SQL, name="a"), BatchError, "names its table"),
        (
            lambda: BatchRef(uri="a", format=Format.CSV, name="a", sql=SqlSource(table="t")),
            BatchError,
            "only such a one",
        ),
        (lambda: BatchRef.of("a.sql", format="sql"), UnknownNameError, "Allowed: csv, parquet"),
        (lambda: BatchRef.target("a.csv", format="sql"), UnknownNameError, "Allowed: csv, parquet"),
        (lambda: SqlSource.from_json({"table": "t", "query": "SELECT 1"}), UnknownNameError, "unknown key 'query'"),
        (lambda: SqlSource.from_json({"table": 1}), BatchError, "wrong kind"),
        (lambda: SqlSource.from_json({"table": "t", "where": "a = 1"}), BatchError, "wrong kind"),
    ],
)
def test_what_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_rows_of_a_database_are_not_written_as_a_file(tmp_path):
    with pytest.raises(BatchError, match="say format="):
        write_tables([], tmp_path / "a.csv", format="sql")


@pytest.mark.parametrize(
    ("url", "dialect", "address", "shown"),
    [
        ("postgres://u:p%40@h/d", Dialect.POSTGRESQL, "postgresql://u:p%40@h/d", "postgresql://u:***@h/d"),
        ("postgresql+psycopg2://u@h/d", Dialect.POSTGRESQL, "postgresql://u@h/d", "postgresql://u@h/d"),
        ("duckdb:///lake.duckdb", Dialect.DUCKDB, "lake.duckdb", "duckdb:///lake.duckdb"),
        ("duckdb:////data/lake.duckdb", Dialect.DUCKDB, "/data/lake.duckdb", "duckdb:////data/lake.duckdb"),
        ("postgresql://u:${PW}@h/d", Dialect.POSTGRESQL, "postgresql://u:a%40b@h/d", "postgresql://u:***@h/d"),
    ],
)
def test_whoever_calls_resolves_a_connection(url, dialect, address, shown):
    for connections in ({"w": url}, lambda _: url):
        place = place_of("sql://w", connections, {"PW": "a@b"})
        assert (place.dialect, place.address, place.shown) == (dialect, address, shown)
    assert "p%40" not in repr(place) and "a%40b" not in repr(place)


@pytest.mark.parametrize(
    ("connections", "error", "says"),
    [
        (None, BatchError, "hands over `connections=`"),
        ({"we": "postgresql://h/d"}, UnknownNameError, "did you mean 'we'"),
        ({"w": "mysql://u:hunter2@h/d"}, BatchError, "is neither"),
        ({"w": "no address hunter2"}, BatchError, "is neither"),
        ({"w": 3}, BatchError, "gave a int"),
        ({"w": "postgresql://u:${PW}@h/d"}, ConfigError, "PW, which is not set"),
    ],
)
def test_a_connection_that_cannot_be_resolved(connections, error, says):
    with pytest.raises(error, match=says) as caught:
        place_of("sql://w", connections, {})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "uri", "extra"),
    [("psycopg", "postgresql://h/d", "pipechaos[sql]"), ("duckdb", "duckdb:///a.db", "pipechaos[duckdb]")],
)
def test_a_missing_library_names_its_extra(missing, uri, extra):
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom pipechaos.batch.io import read_table\n"
    code += f"from pipechaos.batch.sql import sql_ref\nread_table(sql_ref('t', url={uri!r}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"MissingExtraError: {missing} is not installed: pip install '{extra}'" in out.stderr


def test_reading_files_loads_no_database_driver(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    code = f"import sys; from pipechaos.batch.io import read_table; read_table({str(tmp_path / 'a.csv')!r})\n"
    code += "print([m for m in ('psycopg', 'duckdb', 'sqlalchemy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
    assert read_table(tmp_path / "a.csv").num_rows == 1
