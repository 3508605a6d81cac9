"""The pytest plugin as a team uses it: in a session of its own, alone and over several processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from junitparser import JUnitXml, Properties

ROOT = Path(__file__).parents[2]

SUITE = """
import pandas as pd
import pytest

def day(shift=0):
    return pd.DataFrame({"id": range(200), "amount": [float(i % 10 + shift) for i in range(200)]})

def orders(df):
    return df["amount"].between(0, 10)
"""

SESSION = (
    SUITE
    + """
@pytest.mark.pipechaos(
    batch=day, faults=["null.mcar", "rows.drop"], columns=["amount"], severities=[2, 3], key=["id"],
    known={"rows.drop@2": "late rows are usual", "rows.drop@3": "late rows are usual"},
)
def test_faults(must_reject, fault):
    must_reject(orders, fault.batch, fault)

def test_clean(must_accept):
    must_accept(orders, [day(), day()])

def test_rejected(must_accept):
    must_accept(orders, [day(), day(5)])

def test_bad_base(must_reject):
    must_reject(orders, day(5), "rows.drop")

def test_nothing(must_reject):
    must_reject(orders, day().assign(amount=1.0), "relation.shuffle", columns="amount")

@pytest.mark.pipechaos(day().assign(amount=1.0), faults=["relation.shuffle"], columns=["amount"])
def test_case_that_changes_nothing(must_reject, fault):
    must_reject(orders, fault.batch, fault)
"""
)


@pytest.fixture
def session(tmp_path):
    """Run pytest on a file, with the plugin named and nothing else that happens to be installed."""

    def run(text, *options, plugins=(), ini="", name="test_team.py"):
        (tmp_path / name).write_text(text)
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n" + ini)
        named = [f"-p{p}" for p in ("pipechaos.testing.pytest_plugin", *plugins)]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PIPECHAOS_"))}
        env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *named, *options, "--", name],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def outcomes(text):
    (line,) = [line for line in text.splitlines() if re.search(r"\d (passed|failed|skipped|error).* in ", line)]
    return {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", line.partition(" in ")[0])}


@pytest.mark.parametrize("processes", [0, 2])
def test_a_session_counts_the_same_alone_and_over_processes(session, tmp_path, processes):
    plugins = ["xdist.plugin"] if processes else []
    options = ["-n", str(processes)] if processes else []
    done = session(SESSION, "-rA", "--junit-xml", "out.xml", *options, plugins=plugins)
    assert done.returncode == 1, done.stdout + done.stderr
    # 2 rungs of null.mcar and the clean batches; 2 known; a rejected day, a bad base, a no-op by name; a no-op case
    assert outcomes(done.stdout) == {"passed": 3, "xfailed": 2, "failed": 3, "skipped": 1}
    told = "orders: rejected 2 of 4 broken batches, accepted 3 of 4 untouched ones, 2 faults changed nothing"
    assert f"{told}, 1 fault not tried" in done.stdout

    (suite,) = JUnitXml.fromfile(str(tmp_path / "out.xml"))
    totals = {p.name: p.value for p in suite.properties()}
    assert totals == {
        "pipechaos.rejected": "2 of 4",
        "pipechaos.accepted": "3 of 4",
        "pipechaos.nothing_changed": "2",
        "pipechaos.base_bad": "1",
    }
    cases = {c.name: {p.name.removeprefix("pipechaos."): p.value for p in c.child(Properties)} for c in suite}
    assert len(cases) == 9
    assert cases["test_faults[null.mcar[amount]@3]"] == {
        "call": "must_reject",
        "validator": "orders",
        "fault": "null.mcar[amount]@3",
        "batch": "batch",
        "outcome": "tp",
        "rejected": "1",
        "of": "1",
    }
    assert cases["test_faults[rows.drop@2]"]["outcome"] == "fn"
    assert cases["test_bad_base"]["outcome"] == "base_bad"
    assert cases["test_nothing"] | {"outcome": "noop", "of": "0"} == cases["test_nothing"]
    assert cases["test_case_that_changes_nothing[relation.shuffle[amount]@3]"]["outcome"] == "noop"
    assert cases["test_rejected"] == {
        "call": "must_accept",
        "validator": "orders",
        "outcome": "fp",
        "accepted": "1",
        "of": "2",
    }


def test_a_failure_shows_what_was_done_and_no_code_of_the_library(session):
    text = SUITE + 'def test_it(must_reject):\n    must_reject(orders, day(), "rows.drop", key=["id"])\n'
    done = session(text)
    assert done.returncode == 1
    assert re.search(
        r"E +pipechaos\.testing\.outcomes\.MissedFaultError: orders accepted the broken batch", done.stdout
    )
    assert re.search(r"E +did +rows\.drop, severity 3 of 5 \(fraction 0\.2\)", done.stdout)
    assert re.search(r"E +changed +200 rows before, 1\d\d after", done.stdout)
    assert re.search(r"E +removed +\d+ +\d\.0", done.stdout)
    assert "assertions.py" not in done.stdout


def test_a_known_survivor_that_is_caught_fails_and_one_that_is_no_case_stops_the_session(session):
    mark = '@pytest.mark.pipechaos(batch=day, faults=["null.mcar"], columns=["amount"], known={%s})\n'
    body = "def test_it(must_reject, fault):\n    must_reject(orders, fault.batch, fault)\n"
    caught = session(SUITE + mark % '"null.mcar[amount]@3": "was missed once"' + body)
    assert caught.returncode == 1
    assert "XPASS(strict)" in caught.stdout
    stale = session(SUITE + mark % '"null.mcar[amount]@4": "?"' + body)
    assert stale.returncode == 2
    assert "unknown case 'null.mcar[amount]@4' in known: did you mean 'null.mcar[amount]@3'?" in stale.stdout
    bad = session(SUITE.replace("between(0, 10)", "between(5, 10)") + mark % '"null.mcar[amount]@3": "?"' + body)
    assert outcomes(bad.stdout) == {"failed": 1}  # a base that is rejected is no known survivor


def test_seed_severity_and_roots_come_from_the_ini_file_and_the_command_line(session, tmp_path):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "of_the_team.py").write_text("def f(df):\n    return df['amount'].notna()\n")
    day_file = tmp_path / "2024-05-01.csv"
    day_file.write_text("id,amount\n" + "".join(f"{i},{i % 10}.5\n" for i in range(200)))
    text = """
import pytest

def test_settings(pipechaos):
    print("seed", pipechaos.seed, "roots", [r.rpartition("/")[2] for r in pipechaos.roots])

@pytest.mark.pipechaos(batch="2024-05-01.csv", faults=["null.mcar"], columns=["amount"], severities=[1, 2, 5])
def test_faults(must_reject, fault):
    result = must_reject("callable:of_the_team:f", fault.batch, fault)
    print("draw", result.batch, result.injection.seed, result.draws[0].digest)

def test_one(must_reject):
    must_reject("callable:of_the_team:f", "2024-05-01.csv", "null.mcar", columns="amount", severity=5)
"""
    ini = "pipechaos_seed = 11\npipechaos_roots = suites\npipechaos_max_severity = 2\n"
    done = session(text, "-rA", "-s", ini=ini)
    assert outcomes(done.stdout) == {"passed": 3, "skipped": 2}, done.stdout
    assert "seed 11 roots ['suites']" in done.stdout
    assert len(set(re.findall(r"draw 2024-05-01 11 \w+", done.stdout))) == 2
    assert "severity 5 is above --pipechaos-max-severity 2" in done.stdout
    other = session(text, "-rA", "-s", "--pipechaos-seed", "12", "--pipechaos-max-severity", "5", ini=ini)
    assert outcomes(other.stdout) == {"passed": 5}, other.stdout
    assert len(set(re.findall(r"draw 2024-05-01 12 \w+", other.stdout))) == 3


def test_values_stay_out_when_asked(session):
    text = """
import pandas as pd

def test_it(must_reject):
    must_reject(lambda df: True, pd.DataFrame({"name": ["Ms Secret"] * 50}), "null.mcar", columns="name")
"""
    assert "Secret -> null" in session(text, "--tb=short").stdout
    quiet = session(text, "--tb=line", "--pipechaos-no-values")
    assert quiet.returncode == 1
    assert "accepted the broken batch" in quiet.stdout
    assert "Secret" not in quiet.stdout


def test_subnatural_cases_are_skipped_and_in_no_count(session):
    text = (
        SUITE
        + """
@pytest.mark.pipechaos(batch=day, faults=["rows.drop"], severities=[1, 5], history=[day().head(50), day()])
def test_it(must_reject, fault):
    must_reject(lambda df: len(df) > 100, fault.batch, fault)
"""
    )
    done = session(text, "-rs")
    assert outcomes(done.stdout) == {"passed": 1, "skipped": 1}
    assert "no check could tell it" in done.stdout
    assert "rejected 1 of 1 broken batches" in done.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("@pytest.mark.pipechaos(batch=day, preset='quik')", "did you mean 'quick'"),
        ("@pytest.mark.pipechaos(preset='quick')", "it needs batch=..."),
        ("@pytest.mark.pipechaos(batch='nowhere.parquet')", "there is no file or directory"),
        ("@pytest.mark.pipechaos(batch=day, colums=['amount'])", "colums"),
    ],
)
def test_a_wrong_mark_stops_the_session_with_a_message(session, line, words):
    done = session(SUITE + f"{line}\ndef test_it(fault):\n    pass\n")
    assert done.returncode == 2
    assert words in done.stdout
    assert "mark pipechaos" in done.stdout


@pytest.mark.parametrize(
    ("option", "words"),
    [("--pipechaos-max-severity=0", "the mildest rung of a ladder is 1"), ("--pipechaos-seed=x", "invalid int value")],
)
def test_a_wrong_option_is_a_usage_error(session, option, words):
    done = session(SUITE + "def test_it():\n    pass\n", option)
    assert done.returncode == 4
    assert words in done.stderr


def test_a_hostile_column_is_written_out_everywhere(session, tmp_path):
    text = r"""
import pandas as pd
import pytest

ODD = "x\x1b[31m\n<b>|\u202e"

@pytest.mark.pipechaos(batch=pd.DataFrame({ODD: [1.5] * 50}), faults=["null.mcar"])
def test_it(must_reject, fault):
    must_reject(lambda df: True, fault.batch, fault)
"""
    done = session(text, "-rA", "--junit-xml", "out.xml", "--color=no")
    assert outcomes(done.stdout) == {"failed": 1}
    assert not any(c in done.stdout + (tmp_path / "out.xml").read_text() for c in "\x1b\u202e")
    (suite,) = JUnitXml.fromfile(str(tmp_path / "out.xml"))
    (case,) = suite
    assert {p.value for p in case.child(Properties) if p.name == "pipechaos.fault"} == {
        r"null.mcar[x\x1b[31m\n<b>|\u202e]@3"
    }


def test_sessions_that_use_nothing_of_it_see_nothing_of_it(session):
    done = session(
        "def test_it(fault):\n    assert fault == 1\n\nimport pytest\n@pytest.fixture\ndef fault():\n    return 1\n"
    )
    assert outcomes(done.stdout) == {"passed": 1}
    assert "pipechaos" not in done.stdout.partition("plugins:")[2]


HEAVY = ("numpy", "pandas", "pyarrow", "scipy", "pandera", "great_expectations", "pydantic", "yaml", "rich", "click")


def test_the_plugin_is_light(session):
    text = f"import sys\n\ndef test_it():\n    assert not set({HEAVY!r}) & set(sys.modules)\n"
    done = session(text)
    assert outcomes(done.stdout) == {"passed": 1}, done.stdout


def test_a_test_that_is_run_again_counts_once(session, tmp_path):
    """As plugins that repeat flaky tests do: the same item twice, its second outcome reported."""
    (tmp_path / "conftest.py").write_text(
        "from _pytest.runner import runtestprotocol\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    runtestprotocol(item, nextitem=nextitem, log=False)\n"
        "    runtestprotocol(item, nextitem=nextitem, log=True)\n"
        "    return True\n"
    )
    text = SUITE + (
        "def test_it(must_reject, record_property):\n"
        '    record_property("mine", 1)\n'
        '    must_reject(orders, day(), "null.mcar", columns="amount")\n'
    )
    done = session(text, "--junit-xml", "out.xml")
    assert "orders: rejected 1 of 1 broken batches" in done.stdout
    (suite,) = JUnitXml.fromfile(str(tmp_path / "out.xml"))
    (case,) = suite
    names = [p.name for p in case.child(Properties)]
    assert names.count("pipechaos.validator") == 1
    assert "mine" in names
