"""The pages in Airflow's UI, behind its login: runs of the store, each one's report, and the runs of one DAG run.

Airflow asks nobody to log in for the applications of plugins: each route here depends on it by itself. The routes that
FastAPI adds (its schema and its documentation) are outside of any dependency, and therefore off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from pipechaos.errors import ConfigError, PipechaosError

if TYPE_CHECKING:
    from pipechaos.store.database import Store
    from pipechaos.store.records import RunRecord

__all__ = ["app"]

_MOST = 100  # runs of a list
_NONE = "none"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

app = FastAPI(
    title="pipechaos",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[Depends(requires_access_dag("GET"))],
)


@app.get("/", response_class=HTMLResponse)
@app.get("/runs", response_class=HTMLResponse)
def runs(user: GetUserDep) -> HTMLResponse:
    """The latest runs that the user may see."""

    def make() -> str:
        from pipechaos.airflow.ui_pages import runs_page
        from pipechaos.airflow.ui_runs import listed

        with _store() as store:
            found = _visible(user, store.runs())
            return runs_page(
                listed(store, found[:_MOST]),
                store=store.shown,
                about="Whether the validators noticed the faults that were injected on purpose.",
                left_out=len(found[_MOST:]),
                empty="No run is kept yet: `pipechaos run EXPERIMENT --store ...` or a CampaignOperator keeps one.",
            )

    return _answer(make)


@app.get("/report", response_class=HTMLResponse)
def report(id: str, user: GetUserDep) -> HTMLResponse:
    """The report of one run."""

    def make() -> str:
        from pipechaos.airflow.ui_runs import report_page

        with _store() as store:
            may_see = {run.run_id for run in _visible(user, store.runs())}
            return report_page(store, id, may_see)

    return _answer(make, policy="frame-ancestors 'self'")  # the page brings a policy for all the rest


@app.get(
    "/dag-run",
    response_class=HTMLResponse,
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],  # of the DAG in the query
)
def dag_run(dag_id: str, run_id: str, user: GetUserDep) -> HTMLResponse:
    """What lanes in one DAG run missed, and the runs that its tasks made."""

    def make() -> str:
        from pipechaos.airflow.ui_lanes import lanes_in
        from pipechaos.airflow.ui_pages import runs_page
        from pipechaos.airflow.ui_runs import listed, made_by

        title, lanes = "Chaos in this DAG run", lanes_in(_results(dag_id, run_id, user))
        if lanes and not _named_store():  # a lane needs none
            return runs_page((), store="", title=title, lanes=lanes)
        with _store() as store:
            found = made_by(store.runs(), dag_id, run_id, _tasks(dag_id, run_id))
            return runs_page(
                listed(store, found[:_MOST]),
                store=store.shown,
                title=title,
                left_out=len(found[_MOST:]),
                empty="No task of this DAG run has kept a campaign in the store, and no lane has scored.",
                lanes=lanes,
            )

    return _answer(make)


def _answer(make: Callable[[], str], policy: str | None = None) -> HTMLResponse:
    """A page, or one that says why there is none."""
    from pipechaos.airflow.ui_pages import message_page
    from pipechaos.airflow.ui_pages import policy as own_policy
    from pipechaos.airflow.ui_runs import UnknownRunError

    try:
        page, status = make(), 200
    except PipechaosError as error:
        page, status, policy = message_page(str(error)), 404 if isinstance(error, UnknownRunError) else 503, None
    return HTMLResponse(page, status, {**_HEADERS, "Content-Security-Policy": policy or own_policy()})


def _store() -> Store:
    """The store that this Airflow is configured to show."""
    from pipechaos.store.opening import open_store

    place = _named_store()
    if not place:
        raise ConfigError(
            "no store is named: set PIPECHAOS_STORE for the API server, or `store` in the section [pipechaos] of "
            "airflow.cfg, to the path of a SQLite file or postgresql://USER:${PASSWORD}@HOST/DATABASE"
        )
    return open_store(place, create=False)


def _named_store() -> str:
    place = os.environ.get("PIPECHAOS_STORE") or conf.get("pipechaos", "store", fallback="")
    return "" if place == _NONE else str(place)


def _visible(user: GetUserDep, found: Collection[RunRecord]) -> tuple[RunRecord, ...]:
    """Runs but those of DAGs that the user may not read."""
    from pipechaos.airflow.ui_runs import dag_part, hidden_from

    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    with create_session() as session:
        hidden = hidden_from(readable, session.scalars(select(DagModel.dag_id)).all())
    return tuple(run for run in found if dag_part(run.run_id) not in hidden)


def _results(dag_id: str, run_id: str, user: GetUserDep) -> list[tuple[str, Any]]:
    """Results of tasks that could be scores of lanes, where the user may read XComs of the DAG."""
    asked = {"access_entity": DagAccessEntity.XCOM, "details": DagDetails(id=dag_id)}
    if not get_auth_manager().is_authorized_dag(method="GET", user=user, **asked):
        return []
    mine = (XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == XCOM_RETURN_KEY)
    with create_session() as session:
        found = session.execute(
            select(XComModel.task_id, XComModel.value).where(*mine, XComModel.task_id.endswith(".score"))
        )
        return [(row.task_id, row.value) for row in found]


def _tasks(dag_id: str, run_id: str) -> list[tuple[str, int]]:
    """Task ids and map indices of a DAG run."""
    query = select(TaskInstance.task_id, TaskInstance.map_index)
    with create_session() as session:
        rows = session.execute(query.where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id))
        return [(row.task_id, row.map_index) for row in rows]
