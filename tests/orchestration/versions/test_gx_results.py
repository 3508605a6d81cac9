"""Results of Great Expectations itself, as its operators push them: what failed, and what only raised."""

import pandas as pd
import pytest

from pipechaos.airflow.gx_results import failures
from pipechaos.airflow.outside_verdicts import Ending, judge_ending

pytest.importorskip("great_expectations")

GONE = pd.DataFrame({"id": [1, 1]})
NULLS = pd.DataFrame({"id": [1, 2], "x": [None, 9.0]})
TEXT = pd.DataFrame({"id": [1, 2], "x": ["a", "b"]})
NOT_NULL, MAX, TYPE, EXISTS, UNIQUE, ROWS = ALL = (
    "expect_column_values_to_not_be_null",
    "expect_column_max_to_be_between",
    "expect_column_values_to_be_of_type",
    "expect_column_to_exist",
    "expect_column_values_to_be_unique",
    "expect_table_row_count_to_be_between",
)
KWARGS = {
    NOT_NULL: {"column": "x"},
    MAX: {"column": "x", "max_value": 3},
    TYPE: {"column": "x", "type_": "float64"},
    EXISTS: {"column": "x"},
    UNIQUE: {"column": "id"},
    ROWS: {"min_value": 1},
}


class GXValidationFailed(Exception):  # noqa: N818 - the provider's name
    pass


def ended(frame, *kinds, form="SUMMARY", checkpoint=False):
    """What an operator of the provider pushes and raises."""
    with pytest.raises(GXValidationFailed) as caught:
        _execute(frame, kinds, form, checkpoint)
    return caught.value.args[0], caught.value


def _execute(frame, kinds, form, checkpoint):
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    data = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = context.suites.add(gx.ExpectationSuite("s", expectations=[{"type": k, "kwargs": KWARGS[k]} for k in kinds]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=data, suite=suite))
    if checkpoint:
        both = gx.Checkpoint(name="c", validation_definitions=[definition], result_format=form)
        result = context.checkpoints.add(both).run(batch_parameters={"dataframe": frame})
    else:
        result = definition.run(batch_parameters={"dataframe": frame}, result_format=form)
    raise GXValidationFailed(result.describe_dict())


@pytest.mark.parametrize("checkpoint", [False, True], ids=["suite", "checkpoint"])
@pytest.mark.parametrize("form", ["SUMMARY", "BOOLEAN_ONLY"])
@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (GONE, {NOT_NULL: True, MAX: True, TYPE: True, EXISTS: False, UNIQUE: False}),
        (NULLS, {NOT_NULL: False, MAX: False}),
        (TEXT, {MAX: True, TYPE: False}),  # the largest of "a" and "b" is not above 3: the comparison raises
    ],
    ids=["gone", "nulls", "text"],
)
def test_what_only_raised_is_told_from_what_failed(frame, expected, form, checkpoint):
    pushed, error = ended(frame, *ALL, form=form, checkpoint=checkpoint)
    assert {e["expectation_type"]: raised for e, raised in failures(pushed, error)} == expected


def test_what_is_pushed_does_not_say_itself_that_an_expectation_raised():
    pushed, _ = ended(GONE, NOT_NULL)
    assert pushed["expectations"][0]["result"] == {}
    assert "exception_info" not in pushed["expectations"][0]  # the day it does, nobody need look at frames


@pytest.mark.parametrize("form", ["SUMMARY", "BOOLEAN_ONLY"])
def test_a_suite_whose_column_is_gone_has_detected_nothing(form):
    pushed, error = ended(GONE, NOT_NULL, ROWS, form=form)
    assert judge_ending(Ending(error=error, pushed=pushed)).told.value == "errored"
    declared = judge_ending(Ending(error=error, pushed=pushed), ["GXValidationFailed"])
    assert (declared.told.value, declared.how, declared.said) == ("rejected", "GXValidationFailed", ())


def test_without_the_exception_an_empty_result_tells():
    """A task that returns what it found, and raises nothing."""
    pushed, _ = ended(GONE, NOT_NULL, EXISTS, ROWS)
    assert {e["expectation_type"]: raised for e, raised in failures(pushed)} == {NOT_NULL: True, EXISTS: False}
    assert judge_ending(Ending(result=pushed)).told.value == "rejected"
    alone, _ = ended(GONE, NOT_NULL, ROWS)
    assert judge_ending(Ending(result=alone)).told.value == "errored"


def test_where_nothing_has_a_result_a_failure_is_taken_for_one():
    pushed, _ = ended(NULLS, NOT_NULL, ROWS, form="BOOLEAN_ONLY")
    assert judge_ending(Ending(result=pushed)).told.value == "rejected"


def test_results_of_other_expectations_are_not_taken_for_these():
    _, other = ended(GONE, MAX)
    pushed, _ = ended(NULLS, NOT_NULL)
    assert [raised for _, raised in failures(pushed, other)] == [False]
