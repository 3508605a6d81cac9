"""Runs operators in a process of its own: a line of JSON in says which and with what, a line of JSON out how it went.

Airflow warns about its own libraries while it is imported and creates a home; neither belongs into the tests' process.
"""

import json
import sys


def answer(call):
    from pipechaos.airflow import operators

    operator = getattr(operators, call["operator"])(task_id="t", **call["arguments"])
    try:
        return {"result": operator.execute(call["context"])}
    except Exception as error:  # noqa: BLE001 - how it went is the answer
        return {"error": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    print("=" + json.dumps(answer(json.loads(line)), allow_nan=False), flush=True)
