"""The HTML report in a real headless Chromium: offline, silent, with and without JavaScript, by keyboard, on paper."""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from pipechaos.report.html import render_html

ROOT = Path(__file__).resolve().parents[2]
PHONE = {"width": 390, "height": 844}
FOCUSED = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  return e === document.body ? null : {
    tag: e.tagName, id: e.id, text: e.textContent.trim().slice(0, 40), label: e.getAttribute('aria-label'),
    outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 };
}"""
OPEN_ALL = "document.querySelectorAll('details').forEach((item) => { item.open = true; })"


def load_samples():
    spec = importlib.util.spec_from_file_location("sample_report", ROOT / "tests" / "browser" / "sample_report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Pages as files, by name."""
    sample, folder = load_samples(), tmp_path_factory.mktemp("pages")
    found = {}
    for name in ("bare", "full", "hostile", "large"):
        found[name] = folder / f"{name}.html"
        found[name].write_text(render_html(getattr(sample, name)()), encoding="utf-8", newline="\n")
    return found


class Watched:
    """A page, everything it asked for and everything it said."""

    def __init__(self, page):
        self.page, self.asked, self.said = page, [], []
        page.on("request", lambda r: self.asked.append(r.url))
        page.on("console", lambda m: self.said.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: self.said.append(f"error: {e}"))
        page.on("dialog", lambda d: (self.said.append(f"dialog: {d.message}"), d.dismiss()))

    def quiet(self, file):
        """Whether nothing was loaded but the file itself and nothing was said."""
        elsewhere = [u for u in self.asked if u != file.as_uri() and not u.startswith("data:")]
        return (elsewhere, self.said) == ([], [])


@pytest.fixture
def visit(browser, written):
    """Open a page in a context of its own."""
    contexts = []

    def go(name, **more):
        context = browser.new_context(offline=True, **more)
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.goto(written[name].as_uri())
        return watched

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", ["bare", "full", "hostile", "large"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_nothing_is_loaded_and_nothing_is_said(visit, written, name, script):
    watched = visit(name, java_script_enabled=script)
    watched.page.locator("#about").scroll_into_view_if_needed()
    assert watched.quiet(written[name]), (watched.asked, watched.said)


def test_without_javascript_everything_can_be_read(visit):
    page = visit("full", java_script_enabled=False).page
    for name in ("verdict", "rates", "families", "untouched", "doses", "survivors", "checks", "trend", "about"):
        assert page.locator(f"#{name} h2").is_visible()
    assert not page.locator(".tools").is_visible()  # what needs the script is not shown without it
    table = page.locator("#checks table").first
    assert not table.is_visible()
    page.locator("#checks summary", has_text="Check by check").first.click()
    assert table.is_visible()
    assert page.locator("#survivors .rows").first.is_visible()


def test_survivors_are_filtered_and_the_rest_is_counted(visit):
    page = visit("large").page
    assert page.locator("#found").inner_text() == "60 of 60 shown"
    page.fill("#find", "KIND_7 feature_7")
    assert page.locator("#found").inner_text() == "1 of 60 shown"
    shown = [s for s in page.locator(".survivor").all() if s.is_visible()]
    assert len(shown) == 1
    assert "fault.kind_7" in shown[0].inner_text()
    page.fill("#find", "")
    assert page.locator("#found").inner_text() == "60 of 60 shown"
    page.click("#open-all")
    assert page.locator("details.survivor[open]").count() == 25
    page.click("#close-all")
    assert page.locator("details.survivor[open]").count() == 0


def test_checks_are_sorted_by_any_column(visit):
    page = visit("full").page
    page.locator("#checks summary", has_text="Check by check").first.click()
    table = page.locator("#checks table").first
    names = table.locator("tbody th")
    assert names.first.inner_text() == "y:mean"  # a false alarm comes first
    kills = table.get_by_role("button", name="Kills")
    kills.click()
    assert names.first.inner_text() == "x:in_range"
    assert table.locator("th[aria-sort=descending]").inner_text().startswith("Kills")
    table.get_by_role("button", name="Check", exact=True).click()
    assert names.all_inner_texts() == ["rows", "x:dtype", "x:in_range", "y:mean"]
    assert table.locator("th[aria-sort]").count() == 1


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("name", ["bare", "full", "hostile", "large"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_phone_scrolls_tables_and_never_the_page(visit, name, script):
    page = visit(name, viewport=PHONE, java_script_enabled=script).page
    assert overflow(page) <= 0
    page.evaluate(OPEN_ALL)
    assert overflow(page) <= 0
    wide = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.tabIndex)"
    )
    assert wide
    assert set(wide) == {0}


def walk(page, most=400):
    """What Tab reaches, in order, and whether its focus can be seen."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found is None:
            break
        seen.append(found)
    return seen


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(visit):
    seen = walk(visit("full").page)
    assert seen[0]["text"] == "Skip to the report"
    assert [s["text"] for s in seen[1:10]][:3] == ["Verdict", "Rates", "Families"]
    labels = [s["label"] for s in seen if s["label"]]
    assert labels.index("Table of rates") < labels.index("FNR by validator and family")
    assert "Suites that were judged" in labels
    ids = [s["id"] for s in seen]
    assert ids.index("find") < ids.index("open-all") < ids.index("close-all")
    assert any(s["tag"] == "SUMMARY" and "null.mcar" in s["text"] for s in seen)
    assert all(s["outline"] for s in seen), [s for s in seen if not s["outline"]]


def test_details_open_by_keyboard_and_the_skip_link_works(visit):
    page = visit("full").page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    closed = page.locator("#trend details")
    closed.locator("summary").focus()
    page.keyboard.press("Enter")
    assert closed.get_attribute("open") is not None
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Rates of past runs"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["bare", "full", "hostile"])
def test_axe_finds_no_violation(visit, axe, name, scheme):
    """Contrast among the rules; everything open, on a desk and on a phone. The checker needs the policy off."""
    page = visit(name, color_scheme=scheme, bypass_csp=True).page
    page.evaluate(axe)
    page.evaluate(OPEN_ALL)
    for size in ({"width": 1280, "height": 900}, PHONE):
        page.set_viewport_size(size)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        ran = {r["id"] for r in [*found["passes"], *found["violations"], *found["incomplete"]]}
        assert "color-contrast" in ran
        wrong = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"]]
        assert not wrong, json.dumps(wrong, indent=2)


def test_the_dark_scheme_is_dark_and_keeps_the_shades_apart(visit):
    light, dark = (visit("full", color_scheme=s).page for s in ("light", "dark"))
    brightness = "(e) => getComputedStyle(e).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    assert light.locator("body").evaluate(brightness) > 650 > 120 > dark.locator("body").evaluate(brightness)
    for page in (light, dark):
        shades = [page.locator(f"td.h{s}").first.evaluate("(e) => getComputedStyle(e).backgroundColor") for s in (3, 6)]
        assert len(set(shades)) == 2


def test_hostile_names_are_inert(visit):
    watched = visit("hostile")
    page = watched.page
    page.evaluate(OPEN_ALL)
    page.fill("#find", "</script>")
    page.locator("th button").first.click()
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("[document.scripts.length, document.images.length, document.styleSheets.length]") == [1, 0, 1]
    assert page.locator("#about").is_visible()  # the style that hides everything is text
    assert "<script>window.pwned=1</script>" in page.locator("h1").inner_text()
    assert watched.said == []


def test_the_policy_stops_what_a_mistake_would_let_in(visit):
    """Were a name ever to become markup, the page's policy is the second wall."""
    watched = visit("full")
    page = watched.page
    page.evaluate(
        """() => { const add = (html) => document.body.insertAdjacentHTML('beforeend', html);
        add('<img src="data:," onerror="window.pwned=1">'); add('<b id="styled" style="color: rgb(1, 2, 3)">b</b>');
        const s = document.createElement('script'); s.textContent = 'window.pwned=2'; document.body.append(s); }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.pwned") is None
    assert page.locator("#styled").evaluate("(e) => getComputedStyle(e).color") != "rgb(1, 2, 3)"
    assert any("Content Security Policy" in said for said in watched.said)


def test_paper_shows_what_stands_closed_and_leaves_out_what_is_to_click(visit):
    page = visit("large").page
    closed = page.locator("details.survivor:not([open]) .body").first
    assert not closed.is_visible()
    page.emulate_media(media="print")
    assert closed.bounding_box()["height"] > 50
    assert not page.locator("nav").is_visible()
    assert not page.locator(".tools").is_visible()
    page.emulate_media(media="screen")
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000


def test_paper_is_not_wider_than_a_sheet(visit):
    page = visit("large", viewport={"width": 695, "height": 1000}).page  # A4 less its margins
    page.emulate_media(media="print")
    assert overflow(page) <= 0


def test_motion_is_reduced_where_asked(visit):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit("bare", reduced_motion="reduce").page.evaluate(behaviour) == "auto"
    assert visit("bare", reduced_motion="no-preference").page.evaluate(behaviour) == "smooth"
