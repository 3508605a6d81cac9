"""Every night a drill on the demo's flights: last night's batch broken in those ways whose turn it is.

Before the first night say that nothing is halted: `airflow variables set pipechaos_halt off`. A Variable that is not
there halts, as everything does that cannot be read; drills are then skipped. Any other value stops them at once.
"""

import os
from datetime import datetime
from pathlib import Path

from airflow.sdk import Param, dag

from pipechaos.airflow.drill import DrillOperator
from pipechaos.airflow.notifier import PipechaosNotifier

HOME = Path(os.environ.get("PIPECHAOS_DEMO", "build/demo")).resolve()


@dag(
    schedule="0 5 * * *",
    start_date=datetime(2013, 4, 1),
    catchup=False,  # a night that was missed stays missed: its faults come first in the next one
    max_active_runs=1,
    params={"until": Param(None, type=["null", "string"]), "release": Param(False, type="boolean")},
    tags=["pipechaos"],
)
def flights_drill():
    DrillOperator(
        task_id="drill",
        experiment=str(HOME / "flights.yaml"),
        store=str(HOME / "runs.db"),
        out=str(HOME / "drills"),
        settings={"period_days": 14, "every_days": 1, "until": "{{ params.until or '' }}"},
        release="{{ params.release }}",
        halt_variable="pipechaos_halt",
        notify=PipechaosNotifier(),  # into the log; with to=... and slack_conn_id=... by e-mail and Slack as well
        retries=2,
    )


flights_drill()
