"""The plugin of Airflow's UI. Every scheduler and every task loads plugins: nothing heavy is imported before a request.

The pages and who may see them are in :mod:`pipechaos.airflow.ui`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

__all__ = ["PipechaosPlugin"]

_PREFIX = "/pipechaos"


async def _pages(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """The web application, imported by the first request to it."""
    from pipechaos.airflow.ui import app

    await app(scope, receive, send)


def _address(page: str) -> str:
    """Address of a page in the browser, also where Airflow is served below a path."""
    return f"{urlsplit(str(conf.get('api', 'base_url', fallback=''))).path.rstrip('/')}{_PREFIX}{page}"


class PipechaosPlugin(AirflowPlugin):
    """Runs of the store in the menu under Browse, and a tab with its runs on each DAG run."""

    name = "pipechaos"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": _pages, "url_prefix": _PREFIX, "name": "pipechaos"}]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Chaos runs",
            "href": _address("/runs"),
            "destination": "nav",
            "category": "browse",
            "url_route": "pipechaos-runs",
        },
        {
            "name": "Chaos",
            "href": _address("/dag-run?dag_id={DAG_ID}&run_id={RUN_ID}"),
            "destination": "dag_run",
            "url_route": "pipechaos-run",
        },
    ]
