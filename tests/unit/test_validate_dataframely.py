"""dataframely schemas as validators: which rule, which rows, and what casting and filtering hide."""

import dataframely as dy
import polars as pl
import pytest

from pipechaos.errors import ConfigError, MissingExtraError, ValidatorLoadError
from pipechaos.validate.base import load_validator
from pipechaos.validate.dataframely_validator import DataframelyValidator, Mode
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

A, R, E = VerdictStatus.ACCEPTED, VerdictStatus.REJECTED, VerdictStatus.ERRORED


class Rides(dy.Schema):
    day = dy.Date(primary_key=True)
    ride = dy.Int64(primary_key=True, min=1)
    fare = dy.Float64(nullable=True, min=0, max_exclusive=100)
    code = dy.String(nullable=False, regex="^[a-z]$", check={"not_q": lambda c: c != "q", "short": lambda c: c < "x"})

    @dy.rule()
    def fare_over_ride(cls):  # noqa: N805 - given its schema
        return pl.col("fare") >= pl.col("ride") - 10

    @dy.rule()
    def mean_fare(cls):  # noqa: N805 - given its schema
        return pl.col("fare").mean() < 50


def rides(**columns):
    days = pl.Series(["2013-06-03"] * 4).str.to_date()
    data = {"day": days, "ride": [1, 2, 3, 4], "fare": [5.0, None, 10.0, 0.0], "code": ["a", "b", "c", "d"]}
    return pl.DataFrame(data | columns)


def judge(frame, schema=Rides, mode=Mode.VALIDATE):
    return DataframelyValidator(schema, name="v", mode=mode).run(frame)


def found(verdict):
    return {f.check: (f.kind.value, f.columns, None if f.rows is None else f.rows.tolist()) for f in verdict.findings}


def test_every_rule_of_the_schema_is_a_check():
    checks = {c.id: (c.columns, c.subject) for c in DataframelyValidator(Rides, name="v").checks}
    assert checks == {
        "day:present": (("day",), Subject.SCHEMA),
        "day:dtype": (("day",), Subject.DTYPE),
        "day:nullability": (("day",), Subject.VALUE),
        "ride:present": (("ride",), Subject.SCHEMA),
        "ride:dtype": (("ride",), Subject.DTYPE),
        "ride:nullability": (("ride",), Subject.VALUE),
        "ride:min(1)": (("ride",), Subject.VALUE),
        "fare:present": (("fare",), Subject.SCHEMA),
        "fare:dtype": (("fare",), Subject.DTYPE),
        "fare:min(0)": (("fare",), Subject.VALUE),
        "fare:max_exclusive(100)": (("fare",), Subject.VALUE),
        "fare:inf": (("fare",), Subject.VALUE),
        "fare:nan": (("fare",), Subject.VALUE),
        "code:present": (("code",), Subject.SCHEMA),
        "code:dtype": (("code",), Subject.DTYPE),
        "code:nullability": (("code",), Subject.VALUE),
        "code:check__not_q": (("code",), Subject.VALUE),
        "code:check__short": (("code",), Subject.VALUE),
        "code:regex('^[a-z]$')": (("code",), Subject.VALUE),
        "table:primary_key(day,ride)": (("day", "ride"), Subject.UNIQUENESS),
        "table:fare_over_ride": (("ride", "fare"), Subject.VALUE),
        "table:mean_fare": (("fare",), Subject.AGGREGATE),
    }


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, {}),
        ({"fare": [5.0, -1.0, 100.0, 0.0]}, {"fare:min(0)": [1], "fare:max_exclusive(100)": [2]}),
        (
            {"code": ["a", None, "q", "z"]},
            {"code:nullability": [1], "code:check__not_q": [2], "code:check__short": [3]},
        ),
        ({"code": ["a", "bb", "c", "d\n"]}, {"code:regex('^[a-z]$')": [1, 3]}),  # C7: no newline slips by here
        ({"ride": [1, 2, 3, 15]}, {"table:fare_over_ride": [3]}),
        ({"ride": [2, 2, 3, 4]}, {"table:primary_key(day,ride)": [0, 1]}),  # the innocent twin is flagged too
        ({"fare": [99.0, 99.0, 99.0, 99.0]}, {"table:mean_fare": None}),  # of all rows at once: none is to blame
        ({"fare": [float("nan"), None, 1.0, float("-inf")]}, None),  # refused by default, unlike by all the others
    ],
)
def test_rows_are_named_for_the_rule_they_break(columns, expected):
    verdict = judge(rides(**columns))
    if expected is None:
        named = found(verdict)
        assert (named["fare:nan"][2], named["fare:inf"][2]) == ([0], [3])
        return
    assert {check: rows for check, (_, _, rows) in found(verdict).items()} == expected
    assert verdict.status is (R if expected else A)


def test_a_null_in_a_rule_is_taken_for_valid():
    assert judge(rides(fare=[None] * 4).cast({"fare": pl.Float64})).status is A


def test_a_schema_that_does_not_fit_is_a_failure_and_no_rule_runs():
    wrong = judge(rides(ride=[1.0, 2.0, 3.0, 4.0], fare=["1", "2", "3", "4"]))
    assert found(wrong) == {"ride:dtype": ("fail", ("ride",), None), "fare:dtype": ("fail", ("fare",), None)}
    assert {f.subject for f in wrong.findings} == {Subject.DTYPE}
    missing = judge(rides(ride=["1"] * 4).drop("fare", "code"))
    assert found(missing) == {"fare:present": ("fail", ("fare",), None), "code:present": ("fail", ("code",), None)}
    assert (wrong.status, wrong.checks_ran, missing.checks_ran) == (R, 8, 4)


def test_what_casting_repairs_is_tolerated_and_what_it_cannot_is_named():
    texts = rides(ride=["1", "2", "3", "4"])
    assert judge(texts).status is R
    cast = judge(texts, mode=Mode.CAST)
    assert cast.status is A
    assert [(f.check, f.columns, f.kind) for f in cast.findings] == [
        ("<dtype changed>", ("ride",), FindingKind.TOLERATED),
        ("<values changed>", ("ride",), FindingKind.TOLERATED),
    ]
    broken = judge(rides(ride=["1", "two", "3", "4"]), mode=Mode.CAST)
    assert found(broken) == {"ride:dtype": ("fail", ("ride",), [1])}


def test_casting_cuts_fractions_off_and_only_the_repair_shows_it():
    cut = judge(rides(ride=[1.0, 2.9, 3.0, 4.0]), mode=Mode.CAST)
    assert (cut.status, found(cut)["<values changed>"]) == (A, ("tolerated", ("ride",), [1]))


def test_filtering_lets_any_row_go():
    verdict = judge(rides(fare=[5.0, -1.0, 1.0, 0.0]), mode=Mode.FILTER)
    assert verdict.status is A
    assert found(verdict) == {
        "fare:min(0)": ("tolerated", ("fare",), [1]),
        "<rows dropped>": ("tolerated", (), None),
    }
    assert judge(rides().drop("fare"), mode=Mode.FILTER).status is R


def test_filtering_accepts_a_frame_of_which_nothing_is_left():
    assert judge(rides(fare=[-1.0] * 4), mode=Mode.FILTER).status is A


def test_limits_are_the_numbers_of_the_schema():
    class Limited(Rides):
        size = dy.String(nullable=True, min_length=2, max_length=4)
        kind = dy.Int8(nullable=True, is_in=[3, 1], unique=True)
        tags = dy.List(dy.String(), nullable=True, min_length=1)

    limits = [
        (x.check, x.column, x.statistic.value, x.low, x.high, x.columns, x.members)
        for x in DataframelyValidator(Limited, name="v").limits
    ]
    assert limits == [
        ("day:nullability", "day", "null share", None, 0.0, (), ()),
        ("ride:nullability", "ride", "null share", None, 0.0, (), ()),
        ("ride:min(1)", "ride", "minimum", 1.0, None, (), ()),
        ("fare:min(0)", "fare", "minimum", 0.0, None, (), ()),
        ("fare:max_exclusive(100)", "fare", "maximum", None, 100.0, (), ()),
        ("code:nullability", "code", "null share", None, 0.0, (), ()),
        ("size:min_length(2)", "size", "shortest text", 2.0, None, (), ()),
        ("size:max_length(4)", "size", "longest text", None, 4.0, (), ()),
        ("kind:unique", "kind", "share of repeated rows", None, 0.0, ("kind",), ()),
        ("kind:is_in([3, 1])", "kind", "share outside the set", None, 0.0, (), (1, 3)),
        ("table:primary_key(day,ride)", "", "share of repeated rows", None, 0.0, ("day", "ride"), ()),
    ]
    assert DataframelyValidator(Limited, name="v", mode=Mode.FILTER).limits == ()


def test_a_column_nobody_declared_is_taken_out_in_silence():
    verdict = judge(rides(more=[1, 2, 3, 4]))
    assert (verdict.status, found(verdict)) == (A, {"<column removed>": ("tolerated", ("more",), None)})


def test_a_column_that_is_named_as_ours_is_in_nobodys_way():
    frame = rides(fare=[5.0, -1.0, 1.0, 0.0]).with_columns(__pipechaos_row__=pl.lit(9))
    assert found(judge(frame))["fare:min(0)"] == ("fail", ("fare",), [1])


def test_a_rule_that_raises_is_no_verdict():
    class Broken(dy.Schema):
        x = dy.String()

        @dy.rule()
        def dated(cls):  # noqa: N805 - given its schema
            return pl.col("x").str.to_date("%Y-%m-%d") > pl.date(2000, 1, 1)

    good = pl.DataFrame({"x": ["2013-06-03"]})
    assert judge(good, Broken).status is A
    crashed = judge(pl.DataFrame({"x": ["2013-06-03", "soon"]}), Broken)
    assert (crashed.status, crashed.findings[0].check, crashed.findings[0].kind) == (E, "<crash>", FindingKind.ERROR)


def test_a_lazy_frame_is_judged_whole():
    assert found(judge(rides(fare=[5.0, -1.0, 1.0, 0.0]).lazy())) == {"fare:min(0)": ("fail", ("fare",), [1])}


SUITE = """
import dataframely as dy

class Ride(dy.Schema):
    id = dy.Int64()

class Both(dy.Collection):
    rides: dy.LazyFrame[Ride]

NUMBER = 3
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataframely")
    (folder / "dy_suite.py").write_text(SUITE)
    return folder


def test_a_spec_names_the_schema_and_how_it_is_called(root):
    texts = pl.DataFrame({"id": ["1", "x"]})
    statuses = {}
    for spec in ("dy_suite:Ride", "dy_suite:Ride:cast", "dy_suite:Ride:filter"):
        validator = load_validator(f"dataframely:{spec}", name="v", roots=[root])
        statuses[spec.rpartition(":")[2]] = validator.run(texts[:1]).status
    assert statuses == {"Ride": R, "cast": A, "filter": R}
    assert len(validator.suite_digest) == 32


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("dy_suite:Ride:kast", ConfigError, "allowed behind the schema are validate, cast, filter"),
        ("dy_suite:Both", ValidatorLoadError, "the class Both; expected a subclass of dataframely.Schema"),
        ("dy_suite:NUMBER", ValidatorLoadError, "a int; expected"),
        ("dy_suite", ConfigError, "dataframely:module:attribute"),
        ("json:loads", ValidatorLoadError, "outside the roots"),
    ],
)
def test_specs_that_name_no_schema(root, spec, error, message):
    with pytest.raises(error, match=message):
        load_validator(f"dataframely:{spec}", roots=[root])


def test_without_the_library_the_extra_is_named(root, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dataframely", None)
    with pytest.raises(MissingExtraError, match=r"pipechaos\[dataframely\]"):
        load_validator("dataframely:dy_suite:Ride", roots=[root])
