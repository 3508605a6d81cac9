"""A drill that found something tells people by e-mail and Slack, through connections to servers of this test."""

import email
import email.policy
import json
import socketserver
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

TELLER = Path(__file__).with_name("drill_teller.py")
PASSWORD, TOKEN = "pw-of-the-mailbox", "T000/B000/token-of-the-hook"
HOSTILE = "<!channel>&"
SUITE = """
import pathlib


def whole(frame):
    with (pathlib.Path(__file__).parent / "calls").open("a") as file:
        file.write("x")
    return frame.shape[1] == 3 and frame["x"].dtype == float and bool(frame["x"].notna().all())
"""


class Mailbox(socketserver.StreamRequestHandler):
    """Enough of SMTP to take a message; nobody@... has no mailbox."""

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self):
        self.say("220 here")
        answers = {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "235 come in", "DATA": "354 go on", "QUIT": "221 bye"}
        for raw in self.rfile:
            line = raw.decode().strip()
            word = line[:4].upper()
            unknown = word == "RCPT" and "nobody@" in line
            self.say("550 no such mailbox" if unknown else answers.get(word, "250 fine"))
            if word == "DATA":
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.taken.append(email.message_from_bytes(text, policy=email.policy.default))
                self.say("250 taken")
            if word == "QUIT":
                return


class Webhook(BaseHTTPRequestHandler):
    """Takes what Slack would take."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def servers():
    made = [socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox), ThreadingHTTPServer(("127.0.0.1", 0), Webhook)]
    for server in made:
        server.taken, server.daemon_threads = [], True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    for server in made:
        server.shutdown()
        server.server_close()


def connections(home, mail, hook):
    mailbox = {"from_email": "chaos@example.org", "disable_ssl": True, "disable_tls": True}
    made = {
        "mail": {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": mail,
            "login": "robot",
            "password": PASSWORD,
            "extra": mailbox,
        },
        "chat": {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{hook}/services", "password": TOKEN},
        "drills": {"conn_type": "sqlite", "host": str(home / "runs.db")},
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(c) for name, c in made.items()}


@pytest.fixture(scope="module")
def told(tmp_path_factory, airflow_environment, servers):
    """Answers of the calls, all output of the process, and what the servers took."""
    home = tmp_path_factory.mktemp("told")
    (home / "data").mkdir()
    for day in range(1, 14):
        rows = [float(day + i) for i in range(30)]
        table = pa.table({"id": list(range(30)), "x": rows, HOSTILE: rows})
        pq.write_table(table, home / "data" / f"day-{day:02}.parquet")
    (home / "told_suite.py").write_text(SUITE)
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "history": {"count": 3},
        "validators": [{"name": "whole", "spec": "callable:told_suite:whole"}],
        "faults": [{"fault": "null.mcar", "columns": [HOSTILE]}],
        "severities": [4],
        "controls": {"repeats": 0, "benign": 0},
    }
    (home / "experiment.json").write_text(json.dumps(data))
    gates = [{"metric": "fnr", "limit": 0.5}]
    seen = {"name": "seen", "faults": [{"fault": "null.mcar", "columns": ["x"]}]}
    broken = {"name": "gone", "validators": [{"name": "v", "spec": "callable:told_suite:gone"}]}
    both = {"to": "{{ params.box }}", "slack": "chat"}
    page = "https://airflow.example/pipechaos/report?id={run_id}"
    calls = [
        {"run_id": "new", **both, "report_url": page},
        {"run_id": "gate", **both, "name": "gated", "gates": gates},
        {"run_id": "quiet", **both, **seen},
        {"run_id": "half", "to": "nobody@example.org", "slack": "chat", "name": "half"},
        {"run_id": "half", **both, "name": "half"},
        {"run_id": "failed", **both, **broken},
        {"run_id": "after", **both, "name": "after", "callback": True},
        {"run_id": "silent", **both, **seen, "callback": True},
    ]
    ports = [s.server_address[1] for s in servers]
    done = subprocess.run(
        [sys.executable, str(TELLER), str(home), json.dumps(calls)],
        env=airflow_environment(home / "airflow", AIRFLOW_VAR_DRILLS_OFF="off", **connections(home, *ports)),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])
    return dict(zip([c["run_id"] + "!" * (i == 4) for i, c in enumerate(calls)], answers, strict=True)), done, home


@pytest.fixture(scope="module")
def mails(told, servers):
    return [(m["To"], m["Subject"], m.get_body().get_content()) for m in servers[0].taken]


@pytest.fixture(scope="module")
def posts(told, servers):
    return [(path, body["blocks"][0]["text"]) for path, body in servers[1].taken]


def of(found, name):
    """What was sent about the drill of one experiment."""
    return [f for f in found if f"drill of {name}:" in str(f)]


def test_a_new_survivor_is_told_by_mail_and_in_slack(told, mails, posts):
    answer = told[0]["new"]
    assert answer["error"] is None
    assert [s["why"] for s in answer["result"]["new_survivors"]] == ["first_seen"]
    ((to, subject, body),) = of(mails, "small")
    assert (to, subject) == ("team@example.org", "pipechaos: drill of small: 1 new survivor")
    assert "new: whole: null.mcar on &lt;!channel&gt;&amp;, severity 4" in body  # escaped once
    assert "report: https://airflow.example/pipechaos/report?id=nightly%2Fnew%2Fdrill" in body
    ((path, text),) = of(posts, "small")
    assert path == f"/services/{TOKEN}"
    assert text["type"] == "plain_text"  # in which nobody is called by <!channel>
    assert "new: whole: null.mcar on <!channel>&, severity 4" in text["text"]
    assert answer["result"]["message"].startswith("drill of small: 1 new survivor\n")


def test_a_failed_gate_is_told(told, mails, posts):
    assert [g["metric"] for g in told[0]["gate"]["result"]["gates_failed"]] == ["fnr"]
    ((_, subject, body),) = of(mails, "gated")
    assert subject == "pipechaos: drill of gated: 1 gate failed, 1 new survivor"
    assert "gate: fnr of whole, limit 0.5: at least" in body
    assert len(of(posts, "gated")) == 1


def test_a_drill_that_found_nothing_new_tells_nobody(told, mails, posts):
    assert told[0]["quiet"]["result"]["alarming"] is False
    assert told[0]["silent"]["result"]["alarming"] is False
    assert of(mails, "seen") + of(posts, "seen") == []


def test_a_channel_that_fails_keeps_no_other_and_a_retry_tells_without_drilling_again(told, mails, posts):
    first, again = told[0]["half"], told[0]["half!"]
    assert first["error"].startswith("SMTPRecipientsRefused")
    assert again["error"] is None
    assert again["calls"] == first["calls"]
    assert len(of(mails, "half")) == 1
    assert len(of(posts, "half")) == 2


def test_a_drill_that_cannot_run_is_told_by_the_kind_of_its_error(told, mails, posts):
    assert told[0]["failed"]["error"].startswith("AirflowException")
    ((_, subject, body),) = of(mails, "gone")
    assert subject.startswith("pipechaos: drill of gone: could not run (ValidatorLoadError)")
    assert "told_suite" not in body  # of an error its kind alone
    assert len(of(posts, "gone")) == 1


def test_as_a_callback_it_says_the_same(told, mails, posts):
    ((_, subject, _),) = of(mails, "after")
    assert subject == "pipechaos: drill of after: 1 new survivor"
    assert len(of(posts, "after")) == 1


def test_the_store_is_that_of_the_connection_and_the_link_its_page(told):
    answers, _, home = told
    assert (home / "runs.db").is_file()
    assert answers["new"]["link"] == "/pipechaos/report?id=nightly%2Fnew%2Fdrill"


def test_no_secret_is_in_a_log_or_a_message(told, mails, posts):
    answers, done, home = told
    texts = [str(answers), done.stdout, done.stderr, str(mails), str([text for _, text in posts])]
    logs = [p.read_text() for p in home.rglob("*.log")]
    for secret in (PASSWORD, TOKEN, TOKEN.rpartition("/")[2]):
        assert [t for t in [*texts, *logs] if secret in t] == []
