"""A store that an Airflow connection names: its address, whatever the password holds, and no word of it anywhere."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from pipechaos.airflow.stores import check_store, needed_store, store_of
from pipechaos.errors import ConfigError
from pipechaos.store.address import parse_address
from pipechaos.store.opening import open_store
from pipechaos.store.records import StoreError

PLAIN = "pw-of-the-store"
HARD = "p@ss:w/ord?#%25${HOME} \u20ac"


@pytest.fixture
def connection(monkeypatch):
    """Stands for ``airflow.sdk.Connection``: ``connection(**fields)`` is what it finds under ``drills``."""
    held = {}

    def fields(**given):
        nothing = dict.fromkeys(("host", "port", "login", "password", "schema"))
        held["drills"] = SimpleNamespace(**{"conn_type": "postgres", "extra_dejson": {}, **nothing, **given})

    sdk = ModuleType("airflow.sdk")
    sdk.Connection = SimpleNamespace(get=held.__getitem__)
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    return fields


def test_a_password_of_any_characters_arrives_as_it_is(connection):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    connection(host="db", port=5433, login="me@corp", password=HARD, schema="re sults")
    address = parse_address(store_of(None, "drills"), {"HOME": "not this"})
    url = sqlalchemy.make_url(address.url)
    assert (url.username, url.password, url.host, url.port) == ("me@corp", HARD, "db", 5433)
    assert address.shown == "postgresql+psycopg://me%40corp:***@db:5433/re%20sults"


def test_what_else_the_connection_says_of_its_server_is_kept_and_foreign_keys_are_not(connection):
    extra = {"sslmode": "verify-full", "sslrootcert": "/etc/ca file.pem", "cursor": "dictcursor"}
    connection(conn_type="postgresql", login="me", schema="results", extra_dejson=extra)
    assert store_of(None, "drills") == (
        "postgresql://me@localhost/results?sslmode=verify-full&sslrootcert=%2Fetc%2Fca%20file.pem"
    )


def test_a_socket_is_named_by_its_folder(connection):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    conninfo = pytest.importorskip("psycopg.conninfo")
    connection(host="/run/post gres", port=5433, login="me", password=HARD, schema="results")
    address = parse_address(store_of(None, "drills"), {"HOME": "not this"})
    (arguments, given) = sqlalchemy.create_engine(address.url).dialect.create_connect_args(
        sqlalchemy.make_url(address.url)
    )
    wanted = {"host": "/run/post gres", "port": "5433", "user": "me", "password": HARD, "dbname": "results"}
    assert {k: str(v) for k, v in given.items() if k in wanted} == wanted
    assert arguments == []
    assert conninfo.conninfo_to_dict(store_of(None, "drills")) == wanted


def test_a_file_is_the_host_of_a_sqlite_connection(connection):
    connection(conn_type="sqlite", host="/srv/runs.db")
    assert store_of(None, "drills") == "/srv/runs.db"


@pytest.mark.parametrize("fields", [{"conn_type": "mysql", "host": "db"}, {"conn_type": "sqlite"}])
def test_another_type_is_refused_without_its_password(connection, fields):
    connection(**fields, password=HARD)
    with pytest.raises(ConfigError, match="connection 'drills' is of type") as caught:
        needed_store(None, "drills")
    assert HARD not in str(caught.value)


def test_a_connection_that_cannot_be_looked_up_is_told_without_what_the_backend_said(connection, monkeypatch):
    def broken(conn_id):
        raise RuntimeError(f"vault: {HARD}")

    monkeypatch.setattr(sys.modules["airflow.sdk"], "Connection", SimpleNamespace(get=broken))
    with pytest.raises(ConfigError, match=r"connection 'drills' cannot be looked up \(RuntimeError\)") as caught:
        store_of(None, "drills")
    assert caught.value.__suppress_context__


def test_a_login_whose_password_does_not_last_is_refused(connection):
    connection(host="db", login="me", schema="results", extra_dejson={"iam": True}, conn_id="drills")
    with pytest.raises(ConfigError, match="connection 'drills' logs in by IAM"):
        store_of(None, "drills")


def test_a_server_that_is_not_there_is_told_without_the_password(connection):
    pytest.importorskip("psycopg")
    connection(host="127.0.0.1", port=1, login="me", password=PLAIN, schema="results")
    with pytest.raises(StoreError) as caught:
        open_store(store_of(None, "drills"))
    error, said = caught.value, []
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    assert PLAIN not in " ".join(said)
    assert "127.0.0.1" in said[0]


def test_a_store_is_named_once():
    assert store_of("runs.db", None) == "runs.db"
    assert store_of(None, None) is None
    with pytest.raises(ConfigError, match="both given"):
        store_of("runs.db", "drills")
    for needed in (lambda: check_store(None, None, needed=True), lambda: needed_store(None, None)):
        with pytest.raises(ConfigError, match="no store is named"):
            needed()
