"""``pipechaos plan``."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.experiments import duration, opened

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.tasks import CampaignPlan

__all__ = ["command", "show_plan"]

# CPU seconds a frame of about 1,000 rows costs a validator, as measured in benchmarks/; only for the estimate
_SECONDS = {"pandera": 0.05, "gx": 0.4, "callable": 0.02}


@click.command("plan")
@click.argument("experiment")
@click.option("--seed", type=int, help="Another seed than the experiment's.")
@click.option("--budget", type=click.IntRange(1), help="Most faulty trials, instead of the experiment's.")
@json_option
def command(experiment: str, seed: int | None, budget: int | None, json_to: str | None) -> None:
    """Say what running EXPERIMENT would break, how often, and about how long it takes; nothing is touched."""
    parsed, root = opened(experiment, seed=seed, trials=budget)
    show_plan(parsed, root, json_to)


def show_plan(experiment: Experiment, root: Path, json_to: str | None) -> None:
    """Lay out a run and print it."""
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.tasks import plan_campaign

    batches = Batches(experiment, root)
    plan = plan_campaign(experiment, batches)
    data = _described(experiment, batches, plan)
    emit_json(data, json_to)
    _print(data)


def _described(experiment: Experiment, batches: Batches, plan: CampaignPlan) -> dict[str, Any]:
    sample = plan.sample
    each = sum(_SECONDS.get(v.spec.partition(":")[0], 0.0) for v in experiment.validators)
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
        "estimated_seconds": round(plan.tasks * each / (os.cpu_count() or 1), 1),
    }


def _print(data: dict[str, Any]) -> None:
    say = people().print
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
    say(f"  trials      {data['trials']} of {data['full_cross']}: one base stands for {data['weight']:.1f}")
    left_out = data["left_out"]
    if left_out:
        more = f" and {len(left_out) - 6} more (all with --json -)" if len(left_out) > 6 else ""
        say(f"  left out    {'; '.join(left_out[:6])}{more}")
    for note in data["notes"]:
        say(f"  note        {note}")
    say(f"  time        about {duration(data['estimated_seconds'])}, by the validators' usual pace on 1,000 rows")
    pairs: dict[str, list[str]] = {}
    for weakness in data["weaknesses"]:
        pairs.setdefault(weakness["pair"], []).append(str(weakness["severity"]))
    for name, severities in pairs.items():
        say(f"    {name}  severity {', '.join(severities)}")
