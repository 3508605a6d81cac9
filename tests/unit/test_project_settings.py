"""[tool.pipechaos]: flags before environment before the file before defaults; a slip is an error, never ignored."""

import click
import pytest
from click.testing import CliRunner

from pipechaos.cli.settings import Settings, project_settings
from pipechaos.errors import ConfigError

COMMANDS = ("run", "plan", "score", "history", "baseline")


def project(folder, text):
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_no_file_and_no_table_say_nothing(tmp_path):
    assert project_settings(tmp_path / "nowhere") == Settings()
    assert project_settings(project(tmp_path, "[tool.other]\nx = 1\n")) == Settings()


def test_the_nearest_file_counts_and_paths_start_there(tmp_path):
    project(tmp_path, '[tool.pipechaos]\nexperiment = "chaos/e.yaml"\njobs = 3\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert project_settings(below).values == {"experiment": "../../chaos/e.yaml", "jobs": 3}
    project(below, "[project]\nname = 'x'\n")
    assert project_settings(below).values == {}


def test_each_command_gets_only_what_is_for_it(tmp_path):
    text = '[tool.pipechaos]\nexperiment = "e.yaml"\nbaseline = "b.json"\njunit-xml = "j.xml"\nno-values = true\n'
    found = project_settings(project(tmp_path, text)).defaults(COMMANDS)
    assert found["run"] == {"experiment": "e.yaml", "baseline": "b.json", "junit_xml": "j.xml", "no_values": True}
    assert found["plan"] == {"experiment": "e.yaml", "no_values": True}
    assert found["score"] == {"baseline": "b.json", "no_values": True}  # its --experiment means something else
    assert found["history"] == {"no_values": True}
    assert found["baseline"]["update"] == {"baseline": "b.json", "no_values": True}


@pytest.mark.parametrize(
    ("store", "kept"),
    [("postgresql://h/db", "postgresql://h/db"), ("runs.db", "../runs.db"), ("none", "none")],
)
def test_a_store_is_a_path_a_url_or_none(tmp_path, store, kept):
    (tmp_path / "x").mkdir()
    project(tmp_path, f'[tool.pipechaos]\nstore = "{store}"\n')
    assert project_settings(tmp_path / "x").values == {"store": kept}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tool.pipechaos]\nbasline = "x"\n', r"no key 'basline'; did you mean 'baseline'\? allowed are: badge, "),
        ("[tool.pipechaos]\njobs = true\n", "jobs in .* must be a whole number, not True"),
        ('[tool.pipechaos]\nno-values = "yes"\n', "no-values in .* must be true or false"),
        ('[tool]\npipechaos = "x"\n', "must be a table"),
        ("[tool.pipechaos\n", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        project_settings(project(tmp_path, text))


def test_flag_before_environment_before_file(tmp_path):
    values = project_settings(project(tmp_path, "[tool.pipechaos]\njobs = 3\n"))

    @click.group(context_settings={"auto_envvar_prefix": "PIPECHAOS"})
    @click.pass_context
    def group(ctx):
        ctx.default_map = values.defaults(["run"])

    @group.command()
    @click.option("--jobs", type=int, default=1)
    def run(jobs):
        click.echo(jobs)

    def said(*args, **env):
        return CliRunner().invoke(group, ["run", *args], env=env).output.strip()

    assert said() == "3"
    assert said(PIPECHAOS_RUN_JOBS="4") == "4"
    assert said("--jobs", "5", PIPECHAOS_RUN_JOBS="4") == "5"


def test_a_slip_ends_the_command_line_with_2(tmp_path, monkeypatch):
    from pipechaos.cli.main import main

    monkeypatch.chdir(project(tmp_path, "[tool.pipechaos]\nnope = 1\n"))
    result = CliRunner().invoke(main, ["faults"])
    assert result.exit_code == 2
    assert "has no key 'nope'" in result.stderr
