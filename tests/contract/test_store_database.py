"""What the store keeps and answers, on SQLite and on PostgreSQL alike."""

import datetime as dt
import json
import random
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from alembic import command

from pipechaos.campaign.trials_io import read_trials
from pipechaos.errors import ConfigError
from pipechaos.ledger.records import Status
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Review, RowScores, Trial, TrialKind, Why
from pipechaos.score.survivors import survivors
from pipechaos.store import tables
from pipechaos.store.database import Store
from pipechaos.store.records import BaseVerdict, RunRecord, RunStatus, StoreError
from pipechaos.store.upgrade import alembic_config
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, VerdictStatus

DAY = dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC)
HOSTILE = "a\"'`|<b>\x1b[31m\u202e;DROP TABLE pc_run;--\u00e9"


@pytest.fixture
def store(address):
    with Store.open(address) as opened:
        yield opened


def record(run_id="r1", day=0, **more):
    given = {
        "experiment": "flights",
        "experiment_digest": "d0",
        "seed": 2**63 - 1,
        "suites": {"gx": "aa", "pandera": "bb"},
        "versions": {"pandas": "3.1.1"},
        "revision": "abc123",
        "history": "h",
        "started": DAY + dt.timedelta(days=day),
    }
    return RunRecord(run_id=run_id, **given | more)


def fault(n, outcome=Outcome.FN, *, weakness="w1", validator="gx", batch="b1", **more):
    given = {"fault": "null.mcar", "family": "missing", "columns": ("x",), "severity": 3, "after_digest": f"after-{n}"}
    return Trial(
        trial_id=f"t{n:04}",
        kind=TrialKind.FAULT,
        validator=validator,
        batch=batch,
        outcome=outcome,
        weakness_id=weakness,
        injection_id=f"i{n}",
        **given | more,
    )


FULL = fault(
    1,
    Outcome.TP,
    validator=HOSTILE,
    batch="naïve day",
    columns=(HOSTILE, "y"),
    placement={"kind": "own_value", "q": 0.1 + 0.2},
    params={"factor": 1e22, "nested": {"a": [1, None, True]}},
    resolved={"scale": 2.5e-308, "values": ["x", HOSTILE]},
    fraction=0.05,
    seed=2**63 - 1,
    eligible=2**40,
    changed=2**33,
    dose=1 / 3,
    ledger_status=Status.APPLIED,
    ledger_reason=HOSTILE,
    base_status=VerdictStatus.ACCEPTED,
    status=VerdictStatus.REJECTED,
    findings=(
        FindingRef(
            check=HOSTILE, columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, n_rows=3, why=Why.DIRECT
        ),
        FindingRef(check="e", columns=(), kind=FindingKind.ERROR, subject=Subject.TABLE),
    ),
    why=Why.DIRECT,
    rows=RowScores(named=3, right=2, found=2, truth=4, findings=1, with_rows=1),
    subnatural=True,
    checks_declared=5,
    checks_ran=4,
    seconds=0.1,
)


def scorecard(run_id=None, **fnr):
    """The part of a scorecard that the store reads."""

    def rate(**more):
        return {"estimate": None, "low": None, "high": None, "hits": 0, "trials": 0} | more

    def score(name, digest, fnr, fpr):
        return {"name": name, "suite_digest": digest, "faults": {"fnr": rate(**fnr)}, "natural": {"fpr": rate(**fpr)}}

    given = {"estimate": 0.25, "low": 0.1, "high": 0.5, "hits": 3, "trials": 12} | fnr
    return {
        "validators": [score("gx", "aa", given, {"estimate": 0.0, "low": 0.0, "high": 0.2, "trials": 9})],
        "stack": score("(any validator)", None, {}, {}),
        "runtime": {"host": run_id},
    }


def ended(store, run_id, day, trials, **more):
    store.begin(record(run_id, day, **more))
    store.add_trials(run_id, trials)
    store.finish(run_id, scorecard(), exit_code=0, finished=DAY)


# --- what is written comes back ---------------------------------------------------------------------------------------


def test_a_run_comes_back_in_utc_wherever_it_was_started(store):
    abroad = dt.timezone(dt.timedelta(hours=-5))
    given = record(started=dt.datetime(2024, 3, 1, 23, 30, 0, 123456, tzinfo=abroad))
    assert store.begin(given) == given
    held = store.run("r1")
    assert held == given
    assert held.started.isoformat() == "2024-03-02T04:30:00.123456+00:00"


def test_trials_come_back_as_they_were(store):
    store.begin(record())
    plain = Trial(trial_id="t2", kind=TrialKind.NATURAL, validator="gx", batch="b", outcome=Outcome.FP, flaky=True)
    reviewed = replace(plain, batch="c", review=Review.TRUE)  # the same content on another day: the same trial id
    errored = fault(3, Outcome.ERROR, error_cause=ErrorCause.TIMED_OUT, error_only=True)
    store.add_trials("r1", [FULL, plain, reviewed, errored])
    assert store.trials("r1") == (errored, FULL, plain, reviewed)


def test_verdicts_come_back_without_their_messages(store):
    store.begin(record())
    finding = Finding(
        check=HOSTILE,
        columns=("x",),
        kind=FindingKind.TOLERATED,
        subject=Subject.VALUE,
        rows=np.asarray([1, 5], np.int64),
        message="3 rows hold N5EWAA",
    )
    verdict = Verdict(
        validator="gx",
        status=VerdictStatus.ACCEPTED,
        findings=(finding,),
        checks_declared=2,
        checks_ran=2,
        ordered_digest="o",
        multiset_digest="m",
        seconds=0.25,
    )
    looks = [BaseVerdict(batch="b", source_digest="s", again=again, verdict=verdict) for again in (False, True)]
    store.add_verdicts("r1", looks)
    store.add_verdicts("r1", looks)
    first, second = store.verdicts("r1")
    assert (first.again, second.again, first.source_digest) == (False, True, "s")
    (held,) = first.verdict.findings
    assert (held.check, held.rows.tolist(), held.message) == (HOSTILE, [1, 5], "")
    assert replace(first.verdict, findings=()).__dict__ == replace(verdict, findings=()).__dict__
    with store._engine.connect() as c:
        assert "N5EWAA" not in str(c.execute(sa.select(tables.verdict.c.verdict)).all())


def test_many_trials_at_once(store):
    store.begin(record())
    trials = [fault(n) for n in range(4_500)]
    store.add_trials("r1", trials)
    assert store.trials("r1") == tuple(trials)


def test_json_is_json_for_whoever_asks_the_database(store):
    store.begin(record())
    store.add_trials("r1", [fault(1, columns=("second column",))])
    query = {
        "sqlite": """SELECT json_extract("columns", '$[0]') FROM pc_trial""",
        "postgresql": """SELECT "columns" ->> 0 FROM pc_trial""",
    }[store._engine.dialect.name]
    with store._engine.connect() as c:
        assert c.execute(sa.text(query)).scalar_one() == "second column"


# --- a write may be repeated ------------------------------------------------------------------------------------------


def test_a_retried_write_changes_nothing(store):
    store.begin(record())
    assert store.begin(record(started=DAY + dt.timedelta(hours=3))).started == DAY
    store.add_trials("r1", [fault(1), fault(2)])
    store.add_trials("r1", [replace(fault(1), seconds=9.0), fault(3)])
    assert [(t.trial_id, t.seconds) for t in store.trials("r1")] == [("t0001", 0), ("t0002", 0), ("t0003", 0)]
    for _ in range(2):
        store.finish("r1", scorecard("here"), exit_code=4, finished=DAY)
    store.finish("r1", scorecard("another machine"), exit_code=4, finished=DAY + dt.timedelta(1))
    held = store.run("r1")
    assert (held.finished, held.exit_code, held.status) == (DAY, 4, RunStatus.FINISHED)
    assert held.scorecard == scorecard("here")
    assert len(store.rates("r1")) == 2


@pytest.mark.parametrize(
    "other", [{"experiment": "e"}, {"experiment_digest": "e"}, {"seed": 1}, {"suites": {"gx": "cc", "pandera": "bb"}}]
)
def test_another_run_under_the_same_id_is_refused(store, other):
    store.begin(record())
    with pytest.raises(StoreError, match="holds another run 'r1'") as caught:
        store.begin(record(**other))
    assert next(iter(other)) in str(caught.value)
    assert store.run("r1") == record()


def test_another_end_of_a_finished_run_is_refused(store):
    store.begin(record())
    store.finish("r1", scorecard(), exit_code=0, finished=DAY)
    with pytest.raises(StoreError, match="has finished already, with another scorecard"):
        store.finish("r1", scorecard(hits=4), exit_code=0, finished=DAY)
    assert store.run("r1").scorecard == scorecard()


def test_a_stopped_run_may_end_again(store):
    store.begin(record())
    store.finish("r1", scorecard(hits=1), exit_code=0, finished=DAY, status=RunStatus.STOPPED)
    assert store.rates("r1")[1].missed == 1
    store.finish("r1", scorecard(hits=2), exit_code=1, finished=DAY)
    assert (store.run("r1").status, store.run("r1").exit_code) == (RunStatus.FINISHED, 1)
    assert [p.missed for p in store.rates("r1")] == [0, 2]


def test_nothing_belongs_to_no_run(store):
    with pytest.raises(StoreError, match="refused a row"):
        store.add_trials("nobody", [fault(1)])
    with pytest.raises(ConfigError, match="no such run"):
        store.finish("nobody", scorecard(), exit_code=0, finished=DAY)
    store.add_trials("nobody", [])


def test_a_moment_without_a_zone_is_refused(store):
    with pytest.raises(StoreError, match="has no time zone"):
        store.begin(record(started=dt.datetime(2024, 3, 1)))
    assert store.runs() == ()


# --- finding runs -----------------------------------------------------------------------------------------------------


def test_runs_by_experiment_prefix_and_last(store):
    with pytest.raises(ConfigError, match="there is no run 'last'"):
        store.run()
    for n, (name, experiment) in enumerate([("ab1", "flights"), ("ab2", "flights"), ("cd3", "other")]):
        store.begin(record(name, n, experiment=experiment))
    assert [r.run_id for r in store.runs()] == ["cd3", "ab2", "ab1"]
    assert [r.run_id for r in store.runs("flights")] == ["ab2", "ab1"]
    assert [r.run_id for r in store.runs("flights", 1)] == ["ab2"]
    assert store.run("last").run_id == "cd3"
    assert store.run("c").run_id == "cd3"
    with pytest.raises(ConfigError, match="2 runs start with 'ab'"):
        store.run("ab")
    with pytest.raises(ConfigError, match=r"there is no run 'ab3'.*did you mean 'ab"):
        store.run("ab3")
    with pytest.raises(ConfigError, match="there is no run ''"):
        store.run("")
    store.begin(record("ab", 9))
    assert store.run("ab").run_id == "ab"


# --- views ------------------------------------------------------------------------------------------------------------


def test_survivors_are_weaknesses_with_a_missed_trial_that_counts(store):
    trials = [
        fault(1, weakness="missed"),
        fault(2, Outcome.TP, weakness="missed"),
        fault(3, Outcome.ERROR, weakness="missed", error_cause=ErrorCause.CHECK),
        fault(4, weakness="twice", after_digest="same", batch="b2"),
        fault(5, weakness="twice", after_digest="same", batch="b1"),
        fault(6, weakness="twice", after_digest=""),
        fault(7, weakness="twice", after_digest=""),
        fault(10, Outcome.TP, weakness="caught"),
        fault(11, weakness="flaky", flaky=True),
        fault(12, weakness="ordinary", subnatural=True),
        fault(13, Outcome.NOOP, weakness="noop"),
        fault(14, Outcome.BASE_BAD, weakness="bad"),
        fault(15, Outcome.ERROR, weakness="ours", error_cause=ErrorCause.INJECTION),
        replace(fault(16, weakness="benign"), kind=TrialKind.BENIGN),
    ]
    store.begin(record())
    store.add_trials("r1", trials)
    assert store.survivors("r1") == ()  # not yet ended
    store.finish("r1", scorecard(), exit_code=0, finished=DAY)
    found = {w.weakness_id: (w.missed, w.detected, w.errors) for w in store.survivors("r1")}
    assert found == {"missed": (1, 1, 1), "twice": (3, 0, 0)}
    assert {w.weakness_id for w in store.weaknesses("r1")} == {"missed", "twice", "caught"}
    assert store.survivor_counts() == {("r1", "gx"): 2}
    (first, _) = store.survivors("r1")
    assert (first.weakness_id, first.fault, first.columns, first.severity) == ("twice", "null.mcar", ("x",), 3)


def test_survivors_agree_with_scoring_on_any_trials(store):
    rng = random.Random(5)  # noqa: S311
    outcomes = [Outcome.TP, Outcome.FN, Outcome.ERROR, Outcome.NOOP, Outcome.BASE_BAD]
    trials = []
    for n in rng.sample(range(10_000), 900):
        outcome = rng.choice(outcomes)
        cause = rng.choice([ErrorCause.INJECTION, ErrorCause.CRASH]) if outcome is Outcome.ERROR else None
        trials.append(
            fault(
                n,
                outcome,
                weakness=f"w{rng.randrange(40)}",
                validator=rng.choice(["gx", "Pandera", "ärger"]),
                batch=rng.choice(["a", "B", "b", "ä", "z", "Z-1", "z_1"]),  # collations disagree about these
                repeat=rng.randrange(2),
                error_cause=cause,
                after_digest=rng.choice(["", "p", "q", "r"]),
                flaky=rng.random() < 0.1,
                subnatural=rng.random() < 0.1,
            )
        )
    ended(store, "r1", 0, trials)
    wanted = {(s.validator, s.weakness_id, s.missed, s.detected, s.errors) for s in survivors(trials)}
    assert len(wanted) > 50
    assert {(s.validator, s.weakness_id, s.missed, s.detected, s.errors) for s in store.survivors("r1")} == wanted


def test_a_regression_is_against_the_last_run_that_tried_the_same_weakness(store):
    caught, missed, broken = Outcome.TP, Outcome.FN, Outcome.ERROR
    ended(store, "r0", 0, [fault(1, missed, weakness="old")])
    ended(store, "r1", 1, [fault(1, caught), fault(2, caught), fault(3, caught, weakness="old")])
    ended(store, "r2", 2, [fault(1, caught, weakness="only here")])
    ended(store, "other", 3, [fault(1, missed)], experiment="other")
    ended(store, "r3", 4, [fault(1, broken, error_cause=ErrorCause.CRASH)])  # nothing was judged
    store.begin(record("killed", 5))
    store.add_trials("killed", [fault(1, missed)])
    ended(store, "r4", 6, [fault(1, missed), fault(2, caught), fault(3, missed, weakness="new"), fault(9, flaky=True)])
    ended(store, "r5", 7, [fault(1, missed), fault(3, missed, weakness="old")])

    (found,) = store.regressions("r4")
    assert (found.now.run_id, found.now.weakness_id, found.now.missed, found.now.detected) == ("r4", "w1", 1, 1)
    assert (found.previous_run, found.previous_detected) == ("r1", 2)
    assert [(r.now.weakness_id, r.previous_run) for r in store.regressions("r5")] == [("old", "r1")]
    for name in ("r0", "r1", "r2", "r3", "other", "killed"):
        assert store.regressions(name) == ()


def test_rates_over_time(store):
    for n in range(3):
        store.begin(record(f"r{n}", n))
        store.finish(f"r{n}", scorecard(estimate=n / 10), exit_code=0, finished=DAY)
    store.begin(record("other", 3, experiment="other"))
    store.finish("other", scorecard(), exit_code=0, finished=DAY)
    store.begin(record("running", 4))
    points = [p for p in store.trend("flights") if p.validator == "gx"]
    assert [(p.run_id, p.fnr) for p in points] == [("r0", 0.0), ("r1", 0.1), ("r2", 0.2)]
    last = points[-1]
    assert (last.started, last.suite_digest, last.revision) == (DAY + dt.timedelta(2), "aa", "abc123")
    assert (last.fnr_low, last.fnr_high, last.missed, last.faulty) == (0.1, 0.5, 3, 12)
    assert (last.fpr, last.fpr_low, last.fpr_high, last.alarms, last.natural) == (0.0, 0.0, 0.2, 0, 9)
    assert {p.run_id for p in store.trend("flights", 2)} == {"r1", "r2"}
    (stack, _) = store.rates("r1")
    assert (stack.validator, stack.suite_digest, stack.fnr, stack.fpr_high) == ("(any validator)", "", None, None)
    with store._engine.connect() as c:
        query = "SELECT run_id, previous_run, previous_fnr FROM pc_v_run_rates WHERE validator = 'gx' ORDER BY run_id"
        found = [tuple(row) for row in c.execute(sa.text(query))]
    assert found == [("other", None, None), ("r0", None, None), ("r1", "r0", 0.0), ("r2", "r1", 0.1)]


# --- files ------------------------------------------------------------------------------------------------------------


def test_export_writes_what_any_parquet_reader_reads(store, tmp_path):
    ended(store, "r1", 0, [FULL, fault(2)])
    store.begin(record("r2", 1))
    files = store.export(tmp_path / "out")
    assert sorted(files) == ["rates", "runs", "trials"]
    assert read_trials(files["trials"]) == (FULL, fault(2))
    runs = pq.read_table(files["runs"])
    assert str(runs.schema.field("started").type) == "timestamp[us, tz=UTC]"
    assert runs["started"].to_pylist()[0] == DAY
    assert json.loads(runs["scorecard"].to_pylist()[0]) == scorecard()
    assert runs["scorecard"].to_pylist()[1] is None
    assert pq.read_table(files["trials"])["run_id"].to_pylist() == ["r1", "r1"]
    rates = pq.read_table(files["rates"]).to_pylist()
    assert [(r["validator"], r["fnr"], r["faulty"]) for r in rates] == [("(any validator)", None, 0), ("gx", 0.25, 12)]
    store.export(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["rates.parquet", "runs.parquet", "trials.parquet"]


def test_an_empty_store_is_exported_with_its_columns(store, tmp_path):
    files = store.export(tmp_path)
    assert pq.read_table(files["trials"]).num_rows == 0
    assert "weakness_id" in pq.read_schema(files["trials"]).names


# --- the schema -------------------------------------------------------------------------------------------------------


def names(engine):
    inspector = sa.inspect(engine)
    return {*inspector.get_table_names(), *inspector.get_view_names()}


def test_models_and_revisions_agree(store):
    with store._writing.begin() as c:
        command.check(alembic_config(c))


def test_a_model_that_no_revision_makes_is_noticed(store, monkeypatch):
    column = sa.Column("forgotten", sa.Text)
    tables.run.append_column(column)
    try:
        with store._writing.begin() as c, pytest.raises(Exception, match="New upgrade operations detected"):
            command.check(alembic_config(c))
    finally:
        tables.run._columns.remove(column)


def test_down_and_up_again(store):
    with store._writing.begin() as c:
        command.downgrade(alembic_config(c), "base")
    assert names(store._engine) == {tables.VERSION_TABLE}
    with store._writing.begin() as c:
        command.upgrade(alembic_config(c), "head")
        command.check(alembic_config(c))


def test_a_shared_database_is_left_alone(address):
    Store.open(address).close()  # so that the file and its folder are there
    with Store.open(address) as store, store._writing.begin() as c:
        command.downgrade(alembic_config(c), "base")
        c.execute(sa.text("DROP TABLE pc_alembic_version"))
        c.execute(sa.text("CREATE TABLE alembic_version (version_num TEXT)"))
        c.execute(sa.text("INSERT INTO alembic_version VALUES ('airflow')"))
    with Store.open(address) as store:
        assert {n for n in names(store._engine) if not n.startswith("pc_")} == {"alembic_version"}
        with store._writing.begin() as c:
            command.check(alembic_config(c))
            assert c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == "airflow"


def test_a_store_of_a_newer_version_is_not_touched(address):
    with Store.open(address) as store, store._writing.begin() as c:
        c.execute(sa.text("UPDATE pc_alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"was written by a newer version of pipechaos \(revision 9999"):
        Store.open(address)


# --- many at once -----------------------------------------------------------------------------------------------------

WRITER = """
import datetime as dt, sys, time
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunRecord
from pipechaos.score.records import Outcome, Trial, TrialKind

address, name, start = sys.argv[1], sys.argv[2], float(sys.argv[3])
time.sleep(max(0, start - time.time()))
with open_store(address) as store:
    at = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    for run in (name, "shared"):
        store.begin(RunRecord(run_id=run, experiment="e", experiment_digest="d", seed=0, started=at))
    for n in range(20):
        trial = Trial(trial_id=f"t{n}", kind=TrialKind.NATURAL, validator="v", batch="b", outcome=Outcome.TN)
        for run in (name, "shared"):
            store.add_trials(run, [trial])
"""


def test_processes_that_open_a_new_store_at_once_and_write(address):
    start = str(time.time() + 4)  # when all of them have imported what they need
    arguments = [[sys.executable, "-c", WRITER, address, f"p{n}", start] for n in range(5)]
    running = [subprocess.Popen(a, stderr=subprocess.PIPE, text=True) for a in arguments]
    said = [p.communicate(timeout=240)[1] for p in running]
    assert [p.returncode for p in running] == [0] * 5, said
    with Store.open(address) as store:
        assert {r.run_id for r in store.runs()} == {"shared", "p0", "p1", "p2", "p3", "p4"}
        assert {len(store.trials(r.run_id)) for r in store.runs()} == {20}


# --- PostgreSQL alone -------------------------------------------------------------------------------------------------


def test_no_message_holds_the_password(postgres, monkeypatch):
    monkeypatch.setenv("PW", "hunter2/@:x")
    wrong = postgres.replace(":secret@", ":${PW}@") + "/postgres"
    for given in (wrong, wrong.rpartition(":")[0] + ":1/postgres", wrong + "?connect_timeout=x"):
        with pytest.raises(StoreError) as caught:
            Store.open(given)
        assert "hunter2" not in repr(caught.value) + str(caught.value)
        assert "chaos:***@127.0.0.1" in str(caught.value)
    with pytest.raises(ConfigError, match="and %40 for an @") as caught:
        Store.open("postgresql://chaos:hunter2@x@127.0.0.1/postgres")
    assert "hunter2" not in str(caught.value)


def test_the_address_that_is_shown_has_no_password(new_database):
    with Store.open(new_database()) as store:
        assert "secret" not in repr(store)
        assert ":***@" in store.shown
