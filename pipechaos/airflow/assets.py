"""Assets that carry a score: another DAG is scheduled on them.

Airflow sends an event for every outlet of a task that succeeds, so the asset of failed gates is reached through an
alias: an alias without an event updates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias

__all__ = ["gate_failed_alias", "gate_failed_asset", "outlets_of", "publish_score", "score_asset", "score_extra"]


def score_asset(name: str) -> Any:
    """Asset that is updated by every campaign published under a name: ``x-pipechaos://NAME/score``."""
    return Asset(name=f"pipechaos/{name}/score", uri=_uri(name, "score"), group="pipechaos")


def gate_failed_asset(name: str) -> Any:
    """Asset that is updated only when a gate failed: ``x-pipechaos://NAME/gate-failed``."""
    return Asset(name=f"pipechaos/{name}/gate-failed", uri=_uri(name, "gate-failed"), group="pipechaos")


def gate_failed_alias(name: str) -> Any:
    """Outlet through which :func:`gate_failed_asset` is updated."""
    return AssetAlias(name=f"pipechaos/{name}/gate-failed", group="pipechaos")


def outlets_of(name: str) -> list[Any]:
    """Outlets of a task that publishes under a name."""
    return [score_asset(name), gate_failed_alias(name)]


def score_extra(result: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of a campaign's result: plain JSON, no NaN and no data value."""
    wanted = ("run_id", "experiment", "exit_code", "verdict", "validators", "survivors", "gates", "baseline", "files")
    return {key: result[key] for key in wanted}


def publish_score(events: Any, name: str, result: Mapping[str, Any]) -> None:
    """Attach a result to the events of a task whose outlets are :func:`outlets_of` the same name.

    Parameters
    ----------
    events
        ``context["outlet_events"]``.
    name
        As in the outlets.
    result
        Of a campaign.
    """
    extra = score_extra(result)
    events[score_asset(name)].extra = extra
    if result["verdict"] == "gate_failed":
        events[gate_failed_alias(name)].add(gate_failed_asset(name), extra=extra)


def _uri(name: str, what: str) -> str:
    return f"x-pipechaos://{quote(name, safe='')}/{what}"
