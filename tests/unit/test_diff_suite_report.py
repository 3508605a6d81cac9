"""What a pull request and a terminal say about a change of a suite: words, escapes, size."""

import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from pipechaos.campaign.diff_suite import Side, SuiteDiff, default_trials
from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.sample import Sample
from pipechaos.campaign.suite_versions import SuiteVersion
from pipechaos.report.suite_diff import LIMIT, markdown_diff, render_diff
from pipechaos.score.gates import ExitCode
from pipechaos.score.paired import compare
from pipechaos.score.records import FindingRef, Outcome, Trial, TrialKind, Why
from pipechaos.validate.verdict import Check, FindingKind, Subject

TP, FN, TN, FP = Outcome.TP, Outcome.FN, Outcome.TN, Outcome.FP
HOSTILE = "a|b`<script>alert(1)</script>[x](http://evil)\n# h\x1b[31m\u202e@all"


def fault(batch, outcome, *, column="air_time", severity=3, check="limit", repeat=0):
    finding = FindingRef(
        check=check, columns=(column,), kind=FindingKind.FAIL, subject=Subject.VALUE, n_rows=3, why=Why.DIRECT
    )
    at = f"{batch}-{column}-{severity}-{repeat}"
    return Trial(
        trial_id=f"t-{at}",
        kind=TrialKind.FAULT,
        validator="v",
        batch=batch,
        outcome=outcome,
        fault="value.scale",
        columns=(column,),
        severity=severity,
        rungs=5,
        fraction=0.2,
        repeat=repeat,
        injection_id=f"i-{at}",
        source_digest=batch,
        after_digest=f"a-{at}",
        findings=(finding,) if outcome is TP else (),
    )


def control(batch, outcome, check="limit"):
    finding = FindingRef(check=check, columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE)
    return Trial(
        trial_id=f"c-{batch}",
        kind=TrialKind.NATURAL,
        validator="v",
        batch=batch,
        outcome=outcome,
        source_digest=batch,
        findings=(finding,) if outcome is FP else (),
    )


def side(trials, *, asked="main", checks=(), **more):
    version = SuiteVersion(
        asked=asked, name="v", spec="pandera:m:a", roots=("/r",), lasting_spec="pandera:m:a", lasting_roots=("/r",)
    )
    made = {"digest": "d", "blind": False, "silent": False, "paranoid": False, "flaky": ()}
    return Side(version=version, checks=tuple(checks), trials=tuple(trials), **{**made, **more})


def comparison(base, head, **more):
    experiment = parse_experiment(
        {"name": "e", "batches": ["*"], "validators": [{"name": "v", "spec": "pandera:m:a"}], "preset": "quick"}
    )
    sample = Sample(mutants=(), full_trials=9, trials=3, bases=3, bases_each=3, distinct_bases=3, weight=1)
    made = {"sample": sample, "notes": (), "seconds": 1.0, **more}
    return SuiteDiff(experiment=experiment, base=base, head=head, paired=compare(base.trials, head.trials), **made)


def markdown(found, **more):
    return markdown_diff(found, rerun="pipechaos diff-suite e.yaml", replay="pipechaos replay ", **more)


def terminal(found):
    out = io.StringIO()
    render_diff(found, Console(file=out, width=120, markup=False), rerun="rerun", replay="replay ")
    return out.getvalue()


DAYS = [f"d{i}" for i in range(3)]
QUIET = [control(f"d{i}", TN) for i in range(274)]


def test_the_first_sentence():
    base = [fault(d, TP) for d in DAYS] + QUIET
    head = [fault(d, FN) for d in DAYS] + [control("d0", FP), control("d1", FP), *QUIET[2:]]
    found = comparison(side(base), side(head, asked="HEAD"))
    said = (
        "This change loses {} on {} (numbers in the wrong unit; 3 of 3 no longer caught) and adds 2 false alarms "
        "(2 of 274 untouched batches)."
    )
    assert f"**{said.format('`value.scale`', '`air_time`')}**" in markdown(found)
    assert said.format("value.scale", "air_time") in " ".join(terminal(found).split())
    assert found.exit_code() is ExitCode.GATE_FAILED
    assert found.exit_code(allow_losses=True) is ExitCode.OK
    text = markdown(found)
    assert text.startswith("## Suite change fails: main to HEAD\n")
    assert "| `value.scale` | `air_time` | severity 3 of 5 (fraction 0.2) | 3 of 3 | 0 of 3 | 0.25 | `limit` |" in text
    assert "| FNR (faults missed) | 0.0 % (" in text
    assert "+100.0 points | 3 of 3 | 0 of 3 | 0.25 |" in text
    assert "`pipechaos replay t-d" in text
    assert "p could not fall under 0.25" in text


def test_the_rungs_of_a_ladder_are_one_loss_in_the_sentence():
    base = [fault(d, TP, severity=s) for d in DAYS for s in (3, 4)] + QUIET
    head = [fault(d, FN if d == "d0" or s == 3 else TP, severity=s) for d in DAYS for s in (3, 4)] + QUIET
    assert "(numbers in the wrong unit; 4 of 6 no longer caught)" in markdown(comparison(side(base), side(head)))


def test_many_losses_are_counted_after_the_third():
    base = [fault(d, TP, column=c) for d in DAYS for c in "abcdef"] + QUIET
    head = [fault(d, FN, column=c) for d in DAYS for c in "abcdef"] + QUIET
    first = markdown(comparison(side(base), side(head))).splitlines()[2]
    assert first.count("`value.scale`") == 3
    assert first.endswith("no longer caught) and 3 more faults.**")


def test_checks_by_name():
    old = [Check(id=i, columns=("x",), subject=Subject.VALUE) for i in ("kept", "gone")]
    new = [Check(id=i, columns=("x",), subject=Subject.VALUE) for i in ("kept", "come")]
    trials = [fault("d0", TP), *QUIET]
    text = markdown(comparison(side(trials, checks=old), side(trials, checks=new)))
    assert "### Checks: 2 before, 2 now\n\n- added: `come`\n- removed: `gone`\n" in text
    same = comparison(side(trials, checks=old), side(trials, checks=old, digest="other"))
    assert "though the files differ: a check may have changed behind its name" in markdown(same)
    assert not same.identical
    one = comparison(side(trials, checks=old), side(trials, checks=old))
    assert one.identical
    assert "Both versions are the same suite, byte for byte (digest d)" in markdown(one)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ({"blind": True}, ExitCode.COULD_NOT_RUN),
        ({"silent": True}, ExitCode.COULD_NOT_RUN),
        ({"flaky": ("d1",)}, ExitCode.INCONCLUSIVE),
        ({}, ExitCode.OK),
    ],
)
def test_exit_codes_of_a_version(head, code):
    trials = [fault("d0", TP), *QUIET]
    assert comparison(side(trials), side(trials, **head)).exit_code() is code
    assert comparison(side(trials, **head), side(trials)).exit_code(allow_losses=True) is code


def test_nothing_compared_is_inconclusive_and_never_a_pass():
    noop = [fault("d0", Outcome.NOOP), *QUIET]
    found = comparison(side(noop), side(noop))
    assert found.exit_code() is ExitCode.INCONCLUSIVE
    text = markdown(found)
    assert text.startswith("## Suite change inconclusive")
    assert "no pair of faulty trials could be compared" in text
    assert "n/a" in text


def test_a_few_errors_of_the_new_version_are_told_and_many_leave_it_open():
    base = [fault("d0", FN, repeat=i) for i in range(100)] + QUIET
    for errors, code in ((5, ExitCode.OK), (6, ExitCode.INCONCLUSIVE)):
        head = [fault("d0", Outcome.ERROR if i < errors else FN, repeat=i) for i in range(100)] + QUIET
        found = comparison(side(base), side(head))
        assert found.exit_code() is code
        assert f"{errors} no judgement of the new version alone" in markdown(found)


def silenced(errors, misses, kept):
    """One weakness on as many days: so many without a verdict now, missed now, caught by both."""
    days = [f"d{i}" for i in range(errors + misses + kept)]
    now = [Outcome.ERROR] * errors + [FN] * misses + [TP] * kept
    base = [fault(d, TP) for d in days] + QUIET
    head = [fault(d, outcome) for d, outcome in zip(days, now, strict=True)] + QUIET
    return comparison(side(base), side(head))


def test_a_detection_that_became_a_crash_is_a_loss():
    found = silenced(11, 0, 0)
    assert found.lost
    assert found.exit_code() is ExitCode.GATE_FAILED
    assert found.exit_code(allow_losses=True) is ExitCode.INCONCLUSIVE  # 11 of 11 pairs are not judged
    said = "This change loses {} on {} (numbers in the wrong unit; 11 of 11 caught before, no verdict now)."
    text = markdown(found)
    assert text.startswith("## Suite change fails")
    assert f"**{said.format('`value.scale`', '`air_time`')}**" in text
    assert said.format("value.scale", "air_time") in " ".join(terminal(found).split())
    assert "| 11 of 11 | 0 of 11 | 11 of 11 | n/a | `limit` |" in text
    assert "Pairs of faults in no rate: 11 caught before and without a verdict now." in text
    assert "`pipechaos replay t-d" in text
    (weakness,) = found.to_json()["result"]["weaknesses"]
    assert (weakness["movement"], weakness["lost"], weakness["silenced"]) == ("lost", 0, 11)
    assert len(weakness["silenced_trials"]) == 11
    assert found.to_json()["first"]["lost"] is True


def test_misses_and_crashes_are_told_apart():
    text = markdown(silenced(1, 2, 97))
    assert "2 of 100 no longer caught and 1 caught before, no verdict now)" in text
    assert "| 100 of 100 | 97 of 100 | 1 of 100 | 0.5 | `limit` |" in text
    assert silenced(1, 0, 99).exit_code() is ExitCode.GATE_FAILED
    assert silenced(1, 0, 99).exit_code(allow_losses=True) is ExitCode.OK


def test_without_crashes_nothing_is_said_of_them():
    assert "no verdict" not in markdown(silenced(0, 2, 9))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)


def test_hostile_names_stay_names():
    base = [fault(HOSTILE, TP, column=HOSTILE, check=HOSTILE), control(HOSTILE, TN), *QUIET]
    head = [fault(HOSTILE, FN, column=HOSTILE), control(HOSTILE, FP, check=HOSTILE), *QUIET]
    check = Check(id=HOSTILE, columns=(HOSTILE,), subject=Subject.VALUE)
    found = comparison(side(base, asked=HOSTILE), side(head, checks=[check]), notes=(HOSTILE,))
    text = markdown(found)
    tags = Tags()
    tags.feed(re.sub(r"\\<", "", text))
    assert tags.seen <= {"code"}
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "@all" not in text
    assert not re.search(r"^# h", text, re.MULTILINE)
    (row,) = [line for line in text.splitlines() if line.startswith("| `value.scale`")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 8
    shown = terminal(found)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<script>" in shown
    json.dumps(found.to_json(), allow_nan=False)


def test_a_comment_never_grows_past_its_limit():
    names = [f"{'column_' * 40}{i}\u00fc" for i in range(300)]
    base = [fault(d, TP, column=c, check=c) for d in DAYS for c in names] + QUIET
    head = [fault(d, FN, column=c) for d in DAYS for c in names] + [control(f"d{i}", FP, "c" * 500) for i in range(274)]
    checks = [Check(id=c, columns=(), subject=Subject.VALUE) for c in names]
    text = markdown(comparison(side(base, checks=checks), side(head)))
    assert len(text.encode()) <= LIMIT < 65_536
    assert "260 more; the JSON holds all of them" in text
    assert "and 254 more" in text
    small = markdown(comparison(side(base, checks=checks), side(head)), limit=4_000)
    assert len(small.encode()) <= 4_000
    assert small.startswith("## Suite change fails")
    assert "_Cut to stay under 4,000 bytes: " in small
    assert "Lost: 300 weaknesses" in small.splitlines()[-1]


@pytest.mark.parametrize(
    ("budget", "validators", "expected"), [(None, 1, 360), (1440, 2, 360), (100, 2, 50), (1, 2, 1)]
)
def test_the_default_is_never_more_than_a_run(budget, validators, expected):
    experiment = parse_experiment(
        {
            "name": "e",
            "batches": ["*"],
            "validators": [{"name": f"v{i}", "spec": "pandera:m:a"} for i in range(validators)],
            "preset": "quick",
            "budget": {"trials": budget},
        }
    )
    assert default_trials(experiment) == expected
