"""The HTML report as text: what it says, what it forbids, and that nothing from a user's table becomes markup."""

import base64
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from pipechaos.errors import MissingExtraError
from pipechaos.report import html as page
from pipechaos.report.html import render_html
from pipechaos.report.svg import draw, strip, whisker
from pipechaos.score.baseline import BaselineResult
from pipechaos.score.gates import Gate, Metric
from pipechaos.score.records import Outcome, Rate, Review, TrialKind

pytest.importorskip("jinja2")

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "browser" / "sample_report.py"


def load_samples():
    spec = importlib.util.spec_from_file_location("sample_report", SAMPLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sample = load_samples()

VOID = {"meta", "link", "br", "input"}
SECTIONS = ["verdict", "rates", "families", "untouched", "doses", "survivors", "checks", "trend", "about"]


class Page(HTMLParser):
    """Elements with their attributes and texts; a tag that does not close the last open one is an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.wrong = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "inside": [e["tag"] for e in self.open]}
        element["parents"] = list(self.open)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1]["tag"] != tag:
            self.wrong.append((tag, [e["tag"] for e in self.open]))
        else:
            self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attrs):
        named = {k.rstrip("_").replace("_", "-"): v for k, v in attrs.items()}
        return [e for e in self.elements if e["tag"] == tag and all(e["attrs"].get(k) == v for k, v in named.items())]

    def section(self, name):
        return self.all("section", id=name)[0]["text"]

    def inside(self, tag, name):
        """Elements of a section."""
        return [e for e in self.all(tag) if any(p["attrs"].get("id") == name for p in e["parents"])]


def squeezed(text):
    return " ".join(text.split())


@cache
def text_of(name):
    return render_html(getattr(sample, name)())


@cache
def page_of(name):
    return Page(text_of(name))


@pytest.fixture(scope="module", params=["bare", "full", "hostile", "large", "ladder"])
def any_page(request):
    return text_of(request.param), page_of(request.param)


@pytest.fixture(scope="module")
def full_page():
    return page_of("full")


# ---- what it says ------------------------------------------------------------------------------------------------


def test_sections_stand_in_the_order_a_reader_needs(any_page):
    _, found = any_page
    assert [e["attrs"]["id"] for e in found.all("section")] == SECTIONS
    assert [e["attrs"]["href"] for e in found.all("a") if "nav" in e["inside"]] == [f"#{s}" for s in SECTIONS]


def test_rates_carry_interval_counts_and_clusters(full_page):
    """Clopper-Pearson of 3 and 10 of 10, by binom.test: 6.7-65.2 and 69.2-100.

    Korn-Graubard of 1 alarm in 10 blocks: n* = 0.1 x 0.9 / (10/9 x 0.9 / 100) = 9; Beta(0.9, 9.1) and Beta(1.9, 8.1).
    """
    cells = [squeezed(e["text"]) for e in full_page.inside("td", "rates")]
    assert cells[0] == "30.0 %(6.7-65.2) 3 of 10 trials10 batches"
    assert cells[6] == "100.0 %(69.2-100.0) 10 of 10 trials10 batches"
    assert cells[4].startswith("10.0 %(0.2-47.0) 1 of 10 batches10 blocks")
    assert cells[5] == "not tried"


def test_heat_map_has_number_interval_and_counts_and_a_shade(full_page):
    cells = full_page.inside("td", "families")
    assert [squeezed(c["text"]) for c in cells[:2]] == ["30.0 %(6.7-65.2)3 of 10", "100.0 %(69.2-100.0)10 of 10"]
    assert [c["attrs"]["class"] for c in cells[:2]] == ["h3", "h6"]


def test_untouched_batches_name_the_alarm_in_order(full_page):
    says = [squeezed(e["text"]) for e in full_page.inside("desc", "untouched")]
    assert says == ["10 batches; not accepted: d04", "10 batches; not accepted: none"]
    text = squeezed(full_page.section("untouched"))
    assert "alpha 10.0 % (0.2-47.0) 1 of 10 batches, 10 blocks" in text
    assert "d04: alarm: y:mean (not reviewed)" in text
    assert "d99: the feed was down" in text


def test_doses_show_counts_and_the_floor():
    """14 of 14 is the least that establishes a floor (SCORING.md section 4)."""
    found = page_of("ladder")
    (says,) = [squeezed(e["text"]) for e in found.inside("desc", "doses")]
    alpha, beta = says.split(". ")
    assert alpha == "alpha caught 0/14 at 1, 14/14 at 2, 14/14 at 3; detection floor at 2"
    assert beta == "beta caught 0/14 at 1, 0/14 at 2, 0/14 at 3"
    text = squeezed(found.section("doses"))
    assert "floor: alpha from severity 2; beta never" in text
    assert "fraction 0.1, 0.2, 0.3" in text
    rows = [squeezed(e["text"]) for e in found.inside("tr", "doses")]
    assert rows[1:] == [
        "null.mcarxalpha0 of 1414 of 1414 of 14from severity 2",
        "beta0 of 140 of 140 of 14never",
    ]


def test_a_survivor_shows_rows_sketch_nearness_doses_suggestion_and_command(full_page):
    text = squeezed(full_page.section("survivors"))
    changed = [squeezed(e["text"]) for e in full_page.inside("td", "survivors") if e["attrs"].get("class") == "changed"]
    assert changed == ["12.5 null"]
    assert [e["text"] for e in full_page.inside("del", "survivors")] == ["12.5"]
    assert [e["text"] for e in full_page.inside("ins", "survivors")] == ["null"]
    assert "Suggestion by rule for alpha, not applied" in text
    assert full_page.inside("pre", "survivors")[0]["text"] == "Check(\n    null_share < 0.05)\n"
    assert "x:in_range alpha null share 0 0.2 0.25 80.0 %".replace(" ", "") in text.replace(" ", "")
    assert "survives from severity 1 to 3 of 5; caught at 4, 5" in text
    assert "pipechaos replay beta-f0 --experiment tiny.yaml" in text or "pipechaos replay alpha-f7" in text
    pictures = [t for e in full_page.inside("svg", "survivors") for t in [squeezed(e["text"])]]
    assert any("75 % → 55 %" in t and "null" in t and "0 % → 20 %" in t for t in pictures)


def test_without_values_no_row_is_shown():
    found = Page(render_html(replace(sample.full(), values=False)))
    assert not found.inside("del", "survivors")
    assert "12.5" not in found.section("survivors")


def test_checks_are_one_look_and_a_table(full_page):
    """x:in_range catches all 7, y:mean alarms once, x:dtype and rows never speak: 3 of 4 caught nothing."""
    text = squeezed(full_page.section("checks"))
    assert "3 of 4 checks never caught anything 1 check causes every false alarm (1 of 1)" in text
    assert "1 catch something that no other check catches" in text
    assert "1 spoke, but caught nothing" in text
    assert "2 never spoke" in text
    rows = [squeezed(e["text"]) for e in full_page.inside("tr", "checks")]
    assert "y:meany0001 of 1caught nothing" in rows
    assert "x:in_rangex1110catches alone" in rows
    assert "4 of 4 checks never caught anything 0 checks took part in a false alarm" in text


def test_trend_has_a_point_a_run_and_its_numbers(full_page):
    rows = [squeezed(e["text"]) for e in full_page.inside("tr", "trend")]
    assert rows[1] == (
        "r2 (this run)2026-05-02 04:30alphabbbbbbbb changed30.0 % (20.0-60.0) 3 of 10 trials"
        "10.0 % (1.0-40.0) 1 of 10 batches"
    )
    assert rows[2].startswith("r12026-05-01 04:30alphaaaaaaaaa40.0 % (20.0-60.0) 4 of 10 trials")
    says = [squeezed(e["text"]) for e in full_page.inside("desc", "trend")]
    assert says[0] == "alpha: 40.0 % in the first run shown, 30.0 % in the last"


def test_a_validator_has_the_same_colour_in_all_charts():
    """The store gives them in its own order, the other charts in the experiment's: alpha, beta."""
    points = sample.long_trend(runs=2, validators=("beta", "(any validator)", "alpha"))
    legend = squeezed(Page(render_html(replace(sample.bare(), trend=points))).section("trend"))
    assert legend.index("alpha") < legend.index("beta")


def test_a_long_trend_is_cut_and_says_so():
    """45 runs of three validators: the last 40 are drawn, the newest 36 of their 120 rows are listed."""
    found = page_of("large")
    text = squeezed(found.section("trend"))
    assert "5 earlier runs are not shown" in text
    assert "and 84 more rows" in text
    rows = [squeezed(e["text"]) for e in found.inside("tr", "trend")]
    assert len(rows) == 37
    assert rows[1].startswith("run-442026-06-14 00:00")


def test_no_past_run_is_said():
    assert "No past run is known" in Page(render_html(sample.bare())).section("trend")


def test_provenance_names_everything_needed_to_do_it_again(full_page):
    text = squeezed(full_page.section("about"))
    for said in ("0123456789abcdef", "Seed5", "pandas 3.1.1", "ab" * 16, "Runr2", "null.mcar on y", "not the risk"):
        assert said in text, said


def test_baseline_stands_in_the_first_section(full_page):
    text = squeezed(full_page.section("verdict"))
    assert "2 of 3 gates fail; the baseline does not hold (1 new, 1 expired)" in text
    assert "Fail baseline.yaml: 1 new, 1 expired, 1 accepted." in text
    assert "upstream's business (team data)" in text
    opened = {squeezed(d["text"])[:9]: "open" in d["attrs"] for d in full_page.inside("details", "verdict")}
    assert opened == {"1 new sur": True, "1 expired": True, "1 accepte": False}


def test_the_first_section_says_what_got_through_and_what_checks_are_worth(full_page):
    text = squeezed(full_page.section("verdict"))
    assert "1 survivor: faults that got through at least once, 1 of them past every validator" in text
    assert "alpha: 3 of 4 checks never caught anything" in text


def headline(report):
    found = Page(render_html(report))
    return squeezed(found.all("h2")[0]["text"]), squeezed(found.all("p", class_="exit")[0]["text"])


def blind():
    kept = [t for t in sample.trials() if t.kind is not TrialKind.CANARY]
    return sample.bare([*kept, *sample.canaries("alpha", Outcome.ACCEPTED), *sample.canaries("beta")])


STOPPED = replace(sample.ABOUT, stopped="the budget of 5 minutes was reached")
UNSETTLED = BaselineResult(file="baseline.yaml", entries=(), reason="alpha judged no trial that counts")


def cut_short(**more):
    return sample.bare(about=STOPPED, **more)


def test_a_run_that_was_cut_short_is_not_green():
    for report in (cut_short(), cut_short(gates=[Gate(metric=Metric.FPR, limit=1.0, validator="beta")])):
        found = Page(render_html(report))
        assert found.all("section", id="verdict")[0]["attrs"]["class"] == "verdict warn"
        assert "CUT SHORT: the budget of 5 minutes was reached" in found.section("verdict")


def test_a_baseline_that_cannot_pass_says_why():
    text = squeezed(Page(render_html(replace(sample.bare(), baseline=UNSETTLED))).section("verdict"))
    assert "Not settled baseline.yaml: nothing survives and nothing is accepted; alpha judged no trial that counts" in (
        text
    )


def test_nothing_judged_is_nothing_caught():
    empty = Page(render_html(sample.bare([]))).section("survivors")
    assert "Nothing was judged" in empty
    assert "caught every time" not in empty
    caught = [replace(t, outcome=Outcome.TP) if t.outcome is Outcome.FN else t for t in sample.trials()]
    assert "caught every time" in Page(render_html(sample.bare(caught))).section("survivors")


@pytest.mark.parametrize(
    ("make", "head", "code"),
    [
        (sample.bare, "No gate was declared: no rate decides", "Exit code 0"),
        (lambda: sample.bare(gates=[Gate(metric=Metric.FNR, limit=1.0)]), "2 gates, all pass", "Exit code 0"),
        (lambda: sample.bare(gates=[Gate(metric=Metric.FNR, limit=0.0)]), "2 of 2 gates fail", "Exit code 1"),
        (
            lambda: sample.bare(gates=[Gate(metric=Metric.FNR, limit=0.3, validator="alpha")]),
            "Not settled: 1 of 1 gate inconclusive",
            "Exit code 4",
        ),
        (blind, "Nothing is proven: alpha is blind", "Exit code 3"),
        (lambda: cut_short(), "No gate was declared: no rate decides; the run was cut short", "Exit code 0"),
        (
            lambda: cut_short(gates=[Gate(metric=Metric.FNR, limit=1.0)]),
            "Not settled: 2 of 2 gates inconclusive; the run was cut short",
            "Exit code 4",
        ),
        (
            lambda: cut_short(gates=[Gate(metric=Metric.FNR, limit=0.0)]),
            "2 of 2 gates fail; the run was cut short",
            "Exit code 1",
        ),
        (
            lambda: replace(sample.bare(), baseline=UNSETTLED),
            "Not settled: too little was judged for the baseline to hold",
            "Exit code 4",
        ),
    ],
)
def test_headline_and_exit_code(make, head, code):
    said, exit_text = headline(make())
    assert said == head
    assert exit_text.startswith(code)


def test_gates_say_bound_limit_and_counts_failed_ones_first():
    """alpha misses 3 of 10: one-sided 95 % bounds 8.73 and 60.66 % (binom.test); beta 10 of 10: at least 74.11 %."""
    found = Page(render_html(sample.bare(gates=[Gate(metric=Metric.FNR, limit=0.65)])))
    (gates,) = found.all("ul", class_="gates")
    lines = [squeezed(e["text"]) for e in found.all("li") if gates in e["parents"]]
    assert lines == [
        "FailFNR of beta: at least 74.11%, allowed 65.00% (10 of 10 trials, 10 batches)",
        "PassFNR of alpha: at most 60.66%, allowed 65.00% (3 of 10 trials, 10 batches)",
    ]


def test_an_empty_run_has_a_page():
    text = render_html(sample.bare([]))
    found = Page(text)
    assert not found.wrong
    assert "No faulty trial counts" in found.section("families")
    assert "NO CANARY" in found.section("verdict")


# ---- pictures ----------------------------------------------------------------------------------------------------


def test_a_gate_picture_has_the_bounds_that_decide():
    """Rail from 2 to 118: at scale 0.5 a share of 0.3 stands at 2 + 116 x 0.6 = 71.6."""
    rate = Rate(estimate=0.25, low=0.0, high=0.5, lower=0.1, upper=0.4)
    with_limit, without = whisker(rate, 0.5, 0.3), whisker(rate, 0.5)
    assert 'd="M71.6 0v14"' in with_limit
    assert "M25.2 4v6M25.2 7H94.8M94.8 4v6" in with_limit  # 0.1 and 0.4
    assert "M2.0 4v6M2.0 7H118.0M118.0 4v6" in without  # 0 and 0.5
    assert whisker(Rate()) == ""


def test_a_strip_marks_what_was_not_accepted():
    marks = ["", "alarm", "", "true", "error"]
    drawn = strip("k", "t", "s", marks)
    assert [drawn.count(f'class="{m}"') for m in ("alarm", "true", "error", "flaky")] == [1, 1, 1, 0]
    assert 'class="alarm" d="M228.0 8h144.0' in drawn  # second of five, 200 wide, 72 % of it


def test_reviewed_alarms_look_different():
    found = [replace(t, review=Review.TRUE) if t.outcome is Outcome.FP else t for t in sample.trials()]
    classes = [e["attrs"]["class"] for e in Page(render_html(sample.bare(found))).inside("path", "untouched")]
    assert "true" in classes
    assert "alarm" not in classes


def test_markup_of_a_picture_is_never_a_users():
    assert draw("text", '<b a="1">&\x1b', class_='"x') == (
        '<text class="&quot;x">&lt;b a=&quot;1&quot;&gt;&amp;\\x1b</text>'
    )


# ---- what it forbids ---------------------------------------------------------------------------------------------


def test_policy_allows_the_one_style_sheet_and_script_by_hash(any_page):
    text, found = any_page
    (policy,) = found.all("meta", http_equiv="Content-Security-Policy")
    said = dict(part.strip().split(" ", 1) for part in policy["attrs"]["content"].split(";"))
    assert said["default-src"] == "'none'"
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        assert len(found.all(tag)) == 1
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert said[name] == f"'sha256-{digest}'"
    assert "unsafe" not in policy["attrs"]["content"]


def test_nothing_is_styled_run_or_loaded_from_an_attribute(any_page):
    _, found = any_page
    for element in found.elements:
        for name, value in element["attrs"].items():
            assert name != "style" and not name.startswith("on"), element
            assert name not in ("src", "srcset", "action", "xlink:href", "formaction", "ping"), element
            if name == "href":
                assert value.startswith("#") or value == "data:,"
    assert "url(" not in found.all("style")[0]["text"]
    assert "@import" not in found.all("style")[0]["text"]


def test_only_our_own_elements_stand_in_a_hostile_page():
    ours = {e["tag"] for name in ("full", "ladder", "large") for e in page_of(name).elements}
    found = page_of("hostile")
    assert {e["tag"] for e in found.elements} <= ours
    assert not found.wrong
    assert "<script>window.pwned=1</script>" in found.section("survivors")  # as text, it is there
    assert "{{ 7 * 7 }}" in found.section("families")
    assert "49" not in squeezed(found.inside("th", "families")[1]["text"])


def test_control_and_bidirectional_characters_are_written_out():
    text = text_of("hostile")
    unseen = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")}
    assert unseen <= {"\n"}
    assert "\\u202egnp.exe\\u2066\\x00" in text


# ---- structure ---------------------------------------------------------------------------------------------------


def test_tags_close_and_ids_are_there_once(any_page):
    _, found = any_page
    assert not found.wrong
    assert not found.open
    ids = [e["attrs"]["id"] for e in found.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    for element in found.elements:
        for name in ("aria-labelledby", "aria-controls", "for"):
            for key in element["attrs"].get(name, "").split():
                assert key in ids, (element["tag"], name, key)
        if element["attrs"].get("href", "").startswith("#"):
            assert element["attrs"]["href"][1:] in ids


def test_headings_tables_regions_and_pictures_say_what_they_are(any_page):
    _, found = any_page
    levels = [int(e["tag"][1]) for e in found.elements if re.fullmatch(r"h[1-6]", e["tag"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in found.all("table"):
        assert any(table in e["parents"] for e in found.all("caption"))
        assert table["parents"][-1]["attrs"]["tabindex"] == "0"  # it may scroll: the keyboard must reach it
        assert table["parents"][-1]["attrs"]["aria-label"]
    assert all(e["attrs"].get("scope") in ("row", "col") for e in found.all("th"))
    for picture in found.all("svg"):
        if picture["attrs"].get("aria-hidden") != "true":
            assert picture["attrs"]["role"] == "img"
            assert {"title", "desc"} <= {e["tag"] for e in found.elements if picture in e["parents"]}


# ---- size, determinism, packaging --------------------------------------------------------------------------------


def test_a_thousand_trials_stay_under_300_kilobytes_and_cuts_are_said():
    report = sample.large()
    assert len(report.trials) >= 1000
    assert len(report.explanations) > 25
    assert len(text_of("large").encode()) < 300_000
    found = page_of("large")
    assert "and 30 more faults: scorecard.json holds all of them" in found.section("doses")
    assert "and 50 more entries: scorecard.json holds all of them" in found.section("verdict")
    assert found.section("checks").count("more checks: scorecard.json holds all of them") == 2
    assert len(found.all("details", class_="survivor")) == 25


def test_many_survivors_are_cut_with_a_line_that_says_so():
    found = Page(render_html(sample.large(columns=170, batches=3, checks=0)))
    assert len(found.all("details", class_="survivor")) == 25
    assert len(found.all("li", class_="survivor")) == 125
    assert "and 20 more survivors: scorecard.json holds all of them" in found.section("survivors")


def test_the_order_of_trials_does_not_show():
    report = sample.full()
    assert render_html(replace(report, trials=tuple(reversed(report.trials)))) == render_html(report)


def test_another_process_writes_the_same_bytes():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('sample_report', {str(SAMPLES)!r})\n"
        "sample = importlib.util.module_from_spec(spec); spec.loader.exec_module(sample)\n"
        "from pipechaos.report.html import render_html\n"
        "sys.stdout.buffer.write(render_html(sample.full()).encode())\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, cwd=ROOT, timeout=240)
    assert done.stdout.decode() == render_html(sample.full()), done.stderr.decode()[-500:]


def test_without_jinja2_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page._environment.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r"pip install 'pipechaos\[report\]'"):
            render_html(sample.bare())
    finally:
        page._environment.cache_clear()


def test_templates_are_in_the_wheel():
    builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is missing (extra build)")
    packed = {f.distribution_path for f in builders.WheelBuilder(str(ROOT)).recurse_included_files()}
    ours = {f"pipechaos/report/templates/{p.name}" for p in (ROOT / "pipechaos/report/templates").iterdir()}
    assert "pipechaos/report/templates/report.html" in ours
    assert ours <= packed
