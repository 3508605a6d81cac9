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
    sample = plan.sample
    kinds = Counter(t.kind.value for t in (*plan.first, *plan.second))
    each = sum(
        _SECONDS[v.spec.partition(":")[0]] for v in experiment.validators if v.spec.partition(":")[0] in _SECONDS
    )
    estimate = plan.tasks * each / (os.cpu_count() or 1)
    data: dict[str, Any] = {
        "experiment": experiment.name,
        "batches": {
            "history": len(batches.history),
            "controls": len(batches.controls),
            "incidents": dict(batches.incidents),
        },
        "validators": [v.name for v in experiment.validators],
        "frames": dict(kinds),
        "weaknesses": [
            {"fault": m.pair.fault, "columns": list(m.pair.columns), "severity": m.severity, "bases": list(m.bases)}
            for m in sample.mutants
        ],
        "trials": sample.trials,
        "full_cross": sample.full_trials,
        "bases_each": sample.bases_each,
        "distinct_bases": sample.distinct_bases,
        "weight": sample.weight,
        "left_out": list(sample.dropped),
        "notes": list(plan.notes),
        "estimated_seconds": round(estimate, 1),
    }
    emit_json(data, json_to)
    out = people()
    out.print(f"{experiment.name}: nothing was touched. A run would do this:", style="bold")
    out.print(
        f"  batches     {len(batches.history)} history, {len(batches.controls)} controls and bases, "
        f"{len(batches.incidents)} incidents set apart"
    )
    out.print(
        f"  frames      {', '.join(f'{n} {k}' for k, n in kinds.items())}; "
        f"each judged by {', '.join(data['validators'])}"
    )
    out.print(
        f"  faults      {len(sample.mutants)} weaknesses (fault, columns, severity) on {sample.bases_each} of "
        f"{sample.bases} bases each: {sample.trials} of {sample.full_trials} trials; one base stands for {sample.weight:.1f}"
    )
    if sample.dropped:
        more = f" and {len(sample.dropped) - 6} more (all with --json -)" if len(sample.dropped) > 6 else ""
        out.print(f"  left out    {'; '.join(sample.dropped[:6])}{more}")
    for note in plan.notes:
        out.print(f"  note        {note}")
    out.print(f"  time        about {duration(estimate)}, by the validators' usual pace on 1,000 rows")
    pairs: dict[str, list[int]] = {}
    for mutant in sample.mutants:
        pairs.setdefault(str(mutant.pair), []).append(mutant.severity)
    for name, severities in pairs.items():
        out.print(f"    {name}  severity {', '.join(map(str, severities))}")
