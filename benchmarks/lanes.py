"""What lanes cost the demo's DAG: off against a file that has none, and on against off.

    python benchmarks/lanes.py [DAYS]

Needs Airflow, pandera, Great Expectations and the demo's data. Parsing and serialising are CPU medians in one process;
runs are ``dag.test`` in processes of their own. Absolute times differ by machine; the ratios hold.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DAY = "2013-06-{:02}"
PARSES = 15
COSTS = """
import json, os, sys, time
from pathlib import Path
try:
    from airflow.dag_processing.dagbag import DagBag
except ModuleNotFoundError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag
from airflow.serialization import serialized_objects

serialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
place, original, without = Path(sys.argv[1]), Path(sys.argv[2]).read_text(), Path(sys.argv[3]).read_text()
files = {"none": (without, "on"), "off": (original, "off"), "on": (original, "on")}
found = {how: {"ms": []} for how in files}
for turn in range(int(sys.argv[4]) + 1):  # in turns, the first of them for warming up
    for how, (text, lanes) in files.items():
        place.write_text(text)
        os.environ["PIPECHAOS_LANES"] = lanes
        began = time.process_time()
        dag = DagBag(str(place)).dags["flights_chaos"]
        took = (time.process_time() - began) * 1000
        if turn:
            found[how]["ms"].append(took)
        found[how]["bytes"] = json.dumps(serialization.to_dict(dag))
        found[how]["tasks"] = len(dag.tasks)
print("=" + json.dumps(found))
"""


def parsed(place: Path) -> dict[str, dict]:
    """Parse time and serialised DAG: without lanes in the file, with lanes off, with lanes on."""
    from pipechaos.testing.dag_runs import _settings, _without_airflow

    text = (ROOT / "dags" / "flights_chaos.py").read_text(encoding="utf-8")
    text = text.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})")
    original, without = place / "original.txt", place / "without.txt"
    original.write_text(text, encoding="utf-8")
    without.write_text(re.sub(r"^    chaos_lane\(.*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    command = [sys.executable, "-c", COSTS, str(place / "flights_chaos.py"), str(original), str(without), str(PARSES)]
    env = {**_without_airflow(os.environ), **_settings(place / "airflow", str(place))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, dict] = json.loads(next(ln for ln in done.stdout.splitlines() if ln.startswith("="))[1:])
    return found


def ran(home: Path, lanes: str, days: int) -> float:
    """CPU seconds of so many runs of the DAG in one process, with all it starts."""
    from pipechaos.testing.dag_runs import run_dag

    began = os.times()
    env = {"PIPECHAOS_DEMO": str(home / lanes), "PIPECHAOS_LANES": lanes, "AIRFLOW_VAR_PIPECHAOS_HALT": "off"}
    confs = [{"day": DAY.format(d)} for d in range(3, 3 + days)]
    runs = run_dag(ROOT / "dags", "flights_chaos", confs, home=home / f"airflow-{lanes}-{days}", env=env)
    if {r.state for r in runs} != {"success"}:
        raise SystemExit(f"lanes {lanes}: {[r.tasks for r in runs]}")
    ended = os.times()
    return ended.children_user + ended.children_system - began.children_user - began.children_system


def main() -> None:
    """Measure and print plain lines."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    sys.path.insert(0, str(ROOT))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = parsed(place)
        # the start of Airflow and of the validators is paid once: more days less one day is days alone
        took = {lanes: (ran(place, lanes, 1), ran(place, lanes, 1 + days)) for lanes in ("off", "on")}
    ms = {how: statistics.median(f["ms"]) for how, f in found.items()}
    size, tasks = {how: len(f["bytes"]) for how, f in found.items()}, {how: f["tasks"] for how, f in found.items()}
    day = {lanes: (more - one) / days for lanes, (one, more) in took.items()}
    injections = 7  # three after extract, four after features
    print(f"parsing the file: {ms['none']:.1f} ms without lanes; off x {ms['off'] / ms['none']:.2f}, "
          f"on x {ms['on'] / ms['none']:.2f}")  # fmt: skip
    same = "the same" if found["off"]["bytes"] == found["none"]["bytes"] else "NOT THE SAME"
    print(f"serialised: {size['none']:,} bytes without lanes; off {same} bytes; on x {size['on'] / size['none']:.2f}")
    print(f"tasks: {tasks['none']} without lanes; off {tasks['off']}; on {tasks['on']}")
    print(f"a run by dag.test, start of Airflow apart: {day['off']:.2f} CPU s off; on x {day['on'] / day['off']:.2f}, "
          f"{(day['on'] - day['off']) / injections:.2f} s for each of {injections} injections")  # fmt: skip
    print(f"with the start, {1 + days} runs: {took['off'][1]:.1f} CPU s off; on x {took['on'][1] / took['off'][1]:.2f}")
    print(f"(measured in {time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
