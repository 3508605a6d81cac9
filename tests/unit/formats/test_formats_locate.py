"""Finding the line of a check in files that are never imported."""

import sys
from pathlib import Path

import pytest

from pipechaos.report.inputs import Location
from pipechaos.report.locate import locate, locate_all

EXPECTATIONS = Path(__file__).parents[3] / "expectations"


@pytest.fixture
def suite(tmp_path):
    """Writes a module under a root, and looks for columns in it."""

    def write_and_locate(text, spec, columns, name="suite.py"):
        file = tmp_path / "suites" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        found = locate(spec, [tmp_path / "suites"], columns, start=tmp_path)
        return {k: (v.file, v.line) for k, v in found.items()}

    return write_and_locate


def lines(found):
    return {k: line for k, (_, line) in found.items()}


def test_a_schema_by_the_keys_of_its_dictionary(suite):
    text = """import pandera.pandas as pa
raise SystemExit("was imported")
schema = pa.DataFrameSchema(
    {
        "x": pa.Column(float, metadata={"y": 1}),
        "y": pa.Column(int),
    },
    unique=["z"],
)
"""
    found = suite(text, "pandera:suite:schema", ["x", "y", "z", "gone"])
    assert found == {
        "": ("suites/suite.py", 3),
        "x": ("suites/suite.py", 5),
        "y": ("suites/suite.py", 6),
        "z": ("suites/suite.py", 8),
    }
    assert "suite" not in sys.modules


def test_a_schema_put_together_from_names_and_functions(suite):
    text = """COLUMNS = {
    "x": 1,
}
def build():
    more = {"y": 2}
    return make({**COLUMNS, **more}, checks=[balances])
def balances(df):
    return df["z"] > 0
schema = build()
"""
    assert lines(suite(text, "pandera:suite:schema", ["x", "y", "z"])) == {"": 9, "x": 2, "y": 5, "z": 8}


def test_a_model_by_field_alias_check_and_parent(suite):
    text = """import pandera.pandas as pa
class Base(pa.DataFrameModel):
    id: int
    x: float
class Model(Base):
    x: int = pa.Field(ge=0)
    late: int = pa.Field(alias="late by 15")
    @pa.check("checked")
    def positive(cls, s): ...
"""
    found = lines(suite(text, "pandera:suite:Model", ["id", "x", "late by 15", "checked"]))
    assert found == {"": 5, "x": 6, "late by 15": 7, "checked": 8, "id": 3}


def test_a_class_inside_a_class(suite):
    text = "class Outer:\n    class Inner:\n        x: int\n"
    assert lines(suite(text, "pandera:suite:Outer.Inner", ["x"])) == {"": 2, "x": 3}


def test_a_schema_imported_from_another_module(suite, tmp_path):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "base.py").write_text('\nthe_schema = Schema({"x": 1})\n', encoding="utf-8")
    found = suite("from base import the_schema as schema\n", "pandera:suite:schema", ["x"])
    assert found == {"": ("suites/base.py", 2), "x": ("suites/base.py", 2)}


def test_a_function_by_its_def_what_it_says_and_what_it_reads(suite):
    text = """@reads("decorated")
def check(df):
    '''x'''
    return (df["read"] > 0).all()
check.columns = [
    "said",
]
"""
    found = lines(suite(text, "callable:suite:check", ["decorated", "read", "said"]))
    assert found == {"": 2, "decorated": 1, "read": 4, "said": 6}


def test_the_last_binding_of_a_name_counts(suite):
    assert lines(suite("schema = 1\nschema = S({'x': 1})\n", "pandera:suite:schema", ["x"])) == {"": 2, "x": 2}


def test_a_gx_suite_by_the_first_expectation_on_the_column_alone(suite):
    text = """{
  "name": "s", "meta": {"expectations": [{"kwargs": {"column": "x"}}]},
  "expectations": [
    {"type": "t", "kwargs": {"column_list": ["x", "y"]}},
    {"type": "t",
     "kwargs": {"column": "x"}},
    {"type": "t", "kwargs": {"column": "x"}}, {"type": "t", "kwargs": {"column_A": "a", "column_B": "b"}},
    7, {"kwargs": null}
  ]
}"""
    found = lines(suite(text, "gx:s.json", ["x", "y", "a", "b", "gone"], "s.json"))
    assert found == {"": 1, "x": 5, "y": 4, "a": 7, "b": 7}


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("def (", "suite.py", "pandera:suite:schema"),
        ("x = 1\0", "suite.py", "pandera:suite:x"),
        ("schema = 1", "suite.py", "pandera:other:schema"),
        ("schema = 1", "suite.py", "pandera:suite:"),
        ("schema = " + "(" * 5000, "suite.py", "pandera:suite:schema"),
        ('{"expectations": [', "s.json", "gx:s.json"),
        ("[" * 100_000, "s.json", "gx:s.json"),
        ("", "s.json", "gx:s.json"),
        ("{}", "s.json", "gx:"),
    ],
)
def test_what_cannot_be_read_gives_nothing_and_raises_nothing(suite, text, name, spec):
    assert {k for k in suite(text, spec, ["x"], name) if k} == set()


def test_names_that_refer_to_each_other_end(suite):
    text = "a = f(b)\nb = f(a)\nclass C(D): ...\nclass D(C): ...\n"
    assert lines(suite(text, "pandera:suite:a", ["x"])) == {"": 1}
    assert lines(suite(text, "pandera:suite:C", ["x"])) == {"": 3}


def test_a_file_outside_the_roots_is_not_read(tmp_path):
    (tmp_path / "roots").mkdir()
    (tmp_path / "secret.py").write_text("x = {'a': 1}\n", encoding="utf-8")
    (tmp_path / "secret.json").write_text('{"expectations": []}', encoding="utf-8")
    (tmp_path / "roots" / "link.py").symlink_to(tmp_path / "secret.py")
    for spec in ("pandera:link:x", "gx:../secret.json", f"gx:{tmp_path / 'secret.json'}"):
        assert locate(spec, [tmp_path / "roots"], ["a"]) == {}


def test_the_demo_suites_are_found_on_the_lines_they_stand_on():
    root = EXPECTATIONS.parent
    for spec in ("pandera:pandera_schemas.flights:flights_schema", "gx:gx_suites/flights.json"):
        for column, place in locate(spec, [EXPECTATIONS], ["dest", "air_time", "late_15"], start=root).items():
            text = (root / place.file).read_text(encoding="utf-8").split("\n")
            assert f'"{column}"' in text[place.line - 1] or not column


def test_every_validator_of_a_card_is_looked_up(make_report, tmp_path):
    (tmp_path / "suite.py").write_text("alpha = S({'x': 1,\n 'y': 2})\n", encoding="utf-8")
    found = locate_all(make_report().card, [tmp_path])
    assert {k: v.line for k, v in found.items()} == {("alpha", ""): 1, ("alpha", "x"): 1, ("alpha", "y"): 2}
    assert isinstance(found["alpha", "x"], Location)
