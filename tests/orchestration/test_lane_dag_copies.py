"""Copies of a lane: whole or none, in the form the stage gave; and how a lane of them is scored."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from pipechaos.airflow.lane_copies import Caps, Declared, OverCapError, make_copies
from pipechaos.airflow.lane_scores import score_lane
from pipechaos.airflow.outside_verdicts import LATE
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, ConfigError, ShadowError, UnknownNameError
from pipechaos.inject.shadow import sweep

NULLS = {"fault": "null.mcar", "columns": "x", "fraction": 1.0}
ROOM = Caps(rows=1000, batches=3, seconds=60)


@pytest.fixture
def file(data):
    return data / "features" / "date=2013-06-03" / "part-0.parquet"


def copies(data, given, injections=None, caps=ROOM, clock=lambda: 100.0, **more):
    asked = {"i0": NULLS} if injections is None else injections
    how = {"shadow": str(data / "shadow"), "caps": caps, "declared": Declared(), "clock": clock}
    return make_copies(given, asked, **{**how, **more})


def test_a_path_stays_a_path_with_its_hive_folders(data, file, tree):
    before = tree(data / "features")
    made = copies(data, str(file))
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    base, broken = made["base"], made["trials"]["i0"]["given"]
    assert all(p.endswith("/date=2013-06-03/part-0.parquet") for p in (base, broken))
    assert pq.ParquetFile(base).read().equals(pq.ParquetFile(file).read())
    assert pq.ParquetFile(broken).read().column("x").null_count == 200
    assert (made["until"], made["trials"]["i0"]["changed"], made["trials"]["i0"]["status"]) == (160.0, 200, "applied")
    assert tree(data / "features") == before
    assert (data / "shadow").stat().st_mode & 0o777 == 0o700


def test_json_a_url_and_a_path_object_stay_what_they_are(data, file):
    as_json = copies(data, BatchRef.of(file).to_json())["trials"]["i0"]["given"]
    assert (as_json["name"], as_json["partition"]) == ("2013-06-03", [["date", "2013-06-03"]])
    assert BatchRef.from_json(as_json).digest
    as_url = copies(data, f"file://{file}")["trials"]["i0"]["given"]
    as_object = copies(data, file)["trials"]["i0"]["given"]
    assert (as_url, as_object) == (f"file://{as_json['uri']}", Path(as_json["uri"]))
    found = copies(data, {"batch": BatchRef.of(file).to_json(), "n": 3})["base"]
    assert (found["n"], found["batch"]["uri"]) == (3, copies(data, str(file))["base"])


def test_a_batch_behind_a_connection_is_copied_out_of_there(data, file):
    store = {"lake": SubTreeFileSystem(str(data / "features"), LocalFileSystem())}
    given = BatchRef.of("s3://date=2013-06-03/part-0.parquet", connection_id="lake").to_json()
    past = Declared(history=[BatchRef.of("s3://date=2013-06-04/part-0.parquet", connection_id="lake")])
    made = copies(data, given, connections=store, declared=past)
    for copy in (made["base"], made["trials"]["i0"]["given"]):
        assert (copy["connection_id"], copy["name"]) == (None, "2013-06-03")
        assert Path(copy["uri"]).is_relative_to(data / "shadow")
        assert copy["uri"].endswith("/date=2013-06-03/part-0.parquet")
    assert pq.ParquetFile(made["base"]["uri"]).read().equals(pq.ParquetFile(file).read())
    with pytest.raises(OverCapError, match="more than 199 rows"):
        copies(data, given, connections=store, caps=Caps(rows=199, batches=1, seconds=60))
    with pytest.raises(BatchError, match="needs the connection 'lake'"):
        copies(data, given)


def test_a_csv_stays_a_csv(data):
    source = data / "features" / "day.csv"
    source.write_text("id,x\n1,0.5\n2,1.5\n")
    made = copies(data, str(source))
    assert pd.read_csv(made["base"]).to_dict("list") == {"id": [1, 2], "x": [0.5, 1.5]}
    broken = made["trials"]["i0"]["given"]
    assert broken.endswith("/day.csv")
    assert pd.read_csv(broken)["x"].isna().all()


def test_a_folder_stays_a_folder(data, file):
    made = copies(data, str(file.parent))
    base, broken = Path(made["base"]), Path(made["trials"]["i0"]["given"])
    assert [p.name for p in base.iterdir()] == [p.name for p in broken.iterdir()] == ["part-0.parquet"]
    assert base.name == "date=2013-06-03"


def test_a_list_is_one_trial_on_every_batch(data, file):
    both = [str(file), str(data / "features" / "date=2013-06-04" / "part-0.parquet")]
    trial = copies(data, both)["trials"]["i0"]
    assert [Path(p).parent.name for p in trial["given"]] == ["date=2013-06-03", "date=2013-06-04"]
    assert trial["changed"] == 400


def steps(*seconds):
    """A clock that stays at its last time."""
    left = list(seconds)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("caps", "clock", "text"),
    [
        (Caps(rows=199, batches=3, seconds=60), steps(0.0), "more than 199 rows"),
        (Caps(rows=1000, batches=0, seconds=60), steps(0.0), "returned 1 batches and the lane may copy 0"),
        (Caps(rows=1000, batches=3, seconds=60), steps(0.0, 59.0, 61.0), "longer than 60 seconds"),
    ],
)
def test_over_a_cap_nothing_is_left(data, file, caps, clock, text):
    with pytest.raises(OverCapError, match=text):
        copies(data, str(file), {"i0": NULLS, "i1": {**NULLS, "columns": "s"}}, caps, clock)
    assert not list((data / "shadow").rglob("*.parquet"))


def test_at_the_cap_it_is_made(data, file):
    assert copies(data, str(file), caps=Caps(rows=200, batches=1, seconds=60))["trials"]["i0"]["changed"] == 200


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_what_fails_halfway_leaves_nothing_and_what_was_there_stays(data, file, tree, scheme):
    shadow, plan = f"{scheme}{data}/shadow", {"i1": {**NULLS, "fraction": 0.5}, "i2": {**NULLS, "columns": "y"}}
    kept = copies(data, str(file), shadow=shadow)["trials"]["i0"]["given"]
    before = tree(data / "shadow")
    with pytest.raises(UnknownNameError, match="unknown column 'y'"):
        copies(data, str(file), {"i0": NULLS, **plan}, shadow=shadow)
    assert tree(data / "shadow") == before
    assert Path(kept).is_file()


def test_the_kill_switch_is_asked_before_each_injection(data, file):
    asked = []

    def stop():
        asked.append(1)
        if len(asked) == 2:
            raise RuntimeError("halted")

    with pytest.raises(RuntimeError, match="halted"):
        copies(data, str(file), {"i0": NULLS, "i1": {**NULLS, "columns": "s"}}, may_inject=stop)
    assert not list((data / "shadow").rglob("*.parquet"))


@pytest.mark.parametrize(("given", "error"), [(None, ConfigError), ([], ConfigError), (7, BatchError)])
def test_without_a_reference_there_is_nothing_to_copy(data, given, error):
    with pytest.raises(error):
        copies(data, given)


def test_rows_of_a_database_need_somebody_who_knows_the_connection(data):
    source = {"table": "flights", "schema": "lake", "key": ["id"]}
    ref = {"uri": "sql://warehouse", "format": "sql", "name": "d", "connection_id": "warehouse", "sql": source}
    with pytest.raises(ConfigError, match="needs the connection 'warehouse'"):
        copies(data, ref)


def test_a_shadow_among_the_features_is_refused(data, file):
    with pytest.raises(ShadowError):
        make_copies(
            str(file),
            {"i0": NULLS},
            shadow=str(data / "features" / "shadow"),
            caps=ROOM,
            declared=Declared(),
            clock=lambda: 0.0,
        )


def test_a_sweep_takes_all_copies_of_a_lane(data, file):
    copies(data, str(file))
    assert len(sweep(data / "shadow", now=4e9, ttl_seconds=1)) == 2
    assert not list((data / "shadow").rglob("*.parquet"))


# scores


def said(told, how="x"):
    return {"told": told, "how": how, "said": []}


def outcomes(found):
    return [o["outcome"] for o in found["outcomes"]]


@pytest.fixture
def made(data, file):
    asked = {"i0": NULLS, "i1": {**NULLS, "fraction": 0.0}}
    return copies(data, str(file), asked), asked


@pytest.mark.parametrize(
    ("base", "after", "expected", "control"),
    [
        ("accepted", "rejected", ["tp", "noop"], "tn"),
        ("accepted", "accepted", ["fn", "noop"], "tn"),
        ("accepted", "errored", ["error", "noop"], "tn"),
        ("accepted", "timed_out", ["error", "noop"], "tn"),
        ("rejected", "rejected", ["base_bad", "base_bad"], "fp"),
        ("errored", "rejected", ["base_bad", "base_bad"], "error"),
        ("not_exercised", "rejected", ["not_exercised", "not_exercised"], "not_exercised"),
        ("accepted", "not_exercised", ["not_exercised", "not_exercised"], "tn"),
    ],
)
def test_outcomes_by_hand(made, base, after, expected, control):
    records = {"v": {"base": said(base), "i0": said(after), "i1": said(after)}}
    found = score_lane(made[0], records, made[1])
    assert outcomes(found) == expected
    assert [c["outcome"] for c in found["controls"]] == [control]
    assert sum(found["counts"]["v"].values()) == 2
    json.dumps(found, allow_nan=False)


def test_a_task_of_several_validators_is_scored_by_each(made, tmp_path):
    def parts(a, b, **more):
        return {**said("rejected"), "parts": {"a": {**said(a), **more}, "b": said(b)}}

    gone = {"kept": str(tmp_path / "gone.json")}
    records = {"v": {"base": parts("accepted", "rejected"), "i0": parts("rejected", "rejected", **gone),
                     "i1": said("errored")}}  # fmt: skip
    found = score_lane(made[0], records, made[1])
    assert [(o["validator"], o["outcome"]) for o in found["outcomes"]] == [
        ("v.a", "tp"), ("v.a", "noop"), ("v.b", "base_bad"), ("v.b", "base_bad"),
    ]  # fmt: skip
    assert {c["validator"]: c["outcome"] for c in found["controls"]} == {"v.a": "tn", "v.b": "fp"}
    assert found["counts"] == {"v.a": {"noop": 1, "tp": 1}, "v.b": {"base_bad": 2}}


def test_a_clone_that_left_nothing_is_not_exercised(made):
    found = score_lane(made[0], {"v": {"base": said("accepted"), "i0": None, "i1": said("accepted")}}, made[1])
    assert outcomes(found) == ["not_exercised", "noop"]


def test_when_the_time_was_over_for_one_none_is_scored(made):
    one = {"base": said("accepted"), "i0": said("rejected"), "i1": said("accepted")}
    other = {**one, "i1": said("not_exercised", LATE)}
    found = score_lane(made[0], {"v": one, "w": other}, made[1])
    assert set(outcomes(found)) == {"not_exercised"}
    assert found["reason"] == LATE


def test_without_copies_the_reason_is_told(made):
    found = score_lane(None, {"v": {"base": None, "i0": None, "i1": None}}, made[1], reason="too many rows")
    assert outcomes(found) == ["not_exercised", "not_exercised"]
    assert (found["reason"], found["controls"][0]["how"]) == ("too many rows", "too many rows")


@pytest.mark.parametrize(
    ("fault", "after", "expected"),
    [
        ({"fault": "benign.row_order"}, "rejected", "alarm"),
        ({"fault": "benign.row_order"}, "accepted", "accepted"),
        ({"fault": "canary.all_null", "columns": "x"}, "rejected", "alarm"),
    ],
)
def test_benign_changes_and_canaries_are_in_no_rate(data, file, fault, after, expected):
    asked = {"i0": fault}
    found = score_lane(copies(data, str(file), asked), {"v": {"base": said("accepted"), "i0": said(after)}}, asked)
    assert outcomes(found) == [expected]
