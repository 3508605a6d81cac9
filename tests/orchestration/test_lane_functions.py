"""The functions under the operators, without Airflow: references, pairing, scoring of hand-made verdicts."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from pipechaos.airflow.tasks import corrupt_batch, ref_of, refusal, score_verdicts, validate_batch
from pipechaos.batch.io import read_batch
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, ConfigError, ShadowError, UnknownNameError
from pipechaos.ledger.io import write_ledger
from pipechaos.ledger.records import CellEntry, InjectionRecord, Ledger, RowEntry, Status
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, VerdictStatus
from pipechaos.validate.verdict_io import write_verdict

NONE = np.zeros(0, np.int64)
HEAVY = ["pandas", "pyarrow", "great_expectations", "pandera", "airflow"]


@pytest.fixture
def file(data):
    return data / "features" / "date=2013-06-03" / "part-0.parquet"


def test_whatever_travels_between_tasks_is_the_same_reference(file):
    ref = BatchRef.of(file)
    travelled = json.loads(json.dumps(ref.to_json()))
    given = [file, str(file), ref, travelled, {"batch": travelled, "ledger": "/l", "changed": 3}]
    assert {ref_of(g) for g in given} == {ref}
    assert (ref.name, ref.partition) == ("2013-06-03", (("date", "2013-06-03"),))


def test_a_file_url_is_the_same_data(file):
    by_url, by_path = ref_of(f"file://{file}"), ref_of(file)
    assert by_url.name == by_path.name
    assert read_batch(by_url).table.equals(read_batch(by_path).table)


@pytest.mark.parametrize("given", [None, 7, 1.5, [1]])
def test_what_is_no_reference_is_refused(given):
    with pytest.raises(BatchError, match=r"no batch reference: give a path, a URL or BatchRef.to_json\(\)"):
        ref_of(given)


def test_a_reference_with_a_misspelt_key_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'uri'"):
        ref_of({"url": "x", "format": "parquet", "name": "n"})


def test_a_corruption_returns_plain_json_and_leaves_its_source(data, file, tree):
    before = tree(data / "features")
    found = corrupt_batch(file, fault="null.mcar", columns="x", fraction=1.0, shadow=str(data / "shadow"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["status"], found["changed"], found["columns"]) == ("applied", 200, ["x"])
    assert pq.ParquetFile(found["batch"]["uri"]).read().column("x").null_count == 200
    assert tree(data / "features") == before
    assert (data / "shadow").stat().st_mode & 0o777 == 0o700


def test_stale_rows_come_from_the_history_that_was_given(data, file):
    earlier = data / "features" / "date=2013-06-02" / "part-0.parquet"
    earlier.parent.mkdir()
    past = {"id": [1, 2, 3], "x": [-1.0, -2.0, -3.0], "s": ["a", "b", "c"]}
    stamps = {d: pa.array([np.datetime64(f"2013-06-0{d}T05:00", "us")] * n) for d, n in ((2, 3), (3, 200))}
    pq.write_table(pa.table({**past, "t": stamps[2]}), earlier)
    pq.write_table(pq.ParquetFile(file).read().append_column("t", stamps[3]), file)
    arguments = {"key": ["id"], "time": "t", "history": [str(earlier)], "shadow": str(data / "shadow")}
    found = corrupt_batch(file, fault="time.stale", **arguments)
    after = pq.ParquetFile(found["batch"]["uri"]).read().to_pydict()
    assert found["status"] == "applied"
    assert set(after["x"]) <= {-1.0, -2.0, -3.0}


def judge(data, batch, **more):
    return validate_batch(
        batch,
        validators={"keen": "callable:demo_suite:positive"},
        roots=[str(data / "suite")],
        results=str(data / "verdicts"),
        **more,
    )


def test_a_batch_behind_a_connection_is_read_through_it(data, file):
    """The copy and what is kept of it are local; the source keeps its connection, by name only."""
    store = {"lake": SubTreeFileSystem(str(data / "features"), LocalFileSystem())}
    day = BatchRef.of("s3://date=2013-06-03/part-0.parquet", connection_id="lake").to_json()
    before = BatchRef.of("s3://date=2013-06-04", connection_id="lake", filesystem=store["lake"])
    asked = {"fault": "null.mcar", "columns": "x", "fraction": 0.5, "history": [before]}
    found = corrupt_batch(day, shadow=str(data / "shadow"), connections=store, **asked)
    assert (found["source"], found["batch"]["connection_id"]) == (day, None)
    assert pq.ParquetFile(found["batch"]["uri"]).read().column("x").null_count == found["changed"] > 0
    assert judge(data, day, connections=store)["verdicts"]["keen"]["status"] == "accepted"
    assert judge(data, found, connections={})["verdicts"]["keen"]["status"] == "rejected", "a copy needs no connection"
    for call in (corrupt_batch, validate_batch):
        how = {"shadow": str(data / "shadow"), **asked} if call is corrupt_batch else {}
        how = how or {"validators": {"v": "callable:x:y"}, "roots": [], "results": str(data / "verdicts")}
        with pytest.raises(BatchError, match="needs the connection 'lake'"):
            call(day, **how)


def test_a_copy_that_changed_after_it_was_made_is_not_judged(data, file):
    found = corrupt_batch(file, fault="null.mcar", columns="x", fraction=0.5, shadow=str(data / "shadow"))
    pq.write_table(pa.table({"x": [1.0]}), found["batch"]["uri"])
    with pytest.raises(BatchError, match="it has changed since it was"):
        judge(data, found)


@pytest.mark.parametrize("shadow", ["features/verdicts", "features"])
def test_results_among_the_features_are_refused(data, file, shadow):
    with pytest.raises(ShadowError):
        validate_batch(file, validators={"v": "callable:demo_suite:positive"}, roots=[], results=str(data / shadow))


def test_no_validator_is_an_error(data, file):
    with pytest.raises(ConfigError, match="no validator is named"):
        validate_batch(file, validators={}, roots=[], results=str(data / "verdicts"))


@pytest.mark.parametrize("name", ["..", ".", "a/../../b", "/etc"])
def test_a_name_never_leads_out_of_its_folder(data, file, name, tree):
    ref = {**BatchRef.of(file).to_json(), "name": name}
    found = validate_batch(
        ref,
        validators={name: "callable:demo_suite:accepts"},
        roots=[str(data / "suite")],
        results=str(data / "verdicts"),
    )
    (kept,) = tree(data / "verdicts")
    assert (data / "verdicts" / kept).samefile(found["verdicts"][name]["verdict"])
    assert kept.count("/") == 2


def test_a_loader_reads_in_the_teams_way(data, file):
    (data / "suite" / "team.py").write_text(
        "import pandas as pd\ndef read(path):\n    return pd.read_parquet(path).assign(x=-1.0)\n"
    )
    assert judge(data, file, loader="team:read")["verdicts"]["keen"]["status"] == "rejected"
    assert judge(data, file)["verdicts"]["keen"]["status"] == "accepted"


def told(status, *failed):
    return {"status": status, "checks": 3, "failed": list(failed), "errors": 0, "verdict": "v.json"}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({"a": told("accepted")}, (False, "")),
        ({"a": told("rejected", "x:min")}, (True, "batch 'd' is not accepted. a rejected: x:min")),
        ({"a": told("errored")}, (False, "batch 'd' is not accepted. a errored: it gave no verdict")),
        (
            {"a": {**told("errored"), "errors": 2}},
            (False, "batch 'd' is not accepted. a errored: it gave no verdict, 2 checks crashed"),
        ),
        (
            {"a": told("timed_out"), "b": told("accepted"), "c": told("rejected", "p", "q")},
            (True, "batch 'd' is not accepted. a timed_out: it gave no verdict; c rejected: p, q"),
        ),
    ],
)
def test_a_refusal_names_who_refused_and_why(verdicts, expected):
    found = {"batch": {"uri": "d.parquet", "format": "parquet", "name": "d"}, "verdicts": verdicts}
    assert refusal(found) == expected


# hand-made verdicts on a batch of ten rows of which rows 2 and 5 of column x were changed


def fail(check="x:min", rows=None, columns=("x",), kind=FindingKind.FAIL):
    at = None if rows is None else np.asarray(rows, np.int64)
    return Finding(check=check, columns=columns, kind=kind, subject=Subject.VALUE, rows=at)


@pytest.fixture
def lane(tmp_path):
    """Writes verdicts and ledgers as the tasks would have, and gives what they would have returned."""

    class Lane:
        def __init__(self):
            self.batch = {"uri": str(tmp_path / "d.parquet"), "format": "parquet", "name": "d"}

        def verdict(self, name, at, status, *findings, digest="after"):
            verdict = Verdict(
                validator=name,
                status=VerdictStatus(status),
                findings=findings,
                checks_declared=2,
                ordered_digest=digest,
            )
            return {"status": status, "verdict": write_verdict(verdict, tmp_path / at / f"{name}.json")}

        def base(self, **verdicts):
            kept = {n: self.verdict(n, "base", *v, digest="before") for n, v in verdicts.items()}
            return {"batch": self.batch, "verdicts": kept}

        def broken(self, at="i1", fault="null.mcar", changed=(2, 5), digest="after", batch=None, **verdicts):
            rows = np.asarray(changed, np.int64)
            status = Status.APPLIED if changed else Status.NO_EFFECT
            record = InjectionRecord(injection_id=at, fault=fault, columns=("x",), status=status, eligible=10)
            cells = (CellEntry(column="x", asked=rows, origin=rows, position=rows, injections=(at,)),)
            none = RowEntry(removed=NONE, added=NONE, copied_from=NONE, reordered=False)
            ledger = Ledger(
                batch="d",
                injections=(record,),
                cells=cells if changed else (),
                rows=none,
                schema=(),
                rows_before=10,
                rows_after=10,
            )
            write_ledger(ledger, tmp_path / at / "ledger")
            return {
                "batch": batch or self.batch,
                "ledger": str(tmp_path / at / "ledger"),
                "fault": fault,
                "columns": ["x"],
                "changed": len(changed),
                "verdicts": {n: self.verdict(n, at, *v, digest=digest) for n, v in verdicts.items()},
            }

    return Lane()


OLD = fail("s:known", columns=("s",))

CASES = {
    "rejected for a row that changed": (("accepted",), ("rejected", fail(rows=[5])), "tp", "direct"),
    "rejected for rows that did not change": (("accepted",), ("rejected", fail(rows=[1])), "tp", "elsewhere"),
    "accepted": (("accepted",), ("accepted",), "fn", None),
    "rejected before already": (("rejected", OLD), ("rejected", OLD, fail(rows=[5])), "base_bad", None),
    "errored before already": (("errored",), ("rejected", fail(rows=[5])), "base_bad", None),
    "errored": (("accepted",), ("errored", fail("<crash>", columns=(), kind=FindingKind.ERROR)), "error", None),
    "timed out": (("accepted",), ("timed_out",), "error", None),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outcomes_by_hand(lane, case):
    before, after, outcome, why = CASES[case]
    found = score_verdicts(lane.base(v=before), lane.broken(v=after))
    expected = {"validator": "v", "fault": "null.mcar", "columns": ["x"], "changed": 2, "outcome": outcome, "why": why}
    assert found == {"outcomes": [expected], "counts": {"v": {outcome: 1}}}


def test_a_fault_without_effect_is_no_miss(lane):
    base = lane.base(v=("accepted",))
    unchanged = score_verdicts(base, lane.broken(changed=(), v=("accepted",)))
    same_frame = score_verdicts(base, lane.broken(digest="before", v=("accepted",)))
    assert unchanged["counts"] == same_frame["counts"] == {"v": {"noop": 1}}


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        ("benign.row_order", "accepted", "accepted"),
        ("benign.row_order", "rejected", "alarm"),
        ("canary.all_null", "rejected", "alarm"),
        ("canary.all_null", "accepted", "accepted"),
    ],
)
def test_controls_are_no_hits_and_no_misses(lane, fault, status, outcome):
    findings = [fail(rows=[5])] if status == "rejected" else []
    found = score_verdicts(lane.base(v=("accepted",)), lane.broken(fault=fault, v=(status, *findings)))
    assert found["counts"] == {"v": {outcome: 1}}


def test_skipped_mapped_tasks_are_left_out_and_counts_add_up(lane):
    base = lane.base(a=("accepted",), b=("accepted",))
    hit, miss = ("rejected", fail(rows=[2])), ("accepted",)
    copies = [lane.broken("i1", a=hit, b=miss), None, lane.broken("i2", a=miss, b=miss), None]
    found = score_verdicts(base, copies)
    assert found["counts"] == {"a": {"fn": 1, "tp": 1}, "b": {"fn": 2}}
    assert [o["outcome"] for o in found["outcomes"]] == ["tp", "fn", "fn", "fn"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert score_verdicts(base, iter(copies)) == found  # Airflow hands over a lazy sequence


@pytest.mark.parametrize("nothing", [[], [None, None]])
def test_nothing_to_score_is_an_error(lane, nothing):
    with pytest.raises(ConfigError, match="there is no verdict on a corrupted copy"):
        score_verdicts(lane.base(v=("accepted",)), nothing)


def test_a_validator_that_never_saw_the_untouched_batch(lane):
    with pytest.raises(ConfigError, match=r"'other' did not judge the untouched batch 'd'.*It was judged by: v"):
        score_verdicts(lane.base(v=("accepted",)), lane.broken(other=("accepted",)))


def test_verdicts_on_another_batch_are_not_paired(lane):
    elsewhere = {**lane.batch, "name": "e"}
    with pytest.raises(ConfigError, match="batch 'e' cannot be paired with verdicts on batch 'd'"):
        score_verdicts(lane.base(v=("accepted",)), lane.broken(batch=elsewhere, v=("accepted",)))


def test_a_verdict_without_a_ledger_cannot_be_scored(lane):
    base = lane.base(v=("accepted",))
    with pytest.raises(ConfigError, match="only what ChaosOperator broke can be scored"):
        score_verdicts(base, base)


def test_a_lost_verdict_file_is_named(lane):
    base, broken = lane.base(v=("accepted",)), lane.broken(v=("accepted",))
    broken["verdicts"]["v"]["verdict"] += ".gone"
    with pytest.raises(BatchError, match=r"v\.json\.gone cannot be read as a verdict"):
        score_verdicts(base, broken)


def test_the_functions_need_no_airflow_and_no_validator_library():
    code = f"import sys, pipechaos.airflow.tasks; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pyarrow']"
