"""What is said about a drill: short, no data value, harmless wherever it is shown."""

import datetime as dt

import pytest

from pipechaos.drill.message import drill_message, failure_message, status_lines
from pipechaos.drill.records import Coverage, DrillResult, DrillStatus, FailedGate, Newness, NewSurvivor
from pipechaos.store.records import RunStatus

START = dt.datetime(2024, 3, 10, 5, tzinfo=dt.UTC)
COVERED = Coverage(pairs=48, within=40, never=2, oldest=dt.datetime(2024, 3, 1, 5, tzinfo=dt.UTC), period_days=14)
HOSTILE = ["<!channel>", "<script>alert(1)</script>", "a\nb", "\x1b[31mred", "‮txt", "<https://evil.example|click>"]


def survivor(name="gx", column="temp", why=Newness.REGRESSION, severity=3):
    return NewSurvivor(
        why=why,
        validator=name,
        fault="null.mcar",
        columns=(column,),
        severity=severity,
        weakness_id="0123456789abcdef",
        missed=1,
        tried=2,
    )


def result(**more):
    data = {
        "experiment": "flights",
        "run_id": "nightly/1",
        "started": START,
        "finished": START,
        "status": RunStatus.FINISHED,
        "exit_code": 0,
        "bases": ("2024-03-09",),
        "tried": 4,
        "trials": 8,
        "judged": 6,
        "coverage": COVERED,
        "next_at": START + dt.timedelta(days=1),
    }
    return DrillResult(**data | more)


def test_the_whole_message():
    gate = FailedGate(validator="gx", metric="fnr", limit=0.2, scope="column temp", reason="at least 31.00%")
    found = drill_message(
        result(
            exit_code=1,
            gates_failed=(gate,),
            new_survivors=(survivor(), survivor("pandera", why=Newness.FIRST_SEEN, severity=0)),
            late="the last drill was 3 days ago, expected every day",
            report="drills/1/report.html",
        )
    )
    assert found.split("\n") == [
        "drill of flights: 1 gate failed, 2 new survivors",
        "gate: fnr of gx (column temp), limit 0.2: at least 31.00%",
        "new: gx: null.mcar on temp, severity 3 (caught until now, missed 1 of 2)",
        "new: pandera: null.mcar on temp, a dose of its own (not tried before, missed 1 of 2)",
        "the last drill was 3 days ago, expected every day",
        "covered: 40 of 48 faults on columns within 14 days, 2 never tried, the oldest try 2024-03-01",
        "run nightly/1, exit code 1, drills/1/report.html",
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_other_people_stay_text_on_their_line(name):
    hostile = result(
        experiment=name,
        run_id=name,
        exit_code=3,
        blind=(name,),
        base_bad=(name,),
        stopped=name,
        gates_failed=(FailedGate(validator=name, metric="fnr", limit=0.1, scope=f"column {name}", reason=name),),
        new_survivors=(survivor(name, name),),
    )
    text = drill_message(hostile)
    plain = drill_message(
        result(
            experiment="n",
            run_id="n",
            exit_code=3,
            blind=("n",),
            base_bad=("n",),
            stopped="n",
            gates_failed=(FailedGate(validator="n", metric="fnr", limit=0.1, scope="column n", reason="n"),),
            new_survivors=(survivor("n", "n"),),
        )
    )
    assert text.count("\n") == plain.count("\n")
    assert not set(text) & set("<>\x1b‮\r")


def test_a_message_stays_short():
    many = tuple(survivor("v" * 500, f"{n:03}" + "c" * 500) for n in range(200))
    gate = FailedGate(validator="v" * 500, metric="fnr", limit=0.1, scope="s" * 500, reason="r" * 900)
    text = drill_message(result(exit_code=1, new_survivors=many, gates_failed=(gate,) * 9))
    assert len(text) < 3000
    assert "and 195 more faults on columns" in text
    assert "and 4 more gates" in text


def test_the_rungs_of_a_ladder_share_a_line():
    text = drill_message(result(new_survivors=tuple(survivor(severity=n) for n in (1, 2, 5))))
    assert text.startswith("drill of flights: 3 new survivors\n")
    lines = [line for line in text.split("\n") if line.startswith("new:")]
    assert lines == ["new: gx: null.mcar on temp, severities 1, 2, 5 (caught until now, missed 3 of 6)"]


def test_an_error_is_told_by_its_kind_as_its_text_may_quote_data():
    text = failure_message("flights", ValueError("patient 4711"), 2, 3)
    assert text == "drill of flights: could not run (ValueError), 2 times in a row now; drills are paused after 3"
    assert failure_message("flights", ValueError(), 3, 3).endswith("the next one will be refused")


def test_nothing_new_is_said_so():
    assert drill_message(result()).startswith("drill of flights: nothing new, 6 of 8 trials judged\n")
    assert not result().alarming
    assert drill_message(result(exit_code=3, blind=("gx",))).startswith("drill of flights: a validator is blind\n")
    failed = drill_message(result(exit_code=3, injection_errors=1))
    assert failed.startswith("drill of flights: 1 injection failed\n")
    assert drill_message(result(exit_code=1)).startswith("drill of flights: the baseline does not hold\n")


def test_a_night_that_judged_nothing_is_an_alarm():
    nothing = result(judged=0, base_bad=("gx", "pandera"))
    assert nothing.alarming
    first, second = drill_message(nothing).split("\n")[:2]
    assert first == "drill of flights: nothing was judged in 8 trials"
    assert second == "did not accept an untouched base, so that its broken copies say nothing: gx, pandera"


def test_the_status_in_lines():
    status = DrillStatus(
        experiment="fli\x1bghts",
        drills=9,
        last=START,
        last_exit_code=4,
        overdue="the last drill was 3 days ago, expected every day",
        paused="",
        coverage=COVERED,
        next_due=("null.mcar on temp", "value.scale on temp"),
        next_at=START + dt.timedelta(days=1),
        trials_each=20,
    )
    assert status_lines(status) == [
        "drills of fli\\x1bghts: 9, the last one 2024-03-10 05:00 UTC, exit code 4",
        "the last drill was 3 days ago, expected every day",
        "covered: 40 of 48 faults on columns within 14 days, 2 never tried, the oldest try 2024-03-01",
        "next 2024-03-11 05:00 UTC: 2 faults on columns, at most 20 trials: null.mcar on temp, value.scale on temp",
    ]
