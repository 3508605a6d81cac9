"""Explanations written beside the trials read back as they were, what is undefined too."""

import json
import math
from dataclasses import replace

import pytest

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Dose, Explanation, NearMiss, Sketch, Suggestion
from pipechaos.campaign.explanation_file import read_explanations, write_explanations
from pipechaos.errors import BatchError

NEAR = NearMiss(
    validator="v", check="x:max", column="x", statistic="maximum", limit=9.0, observed=5.5, untouched=5.0, used=0.125
)
WHOLE = Explanation(
    trial_id="t1",
    example=Example(columns=("id", "x"), before=(("1", "a"), None), after=(None, ("1", "b")), note="n"),
    sketches=(
        Sketch(
            column="x",
            labels=("a", "b"),
            before=(0.5, 0.25),
            after=(0.0, 0.75),
            null_before=0.25,
            null_after=0.25,
            summary="s",
        ),
    ),
    near=(NEAR,),
    doses=(Dose(severity=2, columns=("x",), missed=True),),
    suggestion=Suggestion(text="a budget", code="Check()"),
)
BARE = Explanation(trial_id="t2")


def test_what_was_written_is_read(tmp_path):
    file = tmp_path / "e.json"
    write_explanations({"t2": BARE, "t1": WHOLE}, file)
    assert read_explanations(file) == {"t1": WHOLE, "t2": BARE}


def test_room_that_never_was_stays_undefined(tmp_path):
    file = tmp_path / "e.json"
    write_explanations({"t1": replace(WHOLE, near=(replace(NEAR, used=math.nan),))}, file)
    json.loads(file.read_text(), parse_constant=pytest.fail)  # no NaN in the file
    (near,) = read_explanations(file)["t1"].near
    assert math.isnan(near.used)
    assert near.limit == 9.0


def test_no_file_is_no_explanation_and_another_file_is_refused(tmp_path):
    assert read_explanations(tmp_path / "none.json") == {}
    (tmp_path / "other.json").write_text('{"explanations": [{"trial_id": 1}]}')
    with pytest.raises(BatchError, match="holds no explanations of ours"):
        read_explanations(tmp_path / "other.json")
