"""Holds drills that tell people through Airflow's connections; prints what each call came to.

Arguments: the folder of the drills, and a JSON list of calls ``{"run_id": ..., "to": ..., ...}``. Slack's provider is
the real one where it is installed; otherwise a stand-in posts to the connection's address as it does.
"""

import json
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pipechaos.airflow.drill as module
from pipechaos.airflow.notifier import PipechaosNotifier

HOME = Path(sys.argv[1])


class SlackWebhookHook:
    """As the provider's, as far as we use it."""

    def __init__(self, *, slack_webhook_conn_id):
        from airflow.sdk import Connection

        found = Connection.get(slack_webhook_conn_id)
        self.url = f"{found.host}/{found.password}"

    def send(self, *, text, blocks):
        body = json.dumps({"text": text, "blocks": blocks}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})  # noqa: S310
        urllib.request.urlopen(request, timeout=60).read()  # noqa: S310


def stand_in():
    try:
        real = find_spec("airflow.providers.slack.hooks.slack_webhook") is not None
    except ModuleNotFoundError:
        real = False
    if not real:
        for name in ("slack", "slack.hooks", "slack.hooks.slack_webhook"):
            made = ModuleType(f"airflow.providers.{name}")
            made.__path__ = []
            made.SlackWebhookHook = SlackWebhookHook
            sys.modules[made.__name__] = made


def drill(data, *, run_id, to=None, slack=None, report_url=None, callback=False, **more):
    notifier = PipechaosNotifier(to=to, smtp_conn_id="mail", slack_conn_id=slack, report_url=report_url)
    settings = {"period_days": 1, "controls": 10, "bases": 10}
    operator = module.DrillOperator(
        task_id="drill",
        experiment={**data, **more},
        root=str(HOME),
        store_conn_id="drills",
        out=str(HOME / "drills"),
        settings=settings,
        jobs=1,
        notify=[] if callback else [notifier],
        halt_variable="drills_off",
    )
    ti = SimpleNamespace(dag_id="nightly", run_id=run_id, task_id="drill", map_index=-1)
    ti.xcom_push = lambda key, value: None
    context = {"ti": ti, "params": {"box": "team@example.org"}}
    answer = {"error": None}
    try:
        result = answer["result"] = operator.execute(context)
        if callback:
            ti.xcom_pull = lambda task_ids, **_: result
            notifier(context)
    except Exception as error:  # noqa: BLE001 - how it went is the answer
        answer["error"] = f"{type(error).__name__}: {error}"
    calls = HOME / "calls"
    return {**answer, "link": operator.report_link, "calls": len(calls.read_text()) if calls.exists() else 0}


def main():
    stand_in()
    data = json.loads((HOME / "experiment.json").read_text())
    print("=" + json.dumps([drill(data, **call) for call in json.loads(sys.argv[2])], allow_nan=False))


main()
