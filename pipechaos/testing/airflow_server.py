"""A real Airflow for tests: api-server, scheduler and DAG processor on loopback, stopped whatever happens.

LocalExecutor on a throw-away SQLite, or CeleryExecutor on PostgreSQL and Redis. Nothing of the user's own Airflow is
read or written: its variables do not reach the processes, and they listen on nothing but 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.error import URLError

from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.testing.airflow_rest import AirflowServer, until
from pipechaos.testing.local_servers import free_port

__all__ = ["WORKER", "airflow_server", "processes_of", "still_running"]

WORKER = "celery worker"

_STOP_SECONDS = 20


@contextlib.contextmanager
def airflow_server(
    dags: str | Path,
    *,
    home: str | Path,
    users: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    components: Iterable[str] = ("scheduler", "dag-processor"),
    database_url: str | None = None,
    broker_url: str | None = None,
    timeout_seconds: float = 600,
) -> Iterator[AirflowServer]:
    """Start a real Airflow, wait until it is healthy, and stop all of it at the end, also on failure.

    Parameters
    ----------
    dags
        Folder of DAG files.
    home
        Folder for its database, configuration and logs; made when missing.
    users
        Role of each user by name (``admin``, ``op``, ``user``, ``viewer``, or empty for none); ``{"admin": "admin"}``
        by default.
    env
        Variables for its processes, over our own settings.
    components
        Beside the API server; add ``triggerer`` for deferred tasks.
    database_url
        An empty database, ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; a SQLite file in ``home`` by default.
    broker_url
        Redis for Celery: tasks are then run by a Celery worker, one more component, which wants ``database_url`` too.
    timeout_seconds
        Limit on the start.

    Yields
    ------
    AirflowServer
        Its ``restart`` ends what is left of a component, for instance of one that was killed, and starts it again.

    Raises
    ------
    ConfigError
        A broker without a database server: Celery's workers cannot share a SQLite.
    CannotRunError
        It did not become healthy; the message ends with the last lines of the component that failed.
    """
    if broker_url and not database_url:
        raise ConfigError("broker_url without database_url: Celery's results need a PostgreSQL, no SQLite")
    place = Path(home).resolve()
    (place / "logs").mkdir(parents=True, exist_ok=True)
    roles = dict(users or {"admin": "admin"})
    passwords = {name: secrets.token_urlsafe(12) for name in roles}
    (place / "passwords.json").write_text(json.dumps(passwords) + "\n", encoding="utf-8")
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    settings = _settings(place, Path(dags).resolve(), port, roles)
    full = {**kept, **settings, **_backends(database_url, broker_url), **(env or {})}
    _migrate(place, full, timeout_seconds)
    running: dict[str, subprocess.Popen[bytes]] = {}

    def restart(name: str) -> None:
        _stop({name: running[name]})
        running[name] = _start(name, place, full)

    try:
        for name in ("api-server", *components, *([WORKER] if broker_url else [])):
            running[name] = _start(name, place, full)
        server = AirflowServer(
            url=f"http://127.0.0.1:{port}",
            home=place,
            passwords=passwords,
            process_ids=lambda: {name: process.pid for name, process in running.items()},
            restart=restart,
        )
        _wait_healthy(server, running, timeout_seconds)
        yield server
    finally:
        _stop(running)


def processes_of(leaders: Iterable[int]) -> frozenset[tuple[int, int]]:
    """Given processes and all that came of them, on Linux: id and start time, which together name one for good.

    Descendants, and members of a session that one of them leads: a child whose parent has ended is nobody's descendant.
    """
    roots = set(leaders)
    table = dict(_process_table())
    found = {pid for pid, (_, session, _) in table.items() if pid in roots or session in roots}
    while more := {pid for pid, (parent, _, _) in table.items() if parent in found} - found:
        found |= more
    return frozenset((pid, table[pid][2]) for pid in found)


def still_running(processes: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Those of :func:`processes_of` that have not ended."""
    now = {(pid, begun) for pid, (_, _, begun) in _process_table()}
    return frozenset(now & set(processes))


def _process_table() -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Parent, session and start time of each process; a zombie has ended."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] != "Z":
                yield int(entry.name), (int(fields[1]), int(fields[3]), int(fields[19]))


def _settings(home: Path, dags: Path, port: int, roles: Mapping[str, str]) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in roles.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        # a writer waits 5 s for another one by itself, and then the database is "locked"
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'throw-away.db'}?timeout=120",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "240",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "180",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # a halted task notices soon
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",  # 5 s fail tasks on a busy machine
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__METRICS__STATSD_ON": "False",
        "PYTHONDONTWRITEBYTECODE": "1",  # the folder of DAGs is only read
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _backends(database_url: str | None, broker_url: str | None) -> dict[str, str]:
    if database_url is None:
        return {}
    address = database_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
    if broker_url is None:
        return database
    return {
        **database,
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": broker_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{address}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
        "AIRFLOW__CELERY__WORKER_ENABLE_REMOTE_CONTROL": "False",  # nobody asks it anything
    }


def _migrate(home: Path, env: Mapping[str, str], timeout_seconds: float) -> None:
    ended = f"did not end within {timeout_seconds:g} seconds"
    with (home / "migrate.log").open("wb") as log, contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            cwd=home,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
        )
        if done.returncode == 0:
            return
        ended = f"ended with {done.returncode}"
    raise CannotRunError(f"airflow db migrate {ended}:\n{_tail(home / 'migrate.log')}")


def _start(name: str, home: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # servers of logs would listen on every interface, whatever the settings say
    quiet = ["--skip-serve-logs"] if name in ("scheduler", "triggerer", WORKER) else []
    alone = ["--without-mingle", "--without-gossip"] if name == WORKER else []
    with _log(home, name).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "airflow", *name.split(), *quiet, *alone],
            cwd=home,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, that can be killed as one
        )


def _wait_healthy(server: AirflowServer, running: Mapping[str, subprocess.Popen[bytes]], seconds: float) -> None:
    # a worker has no place in the answer: it takes tasks when it is ready, and one that has ended is seen
    wanted = {"metadatabase", *(name.replace("-", "_") for name in running if name not in ("api-server", WORKER))}
    said = "nothing"
    for _ in until(seconds):
        for name, process in running.items():
            if process.poll() is not None:
                said = _tail(_log(server.home, name))
                raise CannotRunError(f"airflow {name} ended with {process.returncode}:\n{said}")
        with contextlib.suppress(URLError, OSError):
            found = server.ask("GET", "/api/v2/monitor/health", timeout_seconds=10)
            said = found.body
            if found.status == 200 and all(found.document[w]["status"] == "healthy" for w in wanted):
                server.ask("GET", "/execution/health")  # what tasks ask is built with its first request, in seconds
                return
    logs = "\n".join(f"{name}: {_tail(_log(server.home, name))}" for name in running)
    raise CannotRunError(f"Airflow was not healthy within {seconds:g} seconds; it said {said}\n{logs}")


def _stop(running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    leaders = [process.pid for process in running.values()]
    family = processes_of(leaders)
    for name, process in running.items():
        if process.poll() is None:
            # SIGTERM would leave children behind; a worker would wait for its tasks on any other signal than SIGQUIT
            process.send_signal(signal.SIGQUIT if name == WORKER else signal.SIGINT)
    for _ in until(_STOP_SECONDS):
        family |= processes_of(leaders)  # a task begins while others end, and leads a session of its own
        if all(process.poll() is not None for process in running.values()):
            break
    for _ in until(_STOP_SECONDS):
        left = still_running(family | processes_of(leaders))
        family |= processes_of(pid for pid, _ in left)
        if not left:
            break
        for pid, _ in still_running(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in running.values():
            process.poll()  # a zombie of ours is reaped
    for process in running.values():
        process.wait()


def _log(home: Path, name: str) -> Path:
    return home / f"{name.replace(' ', '-')}.log"


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
