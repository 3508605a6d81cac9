"""Names out of other people's tables in every format at once, and not one data value where none may be shown."""

import dataclasses
import datetime as dt
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft4Validator, Draft7Validator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from openlineage.client.serde import Serde
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Explanation
from pipechaos.report.formats import FORMATS, render
from pipechaos.report.github import github_annotations, github_output
from pipechaos.report.inputs import Location
from pipechaos.report.lineage import lineage_events
from pipechaos.report.metrics import record_metrics
from pipechaos.score.baseline import Accepted, BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import Gate, GateResult, GateVerdict, Metric
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Rate, TrialKind, Why
from pipechaos.score.scorecard import About
from pipechaos.validate.verdict import Check, FindingKind, Subject

SCHEMAS = Path(__file__).parents[2] / "golden" / "schemas"
EVIL = [
    "</script><script>alert(1)</script>",
    "]]><![CDATA[&lt;&#0;",
    "\"quotes'& %0A:,=",
    "line\nfeed\r\n::error::pwn",
    "\x1b[31mred\x9b0m\x07",
    "nul\0byte\x85\u2028",
    "lone\ud800surrogate",
    "bidi\u202eevil\u2066\ufeff",
    "| --- | `x` <b> [click](javascript:x)",
    "{0} {{ 7*7 }} {% x %} [click](http://evil)",
    "long" * 5000,
]
MIXED = "".join(EVIL[:-1])
COLUMN = MIXED.replace("\ud800", "")  # Arrow holds no half of a pair in a name, nor do the keys of weaknesses
MARKER = "MARKER-4711-secret"
START = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
TIMES = {"started": START, "finished": START}
ON = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "s.md"}


def finding(check):
    return FindingRef(check=check, columns=(MIXED,), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)


@pytest.fixture
def hostile(make_report, new_fault, new_control):
    """Every text that a user, a table or a suite gives is hostile."""
    trials = []
    for at, evil in enumerate(EVIL):
        column = evil.replace("\ud800", "")
        placed = {"kind": "entity", "entity": [column, COLUMN]}
        for validator in (evil, f"second {MIXED}"):
            more = {"validator": validator, "batch": f"{evil} batch", "columns": (column, COLUMN), "placement": placed}
            trials += [
                new_fault(f"alpha-w{at}{validator}", 1, Outcome.FN, **more),
                new_fault(f"alpha-k{at}{validator}", 2, Outcome.TP, finding(f"{evil} check"), **more),
                new_fault(f"alpha-e{at}{validator}", 3, Outcome.ERROR, error_cause=ErrorCause.CRASH, **more),
            ]
        trials.append(
            new_control(evil, TrialKind.NATURAL, at, Outcome.FP, batch=f"{evil} day", findings=(finding(evil),))
        )
    checks = tuple(Check(id=f"{e} check", columns=(e,), subject=Subject.VALUE) for e in EVIL)
    word = Accepted(weakness_id="w", validator="v", fault="f", reason=MIXED, owner=MIXED, expires=dt.date(2027, 1, 1))
    entries = [
        BaselineEntry(standing=Standing.ACCEPTED, weakness_id=f"alpha-w1{EVIL[1]}", label=MIXED, accepted=word),
        BaselineEntry(standing=Standing.STALE, weakness_id=MIXED, label=MIXED, accepted=word, text=MIXED),
    ]
    gate = Gate(metric=Metric.FNR, limit=0.1, column=MIXED)
    gates = (GateResult(gate=gate, validator=MIXED, verdict=GateVerdict.FAIL, rate=Rate(), reason=MIXED),)
    example = Example(columns=tuple(EVIL), before=(tuple(EVIL),), after=(tuple(e + "!" for e in EVIL),), note=MIXED)
    explanations = {t.trial_id: Explanation(trial_id=t.trial_id, example=example) for t in trials}
    return make_report(
        trials,
        gates=gates,
        checks=checks,
        about=About(name=MIXED, digest="d", seed=1, versions={"pipechaos": MIXED}, stopped=MIXED),
        experiment=MIXED,
        explanations=explanations,
        baseline=BaselineResult(file=MIXED, entries=tuple(entries)),
        locations={(EVIL[2], ""): Location(file=f"a {MIXED}.py", line=1)},
        run_id=MIXED,
    )


def unseen(text):
    """Characters that a terminal or a reader takes as orders; line feeds apart."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return sorted({f"U+{ord(c):04X}" for c in text if c != "\n" and unicodedata.category(c) in kinds})


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from (k, *strings(v))
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.attributes = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += [name for name, _ in attrs]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_format_holds_a_raw_control_character(hostile, name):
    text = render(hostile, name, timestamp=1.0)
    assert unseen(text) == []
    text.encode("utf-8")


def test_junit_is_read_and_holds_no_element_but_its_own(hostile):
    text = render(hostile, "junit")
    assert sum(1 for suite in JUnitXml.fromstring(text.encode()) for _ in suite) > 3 * len(EVIL)
    root = ET.fromstring(text)  # noqa: S314 - our own text
    known = {
        "testsuites",
        "testsuite",
        "testcase",
        "properties",
        "property",
        "failure",
        "error",
        "skipped",
        "system-out",
    }
    assert {e.tag for e in root.iter()} <= known
    assert "CDATA" not in re.sub(r"<!\[CDATA|&lt;!\[CDATA", "", text)


def test_suites_of_alike_names_stay_apart(make_report, new_fault):
    trials = [new_fault(f"alpha-{n}", 0, Outcome.FN, validator="v" * 400 + n) for n in ("a", "b", "c")]
    suites = list(JUnitXml.fromstring(render(make_report(trials), "junit").encode()))
    assert [s.failures for s in suites] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "schema", "draft"),
    [
        ("sarif", "sarif-2.1.0-rtm.5.json", Draft4Validator),
        ("mutation", "mutation-testing-report-schema.json", Draft7Validator),
    ],
)
def test_json_formats_stay_valid_and_their_texts_clean(hostile, name, schema, draft):
    text = render(hostile, name)
    out = json.loads(text)
    assert [
        e.message[:200] for e in draft(json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))).iter_errors(out)
    ] == []
    assert {c for s in strings(out) for c in unseen(s)} == set()


def test_mutation_json_closes_no_script_of_a_page_around_it(hostile):
    assert "</" not in render(hostile, "mutation")


def test_the_badge_is_read(hostile):
    found = json.loads(render(hostile, "badge"))
    assert found["color"] == "red"
    assert {c for s in strings(found) for c in unseen(s)} == set()


def test_prometheus_is_read_and_labels_come_back_as_written(hostile):
    text = render(hostile, "prometheus", timestamp=1.0)
    assert all(re.match(r"# (HELP|TYPE) pipechaos_|pipechaos_[a-z_]+\{", line) for line in text.splitlines())
    labels = {
        s.labels["validator"]
        for f in text_string_to_metric_families(text)
        for s in f.samples
        if "validator" in s.labels
    }
    assert "\"quotes'& %0A:,=" in labels
    assert "line\\nfeed\\r\\n::error::pwn" in labels


def test_markdown_makes_no_element_but_its_own(hostile):
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(render(hostile, "markdown"))
    tags = Tags(html)
    assert not {"script", "b", "img", "a"} & set(tags.found)
    assert not set(tags.attributes) - {"class", "start"}


def test_html_runs_nothing_and_links_nowhere(hostile):
    tags = Tags(render(hostile, "html"))
    clean = Tags(render(dataclasses.replace(hostile, values=False), "html"))
    assert tags.found.count("script") == clean.found.count("script") <= 2
    assert not any(name.startswith("on") for name in tags.attributes)


def test_github_lines_are_commands_of_ours_alone(hostile):
    lines = github_annotations(hostile).split("\n")
    assert lines.pop() == ""
    assert all(re.fullmatch(r"::(error|warning) [^:]*::.*", line) for line in lines)
    assert len(lines) <= 20
    assert unseen("".join(lines)) == []
    summary = github_output(hostile, ON).summary
    assert not [line for line in summary.splitlines() if line.startswith("::")]


def test_lineage_is_serialised_clean_and_its_namespace_is_a_uri(hostile):
    for event in lineage_events(hostile, **TIMES):
        out = json.loads(Serde.to_json(event))
        assert {c for s in strings(out) for c in unseen(s)} == set()
        assert re.fullmatch(r"pipechaos://[A-Za-z0-9%._~-]+", out["job"]["namespace"])


def test_otel_attributes_are_clean(hostile):
    reader = InMemoryMetricReader()
    record_metrics(hostile, MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
    metrics = [m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    values = [str(v) for m in metrics for p in m.data.data_points for v in p.attributes.values()]
    assert values
    assert unseen("".join(values)) == []


# --- without values ---------------------------------------------------------------------------------------------------


@pytest.fixture
def marked(make_report, new_fault):
    """A value of the data in every place of a run that may hold one."""
    trials = [
        new_fault(
            "alpha-w1",
            at,
            Outcome.FN,
            resolved={"member": MARKER, "members": [MARKER]},
            ledger_reason=f"nothing equals {MARKER}",
        )
        for at in range(3)
    ]
    example = Example(columns=("id", "x"), before=(("7", MARKER),), after=(("7", f"{MARKER}!"),), note="1 cell")
    explanations = {t.trial_id: Explanation(trial_id=t.trial_id, example=example) for t in trials}
    return make_report(trials, explanations=explanations, locations={("alpha", ""): Location(file="s.py", line=1)})


def outputs(report):
    out = {name: render(report, name, timestamp=1.0) for name in FORMATS}
    out["annotations"] = github_annotations(report)
    out["summary"] = github_output(report, ON).summary
    out["lineage"] = "".join(Serde.to_json(e) for e in lineage_events(report, **TIMES))
    reader = InMemoryMetricReader()
    record_metrics(report, MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
    out["otel"] = reader.get_metrics_data().to_json()
    return out


def test_without_values_no_output_holds_one(marked):
    found = {name for name, text in outputs(dataclasses.replace(marked, values=False)).items() if MARKER in text}
    assert found == set()


def test_with_values_rows_are_shown_where_people_read(marked):
    found = {name for name, text in outputs(marked).items() if MARKER in text}
    assert {"markdown", "summary"} <= found <= {"markdown", "summary", "html"}
