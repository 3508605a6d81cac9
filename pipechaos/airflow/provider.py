"""What Airflow asks a provider about itself; the entry point ``apache_airflow_provider`` names it."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

_HERE = "pipechaos.airflow"


def get_provider_info() -> dict[str, Any]:
    """Provider info by Airflow's ``provider_info.schema.json``.

    Examples
    --------
    >>> get_provider_info()["task-decorators"][0]["name"]
    'chaos'
    """
    from importlib.metadata import version

    return {
        "package-name": "pipechaos",
        "name": "Pipechaos",
        "description": "Mutation testing for data validators, run where the data flows.",
        "versions": [version("pipechaos")],
        "integrations": [
            {
                "integration-name": "pipechaos",
                "external-doc-url": "https://pypi.org/project/pipechaos/",
                "tags": ["software"],
            }
        ],
        "operators": [{"integration-name": "pipechaos", "python-modules": [f"{_HERE}.operators", f"{_HERE}.drill"]}],
        "task-decorators": [{"name": "chaos", "class-name": f"{_HERE}.decorators.chaos_task"}],
        "notifications": [f"{_HERE}.notifier.PipechaosNotifier"],
        "extra-links": [f"{_HERE}.links.ChaosReportLink"],
    }
