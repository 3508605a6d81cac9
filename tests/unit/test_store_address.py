"""Where a store is, and that nobody reads its password."""

import subprocess
import sys

import pytest

from pipechaos.errors import ConfigError
from pipechaos.store.address import parse_address

PG = "postgresql+psycopg://"


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("runs.db", "runs.db"),
        ("sqlite:///runs.db", "runs.db"),
        ("sqlite:////var/lib/runs.db", "/var/lib/runs.db"),
        ("sqlite+pysqlite:///a/b.db?timeout=3", "a/b.db"),
        ("${HOME}/runs.db", "/home/us@er/runs.db"),
        ("sqlite:///${HOME}/runs.db", "/home/us@er/runs.db"),
        ("a@b/${NAME}.db", "a@b/x.db"),
    ],
)
def test_files(given, file):
    found = parse_address(given, {"HOME": "/home/us@er", "NAME": "x"})
    assert (str(found.file), found.shown, found.url) == (file, file, "")


@pytest.mark.parametrize(
    ("given", "url", "shown"),
    [
        ("postgresql://u:p@h:5/d", "u:p@h:5/d", "u:***@h:5/d"),
        ("postgres://u@h/d", "u@h/d", "u@h/d"),
        ("postgresql+psycopg://h/d", "h/d", "h/d"),
        ("postgresql://${USER}:${PW}@${HOST}/d", "me%40work:a%40b%2Fc%3Ad@db.local/d", "me%40work:***@db.local/d"),
        ("${URL}", "u:topsecret@h/d", "u:***@h/d"),
        ("postgresql://u:a@b@h/d", "u:a@b@h/d", "u:***@h/d"),
        ("postgresql://u:p@h/d?sslpassword=q&x=1", "u:p@h/d?sslpassword=q&x=1", "u:***@h/d?sslpassword=***&x=1"),
        ("postgresql://h/d?user=u&password=q", "h/d?user=u&password=q", "h/d?user=u&password=***"),
    ],
)
def test_servers(given, url, shown):
    env = {"USER": "me@work", "PW": "a@b/c:d", "HOST": "db.local", "URL": "postgres://u:topsecret@h/d"}
    found = parse_address(given, env)
    assert (found.url, found.shown, found.file) == (PG + url, PG + shown, None)
    for secret in ("topsecret", "a%40b", "a@b", "=q"):
        assert secret not in repr(found)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("mysql://u:hunter2@h/d", "a store at mysql:// is not known"),
        ("postgresql://u:${GONE}@h/d", "the environment variable GONE, which is not set"),
        ("sqlite://", "in memory is gone"),
        ("sqlite:///:memory:", "in memory is gone"),
        (":memory:", "in memory is gone"),
        ("", "in memory is gone"),
        (".", "is a folder: give the path of a SQLite file"),
    ],
)
def test_what_cannot_be_a_store(given, says):
    with pytest.raises(ConfigError) as caught:
        parse_address(given, {})
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "address", "says"),
    [
        ("sqlalchemy", "runs.db", "pip install 'pipechaos[store]'"),
        ("alembic", "runs.db", "pip install 'pipechaos[store]'"),
        ("psycopg", "postgresql://h/d", "pip install 'pipechaos[postgres]'"),
    ],
)
def test_a_missing_library_names_its_extra(missing, address, says, tmp_path):
    code = f"import sys; sys.modules[{missing!r}] = None; from pipechaos.store.opening import open_store\n"
    code += f"try:\n    open_store({address!r})\nexcept Exception as exc:\n    print(type(exc).__name__, exc)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert out.stdout.startswith("MissingExtraError")
    assert missing in out.stdout
    assert says in out.stdout


def test_a_campaign_and_the_recorder_need_no_sqlalchemy():
    code = "import sys, pipechaos.campaign.run, pipechaos.store.opening, pipechaos.store.recorder\n"
    code += (
        "import pipechaos.cli.history, pipechaos.cli.compare, pipechaos.cli.export\nprint('sqlalchemy' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("given", ["postgresql:/u:s3cr3t@h/db", "postgresql+psycopg:u:s3cr3t@h/db", "sqlite:/runs.db"])
def test_a_slash_too_few_makes_no_file_and_repeats_no_password(given):
    with pytest.raises(ConfigError, match="two slashes") as caught:
        parse_address(given)
    assert "s3cr3t" not in str(caught.value)


def test_a_drive_is_no_scheme():
    assert parse_address("C:/runs.db").file.name == "runs.db"
