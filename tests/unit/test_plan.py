"""Plans: what they refuse, how they are named, what is frozen when they meet a batch."""

import datetime as dt
import json
import math
from pathlib import Path

import pyarrow as pa
import pytest

from pipechaos import counter
from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.model import Batch
from pipechaos.errors import BatchError, ConfigError, FaultError, PlanError, UnknownNameError
from pipechaos.faults import registry
from pipechaos.faults.spec import Family, Phase
from pipechaos.inject.engine import inject
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.placement import Placement
from pipechaos.plan.presets import PRESETS, Pair, pairs, thin
from pipechaos.plan.resolve import quantile_value, resolve

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hits.json").read_text())


def batch(name="2013-06-03", **columns):
    columns = columns or {"id": [1, 2, 3, 4], "delay": [1.0, 2.0, 4.0, 8.0], "carrier": ["UA", "AA", "UA", None]}
    time = "at" if "at" in columns else None
    return Batch.of(pa.table(columns), name=name, time=time)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda: Injection.of("nul.mcar", "x"),
            UnknownNameError,
            "unknown fault 'nul.mcar': did you mean 'null.mcar'?",
        ),
        (
            lambda: Injection.of("value.noise", "x", params={"sigmma": 1.0}),
            UnknownNameError,
            "unknown parameter 'sigmma' in fault 'value.noise': did you mean 'sigma'? Allowed: sigma.",
        ),
        (
            lambda: Injection.of("null.mcar", "x", placement={"kind": "block", "blok": 3}),
            UnknownNameError,
            "unknown key 'blok' in placement: did you mean 'block'?",
        ),
        (
            lambda: Injection.of("null.mcar", "x", placement="blocks"),
            UnknownNameError,
            "unknown placement 'blocks': did you mean 'block'?",
        ),
        (
            lambda: Injection.of("value.outlier", "x", params={"side": "hi"}),
            UnknownNameError,
            "unknown side of value.outlier 'hi'",
        ),
        (
            lambda: Placement.of({"kind": "own_value", "side": "hihg"}),
            UnknownNameError,
            "unknown side 'hihg': did you mean 'high'?",
        ),
        (lambda: Placement.of("block"), PlanError, "placement 'block' needs 'block'; it takes: block"),
        (lambda: Placement.of("entity"), PlanError, "placement 'entity' needs 'entity'"),
        (lambda: Placement.of("other_column"), PlanError, "placement 'other_column' needs 'other'"),
        (lambda: Placement.of({"block": 3}), PlanError, "placement 'random' takes no 'block'; it takes: nothing"),
        (lambda: Placement.of({"kind": "block", "block": 0}), PlanError, "must be a whole number from 1"),
        (lambda: Placement.of({"kind": "block", "block": "7"}), PlanError, "must be a whole number from 1"),
        (lambda: Placement.of({"kind": "burst", "block": 2.5}), PlanError, "must be a whole number from 1"),
        (lambda: Placement.of({"kind": "block", "block": True}), PlanError, "must be a whole number from 1"),
        (lambda: Placement.of({"kind": "own_value", "quantile": 0}), PlanError, "quantile 0 is outside (0, 1]"),
        (lambda: Placement.of({"kind": "own_value", "quantile": 1.01}), PlanError, "outside (0, 1]"),
        (lambda: Placement.of({"kind": "own_value", "quantile": math.nan}), PlanError, "outside (0, 1]"),
        (lambda: Placement.of({"kind": "own_value", "quantile": math.inf}), PlanError, "outside (0, 1]"),
        (lambda: Placement.of({"kind": "own_value", "quantile": "most"}), PlanError, "'most' is not a number"),
        (lambda: Placement.of({"kind": "entity", "entity": []}), PlanError, "at least one"),
        (lambda: Placement.of({"kind": "entity", "entity": 7}), PlanError, "at least one"),
        (lambda: Placement.of({"kind": "other_column", "other": ["x"]}), PlanError, "name of one column"),
        (lambda: Injection.of("null.mcar", "x", placement="own_value"), PlanError, "takes no placement 'own_value'"),
        (lambda: Injection.of("rows.drop", "x"), PlanError, "takes no column, not ['x']"),
        (lambda: Injection.of("null.mcar"), PlanError, "takes 1 column, not []"),
        (lambda: Injection.of("null.mcar", ["x", "y"]), PlanError, "takes 1 column, not ['x', 'y']"),
        (lambda: Injection.of("null.mcar", "x", severity=6), FaultError, "it has rungs 1 to 5"),
        (lambda: Injection.of("null.mcar", "x", severity=0), FaultError, "it has rungs 1 to 5"),
        (lambda: Injection.of("null.mcar", "x", severity=-1), FaultError, "it has rungs 1 to 5"),
        (lambda: Injection.of("value.noise", "x", params={"sigma": "big"}), FaultError, "takes a float, not 'big'"),
        (lambda: Injection.of("value.noise", "x", params={"sigma": -1.0}), FaultError, "must lie in [0, 1e+06]"),
        (lambda: Plan(injections=()), PlanError, "the plan is empty"),
    ],
)
def test_what_a_plan_refuses(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("fraction", [-0.01, 1.01, math.nan, math.inf, "half", True])
def test_a_fraction_outside_its_range(fraction):
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        Injection.of("null.mcar", "x", fraction=fraction)


@pytest.mark.parametrize("fraction", [0, 0.0, 1, 1.0, 1e-12])
def test_a_fraction_inside_its_range(fraction):
    assert Injection.of("null.mcar", "x", fraction=fraction).fraction == fraction


CELLS, ROWS, SCHEMA = (
    Injection.of("null.mcar", "delay"),
    Injection.of("rows.drop"),
    Injection.of("schema.drop_column", "delay"),
)


@pytest.mark.parametrize(
    ("order", "blamed"),
    [
        ((ROWS, CELLS), "null.mcar"),
        ((SCHEMA, CELLS), "null.mcar"),
        ((SCHEMA, ROWS), "rows.drop"),
        ((CELLS, SCHEMA, ROWS), "rows.drop"),
    ],
)
def test_phases_out_of_order_are_refused_and_not_reordered(order, blamed):
    with pytest.raises(PlanError, match=f"{blamed} .* stands after a fault of a later phase"):
        Plan.of(*order)


def test_phases_in_order():
    assert Plan.of(CELLS, CELLS, ROWS, ROWS, SCHEMA).injections == (CELLS, CELLS, ROWS, ROWS, SCHEMA)


@pytest.mark.parametrize(
    ("injection", "error", "says"),
    [
        (Injection.of("null.mcar", "dealy"), UnknownNameError, "unknown column 'dealy'.*did you mean 'delay'"),
        (
            Injection.of("null.mcar", "delay", placement={"kind": "entity", "entity": "carier"}),
            UnknownNameError,
            "did you mean 'carrier'",
        ),
        (
            Injection.of("null.mar", "delay", placement={"kind": "other_column", "other": "ids"}),
            UnknownNameError,
            "unknown column 'ids'",
        ),
        (
            Injection.of("text.typo", "delay"),
            FaultError,
            "does not apply to column 'delay' of type double: it takes text",
        ),
        (
            Injection.of("null.mcar", "delay", placement={"kind": "burst", "block": 10}),
            PlanError,
            "needs a time column",
        ),
        (Injection.of("time.stale"), PlanError, "needs a time column"),
        (
            Injection.of("null.mcar", "carrier", placement={"kind": "entity", "entity": "delay"}),
            BatchError,
            "column 'delay' has type double",
        ),
        (
            Injection.of("missing.sentinel", "id", params={"value": "none"}),
            FaultError,
            "'none' is no value of type int64",
        ),
    ],
)
def test_what_does_not_fit_a_batch_is_refused_when_it_is_resolved(injection, error, says):
    with pytest.raises(error, match=says):
        resolve(Plan.of(injection), batch())


def test_a_placement_cannot_sort_lists_nor_cut_what_is_no_time():
    source = batch(at=[1, 2], x=[[1], [2]])
    with pytest.raises(FaultError, match="cannot sort column 'x' of type list"):
        resolve(Plan.of(Injection.of("relation.shuffle", "x", placement="own_value")), source)
    with pytest.raises(FaultError, match="takes a time column of timestamps or dates, not 'at': int64"):
        resolve(Plan.of(Injection.of("null.mcar", "x", placement={"kind": "burst", "block": 1})), source)


# --- names ----------------------------------------------------------------------------------------------------------


def golden(kind, fault):
    (vector,) = [
        v for v in GOLDEN["ids"] if v["kind"] == kind and json.loads(v["json"])[2 + (kind == "weakness")] == fault
    ]
    return vector["id"]


def test_ids_are_the_golden_ones():
    made = Injection.of(
        "missing.sentinel", "distance", severity=3, fraction=0.05, params={"value": "-999"}, seed=7, repeat=0
    )
    assert made.injection_id("2013-06-03") == golden("injection", "missing.sentinel")
    assert made.weakness_id("pandera:flights") == golden("weakness", "missing.sentinel")
    drop = Injection.of("rows.drop", severity=3, fraction=0.05, seed=7)
    assert drop.injection_id("2013-06-03") == golden("injection", "rows.drop")


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: c["key_json"][:60])
def test_keys_are_the_golden_ones(case):
    _, seed, name, repeat, code, _, column, placement = json.loads(case["key_json"])
    made = Injection.of(code, column or (), seed=seed, repeat=repeat, placement=placement or None, severity=1)
    assert format(made.key(name).k, "016x") == case["k"]


BASE = {"fault": "null.mcar", "columns": "x", "severity": 2, "seed": 3, "repeat": 1}


@pytest.mark.parametrize(
    ("change", "injection_moves", "weakness_moves", "key_moves"),
    [
        ({"seed": 4}, True, False, True),
        ({"repeat": 2}, True, False, True),
        ({"columns": "y"}, True, True, True),
        ({"severity": 3}, True, True, False),  # ladders nest: the same key
        ({"fraction": 0.3}, True, False, False),
        ({"exact": True}, True, True, False),
        ({"placement": {"kind": "block", "block": 3}}, True, True, True),
        ({"fault": "missing.sentinel"}, True, True, True),
    ],
)
def test_what_moves_a_name_and_what_moves_a_draw(change, injection_moves, weakness_moves, key_moves):
    one, other = Injection.of(**BASE), Injection.of(**(BASE | change))
    assert (one.injection_id("b") != other.injection_id("b")) == injection_moves
    assert (one.weakness_id("v") != other.weakness_id("v")) == weakness_moves
    assert (one.key("b") != other.key("b")) == key_moves
    assert one.injection_id("b") != one.injection_id("c")
    assert one.key("b") != one.key("c")
    assert one.weakness_id("v") != one.weakness_id("w")


def test_row_and_schema_faults_have_no_column_in_their_key():
    for code, columns in (("rows.drop", ()), ("schema.drop_column", ("x",))):
        key = Injection.of(code, columns, seed=1).key("b")
        assert key == counter.streams(seed=1, batch="b", repeat=0, fault=code, version=1, column=None, placement={})


def test_a_severity_is_a_rung_and_a_dose_of_ones_own_is_none():
    assert Injection.of("null.mcar", "x").severity == 3
    assert Injection.of("null.mcar", "x", severity=5).fraction == 0.9
    assert Injection.of("null.mcar", "x", fraction=0.123).severity == 0
    noise = Injection.of("value.noise", "x", severity=1)
    assert (noise.params["sigma"], noise.fraction) == (0.1, 1.0)
    own = Injection.of("value.noise", "x", params={"sigma": 0.3})
    assert (own.params["sigma"], own.severity, own.fraction) == (0.3, 0, 1.0)


def test_an_injection_cannot_be_changed():
    made = Injection.of("value.noise", "x")
    with pytest.raises(TypeError):
        made.params["sigma"] = 9.0
    with pytest.raises(AttributeError):
        made.seed = 1


def test_canonical_placements():
    assert Placement.of(None).canonical() == Placement.of("random").canonical() == {}
    assert Placement.of({"kind": "own_value", "quantile": 0.80}).canonical() == {
        "kind": "own_value",
        "quantile": "0.8",
        "side": "high",
    }
    assert Placement.of({"kind": "entity", "entity": "a"}) == Placement.of({"kind": "entity", "entity": ["a"]})
    again = Placement.of({"kind": "other_column", "other": "h", "side": "low", "quantile": "0.10"})
    assert Placement.of(again.canonical()) == again


# --- resolve --------------------------------------------------------------------------------------------------------


def test_the_scale_comes_from_the_history_and_from_the_source_only_without_one():
    plan = Plan.of(Injection.of("value.noise", "delay"))
    wide = batch("2013-01-01", delay=[0.0, 1349.0, 2698.0, 4047.0])  # quartiles 0 and 2698
    (item,) = resolve(plan, batch(), [wide]).injections
    assert item.params["scale"] == pytest.approx(2000.0)
    (own,) = resolve(plan, batch()).injections  # 1 and 4 of 1, 2, 4, 8
    assert own.params["scale"] == pytest.approx(3 / 1.349)


def test_a_history_of_several_batches_is_one_pool():
    plan = Plan.of(Injection.of("value.noise", "delay"))
    parts = [batch("a", delay=[0.0, 4.0]), batch("b", delay=[8.0, None, 12.0])]
    (item,) = resolve(plan, batch(), parts).injections
    assert item.params["scale"] == pytest.approx((8.0 - 0.0) / 1.349)


@pytest.mark.parametrize("values", [[5.0] * 9, [math.nan] * 4, [None] * 4, [5.0] * 8 + [900.0]])
def test_no_spread_is_not_applicable(values):
    source = batch(delay=pa.array(values, pa.float64()))
    for code in ("value.noise", "value.outlier", "drift.mean"):
        plan = resolve(Plan.of(Injection.of(code, "delay", severity=5)), source)
        assert not plan.injections[0].applicable
        result = inject(plan, source)
        assert result.ledger.status is Status.NOT_APPLICABLE
        assert "spread" in result.ledger.injections[0].reason
        assert result.batch.table is source.table


def test_own_parameters_are_not_changed_by_resolving():
    made = Injection.of("value.noise", "delay")
    resolve(Plan.of(made), batch())
    assert dict(made.params) == {"sigma": 0.5}


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([5, 1, 3, None], "0.5", 3),
        ([1, 2, 3, 4, 5], "0.8", 4),
        ([1, 2, 3, 4, 5], "0.801", 5),
        ([1, 2, 3, 4, 5], "0.0001", 1),
        ([1, 2, 3, 4, 5], "1", 5),
        ([1.0, math.nan, 2.0], "1", 2.0),
        (["b", "a", None, "c"], "0.34", "b"),
        ([True, False, False], "1", True),
        ([dt.date(2013, 1, 2), dt.date(2013, 1, 1)], "0.5", dt.date(2013, 1, 1)),
    ],
)
def test_quantile_is_the_value_at_ceil_q_n(values, q, expected):
    assert quantile_value(pa.chunked_array([values]), q).as_py() == expected


def test_no_value_has_no_quantile():
    for values in ([], [None, None], [math.nan]):
        column = pa.chunked_array([pa.array(values, pa.float64())])
        assert quantile_value(column, "0.5") is None
    source = batch(x=[1, 2], other=pa.array([None, None], pa.int64()))
    made = Injection.of("null.mar", "x", placement={"kind": "other_column", "other": "other"})
    (item,) = resolve(Plan.of(made), source).injections
    assert item.reason == "column 'other' has no value to take a quantile of"


DAYS = {n: [dt.datetime(2013, 6, n), dt.datetime(2013, 6, n, 5)] for n in (1, 2, 3)}


def test_a_donor_is_the_last_batch_before_and_is_frozen_by_its_digest():
    earlier = [batch(f"2013-06-0{n}", at=DAYS[n], x=[n, n]) for n in (2, 1)]
    source = batch("2013-06-03", at=DAYS[3], x=[3, 3])
    plan = resolve(Plan.of(Injection.of("time.stale")), source, earlier=[*earlier, source])
    ref = plan.injections[0].donor
    assert (ref.name, ref.digest) == ("2013-06-02", ordered_digest(earlier[0].table))
    after = inject(plan, source, {b.name: b for b in earlier}).batch.table
    assert after["x"].to_pylist() == [2, 2]
    assert after["at"].to_pylist() == DAYS[3]


def test_a_donor_that_changed_or_is_not_there_is_refused():
    donor = batch("2013-06-02", at=DAYS[2], x=[2, 2])
    source = batch("2013-06-03", at=DAYS[3], x=[3, 3])
    plan = resolve(Plan.of(Injection.of("time.stale")), source, earlier=[donor])
    changed = batch("2013-06-02", at=DAYS[2], x=[2, 1])
    with pytest.raises(PlanError, match="has changed since the plan was resolved"):
        inject(plan, source, {"2013-06-02": changed})
    with pytest.raises(PlanError, match="hand it over in `donors`"):
        inject(plan, source)


def test_without_an_earlier_batch_there_is_nothing_stale():
    source = batch("2013-06-03", at=DAYS[3], x=[3, 3])
    plan = resolve(Plan.of(Injection.of("time.stale")), source, earlier=[batch("2013-06-04", at=DAYS[3], x=[1, 1])])
    assert plan.injections[0].reason == "there is no earlier batch to take rows from"


def test_a_plan_is_for_its_batch_alone():
    plan = resolve(Plan.of(Injection.of("null.mcar", "delay")), batch())
    with pytest.raises(PlanError, match="resolved for batch '2013-06-03', not 'other'"):
        inject(plan, batch("other"))


def test_a_replay_is_identical():
    source, history = batch(), [batch("2013-01-01", delay=[0.0, 5.0, 7.0, 30.0])]
    first = inject(resolve(Plan.of(Injection.of("value.noise", "delay", seed=5)), source, history), source)
    again = inject(resolve(Plan.of(Injection.of("value.noise", "delay", seed=5)), batch(), history), batch())
    assert ordered_digest(first.batch.table) == ordered_digest(again.batch.table)
    assert first.ledger.by_column["delay"].origin.tolist() == again.ledger.by_column["delay"].origin.tolist()
    other = inject(resolve(Plan.of(Injection.of("value.noise", "delay", seed=6)), source, history), source)
    assert ordered_digest(first.batch.table) != ordered_digest(other.batch.table)


# --- presets --------------------------------------------------------------------------------------------------------


def reference(time="at"):
    table = pa.table(
        {
            "id": [1, 2],
            "at": pa.array([0, 1], pa.timestamp("us")),
            "x": [0.5, 1.5],
            "n": [3, 4],
            "s": ["a", "b"],
            "c": pa.array(["u", "v"]).dictionary_encode(),
            "l": [[1], [2]],
        }
    )
    return Batch.of(table, name="b", key=["id"], time=time)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_pair_of_a_preset_fits_and_every_fault_that_fits_is_there(preset):
    source = reference()
    found = pairs(preset, source)
    for pair in found:
        spec = registry.get(pair.fault)
        assert spec.family in PRESETS[preset]
        assert spec.family not in (Family.BENIGN, Family.CANARY)
        resolve(Plan.of(Injection.of(pair.fault, pair.columns, placement=pair.placement or None)), source)
    faults = {p.fault for p in found}
    assert faults == {f.code for f in registry.CATALOGUE.values() if f.family in PRESETS[preset]}
    if preset != "quick":
        columns = [p.columns[0] for p in found if p.fault == "value.sign"]
        assert columns in ([], ["id", "x", "n"])
        assert [p.columns[0] for p in found if p.fault == "text.typo"] in ([], ["s", "c"])


def test_quick_is_a_thin_standard():
    quick, standard = pairs("quick", reference()), pairs("standard", reference())
    assert len(quick) == 20
    assert [p for p in standard if p in quick] == list(quick)


def test_a_batch_without_a_time_column_has_no_stale_pair():
    assert "time.stale" not in {p.fault for p in pairs("rows", reference(time=None))}
    assert "time.stale" in {p.fault for p in pairs("rows", reference())}


def test_ignored_columns_are_left_alone():
    found = pairs("standard", reference(), ignore=["x", "id"])
    assert not {c for p in found for c in p.columns} & {"x", "id"}
    with pytest.raises(UnknownNameError, match="unknown column 'xx'"):
        pairs("standard", reference(), ignore=["xx"])


def test_presets_that_do_not_exist_or_find_nothing():
    with pytest.raises(UnknownNameError, match="unknown preset 'standart': did you mean 'standard'"):
        pairs("standart", reference())
    with pytest.raises(PlanError, match="preset 'drift' has no fault that fits"):
        pairs("drift", batch(at=pa.array([0], pa.timestamp("us"))))


def test_the_other_column_is_another_one_and_ordered():
    for pair in pairs("missing", reference()):
        if pair.placement:
            assert pair.placement["other"] not in pair.columns
            assert pair.placement["other"] in {"id", "at", "x", "n"}


GRID = [Pair(fault=f, columns=(c,)) for f in ("a", "b", "c") for c in "uvwxyz"]


def test_thin_is_even_over_faults_and_columns_and_keeps_order():
    kept, left = thin(GRID, 6)
    assert [p for p in GRID if p in kept] == list(kept)
    assert len(kept) + len(left) == len(GRID)
    assert sorted(p.fault for p in kept) == ["a", "a", "b", "b", "c", "c"]
    assert sorted(p.columns[0] for p in kept) == list("uvwxyz")


def test_thin_is_the_same_whatever_comes_before_and_nests():
    assert thin(GRID, 7) == thin(list(GRID), 7)
    sets = [{str(p) for p in thin(GRID, n)[0]} for n in range(len(GRID) + 1)]
    assert all(len(s) == n for n, s in enumerate(sets))
    assert all(sets[n] < sets[n + 1] for n in range(len(GRID)))
    assert thin(GRID, 99) == (tuple(GRID), ())


def test_phases_of_the_catalogue_are_those_a_plan_orders():
    assert {f.phase for f in registry.CATALOGUE.values()} <= set(Phase)


def test_a_text_that_is_no_unicode_has_no_id():
    made = Injection.of("missing.sentinel", "x", params={"value": "x\ud800"})
    with pytest.raises(ConfigError, match=r"half of a surrogate pair is no character: .*\\ud800"):
        made.injection_id("b")
