"""Batches that are tables: read, corrupted into a shadow schema, pointed at and dropped, on PostgreSQL and DuckDB."""

# ruff: noqa: S608 - tables that the tests themselves made

import json
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.io import iter_tables, read_batch, read_table
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql import sql_ref
from pipechaos.batch.sql_connect import place_of, reading, writing
from pipechaos.errors import BatchError, ShadowError, UnknownNameError
from pipechaos.inject import sql_schema, sql_upkeep
from pipechaos.inject.sql_pointing import pointed_at
from pipechaos.inject.sql_shadow import corrupt_table
from pipechaos.inject.sql_upkeep import check_copy, sweep_schemas
from pipechaos.ledger.io import read_ledger
from pipechaos.plan.injection import Injection

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 1000
NAMES = ["plain", 'we"ird', "per%cent %s", "quest?ion", "sm'ort", "Ünï; DROP TABLE orders --"]
TRIPS = (
    "CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, day date, price double precision, city varchar(20))",
    "INSERT INTO orders SELECT i, DATE '2024-05-01' + CAST(i % 4 AS integer), i * 0.25, "
    "CASE WHEN i % 7 = 0 THEN NULL WHEN i % 7 = 1 THEN '' ELSE 'city ' || CAST(i % 5 AS varchar) END "
    f"FROM generate_series(1, {ROWS}) AS g(i)",
)


class Database:
    """A database of its own, reached as a stranger would: by its driver alone."""

    def __init__(self, url):
        self.url = url
        self.connections = {"warehouse": url}
        self.duck = url.startswith("duckdb")

    def open(self, url=None):
        if not self.duck:
            return psycopg.connect(url or self.url, autocommit=True)
        import duckdb

        return duckdb.connect((url or self.url).removeprefix("duckdb:///"))

    def run(self, *statements):
        with closing(self.open()) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if self.duck or found.description else []

    def schemas(self):
        found = self.run("SELECT DISTINCT schema_name FROM information_schema.schemata")
        return sorted(n for (n,) in found if n.startswith("pipechaos"))

    def ref(self, table="orders", **options):
        return sql_ref(table, connection_id="warehouse", **{"key": ["id"], **options})

    def corrupt(self, ref, *injections, tmp_path, **options):
        return corrupt_table(
            ref,
            injections or [NULLS],
            ledgers=tmp_path / "ledgers",
            connections=self.connections,
            **{"now": NOW, "ttl": HOUR, **options},
        )

    def read(self, ref, **options):
        return read_table(ref, connections=self.connections, **options)


@pytest.fixture(params=["postgresql", "duckdb"])
def database(request, tmp_path):
    if request.param == "postgresql":
        return Database(request.getfixturevalue("new_database")())
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "lake.duckdb"
    duckdb.connect(str(path)).close()
    return Database(f"duckdb:///{path}")


@pytest.fixture
def orders(database):
    database.run(*TRIPS)
    return database.ref()


NULLS = Injection.of("null.mcar", "price", fraction=0.2, seed=7)


def test_a_sql_validator_sees_what_the_ledger_says_and_the_source_stays(database, orders, tmp_path):
    before = database.run("SELECT * FROM orders ORDER BY id")
    copy = database.corrupt(orders, tmp_path=tmp_path)

    pointed = pointed_at(copy.ref, connections=database.connections)
    with closing(database.open(pointed.url)) as connection:
        if database.duck:
            connection.execute(pointed.statement)
        seen = connection.execute("SELECT * FROM orders ORDER BY id").fetchall()

    changed = {int(origin) for origin in read_ledger(copy.ledger_dir).by_column["price"].origin}
    assert 150 < len(changed) < 250
    assert seen == [
        (key, day, None if at in changed else price, city) for at, (key, day, price, city) in enumerate(before)
    ]
    assert database.run("SELECT * FROM orders ORDER BY id") == before
    assert (copy.ref.rows, copy.ref.name) == (ROWS, "orders")
    assert ordered_digest(database.read(copy.ref)) == copy.ref.digest
    assert ordered_digest(database.read(orders)) == copy.source_digest
    assert "secret" not in json.dumps(copy.ref.to_json()) + repr(pointed) + repr(copy) + pointed.shown
    assert stat.S_IMODE((tmp_path / "ledgers").stat().st_mode) == 0o700


def test_nothing_can_be_written_through_the_connection_that_reads(database, orders):
    with pytest.raises(BatchError, match="read-only"), reading(place_of(orders.uri, database.connections)) as session:
        session.execute("DELETE FROM orders")
    with pytest.raises(BatchError, match="read-only"), reading(place_of(orders.uri, database.connections)) as session:
        session.execute("CREATE TABLE other (i integer)")
    assert database.run("SELECT count(*) FROM orders") == [(ROWS,)]


def test_a_snapshot_stands_still_while_others_write(database, orders):
    if database.duck:
        pytest.skip("a DuckDB file is written by one process")
    parts = iter_tables(orders, rows=100, connections=database.connections)
    first = next(parts)
    database.run("DELETE FROM orders WHERE id > 100")
    assert first.num_rows + sum(p.num_rows for p in parts) == ROWS
    with reading(place_of(orders.uri, database.connections)) as session:  # over several statements too
        seen = [session.execute("SELECT count(*) FROM orders")]
        database.run("DELETE FROM orders")
        seen.append(session.execute("SELECT count(*) FROM orders"))
    assert seen == [[(100,)], [(100,)]]


def test_a_retry_finds_the_same_copy_and_replaces_nothing(database, orders, tmp_path):
    first = database.corrupt(orders, tmp_path=tmp_path)
    again = database.corrupt(orders, tmp_path=tmp_path, now=NOW + HOUR / 2)
    assert (first.replaced, again.replaced) == (True, False)
    assert (again.schema, again.ref, again.ledger_dir) == (first.schema, first.ref, first.ledger_dir)
    assert (first.expires, again.expires) == (NOW + HOUR, NOW + HOUR * 1.5)
    earlier = database.corrupt(orders, tmp_path=tmp_path, now=NOW - HOUR / 2)
    assert earlier.expires == NOW + HOUR * 1.5
    with pytest.raises(ShadowError, match="is in a shadow schema already"):
        database.corrupt(first.ref, tmp_path=tmp_path)
    other = database.corrupt(orders, Injection.of("null.mcar", "price", fraction=0.2, seed=8), tmp_path=tmp_path)
    assert other.schema != first.schema
    assert len(database.schemas()) == 2


def test_a_copy_that_somebody_altered_or_whose_source_changed_is_loaded_again(database, orders, tmp_path):
    first = database.corrupt(orders, tmp_path=tmp_path)
    database.run(f"UPDATE {first.schema}.orders SET price = 0 WHERE id = 1")
    with pytest.raises(ShadowError, match="has changed since it was loaded"):
        check_copy(first.ref, now=NOW, connections=database.connections)
    again = database.corrupt(orders, tmp_path=tmp_path)
    assert again.replaced
    assert again.ref == first.ref
    database.run(f"DROP TABLE {first.schema}.orders")
    assert database.corrupt(orders, tmp_path=tmp_path).ref == first.ref
    database.run("UPDATE orders SET city = 'elsewhere' WHERE id = 3")
    moved = database.corrupt(orders, tmp_path=tmp_path)
    assert moved.replaced
    assert moved.schema == first.schema
    assert moved.ref.digest != first.ref.digest
    assert database.run(f"SELECT city FROM {first.schema}.orders WHERE id = 3") == [("elsewhere",)]


def test_a_sweep_drops_what_is_over_and_nothing_else(database, orders, tmp_path):
    old = database.corrupt(orders, tmp_path=tmp_path)
    young = database.corrupt(orders, Injection.of("rows.drop", seed=1), tmp_path=tmp_path, ttl=HOUR * 3)
    alike = "pipechaos_shadow_0123456789abcdef"
    database.run(f"CREATE SCHEMA {alike}", f"CREATE TABLE {alike}.orders AS SELECT * FROM orders")
    marked = "pipechaos_shadow_fedcba9876543210"  # carries another schema's marker
    database.run(
        f"CREATE SCHEMA {marked}",
        f"CREATE TABLE {marked}._pipechaos_shadow AS SELECT * FROM {old.schema}._pipechaos_shadow",
    )
    named = "pipechaos_shadow_mine"
    database.run(f"CREATE SCHEMA {named}")

    def sweep(now):
        return sweep_schemas("sql://warehouse", now=now, connections=database.connections)

    assert sweep(NOW + HOUR - timedelta(seconds=1)).dropped == ()
    check_copy(old.ref, now=NOW, connections=database.connections)
    with pytest.raises(ShadowError, match="has outlived its time"):
        check_copy(old.ref, now=NOW + HOUR, connections=database.connections)
    swept = sweep(NOW + HOUR)
    assert (swept.dropped, swept.kept) == ((old.schema,), {})
    assert database.schemas() == sorted([young.schema, alike, marked, named])
    with pytest.raises(ShadowError, match="is gone"):
        check_copy(old.ref, now=NOW, connections=database.connections)
    assert sweep(NOW + 9 * HOUR).dropped == (young.schema,)
    assert database.run("SELECT count(*) FROM orders") == [(ROWS,)]
    assert database.run(f"SELECT count(*) FROM {alike}.orders") == [(ROWS,)]


def test_a_retry_while_a_sweep_looks_keeps_its_copy(database, orders, tmp_path, monkeypatch):
    copy = database.corrupt(orders, tmp_path=tmp_path)
    real = sql_upkeep.writing

    def late(place):
        monkeypatch.setattr(sql_upkeep, "writing", real)
        database.corrupt(orders, tmp_path=tmp_path, now=NOW + HOUR)
        return real(place)

    monkeypatch.setattr(sql_upkeep, "writing", late)
    assert sweep_schemas(orders, now=NOW + HOUR, connections=database.connections).dropped == ()
    check_copy(copy.ref, now=NOW + HOUR, connections=database.connections)


def test_what_somebody_else_put_into_a_schema_of_ours_keeps_it(database, orders, tmp_path):
    copy = database.corrupt(orders, tmp_path=tmp_path)
    database.run(f"CREATE TABLE {copy.schema}.theirs (i integer)")
    swept = sweep_schemas(orders, now=NOW + HOUR, connections=database.connections)
    assert swept.dropped == ()
    assert list(swept.kept) == [copy.schema]
    assert database.schemas() == [copy.schema]
    assert database.run(f"SELECT count(*) FROM {copy.schema}.orders") == [(ROWS,)]  # dropped whole or not at all


def test_a_schema_of_somebody_else_is_not_loaded_into(database, orders, tmp_path):
    copy = database.corrupt(orders, tmp_path=tmp_path)
    database.run(f"DROP TABLE {copy.schema}._pipechaos_shadow")
    with pytest.raises(ShadowError, match="no shadow of ours"):
        database.corrupt(orders, tmp_path=tmp_path)
    assert database.run(f"SELECT count(*) FROM {copy.schema}.orders") == [(ROWS,)]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names(database, tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    database.run(
        f"CREATE SCHEMA {quoted}",
        f"CREATE TABLE {quoted}.{quoted} ({quoted} varchar, x integer)",
        f"INSERT INTO {quoted}.{quoted} VALUES ('a', 1), ('b', 2), ('%s', 3), ('?', 4)",
    )
    ref = database.ref(name, schema=name, key=[name], where=[(name, ">", "?")])
    assert database.read(ref).to_pydict() == {name: ["a", "b"], "x": [1, 2]}
    copy = database.corrupt(ref, Injection.of("null.mcar", name, fraction=1.0), tmp_path=tmp_path)
    assert database.run(f"SELECT * FROM {copy.schema}.{quoted} ORDER BY x") == [(None, 1), (None, 2)]
    pointed = pointed_at(copy.ref, connections=database.connections, also=[name])
    with closing(database.open(pointed.url)) as connection:
        connection.execute(pointed.statement) if database.duck else None
        assert connection.execute(f"SELECT count(*) FROM {quoted}").fetchall() == [(2,)]
        connection.execute(f"DROP TABLE {copy.schema}.{quoted}")
        assert connection.execute(f"SELECT count(*) FROM {quoted}").fetchall() == [(4,)]  # also=: led on to the source


def test_a_partition_is_data_and_never_sql(database, orders):
    day = database.ref(where=[("day", "=", "2024-05-02"), ("id", "<=", 9), ("price", ">", 0.3)])
    assert day.name == "2024-05-02"
    assert database.read(day)["id"].to_pylist() == [5, 9]
    with pytest.raises(UnknownNameError, match="unknown column 'days'"):
        database.read(database.ref(where=[("days", "=", "2024-05-02")]))
    with pytest.raises(BatchError, match="refused"):
        database.read(database.ref(where=[("id", "=", "1 OR true")]))
    assert database.read(database.ref(where=[("city", "=", "' OR 1=1 --")])).num_rows == 0
    long = "city 2 and more than twenty letters"  # the declared length must not cut it to something that is there
    database.run(f"INSERT INTO orders VALUES (0, NULL, NULL, '{long[:20]}')")
    assert database.read(database.ref(where=[("city", "=", long)])).num_rows == 0


def test_order_is_by_key_and_then_by_everything_else(database):
    database.run(
        "CREATE TABLE twins (k varchar, x double precision)",
        "INSERT INTO twins VALUES ('b', 2), ('a', 3), ('B', 0), ('b', 1), (NULL, 5), ('é', 4), ('a b', 9)",
    )
    table = database.read(database.ref("twins", key=["k"]))
    assert table["x"].to_pylist() == [0, 3, 9, 1, 2, 4, 5]
    assert database.read(database.ref("twins", key=["x"]))["x"].to_pylist() == [0, 1, 2, 3, 4, 5, 9]
    assert database.read(database.ref("twins", key=[])).equals(table)


def test_parts_and_chosen_columns(database, orders):
    whole = database.read(orders)
    parts = list(iter_tables(orders, rows=300, connections=database.connections))
    assert [p.num_rows for p in parts] == [300, 300, 300, 100]
    assert ordered_digest(read_batch(orders, connections=database.connections).table) == ordered_digest(whole)
    assert read_batch(orders, connections=database.connections).key == ("id",)
    some = database.read(orders, columns=["city", "id"])
    assert some.equals(whole.select(["city", "id"]))
    empty = database.ref(where=[("id", "<", 0)])
    assert database.read(empty).schema == whole.schema
    assert [p.num_rows for p in iter_tables(empty, connections=database.connections)] == [0]


def test_an_empty_table_has_its_copy(database, tmp_path):
    database.run("CREATE TABLE orders (id integer, price double precision, city varchar(20))")
    copy = database.corrupt(database.ref(), tmp_path=tmp_path)
    assert copy.ref.rows == 0
    assert str(database.read(copy.ref).schema) == "id: int32\nprice: double\ncity: string"


@pytest.mark.parametrize(
    ("injection", "columns"),
    [
        (Injection.of("schema.drop_column", "price"), ["id int32", "day date32[day]", "city string"]),
        (
            Injection.of("schema.rename_column", "city"),
            ["id int32", "day date32[day]", "price double", "city_new string"],
        ),
        (Injection.of("type.number_to_text", "price"), ["id int32", "day date32[day]", "price string", "city string"]),
        (Injection.of("schema.drop_column", "id"), ["day date32[day]", "price double", "city string"]),
    ],
)
def test_faults_of_the_schema_are_in_the_copys_ddl(database, orders, tmp_path, injection, columns):
    copy = database.corrupt(orders, injection, tmp_path=tmp_path)
    assert [f"{f.name} {f.type}" for f in database.read(copy.ref).schema] == columns
    declared = dict(
        database.run(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_schema = '{copy.schema}' AND table_name = 'orders'"
        )
    )
    assert list(declared) and set(declared) == {c.split(" ")[0] for c in columns}
    if "city_new" in declared and not database.duck:
        assert declared["city_new"] == "character varying"


def test_rows_that_go_and_come(database, orders, tmp_path):
    copy = database.corrupt(
        orders, Injection.of("rows.duplicate", fraction=0.1), Injection.of("rows.drop", fraction=0.1), tmp_path=tmp_path
    )
    rows = copy.ledger.rows
    assert len(rows.added) and len(rows.removed)
    left = np.delete(np.arange(1, ROWS + 1), rows.removed)
    twice = rows.copied_from + 1
    expected = sorted([*left.tolist(), *twice.tolist()])
    found = database.run(f"SELECT id FROM {copy.schema}.orders ORDER BY id")
    assert [i for (i,) in found] == expected


def test_a_load_that_fails_leaves_nothing(database, orders, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("half way")

    monkeypatch.setattr(sql_schema, "_verify", fail)
    with pytest.raises(RuntimeError, match="half way"):
        database.corrupt(orders, tmp_path=tmp_path)
    assert database.schemas() == []
    assert list((tmp_path / "ledgers").iterdir()) == []


def test_a_database_that_alters_what_is_loaded_is_found_out(database, orders, tmp_path, monkeypatch):
    """Without the read-back a copy would hold something else than its ledger says."""
    place = place_of(orders.uri, database.connections)
    with writing(place) as session:
        kind = type(session)
    load = kind.load

    def lossy(self, schema, table, columns, rows):
        load(self, schema, table, columns, rows.slice(1))

    monkeypatch.setattr(kind, "load", lossy)
    with pytest.raises(ShadowError, match="keeps other values than were loaded"):
        database.corrupt(orders, tmp_path=tmp_path)
    assert database.schemas() == []


def test_wrong_calls(database, orders, tmp_path):
    with pytest.raises(ShadowError, match="has no zone"):
        database.corrupt(orders, tmp_path=tmp_path, now=NOW.replace(tzinfo=None))
    with pytest.raises(ShadowError, match="has no zone"):
        sweep_schemas(orders, now=NOW.replace(tzinfo=None), connections=database.connections)
    with pytest.raises(ShadowError, match="has no zone"):
        check_copy(orders, now=NOW.replace(tzinfo=None), connections=database.connections)
    with pytest.raises(ShadowError, match="over before it begins"):
        database.corrupt(orders, tmp_path=tmp_path, ttl=timedelta(0))
    with pytest.raises(ShadowError, match="in no shadow schema"):
        pointed_at(orders, connections=database.connections)
    with pytest.raises(UnknownNameError, match="did you mean 'orders'"):
        database.read(database.ref("order"))
    with pytest.raises(BatchError, match="hands over `connections=`"):
        read_table(orders)
    with pytest.raises(BatchError, match="not in a database"):
        corrupt_table(
            BatchRef.from_json({"uri": "a.parquet", "format": "parquet", "name": "a"}),
            [NULLS],
            ledgers=tmp_path,
            now=NOW,
            ttl=HOUR,
        )
    assert database.schemas() == []
