"""Loading: code only from under the roots, and a digest over every file that was loaded."""

import sys

import pandas as pd
import pytest

from pipechaos.errors import ConfigError, UnknownNameError, ValidatorLoadError
from pipechaos.validate.base import Validator, load_validator

COUNTER = iter(range(10_000))


@pytest.fixture
def root(tmp_path):
    """A directory of its own, and module names that no other test has put into this process."""
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    for name in [n for n, m in sys.modules.items() if str(getattr(m, "__file__", "")).startswith(str(tmp_path))]:
        del sys.modules[name]


@pytest.fixture
def name():
    return f"suite_{next(COUNTER)}"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def digest(root, module, attr="check"):
    before = list(sys.path)
    loaded = load_validator(f"callable:{module}:{attr}", roots=[root])
    sys.path[:] = before
    for name in [n for n, m in sys.modules.items() if str(getattr(m, "__file__", "")).startswith(str(root))]:
        del sys.modules[name]
    return loaded.suite_digest


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("pandra:m:S", UnknownNameError, "did you mean 'pandera'"),
        ("m:S", UnknownNameError, "kind of validator"),
        ("pandera:m", ConfigError, "pandera:module:attribute"),
        ("callable::f", ConfigError, "callable:module:attribute"),
        ("gx:", ConfigError, "suite.json"),
        ("gx:nope.json", ValidatorLoadError, "no file 'nope.json'"),
        ("callable:no_such_module_anywhere:f", ValidatorLoadError, "under the roots"),
        ("callable:json:loads", ValidatorLoadError, "outside the roots"),
        ("callable:sys:exit", ValidatorLoadError, "outside the roots"),
    ],
)
def test_specs_that_name_nothing_usable(root, spec, error, message):
    with pytest.raises(error, match=message):
        load_validator(spec, roots=[root])


def test_no_root_no_code(root):
    with pytest.raises(ConfigError, match="no root"):
        load_validator("callable:m:f", roots=[])


def test_a_callable_is_loaded_and_judges(root, name):
    write(root / f"{name}.py", "def check(frame):\n    return len(frame) > 1\n")
    validator = load_validator(f"callable:{name}:check", name="v", roots=[root])
    assert isinstance(validator, Validator)
    assert (validator.name, [c.id for c in validator.checks]) == ("v", ["check"])
    assert [validator.run(pd.DataFrame({"a": [0] * n})).status.value for n in (1, 2)] == ["rejected", "accepted"]


def test_a_pandera_schema_and_what_is_none(root, name):
    write(
        root / f"{name}.py",
        "import pandera.pandas as pa\nSchema = pa.DataFrameSchema({'a': pa.Column(int)})\n"
        "class Model(pa.DataFrameModel):\n    a: int\nNUMBER = 3\n",
    )
    for attr in ("Schema", "Model"):
        assert "a:not_null" in [c.id for c in load_validator(f"pandera:{name}:{attr}", roots=[root]).checks]
    with pytest.raises(ValidatorLoadError, match="is a int; expected"):
        load_validator(f"pandera:{name}:NUMBER", roots=[root])
    with pytest.raises(ValidatorLoadError, match="no attribute 'Scheme'"):
        load_validator(f"pandera:{name}:Scheme", roots=[root])


def test_code_outside_the_roots_is_not_even_run(root, name):
    write(root / "in" / "x.py", "")
    write(
        root / "out" / f"{name}.py",
        f"import pathlib\npathlib.Path({str(root / 'ran')!r}).touch()\ndef check(f): return True\n",
    )
    sys.path.append(str(root / "out"))
    with pytest.raises(ValidatorLoadError, match="outside the roots"):
        load_validator(f"callable:{name}:check", roots=[root / "in"])
    assert not (root / "ran").exists()
    assert load_validator(f"callable:{name}:check", roots=[root]).name


def test_a_suite_file_outside_the_roots_is_refused(root):
    write(root / "out.json", '{"name": "s", "expectations": []}')
    write(root / "in" / "x.py", "")
    for path in (str(root / "out.json"), "../out.json"):
        with pytest.raises(ValidatorLoadError, match="outside the roots"):
            load_validator(f"gx:{path}", roots=[root / "in"])


@pytest.mark.parametrize("body", ["raise ValueError('broken')", "import sys; sys.exit(0)", "def f(:"])
def test_a_module_that_cannot_be_imported_is_a_load_error(root, name, body):
    write(root / f"{name}.py", body)
    with pytest.raises(ValidatorLoadError, match=name):
        load_validator(f"callable:{name}:check", roots=[root])


def test_the_roots_never_shadow_a_library(root, name, monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    write(root / "colorsys.py", "raise ImportError('shadowed')\n")
    write(root / f"{name}.py", "import colorsys\ndef check(f): return hasattr(colorsys, 'rgb_to_hsv')\n")
    assert load_validator(f"callable:{name}:check", roots=[root]).run([]).status.value == "accepted"


def test_the_digest_moves_with_every_file_that_was_loaded_and_with_no_other(root, name):
    write(
        root / f"{name}.py",
        f"import json, pathlib\nfrom {name}_pkg import deep\nHERE = pathlib.Path(__file__).parent\n"
        "LIMITS = json.loads((HERE / 'limits.json').read_text())\n"
        f"def check(f):\n    from {name}_late import late\n    return True\n",
    )
    write(root / f"{name}_pkg" / "__init__.py", "")
    write(root / f"{name}_pkg" / "deep.py", "from . import deeper\n")
    write(root / f"{name}_pkg" / "deeper.py", "X = 1\n")
    write(root / f"{name}_late.py", "late = 1\n")
    write(root / "limits.json", "{}")
    write(root / "unrelated.py", "X = 1\n")
    seen = [digest(root, name)]
    assert digest(root, name) == seen[0]
    write(root / "unrelated.py", "X = 2\n")
    assert digest(root, name) == seen[0]
    for changed in (f"{name}.py", f"{name}_pkg/deeper.py", f"{name}_late.py", "limits.json"):
        path = root / changed
        write(path, path.read_text() + "\n")
        seen.append(digest(root, name))
    assert len(set(seen)) == 5


def test_the_digest_does_not_depend_on_what_was_loaded_before(root, name):
    write(root / f"{name}_shared.py", "X = 1\n")
    write(root / f"{name}_other.py", f"import {name}_shared\ndef check(f): return True\n")
    write(root / f"{name}.py", f"import {name}_shared\ndef check(f): return True\n")
    alone = digest(root, name)
    load_validator(f"callable:{name}_other:check", roots=[root])
    assert load_validator(f"callable:{name}:check", roots=[root]).suite_digest == alone


def test_the_digest_does_not_depend_on_where_the_root_lies(root, name):
    for place in ("one", "two"):
        write(root / place / f"{name}.py", "def check(f): return True\n")
    assert digest(root / "one", name) == digest(root / "two", name)
