"""The shipped contract suites: what keeps them passes, and each single breach is found and named."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipechaos.errors import ConfigError
from pipechaos.faults import registry
from pipechaos.faults.kernel import RowEdit
from pipechaos.faults.spec import Example, Family, Fault, Ladder, Param, Phase, Scope
from pipechaos.testing import check_fault, check_validator
from pipechaos.validate.callable_validator import CallableValidator
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject

ROWS = 600


def clean(rows=ROWS):
    return pa.table(
        {"id": range(rows), "x": [float(i % 97) for i in range(rows)], "s": [f"w{i % 7}" for i in range(rows)]}
    )


# --- check_validator ---


def in_range(frame):
    return (frame["x"] >= 0) & (frame["x"] < 97)


class Adapter:
    """A validator that keeps the contract, to be broken in one place at a time."""

    def __init__(self, **instead):
        self._inner = CallableValidator(in_range, name="mine")
        self.name, self.checks, self.suite_digest = "mine", self._inner.checks, ""
        self._run = instead.pop("run", None)
        self.__dict__.update(instead)

    def run(self, frame):
        return self._run(self._inner, frame) if self._run else self._inner.run(frame)


def with_findings(*findings):
    def run(inner, frame):
        inner = CallableValidator(lambda _: list(findings), name="mine")
        inner.checks = CallableValidator(in_range, name="mine").checks
        return inner.run(frame)

    return run


def finding(rows=None, check="in_range"):
    return Finding(check=check, columns=("x",), kind=FindingKind.TOLERATED, subject=Subject.VALUE, rows=rows)


def test_adapters_that_keep_the_contract_pass():
    check_validator(Adapter(), [clean(), clean(50)])
    check_validator(in_range, clean())
    pandera = pytest.importorskip("pandera.pandas")
    check_validator(pandera.DataFrameSchema({"x": pandera.Column(float, pandera.Check.in_range(0, 97))}), clean())
    gx = pytest.importorskip("great_expectations")
    between = gx.expectations.ExpectColumnValuesToBeBetween(column="x", min_value=0, max_value=97)
    check_validator(gx.ExpectationSuite(name="mine", expectations=[between]), clean())


def test_a_spec_is_checked_in_its_worker(tmp_path):
    (tmp_path / "contract_of_plugin.py").write_text("def f(df):\n    return df['x'] >= 0\n")
    check_validator("callable:contract_of_plugin:f", clean(), roots=[tmp_path])


def writes(inner, frame):
    verdict = inner.run(frame)
    frame["x"] = 0.0
    return verdict


def flickers():
    answers = itertools.cycle([in_range, lambda frame: frame["x"] < 3])
    return lambda inner, frame: CallableValidator(_named(next(answers)), name="mine").run(frame)


def _named(function):
    function.__name__ = "in_range"
    return function


def replaced(**values):
    import dataclasses

    return lambda inner, frame: dataclasses.replace(inner.run(frame), **values)


def raises(inner, frame):
    if not len(frame):
        raise ValueError("no rows")
    return inner.run(frame)


BREACHES = {
    "it changed the frame": {"run": writes},
    "another verdict": {"run": flickers()},
    "a clean batch is rejected": {
        "run": lambda inner, frame: CallableValidator(_named(lambda f: False), name="mine").run(frame)
    },
    "rejects no canary": {
        "run": lambda inner, frame: CallableValidator(_named(lambda f: True), name="mine").run(frame)
    },
    "other digests than those of the frame": {"run": replaced(ordered_digest="0" * 32)},
    "a batch without rows: it raised ValueError: no rows": {"run": raises},
    "its verdict names 'other'": {"run": replaced(validator="other")},
    "says 5 checks are declared, not 1": {"run": replaced(checks_declared=5, checks_ran=5)},
    "2 checks ran of 1": {"run": replaced(checks_ran=2)},
    "'elsewhere', which is no declared check": {"run": with_findings(finding(check="elsewhere"))},
    "are not sorted positions": {"run": with_findings(finding(rows=np.array([3, 1], np.int64)))},
    "from 0 to 599": {"run": with_findings(finding(rows=np.array([ROWS], np.int64)))},
    "declares no check": {"checks": ()},
    "is declared more than once": {"checks": (Check(id="a", columns=(), subject=Subject.TABLE),) * 2},
    "a name is a text": {"name": ""},
    "its suite digest is None": {"suite_digest": None},
}


@pytest.mark.parametrize("words", BREACHES)
def test_each_breach_of_a_validator_is_named(words):
    with pytest.raises(AssertionError, match="does not keep the contract of a validator") as caught:
        check_validator(Adapter(**BREACHES[words]), clean())
    assert words in str(caught.value)


# --- check_fault ---


def add_one(given):
    return pc.add(given.values, given.params["step"])


def fault(kernel=add_one, **instead):
    values = {
        "code": "team.shift",
        "family": Family.VALUE,
        "title": "values are shifted",
        "doc": "A sensor was exchanged.",
        "phase": Phase.CELLS,
        "scope": Scope.LOCAL,
        "kernel": kernel,
        "ladder": Ladder(moves="fraction", rungs=(0.02, 0.05, 0.1, 0.3, 1.0)),
        "params": (Param(name="step", doc="Added.", default=1.0),),
        "applies": pa.types.is_floating,
        "types": "floats",
        "examples": (Example(columns=("x",), before={"x": [1.0, None]}, after={"x": [2.0, None]}),),
    }
    return Fault(**(values | instead))


def test_a_fault_that_keeps_the_laws_passes_and_leaves_the_catalogue_alone():
    before = dict(registry.CATALOGUE)
    check_fault(fault(), clean(), key=["id"])
    check_fault(
        fault(ladder=Ladder(moves="step", rungs=(1.0, 2.0, 3.0, 4.0, 5.0), fraction=0.5)),
        clean(),
        key=["id"],
        columns=["x"],
    )
    check_fault("time.stale", stamped("2024-01-02"), history=[stamped("2024-01-01")], key=["id"], time="at")
    assert dict(registry.CATALOGUE) == before


def stamped(day):
    at = pa.array(np.datetime64(day, "us") + np.arange(ROWS).astype("timedelta64[s]"))
    return clean().append_column("at", at)


class Drifting:
    """A kernel that remembers how often it was called."""

    def __init__(self):
        self.calls = 0

    def __call__(self, given):
        self.calls += 1
        return pc.add(given.values, float(self.calls))


def by_position(given):
    return pc.add(given.values, pa.array(1.0 + np.arange(len(given.values))))


def by_length(given):
    return pc.add(given.values, float(len(given.values)))


def raising(given):
    raise RuntimeError("kernel is out of order")


def drop_at_random(given):
    kept = np.flatnonzero(~np.roll(given.hit, 1))
    return RowEdit(take=kept, made=np.zeros(len(kept), np.bool_))


LAWLESS = {
    "a replay differs": fault(Drifting()),
    "cut into parts it gives another copy": fault(by_length),
    "kernel is out of order": fault(raising),
    "in another order": fault(drop_at_random, phase=Phase.ROWS, column_count=0, needs_value=False, examples=()),
    "its example gives {'x': [2.0, None]}, not {'x': [3.0, None]}": fault(
        examples=(Example(columns=("x",), before={"x": [1.0, None]}, after={"x": [3.0, None]}),)
    ),
    "without an example": fault(examples=()),
    "has 5 rungs, not 2": fault(ladder=Ladder(moves="fraction", rungs=(0.5, 1.0))),
    "its rungs do not climb": fault(ladder=Ladder(moves="fraction", rungs=(0.5, 0.4, 0.6, 0.7, 1.0))),
    "which is no parameter": fault(ladder=Ladder(moves="stepp", rungs=(1.0, 2.0, 3.0, 4.0, 5.0))),
    "is no sentence": fault(doc="a sensor"),
    "mildest rung changes nothing": fault(ladder=Ladder(moves="fraction", rungs=(1e-9, 0.05, 0.1, 0.3, 1.0))),
    "do not do more and more": fault(
        lambda g: pc.add(g.values, 1.0), ladder=Ladder(moves="step", rungs=(1.0, 2.0, 3.0, 4.0, 5.0))
    ),
}


@pytest.mark.parametrize("words", LAWLESS)
def test_each_breach_of_a_fault_is_named(words):
    with pytest.raises(AssertionError, match=r"team\.shift does not keep the laws of a fault") as caught:
        check_fault(LAWLESS[words], clean(), key=["id"])
    assert words in str(caught.value)
    assert "team.shift" not in registry.CATALOGUE


def test_a_kernel_that_writes_by_position_minds_the_cutting():
    with pytest.raises(AssertionError, match="cut into parts it gives another copy"):
        check_fault(fault(by_position), clean(), key=["id"])


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ConfigError, match="needs key="):
        check_fault(fault(), clean())
    with pytest.raises(ConfigError, match="needs key="):
        check_fault(fault(), clean(), key=["s"])
    with pytest.raises(ConfigError, match="takes floats: batch 'batch' has no such column"):
        check_fault(fault(), clean().select(["id", "s"]), key=["id"])
