"""What a clone gets when it pulls: the copy for the stage's output, shaped as by Airflow, and all else as it is."""

import pytest

from pipechaos.airflow.lane_handover import CopyHandover, Judging

MADE = {"until": 160.0, "base": ["b0", "b1"], "trials": {"i0": {"given": ["c0", "c1"]}, "one": {"given": ["only"]}}}


class Instance:
    """A task instance with the XComs of a run."""

    dag_id, run_id, task_id, map_index = "d", "r", "chaos_stage.check__i0", -1

    def __init__(self, **more):
        self.xcoms = {("chaos_stage.copies", "return_value"): MADE, **more.pop("xcoms", {})}
        self.pulled = []

    def xcom_pull(self, task_ids=None, dag_id=None, key="return_value", *, default=None, **kwargs):
        self.pulled.append((task_ids, key, kwargs))
        return self.xcoms.get((task_ids, key), default)

    def xcom_push(self, key, value):
        self.xcoms[self.task_id, key] = value


def handover(ti=None, label="i0", key="return_value", **more):
    lane = Judging(stage="stage", stage_key=key, copies="chaos_stage.copies", label=label)
    return CopyHandover(ti or Instance(), lane, **more)


@pytest.mark.parametrize(
    ("label", "asked", "expected"),
    [
        ("i0", {}, ["c0", "c1"]),
        ("base", {}, ["b0", "b1"]),
        ("i0", {"map_indexes": 1}, "c1"),
        ("i0", {"map_indexes": range(2)}, ["c0", "c1"]),
        ("one", {}, "only"),  # as Airflow does when one element was pushed
        ("one", {"map_indexes": 0}, "only"),
    ],
)
def test_of_a_mapped_stage_a_pull_gives_what_airflow_would(label, asked, expected):
    ti = handover(label=label, mapped_stage=True)
    assert ti.xcom_pull("stage", **asked) == expected
    assert ti.handed_over


def test_of_several_tasks_a_mapped_stage_gives_all_its_elements():
    ti = handover(Instance(xcoms={("other", "return_value"): 7}), mapped_stage=True)
    assert ti.xcom_pull(["other", "stage"]) == [7, "c0", "c1"]
    assert handover(Instance(xcoms={("other", "return_value"): 7})).xcom_pull(["other", "stage"]) == [7, ["c0", "c1"]]


@pytest.mark.parametrize("asked", [{"task_ids": "other"}, {"task_ids": "stage", "key": "rows"}, {"dag_id": "e"}])
def test_what_is_not_the_stages_output_is_pulled_as_ever(asked):
    ti = handover(Instance(xcoms={("stage", "rows"): 200, ("other", "return_value"): 7}))
    asked = {"task_ids": "stage", **asked}
    assert ti.xcom_pull(**asked) in (7, 200, None)
    assert not ti.handed_over


@pytest.mark.parametrize(
    ("returned", "mapped", "expected"),
    [
        ({"path": "p", "n": 1}, False, {"path": ["c0", "c1"], "n": 1}),
        ([{"path": "p", "n": 1}, {"path": "q", "n": 2}], True, [{"path": "c0", "n": 1}, {"path": "c1", "n": 2}]),
        ([{"path": "p"}, {"path": "q"}], False, [{"path": "c0"}, {"path": "c1"}]),
        ([{"n": 1}], False, [{"n": 1}]),
    ],
)
def test_a_copy_stands_under_its_key_in_the_whole_output(returned, mapped, expected):
    ti = handover(Instance(xcoms={("stage", "return_value"): returned}), key="path", mapped_stage=mapped)
    assert ti.xcom_pull("stage") == expected
    assert ti.handed_over == (returned != expected)


def test_an_element_finds_what_it_pushed_itself():
    real = Instance()
    ti = handover(real, map_index=1)
    assert (ti.map_index, real.map_index) == (1, -1)
    ti.xcom_push("note", 3)
    assert ti.xcom_pull(ti.task_id, key="note", map_indexes=ti.map_index) == 3
    assert real.pulled[-1][2] == {}


def test_what_was_taken_and_said_outlives_a_deferral():
    real = Instance()
    before = handover(real)
    before.xcom_pull("stage")
    before.waits([{"told": "accepted"}])
    after = handover(real)
    assert (after.waited(), after.handed_over) == ([{"told": "accepted"}], True)
    assert handover(Instance()).waited() == []


def test_a_result_is_kept_back_and_its_time_is_known():
    real = Instance()
    ti = handover(real)
    ti.xcom_push("return_value", {"success": False})
    assert ti.pushed == {"success": False}
    assert (real.task_id, "return_value") not in real.xcoms
    assert ti.until == 160.0
    real.xcoms.clear()
    for mapped in (False, True):
        skipped = handover(real, mapped_stage=mapped)
        assert (skipped.until, skipped.xcom_pull("stage")) == (None, None)
