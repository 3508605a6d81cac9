"""Notifies with stand-ins for the hooks of mail and Slack; prints what each was asked for, and how it went."""

import json
import sys
from types import ModuleType, SimpleNamespace

SENT = []


class Mail:
    def __init__(self, smtp_conn_id):
        SENT.append(["mail", smtp_conn_id])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        SENT.append(["mail closed"])

    def send_email_smtp(self, *, to, subject, html_content):
        if to == "nobody":
            raise OSError("no such mailbox")
        SENT.append([to, subject, html_content])


class Slack:
    def __init__(self, *, slack_webhook_conn_id):
        SENT.append(["slack", slack_webhook_conn_id])

    def send(self, *, text, blocks):
        SENT.append([text, blocks])


def stand_in(name, **what):
    module = ModuleType(name)
    vars(module).update(what)
    sys.modules[name] = module


def notify(arguments, result, context):
    from pipechaos.airflow.notifier import PipechaosNotifier

    SENT.clear()
    pulled = []

    def xcom_pull(task_ids, **more):
        pulled.append([task_ids, more])
        return result

    instance = SimpleNamespace(dag_id="drill", task_id="gate", run_id="r", map_index=2, xcom_pull=xcom_pull)
    full = {"ti": instance, "exception": ValueError("secret value 42"), "params": {"box": "team@x"}}
    error = None
    try:
        PipechaosNotifier(**arguments)(full if context is None else context)
    except OSError as caught:
        error = str(caught)
    return {"sent": list(SENT), "pulled": pulled, "error": error}


def main():
    given = json.loads(sys.argv[1])
    if given["hooks"]:
        stand_in("airflow.providers.smtp.hooks.smtp", SmtpHook=Mail)
        for name in ("slack", "slack.hooks"):
            stand_in(f"airflow.providers.{name}", __path__=[])
        stand_in("airflow.providers.slack.hooks.slack_webhook", SlackWebhookHook=Slack)
    print(json.dumps([notify(*call) for call in given["calls"]]))


main()
