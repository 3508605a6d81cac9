"""The experiment file: what it takes, what it refuses and how it says so."""

import copy
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import yaml

from pipechaos.campaign.experiment import Experiment, json_schema, load_experiment, parse_experiment
from pipechaos.errors import ExperimentError

GOOD = {
    "name": "orders",
    "seed": 7,
    "batches": ["data/*.parquet"],
    "key": ["id"],
    "time": "at",
    "target": ["y"],
    "ignore": ["note"],
    "history": {"before": "2013-04-01"},
    "contract": {"row_order": True, "entity_subsample": {"entity": ["shop"], "keep": 0.9}},
    "incidents": [{"batch": "2013-12-31", "reason": "no weather feed"}],
    "validators": [{"name": "a", "spec": "callable:m:f"}, {"name": "b", "spec": "gx:s.json", "imports": ["extra"]}],
    "roots": ["."],
    "faults": [
        {"fault": "null.mcar", "columns": ["x"], "placement": {"kind": "block", "block": 3}, "severities": [1, 2]},
        {"fault": "rows.drop"},
        {"fault": "missing.sentinel", "columns": ["x"], "placement": "own_value", "params": {"value": "-1"}},
    ],
    "preset": "standard",
    "pairs": 3,
    "severities": [1, 3],
    "controls": {
        "natural": 5,
        "benign": 2,
        "repeats": 1,
        "reviewed": [{"batch": "2013-05-01", "alarm": "true", "reason": "it was bad", "validator": "a"}],
    },
    "budget": {"trials": 100, "minutes": 2.5},
    "limit_seconds": 10,
    "gates": [{"metric": "fnr", "limit": 0.3, "validator": "b", "family": "missing", "max_error": 0.1}],
}


def changed(path, value):
    """The good file with one thing changed; a path ends in the key."""
    data = copy.deepcopy(GOOD)
    at = data
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return data


def refused(data):
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(data, "x.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_file():
    experiment = parse_experiment(GOOD)
    assert experiment.history.before == "2013-04-01"
    assert experiment.faults[0].severities == [1, 2]
    assert experiment.faults[1].columns == []


@pytest.mark.parametrize(
    ("path", "meant", "also_allowed"),
    [
        (("sede",), "seed", "validators"),
        (("history", "befor"), "before", "count"),
        (("contract", "row_ordr"), "row_order", "encoding"),
        (("contract", "entity_subsample", "kep"), "keep", "entity"),
        (("incidents", 0, "reson"), "reason", "batch"),
        (("validators", 1, "import"), "imports", "spec"),
        (("faults", 2, "colums"), "columns", "placement"),
        (("controls", "repeat"), "repeats", "reviewed"),
        (("controls", "reviewed", 0, "alrm"), "alarm", "validator"),
        (("budget", "minuts"), "minutes", "trials"),
        (("gates", 0, "metrik"), "metric", "limit"),
    ],
)
def test_an_unknown_key_at_any_depth(path, meant, also_allowed):
    message = refused(changed(path, "anything"))
    where = ".".join(map(str, path))
    (line,) = [x for x in message.splitlines() if where in x]
    assert f"{where}: unknown key; did you mean {meant!r}? allowed here: " in line
    allowed = line.partition("allowed here: ")[2].split(", ")
    assert {meant, also_allowed} <= set(allowed)
    assert allowed == sorted(allowed)


def test_an_unknown_key_without_a_near_one_gets_no_suggestion():
    assert "zzz: unknown key; allowed here: batches, " in refused(changed(("zzz",), 1))


def test_every_problem_has_a_line():
    data = changed(("sede",), 1)
    data["rho"] = 2
    del data["name"]
    lines = refused(data).splitlines()
    assert lines[0] == "x.yaml:"
    assert len(lines) == 4
    assert "  name: Field required" in lines


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("validators",), [], "validators: List should have at least 1 item"),
        (("batches",), [], "batches: List should have at least 1 item"),
        (("roots",), [], "roots: List should have at least 1 item"),
        (("batches",), [""], "batches.0: String should have at least 1 character"),
        (("history",), {}, "history takes either `before: NAME` or `count: N`"),
        (("history",), {"before": "a", "count": 1}, "history takes either"),
        (("history",), {"count": -1}, "greater than or equal to 0 (given: -1)"),
        (("severities",), [], "severities: List should have at least 1 item"),
        (("severities",), [0], "severities.0: Input should be greater than or equal to 1"),
        (("faults", 0, "severities"), [0], "faults.0.severities.0: Input should be greater than or equal to 1"),
        (("repeats",), 0, "repeats: Input should be greater than or equal to 1"),
        (("seed",), -1, "seed: Input should be greater than or equal to 0"),
        (("seed",), 2**63, "seed: Input should be less than"),
        (("seed",), "many", "seed: Input should be a valid integer"),
        (("limit_seconds",), 0, "limit_seconds: Input should be greater than 0"),
        (("limit_seconds",), float("inf"), "limit_seconds: Input should be a finite number"),
        (("rho",), float("nan"), "rho: Input should be"),
        (("budget", "minutes"), 0, "budget.minutes: Input should be greater than 0"),
        (("budget", "trials"), 0, "budget.trials: Input should be greater than or equal to 1"),
        (("gates", 0, "limit"), 1.1, "gates.0.limit: Input should be less than or equal to 1 (given: 1.1)"),
        (("gates", 0, "metric"), "fnrr", "gates.0.metric: Input should be 'fnr', 'strict_fnr'"),
        (("gates", 0, "validator"), "A", "a gate names validator 'A'; did you mean 'a'? there are: a, b"),
        (("gates", 0), {"metric": "fpr", "limit": 0.1, "fault": "null.mcar"}, "a gate on fpr is about controls"),
        (("gates", 0), {"metric": "benign", "limit": 0.1, "column": "x"}, "a gate on benign is about controls"),
        (("controls", "reviewed", 0, "validator"), "c", "a review names validator 'c'"),
        (("controls", "reviewed", 0, "alarm"), "maybe", "controls.reviewed.0.alarm: Input should be 'true' or 'false'"),
        (("controls", "reviewed", 0, "alarm"), 1, "controls.reviewed.0.alarm: Input should be"),
        (("incidents", 0, "batch"), None, "incidents.0.batch: Input should be a valid string"),
        (("incidents", 0, "batch"), True, "incidents.0.batch: Input should be a valid string"),
        (("incidents", 0, "reason"), "", "incidents.0.reason: String should have at least 1 character"),
        (("contract", "entity_subsample", "entity"), [], "contract.entity_subsample.entity: List should have at least"),
        (("contract", "entity_subsample", "keep"), 1.5, "contract.entity_subsample.keep: Input should be less than"),
        (("validators", 1, "name"), "a", "two validators have the same name"),
        (("validators", 1, "spec"), "", "validators.1.spec: String should have at least 1 character"),
        (("name",), 5, "name: Input should be a valid string (given: 5)"),
    ],
)
def test_what_is_not_allowed(path, value, says):
    assert says in refused(changed(path, value))


def test_nothing_to_inject():
    data = changed(("faults",), [])
    del data["preset"]
    assert "nothing to inject: list `faults:` or name a `preset:`" in refused(data)


def test_a_long_wrong_value_is_cut():
    message = refused(changed(("budget",), ["secret" * 1000]))
    assert len(message) < 300


@pytest.mark.parametrize(
    "path", [("batches",), ("key",), ("target",), ("ignore",), ("faults", 0, "columns"), ("roots",)]
)
def test_one_name_need_not_be_a_list(path):
    data = changed(path, "one")
    assert parse_experiment(data) == parse_experiment(changed(path, ["one"]))
    jsonschema.validate(data, json_schema())


def test_dates_in_yaml_name_batches_as_they_are_written(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text(
        "name: n\nbatches: [a]\npreset: quick\nvalidators: [{name: v, spec: s}]\n"
        "history: {before: 2013-04-01}\n"
        "incidents: [{batch: 2013-12-31, reason: r}, {batch: 2013-12-31 05:00:00, reason: r},"
        " {batch: 20130101, reason: r}]\n"
        "controls: {reviewed: [{batch: 2013-05-01, alarm: true, reason: r}, {batch: b, alarm: no, reason: r}]}\n"
        "faults: [{fault: missing.sentinel, columns: d, params: {value: 1970-01-01}}]\n"
    )
    experiment = load_experiment(file)
    assert experiment.history.before == "2013-04-01"
    assert [i.batch for i in experiment.incidents] == ["2013-12-31", "2013-12-31 05:00:00", "20130101"]
    assert [(r.batch, r.alarm) for r in experiment.controls.reviewed] == [("2013-05-01", "true"), ("b", "false")]
    assert experiment.faults[0].params == {"value": "1970-01-01"}


def test_dates_given_as_such_become_text():
    loaded = yaml.safe_load("{before: 2013-04-01}")
    assert parse_experiment(changed(("history",), loaded)).history.before == "2013-04-01"


def test_half_of_a_surrogate_pair_is_told_with_its_place(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text(
        'name: "größe \\U0001f600"\nbatches: [a]\nvalidators: [{name: v, spec: s}]\n'
        'faults: [{fault: missing.sentinel, columns: d, params: &ring {value: "x\\ud800", "\\udc00": {y: "\\udfff"}, '
        "again: *ring}}]\n"
    )
    with pytest.raises(ExperimentError) as caught:
        load_experiment(file)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{file}:"
    says = "holds half of a surrogate pair, which is no character: write the character itself"
    assert lines == [
        f"  faults.0.params.value: 'x\\ud800' {says}",
        f"  faults.0.params: '\\udc00' {says}",
        f"  faults.0.params.\\udc00.y: '\\udfff' {says}",
    ]
    assert str(caught.value).encode()  # it can be printed


def test_a_key_that_is_there_twice(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text("name: n\nbatches: [a]\nbudget:\n  trials: 1\n  trials: 2\n")
    with pytest.raises(ExperimentError, match="'trials' is there twice"):
        load_experiment(file)


def test_merged_keys_of_yaml_still_work(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text(
        "name: n\nbatches: [a]\nvalidators: [{name: v, spec: s}]\nfaults:\n"
        "  - &one {fault: null.mcar, columns: [x]}\n  - {<<: *one, columns: [y]}\n"
    )
    assert [f.columns for f in load_experiment(file).faults] == [["x"], ["y"]]


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ExperimentError, match=r"there is no experiment .*nothing.yaml: write one with `pipechaos init"):
        load_experiment(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(("text", "kind"), [("", "NoneType"), ("- a\n- b\n", "list"), ("just words", "str")])
def test_what_is_no_mapping(tmp_path, text, kind):
    file = tmp_path / "e.yaml"
    file.write_text(text)
    with pytest.raises(ExperimentError, match=f"must hold a mapping .* not a {kind}"):
        load_experiment(file)


@pytest.mark.parametrize("content", [b"name: [", b"\xff\xfe\x00bad", b"a: !!python/object/apply:os.getcwd []"])
def test_what_is_no_yaml_or_would_run_code(tmp_path, content):
    file = tmp_path / "e.yaml"
    file.write_bytes(content)
    with pytest.raises(ExperimentError, match="cannot be read as YAML"):
        load_experiment(file)


def test_a_folder_is_no_experiment(tmp_path):
    with pytest.raises(ExperimentError, match="cannot be read"):
        load_experiment(tmp_path)


def test_the_schema_takes_the_good_file_and_the_demos():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GOOD, schema)
    demo = yaml.safe_load((Path(__file__).resolve().parents[2] / "dags" / "flights.yaml").read_text())
    jsonschema.validate(demo, schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sede",), 1),
        (("faults", 0, "colums"), ["x"]),
        (("budget", "trials"), 0),
        (("severities",), [0]),
        (("gates", 0, "metric"), "fnrr"),
        (("validators",), []),
        (("incidents", 0, "batch"), None),
        (("controls", "reviewed", 0, "alarm"), "maybe"),
        (("name",), 5),
    ],
)
def test_the_schema_refuses_a_bad_file(path, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(path, value), json_schema())


def test_the_schema_describes_itself_in_plain_json():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == set(Experiment.model_fields)


def test_the_digest_is_over_content():
    base = parse_experiment(GOOD).digest
    assert len(base) == 16
    assert parse_experiment(dict(reversed(GOOD.items()))).digest == base  # order of keys
    assert parse_experiment(changed(("rho",), 0.2)).digest == base  # a default written out
    assert parse_experiment(changed(("faults", 2, "params"), {"value": "-2"})).digest != base
    assert parse_experiment(changed(("faults",), GOOD["faults"][::-1])).digest != base  # order means something here


def test_the_digest_is_blake2b_of_canonical_json():
    experiment = parse_experiment(GOOD)
    data = json.loads(experiment.model_dump_json(), parse_float=lambda x: format(Decimal(x).normalize(), "f"))
    whole = ["pipechaos/1", "experiment", data]
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert experiment.digest == hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def test_an_experiment_cannot_be_changed():
    experiment = parse_experiment(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        experiment.seed = 8
