"""The baseline file: read back as written, made for a diff, and strict."""

import datetime as dt
import json

import pytest

from pipechaos.campaign.baseline_file import baseline_text, read_baseline, write_baseline
from pipechaos.errors import ConfigError
from pipechaos.score.baseline import Accepted

HOSTILE = '| <script>"\x1b[31m\n\u202e'


def line(name="a", **more):
    values = {
        "weakness_id": name * 16,
        "validator": "v",
        "fault": "null.mcar",
        "columns": ("x",),
        "placement": {"kind": "own_value", "quantile": "0.8"},
        "severity": 3,
        "reason": "known",
        "owner": "Ops",
        "expires": dt.date(2026, 12, 31),
        "missed": 3,
        "tried": 4,
    }
    return Accepted(**(values | more))


TEXT = """\
{
  "schema": "pipechaos.baseline/1",
  "survivors": [
    {
      "weakness_id": "aaaaaaaaaaaaaaaa",
      "validator": "v",
      "fault": "rows.drop",
      "columns": [],
      "placement": {},
      "severity": 0,
      "reason": "größer",
      "owner": "Ops",
      "expires": "2026-12-31",
      "missed": 3,
      "tried": 4
    }
  ]
}
"""


def test_the_text_as_a_reviewer_sees_it(tmp_path):
    entry = line(fault="rows.drop", columns=(), placement={}, severity=0, reason="größer")
    assert baseline_text([entry]) == TEXT
    write_baseline(tmp_path / "b.json", [entry])
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == TEXT
    assert [f.name for f in tmp_path.iterdir()] == ["b.json"]


def test_what_was_written_is_read_back_in_the_order_of_the_key(tmp_path):
    lines = [line("c"), line("a", columns=(HOSTILE, "y"), reason=HOSTILE), line("b", expires=dt.date(2024, 2, 29))]
    write_baseline(tmp_path / "b.json", lines)
    found = read_baseline(tmp_path / "b.json")
    assert found.accepted == (lines[1], lines[2], lines[0])
    assert found.file == str(tmp_path / "b.json")
    assert baseline_text(reversed(lines)) == baseline_text(lines)


def test_one_more_entry_is_one_more_block():
    few, many = baseline_text([line("a"), line("c")]).splitlines(), baseline_text(map(line, "abc")).splitlines()
    at = next(i for i, text in enumerate(many) if "bbbb" in text) - 1
    block = many.index("    },", at) + 1 - at
    assert many[:at] + many[at + block :] == few


def test_an_empty_baseline(tmp_path):
    write_baseline(tmp_path / "b.json", [])
    assert read_baseline(tmp_path / "b.json").accepted == ()


def refused(tmp_path, text):
    file = tmp_path / "b.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as found:
        read_baseline(file)
    assert found.value.exit_code == 2
    assert str(file) in str(found.value)
    return str(found.value)


def changed(**more):
    entry = json.loads(TEXT)["survivors"][0]
    entry = {k: v for k, v in (entry | more).items() if v is not ...}
    return json.dumps({"schema": "pipechaos.baseline/1", "survivors": [entry]}, indent=2)


@pytest.mark.parametrize("name", ["reason", "owner", "expires", "missed", "tried", "validator", "fault", "weakness_id"])
def test_what_an_entry_has_to_say(tmp_path, name):
    assert f"line 4: '{name}' is missing" in refused(tmp_path, changed(**{name: ...}))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"reason": " "}, "'reason': is empty"),
        ({"owner": ""}, "'owner': is empty"),
        ({"expires": ""}, "is no day"),
        ({"expires": "31.12.2026"}, "'31.12.2026' is no day: write it as 2026-12-31"),
        ({"expires": "2026-02-30"}, "is no day"),
        ({"expires": None}, "'expires'"),
        ({"weakness_id": "xyz"}, "'weakness_id'"),
        ({"missed": 0}, "'missed'"),
        ({"missed": 5}, "missed 5 of 4 tried"),
        ({"severity": "3"}, "'severity'"),
        ({"owners": "x"}, "unknown key 'owners'; did you mean 'owner'?"),
    ],
)
def test_what_an_entry_may_not_say(tmp_path, more, said):
    message = refused(tmp_path, changed(**more))
    assert "line 4: " in message
    assert said in message


def test_every_bad_entry_is_named_by_its_line(tmp_path):
    text = baseline_text([line("a"), line("b", reason=" "), line("c", owner="")])
    starts = [at for at, part in enumerate(text.splitlines(), 1) if part == "    {"]
    message = refused(tmp_path, text)
    assert f"line {starts[1]}: 'reason'" in message
    assert f"line {starts[2]}: 'owner'" in message
    assert f"line {starts[0]}:" not in message


def test_one_weakness_twice_names_both_lines(tmp_path):
    entry = baseline_text([line("a")]).split("\n", 3)[3].rsplit("\n  ]", 1)[0]
    text = '{\n  "survivors": [\n' + entry + ",\n" + entry + '\n  ], "schema": "pipechaos.baseline/1"\n}'
    second = entry.count("\n") + 1 + 3
    assert f"line {second}: aaaaaaaaaaaaaaaa is there already, on line 3" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: no JSON"),
        ("{\n<<<<<<< HEAD\n", "line 2: no JSON"),
        ("[]", "dictionary"),
        ("{}", "'schema' is missing"),
        ('{"schema": "pipechaos.baseline/2", "survivors": []}', "'schema'"),
        ('{"schema": "pipechaos.baseline/1"}', "'survivors' is missing"),
        ('{"schema": "pipechaos.baseline/1", "survivors": {}}', "'survivors'"),
        ('{"schema": "pipechaos.baseline/1", "survivors": [], "x": 1}', "unknown key 'x'"),
        ('{"schema": "pipechaos.baseline/1", "survivors": [], "survivors": []}', "'survivors' is there twice"),
        ('{"schema": "pipechaos.baseline/1", "survivors": [1]}', "line 1"),
    ],
)
def test_what_is_no_baseline(tmp_path, text, said):
    assert said in refused(tmp_path, text)


def test_a_missing_file_says_how_to_write_one(tmp_path):
    with pytest.raises(ConfigError, match="baseline update"):
        read_baseline(tmp_path / "no.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_baseline(tmp_path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    (tmp_path / "b.json").mkdir()
    with pytest.raises(ConfigError, match="cannot write"):
        write_baseline(tmp_path / "b.json", [])
    assert [f.name for f in tmp_path.iterdir()] == ["b.json"]
