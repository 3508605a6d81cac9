"""The plugin of Airflow's UI. Every scheduler and every task loads plugins: nothing heavy is imported before a request.

The pages and who may see them are in :mod:`pipechaos.airflow.ui`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from pipechaos.airflow.addresses import PAGES, page_address

__all__ = ["PipechaosPlugin"]


async def _pages(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """The web application, imported by the first request to it."""
    from pipechaos.airflow.ui import app

    await app(scope, receive, send)


class PipechaosPlugin(AirflowPlugin):
    """Runs of the store in the menu under Browse, and a tab with its runs on each DAG run."""

    name = "pipechaos"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": _pages, "url_prefix": PAGES, "name": "pipechaos"}]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Chaos runs",
            "href": page_address("/runs"),
            "destination": "nav",
            "category": "browse",
            "url_route": "pipechaos-runs",
        },
        {
            "name": "Chaos",
            "href": page_address("/dag-run?dag_id={DAG_ID}&run_id={RUN_ID}"),
            "destination": "dag_run",
            "url_route": "pipechaos-run",
        },
    ]
