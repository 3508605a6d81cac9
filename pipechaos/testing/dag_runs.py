"""Run a DAG without a server: ``dag.test`` on a throw-away SQLite, in a process of its own.

Airflow reads its configuration when it is imported, so the environment is set before, in a child process; nothing of
the user's own Airflow is read or written: its variables (``AIRFLOW_...``, connections too) do not reach the child.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipechaos.errors import CannotRunError

__all__ = ["DagRun", "run_dag"]

_DATABASE = "throw-away.db"


@dataclass(frozen=True, kw_only=True)
class DagRun:
    """One finished run.

    Attributes
    ----------
    conf
        What it was run with.
    state
        Its final state.
    tasks
        State of each task instance, ``id`` or ``id[map index]``.
    results
        What the wanted tasks returned; a list for mapped ones, None for what returned nothing.
    """

    conf: Mapping[str, Any]
    state: str
    tasks: Mapping[str, str]
    results: Mapping[str, Any]


def run_dag(
    dags: str | Path,
    dag_id: str,
    confs: Sequence[Mapping[str, Any]],
    *,
    home: str | Path,
    wanted: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 900,
) -> tuple[DagRun, ...]:
    """Run a DAG once for each configuration, one after the other.

    Parameters
    ----------
    dags
        Folder of DAG files.
    dag_id
        Which DAG.
    confs
        Run configurations.
    home
        Folder for Airflow's database and logs; made when missing. Its database is made anew on every call.
    wanted
        Tasks whose return value is wanted back.
    env
        Variables for the child process, over our own settings.
    timeout_seconds
        Limit on the whole call.

    Raises
    ------
    CannotRunError
        Airflow did not get to the end of the runs, or not in time; the message ends with its last lines. A run whose
        tasks failed is no error: see its state.
    """
    place = Path(home).resolve()
    place.mkdir(parents=True, exist_ok=True)
    answer, log_file = place / "runs.json", place / "airflow.log"
    for old in (answer, place / _DATABASE):
        old.unlink(missing_ok=True)
    request = {"dags": str(Path(dags).resolve()), "dag_id": dag_id, "confs": list(confs), "wanted": list(wanted)}
    command = [
        sys.executable,
        "-m",
        "pipechaos.testing.dag_runs",
        "--answer",
        str(answer),
        "--request",
        json.dumps(request),
    ]
    ended = f"did not end within {timeout_seconds:g} seconds"
    with log_file.open("w", encoding="utf-8") as log, suppress(subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - our own module, arguments as a list
            command,
            env={**_without_airflow(os.environ), **_settings(place, str(request["dags"])), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
        )
        ended = f"ended with {done.returncode} before the runs of {dag_id!r} were over"
    if not answer.is_file():
        tail = "\n".join(log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise CannotRunError(f"Airflow {ended} (log: {log_file}):\n{tail}")
    return tuple(DagRun(**run) for run in json.loads(answer.read_text(encoding="utf-8")))


def _without_airflow(environ: Mapping[str, str]) -> dict[str, str]:
    """Environment without what is meant for another Airflow: settings, connections, variables, secrets."""
    return {k: v for k, v in environ.items() if not k.startswith(("AIRFLOW_", "_AIRFLOW_"))}


def _settings(home: Path, dags: str) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": dags,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / _DATABASE}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__METRICS__STATSD_ON": "False",
        "PYTHONDONTWRITEBYTECODE": "1",  # the folder of DAGs is only read
    }


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answer", type=Path, required=True)
    parser.add_argument("--request", type=json.loads, required=True)
    given = parser.parse_args()
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ModuleNotFoundError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    _one_api_for_all_tasks()
    bag = DagBag(given.request["dags"])
    if bag.import_errors:
        raise SystemExit("\n".join(f"{file}: {text}" for file, text in bag.import_errors.items()))
    dag = bag.dags.get(given.request["dag_id"])
    if dag is None:
        raise SystemExit(
            f"no DAG {given.request['dag_id']!r} in {given.request['dags']}; there are: {', '.join(sorted(bag.dags))}"
        )
    runs = [_one(dag, conf, given.request["wanted"]) for conf in given.request["confs"]]
    waiting = given.answer.with_name(f".{given.answer.name}")
    waiting.write_text(json.dumps(runs, allow_nan=False), encoding="utf-8")
    waiting.replace(given.answer)


def _one_api_for_all_tasks() -> None:
    """Airflow 3.1 makes its execution API anew for each task of ``dag.test``, seconds apiece; later ones keep one."""
    from airflow.sdk.execution_time import supervisor

    if not hasattr(supervisor.in_process_api_server, "cache_info"):
        supervisor.in_process_api_server = cache(supervisor.in_process_api_server)


def _one(dag: Any, conf: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    run = dag.test(run_conf=dict(conf))
    instances = run.get_task_instances()
    states = {f"{t.task_id}[{t.map_index}]" if t.map_index >= 0 else t.task_id: str(t.state) for t in instances}
    results: dict[str, Any] = {}
    for t in sorted(instances, key=lambda t: t.map_index):
        if t.task_id in wanted:
            value = t.xcom_pull(task_ids=t.task_id, map_indexes=t.map_index)
            if t.map_index < 0:
                results[t.task_id] = value
            else:
                results.setdefault(t.task_id, []).append(value)
    return {"conf": dict(conf), "state": str(run.state), "tasks": states, "results": results}


if __name__ == "__main__":
    _main()
