"""The smallest form of a fault that still survives: rungs, sets of columns, and what a run knows already."""

import dataclasses
import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipechaos.batch.model import Batch
from pipechaos.campaign.explanation import Dose
from pipechaos.campaign.output import injection_of
from pipechaos.campaign.run import inject_one
from pipechaos.campaign.shrink import at_severity, columns_changed, known_doses, only_columns, shrink, smallest
from pipechaos.inject.engine import inject
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve
from pipechaos.report.explained import dose_lines
from pipechaos.score.records import Outcome, Trial, TrialKind

BASE = Batch.of(pa.table({"id": range(200), "x": [float(i) for i in range(200)], "y": [1.0] * 200}), name="d1")


class Alone:
    """Batches of an experiment without history."""

    def before(self, name):
        return None

    def pooled(self):
        return ()


def trial(fault="null.mcar", columns=("x",), severity=3, **more):
    made = Injection.of(fault, columns, severity=severity, seed=7, **more)
    return Trial(
        trial_id=f"t{severity}",
        kind=TrialKind.FAULT,
        validator="v",
        batch="d1",
        outcome=Outcome.FN,
        fault=fault,
        columns=columns,
        placement=made.placement.canonical(),
        params=made.parameters,
        fraction=made.fraction,
        severity=severity,
        seed=7,
        moves=made.spec.ladder.moves,
        rungs=len(made.spec.ladder.rungs),
    )


def nulls(table):
    return table.column("x").null_count


def test_every_rung_is_tried_on_the_same_draw():
    asked = []

    def missed(table):
        asked.append(nulls(table))
        return nulls(table) < 60

    doses = shrink(trial(), BASE, Alone(), missed)
    # fractions 0.01, 0.05, 0.2, 0.5, 0.9 of 200 cells: a budget of 60 lies between the third and the fourth
    assert [(d.severity, d.missed) for d in doses] == [(1, True), (2, True), (3, True), (4, False), (5, False)]
    assert {d.columns for d in doses} == {("x",)}
    assert asked[0] == nulls(inject_one(injection_of(trial()), BASE, Alone()).batch.table)
    assert sorted(asked) == [*sorted(asked[1:3]), asked[0], *sorted(asked[3:])]


def test_a_rung_is_the_injection_of_that_severity():
    placed = {"kind": "block", "block": 10}
    given_trial = trial("value.scale", severity=5, placement=placed, params={"factor": 3.0})
    wanted = Injection.of("value.scale", ("x",), severity=2, seed=7, placement=placed, params={"factor": 3.0})
    assert at_severity(given_trial, 2).injection_id("d1") == wanted.injection_id("d1")
    shifted = at_severity(trial("drift.mean", severity=5), 1)
    assert shifted.injection_id("d1") == Injection.of("drift.mean", ("x",), severity=1, seed=7).injection_id("d1")


def test_a_dose_off_the_ladder_has_no_rungs():
    off = dataclasses.replace(trial(), severity=0, fraction=0.31)
    assert shrink(off, BASE, Alone(), lambda table: True) == (Dose(severity=0, columns=("x",), missed=True),)


def test_rungs_that_change_nothing_are_left_out():
    two = Batch.of(BASE.table.slice(0, 2), name="d1")
    severities = [d.severity for d in shrink(trial(severity=5), two, Alone(), lambda table: True)]
    applied = [s for s in range(1, 6) if nulls(inject_one(at_severity(trial(), s), two, Alone()).batch.table)]
    assert severities == sorted({*applied, 5})
    assert 1 not in severities


def both():
    plan = Plan.of(*(Injection.of("value.sign", (c,), fraction=1.0, seed=1) for c in ("x", "y")))
    return inject(resolve(plan, BASE), BASE)


def test_columns_of_the_corrupted_table_are_put_in_one_by_one():
    injected = both()
    assert columns_changed(injected) == ("x", "y")
    table = only_columns(BASE, injected, ("y",))
    assert table.column("x").equals(BASE.table.column("x"))
    assert table.column("y").to_pylist() == [-1.0] * 200
    dropped = inject(resolve(Plan.of(Injection.of("rows.drop", severity=5)), BASE), BASE)
    assert columns_changed(dropped) == ()


def test_fewer_columns_are_tried_where_several_changed(monkeypatch):
    monkeypatch.setattr("pipechaos.campaign.shrink.injection_of", lambda _: None)  # no fault of today takes two columns
    monkeypatch.setattr("pipechaos.campaign.shrink.inject_one", lambda *_: both())
    several = dataclasses.replace(trial(severity=3), severity=0, columns=("x", "y"))

    def missed(table):
        return table.column("y").to_pylist()[0] == -1.0  # as long as y is changed it gets past

    doses = shrink(several, BASE, Alone(), missed)
    assert [(d.columns, d.missed) for d in doses] == [(("x",), False), (("y",), True), (("x", "y"), True)]
    assert dose_lines(doses, ("x", "y"), 0, 5) == ("smallest set of columns that still survives: y (2 sets tried)",)


@given(st.integers(1, 9), st.data())
def test_no_column_can_be_left_out_of_the_smallest_set(size, data):
    columns = tuple("abcdefghi"[:size])
    subsets = [c for n in range(1, size + 1) for c in itertools.combinations(columns, n)]
    good = {columns, *data.draw(st.lists(st.sampled_from(subsets), max_size=30))}  # not monotone
    tried = {columns: True}
    found = smallest(columns, good.__contains__, tried, most=10_000)
    assert found in good
    assert not any(tuple(c for c in found if c != gone) in good for gone in found if len(found) > 1)
    assert all((some in good) is answer for some, answer in tried.items())


@given(st.integers(2, 9), st.data())
def test_what_is_needed_and_nothing_else_is_left(size, data):
    columns = tuple("abcdefghi"[:size])
    needed = data.draw(st.sets(st.sampled_from(columns), min_size=1))
    found = smallest(columns, lambda some: needed <= set(some), most=10_000)
    assert set(found) == needed


def test_a_search_of_columns_ends_at_its_limit():
    asked = []
    columns = tuple(f"c{i}" for i in range(40))

    def survives(some):
        asked.append(some)
        return set(columns[::3]) <= set(some)

    found = smallest(columns, survives, most=7)
    assert len(asked) == 7
    assert set(columns[::3]) <= set(found)


def test_rungs_that_the_run_tried_itself_cost_nothing():
    mine = trial()
    others = [
        dataclasses.replace(trial(severity=5), outcome=Outcome.TP),
        trial(severity=1),
        dataclasses.replace(trial(severity=2), batch="d2"),
        dataclasses.replace(trial(severity=2), validator="w"),
        dataclasses.replace(trial(severity=2), repeat=1),
        dataclasses.replace(trial(severity=2), outcome=Outcome.NOOP),
        trial(columns=("y",), severity=2),
        trial(severity=4, placement={"kind": "block", "block": 10}),
    ]
    assert [(d.severity, d.missed) for d in known_doses(mine, [mine, *others])] == [(1, True), (3, True), (5, False)]


@pytest.mark.parametrize(
    ("missed", "severity", "line"),
    [
        ({1: True, 2: True, 3: False}, 1, "survives from severity 1 to 2 of 5; caught at 3"),
        ({1: True}, 1, "survives at severity 1 of 5"),
        ({1: True, 2: False, 3: True, 4: True}, 3, "survives from severity 3 to 4 and at 1 of 5; caught at 2"),
        ({2: False, 3: False}, 3, "caught at severity 2, 3 of 5"),
    ],
)
def test_doses_in_words(missed, severity, line):
    doses = [Dose(severity=s, columns=("x",), missed=m) for s, m in missed.items()]
    assert dose_lines(doses, ("x",), severity, 5) == (line,)
