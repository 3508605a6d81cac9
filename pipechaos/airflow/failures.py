"""How a task fails: the exceptions of Airflow from where each version has them.

Airflow 3.1 and 3.2 have a module ``airflow.sdk.exceptions`` without these names; later the old place warns.
"""

from __future__ import annotations

from typing import Any

try:
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
except ImportError:
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from pipechaos.errors import CannotRunError, PipechaosError

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "Cancelled",
    "failure_of",
]


class Cancelled(BaseException):
    """Airflow told a running task to end.

    Not an ``Exception``: no library on the way may take it for an error of its own and go on. Airflow fails the task
    with it and tries again where retries are left.
    """


def failure_of(error: PipechaosError) -> Any:
    """The exception to raise for an error of ours: what no retry mends fails for good, and a halt is no failure."""
    from pipechaos.safety.switch import Halted

    if isinstance(error, Halted):
        return AirflowSkipException(str(error))
    kind = AirflowException if isinstance(error, CannotRunError) else AirflowFailException
    return kind(str(error))
