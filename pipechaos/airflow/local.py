"""Run a DAG without a server: ``dag.test`` on a throw-away SQLite, in a process of its own.

Airflow reads its configuration when it is imported, so the environment is set before, in a child process; nothing of
the user's own Airflow is read or written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipechaos.errors import CannotRunError

__all__ = ["DagRun", "run_dag"]


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
        What the wanted tasks returned.
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
        Folder for Airflow's database and logs; made when missing.
    wanted
        Tasks whose return value is wanted back.
    env
        Variables for the child process.
    timeout_seconds
        Limit on the whole call.

    Raises
    ------
    CannotRunError
        Airflow did not get as far as running the DAG; the message ends with its last lines.
    """
    place = Path(home).resolve()
    place.mkdir(parents=True, exist_ok=True)
    answer = place / "runs.json"
    answer.unlink(missing_ok=True)
    request = {"dags": str(Path(dags).resolve()), "dag_id": dag_id, "confs": list(confs), "wanted": list(wanted)}
    command = [
        sys.executable,
        "-m",
        "pipechaos.airflow.local",
        "--answer",
        str(answer),
        "--request",
        json.dumps(request),
    ]
    with (place / "airflow.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(  # noqa: S603 - our own module, arguments as a list
            command,
            env={**os.environ, **_settings(place, str(request["dags"])), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
        )
    if not answer.is_file():
        tail = "\n".join((place / "airflow.log").read_text(encoding="utf-8").splitlines()[-15:])
        raise CannotRunError(
            f"Airflow ended with {done.returncode} before the DAG ran (log: {place}/airflow.log):\n{tail}"
        )
    return tuple(DagRun(**run) for run in json.loads(answer.read_text(encoding="utf-8")))


def _settings(home: Path, dags: str) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": dags,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__METRICS__STATSD_ON": "False",
    }


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answer", type=Path, required=True)
    parser.add_argument("--request", type=json.loads, required=True)
    given = parser.parse_args()
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    bag = DagBag(given.request["dags"])
    if bag.import_errors:
        raise SystemExit("\n".join(f"{file}: {text}" for file, text in bag.import_errors.items()))
    dag = bag.dags.get(given.request["dag_id"])
    if dag is None:
        raise SystemExit(
            f"no DAG {given.request['dag_id']!r} in {given.request['dags']}; there are: {', '.join(bag.dags)}"
        )
    runs = [_one(dag, conf, given.request["wanted"]) for conf in given.request["confs"]]
    waiting = given.answer.with_name(f".{given.answer.name}")
    waiting.write_text(json.dumps(runs, allow_nan=False), encoding="utf-8")
    waiting.replace(given.answer)


def _one(dag: Any, conf: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    run = dag.test(run_conf=dict(conf))
    instances = run.get_task_instances()
    states = {f"{t.task_id}[{t.map_index}]" if t.map_index >= 0 else t.task_id: str(t.state) for t in instances}
    results = {t.task_id: t.xcom_pull(task_ids=t.task_id) for t in instances if t.task_id in wanted}
    return {"conf": dict(conf), "state": str(run.state), "tasks": states, "results": results}


if __name__ == "__main__":
    _main()
