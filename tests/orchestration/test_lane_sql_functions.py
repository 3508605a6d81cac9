"""A lane's copies of tables without Airflow: caps, all or nothing, whose they are, and their end."""

# ruff: noqa: S608 - tables that the tests themselves made

import json
import threading
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from pipechaos.airflow import lane_sql, lane_sql_copies
from pipechaos.airflow.lane_copies import Caps, Declared, OverCapError, make_copies
from pipechaos.batch.ref import BatchRef
from pipechaos.batch.sql import sql_ref
from pipechaos.errors import BatchError, ConfigError, ShadowError, UnknownNameError
from pipechaos.inject import sql_upkeep, sql_watch
from pipechaos.inject.shadow import sweep
from pipechaos.inject.sql_pointing import pointed_at
from pipechaos.inject.sql_upkeep import check_copy, drop_copy, sweep_schemas
from pipechaos.ledger.io import read_ledger

NOW = 1_800_000_000.0
PLAN = {
    "i0": {"fault": "null.mcar", "columns": "price", "fraction": 0.5},
    "i1": {"fault": "rows.drop", "fraction": 0.5},
}
TABLE = {"connection_id": "shop", "table": "orders", "key": ["id"]}


class Shop:
    """A database with orders in it, as a driver sees it."""

    def __init__(self, url, place):
        self.url, self.place = url, place
        self.connections = {"shop": url}
        self.clock = NOW

    def run(self, *statements):
        with psycopg.connect(self.url, autocommit=True) as c:
            for statement in statements:
                found = c.execute(statement)
            return found.fetchall() if found.description else []

    def schemas(self):
        asked = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pipechaos%' ORDER BY 1"
        return [n for (n,) in self.run(asked)]

    def copy(self, given=None, *, table=TABLE, plan=PLAN, rows=1000, batches=4, seconds=60, **options):
        how = {
            "shadow": str(self.place / "shadow"),
            "caps": Caps(rows=rows, batches=batches, seconds=seconds),
            "declared": Declared(key=("id",)),
            "clock": lambda: self.clock,
            "connections": self.connections,
        }
        return make_copies(given, plan, table=table, **{**how, **options})


@pytest.fixture
def shop(new_database, tmp_path):
    found = Shop(new_database(), tmp_path)
    found.run(
        "CREATE TABLE orders (id integer PRIMARY KEY, price double precision)",
        "INSERT INTO orders SELECT i, i * 0.5 FROM generate_series(1, 100) AS g(i)",
    )
    return found


def refs(made, label):
    return [BatchRef.from_json(r) for r in made["tables"]["refs"][label]]


def test_an_untouched_and_the_corrupted_copies(shop):
    made = shop.copy(slot="run 1")
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert shop.url.rpartition("@")[0].rpartition(":")[2] == "secret"
    assert "secret" not in json.dumps(made)
    assert made["until"] == NOW + 60
    (base,), (nulls,), (fewer,) = (refs(made, label) for label in ("base", "i0", "i1"))
    assert shop.schemas() == sorted({base.sql.schema, nulls.sql.schema, fewer.sql.schema})
    assert shop.run(f"SELECT * FROM {base.sql.schema}.orders ORDER BY id") == shop.run(
        "SELECT * FROM orders ORDER BY id"
    )
    gone = shop.run(f"SELECT count(*) FROM {nulls.sql.schema}.orders WHERE price IS NULL")[0][0]
    assert 25 < gone < 75
    assert (made["trials"]["i0"]["status"], made["trials"]["i0"]["changed"]) == ("applied", gone)
    left = shop.run(f"SELECT count(*) FROM {fewer.sql.schema}.orders")[0][0]
    assert len(read_ledger(made["trials"]["i1"]["ledger"]).rows.removed) == 100 - left > 25
    for ref in (base, nulls, fewer):
        mark = check_copy(ref, now=datetime.fromtimestamp(NOW + 59, UTC), connections=shop.connections)
        assert mark.expires == datetime.fromtimestamp(NOW + 60, UTC)


def test_a_reference_comes_back_in_its_own_form(shop):
    given = {"batch": sql_ref("orders", connection_id="shop", key=["id"]).to_json(), "more": 1}
    made = shop.copy(given, table=None)
    assert made["base"] == {"batch": refs(made, "base")[0].to_json(), "more": 1}
    assert made["trials"]["i0"]["given"]["batch"]["sql"]["schema"] == refs(made, "i0")[0].sql.schema
    assert made["tables"]["named"] is False


def test_runs_have_copies_of_their_own_and_a_retry_finds_its_own(shop):
    one, two, again = (shop.copy(slot=s) for s in ("run 1", "run 2", "run 1"))
    assert one["tables"] == again["tables"]
    assert len(shop.schemas()) == 6
    ledgers = {t["ledger"] for m in (one, two) for t in m["trials"].values()}
    assert len(ledgers) == 4
    values = [shop.run(f"SELECT * FROM {refs(m, 'i0')[0].sql.schema}.orders ORDER BY id") for m in (one, two)]
    assert values[0] == values[1]  # a slot is no part of a draw


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rows": 99}, OverCapError, "more than 99 rows"),
        ({"table": None}, ConfigError, "name it: table="),
        ({"table": {"connection_id": "shop"}}, ConfigError, "lacks table"),
        ({"table": {**TABLE, "tabel": "orders"}}, UnknownNameError, "did you mean 'table'"),
        ({"table": {**TABLE, "table": "order"}}, UnknownNameError, "did you mean 'orders'"),
        ({"table": {**TABLE, "connection_id": "shop2"}}, UnknownNameError, "unknown connection 'shop2'"),
        ({"plan": {**PLAN, "i2": {"fault": "null.mcar", "columns": "prize"}}}, UnknownNameError, "prize"),
    ],
)
def test_what_cannot_be_copied_leaves_nothing(shop, options, error, words):
    with pytest.raises(error, match=words) as raised:
        shop.copy(**options)
    assert shop.schemas() == []
    assert list(shop.place.glob("shadow/tables/*")) == []
    assert "secret" not in str(raised.value)


def test_tables_that_one_connection_cannot_lead_to(shop):
    two = [sql_ref("orders", connection_id="shop", where=[("id", "<", n)]).to_json() for n in (5, 9)]
    with pytest.raises(ConfigError, match="more than once"):
        shop.copy(two, table=None)
    elsewhere = sql_ref("visits", url="postgresql://other/db").to_json()
    with pytest.raises(ConfigError, match="several databases"):
        shop.copy([two[0], elsewhere], table=None)
    (shop.place / "a.csv").write_text("id,price\n1,2\n")
    with pytest.raises(ConfigError, match="files and tables"):
        shop.copy([two[0], str(shop.place / "a.csv")], table=None)
    with pytest.raises(OverCapError, match="2 tables"):
        shop.run("CREATE TABLE visits AS SELECT * FROM orders")
        shop.copy([two[0], sql_ref("visits", connection_id="shop").to_json()], table=None, batches=1)
    assert shop.schemas() == []


def test_several_tables_are_one_trial(shop):
    shop.run("CREATE TABLE visits AS SELECT * FROM orders WHERE id <= 50")
    given = [sql_ref(t, connection_id="shop", key=["id"]).to_json() for t in ("orders", "visits")]
    with pytest.raises(OverCapError, match="more than 149 rows"):
        shop.copy(given, table=None, rows=149)
    made = shop.copy(given, table=None, rows=150)
    first, second = refs(made, "i0")
    pointed = pointed_at(first, connections=shop.connections, also=[second.sql.schema])
    with psycopg.connect(pointed.url) as c:
        nulls = [c.execute(f"SELECT count(*) FROM {t} WHERE price IS NULL").fetchone()[0] for t in ("orders", "visits")]
    assert made["trials"]["i0"]["changed"] == sum(nulls)
    assert min(nulls) > 0


def test_a_halt_or_the_end_of_the_time_in_the_middle_leaves_nothing(shop):
    asked = []

    def halt():
        asked.append(len(shop.schemas()))
        if len(asked) == 2:
            raise RuntimeError("halted")

    with pytest.raises(RuntimeError, match="halted"):
        shop.copy(may_inject=halt)
    assert asked == [0, 1]  # before each injection, and one copy stood by the second
    assert shop.schemas() == []

    def late():
        shop.clock += 40

    with pytest.raises(OverCapError, match="longer than 60 seconds"):
        shop.copy(may_inject=late)
    assert shop.schemas() == []
    assert list(shop.place.glob("shadow/tables/*")) == []


def test_what_is_left_goes_when_its_time_is_over(shop):
    """A killed run's copies: the next lane's first task drops them, and its sweep their ledgers."""
    left = shop.copy(slot="killed")
    shop.clock += 59
    young = shop.copy(slot="next")
    assert len(shop.schemas()) == 6
    shop.clock += 1
    third = shop.copy(slot="third")
    mine = {r.sql.schema for m in (young, third) for label in ("base", "i0", "i1") for r in refs(m, label)}
    assert set(shop.schemas()) == mine
    with pytest.raises(ShadowError, match="is gone"):
        check_copy(refs(left, "base")[0], now=datetime.now(UTC), connections=shop.connections)
    assert (
        sweep_schemas("sql://shop", now=datetime.fromtimestamp(NOW + 500, UTC), connections=shop.connections).kept == {}
    )
    assert shop.schemas() == []
    ledgers = [Path(t["ledger"]).name for m in (left, young, third) for t in m["trials"].values()]
    swept = sweep(shop.place / "shadow", now=time.time() + 10, ttl_seconds=5)
    assert sorted(swept) == sorted(f"tables/{n}" for n in ledgers)


def test_a_lane_that_is_over_drops_its_copies_unless_a_clone_may_still_read(shop, monkeypatch):
    monkeypatch.setattr(lane_sql, "url_of", shop.connections.__getitem__)
    made, said = shop.copy(), {"told": "accepted"}
    kept = lane_sql.drop_tables(made, {"v": {"base": said, "i0": said, "i1": None}})
    assert sorted(kept) == shop.schemas()
    assert set(kept.values()) == {"a clone left no record: it may still run"}
    assert lane_sql.drop_tables(made, {"v": {"base": said, "i0": said, "i1": said}}) == {}
    assert shop.schemas() == []
    assert lane_sql.drop_tables(made, {"v": {"base": said}}) == {}  # again: nothing is there
    assert lane_sql.drop_tables(None, {}) == lane_sql.drop_tables({"base": "a.csv"}, {}) == {}


def test_a_copy_that_somebody_reads_is_not_waited_for_for_ever(shop, monkeypatch):
    from pipechaos.batch import sql_postgres

    monkeypatch.setattr(sql_postgres, "_PATIENCE", "200ms")
    ref = refs(shop.copy(), "base")[0]
    with closing(psycopg.connect(shop.url)) as reader:
        reader.execute(f"SELECT count(*) FROM {ref.sql.schema}.orders")
        with pytest.raises(BatchError, match="lock timeout"):
            drop_copy(ref, connections=shop.connections)
    drop_copy(ref, connections=shop.connections)
    assert ref.sql.schema not in shop.schemas()


def test_a_copy_in_which_another_one_stands_by_now_is_no_copy(shop):
    first = refs(shop.copy(), "i0")[0]
    shop.run("UPDATE orders SET price = price + 1")
    second = refs(shop.copy(), "i0")[0]
    assert second.sql.schema == first.sql.schema
    check_copy(second, now=datetime.fromtimestamp(NOW, UTC), connections=shop.connections)
    with pytest.raises(ShadowError, match="has changed"):
        check_copy(first, now=datetime.fromtimestamp(NOW, UTC), connections=shop.connections)


def test_the_server_tells_who_read_a_copy(shop, monkeypatch):
    monkeypatch.setattr(sql_watch, "SETTLE_SECONDS", 0.5)
    made = shop.copy()
    base, nulls = refs(made, "base")[0], refs(made, "i0")[0]
    check_copy(base, now=datetime.fromtimestamp(NOW, UTC), connections=shop.connections)  # ours, before: does not count
    with sql_watch.watched([base], connections=shop.connections) as read:
        assert read() is False
        shop.run("SELECT count(*) FROM orders", f"SELECT count(*) FROM {nulls.sql.schema}.orders")
        assert read() is False
        shop.run(f"SELECT * FROM {base.sql.schema}.orders LIMIT 1")
        assert read() is True


def test_two_readers_of_one_copy_are_told_apart(shop, monkeypatch):
    monkeypatch.setattr(sql_watch, "SETTLE_SECONDS", 0.5)
    ref, waited, said = refs(shop.copy(), "base")[0], threading.Event(), []

    def other():
        with sql_watch.watched(
            [ref], connections=shop.connections, wait=lambda: (waited.set(), time.sleep(0.05))
        ) as read:
            said.append(read())

    with ExitStack() as stack:
        read = stack.enter_context(sql_watch.watched([ref], connections=shop.connections))
        thread = threading.Thread(target=other)
        thread.start()
        assert waited.wait(60)
        shop.run(f"SELECT count(*) FROM {ref.sql.schema}.orders")
        assert read() is True
        assert said == []
    thread.join(60)
    assert said == [False]


def test_a_late_count_is_not_the_next_readers(shop):
    """A server has the counts of a session that stays open some seconds later: by then another one is watched."""
    ref = refs(shop.copy(), "base")[0]
    with closing(psycopg.connect(shop.url, autocommit=True)) as first:
        with sql_watch.watched([ref], connections=shop.connections) as read:
            first.execute(f"SELECT count(*) FROM {ref.sql.schema}.orders")
            shop.run(f"SELECT count(*) FROM {ref.sql.schema}.orders")  # in a session that has ended
            assert read() is True

        def sleep(seconds):
            first.close()
            time.sleep(0.1)

        with sql_watch.watched([ref], connections=shop.connections, sleep=sleep) as read:
            assert read() is False


@pytest.mark.parametrize("when", ["shadow_schemas", "find_mark"])
def test_a_schema_that_goes_while_a_sweep_looks_is_no_error(shop, monkeypatch, when):
    """Another run drops its copies between the listing and the look, or in the middle of the look."""
    made = shop.copy()
    mine = getattr(sql_upkeep, when)

    def raced(session, *schema):
        if when == "shadow_schemas":
            found = mine(session)
        session.execute("SELECT count(*) FROM pg_catalog.pg_namespace")  # what the transaction sees is settled
        drop_copy(refs(made, "i0")[0], connections=shop.connections)
        return found if when == "shadow_schemas" else mine(session, *schema)

    monkeypatch.setattr(sql_upkeep, when, raced)
    swept = sweep_schemas("sql://shop", now=datetime.fromtimestamp(NOW + 500, UTC), connections=shop.connections)
    assert (len(swept.dropped), swept.kept) == (2, {})
    assert shop.schemas() == []


def test_a_sweep_that_cannot_look_says_so(shop, monkeypatch):
    shop.copy()

    def refused(session, schema):
        raise BatchError("no right to read")

    monkeypatch.setattr(sql_upkeep, "find_mark", refused)
    with pytest.raises(BatchError, match="no right"):
        sweep_schemas("sql://shop", now=datetime.fromtimestamp(NOW + 500, UTC), connections=shop.connections)


def test_ledgers_of_a_shadow_that_is_named_by_a_url(shop, monkeypatch):
    monkeypatch.chdir(shop.place)
    made = shop.copy(shadow=f"file://{shop.place}/by-url")
    assert Path(made["trials"]["i0"]["ledger"]).is_relative_to(shop.place / "by-url")
    assert not (shop.place / "file:").exists()
    with pytest.raises(ShadowError, match="is not local"):
        shop.copy(shadow="s3://bucket/shadow")


def test_history_is_read_as_the_table_is(shop, monkeypatch):
    shop.run("CREATE TABLE earlier AS SELECT id, price, DATE '2026-11-01' + id AS day FROM orders")
    shop.run("ALTER TABLE orders ADD day date DEFAULT '2026-11-30'")
    past, seen = sql_ref("earlier", connection_id="shop", key=["id"]).to_json(), []
    mine = lane_sql_copies.corrupt_table

    def noting(*args, **given):
        seen.extend(given["history"])
        return mine(*args, **given)

    monkeypatch.setattr(lane_sql_copies, "corrupt_table", noting)
    how = Declared(key=("id",), time="day", target=("price",), history=(past,))
    shop.copy(declared=how, plan={"i0": PLAN["i0"]})
    (batch,) = seen
    assert (batch.key, batch.time, batch.target, batch.table.num_rows) == (("id",), "day", ("price",), 100)


def test_a_file_that_is_locked_as_a_whole_needs_consent(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    lake = tmp_path / "lake.duckdb"
    with closing(duckdb.connect(str(lake))) as c:
        c.execute("CREATE TABLE orders AS SELECT i AS id, CAST(i AS DOUBLE) AS price FROM range(100) t(i)")
    given = sql_ref("orders", url=f"duckdb:///{lake}", key=["id"]).to_json()
    shop = Shop("", tmp_path)
    with pytest.raises(ConfigError, match="accept_locks=True"):
        shop.copy(given, table=None)
    assert not (tmp_path / "shadow").exists()
    assert set(shop.copy(given, table=None, accept_locks=True)["trials"]) == set(PLAN)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT * FROM sales.orders", True),
        ('SELECT * FROM "sales" . "orders"', True),
        ("select * from SALES.Orders o", True),
        ("SELECT * FROM presales.orders", False),
        ("SELECT * FROM sales.orders_2024", False),
        ("SELECT * FROM other.sales.orders", False),
        ("SELECT * FROM orders", False),
    ],
)
def test_sql_that_names_the_source(text, found):
    class Check:
        template_fields = ("sql", "parameters")
        parameters = None
        sql = text

    assert lane_sql._names(Check(), {"schema": "sales", "table": "orders"}) is found
    Check.sql, Check.parameters = "", {"a": [1, (text,)]}
    assert lane_sql._names(Check(), {"schema": "sales", "table": "orders"}) is found


def test_the_command_drops_copies_whose_time_is_over(shop, monkeypatch):
    from click.testing import CliRunner

    from pipechaos.cli.main import main

    monkeypatch.setenv("SHOP_PASSWORD", "secret")
    hidden = shop.url.replace(":secret@", ":${SHOP_PASSWORD}@")
    shop.clock = time.time() + 3600
    shop.copy(slot="young")
    shop.clock = time.time() - 3600
    old = [r.sql.schema for label in ("base", "i0", "i1") for r in refs(shop.copy(slot="old"), label)]

    def swept(*options):
        ran = CliRunner().invoke(main, ["sweep", *options, "--json", str(shop.place / "swept.json")])
        assert ran.exit_code == 0, ran.output
        return json.loads((shop.place / "swept.json").read_text())

    assert swept(hidden, "--dry-run") == {"deleted": [], "old": sorted(old), "kept": {}}
    assert len(shop.schemas()) == 6
    shop.run(f"CREATE VIEW kept AS SELECT * FROM {old[0]}.orders")
    found = swept(hidden)
    assert found["deleted"] == sorted(old[1:])
    assert list(found["kept"]) == old[:1]
    assert len(shop.schemas()) == 4
    refused = CliRunner().invoke(main, ["sweep", shop.url])
    assert refused.exit_code != 0
    assert "secret" not in refused.output
