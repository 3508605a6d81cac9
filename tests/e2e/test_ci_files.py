"""Files that teams copy into their CI: valid by the real schemas, every command line one that the program takes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest
import yaml

from pipechaos.cli.main import main

ROOT = Path(__file__).parents[2]
CI = ROOT / "docs" / "ci"
WORKFLOW = CI / "github-workflow.yml"
GITLAB = CI / "gitlab-ci.yml"
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
CONFIG = CI / "pre-commit-config.yaml"
PAGE = ROOT / "docs" / "ci.md"


def loaded(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# --- schemas ---


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (WORKFLOW, "vendor.github-workflows"),
        (WORKFLOW, "custom.github-workflows-require-timeout"),
        (GITLAB, "vendor.gitlab-ci"),
    ],
    ids=["github", "github-timeouts", "gitlab"],
)
def test_pipelines_are_valid(path, schema):
    transform = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *transform, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "ok" in done.stdout


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT}
HOOK = {  # what pre-commit 4 takes of a hook that runs a program of the system
    "type": "object",
    "required": ["id", "name", "entry", "language"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z][a-z-]*$"},
        "name": TEXT,
        "description": TEXT,
        "entry": TEXT,
        "args": TEXTS,
        "language": {"enum": ["system"]},
        "stages": {"type": "array", "items": {"enum": ["pre-push", "manual"]}, "minItems": 2, "uniqueItems": True},
        "files": {"type": "string", "format": "regex"},
        "pass_filenames": {"const": False},
        "require_serial": {"const": True},
        "minimum_pre_commit_version": {"const": "3.2.0"},  # the first that knows the stage by this name
    },
}
REPOS = {
    "type": "object",
    "required": ["repos"],
    "additionalProperties": False,
    "properties": {
        "repos": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["repo", "hooks"],
                "additionalProperties": False,
                "properties": {"repo": {"const": "local"}, "hooks": {"type": "array", "items": HOOK, "minItems": 1}},
            },
        }
    },
}


def test_pre_commit_files_are_valid():
    jsonschema.validate(loaded(MANIFEST), {"type": "array", "items": HOOK, "minItems": 1})
    jsonschema.validate(loaded(CONFIG), REPOS)
    offered = {hook["id"]: hook["entry"] for hook in loaded(MANIFEST)}
    (repo,) = loaded(CONFIG)["repos"]
    assert {hook["id"]: hook["entry"] for hook in repo["hooks"]} == offered
    for hook in repo["hooks"]:
        wanted = re.compile(hook["files"])
        assert wanted.search("suites/orders.py")
        assert not wanted.search("README.md")


# --- what a workflow may do ---


def jobs():
    return loaded(WORKFLOW)["jobs"].values()


def steps():
    return [step for job in jobs() for step in job["steps"]]


def test_the_workflow_asks_for_little_and_pins_its_actions():
    workflow = loaded(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    asked = [job["permissions"] for job in jobs() if "permissions" in job]
    assert asked == [{"contents": "read", "security-events": "write"}]
    uses = [step["uses"] for step in steps() if "uses" in step]
    assert uses
    assert [u for u in uses if not re.fullmatch(r"(actions|github)/[\w/-]+@v\d+", u)] == []
    for step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_workflow_runs_weekly_and_keeps_results_whatever_the_exit_code():
    workflow = loaded(WORKFLOW)
    (cron,) = [entry["cron"] for entry in workflow[True]["schedule"]]  # YAML 1.1 reads `on` as true
    minute, hour, day, month, weekday = cron.split()
    assert (day, month) == ("*", "*")
    assert minute.isdecimal() and hour.isdecimal() and weekday.isdecimal()
    uploads = [step for step in steps() if "upload" in step.get("uses", "")]
    assert len(uploads) == 4
    assert all("!cancelled()" in step["if"] for step in uploads)


def test_no_expression_is_pasted_into_a_script():
    scripts = [step["run"] for step in steps() if "run" in step]
    assert scripts
    assert [s for s in scripts if "${{" in s] == []


# --- commands ---


def scripts():
    """(where, shell text) of every script that a team would copy."""
    for step in steps():
        if "run" in step:
            yield "github-workflow.yml", step["run"]
    for job in loaded(GITLAB).values():
        for line in job.get("script", []):
            yield "gitlab-ci.yml", line
    for hook in loaded(CONFIG)["repos"][0]["hooks"]:
        yield "pre-commit-config.yaml", shlex.join([*shlex.split(hook["entry"]), *hook["args"]])
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                yield "ci.md", line[2:]


def command_lines():
    for where, script in scripts():
        for line in script.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words and words[0] == "pipechaos":
                yield where, words[1:]


COMMANDS = list(command_lines())


def test_every_file_shows_commands():
    assert {where for where, _ in COMMANDS} == {
        "github-workflow.yml",
        "gitlab-ci.yml",
        "pre-commit-config.yaml",
        "ci.md",
    }
    assert {words[0] for _, words in COMMANDS} == {"run", "diff-suite", "baseline"}


@pytest.mark.parametrize(("where", "words"), COMMANDS, ids=[f"{w}-{' '.join(c[:2])}" for w, c in COMMANDS])
def test_every_command_line_is_one_that_the_program_takes(where, words):
    context, command = click.Context(main), main
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"{where}: there is no command {name!r}"
        command = found
    try:
        command.make_context(command.name, list(words), parent=context)
    except click.UsageError as error:
        pytest.fail(f"{where}: {error.format_message()}")


# --- the example is run, and so is the page's ---


def run_example(folder, *options):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    plugin = ["-p", "no:cacheprovider", "-p", "pipechaos.testing.pytest_plugin", "--strict-markers"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *options, "test_suites.py"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_runs(tmp_path):
    pytest.importorskip("pandera")
    (tmp_path / "test_suites.py").write_text((CI / "test_suites.py").read_text(encoding="utf-8"))
    done = run_example(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "18 passed, 4 xfailed" in done.stdout
    assert "orders: rejected 19 of 23 broken batches, accepted 7 of 7 untouched ones" in done.stdout
    assert "19 of 23" in PAGE.read_text(encoding="utf-8")


def test_the_page_s_example_runs(tmp_path):
    pytest.importorskip("pandera")
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "test_suites.py").write_text(block)
    done = run_example(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "4 passed, 1 xfailed" in done.stdout


def test_options_and_links_of_the_page_exist(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    (tmp_path / "test_suites.py").write_text("def test_it():\n    pass\n")
    helped = run_example(tmp_path, "--help").stdout
    named = set(re.findall(r"--pipechaos-[a-z-]+|\bpipechaos_[a-z_]+", text))
    assert named
    assert [name for name in named if name not in helped] == []
