"""The demo team's suites against their must-pass and must-fail fixtures: pandera and GX alone, nothing of pipechaos."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

EXPECTATIONS = Path(__file__).resolve().parents[2] / "expectations"
MANIFEST = yaml.safe_load((EXPECTATIONS / "fixtures" / "manifest.yaml").read_text())
SUITE = json.loads((EXPECTATIONS / "gx_suites" / "flights.json").read_text())
REASONS = {
    "SERIES_CONTAINS_NULLS": "nullable",
    "WRONG_DATATYPE": "dtype",
    "DUPLICATES": "unique",
    "COLUMN_NOT_IN_DATAFRAME": "missing",
}

pytest.importorskip("pandera")
pytest.importorskip("great_expectations")


def _first(count: int) -> list[int]:
    return list(range(count))


def _assign(frame: pd.DataFrame, rows: list[int], values: dict[str, Any]) -> pd.DataFrame:
    for column, value in values.items():
        time = isinstance(frame[column].dtype, pd.DatetimeTZDtype)
        frame.loc[rows, column] = pd.Timestamp(value) if time and value is not None else value
    return frame


def _edit(frame: pd.DataFrame, edit: dict[str, Any]) -> pd.DataFrame:
    rest = dict(edit)
    rows = rest.pop("rows", None) if "set" in rest else None
    first = rest.pop("first", None)
    if "blank" in rest:
        return _assign(frame, _first(rest["rows"]), dict.fromkeys(rest["blank"]))
    ((verb, value),) = rest.items()
    steps: dict[str, Callable[[], pd.DataFrame]] = {
        "set": lambda: _assign(frame, _first(first) if rows is None else rows, value),
        "add": lambda: frame.assign(**{column: frame[column] + amount for column, amount in value.items()}),
        "drop": lambda: frame.drop(columns=value),
        "rename": lambda: frame.rename(columns=value),
        "cast": lambda: frame.astype(value),
        "keep": lambda: frame.head(value),
        "repeat": lambda: pd.concat([frame, frame.loc[value]], ignore_index=True),
        "extra": lambda: frame.assign(**{value: "B7"})[[value, *frame.columns[::-1]]],
        "reverse": lambda: frame[::-1].reset_index(drop=True),
    }
    return steps[verb]()


def _frame(case: dict[str, Any]) -> pd.DataFrame:
    frame = pd.read_parquet(EXPECTATIONS / "fixtures" / f"{case['base']}.parquet")
    for edit in case.get("edits", []):
        frame = _edit(frame, edit)
    return frame


@cache
def _schema(name: str = "flights") -> Any:
    file = EXPECTATIONS / "pandera_schemas" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_fixture_schema", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, f"{name}_schema")


@cache
def _gx() -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas(name="fixtures").add_dataframe_asset(name="flights")
        return asset.add_batch_definition_whole_dataframe("whole"), gx.ExpectationSuite(**SUITE)


def pandera_failures(frame: pd.DataFrame, name: str = "flights") -> set[str]:
    from pandera.errors import SchemaErrors

    schema = _schema(name)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as caught:
        named = _named(schema)
        found = set()
        for error in caught.schema_errors:
            name = getattr(error.check, "name", None)
            reason = REASONS.get(error.reason_code.name, error.reason_code.name)
            missing = error.failure_cases if reason == "missing" else error.schema.name
            found.add(name if name in named else f"{missing}:{reason}")
        return found
    return set()


def _named(schema: Any) -> set[str]:
    return {c.name for column in schema.columns.values() for c in column.checks} | {c.name for c in schema.checks}


def gx_failures(frame: pd.DataFrame) -> set[str]:
    batch_definition, suite = _gx()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = batch_definition.get_batch(batch_parameters={"dataframe": frame}).validate(suite)
    assert len(result.results) == len(SUITE["expectations"])
    return {r.expectation_config.meta["name"] for r in result.results if not r.success}


def _params(kind: str, of: dict[str, Any] = MANIFEST) -> list[Any]:
    return [pytest.param(case, id=case["name"].replace(" ", "-")) for case in of[kind]]


@pytest.mark.parametrize("case", _params("must_pass"))
def test_suites_accept(case: dict[str, Any]) -> None:
    frame = _frame(case)
    assert pandera_failures(frame) == set()
    assert gx_failures(frame) == set()


@pytest.mark.parametrize("case", _params("must_fail"))
def test_suites_reject_by_exactly_these_checks(case: dict[str, Any]) -> None:
    frame = _frame(case)
    assert pandera_failures(frame) == set(case["pandera"])
    assert gx_failures(frame) == set(case["gx"])


def test_every_case_is_seen_by_a_suite() -> None:
    assert [case["name"] for case in MANIFEST["must_fail"] if not case["pandera"] and not case["gx"]] == []


def test_every_named_check_is_shown_to_fail() -> None:
    pandera = _named(_schema())
    gx = {expectation["meta"]["name"] for expectation in SUITE["expectations"]}
    assert len(gx) == len(SUITE["expectations"])
    assert pandera - {name for case in MANIFEST["must_fail"] for name in case["pandera"]} == set()
    assert gx - {name for case in MANIFEST["must_fail"] for name in case["gx"]} == set()


@pytest.mark.parametrize("case", [*_params("must_pass", MANIFEST["raw"]), *_params("must_fail", MANIFEST["raw"])])
def test_the_raw_schema_rejects_by_exactly_these_checks(case: dict[str, Any]) -> None:
    assert pandera_failures(_frame(case), "raw_flights") == set(case.get("pandera", []))


def test_every_raw_check_is_shown_to_fail() -> None:
    named = _named(_schema("raw_flights"))
    assert named == named & {name for case in MANIFEST["raw"]["must_fail"] for name in case["pandera"]}


def test_no_expectation_is_dropped_at_load() -> None:
    # an unknown type is dropped with no more than a log line
    assert len(_gx()[1].expectations) == len(SUITE["expectations"])
