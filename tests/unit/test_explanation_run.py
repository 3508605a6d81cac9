"""Explanations of a small run: what they say, and that they hold no data value unless they may."""

import dataclasses
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from rich.console import Console

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import scorecard_of
from pipechaos.campaign.replay import replay
from pipechaos.campaign.run import run_campaign
from pipechaos.campaign.source import Batches
from pipechaos.campaign.survivors import declared_by, explanations_of
from pipechaos.campaign.trials_io import write_trials
from pipechaos.cli.main import main
from pipechaos.report.content import build_content
from pipechaos.report.markdown import render_markdown
from pipechaos.report.replay import render_replay
from pipechaos.report.survivors import wanted_examples
from pipechaos.report.terminal import render_terminal
from pipechaos.score.records import Outcome, Review, TrialKind

SUITE = """
import pandera.pandas as pa

schema = pa.DataFrameSchema(
    {
        "id": pa.Column(int),
        "x": pa.Column(float, pa.Check.in_range(0, 1e9), nullable=True),
    },
    checks=pa.Check(lambda df: len(df) > 0, name="rows"),
)


def anything(frame):
    return len(frame.columns) > 0
"""
DAYS = [f"2013-06-{d:02}" for d in range(1, 13)]
SECRET_TEXT, SECRET_NUMBER = "s3cret", "737373"
FAULTS = {
    "null.mcar": "x",
    "value.scale": "x",
    "value.outlier": "x",
    "missing.sentinel": "x",
    "category.unseen": "s",
    "text.typo": "s",
    "rows.drop": None,
    "rows.duplicate": None,
    "time.stale": None,
    "schema.rename_column": "s",
}


def table(at, rows=120):
    rng = np.random.default_rng(at)
    start = at * 86_400_000_000
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "at": pa.array([start + i * 1_000_000 for i in range(rows)], pa.timestamp("us")),
            "x": np.round(737373 + rng.uniform(0, 0.9, rows), 3),
            "s": [f"{SECRET_TEXT}-{i % 3}" for i in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("explained")
    (root / "data").mkdir()
    for at, day in enumerate(DAYS):
        pq.write_table(table(at), root / "data" / f"{day}.parquet")
    (root / "explained_suite.py").write_text(SUITE)
    faults = [{"fault": f, "columns": [c]} if c else {"fault": f} for f, c in FAULTS.items()]
    experiment = parse_experiment(
        {
            "name": "explained",
            "batches": ["data/*.parquet"],
            "key": ["id"],
            "time": "at",
            "history": {"count": 8},
            "validators": [
                {"name": "p", "spec": "pandera:explained_suite:schema"},
                {"name": "c", "spec": "callable:explained_suite:anything"},
            ],
            "faults": faults,
            "severities": [1, 3],
            "controls": {"repeats": 0, "benign": 1},
        }
    )
    result = run_campaign(experiment, root, jobs=1)
    return root, experiment, result, declared_by(experiment, {s.name: s for s in result.suites})


def missed(result):
    return [t for t in result.trials if t.kind is TrialKind.FAULT and t.outcome is Outcome.FN]


def explained(done, values=True, trials=None):
    root, experiment, result, declared = done
    ids = [t.trial_id for t in missed(result)]
    return explanations_of(ids, trials or result.trials, Batches(experiment, root), declared, values=values)


def one(done, fault, validator, severity=None, **more):
    root, experiment, result, declared = done
    trial = next(
        t for t in missed(result) if t.fault == fault and t.validator == validator and severity in (None, t.severity)
    )
    batches = Batches(experiment, root)
    return trial, explanations_of([trial.trial_id], result.trials, batches, declared, **more)[trial.trial_id]


def told(done, tmp_path, values):
    """Every text that comes of explanations: records, both reports, and two replays."""
    root, experiment, result, _ = done
    known = explained(done, values)
    out = io.StringIO()
    content = build_content(scorecard_of(result), known, experiment="e.yaml")
    render_terminal(content, Console(file=out, width=200), most=100)
    texts = [repr(known), out.getvalue(), render_markdown(content, most=100)]
    write_trials(result.trials, tmp_path / "trials.parquet")
    seen = {}
    for trial in missed(result):
        seen.setdefault((trial.fault, trial.validator == "p"), trial)
    for trial in list(seen.values())[:2]:
        found = replay(trial.trial_id, experiment, root, tmp_path / "trials.parquet", values=values)
        out = io.StringIO()
        render_replay(found, Console(file=out, width=200))
        texts += [out.getvalue(), json.dumps(found.to_json())]
    return "\n".join(texts)


def test_every_fault_got_through_somebody(done):
    assert {t.fault for t in missed(done[2])} == set(FAULTS)


def test_no_data_value_is_told_where_none_may_be(done, tmp_path):
    found = told(done, tmp_path, values=False)
    assert SECRET_TEXT not in found
    assert SECRET_NUMBER not in found
    assert "7.37373e" not in found
    assert "1970-01-" not in found
    assert "nulls 0.0 % -> " in found


def test_data_values_are_told_where_they_may_be(done, tmp_path):
    found = told(done, tmp_path, values=True)
    assert SECRET_TEXT in found
    assert SECRET_NUMBER in found
    assert "1970-01-" in found


def test_nulls_are_explained_by_a_budget_that_was_tried(done):
    trial, found = one(done, "null.mcar", "p", severity=3)
    assert found.suggestion.text.startswith("a budget of nulls in x, at most 1 % (the history's worst batch has 0 %")
    assert found.suggestion.text.endswith("accepts all 8 of the history and all 4 controls of the run")
    assert found.suggestion.code == (
        "pa.Check(lambda s: bool(s.isna().mean() <= 0.01), name='x_null_share', ignore_na=False)"
    )
    (drawn,) = found.sketches
    assert (drawn.column, drawn.null_before) == ("x", 0.0)
    assert drawn.null_after == pytest.approx(trial.changed / 120)


def test_a_callable_gets_words_and_no_code(done):
    _, found = one(done, "null.mcar", "c", severity=3)
    assert found.suggestion.text.startswith("a budget of nulls")
    assert found.suggestion.code == ""


def test_a_batch_that_a_person_found_bad_is_no_control(done):
    trials = [
        dataclasses.replace(t, review=Review.TRUE) if t.kind is TrialKind.NATURAL and t.batch == DAYS[-1] else t
        for t in done[2].trials
    ]
    found = [e.suggestion.text for e in explained(done, trials=trials).values() if e.suggestion]
    assert found
    assert all("all 3 controls" in text for text in found)


def test_a_scaled_column_says_how_near_its_range_was(done):
    trial, found = one(done, "value.scale", "p", severity=3)
    (near,) = found.near
    assert near.check == "x:in_range(0, 1000000000.0)"
    factor = trial.params["factor"]
    # from about 737 thousand to the factor times that, of the way to a thousand million
    assert near.used == pytest.approx((factor - 1) * 737373.9 / (1e9 - 737373.9), rel=1e-3)
    assert near.statistic == "maximum"
    assert found.suggestion.code.startswith("pa.Check.le(73737")


def test_both_rungs_of_the_run_are_doses_where_the_base_is_the_same(done):
    _, _, result, _ = done
    for name, found in explained(done).items():
        trial = next(t for t in result.trials if t.trial_id == name)
        here = [
            t
            for t in result.trials
            if (t.fault, t.validator, t.batch, t.columns) == (trial.fault, trial.validator, trial.batch, trial.columns)
            and t.outcome in (Outcome.FN, Outcome.TP)
        ]
        assert [d.severity for d in found.doses] == sorted(t.severity for t in here)


def test_rows_show_the_time_column_and_a_renamed_column_is_followed(done):
    _, dropped = one(done, "rows.drop", "c")
    assert [s.column for s in dropped.sketches] == ["at"]
    _, renamed = one(done, "schema.rename_column", "c")
    (drawn,) = renamed.sketches
    assert drawn.before == drawn.after


def test_a_replay_searches_the_ladder_on_demand(done, tmp_path):
    root, experiment, result, _ = done
    trial, _ = one(done, "null.mcar", "p", severity=3)
    write_trials(result.trials, tmp_path / "trials.parquet")
    found = replay(trial.trial_id, experiment, root, tmp_path / "trials.parquet", smaller=True)
    assert [(d.severity, d.missed) for d in found.explanation.doses] == [(s, True) for s in range(1, 6)]
    out = io.StringIO()
    render_replay(found, Console(file=out, width=120))
    assert "survives from severity 1 to 5 of 5" in out.getvalue()
    assert "Suggestion: a budget of nulls" in out.getvalue()


def test_suites_that_are_gone_declare_nothing(done):
    _, experiment, _, declared = done
    assert {name: bool(d.limits) for name, d in declared.items()} == {"p": True, "c": False}
    assert declared_by(experiment, {}) == {}


def test_the_command_shows_doses_and_keeps_values_back(done):
    root, experiment, result, _ = done
    trial, _ = one(done, "null.mcar", "c", severity=3)
    (root / "e.yaml").write_text(json.dumps(experiment.model_dump(mode="json")))
    (root / "e.out").mkdir(exist_ok=True)
    write_trials(result.trials, root / "e.out" / "trials.parquet")
    given = ["replay", trial.trial_id, "--experiment", str(root / "e.yaml"), "--out", str(root / "e.out")]
    plain = CliRunner().invoke(main, given)
    assert "737373." in plain.stderr
    assert "to 5 of 5" not in plain.stderr
    quiet = CliRunner().invoke(main, [*given, "--shrink", "--no-values", "--json", "-"])
    assert (plain.exit_code, quiet.exit_code) == (0, 0)
    assert [d["missed"] for d in json.loads(quiet.stdout)["explanation"]["doses"]] == [True] * 5
    assert "survives from severity 1 to 5 of 5" in quiet.stderr
    assert SECRET_NUMBER not in quiet.output
    assert SECRET_TEXT not in quiet.output


def test_wanted_trials_are_those_that_a_report_shows(done):
    root, experiment, result, declared = done
    card = scorecard_of(result)
    wanted = wanted_examples(card, 3)
    known = explanations_of(wanted, result.trials, Batches(experiment, root), declared)
    content = build_content(card, known)
    assert [e.rows is not None for e in content.survivors[:4]] == [True, True, True, False]
    assert all(e.sketches for e in content.survivors[:3])
