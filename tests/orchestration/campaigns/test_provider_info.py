"""The provider as Airflow finds, checks and lists it, and what loading a DAG file with it costs in imports."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow
PAGE = Path(__file__).resolve().parents[3] / "docs" / "airflow.md"

HEAVY = ["pandas", "pyarrow", "numpy", "scipy", "great_expectations", "pandera", "polars", "alembic", "multiprocessing"]

IMPORTS = """
import json, re, sys, warnings
from pathlib import Path
import airflow.sdk
from airflow.sdk.bases import decorator
from airflow.providers.standard.operators import python  # what any @task.python loads
before = set(sys.modules)
warnings.simplefilter("error")  # no import of ours may be a deprecated one
from pipechaos.airflow import assets, decorators, notifier, operators, provider, shards
def named():
    return "b"


with airflow.sdk.DAG("d"):
    operators.CampaignOperator(task_id="c", experiment="e.yaml", out="o", publish="p", fail_on=())
    operators.CampaignGateOperator(task_id="g", result={}, on_failure_callback=notifier.PipechaosNotifier())
    operators.ChaosOperator(task_id="b", batch="b", fault="null.mcar", shadow="s")
    decorators.chaos_task(fault="null.mcar", shadow="s")(named)()
loaded = sorted(set(sys.modules) - before)
warnings.simplefilter("ignore")
blocks = re.findall(r"```python\\n(.*?)```", Path(sys.argv[1]).read_text(), re.DOTALL)
for block in blocks:
    exec(block)
with airflow.sdk.DAG("defaults", default_args={"shadow": "s", "seed": 7}) as dag:
    operators.ChaosOperator(task_id="b", batch="b", fault="null.mcar")
    decorators.chaos_task(fault="null.mcar")(named)()
defaults = [[type(t).__name__, t.shadow, t.seed] for t in dag.tasks]
print(json.dumps({"loaded": loaded, "blocks": len(blocks), "defaults": defaults}))
"""

MANAGER = """
import json, pathlib
import airflow, jsonschema
from airflow.providers_manager import ProvidersManager
from pipechaos.airflow.provider import get_provider_info
schema = json.loads(pathlib.Path(airflow.__file__).with_name("provider_info.schema.json").read_text())
info = get_provider_info()
jsonschema.validate(info, schema)
named = set(schema["properties"])
manager = ProvidersManager()
decorators = dict(manager.taskflow_decorators)
print(json.dumps({
    "version": manager.providers["pipechaos"].version,
    "unknown": sorted(info.keys() - named),
    "decorator": manager.taskflow_decorators["chaos"].__name__,
    "notifications": [n for n in map(str, manager.notification) if "pipechaos" in n],
    "links": [n for n in manager.extra_links_class_names if "pipechaos" in n],
}))
"""


@pytest.fixture
def child(tmp_path, airflow_environment, provider_path):
    """Last line that a process with Airflow says, as JSON."""

    def run(*arguments):
        environment = airflow_environment(tmp_path / "home", PYTHONPATH=provider_path)
        environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


def test_a_dag_file_loads_nothing_heavy(child):
    found = child("-c", IMPORTS, str(PAGE))
    assert found["blocks"] == 5  # the DAGs of the page were made
    # one list of arguments for both, and a DAG's defaults reach it
    assert found["defaults"] == [["ChaosOperator", "s", 7], ["ChaosDecoratedOperator", "s", 7]]
    loaded = found["loaded"]
    assert "pipechaos.airflow.operators" in loaded
    packages = {name.split(".")[0] for name in loaded}
    assert packages & set(HEAVY) == set()
    # of the other rooms only messages of errors: a DAG file is parsed again and again, by every task too
    ours = {name.split(".")[1] for name in loaded if name.startswith("pipechaos.")}
    assert ours == {"airflow", "errors"}
    assert not {"pipechaos.airflow.tasks", "pipechaos.airflow.campaign", "pipechaos.airflow.messages"} & set(loaded)


def test_airflow_finds_what_the_provider_says(child):
    found = child("-c", MANAGER)
    assert found == {
        "version": version("pipechaos"),
        "unknown": ["versions"],  # read by catalogues of providers; the schema lets further keys be
        "decorator": "chaos_task",
        "notifications": ["pipechaos.airflow.notifier.PipechaosNotifier"],
        "links": ["pipechaos.airflow.links.ChaosReportLink"],
    }


def test_airflow_lists_the_provider(child):
    listed = child("-m", "airflow", "providers", "list", "--output", "json")
    (ours,) = [p for p in listed if p["package_name"] == "pipechaos"]
    assert ours["version"] == version("pipechaos")
    assert "Mutation testing for data validators" in ours["description"]
