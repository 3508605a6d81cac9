"""Lanes round stages that write tables, in a stranger's DAG: PostgreSQL by connection id, DuckDB by reference."""

import json
from contextlib import closing
from urllib.parse import quote, urlsplit

import pytest

from pipechaos.testing.dag_runs import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1500)]

PASSWORD = "wHo-kNoWs:7%/@2"  # noqa: S105 - of a throw-away server

# As somebody without knowledge of pipechaos writes it.
STRANGER = '''
import json, os
from pathlib import Path

from airflow.providers.common.sql.operators.sql import (
    SQLCheckOperator, SQLColumnCheckOperator, SQLExecuteQueryOperator, SQLTableCheckOperator,
)
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import DAG, task

HOME = Path(os.environ["LANE_HOME"])
COUNT = "SELECT count(*) FROM orders WHERE price IS NULL"


def note(name, rows):
    with (HOME / name).open("a") as file:
        file.write(json.dumps([[int(n), float(s)] for n, s in rows]) + "\\n")


def column_check(name, **checks):
    return SQLColumnCheckOperator(
        task_id=name, conn_id="shop", table="orders", column_mapping={"price": checks.pop("price")}, **checks
    )


with DAG("shop", schedule=None) as dag:
    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="shop",
        sql=[
            "DELETE FROM orders",
            "INSERT INTO orders SELECT i, i * 0.5, 'city ' || CAST(i % 5 AS text) FROM generate_series(1, 200) AS g(i)",
        ],
    )

    @task
    def by_hook():
        assert PostgresHook("shop").get_first(COUNT)[0] == 0

    @task
    def by_engine():
        from sqlalchemy import text

        with PostgresHook("shop").get_sqlalchemy_engine().connect() as connection:
            assert connection.execute(text(COUNT)).scalar() == 0

    @task
    def publish():
        note("published", PostgresHook("shop").get_records("SELECT count(*), sum(price) FROM orders"))

    checks = [
        column_check("nulls", price={"null_check": {"equal_to": 0}}),
        column_check("top", price={"max": {"leq_to": 500}}),
        column_check("top_strict", price={"max": {"leq_to": 500}}, accept_none=False),
        SQLTableCheckOperator(
            task_id="count", conn_id="shop", table="orders", checks={"all_rows": {"check_statement": "COUNT(*) = 200"}}
        ),
        SQLTableCheckOperator.partial(task_id="mapped", conn_id="shop", table="orders").expand(
            checks=[{"rows": {"check_statement": "COUNT(*) = 200"}}, {"nulls": {"check_statement": "COUNT(price) > 0"}}]
        ),
        by_hook(),
    ]
    published = publish()
    load >> checks >> published

    @task
    def by_parts():
        return {"schema": "sales", "table": "orders"}

    @task
    def sneaky():
        assert PostgresHook("shop").get_first(COUNT.replace("orders", ".".join(["sales", "orders"])))[0] == 0

    @task
    def from_parts(parts):
        found = PostgresHook("shop_too").get_first(COUNT.replace("orders", f"{parts['schema']}.{parts['table']}"))
        assert found[0] == 0

    parts = by_parts()
    load >> parts
    strays = [
        SQLCheckOperator(task_id="qualified", conn_id="shop", sql="SELECT count(*) = 200 FROM sales.orders"),
        SQLCheckOperator(task_id="elsewhere", conn_id="shop_too", sql="SELECT count(*) = 200 FROM orders"),
        sneaky(),
        from_parts(parts),
        by_engine(),
    ]
    strayed = task(task_id="strayed")(lambda: None)()
    parts >> strays >> strayed

    @task
    def lake():
        from pipechaos.batch.sql import sql_ref

        return sql_ref("orders", url=f"duckdb:///{HOME}/lake.duckdb", key=["id"]).to_json()

    def nulls_in(connection, table):
        return connection.execute(f"SELECT count(*) FROM {table} WHERE price IS NULL").fetchone()[0]

    @task
    def duck(ref):
        import duckdb

        with duckdb.connect(f"{HOME}/lake.duckdb", read_only=True) as connection:
            assert nulls_in(connection, ".".join(filter(None, [ref["sql"]["schema"], ref["sql"]["table"]]))) == 0

    @task
    def duck_fixed():
        import duckdb

        with duckdb.connect(f"{HOME}/lake.duckdb", read_only=True) as connection:
            assert nulls_in(connection, "orders") == 0

    @task
    def duck_publish():
        import duckdb

        with duckdb.connect(f"{HOME}/lake.duckdb", read_only=True) as connection:
            note("duck_published", connection.execute("SELECT count(*), sum(price) FROM orders").fetchall())

    ref = lake()
    ducks = [duck(ref), duck_fixed()]
    ref >> ducks[1]
    duck_end = duck_publish()
    ducks >> duck_end

    @task
    def swept(ref):
        """Somebody drops the copy while this one has its search path on it: DuckDB then reads `main`."""
        import duckdb

        schema = ref["sql"]["schema"]
        with duckdb.connect(f"{HOME}/lake.duckdb") as connection:
            if schema:
                connection.execute(f"SET search_path = '{schema}'")
                connection.execute(f"DROP SCHEMA {schema} CASCADE")
            assert nulls_in(connection, "orders") == 0

    pond = lake.override(task_id="pond")()
    check_pond = swept(pond)
    end_pond = task(task_id="end_pond")(lambda: None)()
    check_pond >> end_pond
'''

LANES = """
    from pipechaos.airflow.lane import chaos_lane
    from pipechaos.airflow.operators import ChaosOperator, ValidateBatchOperator
    from pipechaos.inject import sql_watch

    sql_watch.SETTLE_SECONDS = 3.0  # nobody here keeps a session open

    NULLS = {"fault": "null.mcar", "columns": "price", "fraction": 0.3}
    DUCK = {"accept_locks": True}
    FOUR = [
        NULLS, {**NULLS, "fraction": 1.0}, {"fault": "rows.drop", "fraction": 0.5},
        {"fault": "schema.drop_column", "columns": "price"},
    ]
    ORDERS = {"connection_id": "shop", "schema": "sales", "table": "{{ 'orders' }}", "key": ["id"]}
    MORE = {"shadow": str(HOME / "shadow"), "key": ["id"], "enabled": True}
    chaos_lane(load, checks, published, injections=FOUR, table=ORDERS, **MORE)
    chaos_lane(parts, strays, strayed, injections=[NULLS], table=ORDERS, **MORE)
    chaos_lane(ref, ducks, duck_end, injections=[NULLS, {**NULLS, "fraction": 0.0}], **DUCK, **MORE)
    chaos_lane(pond, check_pond, end_pond, injections=[NULLS], **DUCK, **MORE)

    small = task(task_id="small")(lambda: None)()
    check_small = SQLCheckOperator(task_id="check_small", conn_id="shop", sql="SELECT count(*) > 0 FROM orders")
    end_small = task(task_id="end_small")(lambda: None)()
    load >> small >> check_small >> end_small
    chaos_lane(small, check_small, end_small, injections=[NULLS], table=ORDERS, max_rows=100, **MORE)

    @task
    def loses():  # somebody clears the folder with the ledgers before they are scored
        import shutil

        shutil.rmtree(HOME / "lost", ignore_errors=True)
        assert PostgresHook("shop").get_first(COUNT)[0] == 0

    loss = task(task_id="loss")(lambda: (HOME / "lost").mkdir(exist_ok=True))()
    losing = loses()
    end_loss = task(task_id="end_loss")(lambda: None)()
    load >> loss >> losing >> end_loss
    chaos_lane(loss, losing, end_loss, injections=[NULLS], table=ORDERS, **{**MORE, "shadow": str(HOME / "lost")})

    @task
    def table():
        from pipechaos.batch.sql import sql_ref

        return sql_ref("orders", connection_id="shop", schema="sales", key=["id"]).to_json()

    ours = {"validators": {"v": "callable:shop_suite:no_nulls"}, "code_roots": [str(HOME / "suite")], "gate": False,
            "results": str(HOME / "results")}
    tabled = table()
    load >> tabled
    broken = ChaosOperator(task_id="broken", batch=tabled, fault="null.mcar", columns="price", fraction=0.3,
                           shadow=str(HOME / "own"))
    base = ValidateBatchOperator(task_id="base", batch=tabled, **ours)
    judged = ValidateBatchOperator(task_id="judged", batch=broken.output, **ours)
"""

SUITE = """
def no_nulls(frame):
    return frame["price"].notna()
"""

GROUPS = ["load", "by_parts", "lake", "pond", "small"]
SUM = 0.5 * 200 * 201 / 2


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("tables")
    for folder in ("dags", "suite"):
        (home / folder).mkdir()
    (home / "dags" / "shop.py").write_text(STRANGER + LANES)
    (home / "suite" / "shop_suite.py").write_text(SUITE)
    duckdb = pytest.importorskip("duckdb")
    with closing(duckdb.connect(str(home / "lake.duckdb"))) as lake:
        lake.execute("CREATE TABLE orders AS SELECT CAST(i AS INTEGER) AS id, i * 0.5 AS price FROM range(1, 201) t(i)")
        lake.execute("ALTER TABLE orders ALTER price TYPE DOUBLE")
    return home


@pytest.fixture(scope="module")
def database(new_database):
    """Its own role, whose password would be told apart anywhere."""
    import psycopg

    url = new_database()
    with psycopg.connect(url, autocommit=True) as c:
        c.execute(f"CREATE ROLE lanes LOGIN PASSWORD '{PASSWORD}'")
        c.execute(f'GRANT CREATE ON DATABASE "{urlsplit(url).path[1:]}" TO lanes')
        c.execute("CREATE SCHEMA sales AUTHORIZATION lanes")
        c.execute("CREATE TABLE sales.orders (id integer PRIMARY KEY, price double precision, city varchar(20))")
        c.execute("ALTER TABLE sales.orders OWNER TO lanes")
    yield url
    with psycopg.connect(url, autocommit=True) as c:
        c.execute("DROP OWNED BY lanes CASCADE")
        c.execute("DROP ROLE lanes")


@pytest.fixture(scope="module")
def run(place, database):
    at = urlsplit(database)
    shop = {"conn_type": "postgres", "host": at.hostname, "port": at.port, "login": "lanes", "password": PASSWORD,
            "schema": at.path[1:], "extra": {"options": "-csearch_path=sales",
                                             "sqlalchemy_query": {"options": "-csearch_path=sales"}}}  # fmt: skip
    (found,) = run_dag(
        place / "dags",
        "shop",
        [{}],
        home=place / "airflow",
        wanted=[*(f"chaos_{g}.score" for g in GROUPS), "broken", "base", "judged"],
        env={
            "LANE_HOME": str(place),
            "AIRFLOW_CONN_SHOP": json.dumps(shop),
            "AIRFLOW_CONN_SHOP_TOO": json.dumps(shop),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        },
        timeout_seconds=1200,
    )
    return found


def outcomes(run, group):
    found = {}
    for line in run.results[f"chaos_{group}.score"]["outcomes"]:
        found.setdefault(line["validator"], []).append(line["outcome"])
    return found


def hows(run, group):
    return {line["validator"]: line["how"] for line in run.results[f"chaos_{group}.score"]["outcomes"]}


def test_the_teams_own_tasks_went_well(run):
    team = {t: s for t, s in run.tasks.items() if not t.startswith("chaos_")}
    assert set(team.values()) == {"success"}, team


def test_a_table_that_the_stage_writes_is_judged_by_fixed_names(run):
    """Some nulls, all null, half of the rows, no column."""
    assert outcomes(run, "load") == {
        "nulls": ["tp", "tp", "fn", "error"],
        "top": ["fn", "fn", "fn", "error"],  # an all-null column has max 0
        "top_strict": ["fn", "error", "fn", "error"],  # ... or crashes the check
        "count": ["fn", "fn", "tp", "fn"],
        "mapped": ["fn", "tp", "tp", "error"],  # by the second, the first; a crash of any
        "by_hook": ["tp", "tp", "fn", "error"],
    }
    controls = run.results["chaos_load.score"]["controls"]
    assert {c["outcome"] for c in controls} == {"tn"}


def test_what_read_the_source_is_flagged_and_not_scored(run):
    assert outcomes(run, "by_parts") == {
        "qualified": ["not_exercised"],
        "elsewhere": ["not_exercised"],
        "sneaky": ["not_exercised"],
        "from_parts": ["tp"],  # another connection, but the name is the copy's
        "by_engine": ["tp"],
    }
    said = hows(run, "by_parts")
    assert "name sales.orders" in said["qualified"]
    assert "asked for no connection" in said["elsewhere"]
    assert "did not read the copy" in said["sneaky"]


def test_duckdb_by_reference(run):
    assert outcomes(run, "lake") == {"duck": ["tp", "noop"], "duck_fixed": ["not_exercised", "not_exercised"]}
    assert {c["validator"]: c["outcome"] for c in run.results["chaos_lake.score"]["controls"]} == {
        "duck": "tn",
        "duck_fixed": "not_exercised",
    }


def test_a_copy_that_is_swept_under_its_reader_is_no_clean_verdict(run):
    assert outcomes(run, "pond") == {"swept": ["not_exercised"]}
    assert "is gone" in hows(run, "pond")["swept"]


def test_a_cap_skips_all_of_a_lane(run):
    score = run.results["chaos_small.score"]
    assert {line["outcome"] for line in score["outcomes"]} == {"not_exercised"}
    assert "more than 100 rows" in score["reason"]


def test_consumers_read_the_source_and_it_stands(run, place, database):
    import duckdb
    import psycopg

    assert json.loads((place / "published").read_text()) == [[200, SUM]]
    assert json.loads((place / "duck_published").read_text()) == [[200, SUM]]
    with psycopg.connect(database) as c:
        assert c.execute("SELECT count(*), sum(price), count(city) FROM sales.orders").fetchone() == (200, SUM, 200)
    with closing(duckdb.connect(str(place / "lake.duckdb"), read_only=True)) as c:
        assert c.execute("SELECT count(*), sum(price) FROM orders").fetchone() == (200, SUM)


def test_copies_are_gone_when_their_lane_is_over(run, place, database):
    import duckdb
    import psycopg

    asked = "SELECT DISTINCT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'pipechaos%'"
    with psycopg.connect(database) as c:
        left = [n for (n,) in c.execute(asked)]
    assert run.tasks["chaos_loss.score"] == "failed"  # its ledgers were gone; the copies go all the same
    assert left == [run.results["broken"]["batch"]["sql"]["schema"]]  # the operator's own, for a day
    with closing(duckdb.connect(str(place / "lake.duckdb"), read_only=True)) as c:
        assert c.execute(asked).fetchall() == []


def test_the_operators_take_a_table_by_its_connection(run):
    broken, judged = run.results["broken"], run.results["judged"]
    assert (broken["status"], broken["source"]["sql"]["schema"]) == ("applied", "sales")
    assert 30 < broken["changed"] < 90
    assert run.results["base"]["verdicts"]["v"]["status"] == "accepted"
    assert judged["verdicts"]["v"]["status"] == "rejected"


def test_no_password_is_anywhere(run, place):
    secrets = {PASSWORD.encode(), quote(PASSWORD, safe="").encode(), json.dumps(PASSWORD)[1:-1].encode()}
    files = [f for f in place.rglob("*") if f.is_file()]
    assert any(f.suffix == ".db" for f in files)
    assert any(b"Told rejected" in f.read_bytes() for f in files)  # the log is among them
    assert [str(f) for f in files if any(s in f.read_bytes() for s in secrets)] == []
    assert not any(s.decode() in repr(run) for s in secrets)
