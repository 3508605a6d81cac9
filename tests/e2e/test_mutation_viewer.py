"""The mutation report opens in the viewer of its own format."""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from pipechaos.report.mutation import render_mutation

ROOT = Path(__file__).resolve().parents[2]
TOTALS = """async () => {
  await customElements.whenDefined('mutation-test-report-app');
  const app = document.querySelector('mutation-test-report-app');
  for (let i = 0; i < 200 && !app.shadowRoot?.textContent.includes('Survived'); i++) {
    await new Promise((done) => setTimeout(done, 50));
  }
  const texts = (root) => [...root.querySelectorAll('*')].flatMap(
    (e) => e.shadowRoot ? texts(e.shadowRoot) : e.children.length ? [] : [e.textContent.trim()]);
  return texts(app.shadowRoot).filter(Boolean);
}"""


def sample():
    spec = importlib.util.spec_from_file_location("sample_report", ROOT / "tests" / "browser" / "sample_report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.full()


def test_it_opens_and_names_every_suite(browser, viewer, tmp_path):
    text = render_mutation(sample())
    page = tmp_path / "viewer.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><mutation-test-report-app></mutation-test-report-app><script>"
        + viewer
        + "</script><script>document.querySelector('mutation-test-report-app').report = "
        + text
        + "</script>",
        encoding="utf-8",
    )
    said = []
    with browser.new_context(offline=True) as context:
        view = context.new_page()
        view.on("pageerror", lambda e: said.append(str(e)))
        view.goto(page.as_uri())
        shown = view.evaluate(TOTALS)
    assert said == []
    names = [Path(name).name for name in json.loads(text)["files"]]
    assert names
    assert [name for name in names if not any(name in s for s in shown)] == [], shown[:80]
