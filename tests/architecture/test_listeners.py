"""Nothing of ours listens to Airflow: a listener for success runs after the state is told, and races the next task."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pipechaos"


def listening(source):
    """What in a module listens, or lets Airflow listen to something."""
    named = [
        getattr(node, part, None)
        for node in ast.walk(ast.parse(source))
        for part in ("name", "attr", "id", "arg", "module", "value")
    ]
    return [n for n in named if isinstance(n, str) and _listens(n)]


def _listens(name):
    hooks = ("on_task_instance_", "on_dag_run_", "airflow.listeners")
    return name == "listeners" or (name.startswith(hooks) and " " not in name)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_listens(path):
    assert listening(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from airflow.listeners import hookimpl",
        "@hookimpl\ndef on_task_instance_success(previous_state, task_instance): pass",
        "class P(AirflowPlugin):\n    listeners = [module]",
        "class P(AirflowPlugin):\n    listeners: ClassVar = [module]",
        "setattr(module, 'on_task_instance_success', f)",
    ],
)
def test_a_module_that_does_would_be_found(source):
    assert listening(source)
