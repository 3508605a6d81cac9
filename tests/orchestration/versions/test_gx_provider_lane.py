"""A lane round the operators of Great Expectations' own provider, in the environment it can be installed in."""

import json
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.testing.dag_runs import run_dag

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        find_spec("great_expectations_provider") is None,
        reason="the provider of Great Expectations is not installed here, since it cannot be beside Airflow 3.3.1 and "
        "later: `make test-airflow31` runs these tests",
    ),
]

# As its users write it: nothing of these operators is a template, so the path comes through the task's context.
TEAM = """
import os
from pathlib import Path

import great_expectations.expectations as gxe
from airflow.sdk import DAG, get_current_context, task
from great_expectations import Checkpoint, ExpectationSuite, ValidationDefinition
from great_expectations_provider.operators.validate_batch import GXValidateBatchOperator
from great_expectations_provider.operators.validate_checkpoint import GXValidateCheckpointOperator
from great_expectations_provider.operators.validate_dataframe import GXValidateDataFrameOperator

HOME = Path(os.environ["LANE_HOME"])
FILE = HOME / "features" / "date=2013-06-03" / "part-0.parquet"


def upstream(context):
    path = Path(get_current_context()["ti"].xcom_pull(task_ids="features"))
    asset = context.data_sources.add_pandas_filesystem("features", base_directory=path.parent).add_parquet_asset("day")
    return asset.add_batch_definition_path("file", path=path.name)


def by_pattern(context):
    asset = context.data_sources.add_pandas_filesystem("all", base_directory=HOME / "features").add_parquet_asset("day")
    return asset.add_batch_definition_daily(
        "daily", regex=r"date=(?P<year>\\d{4})-(?P<month>\\d{2})-(?P<day>\\d{2})/part-0.parquet"
    )


def no_nulls(context):
    return gxe.ExpectColumnValuesToNotBeNull(column="x")


def keyed(context):
    once = gxe.ExpectColumnValuesToBeUnique(column="id")
    return context.suites.add(ExpectationSuite("keyed", [no_nulls(context), once]))


def there(context):
    return gxe.ExpectColumnToExist(column="x")


def checkpoint(context):
    data = upstream(context)
    suites = [
        ExpectationSuite("content", [no_nulls(context), there(context)]),
        ExpectationSuite("size", [gxe.ExpectTableRowCountToBeBetween(min_value=100, max_value=200)]),
    ]
    parts = [
        context.validation_definitions.add(ValidationDefinition(name=s.name, data=data, suite=context.suites.add(s)))
        for s in suites
    ]
    return context.checkpoints.add(Checkpoint(name="both", validation_definitions=parts))


def at_parse():
    import pandas as pd

    return pd.read_parquet(FILE)


with DAG("team", schedule=None):

    @task
    def features():
        return str(FILE)

    @task
    def publish(path):
        return path

    def gx(task_id, kind, **arguments):
        return kind(task_id=task_id, **arguments)

    DAY = {"year": "2013", "month": "06", "day": "03"}
    checks = [
        gx("batch", GXValidateBatchOperator, configure_batch_definition=upstream, configure_expectations=keyed),
        gx("brief", GXValidateBatchOperator, configure_batch_definition=upstream, configure_expectations=no_nulls,
           result_format="BOOLEAN_ONLY"),
        gx("exists", GXValidateBatchOperator, configure_batch_definition=upstream, configure_expectations=there),
        gx("both", GXValidateCheckpointOperator, configure_checkpoint=checkpoint),
        gx("pattern", GXValidateBatchOperator, configure_batch_definition=by_pattern, configure_expectations=no_nulls,
           batch_parameters=DAY),
        gx("frame", GXValidateDataFrameOperator, configure_dataframe=at_parse, configure_expectations=no_nulls),
    ]
    path = features()
    published = publish(path)
    path >> checks >> published
"""

LANE = """
from pipechaos.airflow.lane import chaos_lane

chaos_lane(
    path,
    checks,
    published,
    injections=[
        {"fault": "null.mcar", "columns": "x", "fraction": 0.3},
        {"fault": "schema.drop_column", "columns": "x"},
        {"fault": "null.mcar", "columns": "s", "fraction": 0.3},
        {"fault": "rows.duplicate", "fraction": 0.5},
    ],
    shadow=str(HOME / "shadow"),
    key=["id"],
    enabled=True,
)
"""

NULLS, DROPPED, ELSEWHERE, TWICE = "i0_null_mcar", "i1_schema_drop_column", "i2_null_mcar", "i3_rows_duplicate"
NOT_NULL = {"check": "expect_column_values_to_not_be_null", "columns": ["x"], "subject": "value"}
THERE = {"check": "expect_column_to_exist", "columns": ["x"], "subject": "schema"}
ONCE = {"check": "expect_column_values_to_be_unique", "columns": ["id"], "subject": "uniqueness"}
ROWS = {"check": "expect_table_row_count_to_be_between", "columns": [], "subject": "row_count"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("gx_lane")
    file = home / "features" / "date=2013-06-03" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    x = [float(i) for i in range(200)]
    pq.write_table(pa.table({"id": range(200), "x": x, "s": [f"s{i % 7}" for i in range(200)]}), file)
    (home / "dags").mkdir()
    (home / "dags" / "team.py").write_text(TEAM + LANE)
    judged = [f"{v}__{label}" for v in ("batch", "brief", "exists", "both") for label in (NULLS, DROPPED, TWICE)]
    (found,) = run_dag(
        home / "dags",
        "team",
        [{}],
        home=home / "airflow",
        wanted=["batch", "both", *(f"chaos_features.{name}" for name in ["score", *judged])],
        # to import the provider is to import Great Expectations, which takes a slow machine longer than Airflow waits
        env={"LANE_HOME": str(home), "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600"},
        timeout_seconds=850,
    )
    return found


def outcomes(run):
    found = {}
    for line in run.results["chaos_features.score"]["outcomes"]:
        found.setdefault(line["validator"], []).append(line["outcome"])
    return found


def test_each_operator_is_scored_as_it_judges(run):
    assert outcomes(run) == {
        # nulls in x, x dropped, nulls in s, rows twice
        "batch": ["tp", "error", "fn", "tp"],
        "brief": ["tp", "error", "fn", "fn"],
        "exists": ["fn", "tp", "fn", "fn"],
        "both": ["tp", "tp", "fn", "tp"],
        "pattern": ["not_exercised"] * 4,  # reads where it always does
        "frame": ["not_exercised"] * 4,  # read while the DAG was parsed
    }


def test_the_untouched_copy_is_accepted(run):
    controls = {c["validator"]: c["outcome"] for c in run.results["chaos_features.score"]["controls"]}
    judging = dict.fromkeys(["batch", "brief", "exists", "both"], "tn")
    assert controls == {**judging, "pattern": "not_exercised", "frame": "not_exercised"}


@pytest.mark.parametrize(
    ("task", "told", "said"),
    [
        (f"batch__{NULLS}", "rejected", [NOT_NULL]),
        (f"batch__{TWICE}", "rejected", [ONCE]),
        (f"batch__{DROPPED}", "errored", []),
        (f"brief__{NULLS}", "rejected", [NOT_NULL]),
        (f"brief__{DROPPED}", "errored", []),
        (f"brief__{TWICE}", "accepted", []),
        (f"exists__{DROPPED}", "rejected", [THERE]),
        (f"both__{NULLS}", "rejected", [NOT_NULL]),
        (f"both__{DROPPED}", "rejected", [THERE]),  # not for the expectation beside it, which only raised
        (f"both__{TWICE}", "rejected", [ROWS]),
    ],
)
def test_what_was_said_is_what_failed_and_not_what_raised(run, task, told, said):
    record = run.results[f"chaos_features.{task}"]
    assert (record["told"], record["said"]) == (told, said)
    assert record["how"] == ("success" if told == "accepted" else "result")


def test_a_detection_is_credited_to_the_fault(run):
    lines = run.results["chaos_features.score"]["outcomes"]
    caught = {(line["validator"], line["fault"]): line["why"] for line in lines if line["outcome"] == "tp"}
    assert set(caught.values()) == {"direct"}, caught


def test_the_teams_own_operators_go_on_as_ever(run):
    team = {t: s for t, s in run.tasks.items() if not t.startswith("chaos_")}
    assert set(team.values()) == {"success"}
    assert run.results["batch"]["success"] is True
    assert run.results["both"]["statistics"]["evaluated_validations"] == 2
    clones = {t: s for t, s in run.tasks.items() if "__" in t}
    assert len(clones) == 6 * 5
    assert set(clones.values()) == {"success"}
    assert json.dumps(run.results["chaos_features.score"], allow_nan=False)
