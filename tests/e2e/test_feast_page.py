"""The workflow of docs/feast.md is one that GitHub takes; its commands are run in tests/feature_store."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "feast.md"


def test_the_workflow_is_valid(tmp_path):
    block = re.search(r"```yaml\n(name: .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    file = tmp_path / "feature-store.yml"
    broken = block.replace("runs-on:", "runs:")
    for text, schema, code in (
        (block, "vendor.github-workflows", 0),
        (block, "custom.github-workflows-require-timeout", 0),
        (broken, "vendor.github-workflows", 1),
    ):
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
