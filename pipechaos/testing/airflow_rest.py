"""Airflow's REST API as tests need it: log in, trigger, wait, halt, read results. Only the standard library."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from pipechaos.errors import CannotRunError

__all__ = ["AirflowServer", "Answer", "until"]

_ENDED = ("success", "failed")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said.

    Attributes
    ----------
    status
        HTTP status.
    headers
        By lower-case name.
    body
        Bytes as text.
    """

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> Any:
        """The body as JSON; None where there is none."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, kw_only=True)
class AirflowServer:
    """A running Airflow.

    Attributes
    ----------
    url
        Of its API server.
    home
        Its AIRFLOW_HOME, with a log of each component.
    passwords
        Of its users, by name.
    process_ids
        Gives the process id of each component by its name (``"scheduler"``), as they are now.
    restart
        Ends what is left of a component, given its name, and starts it again.
    """

    url: str
    home: Path
    passwords: Mapping[str, str] = field(repr=False)
    process_ids: Callable[[], Mapping[str, int]] = field(repr=False)
    restart: Callable[[str], None] = field(repr=False)

    @property
    def leaders(self) -> tuple[int, ...]:
        """Ids of its components' processes."""
        return tuple(self.process_ids().values())

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 120,
    ) -> Answer:
        """Send one request, as nobody unless ``headers`` say who; an error status is an answer too."""
        return _ask(self.url + path, method, body, headers or {}, timeout_seconds)

    def token(self, user: str = "admin") -> str:
        """Log in, and return the token."""
        said = self.ask("POST", "/auth/token", {"username": user, "password": self.passwords[user]})
        return str(_fine(said, "a token")["access_token"])

    def rest(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, user: str = "admin") -> Any:
        """Document that Airflow's REST API gives for a path below ``/api/v2``.

        Raises
        ------
        CannotRunError
            It answered with an error.
        """
        login = {"Authorization": f"Bearer {self.token(user)}"}
        return _fine(self.ask(method, f"/api/v2{path}", body, headers=login), f"{method} {path}")

    def wait_for_dag(self, dag_id: str, *, timeout_seconds: float = 600) -> None:
        """Wait until the DAG processor has read a DAG.

        Raises
        ------
        CannotRunError
            It has an import error, or is not there in time.
        """
        for _ in until(timeout_seconds):
            found = self.rest("GET", "/dags?limit=500")["dags"]
            if any(dag["dag_id"] == dag_id for dag in found):
                return
            errors = self.rest("GET", "/importErrors")["import_errors"]
            if errors:
                raise CannotRunError("\n".join(e["stack_trace"] for e in errors))
        raise CannotRunError(f"DAG {dag_id!r} did not appear within {timeout_seconds:g} seconds (logs: {self.home})")

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None) -> str:
        """Start a run, and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {}), **({"dag_run_id": run_id} if run_id else {})}
        return str(self.rest("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def halt(self, dag_id: str, run_id: str) -> None:
        """Set a run to failed while it goes."""
        self.rest("PATCH", _run(dag_id, run_id), {"state": "failed"})

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_seconds: float = 600) -> str:
        """Wait until a run has ended, and return its state.

        Raises
        ------
        CannotRunError
            It has not ended in time; the message says how far its tasks came.
        """
        for _ in until(timeout_seconds):
            state = str(self.rest("GET", _run(dag_id, run_id))["state"])
            if state in _ENDED:
                return state
        states = {name: task["state"] for name, task in self.tasks(dag_id, run_id).items()}
        raise CannotRunError(f"run {run_id!r} of {dag_id!r} did not end: {states} (logs: {self.home})")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, Mapping[str, Any]]:
        """Task instances of a run as REST gives them, by ``id`` or ``id[map index]``."""
        found = self.rest("GET", f"{_run(dag_id, run_id)}/taskInstances?limit=500")["task_instances"]
        return {f"{t['task_id']}[{t['map_index']}]" if t["map_index"] >= 0 else t["task_id"]: t for t in found}

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/xcomEntries/return_value"
        return self.rest("GET", f"{path}?map_index={map_index}&stringify=false")["value"]


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def until(seconds: float) -> Iterator[None]:
    """Go round four times a second until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.25)


def _ask(
    url: str, method: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], timeout_seconds: float
) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    request = Request(url, data=data, method=method, headers={**kind, **headers})  # noqa: S310 - our own server
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=timeout_seconds) as said:
            return _answer(said.status, said.headers.items(), said.read())
    except HTTPError as said:
        with said:
            return _answer(said.code, said.headers.items(), said.read())


def _answer(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    return Answer(
        status=status, headers={k.lower(): v for k, v in headers}, body=body.decode("utf-8", errors="replace")
    )


def _fine(said: Answer, what: str) -> Any:
    if said.status >= 400:
        raise CannotRunError(f"{what}: Airflow answered {said.status}: {said.body[:2000]}")
    return said.document
