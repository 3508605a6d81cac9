"""The operators, executed one at a time in a process that has Airflow."""

import pytest

pytestmark = pytest.mark.airflow

FAULT = {"fault": "null.mcar", "columns": "x", "fraction": 0.3, "key": ["id"]}
CONTEXTS = [
    {"run_id": "manual__1", "logical_date": "2026-01-01T00:00:00Z", "task_instance": {"try_number": 1}},
    {"run_id": "backfill__7", "logical_date": "2013-06-03T00:00:00Z", "task_instance": {"try_number": 4}},
]


def source(data):
    return str(data / "features" / "date=2013-06-03" / "part-0.parquet")


def judge(operators, data, validator, **more):
    return operators(
        "ValidateBatchOperator",
        batch=source(data),
        validators={"v": f"callable:demo_suite:{validator}"},
        code_roots=[str(data / "suite")],
        results=str(data / "verdicts"),
        **more,
    )


def test_a_try_or_a_run_changes_nothing(operators, data, tree):
    before = tree(data / "features")
    one, again = [
        operators("ChaosOperator", c, batch=source(data), shadow=str(data / f"shadow-{i}"), **FAULT)["result"]
        for i, c in enumerate(CONTEXTS)
    ]
    assert one["status"] == "applied"
    assert one["changed"] > 0
    assert one["batch"]["digest"] == again["batch"]["digest"]
    assert tree(data / "shadow-0") == tree(data / "shadow-1")  # the copy and every file of the ledger
    kept = tree(data / "shadow-0")
    operators("ChaosOperator", CONTEXTS[1], batch=source(data), shadow=str(data / "shadow-0"), **FAULT)
    assert tree(data / "shadow-0") == kept
    assert tree(data / "features") == before


def test_another_day_or_repeat_is_another_draw(operators, data):
    other_day = str(data / "features" / "date=2013-06-04" / "part-0.parquet")
    ledgers = []
    for batch, repeat in [(source(data), 0), (other_day, 0), (source(data), 1)]:
        shadow = str(data / "shadow")
        found = operators("ChaosOperator", batch=batch, shadow=shadow, repeat=repeat, **FAULT)["result"]
        ledgers.append((found["ledger"], found["batch"]["digest"]))
    assert len(set(ledgers)) == 3


@pytest.mark.parametrize("scheme", ["s3", "zzz"])
def test_a_connection_that_is_not_there_is_told(operators, data, scheme):
    batch = {"uri": f"{scheme}://lake/a.parquet", "format": "parquet", "name": "a", "connection_id": "nowhere"}
    validators = {"validators": {"v": "callable:x:y"}, "code_roots": [], "results": str(data / "verdicts")}
    for found in (
        operators("ChaosOperator", batch=batch, shadow=str(data / "shadow"), **FAULT),
        operators("ValidateBatchOperator", batch=batch, **validators),
    ):
        assert found["error"] == "ConfigError"
        assert f"'nowhere' gives no file system for {scheme}://lake/a.parquet (" in found["message"]


@pytest.mark.parametrize("shadow", ["features/shadow", "features/date=2013-06-03/shadow", "features", ".", "link/s"])
def test_a_shadow_that_a_reader_could_see_is_refused(operators, data, tree, shadow):
    (data / "link").symlink_to(data / "features")
    before = tree(data)
    found = operators("ChaosOperator", batch=source(data), shadow=str(data / shadow), **FAULT)
    assert found["error"] == "ShadowError"
    assert "a reader of the data set would pick up corrupted copies" in found["message"]
    assert tree(data) == before


def test_a_fault_of_no_name_is_refused_before_anything_is_written(operators, data):
    found = operators("ChaosOperator", batch=source(data), shadow=str(data / "shadow"), fault="nul.mcar", columns="x")
    assert found["error"] == "UnknownNameError"
    assert "did you mean 'null.mcar'" in found["message"]
    assert not (data / "shadow").exists()


def test_a_gate_fails_for_good_on_a_rejection_that_holds(operators, data):
    (data / "suite" / "demo_suite.py").write_text("def low(frame):\n    return frame['x'] < 200\n")
    found = judge(operators, data, "low")
    assert found["error"] == "AirflowFailException"  # is not retried: the same bytes would be rejected again
    assert found["message"] == "batch '2013-06-03' is not accepted. v rejected: low"
    assert (data / "verdicts" / "2013-06-03" / "base" / "v.json").is_file()


def test_a_gate_fails_for_now_where_there_is_no_verdict(operators, data):
    found = judge(operators, data, "breaks")
    assert found["error"] == "AirflowException"  # an ordinary failure: retries are worth their while
    assert "v errored" in found["message"]


def test_a_gate_fails_where_a_validator_was_killed_at_its_limit(operators, data):
    found = judge(operators, data, "hangs", limit_seconds=0.5)
    assert found["error"] == "AirflowException"
    assert "v timed_out" in found["message"]


def test_a_rejection_beside_an_error_is_final(operators, data):
    flipped = {"fault": "value.sign", "columns": "x", "fraction": 1.0, "shadow": str(data / "shadow")}
    broken = operators("ChaosOperator", batch=source(data), **flipped)["result"]
    found = operators(
        "ValidateBatchOperator",
        batch=broken,
        validators={"e": "callable:demo_suite:breaks", "r": "callable:demo_suite:positive"},
        code_roots=[str(data / "suite")],
        results=str(data / "verdicts"),
    )
    assert found["error"] == "AirflowFailException"
    assert "e errored" in found["message"]
    assert "r rejected: positive" in found["message"]


@pytest.mark.parametrize(("validator", "status"), [("accepts", "accepted"), ("breaks", "errored")])
def test_a_report_succeeds_and_says_what_was_found(operators, data, validator, status):
    found = judge(operators, data, validator, gate=False)["result"]
    assert found["verdicts"]["v"]["status"] == status
    assert found["batch"]["name"] == "2013-06-03"


def test_a_gate_lets_through_what_is_accepted(operators, data):
    assert judge(operators, data, "positive")["result"]["verdicts"]["v"]["status"] == "accepted"


def test_verdicts_do_not_lie_among_the_features(operators, data, tree):
    before = tree(data / "features")
    arguments = {"validators": {"v": "callable:demo_suite:positive"}, "code_roots": [str(data / "suite")]}
    results = str(data / "features" / "verdicts")
    untouched = operators("ValidateBatchOperator", batch=source(data), results=results, **arguments)
    broken = operators("ChaosOperator", batch=source(data), shadow=str(data / "shadow"), **FAULT)["result"]
    copy = operators("ValidateBatchOperator", batch=broken, results=results, **arguments)
    assert (untouched["error"], copy["error"]) == ("ShadowError", "ShadowError")
    assert tree(data / "features") == before


def test_the_whole_lane_from_break_to_score(operators, data):
    """Sign flips on all of x: 'positive' must notice, 'accepts' cannot; a second fault on s is seen by neither."""
    judged = {
        "validators": {"keen": "callable:demo_suite:positive", "blind": "callable:demo_suite:accepts"},
        "code_roots": [str(data / "suite")],
        "results": str(data / "verdicts"),
    }
    base = operators("ValidateBatchOperator", batch=source(data), **judged)["result"]
    verdicts = []
    for fault, column in [("value.sign", "x"), ("null.mcar", "s")]:
        broken = operators(
            "ChaosOperator",
            batch=source(data),
            shadow=str(data / "shadow"),
            fault=fault,
            columns=column,
            fraction=1.0,
        )["result"]
        verdicts.append(operators("ValidateBatchOperator", batch=broken, gate=False, **judged)["result"])
    found = operators("ScoreOperator", base=base, verdicts=[verdicts[0], None, verdicts[1]], key=["id"])["result"]
    assert [(o["validator"], o["fault"], o["outcome"], o["changed"]) for o in found["outcomes"]] == [
        ("keen", "value.sign", "tp", 200),
        ("blind", "value.sign", "fn", 200),
        ("keen", "null.mcar", "fn", 200),
        ("blind", "null.mcar", "fn", 200),
    ]
    assert found["counts"] == {"blind": {"fn": 2}, "keen": {"fn": 1, "tp": 1}}
