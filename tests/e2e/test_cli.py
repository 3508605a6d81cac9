"""What somebody in a hurry meets at the command line: hints, exit codes, streams, and files that must stay whole."""

import contextlib
import json
import os
import pty
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from pipechaos.campaign.experiment import json_schema, load_experiment
from pipechaos.campaign.starter import starter
from pipechaos.cli.main import COMMANDS, main
from pipechaos.errors import CannotRunError

ROOT = Path(__file__).parents[2]
DAYS = [f"2024-03-{day:02}" for day in range(1, 15)]
ODD_DAY = "2024-03-09"  # its first amount is negative: an alarm on an untouched batch

CHECKS = """
def positive(frame):
    return (frame["amount"] >= 0) & frame["order_id"].notna()

def has_columns(frame):
    return list(frame.columns) == ["order_id", "created_at", "amount", "note"] and frame["order_id"].notna().all()

def blind(frame):
    return True

def breaks(frame):
    raise RuntimeError("no verdict")
"""
SCHEMAS = """
import pandera.pandas as pa

orders_schema = pa.DataFrameSchema({
    "order_id": pa.Column("int64", unique=True),
    "amount": pa.Column("float64", pa.Check.lt(1000)),
    "note": pa.Column(str),
})
"""


def write_day(folder, day, amounts=None):
    first = 1000 * int(day[-2:])
    file = Path(folder) / f"date={day}" / "part-0.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "order_id": list(range(first, first + 80)),
        "created_at": pa.array([1709251200 + first + i for i in range(80)], pa.timestamp("s")),
        "amount": amounts or [(-1.0 if day == ODD_DAY and i == 0 else 10.0 + i) for i in range(80)],
        "note": [f"n{i % 5}" for i in range(80)],
    }
    pq.write_table(pa.table(columns), file)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Fourteen days of a shop, its suites, and the results of one run: a validator of shapes and one of signs."""
    home = tmp_path_factory.mktemp("shop")
    for day in DAYS:
        write_day(home / "lake" / "features", day)
    (home / "checks.py").write_text(CHECKS)
    (home / "schemas.py").write_text(SCHEMAS)
    write_experiment(home / "orders.yaml")
    done = call("run", home / "orders.yaml", "--jobs", 1, "--json", "-")
    assert done.exit_code == 0, done.stderr
    (home / "stdout").write_text(done.stdout)
    (home / "stderr").write_text(done.stderr)
    return home


@pytest.fixture
def home(template, tmp_path, monkeypatch):
    """A copy of it that a test may change, as the working directory."""
    place = tmp_path / "shop"
    shutil.copytree(template, place)
    monkeypatch.chdir(place)
    return place


def write_experiment(path, **changes):
    base = {
        "name": "orders",
        "batches": ["lake/features/date=*"],
        "key": ["order_id"],
        "time": "created_at",
        "history": {"count": 2},
        "validators": [
            {"name": "shapes", "spec": "callable:checks:has_columns"},
            {"name": "signs", "spec": "callable:checks:positive"},
        ],
        "faults": [{"fault": "value.sign", "columns": ["amount"]}, {"fault": "text.typo", "columns": ["note"]}],
        "severities": [5],
        "block": 1,
        "controls": {"repeats": 1},
    }
    Path(path).write_text(yaml.safe_dump({**base, **changes}))
    return path


def call(*arguments, env=None):
    """Run a command in this process; whatever is no exit is an error of the test."""
    done = CliRunner().invoke(main, [str(a) for a in arguments], env=env, prog_name="pipechaos")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def snapshot(folder):
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(Path(folder).rglob("*"))}


def card(home):
    return json.loads((home / "orders.out" / "scorecard.json").read_text())


def missed_trial(home, validator):
    (found,) = [v for v in card(home)["validators"] if v["name"] == validator]
    return found["survivors"][0]["missed_trials"][0]


def test_the_readme_s_first_ten_minutes(home):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ pipechaos (.*)$", text, re.MULTILINE)
    assert [shlex.split(line)[0] for line in lines] == ["init", "plan", "run"]
    said = []
    for line in lines:
        done = call(*shlex.split(line))
        assert done.exit_code == 0, done.stderr
        said.append(done.stderr)
        file = home / "experiment.yaml"
        file.write_text(file.read_text().replace("pairs: 24", "pairs: 2"))  # the test is in a hurry too
    assert "4 batches as history, 10 as bases and controls" in said[0]
    assert f"pandera accepts the untouched batch {DAYS[4]}" in said[0]
    assert {p.name for p in (home / "experiment.out").iterdir()} == {
        "scorecard.json",
        "trials.parquet",
        "report.md",
        "report.html",
        "explanations.json",
        "experiment.json",
    }
    assert "experiment.out/scorecard.json" in said[2]


def test_a_starter_says_what_was_given(home):
    (home / "suites").mkdir()
    (home / "suites" / "orders.json").write_text("{}")
    text = starter(
        ["lake/features/date=*"],
        ["schemas.py:orders_schema", "suites/orders.json", "pandera:schemas:other", "callable:checks.py:positive"],
        folder=home / "deep",
        key=["order_id"],
        time="created_at",
    )
    data = yaml.safe_load(text)
    jsonschema.validate(data, json_schema())
    assert data["name"] == "features"
    assert data["batches"] == ["../lake/features/date=*"]
    assert data["roots"] == [".", "..", "../suites"]
    assert [(v["name"], v["spec"]) for v in data["validators"]] == [
        ("pandera", "pandera:schemas:orders_schema"),
        ("gx", "gx:orders.json"),
        ("pandera-2", "pandera:schemas:other"),
        ("callable", "callable:checks:positive"),
    ]
    assert (data["history"], data["key"], data["time"], data["target"]) == (
        {"count": 4},
        ["order_id"],
        "created_at",
        [],
    )


@pytest.mark.parametrize("given", ["schemas:orders_schema", "nowhere.json", "gx:nowhere.json", "nowhere.py:s", "x"])
def test_what_is_no_validator_is_said(home, given):
    done = call("init", "lake/features/date=*", "--schema", given, "--out", "new.yaml")
    assert done.exit_code == 2
    assert given.partition(":")[0].removesuffix(".json") in done.stderr or "nowhere" in done.stderr
    assert not (home / "new.yaml").exists()


def test_init_writes_nothing_that_does_not_run(home):
    before = snapshot(home)
    done = call("init", "lake/features/date=*", "--schema", "callable:checks.py:positiv")
    assert (done.exit_code, "positive" in done.stderr) == (3, True)
    done = call("init", "lake/features/date=*", "--schema", "callable:checks.py:positive", "--key", "order_di")
    assert (done.exit_code, "did you mean 'order_id'" in done.stderr) == (2, True)
    assert {k: v for k, v in snapshot(home).items() if "__pycache__" not in k} == before


def test_init_keeps_a_file_without_force_and_looks_at_a_batch(home):
    asked = ("init", "lake/features/date=*", "--schema", "callable:checks.py:breaks", "--key", "note")
    (home / "experiment.yaml").write_text("mine")
    kept = call(*asked)
    assert (kept.exit_code, (home / "experiment.yaml").read_text()) == (2, "mine")
    assert "--force" in kept.stderr
    done = call(*asked, "--force")
    assert done.exit_code == 0
    assert f"callable gives no verdict on the untouched batch {DAYS[4]}" in done.stderr
    assert "key note does not identify a row: 80 rows of batch 2024-03-05 have 5 keys" in done.stderr
    assert load_experiment(home / "experiment.yaml").key == ["note"]


def test_init_on_a_folder_of_loose_files_takes_no_result_for_a_batch(home):
    loose = home / "loose"
    loose.mkdir()
    for day in DAYS[:4]:
        shutil.copy(home / "lake" / "features" / f"date={day}" / "part-0.parquet", loose / f"{day}.parquet")
    done = call("init", "loose", "--schema", "callable:checks.py:blind", "--out", "loose/e.yaml")
    assert done.exit_code == 0, done.stderr
    assert "fewer than 10 bases" in done.stderr
    assert load_experiment("loose/e.yaml").batches == ["*.parquet"]
    shutil.copytree(home / "orders.out", loose / "e.out")  # results of a run, one of them a Parquet file
    plan = json.loads(call("plan", "loose/e.yaml", "--json", "-").stdout)
    assert (plan["history"], plan["controls"]) == (1, 3)


def test_a_run_refuses_its_own_results_as_batches(home):
    write_experiment("wide.yaml", batches=["orders.out/*.parquet"], history={"count": 0}, key=[], time=None)
    done = call("run", "wide.yaml", "--out", "orders.out")
    assert (done.exit_code, "folder of results" in done.stderr) == (2, True)


@pytest.mark.parametrize("place", [["--out", "orders.yaml"], ["--json", "lake"], ["--json", "orders.yaml/x.json"]])
def test_a_place_that_cannot_be_written_is_said_before_the_run(home, place):
    done = call("run", "orders.yaml", *place)
    assert (done.exit_code, place[1].partition("/")[0] in done.stderr) == (2, True)
    assert "frames judged" not in done.stderr


def test_json_on_stdout_is_pure_and_text_goes_to_stderr(template):
    data = json.loads((template / "stdout").read_text())
    assert data == card(template)
    said = (template / "stderr").read_text()
    assert "frames judged" in said
    assert "Survivors" in said
    assert "\x1b" not in said


def test_rates_are_those_worked_out_by_hand(template):
    shapes, signs = card(template)["validators"]
    # twelve bases; signs are flipped and typos made on each: the shape is whole, the sign is seen but on the odd day
    assert (shapes["faults"]["fnr"]["hits"], shapes["faults"]["fnr"]["trials"]) == (24, 24)
    assert (signs["faults"]["fnr"]["hits"], signs["faults"]["fnr"]["trials"]) == (11, 22)
    assert (signs["natural"]["fpr"]["hits"], signs["natural"]["fpr"]["trials"]) == (1, 12)


def test_quiet_says_nothing_at_all(home):
    done = call("run", "orders.yaml", "--jobs", 1, "--quiet", "--budget", 12)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_plan_and_dry_run_touch_nothing(home):
    shutil.rmtree(home / "orders.out")
    before = snapshot(home)
    planned = call("plan", "orders.yaml", "--json", "-")
    dry = call("run", "orders.yaml", "--dry-run", "--json", "-")
    assert (planned.exit_code, dry.exit_code) == (0, 0)
    assert json.loads(planned.stdout) == json.loads(dry.stdout)
    assert "nothing was touched" in dry.stderr
    assert snapshot(home) == before


def test_seed_and_budget_are_taken(home):
    def bases(*options):
        found = json.loads(call("plan", "orders.yaml", *options, "--json", "-").stdout)
        return found["trials"], [w["bases"] for w in found["weaknesses"]]

    whole, _ = bases()
    assert whole == 2 * 12 * 2
    few, drawn = bases("--budget", 12)
    assert (few, [len(b) for b in drawn]) == (12, [3, 3])
    assert bases("--budget", 12, "--seed", 0)[1] == drawn
    assert bases("--budget", 12, "--seed", 8)[1] != drawn
    assert call("plan", "orders.yaml", "--seed", -1).exit_code == 2
    assert call("plan", "orders.yaml", "--budget", 0).exit_code == 2


def test_an_earlier_run_tells_how_long_the_next_one_takes(home):
    planned = json.loads(call("plan", "orders.yaml", "--json", "-").stdout)
    frames = max(t["trials"] for t in card(home)["runtime"]["validators"].values())
    assert frames == sum(planned["frames"].values())
    assert planned["estimated_from"] == "the last run"
    assert planned["estimated_seconds"] == pytest.approx(card(home)["runtime"]["seconds"]["total"], abs=0.06)
    (home / "orders.out" / "scorecard.json").write_text("{}")
    assert json.loads(call("plan", "orders.yaml", "--json", "-").stdout)["estimated_from"] == "a usual pace"
    write_experiment("orders.yaml", budget={"minutes": 0.0001})
    assert "more than the budget" in call("plan", "orders.yaml").stderr


def test_json_to_a_file_is_whole_or_not_there(home, monkeypatch):
    assert call("faults", "null.mcar", "--json", "deep/one.json").exit_code == 0
    (entry,) = json.loads((home / "deep" / "one.json").read_text())
    assert entry["code"] == "null.mcar"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    done = call("faults", "--json", "deep/one.json")
    assert (done.exit_code, "No space left" in done.stderr, "Traceback" in done.stderr) == (3, True, False)
    assert json.loads((home / "deep" / "one.json").read_text()) == [entry]
    assert [p.name for p in (home / "deep").iterdir()] == ["one.json"]


def test_results_get_the_rights_that_new_files_get_here(home):
    before = os.umask(0o077)
    try:
        assert call("faults", "--json", "mine.json").exit_code == 0
    finally:
        os.umask(before)
    assert (home / "mine.json").stat().st_mode & 0o777 == 0o600


def test_replay_by_the_first_digits_and_after_a_change(home):
    name = missed_trial(home, "shapes")
    replay = ("replay", name[:7], "--experiment", "orders.yaml")
    found = json.loads(call(*replay, "--json", "-").stdout)
    assert (found["trial_id"], found["same_batch"], found["same_suite"]) == (name, True, True)
    assert found["verdict"]["status"] == "accepted"
    (home / "checks.py").write_text(CHECKS + "\nMORE = 1\n")
    changed = call(*replay, "--json", "-")
    found = json.loads(changed.stdout)
    assert (found["same_batch"], found["same_suite"]) == (True, False)
    assert "NOT the same suite" in changed.stderr
    for day in DAYS:
        write_day(home / "lake" / "features", day, amounts=[7.0 + i for i in range(80)])
    changed = call(*replay, "--json", "-")
    assert json.loads(changed.stdout)["same_batch"] is False
    assert "NOT the same corrupted batch" in changed.stderr


def test_replay_of_what_is_no_faulty_trial(home):
    rows = pq.ParquetFile(home / "orders.out" / "trials.parquet").read().to_pylist()
    control = next(r["trial_id"] for r in rows if r["kind"] == "natural")
    name = missed_trial(home, "shapes")
    said = {
        control: "untouched batch",
        name[:-2] + "zz": f"did you mean {name!r}",
        "": "give more digits",
        "nothing-like-it": "the report of the run names",
    }
    for given, words in said.items():
        done = call("replay", given, "--experiment", "orders.yaml")
        assert (done.exit_code, words in done.stderr) == (2, True), (given, done.stderr)
        assert len(done.stderr) < 300
    assert call("replay", name, "--experiment", "orders.yaml", "--out", "elsewhere").exit_code == 2


def test_score_with_a_reviewed_alarm_and_other_gates(home):
    review = {"batch": ODD_DAY, "validator": "signs", "alarm": True, "reason": "a refund booked as an order"}
    write_experiment("reviewed.yaml", controls={"reviewed": [review]})
    done = call("score", "orders.out", "--experiment", "reviewed.yaml", "--json", "-")
    signs = json.loads(done.stdout)["validators"][1]
    assert done.exit_code == 0
    assert (signs["natural"]["fpr"]["hits"], signs["natural"]["fpr"]["trials"]) == (0, 11)
    assert "pipechaos replay --out orders.out " in done.stderr
    for gate, code in (
        ({"metric": "fnr", "limit": 0.9, "validator": "signs"}, 0),
        ({"metric": "fnr", "limit": 0.1}, 1),
    ):
        write_experiment("gated.yaml", gates=[gate])
        assert call("score", "orders.out", "--experiment", "gated.yaml").exit_code == code
    write_experiment("gated.yaml", gates=[{"metric": "fpr", "limit": 0.1}])
    assert call("score", "orders.out", "--experiment", "gated.yaml").exit_code == 4


def test_score_refuses_reviews_and_gates_about_what_was_never_seen(home):
    review = {"batch": "2024-03-90", "alarm": True, "reason": "a slip"}
    write_experiment("slip.yaml", controls={"reviewed": [review]})
    done = call("score", "orders.out", "--experiment", "slip.yaml")
    assert (done.exit_code, "did you mean '2024-03-" in done.stderr) == (2, True)
    for gate in ({"fault": "value.sig"}, {"family": "valu"}):
        write_experiment("slip.yaml", gates=[{"metric": "fnr", "limit": 0.5, **gate}])
        done = call("score", "orders.out", "--experiment", "slip.yaml")
        assert (done.exit_code, "did you mean 'value" in done.stderr) == (2, True)
    assert call("score", "lake").exit_code == 2


def test_validate_takes_a_file_as_init_does(home):
    fine, odd = f"lake/features/date={DAYS[0]}", f"lake/features/date={ODD_DAY}"
    for spec in ("callable:checks:positive", "callable:checks.py:positive"):
        assert call("validate", fine, "--with", spec).exit_code == 0
    done = call("validate", odd, "--with", "callable:checks:positive", "--json", "-")
    assert (done.exit_code, json.loads(done.stdout)["findings"][0]["rows"]) == (1, [0])
    assert call("validate", fine, "--with", "callable:checks:breaks").exit_code == 3
    assert call("validate", fine, "--with", "callable:checks:nothing").exit_code == 3
    assert call("validate", fine, "--with", "checks:positive").exit_code == 2
    assert call("validate", "nowhere", "--with", "callable:checks:positive").exit_code == 2


def test_inject_could_not_run_where_the_fault_itself_fails(home, monkeypatch):
    def broken(*given):
        raise ArithmeticError("of the fault's own")

    monkeypatch.setattr("pipechaos.inject.engine._cells", broken)
    asked = ("inject", f"lake/features/date={DAYS[5]}", "--fault", "null.mcar", "--column", "amount")
    done = call(*asked, "--out", "shadow", "--json", "-")
    assert (done.exit_code, json.loads(done.stdout)["status"]) == (3, "failed")
    assert "null.mcar failed and changed nothing: ArithmeticError: of the fault's own" in done.stderr


def test_inject_takes_a_glob_as_history(home):
    asked = ("inject", f"lake/features/date={DAYS[5]}", "--fault", "time.stale", "--time", "created_at")
    asked += ("--key", "order_id", "--out", "shadow", "--json", "-")
    without = call(*asked)
    assert (without.exit_code, json.loads(without.stdout)["status"]) == (0, "not_applicable")  # a result, no error
    assert "not applicable" in without.stderr
    done = call(*asked, "--history", "lake/features/date=2024-03-0[1-5]")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["status"]) == (0, "applied")
    copy = pq.ParquetFile(found["batch"]["uri"]).read()
    assert copy.column("order_id")[0].as_py() == 5000  # the day before, not its own 6000


def test_the_catalogue_is_one_line_a_fault_for_other_programs():
    listed = call("faults").stdout.splitlines()
    assert listed[0].startswith("code")
    codes = [line.split()[0] for line in listed[1:]]
    assert codes == [f["code"] for f in json.loads(call("faults", "--json", "-").stdout)]
    assert call("faults", "--json", "-").stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name):
    done = call(name, "--help")
    assert done.exit_code == 0
    assert f"pipechaos {name}" in done.stdout
    assert "\\b" not in done.stdout


def test_a_slip_in_a_command_gets_a_suggestion():
    done = call("rpelay", "x")
    assert (done.exit_code, "did you mean 'replay'" in done.stderr) == (2, True)
    assert call("--help").stdout.count("Exit codes") == 1
    assert call("frobnicate").exit_code == 2


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ZeroDivisionError("oh"), 3, "defect of pipechaos"),
        (PermissionError(13, "Permission denied"), 3, "Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_no_failure_of_ours_looks_like_a_failed_gate(monkeypatch, raised, code, said):
    def fails(*_):
        raise raised

    monkeypatch.setattr("pipechaos.cli.faults.describe", fails)
    done = call("faults", "null.mcar")
    assert (done.exit_code, said in done.stderr) == (code, True)
    assert ("Traceback" in done.stderr) == isinstance(raised, ZeroDivisionError)


def on_a_terminal(home, *arguments, **env):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "pipechaos", *arguments],
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **env},
    ):
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    return written


def test_no_color_leaves_no_escape_code_on_a_terminal(home):
    coloured = on_a_terminal(home, "run", "orders.yaml", "--budget", "12", "--jobs", "1")
    assert b"\x1b[" in coloured
    plain = on_a_terminal(home, "run", "orders.yaml", "--budget", "12", "--jobs", "1", NO_COLOR="1")
    assert b"frames judged" in plain
    assert b"\x1b" not in plain


FORMATS = {
    "--html": "r.html",
    "--markdown": "r.md",
    "--junit-xml": "j.xml",
    "--sarif": "s.sarif",
    "--mutation-json": "m.json",
    "--prometheus": "p.prom",
    "--badge": "b.json",
}


def test_a_run_writes_every_format_and_score_the_same_again(home):
    options = [part for flag, name in FORMATS.items() for part in (flag, f"made/{name}")]
    done = call("run", "orders.yaml", "--jobs", 1, "--quiet", *options)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    first = {name: (home / "made" / name).read_text() for name in FORMATS.values()}
    assert first["r.html"] == (home / "orders.out" / "report.html").read_text()
    assert first["r.md"] == (home / "orders.out" / "report.md").read_text()
    junit = ElementTree.fromstring(first["j.xml"].encode())  # noqa: S314 - our own
    suites = {s.get("name"): s for s in junit.iter("testsuite")}
    assert len(suites["shapes"].findall(".//failure[@type='SurvivingFault']")) == 2
    assert len(suites["signs"].findall(".//failure[@type='SurvivingFault']")) == 1
    assert len(suites["signs"].findall(".//failure[@type='FalsePositive']")) == 1
    (sarif,) = json.loads(first["s.sarif"])["runs"]
    places = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in sarif["results"]}
    assert (len(sarif["results"]), places) == (3, {"checks.py"})
    assert json.loads(first["b.json"])["schemaVersion"] == 1
    assert 'pipechaos_fnr{experiment="orders",validator="shapes"} 1.0' in first["p.prom"]
    shutil.rmtree(home / "made")
    shutil.rmtree(home / "lake")  # score needs the folder of results alone
    assert call("score", "orders.out", *options).exit_code == 0
    again = {name: (home / "made" / name).read_text() for name in FORMATS.values()}
    stamped = ("p.prom",)  # it says when
    assert {n: t for n, t in again.items() if n not in stamped} == {n: t for n, t in first.items() if n not in stamped}


def test_a_format_that_cannot_be_written_is_found_before_the_run(home):
    (home / "file").write_text("")
    before = snapshot(home)
    done = call("run", "orders.yaml", "--sarif", "file/s.sarif")
    assert done.exit_code == 2
    assert "cannot make the folder file" in done.stderr
    assert snapshot(home) == before


def test_a_baseline_fails_on_what_nobody_accepted_and_not_on_the_rest(home):
    def run():
        done = call("run", "orders.yaml", "--jobs", 1, "--baseline", "known.json")
        return done.exit_code, done.stderr

    (home / "known.json").write_text('{"schema": "pipechaos.baseline/1", "survivors": []}')
    code, said = run()
    assert code == 1
    assert "3 new, 0 accepted, 0 expired, 0 stale" in said
    update = ["baseline", "update", "orders.out", "--baseline", "known.json", "--owner", "shop", "--expires", "2d"]
    assert call(*update, "--reason", "first run").exit_code == 0
    assert len(json.loads((home / "known.json").read_text())["survivors"]) == 3
    code, said = run()
    assert code == 0, said
    (home / "known.json").write_text((home / "known.json").read_text().replace('"shapes"', '"shape"'))
    code, said = run()
    assert code == 2
    assert "did you mean 'shapes'" in said


def test_runs_are_kept_and_shown(home):
    for seed in (0, 1):
        assert call("run", "orders.yaml", "--jobs", 1, "--seed", seed, "--store", "runs.db").exit_code == 0
    listed = call("history", "--store", "runs.db", "--json", "-")
    runs = json.loads(listed.stdout)
    assert [r["seed"] for r in runs] == [1, 0]
    assert json.loads((home / "orders.out" / "scorecard.json").read_text())["experiment"]["seed"] == 1
    page = (home / "orders.out" / "report.html").read_text()
    assert all(run["run_id"] in page for run in runs)  # the trend
    done = call("run", "orders.yaml", "--resume", "last", "--store", "runs.db")
    assert done.exit_code == 2
    assert "is unfinished" in done.stderr
    compared = call("compare", runs[1]["run_id"], "last", "--store", "runs.db")
    assert compared.exit_code == 0
    assert "seed" in compared.stdout + compared.stderr  # what differs between the two
    assert call("run", "orders.yaml", "--resume", "last", "--store", "none").exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--html", f"lake/features/date={DAYS[3]}/part-0.parquet"), f"is batch '{DAYS[3]}', which it would replace"),
        (("--html", f"lake/features/date={DAYS[3]}/report.html"), f"is batch '{DAYS[3]}', which it would replace"),
        (("--json", "orders.yaml"), "is the experiment, which it would replace"),
        (("--sarif", "checks.py"), "is a suite, which it would replace"),
        (("--junit-xml", "orders.out/trials.parquet"), "is trials.parquet of the folder of results"),
        (("--badge", "x.json", "--sarif", "./x.json"), "both name x.json: one would replace the other"),
        (("--json", "-", "--badge", "-"), "both name -: one would replace the other"),
        (("--store", "runs.db", "--badge", "runs.db"), "is the store, which it would replace"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)
def test_no_result_replaces_what_a_run_reads_or_writes(home, options, said):
    before = snapshot(home)
    done = call("run", "orders.yaml", "--jobs", 1, *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert snapshot(home) == before
    if "lake" not in str(options) and "checks.py" not in options and "--store" not in options:
        done = call("score", "orders.out", *options)
        assert (done.exit_code, said in done.stderr) == (2, True)
        assert snapshot(home) == before


def test_a_dash_is_stdout(home):
    done = call("score", "orders.out", "--badge", "-")
    assert json.loads(done.stdout)["label"] == "pipechaos"
    assert not (home / "-").exists()


def test_a_format_that_fails_after_the_run_costs_nothing_else(home, monkeypatch):
    def broken(report):
        raise CannotRunError("no room")

    monkeypatch.setattr("pipechaos.report.sarif.render_sarif", broken)
    options = ("--sarif", "s.json", "--badge", "b.json", "--json", "card.json", "--store", "runs.db")
    done = call("run", "orders.yaml", "--jobs", 1, "--out", "new", *options)
    assert done.exit_code == 3
    assert "sarif: no room" in done.stderr
    assert "`pipechaos score new` writes formats again" in done.stderr
    assert {"scorecard.json", "trials.parquet", "report.md", "report.html"} <= {p.name for p in Path("new").iterdir()}
    assert Path("b.json").exists()
    assert Path("card.json").exists()
    (run,) = json.loads(call("history", "--store", "runs.db", "--json", "-").stdout)
    assert run["status"] == "finished"


def test_a_missing_library_is_found_before_the_run(home, monkeypatch):
    real = find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n, *a: None if n == "prometheus_client" else real(n, *a))
    before = snapshot(home)
    done = call("run", "orders.yaml", "--prometheus", "p.prom")
    assert (done.exit_code, snapshot(home)) == (3, before)
    assert "pip install 'pipechaos[prometheus]'" in done.stderr


def test_no_baseline_yet(home):
    done = call("run", "orders.yaml", "--baseline", "known.json")
    assert done.exit_code == 2
    assert "run with `--baseline none`, then write one with `pipechaos baseline update OUT" in done.stderr
    assert call("run", "orders.yaml", "--jobs", 1, "--baseline", "none").exit_code == 0


def test_without_values_nothing_that_data_gave_is_kept(home):
    """A median is some cell's value: 48.0 is none of what the experiment says."""
    write_experiment("outliers.yaml", faults=[{"fault": "value.outlier", "columns": ["amount"]}])
    assert call("run", "outliers.yaml", "--jobs", 1, "--store", "kept.db", "--no-values").exit_code == 0
    rows = pq.read_table("outliers.out/trials.parquet").to_pylist()
    assert {r["resolved"] for r in rows} == {"{}"}
    with contextlib.closing(sqlite3.connect("kept.db")) as db:
        assert {r[0] for r in db.execute("select distinct resolved from pc_trial")} == {"{}"}
    assert call("run", "outliers.yaml", "--jobs", 1, "--store", "none").exit_code == 0
    rows = pq.read_table("outliers.out/trials.parquet").to_pylist()
    assert any("centre" in r["resolved"] for r in rows)  # it is there otherwise


def test_control_codes_in_names_never_reach_the_terminal(home):
    for name in ("plan", "run"):
        write_experiment("e.yaml", faults=[{"fault": "null.mcar", "columns": ["a\x1b[31m"]}])
        done = call(name, "e.yaml")
        assert done.exit_code == 2
        assert "\x1b" not in done.stderr
        assert "\\x1b[31m" in done.stderr


@pytest.mark.parametrize(
    "asked",
    [
        ("run", "orders.yaml"),
        ("diff-suite", "orders.yaml", "--base", "shapes", "--head", "signs"),
        ("inject", f"lake/features/date={DAYS[3]}/part-0.parquet", "--fault", "rows.drop", "--out", "../shadow"),
    ],
    ids=lambda a: a[0],
)
def test_nothing_is_injected_against_the_kill_switch(home, asked):
    (home / "stop").write_text("")
    before = snapshot(home)
    done = call(*asked, env={"PIPECHAOS_KILL_SWITCH": str(home / "stop")})
    assert done.exit_code == 3
    assert "halt" in done.stderr
    assert not (home.parent / "shadow").exists()
    kept = {name: digest for name, digest in snapshot(home).items() if not name.endswith(".diff")}
    assert kept == before
