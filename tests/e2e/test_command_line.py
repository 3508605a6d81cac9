"""The command line on somebody's own files: init, plan, run, score, replay, inject, validate, and every exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

SUITE = """
import pandas as pd
import pandera.pandas as pa

schema = pa.DataFrameSchema({
    "id": pa.Column("int64", unique=True),
    "amount": pa.Column("float64", pa.Check.in_range(0, 1000), nullable=True),
    "kind": pa.Column(str, pa.Check.isin(["a", "b"])),
})

def accepts_all(frame):
    return True
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(5)
    for day in range(1, 13):
        file = place / "lake" / f"date=2024-05-{day:02}" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        columns = {"id": np.arange(80) + 100 * day, "amount": rng.uniform(10, 90, 80), "kind": ["a", "b"] * 40}
        pq.write_table(pa.table(columns), file)
    (place / "suites.py").write_text(SUITE)
    return place


def pipechaos(home, *arguments, code=0, env=None):
    done = subprocess.run(
        [sys.executable, "-m", "pipechaos", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def experiment(home, name, **changes):
    base = {
        "name": "own",
        "batches": ["lake/date=*"],
        "key": ["id"],
        "history": {"count": 2},
        "validators": [{"name": "own", "spec": "pandera:suites:schema"}],
        "faults": [{"fault": "null.mcar", "columns": ["kind"]}, {"fault": "relation.shuffle", "columns": ["amount"]}],
        "severities": [5],
    }
    (home / name).write_text(yaml.safe_dump({**base, **changes}))
    return name


def snapshot(home):
    return {str(p): p.stat().st_mtime_ns for p in sorted(home.rglob("*")) if "__pycache__" not in str(p)}


def test_init_plan_run_score_replay(home):
    pipechaos(home, "init", "lake/date=*", "--schema", "suites.py:schema", "--key", "id", "--out", "first.yaml")
    before = snapshot(home)
    assert "nothing was touched" in pipechaos(home, "plan", "first.yaml").stderr
    assert snapshot(home) == before
    pipechaos(home, "init", "lake/date=*", "--schema", "suites.py:schema", "--out", "first.yaml", code=2)
    done = pipechaos(home, "run", "first.yaml", "--budget", "40", "--jobs", "1", "--json", "-", env={"NO_COLOR": "1"})
    card = json.loads(done.stdout)
    assert card["schema"] == "pipechaos.scorecard/1"
    assert "\x1b" not in done.stderr
    out = home / "first.out"
    assert {"scorecard.json", "trials.parquet", "report.md"} <= {p.name for p in out.iterdir()}
    again = json.loads(pipechaos(home, "score", "first.out", "--json", "-").stdout)
    assert {k: v for k, v in again.items() if k != "runtime"} == {k: v for k, v in card.items() if k != "runtime"}
    missed = card["validators"][0]["survivors"][0]["missed_trials"][0]
    found = json.loads(pipechaos(home, "replay", missed[:8], "--experiment", "first.yaml", "--json", "-").stdout)
    assert found["same_batch"]
    assert found["same_suite"]
    assert found["verdict"]["status"] == "accepted"
    assert "did you mean" in pipechaos(home, "replay", f"{missed[:-1]}z", "--experiment", "first.yaml", code=2).stderr


def test_two_workers_and_one_give_the_same_scorecard(home):
    name = experiment(home, "same.yaml")
    cards = [
        json.loads(pipechaos(home, "run", name, "--jobs", jobs, "--out", f"same-{jobs}", "--json", "-").stdout)
        for jobs in ("1", "2")
    ]
    for card in cards:
        card.pop("runtime")
    assert cards[0] == cards[1]
    # by hand: nulls in a column that may not be null are caught on all 10 bases, a shuffled column on none
    own = cards[0]["validators"][0]["faults"]
    assert (own["fnr"]["hits"], own["fnr"]["trials"], own["fnr"]["estimate"]) == (10, 20, 0.5)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"gates": [{"metric": "fnr", "limit": 0.1}]}, 1, "fail"),
        ({"gates": [{"metric": "fpr", "limit": 0.05}]}, 4, "inconclusive"),
        ({"gates": [{"metric": "fnr", "limit": 0.95}]}, 0, "pass"),
        ({"valdators": []}, 2, "did you mean 'validators'"),
        ({"faults": [{"fault": "null.mca"}]}, 2, "did you mean 'null.mcar'"),
        ({"faults": [{"fault": "null.mcar", "columns": ["knd"]}]}, 2, "did you mean 'kind'"),
        ({"batches": ["nowhere/*"]}, 2, "nowhere"),
        ({"validators": [{"name": "v", "spec": "callable:suites:accepts_all"}]}, 3, "blind"),
        ({"validators": [{"name": "v", "spec": "pandera:suites:shema"}]}, 3, "shema"),
    ],
)
def test_exit_codes(home, changes, code, said):
    done = pipechaos(
        home, "run", experiment(home, "codes.yaml", **changes), "--jobs", "1", "--out", "codes.out", code=code
    )
    assert said.casefold() in done.stderr.casefold()
    assert "Traceback" not in done.stderr


def test_no_values_reach_the_report(home):
    file = Path("secret") / "d1" / "part-0.parquet"
    (home / file).parent.mkdir(parents=True)
    table = {"id": list(range(60)), "kind": ["TOPSECRET", "b"] * 30}
    pq.write_table(pa.table(table), home / file)
    name = experiment(
        home,
        "secret.yaml",
        batches=["secret/*"],
        history={"count": 0},
        validators=[{"name": "v", "spec": "callable:suites:accepts_all"}],
        faults=[{"fault": "category.swap", "columns": ["kind"]}],
    )
    pipechaos(home, "run", name, "--jobs", "1", code=3)
    assert "TOPSECRET" in (home / "secret.out" / "report.md").read_text()
    trials = pq.ParquetFile(home / "secret.out" / "trials.parquet").read().to_pylist()
    # ENGINE.md section 5: what was resolved is stored in the trial
    assert [json.loads(t["resolved"]) for t in trials if t["fault"] == "category.swap"] == [
        {"categories": ["TOPSECRET", "b"]}
    ]
    pipechaos(home, "run", name, "--jobs", "1", "--no-values", code=3)
    for path in (home / "secret.out").glob("*.[jm]*"):
        assert "TOPSECRET" not in path.read_text(), path
    trials = pq.ParquetFile(home / "secret.out" / "trials.parquet").read().to_pylist()
    assert "TOPSECRET" not in str(trials)


def test_inject_and_validate(home):
    batch = "lake/date=2024-05-03"
    source = (home / batch / "part-0.parquet").read_bytes()
    done = pipechaos(
        home,
        "inject",
        batch,
        "--fault",
        "null.mcar",
        "--column",
        "kind",
        "--fraction",
        "1",
        "--out",
        "shadow",
        "--json",
        "-",
    )
    found = json.loads(done.stdout)
    assert (found["status"], found["changed"]) == ("applied", 80)
    assert (home / batch / "part-0.parquet").read_bytes() == source
    assert pq.ParquetFile(home / found["batch"]["uri"]).read().column("kind").null_count == 80
    pipechaos(home, "validate", batch, "--with", "pandera:suites:schema")
    refused = pipechaos(
        home, "validate", found["batch"]["uri"], "--with", "pandera:suites:schema", "--json", "-", code=1
    )
    assert json.loads(refused.stdout)["status"] == "rejected"
    inside = pipechaos(home, "inject", batch, "--fault", "rows.drop", "--out", "lake/shadow", code=2)
    assert "outside" in inside.stderr


def test_catalogue_schema_and_a_demo_without_a_checkout(home, tmp_path):
    codes = {f["code"] for f in json.loads(pipechaos(home, "faults", "--json", "-").stdout)}
    assert {"null.mcar", "time.stale", "canary.no_columns"} <= codes
    assert "drift.mean" in pipechaos(home, "faults", "drift.mean").stdout
    assert "did you mean 'drift.mean'" in pipechaos(home, "faults", "drift.men", code=2).stderr
    assert json.loads(pipechaos(home, "schema").stdout)["additionalProperties"] is False
    script = "import pathlib, pipechaos.cli.demo as d; d._CHECKOUT = pathlib.Path('nowhere'); d.command(['--out', 'x'])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "checkout" in done.stderr, list(tmp_path.iterdir())) == (2, True, [])
