"""What people are told: counts and names, safe to show wherever it goes, and never a value of the data."""

import html
import json

import pytest

from pipechaos.airflow.addresses import report_address
from pipechaos.airflow.messages import html_message, message_of, slack_blocks, subject_of

HOSTILE = "<script>alert(1)</script>&|<!channel>\x1b[31m\u202e\n@here"
WHERE = {"dag": "drill", "task": "campaign", "run": "manual__1"}


def rate(hits, trials, **more):
    estimate = hits / trials if trials else None
    return {"estimate": estimate, "low": 0.021, "high": 0.5, "hits": hits, "trials": trials, "reason": None, **more}


def result(name="flights", validator="pandera", **more):
    return {
        "run_id": "r-1",
        "experiment": name,
        "verdict": "gate_failed",
        "stopped": "",
        "blind": [],
        "validators": {
            validator: {
                "fnr": rate(3, 40),
                "fpr": rate(0, 0, low=None, high=None, reason="no control was judged"),
                "survivors": 2,
            }
        },
        "gates": [
            {"metric": "fnr", "validator": validator, "verdict": "fail", "reason": "at least 6.00%, allowed 5.00%"},
            {"metric": "fpr", "validator": validator, "verdict": "pass", "reason": "fine"},
        ],
        "baseline": {"verdict": "fail", "entries": {"new": 2, "accepted": 5}},
        "files": {"html": "/results/report.html"},
        **more,
    }


def test_a_message_says_what_was_found():
    assert message_of(result(), WHERE).splitlines() == [
        "pipechaos: flights: a gate failed (DAG drill, task campaign, run manual__1)",
        "pandera: misses 3 of 40 (7.5 %, 95 % interval 2.1 to 50.0 %); false alarms n/a (no control was judged); "
        "2 survivors",
        "gate fnr of pandera: fail: at least 6.00%, allowed 5.00%",
        "baseline: fail: 2 new, 5 accepted",
        "run: r-1",
        "report: file:///results/report.html",
    ]


def test_a_task_without_a_result_says_so():
    text = message_of(None, {**WHERE, "exception": "CannotRunError"})
    assert text == "pipechaos: no result (DAG drill, task campaign, run manual__1, exception CannotRunError)"


def test_names_of_others_break_no_line_and_no_markup():
    text = message_of(result(HOSTILE, HOSTILE), {"dag": HOSTILE})
    assert len(text.splitlines()) == 6
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n" not in subject_of(result(HOSTILE), {"dag": HOSTILE})  # no header of an e-mail can be added
    body = html_message(text)
    assert body.startswith("<pre>")
    assert body.count("<") == 2  # the element itself
    assert html.unescape(body[5:-6]) == text
    (block,) = slack_blocks(text)
    assert block["text"] == {"type": "plain_text", "text": text, "emoji": False}  # Slack reads no markup in it


def test_a_message_for_slack_is_never_too_long():
    many = [{"metric": "fnr", "validator": f"v{i}" * 500, "verdict": "fail", "reason": "x" * 5000} for i in range(40)]
    text = message_of(result(gates=many), WHERE)
    assert "and 30 more gates" in text
    assert len(slack_blocks(text)[0]["text"]["text"]) <= 3000
    json.dumps(slack_blocks(text))


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("https://x/{run_id}?e={experiment}", "https://x/a%2F..%20b?e=%3Cb%3E"),
        ("/pipechaos/report?id={run_id}", "/pipechaos/report?id=a%2F..%20b"),
        (None, ""),
    ],
)
def test_the_address_of_a_report(template, address):
    assert report_address({"run_id": "a/.. b", "experiment": "<b>", "files": {}}, template) == address


def test_what_stands_in_for_a_name_is_not_filled_again():
    given = {"run_id": "{experiment}", "experiment": "e", "files": {}}
    assert report_address(given, "https://x/{run_id}") == "https://x/%7Bexperiment%7D"
