"""The notifier under Airflow: which channels are asked, and what happens where one is missing or fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow
SERVER = Path(__file__).with_name("notifier_server.py")

RESULT = {
    "run_id": "r-1",
    "experiment": "<b>toy</b>",
    "verdict": "gate_failed",
    "stopped": "",
    "blind": [],
    "validators": {},
    "gates": [],
    "baseline": None,
    "files": {},
}
BOTH = {"to": "{{ params.box }}", "slack_conn_id": "hook"}


@pytest.fixture
def notified(tmp_path, airflow_environment):
    """What came of each call ``[arguments, result, context]``, and the log."""

    def run(*calls, hooks=True):
        done = subprocess.run(
            [sys.executable, str(SERVER), json.dumps({"hooks": hooks, "calls": calls})],
            env=airflow_environment(tmp_path / "home"),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1]), done.stdout + done.stderr

    return run


def test_channels(notified):
    ok = {**RESULT, "verdict": "ok"}
    calls = [
        [BOTH, RESULT, None],
        [{"campaign": "c", "report_url": "https://x/{run_id}"}, RESULT, None],
        [BOTH, ok, None],
        [{**BOTH, "also_ok": True}, ok, None],
        [{"to": "nobody", "slack_conn_id": "hook"}, RESULT, None],
        [BOTH, None, None],
        [{"slack_conn_id": "hook"}, RESULT, {"dag_run": None}],
    ]
    (both, logged, silent, told, failing, nothing, of_dag), log = notified(*calls)
    mail, message, closed, slack, blocks = both["sent"]
    assert (mail, closed, slack) == (["mail", "smtp_default"], ["mail closed"], ["slack", "hook"])
    assert message[0] == "team@x"  # through a template
    assert message[1] == "pipechaos: <b>toy</b>: a gate failed (DAG drill, task gate, run r, exception ValueError)"
    assert "&lt;b&gt;toy" in message[2]
    assert blocks[1][0]["text"]["type"] == "plain_text"
    assert "<b>toy" not in blocks[0]  # that one Slack reads as markup
    assert both["pulled"] == [["gate", {"map_indexes": 2}]]
    assert (logged["sent"], logged["pulled"]) == ([], [["c", {}]])
    assert "https://x/r-1" in log
    assert silent["sent"] == []
    assert len(told["sent"]) == 5
    assert failing["error"] == "no such mailbox"
    assert failing["sent"][-1] == blocks  # the other channel was tried all the same
    assert "no result" in nothing["sent"][1][1]
    assert of_dag["pulled"] == []
    assert "no result" in of_dag["sent"][1][1][0]["text"]["text"]
    assert "secret value 42" not in log  # a message of an error may quote data
    assert "secret value 42" not in json.dumps([both, nothing])


def test_where_a_provider_is_not_installed_the_log_has_the_message(notified):
    ((found,), log) = notified([{"slack_conn_id": "hook"}, RESULT, None], hooks=False)
    assert (found["sent"], found["error"]) == ([], None)
    assert "pip install apache-airflow-providers-slack" in log
    assert "a gate failed (DAG drill" in log
