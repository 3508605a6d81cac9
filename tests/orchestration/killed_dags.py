"""DAGs whose tasks are ended in the middle of their work, copied by their test beside the data they use."""

import hashlib
import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from airflow.sdk import DAG, task

from pipechaos.airflow.lane import chaos_lane
from pipechaos.airflow.operators import ChaosOperator

HOME = Path(__file__).parents[1]
BATCH = str(HOME / "lake" / "features" / "date=2013-06-03" / "part-0.parquet")
NULLS = {"fault": "null.mcar", "columns": "x", "fraction": 0.3}
ONCE_MORE = {"retries": 1, "retry_delay": timedelta(seconds=1), "execution_timeout": timedelta(minutes=20)}


def stay(name, **said):
    """Tell the test that the middle is reached, and stay there until it says go."""
    waiting = HOME / "marks" / f".{name}"
    waiting.write_text(json.dumps({"pid": os.getpid(), **said}))
    waiting.rename(waiting.with_name(name))
    if name.endswith("timed_out"):
        signal.setitimer(signal.ITIMER_REAL, 0.1)  # Airflow's own clock for the task, put forward
    wait_for(f"{name}.go")


def wait_for(name):
    for _ in range(6000):
        if (HOME / "marks" / name).exists():
            return
        time.sleep(0.1)


def half_way(context):
    """Before the work of a first try: what writes Parquet stops in the middle of a file."""
    if context["ti"].try_number > 1:
        return

    class Half(pq.ParquetWriter):
        def write_table(self, table, **options):
            super().write_table(table.slice(0, table.num_rows // 2), **options)
            stay(context["ti"].dag_id)

    pq.ParquetWriter = Half


def change(name, number):
    """Put a corrupted copy in the place of a file that others read, and stay there."""
    from pipechaos.airflow.tasks import corrupt_batch
    from pipechaos.safety.journal import Journal
    from pipechaos.safety.live import changed_file

    if number > 1:
        wait_for(f"{name}.recovered")
    live = HOME / "live" / f"{name}.parquet"
    copy = corrupt_batch(str(live), **NULLS, key=["id"], shadow=str(HOME / "live-shadow" / name))
    content = Path(copy["batch"]["uri"]).read_bytes()

    def write(to):
        if name == "live_half_written" and number == 1:
            to.write_bytes(content[: len(content) // 2])
            stay(name, seen=hashlib.sha256(content).hexdigest())
        to.write_bytes(content)

    journal = Journal(HOME / "journals" / f"{name}.jsonl", owner=name)
    backups = HOME / "backups" / name
    with changed_file(journal, live, write, backups=backups, lease_seconds=3600):
        seen = hashlib.sha256(live.read_bytes()).hexdigest()
        if number == 1:
            stay(name, seen=seen)
    return seen


for end in ("killed", "timed_out"):
    with DAG(f"writing_{end}", schedule=None):
        ChaosOperator(
            task_id="corrupt",
            batch=BATCH,
            key=["id"],
            shadow=str(HOME / f"shadow-{end}"),
            pre_execute=half_way,
            **NULLS,
            **ONCE_MORE,
        )

for end in ("killed", "with_its_worker", "half_written", "terminated", "timed_out", "halted"):
    with DAG(f"live_{end}", schedule=None):

        @task(task_id="change", **ONCE_MORE)
        def changing(ti=None):
            return change(ti.dag_id, ti.try_number)

        changing()

with DAG("lane_with_its_worker", schedule=None, default_args={"retries": 0}):

    @task
    def features():
        return BATCH

    @task
    def validate(path):
        import pandas as pd

        if pd.read_parquet(path)["x"].isna().any():
            raise ValueError("nulls in x")

    @task
    def publish(path):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    path = features()
    checked, published = validate(path), publish(path)
    checked >> published
    lane = chaos_lane(
        path,
        checked,
        published,
        injections=[NULLS],
        shadow=str(HOME / "killed-lane"),
        key=["id"],
        rejects=["ValueError"],
        enabled=True,
    )
    lane.copies._pre_execute_hook = half_way
