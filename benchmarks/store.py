"""What keeping trials costs: SQLite and PostgreSQL against the same trials as one Parquet file.

    python benchmarks/store.py [--trials 48000] [--postgres URL]

Best wall seconds of three, and the ratio to Parquet. Absolute times differ by machine; the ratios hold. The PostgreSQL
database should be empty; what is written there is left behind under run ids that start with ``benchmark-``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipechaos.campaign.trials_io import write_trials
from pipechaos.plan.injection import Injection
from pipechaos.score.records import FindingRef, Outcome, Trial, TrialKind
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunRecord
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus


def trials_like_real_ones(count: int) -> list[Trial]:
    """Faulty trials with two findings each, half of them missed."""
    found = tuple(
        FindingRef(check=f"arr_delay:check_{n}", columns=("arr_delay",), kind=FindingKind.FAIL, subject=Subject.VALUE)
        for n in range(2)
    )
    injection = Injection.of("null.mcar", "arr_delay", severity=3)
    first = Trial(
        trial_id="",
        kind=TrialKind.FAULT,
        validator="pandera",
        batch="2013-06-03",
        outcome=Outcome.TP,
        fault=injection.fault,
        family="missing",
        columns=injection.columns,
        params=dict(injection.params),
        fraction=injection.fraction,
        severity=3,
        weakness_id=injection.weakness_id("pandera"),
        injection_id=injection.injection_id("2013-06-03"),
        eligible=900,
        changed=180,
        dose=0.2,
        source_digest="0" * 32,
        after_digest="1" * 32,
        frame_digest="2" * 32,
        base_status=VerdictStatus.ACCEPTED,
        status=VerdictStatus.REJECTED,
        findings=found,
        seconds=0.04,
    )
    missed = replace(first, outcome=Outcome.FN, status=VerdictStatus.ACCEPTED, findings=())
    return [replace((first, missed)[n % 2], trial_id=f"{n:016x}") for n in range(count)]


def best(work: Callable[[int], object], runs: int = 3) -> float:
    """Least wall seconds of some runs."""
    took = []
    for n in range(runs):
        began = time.perf_counter()
        work(n)
        took.append(time.perf_counter() - began)
    return min(took)


def insert(address: str, trials: list[Trial]) -> tuple[float, float]:
    """Seconds to insert all, and milliseconds to commit the two trials of one task."""
    with open_store(address) as store:
        for name in range(3):
            at = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
            record = RunRecord(
                run_id=f"benchmark-{name}", experiment="benchmark", experiment_digest="", seed=0, started=at
            )
            store.begin(record)
        whole = best(lambda n: store.add_trials(f"benchmark-{n}", trials))
        began = time.perf_counter()
        for n in range(200):
            pair = [replace(t, trial_id=f"small-{n}-{k}") for k, t in enumerate(trials[:2])]
            store.add_trials("benchmark-0", pair)
        return whole, (time.perf_counter() - began) / 200 * 1000


def main() -> None:
    """Measure and print a plain table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=48_000)
    parser.add_argument("--postgres", help="postgresql://... of an empty database")
    given = parser.parse_args()
    trials = trials_like_real_ones(given.trials)
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "trials.parquet"
        parquet = best(lambda _: write_trials(trials, file))
        print(f"{len(trials):,} trials; Parquet {parquet:.2f} s, {file.stat().st_size / 1e6:.1f} MB")
        places = {"SQLite": f"{home}/store.db"} | ({"PostgreSQL": given.postgres} if given.postgres else {})
        print(f"{'store':12} {'seconds':>8} {'x Parquet':>10} {'ms a task':>10}")
        for name, address in places.items():
            seconds, task = insert(address, trials)
            print(f"{name:12} {seconds:8.2f} {seconds / parquet:10.1f} {task:10.2f}")


if __name__ == "__main__":
    main()
