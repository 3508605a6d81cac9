"""A DAG as somebody writes it who has never heard of pipechaos, and plans for it."""

import hashlib
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

STRANGER = '''
import hashlib, os
from pathlib import Path

from airflow.providers.standard.operators.python import PythonOperator, ShortCircuitOperator
from airflow.sdk import DAG, task

HOME = Path(os.environ["PLACE"])
FEATURES = str(HOME / "features" / "date=2013-06-03" / "part-0.parquet")


def note(name, path):
    with (HOME / name).open("a") as file:
        file.write(hashlib.sha256(Path(path).read_bytes()).hexdigest() + "\\n")


def x_of(path):
    import pandas as pd

    return pd.read_parquet(path)["x"]


def by_code(ti):
    if x_of(ti.xcom_pull(task_ids="load")).isna().any():
        raise ValueError("nulls in x")


def same(path):
    return path


def whole(path):
    return bool(x_of(path).notna().all())


def change():
    """The team's own work; it takes a while, and meanwhile somebody changes the plan."""
    script = HOME / "meanwhile.py"
    if script.exists():
        exec(script.read_text(), {"HOME": HOME})


with DAG("stranger", schedule=None, default_args={"owner": "features-team"}) as the_dag:

    @task
    def features():
        return FEATURES

    @task
    def validate(path):
        assert x_of(path).notna().all(), "nulls in x"

    @task
    def publish(path):
        note("published", path)

    path = features()
    checked, published = validate(path), publish(path)
    checked >> published

    loaded = PythonOperator(task_id="load", python_callable=same, op_args=["{{ dag_run.conf['file'] }}"])
    pulled = "{{ ti.xcom_pull(task_ids='load') }}"
    classic = [
        PythonOperator(task_id="by_code", python_callable=by_code),
        ShortCircuitOperator(task_id="whole", python_callable=whole, op_args=[pulled]),
    ]
    deliver = PythonOperator(task_id="deliver", python_callable=note, op_args=["delivered", pulled])
    loaded >> classic >> deliver

    changed = PythonOperator(task_id="change", python_callable=change)

    def stretch(name, after=None, check=False, path=FEATURES):
        made = PythonOperator(task_id=name, python_callable=same, op_args=[path])
        read = PythonOperator(task_id=f"read_{name}", python_callable=note, op_args=[f"by_{name}", made.output])
        if check:
            made >> PythonOperator(task_id=f"check_{name}", python_callable=print, op_args=[made.output]) >> read
        if after is not None:
            after >> made

    stretch("late", after=changed, check=True)
    stretch("plain")
    stretch("rendered", path="{{ dag_run.conf['file'] }}")
    stretch("halted")
    stretch("wrong")
    stretch("nothing")
    stretch("forgotten", after=changed)
    stretch("torn", check=True)
    clean = PythonOperator(task_id="clean", python_callable=print).as_teardown()
    the_dag.get_task("check_torn") >> clean

    @task(multiple_outputs=True)
    def keyed():
        return {"path": FEATURES, "rows": 200}

    @task
    def read_keyed(path, rows):
        note("by_keyed", path)
        return rows

    parts = keyed()
    read_keyed(parts["path"], parts["rows"])
    task(task_id="mapped")(lambda n: str(n)).expand(n=[1, 2])
'''

NULLS = {"fault": "null.mcar", "columns": "x", "fraction": 0.3}
THREE = [NULLS, {**NULLS, "columns": "s"}, {**NULLS, "fraction": 0.0}]


def _lane(place, stage, validators, consumer, **more):
    return {
        "dag": "stranger",
        "stage": stage,
        "mode": "shadow",
        "validators": validators,
        "consumer": consumer,
        "injections": THREE,
        "shadow": f"{place}/shadow",
        "key": "id",
        **more,
    }


def _live(place, stage, **more):
    return {
        "dag": "stranger",
        "stage": stage,
        "mode": "live",
        "injections": [NULLS],
        "shadow": f"{place}/shadow",
        "key": ["id"],
        "halt_file": f"{place}/halt",
        **more,
    }


@pytest.fixture(scope="session")
def plans():
    """How plans are made: ``lane``, ``live``, ``write(file, stretches, **top)`` and the injections."""

    def write(file, stretches, expires="2999-01-01T00:00:00Z", **top):
        file.write_text(json.dumps({"expires": expires, "stretches": stretches, **top}))
        return str(file)

    return SimpleNamespace(lane=_lane, live=_live, write=write, nulls=NULLS, three=THREE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with the data and the DAG: ``.home``, ``.digest`` of the data."""
    home = tmp_path_factory.mktemp("policy")
    file = home / "features" / "date=2013-06-03" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    numbers = [float(i) for i in range(200)]
    pq.write_table(pa.table({"id": range(200), "x": numbers, "s": [f"s{i % 7}" for i in range(200)]}), file)
    (home / "dags").mkdir()
    (home / "dags" / "stranger.py").write_text(STRANGER)
    return SimpleNamespace(home=home, file=str(file), digest=hashlib.sha256(file.read_bytes()).hexdigest())
