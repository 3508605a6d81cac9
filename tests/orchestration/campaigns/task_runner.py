"""Executes a CampaignOperator as Airflow's task runner does, in a process that can be ended as it ends one.

Arguments: a JSON object with ``how`` (term, timeout or none) and the operator's own arguments. Prints how it went.
"""

import json
import signal
import sys
from types import SimpleNamespace

from pipechaos.airflow.failures import AirflowTaskTimeout
from pipechaos.airflow.operators import CampaignOperator


class Instance(SimpleNamespace):
    """A task instance; it says what was pushed."""

    def xcom_push(self, key, value):
        print(json.dumps({"pushed": key, "exit_code": value["exit_code"]}), flush=True)


def main(given):
    how, tried = given.pop("how"), given.pop("try")
    operator = CampaignOperator(task_id="campaign", **given)

    def ended(signum, frame):
        if how == "timeout":
            raise AirflowTaskTimeout
        operator.on_kill()  # and Airflow returns to what runs

    signal.signal(signal.SIGTERM, ended)
    instance = Instance(dag_id="drill", run_id="manual__1", task_id="campaign", map_index=-1, try_number=tried)
    try:
        result = operator.execute({"ti": instance})
    except AirflowTaskTimeout:
        operator.on_kill()
        return {"error": "AirflowTaskTimeout"}
    except BaseException as error:  # noqa: BLE001 - how it went is the answer
        return {"error": type(error).__name__, "message": str(error), "link": operator.report_link}
    return {"result": result, "link": operator.report_link}


print(json.dumps(main(json.loads(sys.argv[1])), allow_nan=False), flush=True)
