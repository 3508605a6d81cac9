"""What one trial costs: injecting against judging, as ratios in one run.

    python benchmarks/costs.py

Median CPU milliseconds over real flight days, and the ratio to copying the batch's buffers into memory that was touched
before. Absolute times differ by machine; the ratios hold.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "dags"), str(ROOT / "expectations")]
RUNS = 15


def cpu(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median CPU milliseconds."""
    work()
    took = []
    for _ in range(runs):
        began = time.process_time()
        work()
        took.append((time.process_time() - began) * 1000)
    return statistics.median(took)


def main() -> None:
    """Measure and print a plain table."""
    from flights_features import KEY, TIME, write_batches
    from pandera_schemas.flights import flights_schema

    from pipechaos.batch.digest import digests
    from pipechaos.batch.frame import frame_digests
    from pipechaos.batch.io import read_batch
    from pipechaos.inject.engine import inject
    from pipechaos.plan.injection import Injection, Plan
    from pipechaos.plan.presets import pairs
    from pipechaos.plan.resolve import resolve
    from pipechaos.validate.gx_validator import GxValidator
    from pipechaos.validate.pandera_validator import PanderaValidator

    with tempfile.TemporaryDirectory() as home:
        days = write_batches(home, [date(2013, 6, 2), date(2013, 6, 3)])
        before, batch = (read_batch(p, key=KEY, time=TIME) for p in map(str, days))
    buffers = [np.frombuffer(b, np.uint8) for c in batch.table.columns for k in c.chunks for b in k.buffers() if b]
    copies = [np.empty_like(b) for b in buffers]
    frame = batch.to_pandas()
    injections = [
        Plan.of(Injection.of(p.fault, p.columns, placement=p.placement or None)) for p in pairs("standard", batch)
    ]

    def inject_all() -> None:
        for plan in injections:
            inject(resolve(plan, batch, (), earlier=(before,)), batch, {before.name: before})

    suite = json.loads((ROOT / "expectations" / "gx_suites" / "flights.json").read_text(encoding="utf-8"))
    gx, pandera = GxValidator(suite, name="gx"), PanderaValidator(flights_schema, name="pandera")
    copy = cpu(lambda: [np.copyto(to, b) for to, b in zip(copies, buffers, strict=True)], 200)
    rows = [
        (f"inject, mean of {len(injections)} fault-column pairs", cpu(inject_all, 3) / len(injections)),
        ("digests of a batch", cpu(lambda: digests(batch.table))),
        ("to pandas", cpu(batch.to_pandas)),
        ("digests of a frame", cpu(lambda: frame_digests(frame))),
        (f"pandera, {len(pandera.checks)} checks", cpu(lambda: pandera.run(frame))),
        (f"Great Expectations, {len(gx.checks)} expectations", cpu(lambda: gx.run(frame), 7)),
    ]
    print(
        f"{batch.rows} rows x {len(batch.columns)} columns, {sum(map(len, buffers)) / 1e3:.0f} kB; copy {copy:.4f} ms"
    )
    print(f"{'step':48} {'CPU ms':>9} {'x copy':>9} {'x inject':>9}")
    for name, took in rows:
        print(f"{name:48} {took:9.2f} {took / copy:9.0f} {took / rows[0][1]:9.1f}")


if __name__ == "__main__":
    main()
