"""``pipechaos demo``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import people

if TYPE_CHECKING:
    from pipechaos.testing.dag_runs import DagRun

__all__ = ["command"]

_CHECKOUT = Path(__file__).resolve().parents[2]
_DAYS = ("2013-06-03", "2013-06-04", "2013-06-05")
_STAGES = ("extract", "features")  # those with a lane


@click.command("demo")
@click.option("--out", default="build/demo", show_default=True, help="Folder for everything the demo writes.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes [default: one for each processor].")
@click.option("--skip-dag", is_flag=True, help="Only the campaign.")
def command(out: str, jobs: int | None, skip_dag: bool) -> None:
    """Run a real Airflow DAG on three days of real flights, then a campaign over nine months; no server, no network."""
    from pipechaos.campaign.experiment import load_experiment
    from pipechaos.cli.run import Wanted, run_and_report

    dags = _CHECKOUT / "dags"
    if not (dags / "flights_chaos.py").is_file():
        people().print(
            "pipechaos: the demo needs a checkout of pipechaos (its dags/ and expectations/): run `make demo` there"
        )
        sys.exit(2)
    home = Path(out).resolve()
    home.mkdir(parents=True, exist_ok=True)
    say = people().print
    if not skip_dag:
        say("1/3  Airflow: extract, features, validate, publish; lanes break copies at two stages")
        _show_runs(_run_dag(dags, home))
    say("2/3  Features of all 365 days of 2013", style="bold" if skip_dag else None)
    _features(dags, home)
    say("3/3  The campaign: who notices what, and who cries wolf")
    file = _experiment(dags, home)
    shown = os.path.relpath(file)
    wanted = Wanted(jobs=jobs, store=str(home / "runs.db"))
    sys.exit(run_and_report(load_experiment(file), home, Path(shown).with_suffix(".out"), source=shown, wanted=wanted))


def _run_dag(dags: Path, home: Path) -> Sequence[DagRun]:
    from pipechaos.testing.dag_runs import run_dag

    return run_dag(
        dags,
        "flights_chaos",
        [{"day": day} for day in _DAYS],
        home=home / "airflow",
        wanted=[f"chaos_{stage}.score" for stage in _STAGES],
        env={"PIPECHAOS_DEMO": str(home), "PIPECHAOS_LANES": "on", "AIRFLOW_VAR_PIPECHAOS_HALT": "off"},
    )


def _show_runs(runs: Sequence[DagRun]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("day", "DAG run", "after", "broken copy", "cells", "noticed by", "missed by"):
        table.add_column(name)
    for run in runs:
        lines = [line for stage in _STAGES for line in _lane(stage, run.results.get(f"chaos_{stage}.score") or {})]
        for i, line in enumerate(lines or [("-", "no lane was scored: see the log of its tasks")]):
            table.add_row(*((run.conf["day"], run.state) if i == 0 else ("", "")), *line)
    people().print(table)


def _lane(stage: str, score: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Lines of one lane: a copy each, and who noticed it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for o in score.get("outcomes", ()):
        at = found.setdefault((o["fault"], ", ".join(o["columns"])), {"changed": str(o["changed"])})
        noticed, missed = o["outcome"] == "tp", o["outcome"] == "fn"
        name = o["validator"].rpartition(".")[2]  # without the task that asked it
        said = name if noticed or missed else f"{name} ({o['outcome']})"
        at.setdefault("noticed" if noticed else "missed", []).append(said)
    for (fault, columns), o in found.items():
        who = (", ".join(o.get(k, ())) or "-" for k in ("noticed", "missed"))
        yield (stage, f"{fault} on {columns}", o["changed"], *who)


def _features(dags: Path, home: Path) -> None:
    spec = importlib.util.spec_from_file_location("flights_features", dags / "flights_features.py")
    assert spec is not None and spec.loader is not None  # noqa: S101 - the file is part of the checkout
    module = importlib.util.module_from_spec(spec)
    sys.modules["flights_features"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    module.write_batches(home / "features")


def _experiment(dags: Path, home: Path) -> Path:
    """The demo's experiment beside its data; only the way to the suites depends on where that is."""
    from pipechaos.batch.textfile import write_text

    text = (dags / "flights.yaml").read_text(encoding="utf-8")
    here = Path(os.path.relpath(_CHECKOUT / "expectations", home)).as_posix()
    write_text(home / "flights.yaml", text.replace("roots: [../../expectations]", f"roots: [{here}]"))
    return home / "flights.yaml"
