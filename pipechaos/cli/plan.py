"""``pipechaos plan``."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.experiments import default_out, opened, seed_option
from pipechaos.report.duration import duration

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.tasks import CampaignPlan

__all__ = ["command", "show_plan"]

# CPU seconds that a frame of 1,000 rows costs a validator with some thirty checks; only for the estimate
_SECONDS = {"pandera": 0.05, "gx": 0.4, "callable": 0.02, "dataframely": 0.02, "pointblank": 0.6}
_FIXED = 0.3  # part of that which no smaller frame saves
_SHOWN = 6  # faults that were left out, by name


@click.command("plan")
@click.argument("experiment")
@seed_option
@click.option("--budget", type=click.IntRange(1), help="Most faulty trials, instead of the experiment's.")
@json_option
def command(experiment: str, seed: int | None, budget: int | None, json_to: str | None) -> None:
    """Say what running EXPERIMENT would break, how often, and about how long it takes; nothing is touched."""
    parsed, root = opened(experiment, seed=seed, trials=budget)
    show_plan(parsed, root, default_out(experiment), json_to)


def show_plan(experiment: Experiment, root: Path, out: Path, json_to: str | None) -> None:
    """Lay out a run and print it; results of an earlier run, if there are any, tell how long it takes."""
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.tasks import plan_campaign

    batches = Batches(experiment, root)
    plan = plan_campaign(experiment, batches)
    data = _described(experiment, batches, plan, _pace(out, [v.name for v in experiment.validators]))
    emit_json(data, json_to)
    _print(data)


def _pace(out: Path, validators: Sequence[str]) -> float | None:
    """Seconds that a frame took in the run before, everything included; None where there was none."""
    try:
        runtime = json.loads((out / "scorecard.json").read_text(encoding="utf-8"))["runtime"]
        frames = max(int(runtime["validators"][name]["trials"]) for name in validators)
        return float(runtime["seconds"]["total"]) / frames
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def _described(experiment: Experiment, batches: Batches, plan: CampaignPlan, pace: float | None) -> dict[str, Any]:
    sample = plan.sample
    size = max(_FIXED, batches.load(batches.controls[0]).rows / 1000)
    guess = sum(_SECONDS.get(v.spec.partition(":")[0], 0.0) for v in experiment.validators) * size
    each = guess / (os.cpu_count() or 1) if pace is None else pace
    return {
        "experiment": experiment.name,
        "history": len(batches.history),
        "controls": len(batches.controls),
        "incidents": dict(batches.incidents),
        "validators": [v.name for v in experiment.validators],
        "frames": dict(Counter(t.kind.value for t in (*plan.first, *plan.second))),
        "weaknesses": [
            {"pair": str(m.pair), "fault": m.pair.fault, "columns": list(m.pair.columns), "severity": m.severity}
            | {"bases": list(m.bases)}
            for m in sample.mutants
        ],
        "trials": sample.trials,
        "full_cross": sample.full_trials,
        "bases": sample.bases,
        "bases_each": sample.bases_each,
        "distinct_bases": sample.distinct_bases,
        "weight": sample.weight,
        "left_out": list(sample.dropped),
        "notes": list(plan.notes),
        "estimated_seconds": round(plan.tasks * each, 1),
        "estimated_from": "a usual pace" if pace is None else "the last run",
        "minutes": experiment.budget.minutes,
    }


def _print(data: dict[str, Any]) -> None:
    from pipechaos.report.escape import visible

    def say(text: str, **style: Any) -> None:
        people().print(visible(text), **style)

    frames = ", ".join(f"{n} {kind}" for kind, n in data["frames"].items())
    say(f"{data['experiment']}: nothing was touched. A run would do this:", style="bold")
    say(
        f"  batches     {data['history']} history, {data['controls']} controls and bases, "
        f"{len(data['incidents'])} set apart"
    )
    say(f"  frames      {frames}; each judged by {', '.join(data['validators'])}")
    say(
        f"  faults      {len(data['weaknesses'])} weaknesses (fault, columns, severity), "
        f"each on {data['bases_each']} of {data['bases']} bases"
    )
    weight = "" if data["weight"] == 1 else f": one base stands for {data['weight']:.1f}"
    say(f"  trials      {data['trials']} of the {data['full_cross']} of the full cross{weight}")
    if data["left_out"]:
        say(f"  left out    {_left_out(data['left_out'])}")
    for note in data["notes"]:
        say(f"  note        {note}")
    measured = "the last run's pace" if data["estimated_from"] == "the last run" else "a rough guess before a first run"
    say(f"  time        about {duration(data['estimated_seconds'])} ({measured})")
    minutes = data["minutes"]
    if minutes is not None and data["estimated_seconds"] > minutes * 60:
        say(f"  note        more than the budget of {minutes:g} minutes, which ends the run: lower budget.trials")
    pairs: dict[str, list[str]] = {}
    for weakness in data["weaknesses"]:
        pairs.setdefault(weakness["pair"], []).append(str(weakness["severity"]))
    for name, severities in pairs.items():
        say(f"    {name}  severity {', '.join(severities)}")


def _left_out(names: list[str]) -> str:
    """Fault-column pairs that have no room, counted by fault."""
    faults = Counter(name.partition(" on ")[0] for name in names)
    shown = ", ".join(f"{fault} on {n}" for fault, n in faults.most_common(_SHOWN))
    rest = len(faults) - _SHOWN
    more = f" and {rest} faults more (all with --json -)" if rest > 0 else ""
    return f"{len(names)} fault-column pairs that had no room: {shown}{more}"
