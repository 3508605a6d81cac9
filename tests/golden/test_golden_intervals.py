"""Intervals against values that R made (survey 4.1.1, binom.test), and against SCORING.md's own numbers."""

import json
import math
from pathlib import Path

import pytest

from pipechaos.score.intervals import clopper_pearson, korn_graubard

GOLDEN = json.loads((Path(__file__).parent / "intervals.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GOLDEN["clopper_pearson"], ids=lambda c: f"{c['x']} of {c['n']}")
def test_clopper_pearson_is_binom_test(case):
    two = [float(v) for v in clopper_pearson(case["x"], case["n"], 0.95)]
    low, high = (float(v) for v in clopper_pearson(case["x"], case["n"], 0.90))
    assert two == pytest.approx(case["two_sided_95"], abs=1e-10)
    assert low == pytest.approx(case["lower_one_sided_95"], abs=1e-10)
    assert high == pytest.approx(case["upper_one_sided_95"], abs=1e-10)


@pytest.mark.parametrize("case", GOLDEN["clustered"], ids=lambda c: f"{c['trials']} in {c['clusters']}")
@pytest.mark.parametrize("level", [95, 90])
def test_korn_graubard_is_svyciprop(case, level):
    found = korn_graubard(case["y"], case["weight"], case["cluster"], level / 100, rho=0)
    assert (found.trials, found.clusters) == (case["trials"], case["clusters"])
    assert found.estimate == pytest.approx(case["estimate"], rel=1e-9)
    assert math.sqrt(found.variance) == pytest.approx(case["standard_error"], rel=1e-9)
    assert [found.low, found.high] == pytest.approx(case[f"two_sided_{level}"], rel=1e-8)
    if level == 95:
        assert found.effective_n == pytest.approx(case["effective_n_95"], rel=1e-9)


@pytest.mark.parametrize(("alarms", "upper"), [(0, 0.0234), (1, 0.0299)])
def test_a_year_of_days_in_weeks(alarms, upper):
    days = 275
    y = [int(day < alarms) for day in range(days)]
    found = korn_graubard(y, [1.0] * days, [day // 7 for day in range(days)], level=0.90)
    assert found.clusters == 40
    assert round(found.high, 4) == upper
