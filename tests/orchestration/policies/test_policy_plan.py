"""The plan file: what it may say, and what a task is told that asks it again."""

import datetime as dt
import re
from pathlib import Path

import pytest

from pipechaos.airflow.policy_plan import Deployment, Mode, PlanSource, read_plan
from pipechaos.errors import ConfigError
from pipechaos.safety.switch import KillSwitch

PAGE = Path(__file__).resolve().parents[3] / "docs" / "policy.md"

PLAN = """
expires: 2999-01-01T00:00:00+01:00
environment: test
stretches:
  - dag: etl
    stage: load
    mode: live
    injections: [{fault: null.mcar, columns: x}]
    shadow: /shadow
    halt_variable: chaos_halt
"""


@pytest.fixture
def plan(tmp_path):
    """Writes a plan, lines of the sound one replaced, and gives its path."""

    def write(*replaced):
        text = PLAN
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "plan.yaml").write_text(text)
        return tmp_path / "plan.yaml"

    return write


def test_a_sound_plan(plan):
    found = read_plan(plan())
    assert found.expires == dt.datetime(2998, 12, 31, 23, tzinfo=dt.UTC)
    (stretch,) = found.stretches
    assert (stretch.name, stretch.mode, stretch.output) == ("etl.load", Mode.LIVE, "return_value")
    assert sorted(stretch.arguments) == ["halt_variable", "injections", "shadow"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mode: live", "mode: Live", "stretch 1: mode is `shadow` or `live`, not 'Live'"),
        ("    mode: live\n", "", "mode is `shadow` or `live`, not None"),
        ("mode: live", "mode: shadow", "stretch 1: validators is missing"),
        ("mode: live", "mode: live\n    validators: check", "unknown key 'validators' in stretch 1 (live)"),
        ("    halt_variable: chaos_halt\n", "", "mode live needs a kill switch"),
        ("columns: x}]", "columns: x}, {fault: null.mcar}]", "takes exactly one injection, not 2"),
        ("[{fault: null.mcar, columns: x}]", "null.mcar", "injections is a list such as"),
        ("/shadow", "shadow", "shadow must be absolute, not 'shadow'"),
        ("halt_variable: chaos_halt", "halt_file: halt", "halt_file must be absolute, not 'halt'"),
        ("dag: etl", "dag: 7", "dag is a text, not 7"),
        ("stage: load", "stage: load\n    stage: other", "key 'stage' is there twice"),
        ("2999-01-01T00:00:00+01:00", "2999-01-01", "expires must be a date and time with a zone"),
        ("2999-01-01T00:00:00+01:00", "soon", "expires must be a date and time with a zone"),
        ("environment: test", "environment: [test]", "environment is a name, not ['test']"),
        ("environment: test", "exclusions: [{reason: payroll}]", "an exclusion window needs `zone`"),
        ("shadow: /shadow", "shadow: /shadow\n    key: [1]", "key is a name or a list of names, not [1]"),
        ("shadow: /shadow", "shadow: /shadow\n    max_batches: 0", "max_batches is a number above 0, not 0"),
        ("shadow: /shadow", "shadow: /shadow\n    history: /lake", "history is a list of references, not '/lake'"),
        ("stretches:", "stretches: !!python/name:os.system", "it cannot be read as YAML"),
    ],
)
def test_what_is_not_understood_is_refused(plan, old, new, says):
    with pytest.raises(ConfigError) as refused:
        read_plan(plan((old, new)))
    assert says in str(refused.value)


def test_a_stage_has_one_stretch(plan):
    twice = PLAN[PLAN.index("  - dag") :]
    with pytest.raises(ConfigError, match="stage 'load' of DAG 'etl' is there twice"):
        read_plan(plan(("    halt_variable: chaos_halt\n", "    halt_variable: chaos_halt\n" + twice)))


@pytest.fixture
def asked(plan, monkeypatch, tmp_path):
    """The question that a task asks again, in a deployment that allows it; both are changed by the test."""
    path = plan()
    monkeypatch.setenv("PIPECHAOS_POLICY", str(path))
    monkeypatch.setenv("PIPECHAOS_POLICY_ALLOW", "etl.extract, etl.load")
    monkeypatch.setenv("PIPECHAOS_ENVIRONMENT", "test")
    monkeypatch.delenv("PIPECHAOS_KILL_SWITCH", raising=False)
    (stretch,) = read_plan(path).stretches
    switch = KillSwitch({"plan": PlanSource(stretch=stretch)})
    assert switch.orders() == ()
    return switch


def said(switch):
    return [order.reason for order in switch.orders()]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PIPECHAOS_POLICY", "", "PIPECHAOS_POLICY is not set here"),
        ("PIPECHAOS_POLICY", "/no/such/plan", "there is no such file"),
        ("PIPECHAOS_POLICY_ALLOW", "etl.*,etl", "etl.load is not allowed here: add it to PIPECHAOS_POLICY_ALLOW"),
        (
            "PIPECHAOS_ENVIRONMENT",
            "prod",
            "the plan is for the environment 'test', and PIPECHAOS_ENVIRONMENT is 'prod'",
        ),
        ("PIPECHAOS_ENVIRONMENT", "", "the plan is for the environment 'test', and PIPECHAOS_ENVIRONMENT is ''"),
    ],
)
def test_a_task_is_stopped_by_what_the_deployment_says_now(asked, monkeypatch, variable, value, reason):
    monkeypatch.setenv(variable, value)
    (found,) = said(asked)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("2999-", "2001-", "the plan expired at 2001-01-01T00:00:00+01:00"),
        ("stage: load", "stage: other", "the plan no longer names etl.load as it was parsed"),
        ("columns: x", "columns: y", "the plan no longer names etl.load as it was parsed"),
        ("environment: test\n", "", "mode live needs `environment` in the plan"),
        ("expires", "expire", "unknown key 'expire' in the plan"),
        (
            "environment: test\n",
            "environment: test\nexclusions: [{reason: payroll, zone: UTC, first: 2000-01-01, last: 2999-12-31}]\n",
            "excluded now: payroll",
        ),
    ],
)
def test_a_task_is_stopped_by_what_the_plan_says_now(asked, plan, old, new, reason):
    plan((old, new))
    (found,) = said(asked)
    assert found.startswith(reason)
    plan()
    assert said(asked) == []


def test_a_task_is_stopped_by_the_kill_switch_of_the_command_line(asked, monkeypatch, tmp_path):
    halt = tmp_path / "state" / "halt"
    monkeypatch.setenv("PIPECHAOS_KILL_SWITCH", str(halt))
    (found,) = said(asked)
    assert "which counts as on" in found, "its folder is not there"
    halt.parent.mkdir()
    assert said(asked) == []
    halt.write_text("incident 7")
    assert said(asked) == ["incident 7"]


def test_the_plan_of_the_page_is_sound(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "plan.yaml").write_text(block)
    plan = read_plan(tmp_path / "plan.yaml")
    assert [(s.name, s.mode) for s in plan.stretches] == [("etl.features", Mode.SHADOW), ("etl.enrich", Mode.LIVE)]
    assert plan.exclusions.windows
    (settings,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    environ = dict(line.removeprefix("export ").split("=", 1) for line in settings.splitlines() if line)
    deployment = Deployment.of(environ)
    before = plan.expires - dt.timedelta(seconds=1)
    assert [plan.refusal(s, deployment, before) for s in plan.stretches] == ["", ""]
    assert all(plan.refusal(s, deployment, plan.expires) for s in plan.stretches)
