"""Operators for whole campaigns: run one in a task, and decide on what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

from pipechaos.airflow.fail_on import FailOn, fail_on_of
from pipechaos.airflow.failures import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    Cancelled,
    failure_of,
)
from pipechaos.airflow.links import ChaosReportLink, report_link
from pipechaos.airflow.stores import check_store, store_of
from pipechaos.errors import ConfigError, PipechaosError

__all__ = ["CampaignGateOperator", "CampaignOperator", "CampaignTask"]


class CampaignTask(BaseOperator):
    """A task that runs a campaign, a part of one or a drill, and stops when Airflow ends it."""

    _running = False

    @contextmanager
    def campaign(self) -> Iterator[None]:
        """While it runs; what goes wrong becomes Airflow's own exceptions."""
        self._running = True
        try:
            yield
        except PipechaosError as error:
            raise failure_of(error) from error
        finally:
            self._running = False

    def on_kill(self) -> None:
        """End the running campaign: its worker processes go, what is committed stays, and the next try goes on.

        Raises
        ------
        Cancelled
            Airflow calls this in the middle of what runs, and would let it run on.
        """
        if self._running:
            self._running = False
            raise Cancelled("Airflow ended the task: the campaign stops here, and its store keeps what was committed")


class CampaignOperator(CampaignTask):
    """Run a whole campaign in one task: a trial takes milliseconds, a task of its own seconds.

    Parameters
    ----------
    experiment
        Path of an experiment file, or what it would say as a mapping.
    out
        Folder of the results; a folder of its own for each mapped task.
    store
        Where the run is kept while it goes: a SQLite file or ``postgresql://USER:${PASSWORD}@HOST/DATABASE``. With it
        a retry of the task goes on where the try before was ended, and does nothing twice; without it a retry begins
        anew and finds the same.
    store_conn_id
        Airflow connection in its place, of type ``postgres`` or ``sqlite``: no password stands in the DAG. It is looked
        up when the task runs.
    root
        Folder that relative paths of the experiment start from; that of its file where there is one.
    gates
        In place of the experiment's own, as there.
    baseline
        File of accepted survivors. Entries expire by the day on which the run began, however late a retry comes.
    jobs
        Worker processes.
    values
        Whether data values may be shown and written.
    formats
        Further formats of the report, for instance ``["junit", "sarif"]``.
    fail_on
        What of a finished run fails the task: ``gate_failed``, ``inconclusive``, both or none. Another try would find
        the same, so it fails for good; only a run that its budget of minutes stopped may be tried again. A run that
        could not judge always fails.
    publish
        Name under which the score is published as asset events; see :mod:`pipechaos.airflow.assets`. Airflow sends
        events of tasks that succeed, so that ``fail_on`` must be empty: let a :class:`CampaignGateOperator` decide.
    report_url
        Web address of the report for the link in the UI, with ``{run_id}`` and ``{experiment}``; otherwise our plugin's
        page where there is a store. Airflow shows no button for a file.
    halt_file, halt_variable
        The kill switch: a file that halts by being there, a Variable that has to say ``off``. It is asked before every
        frame; what cannot be read counts as on. A halted campaign is skipped, and goes on when its task is cleared.

    Returns
    -------
    dict
        ``run_id, experiment, exit_code, verdict, stopped, halted, trials, resumed_tasks, injection_errors, blind,
        paranoid, validators`` (rates with interval and counts, number of survivors), ``survivors, gates, baseline,
        files, problem``: plain values without NaN. It is there for other tasks also where a gate failed this one.
    """

    template_fields: ClassVar[Sequence[str]] = (
        "experiment", "out", "store", "store_conn_id", "root", "gates", "baseline", "jobs", "formats", "report_url",
        "halt_file", "halt_variable",
    )  # fmt: skip
    operator_extra_links = (ChaosReportLink(),)
    ui_color = "#e9dcf2"

    def __init__(
        self,
        *,
        experiment: str | Mapping[str, Any],
        out: str,
        store: str | None = None,
        store_conn_id: str | None = None,
        root: str | None = None,
        gates: Sequence[Mapping[str, Any]] | None = None,
        baseline: str | None = None,
        jobs: int | str = 2,
        values: bool = False,
        formats: Sequence[str] = (),
        fail_on: str | Sequence[str] = ("gate_failed",),
        publish: str | None = None,
        report_url: str | None = None,
        halt_file: str | None = None,
        halt_variable: str | None = None,
        **kwargs: Any,
    ) -> None:
        chosen = fail_on_of(fail_on)
        check_store(store, store_conn_id)
        if publish is not None:
            from pipechaos.airflow.assets import outlets_of

            if chosen:
                raise ConfigError(
                    f"publish={publish!r} with fail_on={', '.join(chosen)}: Airflow drops the events of a task that "
                    "fails, so nothing would be published. Give fail_on=(), and let CampaignGateOperator fail after it."
                )
            given = _listed(kwargs.get("outlets"))
            kwargs["outlets"] = [*given, *(o for o in outlets_of(publish) if o not in given)]
        super().__init__(**kwargs)
        self.experiment, self.out, self.root = experiment, out, root
        self.store, self.store_conn_id = store, store_conn_id
        self.gates, self.baseline, self.jobs, self.values, self.formats = gates, baseline, jobs, values, formats
        self.fail_on, self.publish, self.report_url = chosen, publish, report_url
        self.halt_file, self.halt_variable = halt_file, halt_variable
        self.report_link = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Run it, publish the score, and fail where that is asked for."""
        from pipechaos.airflow.campaign import TaskKey, run_campaign_task
        from pipechaos.airflow.halting import switch_of
        from pipechaos.airflow.messages import message_of

        with self.campaign():
            store = store_of(self.store, self.store_conn_id)
            result = run_campaign_task(
                self.experiment,
                out=self.out,
                task=TaskKey.of(context["ti"]) if store else None,
                store=store,
                root=self.root,
                gates=self.gates,
                baseline=self.baseline,
                jobs=int(self.jobs),
                values=self.values,
                formats=self.formats,
                halt=switch_of(self.halt_file, self.halt_variable).check,
                say=self.log.info,
            )
        self.report_link = report_link(result, self.report_url)
        self.log.info("%s", message_of(result, {"task": self.task_id}))
        if result["halted"]:
            context["ti"].xcom_push(key="return_value", value=result)
            raise AirflowSkipException(result["stopped"])
        if self.publish is not None:
            from pipechaos.airflow.assets import publish_score

            publish_score(context["outlet_events"], self.publish, result)
        _decide(result, self.fail_on, context)
        return result


class CampaignGateOperator(BaseOperator):
    """Fail where a campaign's result says so.

    Parameters
    ----------
    result
        What a :class:`CampaignOperator` returned.
    fail_on
        As there.
    report_url
        As there.
    """

    template_fields: ClassVar[Sequence[str]] = ("result", "report_url")
    operator_extra_links = (ChaosReportLink(),)
    ui_color = "#e9dcf2"

    def __init__(
        self,
        *,
        result: Any,
        fail_on: str | Sequence[str] = ("gate_failed",),
        report_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.result, self.fail_on, self.report_url = result, fail_on_of(fail_on), report_url
        self.report_link = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Fail, or hand the result on."""
        if not isinstance(self.result, Mapping) or "exit_code" not in self.result:
            raise AirflowFailException(
                f"no result of a campaign, but {type(self.result).__name__}: give CampaignOperator's output"
            )
        self.report_link = report_link(self.result, self.report_url)
        result = dict(self.result)
        _decide(result, self.fail_on, context)
        return result


def _decide(result: Mapping[str, Any], fail_on: Sequence[FailOn], context: Any) -> None:
    """Fail the task where the result says so; it is pushed before, for the tasks that run all the same."""
    from pipechaos.airflow.campaign import failure_in

    final, message = failure_in(result, fail_on)
    if message:
        context["ti"].xcom_push(key="return_value", value=result)
        raise AirflowFailException(message) if final else AirflowException(message)


def _listed(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
