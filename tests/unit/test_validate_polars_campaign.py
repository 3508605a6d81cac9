"""Validators of several kinds of frame in one process and in one campaign, with and without a loader."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import scorecard_of
from pipechaos.campaign.run import run_campaign
from pipechaos.campaign.starter import validator_of
from pipechaos.errors import ExperimentError, ValidatorLoadError
from pipechaos.score.records import Outcome, TrialKind
from pipechaos.validate.verdict import VerdictStatus
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

SUITE = '''
import dataframely as dy
import pandas as pd
import pandera.pandas as pap
import pandera.polars as pa
import pointblank as pb
import polars as pl


class Rides(dy.Schema):
    id = dy.Int64(primary_key=True)
    x = dy.Float64(nullable=False, min=0, max=20)
    s = dy.String(nullable=False)
    loaded = dy.Bool()


def columns(library):
    x = library.Column(float, library.Check.in_range(0, 20))
    return {"id": library.Column(int, unique=True), "x": x, "s": library.Column(str), "loaded": library.Column(bool)}


polars_schema = pa.DataFrameSchema(columns(pa))
pandas_schema = pap.DataFrameSchema(columns(pap))


def steps(frame):
    return (
        pb.Validate(frame)
        .col_exists(["id", "x", "s", "loaded"])
        .col_vals_between("x", 0, 20)
        .col_vals_not_null(["id", "s"])
        .rows_distinct(columns_subset=["id"])
    )


def read(path):
    return pl.read_parquet(path).with_columns(loaded=True)


def scan(path):
    return pl.scan_parquet(path).with_columns(loaded=True)


def read_pandas(path):
    return pd.read_parquet(path).assign(loaded=True)


def kind(frame):
    """Say, by the findings' only way out, what kind of frame came in."""
    raise AssertionError(f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}")
'''
SPECS = {
    "dataframely": "dataframely:pl_campaign:Rides",
    "polars": "pandera:pl_campaign:polars_schema",
    "pandas": "pandera:pl_campaign:pandas_schema",
    "pointblank": "pointblank:pl_campaign:steps",
}
DAYS = [f"2013-06-{d:02}" for d in range(1, 6)]


def day(number, rows=40):
    rng = np.random.default_rng(number)
    return pa.table({"id": range(rows), "x": rng.uniform(1, 19, rows).round(3), "s": [f"d{number}"] * rows})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("polars")
    (folder / "data").mkdir()
    for number, name in enumerate(DAYS):
        pq.write_table(day(number), folder / "data" / f"{name}.parquet")
    (folder / "pl_campaign.py").write_text(SUITE)
    return folder


def stream(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def worker_of(root, specs, loader=None):
    validators = tuple(s if isinstance(s, ValidatorSpec) else ValidatorSpec(name=s, spec=SPECS[s]) for s in specs)
    return Worker(WorkerSpec(validators=validators, roots=(str(root),), loader=loader))


@pytest.mark.parametrize("loader", ["pl_campaign:read", "pl_campaign:read_pandas"])
def test_one_loader_serves_validators_of_either_kind(root, loader, tmp_path):
    good, bad = day(1), day(1).set_column(1, "x", pa.array([99.0] + [5.0] * 39))
    pq.write_table(bad, tmp_path / "bad.parquet")
    with worker_of(root, SPECS, loader) as worker:
        for name in SPECS:
            assert worker.validate(name, stream(good)).status is VerdictStatus.ACCEPTED, name
            for payload in (stream(bad), tmp_path / "bad.parquet"):
                verdict = worker.validate(name, payload)
                assert verdict.status is VerdictStatus.REJECTED, name
                assert [f.rows.tolist() for f in verdict.findings] == [[0]]
                assert len(verdict.ordered_digest) == 32


def test_without_a_loader_each_kind_has_a_reader(root):
    kinds = {
        "any": ValidatorSpec(name="any", spec="callable:pl_campaign:kind"),
        "own": ValidatorSpec(name="own", spec="callable:pl_campaign:kind", loader="polars:read_parquet"),
        "lazy": ValidatorSpec(name="lazy", spec="callable:pl_campaign:kind", loader="pl_campaign:scan"),
    }
    table = day(1).append_column("loaded", pa.array([True] * 40))
    with worker_of(root, [*SPECS, *kinds.values()]) as worker:
        assert {n: worker.validate(n, stream(table)).status for n in SPECS} == dict.fromkeys(
            SPECS, VerdictStatus.ACCEPTED
        )
        said = {n: worker.validate(n, stream(day(1))).findings[0].message for n in kinds}
        twins = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
        unread = worker.validate("polars", stream(twins))
    assert (unread.status, unread.findings[0].check) == (VerdictStatus.ERRORED, "<loader>")
    assert {n: m.rpartition(": ")[2] for n, m in said.items()} == {
        "any": "pandas DataFrame",
        "own": "polars DataFrame",
        "lazy": "polars LazyFrame",
    }


def test_a_scan_is_judged_after_its_file_is_gone(root):
    with worker_of(root, ["dataframely", "polars"], "pl_campaign:scan") as worker:
        verdicts = [worker.validate(n, stream(day(1))) for n in ("dataframely", "polars")]
    assert [v.status for v in verdicts] == [VerdictStatus.ACCEPTED, VerdictStatus.ERRORED]
    assert [f.check for f in verdicts[1].findings] == ["<validation depth>"]


def test_a_loader_that_is_none_says_so(root):
    with pytest.raises(ValidatorLoadError, match="loader 'polars:no_such' cannot be called"):
        worker_of(root, ["polars"], "polars:no_such").start()


def test_a_campaign_over_polars_frames(root):
    experiment = parse_experiment(
        {
            "name": "polars",
            "batches": ["data/*.parquet"],
            "key": ["id"],
            "history": {"count": 2},
            "roots": ["."],
            "loader": "pl_campaign:read",
            "validators": [{"name": n, "spec": s} for n, s in SPECS.items()],
            "contract": {"row_order": True},
            "faults": [
                {"fault": "null.mcar", "columns": ["x"]},
                {"fault": "value.scale", "columns": ["x"]},
                {"fault": "schema.drop_column", "columns": ["s"]},
                {"fault": "type.number_to_text", "columns": ["x"]},
            ],
            "severities": [5],
            "controls": {"repeats": 1, "benign": 2},
            "limit_seconds": 60,
        }
    )
    result = run_campaign(experiment, root, jobs=1)
    outcomes = Counter((t.validator, t.kind, t.outcome) for t in result.trials)
    for name in SPECS:
        assert outcomes[name, TrialKind.NATURAL, Outcome.TN] == 3 + 1
        alarms = {t.fault for t in result.trials if (t.validator, t.outcome) == (name, Outcome.ALARM)}
        whole = {"canary.all_null", "canary.no_columns", "canary.all_text"}
        assert alarms == whole - ({"canary.all_text"} if name == "pointblank" else set())  # numbers as text end it
        assert outcomes[name, TrialKind.FAULT, Outcome.BASE_BAD] == 0
        caught = {t.fault for t in result.trials if t.validator == name and t.outcome is Outcome.TP}
        assert {"null.mcar", "schema.drop_column", "type.number_to_text"} <= caught
        seen = [t for t in result.trials if t.validator == name and t.kind is TrialKind.FAULT]
        assert all(t.frame_digest for t in seen)
    card = scorecard_of(result)
    assert (card.blind, card.voids) == ((), ())


@pytest.mark.parametrize(
    ("given", "kind", "spec"),
    [
        ("dataframely:pl_campaign:Rides", "dataframely", "dataframely:pl_campaign:Rides"),
        ("dataframely:{root}/pl_campaign.py:Rides", "dataframely", "dataframely:pl_campaign:Rides"),
        ("dataframely:{root}/pl_campaign.py:Rides:cast", "dataframely", "dataframely:pl_campaign:Rides:cast"),
        ("pointblank:{root}/pl_campaign.py:steps", "pointblank", "pointblank:pl_campaign:steps"),
        ("pointblank:{root}/plan.yaml", "pointblank", "pointblank:plan.yaml"),
        ("{root}/plan.yaml", "pointblank", "pointblank:plan.yaml"),
        ("{root}/pl_campaign.py:polars_schema", "pandera", "pandera:pl_campaign:polars_schema"),
    ],
)
def test_a_file_on_the_command_line_becomes_a_spec(root, given, kind, spec):
    (root / "plan.yaml").write_text("tbl: x\nsteps: [rows_distinct]\n")
    found = validator_of(given.format(root=root))
    assert found[:2] == (kind, spec)
    if "{root}" in given:
        assert found[2] == root


def test_a_file_that_is_none_is_said(root):
    with pytest.raises(ExperimentError, match="no suite"):
        validator_of(f"pointblank:{root}/gone.yaml")
    with pytest.raises(ExperimentError, match=r"no file .*gone\.py"):
        validator_of(f"dataframely:{root}/gone.py:Rides:cast")
