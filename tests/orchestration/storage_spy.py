"""What each task reads of Parquet files through Python's ``open``: put on the path as ``sitecustomize`` by tests.

It knows nothing of lanes. A file is digested when it is opened, so that what is written there later does not count.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

SEEN = Path(os.environ["STORAGE_SPY"])
BUSY = []


def watch(event, given):
    if event != "open" or BUSY or not str(given[0]).endswith(".parquet") or "w" in str(given[1]):
        return
    BUSY.append(1)
    try:
        name = ".".join(os.environ.get(f"AIRFLOW_CTX_{what}", "-") for what in ("DAG_ID", "DAG_RUN_ID", "TASK_ID"))
        line = {"file": str(given[0]), "digest": hashlib.sha256(Path(given[0]).read_bytes()).hexdigest()}
        SEEN.mkdir(exist_ok=True)
        with (SEEN / name).open("a") as to:
            to.write(json.dumps(line) + "\n")
    finally:
        BUSY.clear()


sys.addaudithook(watch)
