"""Runs, trials, verdicts and rates, and the views over them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_EMPTY_OR_TEXT = "fault family weakness_id injection_id ledger_reason source_digest after_digest frame_digest moves"
_WORDS = "ledger_status base_status status error_cause why"
_WHOLE = "block fault_version severity repeat rungs checks_declared checks_ran"
_WEAKNESS = (
    'run_id, experiment, started, validator, weakness_id, fault, family, "columns", placement, params, moves, '
    "fraction, severity, rungs, missed, detected, errors"
)

# Trials in the rates (SCORING.md section 4): of equal after-batches the first counts; a run shows once it has ended.
_WEAKNESSES = """
CREATE VIEW pc_v_weaknesses AS
WITH judged AS (
  SELECT run_id, validator, weakness_id, fault, family, CAST("columns" AS TEXT) AS "columns",
         CAST(placement AS TEXT) AS placement, CAST(params AS TEXT) AS params, moves, fraction, severity, rungs,
         outcome,
         row_number() OVER (
           PARTITION BY run_id, validator, weakness_id, CASE after_digest WHEN '' THEN trial_id ELSE after_digest END
           ORDER BY batch COLLATE {collation}, repeat, trial_id COLLATE {collation}) AS nth
  FROM pc_trial
  WHERE kind = 'fault' AND outcome IN ('tp', 'fn', 'error') AND (error_cause IS NULL OR error_cause <> 'injection')
        AND NOT flaky AND NOT subnatural
)
SELECT r.run_id, r.experiment, r.started, j.validator, j.weakness_id, min(j.fault) AS fault, min(j.family) AS family,
       {json_columns} AS "columns", {json_placement} AS placement, {json_params} AS params, min(j.moves) AS moves,
       min(j.fraction) AS fraction, min(j.severity) AS severity, min(j.rungs) AS rungs,
       sum(CASE j.outcome WHEN 'fn' THEN 1 ELSE 0 END) AS missed,
       sum(CASE j.outcome WHEN 'tp' THEN 1 ELSE 0 END) AS detected,
       sum(CASE j.outcome WHEN 'error' THEN 1 ELSE 0 END) AS errors
FROM judged j JOIN pc_run r ON r.run_id = j.run_id
WHERE j.nth = 1 AND r.status <> 'running'
GROUP BY r.run_id, r.experiment, r.started, j.validator, j.weakness_id
"""
_SURVIVORS = """
CREATE VIEW pc_v_survivors AS
SELECT {weakness} FROM pc_v_weaknesses WHERE missed > 0
"""
_REGRESSIONS = """
CREATE VIEW pc_v_regressions AS
SELECT {weakness}, previous_run, previous_detected
FROM (
  SELECT {weakness}, lag(run_id) OVER tries AS previous_run, lag(missed) OVER tries AS previous_missed,
         lag(detected) OVER tries AS previous_detected
  FROM pc_v_weaknesses
  WHERE missed + detected > 0
  WINDOW tries AS (PARTITION BY experiment, validator, weakness_id ORDER BY started, run_id COLLATE {collation})
) tried
WHERE missed > 0 AND previous_missed = 0
"""
_RUN_RATES = """
CREATE VIEW pc_v_run_rates AS
SELECT r.run_id, r.experiment, r.started, r.revision, v.validator, v.suite_digest,
       v.fnr, v.fnr_low, v.fnr_high, v.missed, v.faulty, v.fpr, v.fpr_low, v.fpr_high, v.alarms, v.natural,
       lag(r.run_id) OVER earlier AS previous_run, lag(v.fnr) OVER earlier AS previous_fnr,
       lag(v.fpr) OVER earlier AS previous_fpr
FROM pc_rate v JOIN pc_run r ON r.run_id = v.run_id
WINDOW earlier AS (PARTITION BY r.experiment, v.validator ORDER BY r.started, r.run_id COLLATE {collation})
"""
_NESTED = ("columns", "placement", "params")
_VIEWS = ("pc_v_weaknesses", "pc_v_survivors", "pc_v_regressions", "pc_v_run_rates")


def _run_id() -> sa.Column[str]:
    return sa.Column("run_id", sa.Text, nullable=False)


def _of_run(table: str, *key: str) -> tuple[sa.schema.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint("run_id", *key, name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["run_id"], ["pc_run.run_id"], name=f"fk_{table}_pc_run", ondelete="CASCADE"),
    )


def upgrade() -> None:
    """To this revision."""
    _runs()
    _trials()
    op.create_table(
        "pc_verdict",
        _run_id(),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("again", sa.Boolean, nullable=False),
        sa.Column("validator", sa.Text, nullable=False),
        sa.Column("source_digest", sa.Text, nullable=False),
        sa.Column("verdict", sa.JSON, nullable=False),
        *_of_run("pc_verdict", "batch", "again", "validator"),
    )
    op.create_table(
        "pc_rate",
        _run_id(),
        sa.Column("validator", sa.Text, nullable=False),
        sa.Column("suite_digest", sa.Text, nullable=False),
        *(sa.Column(n, sa.Double) for n in ("fnr", "fnr_low", "fnr_high", "fpr", "fpr_low", "fpr_high")),
        *(sa.Column(n, sa.Integer, nullable=False) for n in ("missed", "faulty", "alarms", "natural")),
        *_of_run("pc_rate", "validator"),
    )
    _views()


def _runs() -> None:
    op.create_table(
        "pc_run",
        _run_id(),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("experiment_digest", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("suites", sa.JSON, nullable=False),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("history", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("scorecard", sa.JSON),
        sa.PrimaryKeyConstraint("run_id", name="pk_pc_run"),
    )
    op.create_index("ix_pc_run_experiment_started", "pc_run", ["experiment", "started"])


def _trials() -> None:
    op.create_table(
        "pc_trial",
        _run_id(),
        *(sa.Column(n, sa.Text, nullable=False) for n in ("trial_id", "validator", "batch", "kind", "outcome")),
        *(sa.Column(n, sa.Text, nullable=False) for n in _EMPTY_OR_TEXT.split()),
        *(sa.Column(n, sa.Text) for n in _WORDS.split()),
        *(sa.Column(n, sa.Integer, nullable=False) for n in _WHOLE.split()),
        *(sa.Column(n, sa.BigInteger, nullable=False) for n in ("seed", "eligible", "changed")),
        *(sa.Column(n, sa.Double, nullable=False) for n in ("fraction", "seconds")),
        sa.Column("dose", sa.Double),
        *(sa.Column(n, sa.Boolean, nullable=False) for n in ("error_only", "subnatural", "flaky")),
        sa.Column("review", sa.Text, nullable=False),
        *(sa.Column(n, sa.JSON, nullable=False) for n in ("columns", "placement", "params", "resolved", "findings")),
        sa.Column("rows", sa.JSON),
        *_of_run("pc_trial", "trial_id", "validator", "batch"),
    )


def _views() -> None:
    names = {"weakness": _WEAKNESS, "collation": "BINARY"}
    names |= {f"json_{n}": f'min(j."{n}")' for n in _NESTED}
    if op.get_context().dialect.name == "postgresql":
        names["collation"] = '"C"'
        names |= {f"json_{n}": f'CAST(min(j."{n}") AS JSON)' for n in _NESTED}
    for view in (_WEAKNESSES, _SURVIVORS, _REGRESSIONS, _RUN_RATES):
        op.execute(view.format(**names))


def downgrade() -> None:
    """Back from it."""
    for view in reversed(_VIEWS):
        op.execute(f"DROP VIEW {view}")
    for table in ("pc_rate", "pc_verdict", "pc_trial", "pc_run"):
        op.drop_table(table)
